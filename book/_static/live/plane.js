// A GAN in the plane, live: which modes G covers, what D thinks where, and where D pulls the samples.

import { make, say, tell } from "./controls.js"
import { Axes, keepDrawn } from "./draw.js"
import { framed, playground, RATES } from "./playground.js"
import { TARGETS } from "./theory.js"

/** @typedef {import("./training.js").PlaneState} PlaneState */

/** @type {import("./controls.js").Schema} */
const SCHEMA = {
  preset: { label: "预设", first: "cover", names: { cover: "覆盖", helvetica: "Helvetica", grid: "二十五个峰" } },
  target: { label: "数据分布", first: "ring", names: { ring: "一圈 8 个峰", grid: "5 × 5 个峰" } },
  loss: { label: "G 的损失", first: "non_saturating", names: { minimax: "log(1 − D)", non_saturating: "−log D，非饱和" } },
  k: { label: "D 的步数 k", first: 1, values: [1, 2, 3, 5, 10] },
  speed: { label: "速度", first: "fast", names: { slow: "慢", middle: "中", fast: "尽快" } },
  gRate: { label: "G 的学习率", first: 0.002, values: RATES },
  dRate: { label: "D 的学习率", first: 0.002, values: RATES },
  momentum: { label: "动量", first: 0.5, values: [0, 0.5, 0.9] },
  noise: { label: "先验噪声", first: "gaussian", names: { uniform: "均匀", gaussian: "高斯" } },
  width: { label: "G 的宽度（D 减半）", first: 64, values: [16, 32, 64, 128] },
  batch: { label: "小批量", first: 128, values: [32, 64, 128, 250] },
  seed: { label: "随机种子", first: 1, most: 9999 },
}

/** @type {Record<string, import("./controls.js").Settings>} */
const PRESETS = { cover: {}, helvetica: { gRate: 0.005, dRate: 0.0005 }, grid: { target: "grid", dRate: 0.005, noise: "uniform" } }

/** @type {Record<string, string>} */
const WATCH = {
  cover: "绿色的样本起初挤作一团，追着蓝色深的地方走，一千多次迭代以后散到全部 8 个峰上。",
  helvetica: "G 的学习率是 D 的十倍：所有的 z 都被送到 D 眼下最看好的一处，等 D 回过神来，又一起搬到别处，覆盖的峰很少超过一两个。",
  grid: "峰多了，G 要慢得多：看覆盖的峰数怎样增加，又怎样丢掉；两千次迭代以后，往往还不到一半。",
}

/** @param {import("./controls.js").Settings} values */
export const games = (values) =>
  [{ name: "", settings: /** @type {any} */ ({ optimizer: "adam", decay: 1, lead: 0, drawn: [], ...values }) }]

/** The settings of a preset, all of them. @param {string} preset @param {import("./controls.js").Settings} [more] */
export const presetValues = (preset, more = {}) =>
  ({ ...Object.fromEntries(Object.entries(SCHEMA).map(([key, field]) => [key, field.first])), ...PRESETS[preset], ...more })

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
  context.strokeStyle = axes.colour("data")
  context.lineWidth = 1.5
  context.setLineDash([2, 3])
  for (const [x, y] of centres) {
    context.beginPath()
    context.arc(axes.x(x), axes.y(y), (0.3 / (2 * reach)) * size, 0, 2 * Math.PI)
    context.stroke()
  }
  context.setLineDash([])
  context.fillStyle = axes.colour("generator")
  for (let i = 0; i < g.length; i += 2) context.fillRect(axes.x(g[i]) - 1.5, axes.y(g[i + 1]) - 1.5, 3, 3)
  for (let i = 0; i < 120; i += 2) {
    const long = Math.hypot(pull[i], pull[i + 1]), scale = (0.15 * reach * Math.min(1, long)) / (long || 1)
    axes.arrow(g[i], g[i + 1], g[i] + scale * pull[i], g[i + 1] + scale * pull[i + 1], "data", 5)
  }
}

/** @param {HTMLElement} place @param {import("./playground.js").Given} given */
export function mount(place, given) {
  playground(place, given, {
    schema: SCHEMA, presets: PRESETS, watch: ({ preset }) => WATCH[preset], games, once: 1500, first: ["preset", "target", "loss", "k"],
    legend: [["data", "数据的峰"], ["generator", "G 的样本"], ["discriminator", "D：越蓝越像数据"]],
    view: (_, panel) => {
      /** @type {PlaneState | null} */
      let shown = null
      const canvas = make("canvas", { role: "img", class: "live-square", "aria-label": "平面上的数据的峰、生成的样本、D 的取值，以及 D 对样本的牵引" })
      const numbers = make("p", { class: "live-numbers" }), target = String(panel.values.target)
      const again = keepDrawn(canvas, (width) => width, (context, width) => { if (shown) draw(context, width, shown, target) })
      const show = (/** @type {PlaneState} */ state) => {
        shown = state
        tell(numbers, [["D 的步数", "d", `${state.dSteps}`], ["G 的步数", "g", `${state.gSteps}`],
          ["覆盖的峰", "covered", `${state.covered} / ${state.modes}`], ["落在峰上的样本", "near", `${say(100 * state.near, 0)}%`]])
        again()
      }
      return { tag: framed("", canvas, numbers), show }
    },
  })
}
