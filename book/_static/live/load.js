// Starts the widgets of a page. Over http they are modules; on file://, where modules do not load, all of them come
// in one classic script that is joined from the modules when the site is built.
(() => {
  const script = /** @type {HTMLScriptElement} */ (document.currentScript)
  const from = (/** @type {string} */ file) => new URL(file, script.src).href
  const places = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-live]"))
  /** @typedef {{base: string, prefix: string}} Given where the modules are, and the widget's prefix in the address */
  /** @param {HTMLElement} place @param {{mount: (place: HTMLElement, given: Given) => void}} widget */
  const mount = (place, widget) => {
    const number = [...places].filter(({ dataset }) => dataset.live === place.dataset.live).indexOf(place)
    widget.mount(place, { base: from("."), prefix: `${place.dataset.live}${number ? number + 1 : ""}` })
    place.classList.add("live-alive")
  }
  if (location.protocol !== "file:") {
    for (const place of places) import(from(`${place.dataset.live}.js`)).then((widget) => mount(place, widget))
    return
  }
  const joined = document.createElement("script")
  joined.src = from("joined.js")
  joined.addEventListener("load", () => {
    for (const place of places) mount(place, /** @type {any} */ (globalThis).liveModules[`${place.dataset.live}`])
  })
  document.head.append(joined)
})()
