// What the widgets that train have in common: settings, buttons, and one or two games that are played at once.

import { button, make, Panel, player, tell, wantsStillness, whenNear } from "./controls.js"
import { pace } from "./draw.js"
import { employ } from "./training.js"

/** @typedef {import("./controls.js").Settings} Settings */
/** @typedef {import("./training.js").Order} Order */
/** @typedef {{base: string, prefix: string}} Given */
/** A game's canvas, and what shows a state there and tells its numbers.
 * @typedef {{canvas: HTMLCanvasElement, show: (state: any) => import("./controls.js").Cells}} View */
/**
 * What differs between them: the settings, those of them that are always seen (`first`), what to watch,
 * names of lines, a game's place on the page, and after how many iterations the small form stops.
 * @typedef {{schema: import("./controls.js").Schema, presets: Record<string, Settings>, watch: (values: Settings) => string,
 *            first: string[], legend: [string, string][], once: number,
 *            games: (values: Settings) => {name: string, settings: import("./training.js").GameSettings}[],
 *            view: (panel: Panel, small: boolean) => View}} Kind
 */

const RATES = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05]
/** Settings that all of them have. @type {import("./controls.js").Schema} */
export const FIELDS = {
  loss: { label: "G 的损失", first: "non_saturating", names: { minimax: "log(1 − D)", non_saturating: "−log D，非饱和" } },
  k: { label: "D 的步数 k", first: 3, values: [1, 2, 3, 5, 10, 20] },
  speed: { label: "速度", first: "middle", names: { slow: "慢", middle: "中", fast: "尽快" } },
  gRate: { label: "G 的学习率", first: 0.005, values: RATES },
  dRate: { label: "D 的学习率", first: 0.005, values: RATES },
  momentum: { label: "动量", first: 0, values: [0, 0.5, 0.9] },
  noise: { label: "先验噪声", first: "uniform", names: { uniform: "均匀", gaussian: "高斯" } },
  width: { label: "G 的宽度（D 减半）", first: 32, values: [8, 16, 32, 64, 128] },
  batch: { label: "小批量", first: 128, values: [32, 64, 100, 128, 250] },
  seed: { label: "随机种子", first: 2, most: 9999 },
}

/** @param {HTMLElement} place @param {Given} given @param {Kind} kind */
export function playground(place, { base, prefix }, kind) {
  const small = "small" in place.dataset
  /** @type {((state: any) => void)[]} */
  let shows = []
  let frames = 0, done = false
  /** @type {typeof shows[]} */
  const waiting = []  // where each order's states are to be shown
  const post = employ(base, (states) => {
    if (waiting.shift() !== shows) return
    if (!small || !wantsStillness() || !states[0].gSteps || states[0].gSteps >= kind.once) states.forEach((state, i) => shows[i](state))
    done = small && states[0].gSteps >= kind.once
    if (done) running.play(false)
  })
  const order = (/** @type {Order} */ what) => { waiting.push(shows); post(what) }
  const running = player(() => {
    pace(true)
    frames++
    const { speed } = panel.values, every = small || speed === "fast" ? 1 : speed === "slow" ? 30 : 4
    if (!waiting.length && frames % every === 0) order({ iterations: !small && speed === "fast" ? 1000 : 1 })
  }, (playing) => { pace(playing); play.textContent = playing ? "暂停" : done ? "再来一遍" : "播放" })

  const stage = make("div", { class: "live-views" }), watch = make("p", { class: "live-watch" })
  const legend = make("p", { class: "live-legend" })
  legend.innerHTML = kind.legend.map(([meaning, name]) => `<span class="line-${meaning}">${name}</span>`).join(" ")
  const restart = () => {
    const all = kind.games(panel.values)
    done = false
    stage.replaceChildren()
    shows = all.map(({ name }) => {
      const { canvas, show } = kind.view(panel, small), numbers = make("p", { class: "live-numbers" })
      stage.append(make("div", {}, ...(name ? [make("p", { class: "live-name" }, name)] : []), canvas, numbers))
      return (state) => tell(numbers, [["D 的步数", "d", `${state.dSteps}`], ["G 的步数", "g", `${state.gSteps}`], ...show(state)])
    })
    watch.textContent = kind.watch(panel.values)
    if (panel.changes().some((key) => key !== "speed" && key !== "seed")) watch.prepend("（设置已经改动，不全是这个预设。）")
    order({ games: all.map(({ settings }) => settings) })
  }
  const panel = new Panel(small ? `${prefix}-small` : prefix, kind.schema, (key) => { if (key !== "speed") restart() }, kind.presets)
  const play = button("播放", () => { if (done) restart(); running.toggle() }, { "data-key": "play" })
  const step = (/** @type {string} */ name, /** @type {string} */ key, /** @type {"dStep" | "gStep"} */ turn) => button(name, () => {
    running.play(false)
    order({ turn })
  }, { "data-key": key })
  if (small) place.append(legend, stage, make("div", { class: "live-buttons" }, play))
  else {
    const rest = Object.keys(panel.controls).filter((key) => key !== "speed" && !kind.first.includes(key))
    place.append(
      panel.status, panel.tags(...kind.first), watch, legend, stage,
      make("div", { class: "live-buttons" }, play, step("D 走一步", "step-d", "dStep"), step("G 走一步", "step-g", "gStep"),
        button("从头开始", restart, { "data-key": "reset" }), panel.tags("speed")),
      make("details", {}, make("summary", {}, "更多设置"), panel.tags(...rest)))
  }
  whenNear(place, () => { restart(); if (small) running.play(true) })
}
