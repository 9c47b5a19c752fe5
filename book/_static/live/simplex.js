// Proposition 2 on three points: where p_g goes from a p_0, step by step, and what C does. Source: §4.2, gan/theory.py.

import { button, make, Panel, player, say, tell, whileDragged } from "./controls.js"
import { Axes, drawing } from "./draw.js"
import { sigmoid, softplus } from "./nets.js"
import { value, virtualCriterion } from "./theory.js"

/** @typedef {ArrayLike<number>} Masses */

const LOG4 = Math.log(4), P_DATA = [0.5, 0.3, 0.2], STEPS = 120

/**
 * gan.theory.play, and with k = ∞ gan.theory.descend: p_g's path, and the logits of the D that has moved it. Each step
 * brings D's logit k times nearer to the optimum, then p_g ← p_g · exp(−rate · log(1 − D)), normalised.
 * @param {Masses} pData @param {Masses} pG where to start @param {number} steps @param {number} rate
 * @param {number} k @param {number} dRate
 */
export function play(pData, pG, steps, rate, k = Infinity, dRate = 1) {
  const logData = Float64Array.from(pData, Math.log)
  let log = Float64Array.from(pG, Math.log), logits = logData.map((a, i) => a - log[i])
  const path = { pG: [log.map(Math.exp)], logits: [logits] }
  for (let step = 0; step < steps; step++) {
    const best = logData.map((a, i) => a - log[i])
    if (k === Infinity) logits = best
    else for (let i = 0; i < k; i++) logits = logits.map((s, x) => s + dRate * (sigmoid(best[x]) - sigmoid(s)))
    log = log.map((b, x) => b + rate * softplus(logits[x]))  // −log(1 − D) is a softplus
    const most = Math.max(...log), total = Math.log(log.reduce((sum, l) => sum + Math.exp(l - most), 0))
    log = log.map((l) => Math.max(l - most - total, -1e9))  // far below any double's, so that nothing becomes ∞ − ∞
    path.pG.push(log.map(Math.exp))
    path.logits.push(logits)
  }
  return path
}

/** p of the share of x_3, and of x_1 in the rest. @param {number} third @param {number} first */
const masses = (third, first) => [(1 - third) * first, (1 - third) * (1 - first), third]

const HEIGHT = Math.sqrt(3) / 2
/** Where a p lies in the triangle of side 1: x_1 left, x_2 right, x_3 above. @param {Masses} p @returns {[number, number]} */
const corner = (p) => [p[1] + p[2] / 2, p[2] * HEIGHT]

/** Where C has this value, around P_DATA, NaN outside of the triangle: C rises along every ray. @param {number} level */
const contour = (level) => Array.from({ length: 145 }, (_, i) => {
  const ray = [0, 1, 2].map((x) => Math.cos((i * Math.PI) / 72 + (x * 2 * Math.PI) / 3))
  const along = (/** @type {number} */ r) => P_DATA.map((p, x) => Math.max(0, p + r * ray[x]))
  let near = 0, far = Math.min(...P_DATA.map((p, x) => (ray[x] < 0 ? -p / ray[x] : Infinity)))
  if (virtualCriterion(P_DATA, along(far)) < level) return [NaN, NaN]
  for (let half = 0; half < 30; half++) {
    const middle = (near + far) / 2
    if (virtualCriterion(P_DATA, along(middle)) < level) near = middle
    else far = middle
  }
  return corner(along(near))
})

const FIRST = Array.from({ length: 99 }, (_, i) => (i + 1) / 100), SHARES = [1e-12, 1e-6, 0.001, ...FIRST]
/** @type {Record<string, [string, Record<string, string | number>]>} */
const PRESETS = {
  "步长 1": ["走的是直线，每一步走完剩下路程的一半。", { rate: 1, d: "best", third: 0.9, first: 0.5 }],
  "步长 2": ["终点附近最快，就像牛顿法；但离得远时没有保证。", { rate: 2, d: "best", third: 0.9, first: 0.5 }],
  "步长 5": ["到不了终点：在几处之间来回跳。", { rate: 5, d: "best", third: 0.9, first: 0.5 }],
  "从边上出发": ["步长超过 1，从离边极近的地方出发，第一步就跳到对面，C 上升。", { rate: 1.5, d: "best", third: 1e-12, first: 0.6 }],
  "D 落后": ["D 每次只走一步，p_g 绕着 p_data 转圈，时而往外走，C 时升时降。", { rate: 0.1, d: "1", dRate: 0.1, third: 0.05, first: 0.05 }],
  "D 不动": ["p_g 把全部质量堆到 D 最大的一点，C 先降后升，终于比出发时还高。", { rate: 0.5, d: "0", third: 0.3, first: 0.2 }],
}

/** @param {HTMLElement} place @param {{prefix: string}} given */
export function mount(place, { prefix }) {
  const panel = new Panel(prefix, {
    third: { label: "p₀(x₃)", first: 0.9, values: SHARES },
    first: { label: "其余归 x₁ 的份额", first: 0.5, values: FIRST },
    rate: { label: "步长 η", first: 0.3, values: [0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 1, 1.1, 1.5, 2, 2.5, 3, 4, 5, 8] },
    d: { label: "D", first: "best", names: { best: "总是最优", 50: "每次走 50 步", 5: "每次走 5 步", 1: "每次走 1 步", 0: "停住不动" } },
    dRate: { label: "D 的步长 ρ", first: 0.1, values: [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4] },
    t: { label: "第几步", first: STEPS, values: Array.from({ length: STEPS + 1 }, (_, i) => i) },
  }, (key) => { if (key !== "t") walk(); show() })
  let path = play(P_DATA, P_DATA, 0, 1), c = [0], v = [0]
  const walk = () => {
    const { third, first, rate, d, dRate } = panel.values
    path = play(P_DATA, masses(Number(third), Number(first)), STEPS, Number(rate), d === "best" ? Infinity : Number(d), Number(dRate))
    c = path.pG.map((p) => virtualCriterion(P_DATA, p))
    v = path.pG.map((p, t) => (d === "best" ? c[t] : value(P_DATA, p, path.logits[t])))
  }

  const numbers = make("p", { class: "live-numbers" })
  const contours = [-1.37, -1.3, -1.2, -1.1, -1, -0.9, -0.8, -0.7, -0.6].map(contour)
  let box = { left: 0, right: 1, top: 0, bottom: 1 }
  const label = "三个点上的分布组成的三角形，p_g 从 p₀ 出发的路径；可以拖动 p₀", tall = (/** @type {number} */ width) => Math.min(width, 340) * HEIGHT + 30
  const [canvas, drawTriangle] = drawing(label, "live-drag", tall, (context, width, high) => {
    const side = Math.min(width, 340) - 40, left = (width - side) / 2, bottom = high - 28, t = Number(panel.values.t)
    box = { left, right: left + side, top: bottom - side, bottom }
    const axes = new Axes(context, box, [0, 1], [0, 1])
    context.globalAlpha = 0.4
    for (const points of contours) axes.line(points.map(([x]) => x), points.map(([, y]) => y), "other")
    context.globalAlpha = 1
    axes.line([0, 1, 0.5, 0], [0, 0, HEIGHT, 0], "text")
    axes.text("$x_1$", left - 8, bottom + 14, "text", "center")
    axes.text("$x_2$", box.right + 8, bottom + 14, "text", "center")
    axes.text("$x_3$", left + side / 2, 12, "text", "center")
    const points = path.pG.map(corner), xs = points.map(([x]) => x), ys = points.map(([, y]) => y)
    context.globalAlpha = 0.3
    axes.line(xs, ys, "generator")
    context.globalAlpha = 1
    axes.line(xs.slice(0, t + 1), ys.slice(0, t + 1), "generator")
    for (const [x, y] of points.slice(0, t + 1)) axes.dot(x, y, "generator", 2)
    axes.dot(...points[0], "generator", 7)
    axes.dot(...points[t], "generator", 5)
    axes.dot(...corner(P_DATA), "data", 5)
  })
  const [plot, drawCurve] = drawing("", "", () => 300, (context, width, high) => {
    const t = Number(panel.values.t), lags = panel.values.d !== "best", steps = c.map((_, i) => i)
    const low = Math.max(-4, Math.min(-LOG4, ...(lags ? v : [])))
    const axes = new Axes(context, { left: 54, right: width - 10, top: 24, bottom: high - 28 }, [0, STEPS], [low, 0])
    axes.ticks([...(low < -1.8 ? [low] : []), -LOG4, -1, -0.5, 0], (tick) => (tick === -LOG4 ? "−log 4" : say(tick, 1)))
    axes.line([0, STEPS], [-LOG4, -LOG4], "exact")
    axes.line(steps, c, "generator")
    if (lags) axes.line(steps, v, "discriminator")
    axes.line([t, t], [low, 0], "other")
    axes.dot(t, c[t], "generator", 4)
    axes.text("$C$", 60, 10, "generator")
    if (lags) axes.text("$V$", 80, 10, "discriminator")
    axes.text("$t$", width - 10, high - 14, "text", "right")
  })

  const nearest = (/** @type {number[]} */ values, /** @type {number} */ x) =>
    values.reduce((best, one) => (Math.abs(one - x) < Math.abs(best - x) ? one : best))
  whileDragged(canvas, (x, y) => {
    const { left, right, bottom } = box, third = nearest(SHARES, (bottom - y) / (right - left) / HEIGHT)
    const second = (x - left) / (right - left) - third / 2
    panel.set({ third, first: nearest(FIRST, 1 - second / (1 - third)) }, "third", true)
  })

  let frames = 0
  const film = player(() => {
    if (frames++ % 3) return
    next(true)
    if (panel.values.t === STEPS) film.play(false)
  }, (playing) => { start.textContent = playing ? "停下" : "播放" })
  const next = (moving = false) => panel.set({ t: (Number(panel.values.t) + 1) % (STEPS + 1) }, "t", moving)
  const start = button("播放", film.toggle)
  const show = () => {
    const t = Number(panel.values.t), rises = c.slice(1).filter((after, i) => after > c[i] + 1e-12).length
    const lag = /** @type {import("./controls.js").Cells} */ (panel.values.d === "best" ? [] : [["V(G, D)", "v", v[t]], ["C − V", "lack", c[t] - v[t]]])
    tell(numbers, [["步数", "steps", `${t}`], ["C(G)", "c", say(c[t], 4)], ["C(G) + log 4", "gap", say(c[t] + LOG4, 4)], ...lag,
      ["p_g", "p", Array.from(path.pG[t], (p) => say(p)).join("，")], ["C 上升的步数", "rises", `${rises}`]])
    plot.setAttribute("aria-label", `C 随步数的变化：第 ${t} 步，C = ${say(c[t])}`)
    drawTriangle()
    drawCurve()
  }
  const presets = Object.entries(PRESETS).map(([name, [words, values]]) => button(name, () => {
    panel.set({ t: STEPS, ...values })
    panel.say(words)
  }))
  place.append(
    panel.status, make("div", { class: "live-pair" }, canvas, plot), numbers,
    make("div", { class: "live-buttons" }, start, button("走一步", () => next()), ...presets),
    panel.tags("third", "first", "rate", "d", "dRate", "t"))
  walk()
  show()
}
