// A GAN in the plane, live: which modes G covers, what D thinks where, and where D pulls the samples.

import { say } from "./controls.js"
import { Axes, drawing } from "./draw.js"
import { FIELDS, playground } from "./playground.js"
import { TARGETS } from "./theory.js"

/** @typedef {import("./training.js").PlaneState} PlaneState */

/** @type {import("./controls.js").Schema} */
const SCHEMA = {
  preset: { label: "预设", first: "cover", names: { cover: "覆盖", helvetica: "Helvetica", grid: "二十五个峰" } },
  target: { label: "数据分布", first: "ring", names: { ring: "一圈 8 个峰", grid: "5 × 5 个峰" } },
  ...FIELDS,
}

const COVER = { k: 1, speed: "fast", gRate: 0.002, dRate: 0.002, momentum: 0.5, noise: "gaussian", width: 64, seed: 1 }
/** @type {Record<string, import("./controls.js").Settings>} */
const PRESETS = {
  cover: COVER, helvetica: { ...COVER, gRate: 0.005, dRate: 0.0005 },
  grid: { ...COVER, target: "grid", dRate: 0.005, noise: "uniform", width: 128 },
}

/** @type {Record<string, string>} */
const WATCH = {
  cover: "绿色的样本起初挤作一团，追着蓝色深的地方走，一千多次迭代以后散到全部 8 个峰上。",
  helvetica: "G 的学习率是 D 的十倍：所有的 z 都被送到 D 眼下最看好的一处，等 D 回过神来，又一起搬到别处，覆盖的峰很少超过一两个。",
  grid: "峰多了，难得多：D 只告诉每个样本往哪里走，没有谁去数 25 个峰，样本成群地找到一个，又丢掉一个。两千次迭代以后只覆盖十个左右；把宽度减半，D 画不细这么多起伏，就只剩五个上下。",
}

/** @param {import("./controls.js").Settings} values */
const games = (values) =>
  [{ name: "", settings: /** @type {any} */ ({ optimizer: "adam", decay: 1, lead: 0, drawn: [], ...values }) }]

const TURN = Array.from({ length: 33 }, (_, i) => (i * Math.PI) / 16)
/** @param {CanvasRenderingContext2D} context @param {number} size @param {PlaneState} state @param {string} target */
function draw(context, size, { field, g, pull }, target) {
  const { reach, centres } = TARGETS[target], cells = Math.sqrt(field.length)
  const axes = new Axes(context, { left: 0, right: size, top: 0, bottom: size }, [-reach, reach], [-reach, reach])
  const at = (/** @type {number} */ i) => Math.round((i * size) / cells)
  context.fillStyle = axes.colour("discriminator")
  field.forEach((logit, i) => {
    context.globalAlpha = 0.6 / (1 + Math.exp(-logit))  // D, from pale to blue
    const x = at(i % cells), row = cells - 1 - Math.floor(i / cells)
    context.fillRect(x, at(row), at((i % cells) + 1) - x, at(row + 1) - at(row))
  })
  context.globalAlpha = 1
  for (const [x, y] of centres) axes.line(TURN.map((a) => x + 0.3 * Math.cos(a)), TURN.map((a) => y + 0.3 * Math.sin(a)), "data")
  context.fillStyle = axes.colour("generator")
  for (let i = 0; i < g.length; i += 2) context.fillRect(axes.x(g[i]) - 1.5, axes.y(g[i + 1]) - 1.5, 3, 3)
  for (let i = 0; i < 120; i += 2) {
    const long = Math.hypot(pull[i], pull[i + 1]), scale = (0.15 * reach * Math.min(1, long)) / (long || 1)
    axes.arrow(g[i], g[i + 1], g[i] + scale * pull[i], g[i + 1] + scale * pull[i + 1], "data", 5)
  }
}

/** @param {import("./controls.js").Panel} panel @returns {import("./playground.js").View} */
function view({ values: { target } }) {
  /** @type {PlaneState | null} */
  let shown = null
  const label = "平面上的数据的峰、生成的样本、D 的取值，以及 D 对样本的牵引"
  const [canvas, again] = drawing(label, "live-square", (width) => width, (context, width) => { if (shown) draw(context, width, shown, String(target)) })
  const show = /** @returns {import("./controls.js").Cells} */ (/** @type {PlaneState} */ state) => {
    shown = state
    again()
    return [["覆盖的峰", "covered", `${state.covered} / ${state.modes}`], ["落在峰上的样本", "near", `${say(100 * state.near, 0)}%`]]
  }
  return { canvas, show }
}

/** @param {HTMLElement} place @param {import("./playground.js").Given} given */
export const mount = (place, given) => playground(place, given, KIND)
/** @type {import("./playground.js").Kind} */
export const KIND = {
  schema: SCHEMA, presets: PRESETS, watch: ({ preset }) => WATCH[preset], games, view, once: 1500, first: ["preset", "target", "loss", "k"],
  legend: [["data", "数据的峰"], ["generator", "G 的样本"], ["discriminator", "D：越蓝越像数据"]],
}
