// §4 on bins (gan/theory.py), and distributions whose density is known with the exact p_g of a G on the line
// (gan/toy.py). A distribution is an array of masses; values are in nats; 0·log 0 = 0.

import { Network, Random, sigmoid, softplus } from "./nets.js"

/** @typedef {import("./nets.js").Numbers} Numbers */
/** @typedef {ArrayLike<number>} Masses */
/** @typedef {{name: string, reach: number, dimensions: 1 | 2, cdf: (x: number) => number,
 *             sample: (random: Random, out: Numbers) => void, centres: number[][]}} Target */

/** @param {number} n @param {(i: number) => number} term */
function sum(n, term) {
  let total = 0
  for (let i = 0; i < n; i++) total += term(i)
  return total
}

/** D* = p_data / (p_data + p_g), NaN where both are 0. Source: Eq. (2). @param {Masses} pData @param {Masses} pG */
export const optimalDiscriminator = (pData, pG) => Float64Array.from(pData, (p, i) => p / (p + pG[i]))

/** V(G, D) of D's logits on the bins. Source: Eq. (3). @param {Masses} pData @param {Masses} pG @param {Masses} logits */
export const value = (pData, pG, logits) =>
  -sum(pData.length, (i) => pData[i] * softplus(-logits[i]) + pG[i] * softplus(logits[i]))

/** p · log(p / q), 0 where p is. @param {number} p @param {number} q */
const relative = (p, q) => (p > 0 ? p * (Math.log(p) - Math.log(q)) : 0)

/** C(G) = max_D V(G, D), from −log 4 to 0. Source: Eq. (4). @param {Masses} pData @param {Masses} pG */
export const virtualCriterion = (pData, pG) =>
  sum(pData.length, (i) => relative(pData[i], pData[i] + pG[i]) + relative(pG[i], pData[i] + pG[i]))

/** KL(p ‖ q), ∞ where q = 0 and p > 0. @param {Masses} p @param {Masses} q */
export const kl = (p, q) => sum(p.length, (i) => relative(p[i], q[i]))

/** JSD(p ‖ q), from 0 to log 2. Source: Eq. (6). @param {Masses} p @param {Masses} q */
export const jensenShannon = (p, q) => sum(p.length, (i) => {
  const t = (p[i] - q[i]) / (p[i] + q[i])  // p = m(1 + t), q = m(1 − t), and m cancels in the logarithms
  const log = (/** @type {number} */ u) => (u > -1 ? (1 + u) * Math.log1p(u) : 0)
  return p[i] + q[i] > 0 ? ((p[i] + q[i]) / 4) * (log(t) + log(-t)) : 0
})

/** TV(p, q) = ½ Σ |p − q|. @param {Masses} p @param {Masses} q */
export const totalVariation = (p, q) => sum(p.length, (i) => Math.abs(p[i] - q[i])) / 2

/** The distribution function of N(0, 1): a series near 0, a continued fraction in the tails. @param {number} x */
export function normalCdf(x) {
  const a = Math.abs(x), density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
  if (a > 3) {
    let f = a
    for (let i = 60; i > 0; i--) f = a + i / f
    return x < 0 ? density / f : 1 - density / f  // also at ±∞
  }
  let term = x, total = x
  for (let i = 3; Math.abs(term) > 1e-17; i += 2) total += term *= (x * x) / i
  return 0.5 + density * total
}

/** @param {number} x @param {number} a @param {number} b */
const uniformCdf = (x, a, b) => Math.min(1, Math.max(0, (x - a) / (b - a)))

/** @param {string} name @param {number} reach @param {(x: number) => number} cdf
 * @param {(random: Random) => number} draw @returns {Target} */
function line(name, reach, cdf, draw) {
  const sample = (/** @type {Random} */ random, /** @type {Numbers} */ out) => {
    for (let i = 0; i < out.length; i++) out[i] = draw(random)
  }
  return { name, reach, dimensions: 1, cdf, sample, centres: [] }
}

const BLOB = 0.1

/** Round Gaussians of equal weight. @param {string} name @param {number} reach @param {number[][]} centres
 * @returns {Target} */
function plane(name, reach, centres) {
  const sample = (/** @type {Random} */ random, /** @type {Numbers} */ out) => {
    for (let i = 0; i < out.length; i += 2) {
      const [x, y] = centres[Math.floor(random.uniform() * centres.length)]
      out[i] = x + BLOB * random.normal()
      out[i + 1] = y + BLOB * random.normal()
    }
  }
  return { name, reach, dimensions: 2, cdf: () => NaN, sample, centres }
}

const five = [-4, -2, 0, 2, 4]
/** gan.toy's targets. */
export const TARGETS = Object.fromEntries([
  line("gaussian", 4, normalCdf, (r) => r.normal()),
  line("mixture", 4, (x) => 0.7 * normalCdf(2 * (x + 1.5)) + 0.3 * normalCdf(2 * (x - 1.5)),
    (r) => (r.uniform() < 0.7 ? -1.5 : 1.5) + r.normal() / 2),
  line("laplace", 6, (x) => (x < 0 ? Math.exp(x) / 2 : 1 - Math.exp(-x) / 2),
    (r) => { const u = r.uniform() - 0.5; return -Math.sign(u) * Math.log1p(-2 * Math.abs(u)) }),
  line("uniform", 2, (x) => uniformCdf(x, -1, 1), (r) => 2 * r.uniform() - 1),
  line("cauchy", 10, (x) => (x < -1 ? Math.atan(-1 / x) / Math.PI : 0.5 + Math.atan(x) / Math.PI),
    (r) => Math.tan(Math.PI * (r.uniform() - 0.5))),
  line("far", 10, (x) => normalCdf(x - 6), (r) => 6 + r.normal()),
  line("intervals", 4, (x) => (uniformCdf(x, -3, -2) + uniformCdf(x, 2, 3)) / 2,
    (r) => (r.uniform() < 0.5 ? -3 : 2) + r.uniform()),
  plane("ring", 3, Array.from({ length: 8 }, (_, i) => [2 * Math.cos((i * Math.PI) / 4), 2 * Math.sin((i * Math.PI) / 4)])),
  plane("grid", 5, five.flatMap((x) => five.map((y) => [x, y]))),
].map((target) => [target.name, target]))

/** A histogram as a target: bars of the given heights, equally wide, between ∓reach; all 0 is taken as uniform.
 * @param {ArrayLike<number>} heights @param {number} reach */
export function drawnTarget(heights, reach) {
  const n = heights.length, total = sum(n, (i) => heights[i]), width = (2 * reach) / n, below = [0]
  for (let i = 0; i < n; i++) below.push(below[i] + (total > 0 ? heights[i] / total : 1 / n))
  below[n] = 1
  const cdf = (/** @type {number} */ x) => {
    const at = Math.min(n, Math.max(0, (x + reach) / width)), bar = Math.min(Math.floor(at), n - 1)
    return below[bar] + (at - bar) * (below[bar + 1] - below[bar])
  }
  return line("drawn", reach, cdf, (random) => {
    const u = random.uniform(), bar = below.findIndex((p) => p > u) - 1
    return -reach + (bar + random.uniform()) * width
  })
}

/** The bins of gan.toy.snapshot: `bins` in ±reach and two that reach to ∓∞. @param {number} reach @param {number} bins */
export function binEdges(reach, bins = 320) {
  const inner = Array.from({ length: bins + 1 }, (_, i) => -reach + (2 * reach * i) / bins)
  return Float64Array.from([-Infinity, ...inner, Infinity])
}

/** The mass of each bin. @param {Target} target @param {Float64Array} edges */
export function binMasses(target, edges) {
  const below = edges.map((x) => (x === -Infinity ? 0 : x === Infinity ? 1 : target.cdf(x)))
  return below.subarray(1).map((p, i) => p - below[i])
}

/** Where the bins' D is looked at: their middles, and the ends of the outer two. @param {Float64Array} edges */
export function binMiddles(edges) {
  const inner = edges.map((x) => Math.max(edges[1], Math.min(edges[edges.length - 2], x)))
  return inner.subarray(1).map((x, i) => (x + inner[i]) / 2)
}

/** The prior lies in ±width, but for 1e-18 of a Gaussian one. @param {string} noise */
export const priorWidth = (noise) => (noise === "gaussian" ? 9 : Math.sqrt(3))

/** The prior's distribution function. @param {number} z @param {string} noise */
const priorCdf = (z, noise) => (noise === "gaussian" ? normalCdf(z) : z / (2 * Math.sqrt(3)) + 0.5)

/** Points of the prior's range, in order, between which a G of rectifiers is linear. @param {Network} generator
 * @param {string} noise */
function kinks(generator, noise) {
  const width = priorWidth(noise), { layers } = generator
  let z = [-width, width], end = 0
  for (let l = 0; l < layers.length - 1; l++) {
    const { units, weight, bias } = layers[l]
    end += weight.length + bias.length
    const below = new Network(layers.slice(0, l + 1).map((layer, i) => (i < l ? layer : { ...layer, activation: "linear" })),
      generator.theta.subarray(0, end))
    const h = below.forward(Float64Array.from(z), z.length)
    const found = z.slice()
    for (let i = 0; i + 1 < z.length; i++)
      for (let u = 0; u < units; u++) {
        const before = h[i * units + u], after = h[(i + 1) * units + u]
        if (before * after < 0) found.push(z[i] + (before / (before - after)) * (z[i + 1] - z[i]))
      }
    z = found.sort((a, b) => a - b).filter((x, i) => !i || x > found[i - 1])
  }
  return Float64Array.from(z)
}

/**
 * The mass that p_g puts between neighbouring edges, for z and x on the line: the prior's measure of
 * {z : edge ≤ G(z) < next edge}, piece by piece; folds add up, and where G is constant there is an atom.
 * @param {Network} generator of rectifiers and a linear output @param {Float64Array} edges @param {string} noise
 */
export function pushforward(generator, edges, noise) {
  const z = kinks(generator, noise), x = generator.forward(z, z.length)
  const below = new Float64Array(edges.length)  // the prior's measure of {z : G(z) < edge}
  const whole = new Float64Array(edges.length + 1)
  for (let i = 0; i + 1 < z.length; i++) {
    const start = priorCdf(z[i], noise), end = priorCdf(z[i + 1], noise), rise = x[i + 1] - x[i]
    const low = Math.min(x[i], x[i + 1]), high = Math.max(x[i], x[i + 1])
    let edge = edges.findIndex((x) => x > low)
    for (; edge < edges.length && edges[edge] < high; edge++) {  // the edges that cut the piece
      const at = priorCdf(z[i] + ((edges[edge] - x[i]) / rise) * (z[i + 1] - z[i]), noise)
      below[edge] += rise > 0 ? at - start : end - at
    }
    whole[edge] += end - start
  }
  for (let i = 0, total = 0; i < edges.length; i++) below[i] += total += whole[i]
  return below.subarray(1).map((p, i) => Math.max(p - below[i], 0))
}

/**
 * @typedef {{pData: Float64Array, pG: Float64Array, logits: Float64Array, d: Float64Array, dStar: Float64Array,
 *            value: number, criterion: number, jsd: number}} Snapshot
 * G, D and the data at one moment, bin by bin, as gan.toy.snapshot has them.
 */

/** @param {Network} generator @param {Network} discriminator @param {Float64Array} pData on `edges`
 * @param {Float64Array} edges @param {string} noise @returns {Snapshot} */
export function snapshot(generator, discriminator, pData, edges, noise) {
  const pG = pushforward(generator, edges, noise), middles = binMiddles(edges)
  const logits = Float64Array.from(discriminator.forward(middles, middles.length).subarray(0, middles.length))
  return {
    pData, pG, logits, d: logits.map(sigmoid), dStar: optimalDiscriminator(pData, pG),
    value: value(pData, pG, logits), criterion: virtualCriterion(pData, pG), jsd: jensenShannon(pData, pG),
  }
}
