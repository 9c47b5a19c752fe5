// The published generator of MNIST, in the page: new digits, lines and directions in z, D's verdict. Source: Figures 2, 3.

import { button, make, Panel, say, tell, whenNear, whileDragged } from "./controls.js"
import { Axes, drawing } from "./draw.js"
import { sigmoid } from "./nets.js"
import { network, torchNoise } from "./published.js"

/** @typedef {import("./nets.js").Numbers} Numbers */
/** @typedef {{mean: number, standard_error: number, bits: number, moved: number, provenance: string, neighbours: number[][],
 *             strengths: number[], directions: Record<string, number[]>}} About */

const SIDE = 28, PIXELS = SIDE * SIDE, SIZE = 100, ROWS = 5, COLUMNS = 10, COUNT = ROWS * COLUMNS, STEPS = 12, WORDS = 18
const DIRECTIONS = ["1", "2", "3", "4", "100"]

/** A file of the run; from a script where the page itself is a file. @param {string} base @param {string} name
 * @returns {Promise<ArrayBuffer>} */
async function read(base, name) {
  const address = new URL(`mnist/${name}`, base).href
  if (location.protocol !== "file:") {
    const answer = await fetch(address)
    if (!answer.ok) throw new Error(`${name}: ${answer.status}`)
    return answer.arrayBuffer()
  }
  await new Promise((load, error) => document.head.append(make("script", { src: `${address}.js`, load, error })))
  const text = atob(/** @type {any} */ (globalThis).liveFiles[`mnist/${name}`]), bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes.buffer
}

/** Both players and what is said of them. @param {string} base */
async function load(base) {
  const [about, g, d] = await Promise.all(["about.json", "generator.safetensors", "discriminator.safetensors"].map((name) => read(base, name)))
  const generator = network(g, "relu", 1, "sigmoid"), discriminator = network(d, "maxout", 5, "linear")
  /** D(x) of n x in rows. @param {Numbers} x @param {number} n */
  const judge = (x, n) => Array.from(discriminator.forward(x, n).subarray(0, n), sigmoid)
  /** G(z), and D of it, of n z in rows. @param {Numbers} z */
  const play = (z, n = 1) => {
    const x = generator.forward(z, n).slice(0, n * PIXELS)
    return { x, d: judge(x, n) }
  }
  return { about: /** @type {About} */ (JSON.parse(new TextDecoder().decode(about))), judge, play }
}

/** Digits beside each other, unsmoothed, D(x) below each. @param {CanvasRenderingContext2D} context
 * @param {Numbers} x in [0, 1] @param {number[]} d @param {(i: number) => [number, number]} at @param {number} size */
function draw(context, x, d, at, size) {
  const axes = new Axes(context, { left: 0, right: 1, top: 0, bottom: 1 }, [0, 1], [0, 1]), digit = make("canvas", { width: SIDE, height: SIDE })
  const own = /** @type {CanvasRenderingContext2D} */ (digit.getContext("2d")), image = own.createImageData(SIDE, SIDE)
  context.imageSmoothingEnabled = false
  d.forEach((verdict, i) => {
    const [left, top] = at(i)
    for (let p = 0; p < PIXELS; p++) image.data.set([0, 0, 0, 255].fill(Math.round(255 * x[i * PIXELS + p]), 0, 3), 4 * p)
    own.putImageData(image, 0, 0)
    context.drawImage(digit, left, top, size - 1, size - 1)
    axes.text(say(verdict, 2), left + size / 2, top + size + 7, "text", "center")
  })
}

/** @param {HTMLElement} place @param {{base: string, prefix: string}} given */
export function mount(place, { base, prefix }) {
  const tenths = Array.from({ length: 61 }, (_, i) => (i - 30) / 10)
  const panel = new Panel(prefix, {
    seed: { label: "种子", first: 0, most: 2 ** 32 - 1 },
    from: { label: "起点", first: 9, most: COUNT - 1 },
    to: { label: "终点", first: 30, most: COUNT - 1 },
    end: { label: "点一个数字，换掉", first: "to", names: { from: "起点", to: "终点" } },
    t: { label: "从起点走到终点", first: 0, values: Array.from({ length: 51 }, (_, i) => i / 50) },
    ...Object.fromEntries(DIRECTIONS.map((n) => [`s${n}`, { label: `方向 ${n}${n === "100" ? "（最弱）" : ""}`, first: 0, values: tenths }])),
  }, (key) => (!key || key === "seed" ? fill() : key === "from" || key === "to" ? line() : point()))
  /** @type {Awaited<ReturnType<typeof load>> | null} */
  let run = null
  let z = new Float32Array(0)
  const some = { x: /** @type {Numbers} */ (new Float64Array(COUNT * PIXELS)), d: /** @type {number[]} */ ([]) }
  let near = { ...some }, row = { ...some }, one = { ...some }

  const numbers = make("p", { class: "live-numbers" })
  const cell = (/** @type {number} */ width) => Math.floor(width / (panel.values.seed === 0 ? COLUMNS + 1.25 : COLUMNS))
  const [grid, drawGrid] = drawing("", "live-grid", (width) => ROWS * (cell(width) + WORDS), (context, width) => {
    const size = cell(width), at = (/** @type {number} */ i) => /** @type {[number, number]} */ ([(i % COLUMNS) * size, Math.floor(i / COLUMNS) * (size + WORDS)])
    draw(context, some.x, some.d, at, size)
    if (panel.values.seed === 0) draw(context, near.x, near.d, (i) => [width - size, i * (size + WORDS)], size)
    for (const [end, colour] of [["from", "--book-generator"], ["to", "--book-exact"]]) {
      const [left, top] = at(Number(panel.values[end]))
      context.strokeStyle = getComputedStyle(grid).getPropertyValue(colour)
      context.lineWidth = 3
      context.strokeRect(left + 1.5, top + 1.5, size - 4, size - 4)
    }
  })
  const [strip, drawStrip] = drawing("从起点走到终点的图像，可以拖动", "live-drag", (width) => Math.floor(width / STEPS) + 26, (context, width) => {
    const size = Math.floor(width / STEPS)
    draw(context, row.x, row.d, (i) => [i * size, 0], size)
    context.fillStyle = getComputedStyle(strip).getPropertyValue("--book-generator")
    context.fillRect(Number(panel.values.t) * (STEPS - 1) * size, size + WORDS, size, 4)
  })
  const [large, drawLarge] = drawing("", "", (width) => width, (context, width) => draw(context, one.x, one.d.slice(0, 1), () => [0, 0], width + 1))

  /** z between the two ends. @param {number} t */
  const between = (t) => {
    const [a, b] = [panel.values.from, panel.values.to].map((i) => z.subarray(Number(i) * SIZE, (Number(i) + 1) * SIZE))
    return Float64Array.from(a, (from, j) => from + t * (b[j] - from))
  }
  /** The grid anew, a row in each frame. */
  const fill = async () => {
    if (!run) return
    const mine = z = torchNoise(Number(panel.values.seed), COUNT, SIZE)
    some.d = []
    line()
    while (some.d.length < COUNT && mine === z) {
      const begin = some.d.length, { x, d } = run.play(z.subarray(begin * SIZE, (begin + COLUMNS) * SIZE), COLUMNS)
      some.x.set(x, begin * PIXELS)
      some.d.push(...d)
      drawGrid()
      told()
      await new Promise(requestAnimationFrame)
    }
  }
  /** Figure 3's row. */
  const line = () => {
    if (!run) return
    const all = new Float64Array(STEPS * SIZE)
    for (let i = 0; i < STEPS; i++) all.set(between(i / (STEPS - 1)), i * SIZE)
    row = run.play(all, STEPS)
    drawGrid()
    point()
  }
  /** The one digit. */
  const point = () => {
    if (!run) return
    const here = between(Number(panel.values.t)), { directions } = run.about
    for (const n of DIRECTIONS) directions[n].forEach((v, j) => { here[j] += Number(panel.values[`s${n}`]) * v })
    one = run.play(here)
    drawStrip()
    drawLarge()
    told()
  }
  const told = () => {
    const mean = (/** @type {number[]} */ d) => d.reduce((a, b) => a + b, 0) / d.length
    tell(numbers, [["D(G(z))", "d", one.d[0]], ["样本", "count", `${some.d.length}`], ["样本的平均 D", "mean", mean(some.d)],
      ["五幅训练图像的平均 D", "near", mean(near.d)]])
    grid.setAttribute("aria-label", `种子 ${panel.values.seed} 的样本，下面是 D`)
    large.setAttribute("aria-label", `走到的图像，D = ${say(one.d[0])}`)
  }

  whileDragged(strip, (x) => {
    const size = Math.floor(strip.clientWidth / STEPS), t = (x - size / 2) / ((STEPS - 1) * size)
    panel.set({ t: Math.round(50 * Math.min(1, Math.max(0, t))) / 50 }, "t", true)
  })
  grid.addEventListener("click", ({ offsetX, offsetY }) => {
    const size = cell(grid.clientWidth), column = Math.floor(offsetX / size), end = String(panel.values.end)
    const i = Math.floor(offsetY / (size + WORDS)) * COLUMNS + column
    if (column < COLUMNS && i < COUNT) panel.set({ [end]: i }, end)
  })

  const start = async () => {
    if (begin.disabled) return
    begin.disabled = true
    panel.say("正在载入……")
    try {
      run = await load(base)
    } catch {
      panel.say("没有载入成功，再按一次重试。")
      begin.disabled = false
      return
    }
    panel.say("")
    const { about } = run, x = Float64Array.from(about.neighbours.flat(), (v) => v / 255)
    near = { x, d: run.judge(x, ROWS) }
    begin.replaceWith(
      button("换一批", () => panel.set({ seed: (Number(panel.values.seed) + 1) % 2 ** 32 }, "seed")),
      button("图 2 的一批", () => panel.set({ seed: 0 }, "seed")),
      button("起点终点对调", () => panel.set({ from: panel.values.to, to: panel.values.from }, "from")))
    const stretched = about.strengths.slice(0, 11).map((s) => say(s, 1)).join("、")
    place.append(
      panel.tags("seed", "from", "to", "end"), grid, strip,
      make("div", { class: "live-beside" }, large, make("div", {}, panel.tags("t", ...DIRECTIONS.map((n) => `s${n}`)),
        button("方向归零", () => panel.set(Object.fromEntries(DIRECTIONS.map((n) => [`s${n}`, 0])), "t")))),
      numbers,
      make("p", { class: "live-numbers" },
        `G 的第一层把 z 的前十一个方向各放大 ${stretched} 倍，其余的更少。`, make("br"),
        `这里的权重就是发布的那一份，每个 ${about.bits} 位；舍入使 Parzen 窗估计移动了 ${say(about.moved, 2)} 纳特，舍入之后是 ${say(about.mean, 1)} ± ${say(about.standard_error, 1)}。`),
      make("p", { class: "provenance" }, about.provenance))
    fill()
  }
  const begin = button("载入生成器（3.9 MB）", start)
  place.append(panel.status, make("div", { class: "live-buttons" }, begin))
  if (location.hash.includes(`${prefix}.`)) whenNear(place, start)
}
