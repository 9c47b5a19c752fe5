// What the widgets that train have in common: settings, buttons, and one or two games that are played at once.

import { button, make, Panel, player, wantsStillness, whenNear } from "./controls.js"
import { employ } from "./training.js"

/** @typedef {import("./controls.js").Settings} Settings */
/** @typedef {import("./training.js").Order} Order */
/** @typedef {{base: string, prefix: string}} Given */
/**
 * What differs between them: the settings, those of them that are always seen (`first`), what to watch,
 * names of lines, a game's place on the page, and after how many iterations the small form stops.
 * @typedef {{schema: import("./controls.js").Schema, presets: Record<string, Settings>, watch: (values: Settings) => string,
 *            first: string[], legend: [string, string][], once: number,
 *            games: (values: Settings) => {name: string, settings: import("./training.js").GameSettings}[],
 *            view: (name: string, panel: Panel, small: boolean) => {tag: HTMLElement, show: (state: any) => void}}} Kind
 */

export const RATES = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05]

/** @param {string} name @param {HTMLElement[]} inside */
export const framed = (name, ...inside) =>
  make("div", {}, ...(name ? [make("p", { class: "live-name" }, name)] : []), ...inside)

/** @param {HTMLElement} place @param {Given} given @param {Kind} kind */
export function playground(place, { base, prefix }, kind) {
  const small = "small" in place.dataset
  /** @type {{tag: HTMLElement, show: (state: any) => void}[]} */
  let views = []
  let waiting = 0, frames = 0, done = false, start = 0
  /** @type {number[]} */
  const starts = []  // which start each order belongs to
  const post = employ(base, (states) => {
    waiting--
    if (starts.shift() !== start) return
    if (!small || !wantsStillness() || !states[0].gSteps || states[0].gSteps >= kind.once) states.forEach((state, i) => views[i].show(state))
    done = small && states[0].gSteps >= kind.once
    if (done) running.play(false)
  })
  const order = (/** @type {Order} */ what) => {
    waiting++
    starts.push(start)
    post(what)
  }
  const running = player(() => {
    frames++
    const { speed } = panel.values, every = small || speed === "fast" ? 1 : speed === "slow" ? 30 : 4
    if (!waiting && frames % every === 0) order({ iterations: !small && speed === "fast" ? 1000 : 1 })
  }, (playing) => { play.textContent = playing ? "暂停" : done ? "再来一遍" : "播放" })

  const stage = make("div", { class: "live-views" }), watch = make("p", { class: "live-watch" })
  const legend = make("p", { class: "live-legend" })
  legend.innerHTML = kind.legend.map(([meaning, name]) => `<span class="line-${meaning}">${name}</span>`).join(" ")
  const restart = () => {
    const all = kind.games(panel.values)
    start++
    done = false
    views = all.map(({ name }) => kind.view(name, panel, small))
    stage.replaceChildren(...views.map(({ tag }) => tag))
    watch.textContent = kind.watch(panel.values)
    if (panel.hasChanged("speed", "seed")) watch.prepend("（设置已经改动，不全是这个预设。）")
    order({ games: all.map(({ settings }) => settings) })
  }
  const panel = new Panel(small ? `${prefix}-small` : prefix, kind.schema, (key) => { if (key !== "speed") restart() }, kind.presets)
  const play = button("播放", () => {
    if (done) restart()
    running.toggle()
  }, { "data-key": "play" })
  const step = (/** @type {string} */ name, /** @type {string} */ key, /** @type {Order} */ what) => button(name, () => {
    running.play(false)
    order(what)
  }, { "data-key": key })
  if (small) place.append(legend, stage, make("div", { class: "live-buttons" }, play))
  else {
    const rest = Object.keys(panel.controls).filter((key) => key !== "speed" && !kind.first.includes(key))
    place.append(
      panel.status, panel.tags(...kind.first), watch, legend, stage,
      make("div", { class: "live-buttons" }, play, step("D 走一步", "step-d", { d: 1 }), step("G 走一步", "step-g", { g: 1 }),
        button("从头开始", restart, { "data-key": "reset" }), panel.tags("speed")),
      make("details", {}, make("summary", {}, "更多设置"), panel.tags(...rest)))
  }
  whenNear(place, () => {
    restart()
    if (small) running.play(true)
  })
}
