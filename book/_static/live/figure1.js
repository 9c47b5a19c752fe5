// Figure 1, live: a GAN on the line that trains as one looks, with its exact distance to the optimum.

import { say, whileDragged } from "./controls.js"
import { Axes, drawing } from "./draw.js"
import { FIELDS, playground } from "./playground.js"
import { priorWidth } from "./theory.js"

/** @typedef {import("./training.js").LineState} LineState */
/** @typedef {import("./training.js").GameSettings} GameSettings */
/** @typedef {[updates: number, value: number, criterion: number, gap: number][]} History */

const BARS = 40, HIGHEST = 35
const DRAWN = [..."0".repeat(8), ..."48cgkosw", ..."wskgc8400", ..."0".repeat(3), ..."8goooog8", ..."0".repeat(4)].join("")

/** @type {import("./controls.js").Schema} */
const SCHEMA = {
  preset: { label: "预设", first: "converge", names: { converge: "收敛", saturate: "饱和", oscillate: "摆动", collapse: "崩塌" } },
  target: {
    label: "数据分布", first: "gaussian",
    names: {
      gaussian: "正态 N(0, 1)", mixture: "两个峰", laplace: "拉普拉斯", uniform: "均匀 (−1, 1)", cauchy: "柯西",
      far: "远处的正态 N(6, 1)", intervals: "两段区间", drawn: "自己画",
    },
  },
  compare: { label: "同一起点", first: "none", names: { none: "一局", loss: "两种损失各一局", k: "k = 1 与 k = 5 各一局" } },
  optimizer: { label: "更新规则", first: "adam", names: { adam: "Adam", sgd: "SGD" } },
  decay: { label: "每次迭代后学习率除以", first: 1, values: [1, 1.002, 1.005, 1.01] },
  lead: { label: "开局前 D 先走", first: 0, values: [0, 100, 200, 400] },
  ...FIELDS,
  drawn: { label: "画出的密度", first: DRAWN, pattern: new RegExp(`^[0-9a-z]{${BARS}}$`) },
}

const FAR = { target: "far", optimizer: "sgd", gRate: 0.02, dRate: 0.02, batch: 100 }
/** @type {Record<string, import("./controls.js").Settings>} */
const PRESETS = {
  converge: { width: 64, decay: 1.005 },
  saturate: { ...FAR, momentum: 0.5, k: 5, lead: 400, compare: "loss" },
  oscillate: { ...FAR, momentum: 0.9, k: 1, gRate: 0.01, dRate: 0.01 },
  collapse: { target: "mixture", k: 1, gRate: 0.02, dRate: 0.001 },
}

/** @type {Record<string, string>} */
const WATCH = {
  converge: "绿线爬上黑色点线，C(G) 落到 −log 4 附近，D 处处接近 1/2：三百次迭代之内，JSD 降到 0.03 以下。",
  saturate: "D 已经先走了 400 步，很有把握。最小化 log(1 − D) 的一局，蓝色箭头几乎没有长度，G 停在原地；最大化 log D 的一局，箭头很长，G 马上动身。",
  oscillate: "G 顺着 D 的指引冲过头，D 跟上来，又把它赶回去：绿线在数据的两侧来回摆动，有时冲出画面。",
  collapse: "G 的学习率是 D 的二十倍：绿线缩成一根尖峰，从一个峰跳到另一个峰，几乎总有一个峰没有照顾到。",
}

const SKETCH = "在图的上半部分拖动，画出数据的密度；或者用 Tab 键选中这幅图，左右键选位置，上下键改高低，回车开始。"

/** @param {import("./controls.js").Settings} values @returns {{name: string, settings: GameSettings}[]} */
function games(values) {
  const one = /** @type {any} */ ({ ...values, drawn: [...String(values.drawn)].map((digit) => parseInt(digit, 36)) })
  if (values.compare === "loss")
    return [["minimax", "log(1 − D)"], ["non_saturating", "−log D"]].map(([loss, name]) => ({ name, settings: { ...one, loss } }))
  if (values.compare === "k") return [1, 5].map((k) => ({ name: `k = ${k}`, settings: { ...one, k } }))
  return [{ name: "", settings: one }]
}

/** Where Figure 1 is drawn. @param {CanvasRenderingContext2D} context @param {number} width @param {number} height
 * @param {number} reach */
const figureAxes = (context, width, height, reach) =>
  new Axes(context, { left: 30, right: width - 4, top: 6, bottom: height }, [-1.1 * reach, 1.1 * reach], [-0.95, 1.15])

/** Figure 1's panel: the densities, D and D*; below them x, z, the arrows x = G(z), and where D pulls the samples.
 * @param {CanvasRenderingContext2D} context @param {number} width @param {number} height @param {LineState} state
 * @param {string} noise */
function drawFigure(context, width, height, state, noise) {
  const { edges, pData, pG, d, dStar, z, g, pull } = state, bins = pG.length, reach = edges[bins - 1]
  const axes = figureAxes(context, width, height, reach)
  const x = edges.subarray(1, bins - 1).map((edge, i) => (edge + edges[i + 2]) / 2), wide = (2 * reach) / (bins - 2)
  axes.line(x, dStar.subarray(1, bins - 1), "optimum")
  axes.line(x, d.subarray(1, bins - 1), "discriminator")
  axes.line(x, pG.subarray(1, bins - 1).map((p) => p / wide), "generator")
  axes.line(x, pData.subarray(1, bins - 1).map((p) => p / wide), "data")
  const half = 0.75 * reach, end = Math.min(priorWidth(noise), 2.5)
  z.forEach((from, i) => {
    if (Math.abs(g[i]) > reach) return
    axes.arrow((from / end) * half, -0.8, g[i], -0.28, "generator")
    axes.arrow(g[i], -0.17, g[i] + Math.max(-0.3, Math.min(0.3, pull[i] / 8)) * reach, -0.17, "discriminator", 6)
  })
  axes.line([-reach, reach], [-0.25, -0.25], "text")
  axes.line([-half, half], [-0.8, -0.8], "text")
  axes.text("$x$", axes.x(-reach) - 5, axes.y(-0.25), "text", "right")
  axes.text("$z$", axes.x(-half) - 5, axes.y(-0.8), "text", "right")
  axes.ticks([0, 0.5, 1])
}

/** V, C(G) and −log 4 over the updates, and below them C − V. @param {CanvasRenderingContext2D} context
 * @param {number} width @param {number} top @param {number} height @param {History} history */
function drawHistory(context, width, top, height, history) {
  const [at, value, criterion, gap] = [0, 1, 2, 3].map((i) => history.map((row) => row[i]))
  const last = Math.max(40, at[at.length - 1] ?? 0), right = width - 58, now = at.length - 1
  const above = new Axes(context, { left: 40, right, top, bottom: top + 0.52 * height }, [0, last], [-2.2, 0.05])
  above.ticks([-2, -1, 0], (v) => say(v, 0))
  above.line([0, last], [-Math.log(4), -Math.log(4)], "exact")
  above.line(at, value, "discriminator")
  above.line(at, criterion, "generator")
  above.text("−log 4", right + 4, above.y(-1.4), "exact")
  above.text("$C(G)$", right + 4, above.y(Math.max(criterion[now] ?? 0, -0.85)), "generator")
  above.text("$V$", right + 4, above.y(Math.min(-1.95, Math.max(-2.1, value[now] ?? 0))), "discriminator")
  const below = new Axes(context, { left: 40, right, top: top + 0.64 * height, bottom: top + height - 4 }, [0, last], [-3, 1])
  const powers = gap.map((y) => Math.log10(Math.max(y, 1e-4)))
  below.ticks([-2, -1, 0, 1], (power) => String(10 ** power))
  below.line(at, powers, "other")
  below.text("$C − V$", right + 4, below.y(Math.max(-2.5, Math.min(0.8, powers[now] ?? 0))), "other")
}

/** One game's place: its canvas, its numbers, its past. @param {import("./controls.js").Panel} panel @param {boolean} small
 * @returns {import("./playground.js").View} */
function view(panel, small) {
  /** @type {LineState | null} */
  let now = null
  /** @type {History} */
  let history = []
  const { noise, target } = panel.values, figure = (/** @type {number} */ width) => Math.min(270, Math.max(190, 0.42 * width))
  const label = "上半：数据分布、生成分布、判别器和最优判别器的曲线，从 z 到 x 的箭头，D 对样本的牵引；下半：V、C(G) 和 C − V 的变化"
  const [canvas, draw] = drawing(label, "", (width) => figure(width) + (small ? 0 : 210), (context, width) => {
    if (now) drawFigure(context, width, figure(width), now, String(noise))
    if (!small) drawHistory(context, width, figure(width) + 14, 190, history)
  })
  if (target === "drawn" && !small) sketch(canvas, figure, panel)
  const show = /** @returns {import("./controls.js").Cells} */ (/** @type {LineState} */ state) => {
    const { dSteps, gSteps, value, criterion, jsd } = now = state, gap = criterion - value
    history.push([dSteps + gSteps, value, criterion, gap])
    if (history.length > 400) history = history.filter((_, i) => i % 2 === 0)
    draw()
    return [["V", "value", value], ["C(G)", "criterion", criterion], ["C − V", "gap", gap], ["JSD", "jsd", jsd]]
  }
  return { canvas, show }
}

/** Let p_data be drawn on the canvas: with a pointer, or the arrow keys. @param {HTMLCanvasElement} canvas
 * @param {(width: number) => number} height of Figure 1's part @param {import("./controls.js").Panel} panel */
function sketch(canvas, height, panel) {
  const bars = [...String(panel.values.drawn)].map((digit) => parseInt(digit, 36))
  let last = BARS / 2
  const finish = () => panel.set({ drawn: bars.map((bar) => bar.toString(36)).join("") }, "drawn")
  canvas.style.touchAction = "none"
  canvas.tabIndex = 0
  canvas.setAttribute("role", "application")
  canvas.setAttribute("aria-label", "画出 p_data：用指针拖，或用左右键选位置、上下键改高低，回车开始")
  const within = (/** @type {number} */ x, /** @type {number} */ most) => Math.max(0, Math.min(most, x))
  const box = () => {
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"))
    return figureAxes(context, canvas.clientWidth, height(canvas.clientWidth), 1)
  }
  const show = () => {
    const axes = box()
    axes.context.clearRect(30, 0, canvas.width, axes.y(0))
    const xs = bars.flatMap((_, i) => [-1 + (2 * i) / BARS, -1 + (2 * (i + 1)) / BARS])
    axes.line(xs, bars.flatMap((bar) => [bar / HIGHEST, bar / HIGHEST]), "data")
    axes.line([xs[2 * last], xs[2 * last + 1]], [-0.04, -0.04], "exact")
  }
  whileDragged(canvas, (x, y, starts) => {
    const axes = box(), left = axes.x(-1), share = (y - axes.y(0)) / (axes.y(1) - axes.y(0))
    if (share < -0.2) return
    const bar = within(Math.floor(((x - left) / (axes.x(1) - left)) * BARS), BARS - 1)
    if (starts) last = bar
    for (let i = Math.min(last, bar); i <= Math.max(last, bar); i++) bars[i] = Math.round(HIGHEST * within(share, 1))
    last = bar
    show()
  })
  canvas.addEventListener("lostpointercapture", finish)
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0, rise = { ArrowUp: 3, ArrowDown: -3 }[event.key] ?? 0
    if (event.key === "Enter") {
      const stage = canvas.closest(".live-views")
      finish()
      stage?.querySelector("canvas")?.focus()  // the new game's
    }
    if (!move && !rise) return
    event.preventDefault()
    last = within(last + move, BARS - 1)
    bars[last] = within(bars[last] + rise, HIGHEST)
    show()
  })
}

/** @type {import("./playground.js").Kind} */
export const KIND = {
  schema: SCHEMA, presets: PRESETS, games, view, watch: (values) => (values.target === "drawn" ? SKETCH : WATCH[values.preset]),
  once: 300, first: ["preset", "target", "compare", "loss", "k"],
  legend: [["data", "<i>p</i><sub>data</sub>"], ["generator", "<i>p<sub>g</sub></i>"], ["discriminator", "<i>D</i>"], ["optimum", "<i>D</i>*"]],
}
/** @param {HTMLElement} place @param {import("./playground.js").Given} given */
export const mount = (place, given) => playground(place, given, KIND)
