// Lines, arrows and words on a canvas, in the book's colours (gan/book/figures.py): crisp on any screen, and redrawn
// when its size or the theme changes.

import { make } from "./controls.js"

/** @typedef {"data" | "generator" | "discriminator" | "optimum" | "exact" | "other" | "text"} Meaning */
/** @typedef {{left: number, right: number, top: number, bottom: number}} Box */

/** @type {Record<Meaning, {variable: string, dash: number[], width: number}>} */
const LINES = {
  data: { variable: "--book-data", dash: [2, 3], width: 2 },
  generator: { variable: "--book-generator", dash: [], width: 2 },
  discriminator: { variable: "--book-discriminator", dash: [6, 4], width: 2 },
  optimum: { variable: "--book-optimum", dash: [], width: 1.2 },
  exact: { variable: "--book-exact", dash: [], width: 1.2 },
  other: { variable: "--live-other", dash: [], width: 1.5 },
  text: { variable: "color", dash: [], width: 1 },
}

/** What the theme decides, by the property's name. @type {Map<string, string>} */
const styles = new Map()
/** What draws each canvas again. @type {Set<() => void>} */
const drawings = new Set()
let finest = 2, frames = 0, since = 0

/** Told of each frame of a film, and with false of its end. Where a film runs at fewer than 30 frames a second, drawings
 * have one pixel for each of CSS until it ends. @param {boolean} playing */
export function pace(playing) {
  if (playing && frames++ % 20) return
  const before = since
  since = performance.now()
  if (playing && frames > 1 && since - before > 20 * 1000 / 30) finest = 1
  if (playing) return
  [finest, frames] = [2, 0]
  drawings.forEach((again) => again())
}

/**
 * A canvas `height` CSS pixels high and as wide as its place, drawn by `draw` whenever that is due.
 * @param {string} label what is seen, for those who do not @param {string} name its class
 * @param {(width: number) => number} height of that width
 * @param {(context: CanvasRenderingContext2D, width: number, height: number) => void} draw
 * @returns {[HTMLCanvasElement, () => void]} the canvas, and what draws it again, in the next frame
 */
export function drawing(label, name, height, draw) {
  const canvas = make("canvas", { role: "img", "aria-label": label, class: name })
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"))
  let due = false
  const now = () => {
    due = false
    const width = canvas.clientWidth, high = height(width), scale = Math.min(finest, window.devicePixelRatio || 1)
    if (!width) return
    const sizes = [width, high].map((size) => Math.round(size * scale))
    if (canvas.width !== sizes[0] || canvas.height !== sizes[1]) {
      [canvas.width, canvas.height] = sizes
      canvas.style.height = `${high}px`
    }
    context.setTransform(scale, 0, 0, scale, 0, 0)
    context.clearRect(0, 0, width, high)
    context.lineJoin = "round"
    draw(context, width, high)
  }
  const again = () => { if (!due) requestAnimationFrame(now); due = true }
  drawings.add(again)
  new ResizeObserver(again).observe(canvas)
  new MutationObserver(() => { styles.clear(); again() }).observe(document.documentElement, { attributeFilter: ["data-theme"] })
  return [canvas, again]
}

/** Data coordinates on a part of a canvas. */
export class Axes {
  /** @param {CanvasRenderingContext2D} context @param {Box} box in pixels @param {[number, number]} x limits
   * @param {[number, number]} y limits */
  constructor(context, box, x, y) {
    this.context = context
    this.box = box
    this.xLimits = x
    this.yLimits = y
  }

  /** @param {number} x */
  x(x) { return this.box.left + ((x - this.xLimits[0]) / (this.xLimits[1] - this.xLimits[0])) * (this.box.right - this.box.left) }

  /** @param {number} y */
  y(y) { return this.box.bottom - ((y - this.yLimits[0]) / (this.yLimits[1] - this.yLimits[0])) * (this.box.bottom - this.box.top) }

  /** @param {Meaning} meaning */
  colour(meaning) { return this.style(LINES[meaning].variable) }

  /** @param {string} name */
  style(name) {
    const found = styles.get(name) ?? getComputedStyle(this.context.canvas).getPropertyValue(name).trim()
    styles.set(name, found)
    return found
  }

  /** A line through points, broken where y is NaN. @param {ArrayLike<number>} xs @param {ArrayLike<number>} ys
   * @param {Meaning} meaning */
  line(xs, ys, meaning) {
    const { context, box } = this, { dash, width } = LINES[meaning]
    context.save()
    context.beginPath()
    const left = Math.floor(box.left) - 1, top = Math.floor(box.top) - 1  // whole pixels are quick to clip at
    context.rect(left, top, Math.ceil(box.right) + 1 - left, Math.ceil(box.bottom) + 1 - top)
    context.clip()
    context.strokeStyle = this.colour(meaning)
    context.setLineDash(dash)
    context.lineWidth = width
    context.beginPath()
    for (let i = 0; i < xs.length; i++) {
      const x = this.x(xs[i]), y = Math.max(-1e4, Math.min(1e4, this.y(ys[i])))
      if (Number.isNaN(ys[i - 1] ?? NaN)) context.moveTo(x, y)
      else context.lineTo(x, y)
    }
    context.stroke()
    context.restore()
  }

  /** @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 @param {Meaning} meaning
   * @param {number} head its length in pixels */
  arrow(x0, y0, x1, y1, meaning, head = 5) {
    const { context } = this, [a, b, c, d] = [this.x(x0), this.y(y0), this.x(x1), this.y(y1)]
    const length = Math.hypot(c - a, d - b)
    if (length < 0.5) return
    const size = Math.min(head, length), u = ((c - a) / length) * size, v = ((d - b) / length) * size
    context.strokeStyle = context.fillStyle = this.colour(meaning)
    context.lineWidth = 1
    context.beginPath()
    context.moveTo(a, b)
    context.lineTo(c - u / 2, d - v / 2)
    context.stroke()
    context.moveTo(c, d)  // the shaft, which is still in the path, has nothing to fill
    context.lineTo(c - u - v / 2.5, d - v + u / 2.5)
    context.lineTo(c - u + v / 2.5, d - v - u / 2.5)
    context.fill()
  }

  /** @param {number} x @param {number} y @param {Meaning} meaning @param {number} radius in pixels */
  dot(x, y, meaning, radius) {
    this.context.fillStyle = this.colour(meaning)
    this.context.beginPath()
    this.context.arc(this.x(x), this.y(y), radius, 0, 2 * Math.PI)
    this.context.fill()
  }

  /** Words at a place in pixels; in `$p_data$` what follows _ is set low, and all is slanted.
   * @param {string} words @param {number} x @param {number} y @param {Meaning} meaning
   * @param {CanvasTextAlign} align */
  text(words, x, y, meaning = "text", align = "left") {
    const { context } = this, formula = words.startsWith("$")
    const [main, low = ""] = formula ? words.slice(1, -1).split("_") : [words]
    const family = formula ? 'italic 15px "STIX Two Text", "Cambria", "Times New Roman", serif' : `12px ${this.style("font-family")}`
    context.fillStyle = this.colour(meaning)
    context.textBaseline = "middle"
    context.textAlign = "left"
    context.font = family
    const width = context.measureText(main).width, small = family.replace("15px", "11px")
    context.font = small
    const all = width + context.measureText(low).width
    const start = align === "right" ? x - all : align === "center" ? x - all / 2 : x
    context.fillText(low, start + width, y + 4)
    context.font = family
    context.fillText(main, start, y)
  }

  /** A number line at the left: a rule and ticks with their numbers. @param {number[]} ticks
   * @param {(tick: number) => string} say */
  ticks(ticks, say = String) {
    this.line([this.xLimits[0], this.xLimits[0]], [ticks[0], ticks[ticks.length - 1]], "text")
    for (const tick of ticks) {
      this.text(say(tick), this.box.left - 6, this.y(tick), "text", "right")
      this.context.fillRect(this.box.left - 4, this.y(tick) - 0.5, 4, 1)
    }
  }
}
