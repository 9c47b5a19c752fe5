// The game that a widget plays: in a Worker over http, on file:// in slices that leave the page free.

import { adam, discriminator, drawNoise, generator, Players, Random, sgd } from "./nets.js"
import { binEdges, binMasses, drawnTarget, priorWidth, snapshot, TARGETS } from "./theory.js"

/** @typedef {import("./nets.js").GeneratorLoss} GeneratorLoss */
/** @typedef {import("./theory.js").Snapshot} Snapshot */
/** @typedef {{target: string, drawn: number[], seed: number, k: number, loss: GeneratorLoss, noise: string, width: number,
 *             batch: number, optimizer: string, momentum: number, gRate: number, dRate: number, decay: number,
 *             lead: number}} GameSettings */
/** @typedef {{dSteps: number, gSteps: number, z: Float64Array, g: Float64Array, pull: Float64Array}} Common */
/** @typedef {Common & Snapshot & {edges: Float64Array}} LineState */
/** @typedef {Common & {field: Float64Array, covered: number, modes: number, near: number}} PlaneState */
/** @typedef {{games: GameSettings[]} | {turn: "dStep" | "gStep"} | {iterations: number}} Order */

const ARROWS = 21, SAMPLES = 600, FIELD = 40, CLOSE = 0.3

/** G, D and a target, from a seed. */
export class Game {
  /** @param {GameSettings} settings */
  constructor(settings) {
    const { seed, width, batch, optimizer, momentum, loss, lead } = settings
    this.settings = settings
    this.target = settings.target === "drawn" ? drawnTarget(settings.drawn, 4) : TARGETS[settings.target]
    this.random = new Random(seed)
    const size = this.target.dimensions
    this.generator = generator(this.random, [size, width, width, size])
    this.discriminator = discriminator(this.random, [size, width / 2, width / 2, 1])
    const optimize = optimizer === "adam" ? adam : sgd
    this.players = new Players(this.generator, this.discriminator, loss)
    this.moveG = optimize(this.generator, momentum)
    this.moveD = optimize(this.discriminator, momentum)
    this.x = new Float64Array(batch * size)
    this.z = new Float64Array(batch * size)
    this.edges = size === 1 ? binEdges(this.target.reach) : new Float64Array(0)
    this.pData = size === 1 ? binMasses(this.target, this.edges) : this.edges
    const watched = new Random(seed + 1)
    this.watched = new Float64Array(2 * SAMPLES)  // z of the samples that are shown in the plane
    drawNoise(watched, this.watched, settings.noise)
    this.dSteps = this.gSteps = 0
    this.slower = 1
    for (let i = 0; i < lead; i++) this.dStep()
    this.dSteps = 0
  }

  /** Lines 3 to 5 of Algorithm 1. */
  dStep() {
    this.target.sample(this.random, this.x)
    drawNoise(this.random, this.z, this.settings.noise)
    this.players.discriminatorGradient(this.x, this.z, this.settings.batch)
    this.moveD(this.settings.dRate / this.slower)
    this.dSteps++
  }

  /** Lines 7 and 8. */
  gStep() {
    drawNoise(this.random, this.z, this.settings.noise)
    this.players.generatorGradient(this.z, this.settings.batch)
    this.moveG(this.settings.gRate / this.slower)
    this.gSteps++
  }

  /** One iteration, after which both rates are divided by `decay`. */
  iterate() {
    this.slower = this.settings.decay ** this.gSteps
    for (let i = 0; i < this.settings.k; i++) this.dStep()
    this.gStep()
  }

  /** Some z, where G sends them, and −∂loss/∂x there: where each sample is pulled. @param {Float64Array} z
   * @param {number} n */
  samples(z, n) {
    const g = this.generator.forward(z, n).slice(0, z.length)
    const pull = this.players.sampleGradient(this.discriminator.forward(g, n), n, 1).slice(0, z.length).map((v) => -v)
    return { dSteps: this.dSteps, gSteps: this.gSteps, z, g: Float64Array.from(g), pull: Float64Array.from(pull) }
  }

  /** @returns {LineState | PlaneState} */
  state() {
    const { target, settings: { noise }, edges } = this
    if (target.dimensions === 2) {
      const seen = this.samples(this.watched, SAMPLES), axis = (/** @type {number} */ i) => target.reach * ((2 * i + 1) / FIELD - 1)
      const points = Float64Array.from({ length: 2 * FIELD * FIELD }, (_, i) =>
        axis(i % 2 ? Math.floor(i / (2 * FIELD)) : (i >> 1) % FIELD))
      const field = Float64Array.from(this.discriminator.forward(points, FIELD * FIELD).subarray(0, FIELD * FIELD))
      return { ...seen, field, ...coverage(seen.g, target.centres) }
    }
    const wide = Math.min(priorWidth(noise), 2.5)
    const z = Float64Array.from({ length: ARROWS }, (_, i) => wide * ((2 * i) / (ARROWS - 1) - 1))
    return { ...this.samples(z, ARROWS), edges, ...snapshot(this.generator, this.discriminator, this.pData, edges, noise) }
  }
}

/** How many modes have at least a quarter of their share of the samples close to them, and how many samples are
 * close to a mode. @param {Float64Array} points @param {number[][]} centres */
export function coverage(points, centres) {
  const n = points.length / 2, counts = centres.map(() => 0)
  for (let i = 0; i < n; i++) {
    const at = centres.findIndex(([x, y]) => Math.hypot(points[2 * i] - x, points[2 * i + 1] - y) < CLOSE)
    if (at >= 0) counts[at]++
  }
  const covered = counts.filter((count) => count >= n / centres.length / 4).length
  return { covered, modes: centres.length, near: counts.reduce((a, b) => a + b, 0) / n }
}

/** What answers orders: sets games up, plays them, and tells their states. An order to play ends after `budget` ms. */
export function trainer() {
  /** @type {Game[]} */
  let games = []
  return (/** @type {Order} */ order, budget = Infinity) => {
    const start = performance.now()
    if ("games" in order) games = order.games.map((settings) => new Game(settings))
    if ("turn" in order) for (const game of games) game[order.turn]()
    if ("iterations" in order)
      for (let i = 0; i < order.iterations && (!i || performance.now() - start < budget); i++) for (const game of games) game.iterate()
    return games.map((game) => game.state())
  }
}

/**
 * A trainer at work elsewhere: `post` sends it an order, its states come to `receive`. Orders are done in turn.
 * @param {string} base where the modules are @param {(states: any[]) => void} receive
 * @returns {(order: Order) => void}
 */
export function employ(base, receive) {
  const here = () => {
    const answer = trainer()
    return (/** @type {Order} */ order) => { setTimeout(() => receive(answer(order, 8))) }
  }
  if (location.protocol === "file:") return here()
  const worker = new Worker(new URL("worker.js", base), { type: "module" })
  /** @type {Order[] | null} */
  let sent = []  // until the worker answers
  let post = (/** @type {Order} */ order) => { sent?.push(order); worker.postMessage(order) }
  worker.addEventListener("message", ({ data }) => { sent = null; receive(data) })
  worker.addEventListener("error", () => {  // in a browser whose Workers are no modules
    if (sent) post = here()
    sent?.forEach(post)
    sent = null
  })
  return (order) => post(order)
}
