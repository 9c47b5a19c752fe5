// Proposition 1 and Theorem 1: two densities and a D to drag, with D*, C(G), JSD and the bounds by TV. Source: §4.1.

import { button, make, Panel, say, tell, whileDragged } from "./controls.js"
import { Axes, drawing } from "./draw.js"
import { jensenShannon, kl, optimalDiscriminator, totalVariation, value, virtualCriterion } from "./theory.js"

const BINS = 24, TALL = 34, TALLEST = 0.3, LOG4 = Math.log(4)
const BARS = /^(?!0+$)[0-9a-y]{24}$/, OWN = /^(best|[1-9a-x]{24})$/  // a bar's height is one character of the address

/** @param {ArrayLike<number>} heights */
const written = (heights) => Array.from(heights, (h) => Math.round(h).toString(36)).join("")
/** @param {string} text */
const read = (text) => Array.from(text, (c) => parseInt(c, 36))
/** @param {(i: number) => number} f between 0 and 1 */
const shape = (f) => written(Array.from({ length: BINS }, (_, i) => TALL * f(i)))
/** @param {number} centre @param {number} width */
const bump = (centre, width) => (/** @type {number} */ i) => Math.exp(-(((i - centre) / width) ** 2) / 2)
/** @param {number} from @param {number} to */
const block = (from, to) => (/** @type {number} */ i) => Number(from <= i && i < to) / 2

/** C(G) + log 4 is between φ(TV) and TV · log 4. @param {number} t */
const phi = (t) => (1 + t) * Math.log1p(t) + (t < 1 ? (1 - t) * Math.log1p(-t) : 0)

const TWO = shape((i) => 0.9 * bump(6, 2)(i) + 0.5 * bump(17, 2)(i)), HALF = "h".repeat(BINS)
/** @type {Record<string, [string, string]>} */
const PRESETS = {
  "两个相同": [TWO, TWO],
  "只学到一座峰": [TWO, shape(bump(6, 2))],
  "一窄一宽": [shape(bump(11.5, 2)), shape((i) => bump(11.5, 6)(i) / 2)],
  "不相交": [shape(block(3, 9)), shape(block(14, 20))],
}

/**
 * What the widget shows of two densities and a D, each as the address has them.
 * @param {string} data @param {string} g @param {string} own
 */
export function measure(data, g, own) {
  const [pData, pG] = [data, g].map((text) => {
    const heights = read(text), total = heights.reduce((a, b) => a + b, 0)
    return heights.map((h) => h / total)
  })
  const dStar = optimalDiscriminator(pData, pG), c = virtualCriterion(pData, pG), tv = totalVariation(pData, pG)
  const d = own === "best" ? dStar : Float64Array.from(read(own), (h) => h / TALL)
  const middle = pData.map((p, i) => (p + pG[i]) / 2)
  return {
    pData, pG, dStar, d, c, tv, jsd: jensenShannon(pData, pG), klData: kl(pData, middle), klG: kl(pG, middle),
    v: own === "best" ? c : value(pData, pG, d.map((p) => Math.log(p / (1 - p)))),
    pinsker: tv * tv - LOG4, lower: phi(Math.min(tv, 1)) - LOG4, upper: (tv - 1) * LOG4,
  }
}

/** @param {HTMLElement} place @param {{prefix: string}} given */
export function mount(place, { prefix }) {
  const panel = new Panel(prefix, {
    p: { label: "", first: TWO, pattern: BARS },
    q: { label: "", first: PRESETS["只学到一座峰"][1], pattern: BARS },
    d: { label: "", first: HALF, pattern: OWN },
    what: { label: "拖动或调整", first: "q", names: { q: "p_g", p: "p_data", d: "D" } },
    bin: { label: "第几格", first: 12, values: Array.from({ length: BINS }, (_, i) => i + 1) },
  }, () => show())
  const seen = () => measure(String(panel.values.p), String(panel.values.q), String(panel.values.d))

  /** The heights of what is dragged or adjusted. @param {string} what */
  const heights = (what) => {
    if (what !== "d") return read(String(panel.values[what]))
    return Array.from(seen().d, (p) => TALL * (Number.isNaN(p) ? 0.5 : p))
  }
  /** Gives the bins between two a height; the others of a density shrink where it would be too tall.
   * @param {string} what @param {number} from @param {number} to @param {number} height */
  const put = (what, from, to, height) => {
    const inside = (/** @type {number} */ i) => Math.min(from, to) <= i && i <= Math.max(from, to)
    const [least, most, shrink] = what === "d" ? [1, TALL - 1, 1] : [0, TALL, Math.min(1, TALL / height)]
    const next = written(heights(what).map((h, i) => Math.min(most, Math.max(least, inside(i) ? height : h * shrink))))
    if (what === "d" || BARS.test(next)) panel.set({ [what]: next }, what, true)
  }
  /** The height that makes bins of so much mass each. @param {string} what @param {number} from @param {number} to
   * @param {number} mass */
  const heightOf = (what, from, to, mass) => {
    const n = Math.abs(to - from) + 1, m = Math.min(mass, 0.9 / n), first = Math.min(from, to)
    const others = heights(what).reduce((sum, h, i) => (first <= i && i < first + n ? sum : sum + h), 0)
    return others > 0 ? (m * others) / (1 - n * m) : TALL
  }

  const numbers = make("p", { class: "live-numbers" })
  const height = make("input", { type: "range", id: `${panel.prefix}-height`, min: 0, max: TALL, step: 1, input: () => {
    const { what, bin } = panel.values
    put(String(what), Number(bin) - 1, Number(bin) - 1, Number(height.value))
  } })
  const heightSaid = make("output", { for: height.id })

  /** @type {Axes[]} */
  let boxes = []
  const [canvas, drawBars] = drawing("上面是 p_data 和 p_g，下面是 D* 和 D；可以拖动", "live-drag", () => 310, (context, width) => {
    const s = seen(), right = width - 8
    const steps = Float64Array.from({ length: 2 * BINS }, (_, i) => (i + 1) >> 1)
    const stairs = (/** @type {ArrayLike<number>} */ ys) => Float64Array.from(steps, (_, i) => ys[i >> 1])
    const top = new Axes(context, { left: 34, right, top: 24, bottom: 170 }, [0, BINS], [0, Math.max(TALLEST, ...s.pData, ...s.pG)])
    const below = new Axes(context, { left: 34, right, top: 200, bottom: 300 }, [0, BINS], [0, 1])
    boxes = [top, below]
    top.line([0, BINS], [0, 0], "text")
    top.line(steps, stairs(s.pG), "generator")
    top.line(steps, stairs(s.pData), "data")
    top.text("$p_data$", 40, 10, "data")
    top.text("$p_g$", 92, 10, "generator")
    below.ticks([0, 0.5, 1])
    below.line(steps, stairs(s.dStar), "optimum")
    below.line(steps, stairs(s.d), "discriminator")
    below.text("$D*$", 40, 186, "optimum")
    below.text("$D$", 92, 186, "discriminator")
  })
  const [plot, drawBounds] = drawing("", "", () => 310, (context, width) => {
    const { tv, c } = seen(), xs = Float64Array.from({ length: 101 }, (_, i) => i / 100)
    const plane = new Axes(context, { left: 54, right: width - 10, top: 24, bottom: 276 }, [0, 1], [-LOG4, 0])
    plane.ticks([-LOG4, -1, -0.5, 0], (tick) => (tick < -1 ? "−log 4" : say(tick, 1)))
    plane.line([0, 1], [-LOG4, -LOG4], "text")
    plane.line(xs, xs.map((t) => phi(t) - LOG4), "exact")
    plane.line(xs, xs.map((t) => (t - 1) * LOG4), "exact")
    plane.text("$C(G)$", 60, 10, "generator")
    plane.text("TV", width - 10, 292, "text", "right")
    plane.dot(tv, c, "generator", 5)
  })

  let last = 0
  whileDragged(canvas, (x, y, starts) => {
    const low = y > 185, { box, yLimits } = boxes[Number(low)]
    const what = low ? "d" : panel.values.what === "p" ? "p" : "q"
    const bin = Math.max(0, Math.min(BINS - 1, Math.floor(((x - box.left) / (box.right - box.left)) * BINS)))
    const part = Math.max(0, (box.bottom - y) / (box.bottom - box.top)), from = starts ? bin : last
    put(what, from, bin, low ? part * TALL : heightOf(what, from, bin, part * yLimits[1]))
    last = bin
  })

  const shift = (/** @type {number} */ by) => {
    const q = String(panel.values.q), moved = by > 0 ? `0${q.slice(0, -1)}` : `${q.slice(1)}0`
    if (BARS.test(moved)) panel.set({ q: moved }, "q")
  }
  const show = () => {
    const s = seen(), { what, bin } = panel.values
    height.value = heightSaid.value = String(Math.round(heights(String(what))[Number(bin) - 1]))
    tell(numbers, [["C(G)", "c", s.c], ["JSD", "jsd", s.jsd], ["两个 KL 散度", "kl", `${say(s.klData)}，${say(s.klG)}`],
      ["TV", "tv", s.tv], ["C(G) 的下界", "lower", s.lower], ["上界", "upper", s.upper], ["Pinsker 的下界", "pinsker", s.pinsker],
      ["V(G, D)", "v", s.v], ["C(G) − V(G, D)", "lack", s.c - s.v]])
    plot.setAttribute("aria-label", `C(G) 与 TV 的上下界，圆点是现在的两个分布：TV = ${say(s.tv)}，C(G) = ${say(s.c)}`)
    drawBars()
    drawBounds()
  }
  place.append(
    panel.status, make("div", { class: "live-pair" }, canvas, plot), numbers,
    make("div", { class: "live-buttons" },
      ...Object.entries(PRESETS).map(([name, [p, q]]) => button(name, () => panel.set({ p, q }))),
      button("p_g 左移", () => shift(-1)), button("p_g 右移", () => shift(1)),
      button("D 换成 D*", () => panel.set({ d: "best" })), button("D 换成 1/2", () => panel.set({ d: HALF }))),
    panel.tags("what", "bin"))
  place.querySelector(".live-controls")?.append(
    make("div", { class: "live-control" }, make("label", { for: height.id }, "这一格的高度"), height, heightSaid))
  show()
}
