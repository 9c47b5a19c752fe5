// The published generator of MNIST, in the page: new digits, lines and directions in z, D's verdict. Source: Figures 2, 3.

import { button, make, Panel, say, whenNear, whileDragged } from "./controls.js"
import { Axes, keepDrawn } from "./draw.js"
import { sigmoid } from "./nets.js"
import { directions, network, torchNoise } from "./published.js"

const SIDE = 28, PIXELS = SIDE * SIDE, SIZE = 100, ROWS = 5, COLUMNS = 10, COUNT = ROWS * COLUMNS, STEPS = 12
const SHOWN = [0, 1, 2, 3, SIZE - 1]  // of the directions

/** @typedef {{mean: number, standard_error: number, bits: number, moved: number, provenance: string, neighbours: number[][]}} About */
/** @typedef {import("./nets.js").Numbers} Numbers */

/** A file of the run; from a script where the page itself is a file. @param {string} base @param {string} name
 * @returns {Promise<ArrayBuffer>} */
async function read(base, name) {
  const address = new URL(`mnist/${name}`, base).href
  if (location.protocol !== "file:") {
    const answer = await fetch(address)
    if (!answer.ok) throw new Error(`${name}: ${answer.status}`)
    return answer.arrayBuffer()
  }
  await new Promise((done, failed) => document.head.append(make("script", {
    src: `${address}.js`, load: done, error: () => failed(new Error(name)) })))
  const text = atob(/** @type {any} */ (globalThis).liveFiles[`mnist/${name}`]), bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes.buffer
}

/** Both players and what is said of them. @param {string} base */
async function load(base) {
  const [about, g, d] = await Promise.all(["about.json", "generator.safetensors", "discriminator.safetensors"].map((name) => read(base, name)))
  const generator = network(g, "relu", 1, "sigmoid"), discriminator = network(d, "maxout", 5, "linear")
  /** G(z) of n z in rows. @param {Numbers} z */
  const paint = (z, n = 1) => generator.forward(z, n).slice(0, n * PIXELS)
  /** D(x) of n x in rows. @param {Numbers} x */
  const judge = (x, n = 1) => Array.from(discriminator.forward(x, n).subarray(0, n), sigmoid)
  return { about: /** @type {About} */ (JSON.parse(new TextDecoder().decode(about))), paint, judge, ways: directions(generator) }
}

/** z + t · (end − z), and beyond it along directions. @param {Numbers} from @param {Numbers} to @param {number} t */
const between = (from, to, t) => Float64Array.from(from, (z, i) => z + t * (to[i] - z))

const stamp = document.createElement("canvas")
stamp.width = stamp.height = SIDE

/** A digit, unsmoothed. @param {CanvasRenderingContext2D} context @param {ArrayLike<number>} x in [0, 1]
 * @param {number} left @param {number} top @param {number} size */
function draw(context, x, left, top, size) {
  const own = /** @type {CanvasRenderingContext2D} */ (stamp.getContext("2d")), image = own.createImageData(SIDE, SIDE)
  for (let i = 0; i < PIXELS; i++) {
    image.data.fill(Math.round(255 * x[i]), 4 * i, 4 * i + 3)
    image.data[4 * i + 3] = 255
  }
  own.putImageData(image, 0, 0)
  context.imageSmoothingEnabled = false
  context.drawImage(stamp, left, top, size, size)
}

const offsets = Array.from({ length: 61 }, (_, i) => (i - 30) / 10)

/** @param {HTMLElement} place @param {string} base */
export function mount(place, base) {
  const slide = (/** @type {number} */ i) => [`s${i + 1}`, { label: `方向 ${i + 1}${i === SIZE - 1 ? "（最弱）" : ""}`, first: 0, values: offsets }]
  const panel = new Panel("digits", {
    seed: { label: "种子", first: 0, most: 2 ** 32 - 1 },
    from: { label: "起点", first: 9, most: COUNT - 1 },
    to: { label: "终点", first: 30, most: COUNT - 1 },
    end: { label: "点一个数字，换掉", first: "to", names: { from: "起点", to: "终点" } },
    t: { label: "从起点走到终点", first: 0, values: Array.from({ length: 51 }, (_, i) => i / 50) },
    ...Object.fromEntries(SHOWN.map(slide)),
  }, (key) => changed(key))
  const keys = SHOWN.map((i) => `s${i + 1}`)
  /** @type {Awaited<ReturnType<typeof load>> | null} */
  let run = null
  let z = new Float32Array(0), pixels = new Float64Array(0), drawn = 0, strip = new Float64Array(0), big = new Float64Array(PIXELS)
  /** @type {number[]} */
  let verdicts = [], stripVerdicts = [], near = []
  const noise = (/** @type {number} */ i) => z.subarray(i * SIZE, (i + 1) * SIZE)

  const grid = make("canvas", { class: "live-grid", role: "img" }), row = make("canvas", { class: "live-drag", role: "img" })
  const one = make("canvas", { class: "live-digit", role: "img" }), numbers = make("p", { class: "live-numbers" })
  const cell = (/** @type {number} */ width) => Math.floor(width / (panel.values.seed === 0 ? COLUMNS + 1.25 : COLUMNS))
  const drawGrid = keepDrawn(grid, (width) => ROWS * (cell(width) + 18), (context, width) => {
    const size = cell(width), axes = new Axes(context, { left: 0, right: 1, top: 0, bottom: 1 }, [0, 1], [0, 1])
    const put = (/** @type {ArrayLike<number>} */ x, /** @type {number} */ left, /** @type {number} */ top, /** @type {number} */ d) => {
      draw(context, x, left, top, size - 1)
      axes.text(say(d, 2), left + size / 2, top + size + 7, "text", "center")
    }
    for (let i = 0; i < drawn; i++)
      put(pixels.subarray(i * PIXELS, (i + 1) * PIXELS), (i % COLUMNS) * size, Math.floor(i / COLUMNS) * (size + 18), verdicts[i])
    if (panel.values.seed === 0 && run)
      run.about.neighbours.forEach((x, i) => put(x.map((v) => v / 255), width - size, i * (size + 18), near[i]))
    for (const end of ["from", "to"]) {
      const i = Number(panel.values[end])
      context.strokeStyle = axes.colour(end === "from" ? "generator" : "exact")
      context.lineWidth = 3
      context.strokeRect((i % COLUMNS) * size + 1.5, Math.floor(i / COLUMNS) * (size + 18) + 1.5, size - 4, size - 4)
    }
  })
  const drawRow = keepDrawn(row, (width) => Math.floor(width / STEPS) + 26, (context, width) => {
    const size = Math.floor(width / STEPS), axes = new Axes(context, { left: size / 2, right: (STEPS - 0.5) * size, top: 0, bottom: 1 }, [0, 1], [0, 1])
    stripVerdicts.forEach((d, i) => {
      draw(context, strip.subarray(i * PIXELS, (i + 1) * PIXELS), i * size, 0, size - 1)
      axes.text(say(d, 2), (i + 0.5) * size, size + 8, "text", "center")
    })
    context.fillStyle = axes.colour("generator")
    context.fillRect(axes.x(Number(panel.values.t)) - size / 2, size + 18, size, 4)
  })
  const drawOne = keepDrawn(one, (width) => width, (context, width) => draw(context, big, 0, 0, width))

  /** The grid anew, a row in each frame. */
  const fill = async () => {
    if (!run) return
    const mine = z = torchNoise(Number(panel.values.seed), COUNT, SIZE)
    drawn = 0
    pixels = new Float64Array(COUNT * PIXELS)
    verdicts = []
    line()
    while (drawn < COUNT && mine === z) {
      const x = run.paint(z.subarray(drawn * SIZE, (drawn + COLUMNS) * SIZE), COLUMNS)
      pixels.set(x, drawn * PIXELS)
      verdicts.push(...run.judge(x, COLUMNS))
      drawn += COLUMNS
      drawGrid()
      tell()
      await new Promise(requestAnimationFrame)
    }
  }
  /** Figure 3's row, between the two ends. */
  const line = () => {
    if (!run) return
    const all = new Float64Array(STEPS * SIZE), { from, to } = panel.values
    for (let i = 0; i < STEPS; i++) all.set(between(noise(Number(from)), noise(Number(to)), i / (STEPS - 1)), i * SIZE)
    strip = Float64Array.from(run.paint(all, STEPS))
    stripVerdicts = run.judge(strip, STEPS)
    drawGrid()
    point()
  }
  /** The one digit. */
  const point = () => {
    if (!run) return
    const here = between(noise(Number(panel.values.from)), noise(Number(panel.values.to)), Number(panel.values.t))
    SHOWN.forEach((which, i) => {
      const { direction } = /** @type {NonNullable<typeof run>} */ (run).ways[which], s = Number(panel.values[keys[i]])
      for (let j = 0; j < SIZE; j++) here[j] += s * direction[j]
    })
    big = Float64Array.from(run.paint(here))
    drawRow()
    drawOne()
    tell()
  }
  const tell = () => {
    if (!run) return
    const [d] = run.judge(big), mean = (/** @type {number[]} */ all) => say(all.reduce((a, b) => a + b, 0) / all.length, 2)
    numbers.innerHTML = `<b>D(G(z)) = <span data-of="d">${say(d)}</span></b><br>
      这一批 <span data-of="drawn">${drawn}</span> 个样本的平均 D 是 <span data-of="mean">${mean(verdicts)}</span>，五幅训练图像的平均 D 是 ${mean(near)}`
    grid.setAttribute("aria-label", `种子 ${panel.values.seed} 的 ${drawn} 个样本，平均 D = ${mean(verdicts)}`)
    row.setAttribute("aria-label", `从 ${panel.values.from} 号走到 ${panel.values.to} 号的 ${STEPS} 幅图像；可以拖动`)
    one.setAttribute("aria-label", `现在的图像，D = ${say(d)}`)
  }
  const changed = (/** @type {string | null} */ key) => {
    if (!key || key === "seed") fill()
    else if (key === "from" || key === "to") line()
    else point()
  }

  whileDragged(row, (x) => {
    const size = Math.floor(row.clientWidth / STEPS), t = (x - size / 2) / ((STEPS - 1) * size)
    panel.set({ t: Math.round(50 * Math.min(1, Math.max(0, t))) / 50 }, "t")
  })
  grid.addEventListener("click", (event) => {
    const size = cell(grid.clientWidth), column = Math.floor(event.offsetX / size), i = Math.floor(event.offsetY / (size + 18)) * COLUMNS + column
    if (column < COLUMNS && i < COUNT) panel.set({ [String(panel.values.end)]: i }, String(panel.values.end))
  })

  const begin = button("载入生成器（3.9 MB）", () => start())
  const start = async () => {
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
    const { about } = run
    near = run.judge(Float64Array.from(about.neighbours.flat(), (v) => v / 255), ROWS)
    begin.parentElement?.remove()
    place.append(
      panel.tags("seed", "from", "to", "end"),
      make("div", { class: "live-buttons" },
        button("换一批", () => panel.set({ seed: (Number(panel.values.seed) + 1) % 2 ** 32 }, "seed")),
        button("图 2 的一批", () => panel.set({ seed: 0 }, "seed")),
        button("起点终点对调", () => panel.set({ from: panel.values.to, to: panel.values.from }, "from"))),
      grid, row,
      make("div", { class: "live-beside" }, one, make("div", {}, panel.tags("t", ...keys),
        button("方向归零", () => panel.set(Object.fromEntries(keys.map((key) => [key, 0])), "t")))),
      numbers,
      make("p", { class: "live-numbers" }, `G 的第一层把这五个方向各放大 ${SHOWN.map((i) => say(/** @type {NonNullable<typeof run>} */ (run).ways[i].strength, 1)).join("、")} 倍。`,
        make("br"), `权重就是发布的那一份，每个 ${about.bits} 位；舍入使 Parzen 窗估计移动了 ${say(about.moved, 2)} 纳特，舍入之后是 ${say(about.mean, 1)} ± ${say(about.standard_error, 1)}。`),
      make("p", { class: "provenance" }, about.provenance))
    fill()
  }
  place.append(panel.status, make("div", { class: "live-buttons" }, begin))
  if (location.hash.includes("digits.")) whenNear(place, start)
}
