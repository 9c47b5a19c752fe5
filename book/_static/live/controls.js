// What a reader presses, and where it is kept: buttons, sliders and lists with labels, settings in the address.

/** @typedef {string | number} Setting */
/** @typedef {Record<string, Setting>} Settings */
/**
 * A setting is one of `values` (a list to choose from, with names, or a slider along numbers), an integer up to
 * `most`, or text of a `pattern`, which has no control of its own. `values[0]` or `first` is its default.
 * @typedef {{label: string, first: Setting, names?: Record<string, string>, values?: number[], most?: number,
 *            pattern?: RegExp}} Field
 */
/** @typedef {Record<string, Field>} Schema */

/**
 * A tag with attributes, listeners (functions) and what stands in it.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Record<string, string | number | ((event: Event) => void)>} attributes
 * @param {(Node | string)[]} inside @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value)
    else made.setAttribute(name, String(value))
  }
  made.append(...inside)
  return made
}

/** @param {string} name what it says @param {() => void} press @param {Record<string, string>} attributes */
export const button = (name, press, attributes = {}) =>
  make("button", { type: "button", click: press, ...attributes }, name)

let ids = 0

/**
 * A label and its control.
 * @param {Field} field @param {string} key @param {() => Setting} get
 * @param {(value: Setting, moving?: boolean) => void} set
 * @returns {{tag: HTMLElement, show: () => void}}
 */
function control(field, key, get, set) {
  const { label, names, values, most = 0 } = field, id = `live-${key}-${ids++}`, said = make("output", { for: id })
  const tag = names
    ? make("select", { id, "data-key": key }, ...Object.entries(names).map(([value, name]) => make("option", { value }, name)))
    : make("input", {
      id, "data-key": key, type: values ? "range" : "number", min: 0, max: values ? values.length - 1 : most, step: 1, inputmode: "numeric",
    })
  const told = (/** @type {boolean} */ moving) =>
    set((values ? values[Number(tag.value)] : allowed(field, tag.value)) ?? get(), moving)
  tag.addEventListener("change", () => told(false))
  if (values) tag.addEventListener("input", () => told(true))
  const show = () => {
    tag.value = String(values ? values.indexOf(Number(get())) : get())
    if (values) tag.setAttribute("aria-valuetext", said.value = String(get()))
  }
  return { tag: make("div", { class: "live-control" }, make("label", { for: id }, label), tag, ...(values ? [said] : [])), show }
}

/** `text` as a value of the field, or null. @param {Field} field @param {string} text @returns {Setting | null} */
function allowed(field, text) {
  if (field.names) return Object.hasOwn(field.names, text) ? text : null
  if (field.pattern) return field.pattern.test(text) ? text : null
  const number = text.trim() === "" ? NaN : Number(text)
  if (field.values) return field.values.includes(number) ? number : null
  return Number.isInteger(number) && number >= 0 && number <= (field.most ?? 0) ? number : null
}

/** All settings: their defaults, with what a preset changes. @param {Schema} schema @param {Record<string, Settings>} presets
 * @param {Setting} [preset] @returns {Settings} */
export const defaults = (schema, presets, preset) => {
  const firsts = Object.fromEntries(Object.entries(schema).map(([key, field]) => [key, field.first]))
  return preset === undefined ? firsts : { ...firsts, ...presets[preset], preset }
}

/** A widget's settings: in the address under its own prefix, on the page as controls. */
export class Panel {
  /**
   * @param {string} prefix of this widget in the address @param {Schema} schema
   * @param {(changed: string | null) => void} changed is told the key that the reader changed, null after all of them
   * @param {Record<string, Settings>} presets what each value of the setting `preset` changes in the defaults
   */
  constructor(prefix, schema, changed, presets = {}) {
    this.prefix = prefix
    this.schema = schema
    this.changed = changed
    this.presets = presets
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.due = undefined
    /** @type {Settings} */
    this.values = this.defaults(schema.preset?.first)
    /** @type {Record<string, {tag: HTMLElement, show: () => void}>} */
    this.controls = {}
    for (const [key, field] of Object.entries(schema))
      if (!field.pattern) this.controls[key] = control(field, key, () => this.values[key], (value, moving) => this.set({ [key]: value }, key, moving))
    this.status = make("p", { class: "live-status", role: "status" })
    this.read()
    addEventListener("hashchange", () => { if (this.read()) this.changed(null) })
  }

  /** @param {Setting | undefined} preset */
  defaults(preset) { return defaults(this.schema, this.presets, preset) }

  /** Take the settings from the address, if it has any of this widget's: whether they changed. A wrong one is left
   * at its default, and the status says so. */
  read() {
    const start = `${this.prefix}.`, wrong = []
    const own = [...new URLSearchParams(location.hash.slice(1))].filter(([key]) => key.startsWith(start)).map(([key, text]) => [key.slice(start.length), text])
    const { preset } = this.schema, named = preset && own.find(([key]) => key === "preset")
    const values = this.defaults(preset && ((named && allowed(preset, named[1])) ?? preset.first))
    for (const [key, text] of own) {
      const value = Object.hasOwn(this.schema, key) ? allowed(this.schema[key], text) : null
      if (value === null) wrong.push(`${key}=${text.slice(0, 20)}`)
      else values[key] = value
    }
    this.say(wrong.length ? `地址里的 ${wrong.join("、")} 不能用，这里用默认值。` : "")
    const differs = own.length > 0 && Object.keys(values).some((key) => values[key] !== this.values[key])
    if (differs) this.values = values
    this.show()
    return differs
  }

  /** @param {Settings} values those that change @param {string | null} key
   * @param {boolean} moving more is to come: browsers refuse to have the address changed so often */
  set(values, key = null, moving = false) {
    const differs = Object.entries(values).some(([name, value]) => this.values[name] !== value)
    if (key === "preset") this.values = this.defaults(values.preset)
    else Object.assign(this.values, values)
    if (moving) this.due ??= setTimeout(() => this.write(), 300)
    else this.write()
    this.say("")
    this.show()
    if (differs || key === "preset") this.changed(key)
  }

  /** Put the settings into the address. */
  write() {
    clearTimeout(this.due)
    this.due = undefined
    const firsts = this.defaults(this.values.preset), { preset } = this.schema
    if (preset) firsts.preset = preset.first
    const rest = location.hash.slice(1).split("&").filter((part) => part.includes("=") && !part.startsWith(`${this.prefix}.`))
    const own = Object.entries(this.values).filter(([name, value]) => value !== firsts[name])
    const hash = [...rest, ...own.map(([name, value]) => `${this.prefix}.${name}=${encodeURIComponent(value)}`)].join("&")
    history.replaceState(history.state, "", hash ? `#${hash}` : location.pathname + location.search)
  }

  /** The settings that differ from the preset's. */
  changes() {
    const firsts = this.defaults(this.values.preset)
    return Object.keys(firsts).filter((key) => this.values[key] !== firsts[key])
  }

  show() { for (const { show } of Object.values(this.controls)) show() }

  /** @param {string} words */
  say(words) { this.status.textContent = words }

  /** The controls of these settings, together. @param {string[]} keys */
  tags(...keys) { return make("div", { class: "live-controls" }, ...keys.map((key) => this.controls[key].tag)) }
}

/** Whether the reader has asked for stillness. */
export const wantsStillness = () => matchMedia("(prefers-reduced-motion: reduce)").matches

/**
 * Calls `frame` before each repaint while it plays; stops when the tab is left.
 * @param {() => void} frame @param {(playing: boolean) => void} told of each start and stop
 */
export function player(frame, told) {
  let due = 0
  const tick = () => { due = requestAnimationFrame(tick); frame() }
  const play = (/** @type {boolean} */ on) => {
    if (on === due > 0) return
    cancelAnimationFrame(due)
    due = on ? requestAnimationFrame(tick) : 0
    told(on)
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden) play(false) })
  return { play, toggle: () => play(!due) }
}

/** Calls `move` with the place in CSS pixels while a pointer is held on the element. @param {HTMLElement} tag
 * @param {(x: number, y: number, starts: boolean) => void} move */
export function whileDragged(tag, move) {
  const told = (/** @type {PointerEvent} */ event) => {
    const box = tag.getBoundingClientRect()
    move(event.clientX - box.left, event.clientY - box.top, event.type === "pointerdown")
  }
  tag.addEventListener("pointerdown", (event) => { tag.setPointerCapture(event.pointerId); told(event) })
  tag.addEventListener("pointermove", (event) => { if (tag.hasPointerCapture(event.pointerId)) told(event) })
}

/** A number as the pages show it. @param {number} value @param {number} digits */
export const say = (value, digits = 3) => value.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace("-", "")

/** @typedef {[string, string, string | number][]} Cells name, key and number of each */
/** @param {HTMLElement} line @param {Cells} cells */
export function tell(line, cells) {
  if (line.childElementCount !== cells.length)
    line.replaceChildren(...cells.map(([name, key]) => make("span", {}, `${name} `, make("output", { "data-key": key }))))
  const texts = cells.map(([, , number]) => (typeof number === "number" ? say(number) : number))
  line.querySelectorAll("output").forEach((tag, i) => { tag.textContent = texts[i] })
}

/** Calls `near` once, when the reader comes near the element. @param {Element} element @param {() => void} near */
export const whenNear = (element, near) => new IntersectionObserver((entries, watcher) => {
  if (!entries.some((entry) => entry.isIntersecting)) return
  watcher.disconnect()
  near()
}, { rootMargin: "200px" }).observe(element)
