// The two players of §3 and Algorithm 1, as gan/nets.py, gan/objective.py and gan/algorithm1.py have them.
// Matrices are typed arrays in rows; nothing is allocated while a network keeps meeting the same number of rows.

/** @typedef {Float32Array | Float64Array} Numbers */
/** @typedef {"linear" | "relu" | "sigmoid" | "maxout"} Activation */
/** @typedef {{inputs: number, units: number, pieces: number, activation: Activation}} Shape */
/** @typedef {Shape & {weight: Numbers, bias: Numbers, dWeight: Numbers, dBias: Numbers}} Layer */
/** @typedef {{pre: Numbers, out: Numbers, winner: Uint8Array, dPre: Numbers, turned: Numbers, xTurned: Numbers,
 *             weightTurned: Numbers, dX: Numbers}} Scratch */
/** @typedef {"minimax" | "non_saturating"} GeneratorLoss */

/** A seeded stream of random numbers (sfc32). */
export class Random {
  /** @param {number} seed any integer */
  constructor(seed) {
    this.state = new Uint32Array([seed, 0x9e3779b9, 0x243f6a88, 1])
    for (let i = 0; i < 16; i++) this.uniform()
    this.spare = NaN
  }

  /** Uniform on [0, 1). */
  uniform() {
    const s = this.state
    const t = (s[0] + s[1] + s[3]) >>> 0
    s[3]++
    s[0] = s[1] ^ (s[1] >>> 9)
    s[1] = s[2] + (s[2] << 3)
    s[2] = ((s[2] << 21) | (s[2] >>> 11)) + t
    return t / 2 ** 32
  }

  /** N(0, 1), by the polar method. */
  normal() {
    let v = this.spare, u = 0, r = 0
    this.spare = NaN
    if (!Number.isNaN(v)) return v
    do {
      u = 2 * this.uniform() - 1
      v = 2 * this.uniform() - 1
      r = u * u + v * v
    } while (!(r > 0 && r < 1))
    const factor = Math.sqrt((-2 * Math.log(r)) / r)
    this.spare = v * factor
    return u * factor
  }
}

/**
 * c (n, m) = a (n, k) · b (m, k)ᵀ, plus `bias` (m,) in each row if it is given. All the time goes here: blocks of
 * 2 × 4 sums stay in registers.
 * @param {Numbers} a @param {Numbers} b @param {Numbers} c @param {number} n @param {number} m @param {number} k
 * @param {Numbers | null} bias
 */
export function multiply(a, b, c, n, m, k, bias = null) {
  const columns = m - (m % 4)
  for (let i = 0; i < n; i += 2) {
    const pair = i + 1 < n ? 1 : 0, a0 = i * k, a1 = a0 + pair * k  // a last row alone is its own neighbour
    for (let j = 0; j < columns; j += 4) {
      const b0 = j * k, b1 = b0 + k, b2 = b1 + k, b3 = b2 + k
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0
      for (let p = 0; p < k; p++) {
        const x0 = a[a0 + p], x1 = a[a1 + p], y0 = b[b0 + p], y1 = b[b1 + p], y2 = b[b2 + p], y3 = b[b3 + p]
        s00 += x0 * y0; s01 += x0 * y1; s02 += x0 * y2; s03 += x0 * y3
        s10 += x1 * y0; s11 += x1 * y1; s12 += x1 * y2; s13 += x1 * y3
      }
      const q = i * m + j, r = q + pair * m
      c[q] = s00; c[q + 1] = s01; c[q + 2] = s02; c[q + 3] = s03
      c[r] = s10; c[r + 1] = s11; c[r + 2] = s12; c[r + 3] = s13
    }
  }
  for (let i = 0; i < n; i++)
    for (let j = columns; j < m; j++) {
      let sum = 0
      for (let p = 0, ai = i * k, bj = j * k; p < k; p++) sum += a[ai + p] * b[bj + p]
      c[i * m + j] = sum
    }
  if (bias) for (let i = 0, q = 0; i < n; i++) for (let j = 0; j < m; j++, q++) c[q] += bias[j]
}

/** @param {Numbers} from (n, m) @param {Numbers} to (m, n) @param {number} n @param {number} m */
function transpose(from, to, n, m) {
  for (let i = 0, q = 0; i < n; i++) for (let j = 0, r = i; j < m; j++, q++, r += n) to[r] = from[q]
}

/** Dense layers in a row. `theta` holds all weights, in the order of PyTorch's parameters(), `gradient` their gradient. */
export class Network {
  /** @param {Shape[]} shapes @param {Numbers} [theta] weights to take over; without, zeros in float64 */
  constructor(shapes, theta) {
    const size = shapes.reduce((sum, s) => sum + s.units * s.pieces * (s.inputs + 1), 0)
    if (theta && theta.length !== size) throw new RangeError(`${theta.length} weights given, ${size} needed`)
    this.theta = theta ?? new Float64Array(size)
    this.gradient = new Float64Array(theta instanceof Float32Array ? 0 : size)  // float32: to look at, not to train
    let at = 0
    /** @param {number} length */
    const next = (length) => [this.theta.subarray(at, at + length), this.gradient.subarray(at, (at += length))]
    /** @type {Layer[]} */
    this.layers = shapes.map((shape) => {
      const rows = shape.units * shape.pieces
      const [weight, dWeight] = next(rows * shape.inputs), [bias, dBias] = next(rows)
      return { ...shape, weight, bias, dWeight, dBias }
    })
    /** @type {Scratch[]} */
    this.scratch = []
    this.capacity = 0
    /** @type {Numbers} */
    this.x = this.theta
  }

  get outputs() { return this.layers[this.layers.length - 1].units }

  /** @param {number} n */
  reserve(n) {
    if (n <= this.capacity) return
    const make = (/** @type {number} */ length) => new Float64Array(length)
    this.capacity = n
    this.scratch = this.layers.map(({ inputs, units, pieces }) => {
      const rows = units * pieces, pre = make(n * rows), backward = this.gradient.length > 0 ? 1 : 0
      return {
        pre, out: pieces > 1 ? make(n * units) : pre, winner: new Uint8Array(pieces > 1 ? n * units : 0),
        dPre: make(n * rows * backward), turned: make(n * rows * backward), xTurned: make(n * inputs * backward),
        weightTurned: make(rows * inputs * backward), dX: make(n * inputs * backward),
      }
    })
  }

  /** The outputs (n, outputs) for x (n, inputs): the network's own buffer, until it is asked again.
   * @param {Numbers} x @param {number} n @returns {Numbers} */
  forward(x, n) {
    this.reserve(n)
    this.x = x
    this.layers.forEach((layer, l) => {
      const { pre, out, winner } = this.scratch[l], { inputs, units, pieces, activation } = layer
      multiply(x, layer.weight, pre, n, units * pieces, inputs, layer.bias)
      if (activation === "maxout") maximum(pre, out, winner, n, units, pieces)
      else activate(out, n * units, activation)
      x = out
    })
    return x
  }

  /**
   * Back from `dOut` (n, outputs) after `forward`: the weights' gradient, into `gradient`, and that of x (n, inputs),
   * a buffer, either only where it is wanted.
   * @param {Numbers} dOut @param {number} n @param {boolean} weights @param {boolean} input @returns {Numbers}
   */
  backward(dOut, n, weights, input) {
    for (let l = this.layers.length - 1; l >= 0; l--) {
      const layer = this.layers[l], s = this.scratch[l], rows = layer.units * layer.pieces, { inputs } = layer
      if (layer.activation === "maxout") scatter(dOut, s.dPre, s.winner, n, layer.units, layer.pieces)
      else deactivate(dOut, s.out, s.dPre, n * rows, layer.activation)
      if (weights) {
        transpose(s.dPre, s.turned, n, rows)
        transpose(l ? this.scratch[l - 1].out : this.x, s.xTurned, n, inputs)
        multiply(s.turned, s.xTurned, layer.dWeight, rows, inputs, n)
        for (let j = 0, q = 0; j < rows; j++) {
          let sum = 0
          for (let i = 0; i < n; i++, q++) sum += s.turned[q]
          layer.dBias[j] = sum
        }
      }
      if (!l && !input) break
      transpose(layer.weight, s.weightTurned, rows, inputs)
      multiply(s.dPre, s.weightTurned, s.dX, n, inputs, rows)
      dOut = s.dX
    }
    return this.scratch[0].dX
  }
}

/** Piece j of all units stands together. @param {Numbers} pre @param {Numbers} out @param {Uint8Array} winner
 * @param {number} n @param {number} units @param {number} pieces */
function maximum(pre, out, winner, n, units, pieces) {
  for (let i = 0, q = 0; i < n; i++)
    for (let u = 0, r = i * units * pieces; u < units; u++, q++, r++) {
      let best = pre[r], which = 0
      for (let j = 1; j < pieces; j++)
        if (pre[r + j * units] > best) { best = pre[r + j * units]; which = j }
      out[q] = best
      winner[q] = which
    }
}

/** @param {Numbers} dOut @param {Numbers} dPre @param {Uint8Array} winner @param {number} n @param {number} units
 * @param {number} pieces */
function scatter(dOut, dPre, winner, n, units, pieces) {
  dPre.fill(0, 0, n * units * pieces)
  for (let i = 0, q = 0; i < n; i++)
    for (let u = 0, r = i * units * pieces; u < units; u++, q++, r++) dPre[r + winner[q] * units] = dOut[q]
}

/** @param {Numbers} x @param {number} length @param {Activation} kind */
function activate(x, length, kind) {
  if (kind === "relu") for (let i = 0; i < length; i++) x[i] = x[i] > 0 ? x[i] : 0
  else if (kind === "sigmoid") for (let i = 0; i < length; i++) x[i] = sigmoid(x[i])
}

/** @param {Numbers} dOut @param {Numbers} out @param {Numbers} dPre @param {number} length @param {Activation} kind */
function deactivate(dOut, out, dPre, length, kind) {
  if (kind === "relu") for (let i = 0; i < length; i++) dPre[i] = out[i] > 0 ? dOut[i] : 0
  else if (kind === "sigmoid") for (let i = 0; i < length; i++) dPre[i] = dOut[i] * out[i] * (1 - out[i])
  else for (let i = 0; i < length; i++) dPre[i] = dOut[i]
}

/** The layers between `widths`, the last one of activation `output`.
 * @param {number[]} widths @param {Activation} hidden @param {number} pieces @param {Activation} output @returns {Shape[]} */
export function shapes(widths, hidden, pieces, output) {
  return widths.slice(1).map((units, l) => l < widths.length - 2
    ? { inputs: widths[l], units, pieces, activation: hidden }
    : { inputs: widths[l], units, pieces: 1, activation: output })
}

/** Weights uniform on ±init, hidden biases on ±biasInit, the last bias 0.
 * @param {Network} network @param {Random} random @param {number} init @param {number} biasInit */
function start(network, random, init, biasInit) {
  network.layers.forEach(({ weight, bias }, l) => {
    for (let i = 0; i < weight.length; i++) weight[i] = init * (2 * random.uniform() - 1)
    const spread = l < network.layers.length - 1 ? biasInit : 0
    for (let i = 0; i < bias.length; i++) bias[i] = spread * (2 * random.uniform() - 1)
  })
  return network
}

/** G(z) of rectifiers, with a linear output. @param {Random} random @param {number[]} widths from z to x */
export const generator = (random, widths) => start(new Network(shapes(widths, "relu", 1, "linear")), random, 0.2, 0.3)

/** D(x) of maxout units in pairs, as a logit. @param {Random} random @param {number[]} widths from x to 1 */
export const discriminator = (random, widths) => start(new Network(shapes(widths, "maxout", 2, "linear")), random, 0.3, 0)

/** z ~ p_z, mean 0 and variance 1, into `z`. @param {Random} random @param {Numbers} z @param {string} noise */
export function drawNoise(random, z, noise) {
  for (let i = 0; i < z.length; i++)
    z[i] = noise === "gaussian" ? random.normal() : Math.sqrt(3) * (2 * random.uniform() - 1)
}

/** log(1 + eˢ) @param {number} s */
export const softplus = (s) => Math.max(s, 0) + Math.log1p(Math.exp(-Math.abs(s)))

/** D = σ(s) @param {number} s */
export const sigmoid = (s) => (s >= 0 ? 1 / (1 + Math.exp(-s)) : Math.exp(s) / (1 + Math.exp(s)))

/** @param {ArrayLike<number>} logits @param {(s: number) => number} f */
const mean = (logits, f) => Array.from(logits, f).reduce((sum, term) => sum + term, 0) / logits.length

/** V(D, G) of D's logits, nats. Source: Eq. (1). @param {ArrayLike<number>} real @param {ArrayLike<number>} fake */
export const value = (real, fake) => -mean(real, (s) => softplus(-s)) - mean(fake, softplus)

/** −V/2, what D descends. @param {ArrayLike<number>} real @param {ArrayLike<number>} fake */
export const discriminatorLoss = (real, fake) => -value(real, fake) / 2

/** What G descends, as the mean over D's logits, and its derivative in one logit.
 * @type {Record<GeneratorLoss, {loss: (fake: ArrayLike<number>) => number, slope: (s: number) => number}>} */
export const generatorLosses = {
  minimax: { loss: (fake) => -mean(fake, softplus), slope: (s) => -sigmoid(s) },
  non_saturating: { loss: (fake) => mean(fake, (s) => softplus(-s)), slope: (s) => -sigmoid(-s) },
}

/** @typedef {(rate: number) => void} Optimizer moves its network's weights along their gradient, by `rate` */

/** SGD with momentum, as PyTorch has it. @param {Network} network @param {number} momentum @returns {Optimizer} */
export function sgd({ theta, gradient }, momentum) {
  const velocity = new Float64Array(theta.length)
  return (rate) => {
    for (let i = 0; i < theta.length; i++) {
      velocity[i] = momentum * velocity[i] + gradient[i]
      theta[i] -= rate * velocity[i]
    }
  }
}

/** Adam, as PyTorch has it. @param {Network} network @param {number} beta1 @param {number} beta2 @returns {Optimizer} */
export function adam({ theta, gradient }, beta1, beta2 = 0.999) {
  const first = new Float64Array(theta.length), second = new Float64Array(theta.length)
  let steps = 0
  return (rate) => {
    steps++
    const size = rate / (1 - beta1 ** steps), root = Math.sqrt(1 - beta2 ** steps)
    for (let i = 0; i < theta.length; i++) {
      const g = gradient[i]
      first[i] = beta1 * first[i] + (1 - beta1) * g
      second[i] = beta2 * second[i] + (1 - beta2) * g * g
      theta[i] -= (size * first[i]) / (Math.sqrt(second[i]) / root + 1e-8)
    }
  }
}

/** G and D, and what G descends: the gradients of Algorithm 1. */
export class Players {
  /** @param {Network} generator @param {Network} discriminator @param {GeneratorLoss} loss */
  constructor(generator, discriminator, loss) {
    this.generator = generator
    this.discriminator = discriminator
    this.loss = generatorLosses[loss]
    this.both = new Float64Array(0)
    this.dLogits = new Float64Array(0)
  }

  /** Line 5's gradient for data x (m, size) and noise z (m, noise size); returns D's logits, data before samples.
   * @param {Numbers} x @param {Numbers} z @param {number} m */
  discriminatorGradient(x, z, m) {
    const size = m * this.generator.outputs
    if (this.both.length !== 2 * size) this.both = new Float64Array(2 * size)
    if (this.dLogits.length !== 2 * m) this.dLogits = new Float64Array(2 * m)
    const { both, dLogits } = this
    const fake = this.generator.forward(z, m)
    for (let i = 0; i < size; i++) { both[i] = x[i]; both[size + i] = fake[i] }
    const logits = this.discriminator.forward(both, 2 * m)
    for (let i = 0; i < m; i++) {
      dLogits[i] = -sigmoid(-logits[i]) / (2 * m)
      dLogits[m + i] = sigmoid(logits[m + i]) / (2 * m)
    }
    this.discriminator.backward(dLogits, 2 * m, true, false)
    return logits
  }

  /** What G's samples x (m, size), D's last, feel: ∂loss/∂x, each as if alone. @param {Numbers} logits
   * @param {number} m @param {number} over what to divide the loss by */
  sampleGradient(logits, m, over) {
    if (this.dLogits.length < m) this.dLogits = new Float64Array(m)
    for (let i = 0; i < m; i++) this.dLogits[i] = this.loss.slope(logits[i]) / over
    return this.discriminator.backward(this.dLogits, m, false, true)
  }

  /** Line 8's gradient for noise z (m, noise size). @param {Numbers} z @param {number} m */
  generatorGradient(z, m) {
    const logits = this.discriminator.forward(this.generator.forward(z, m), m)
    this.generator.backward(this.sampleGradient(logits, m, m), m, true, false)
  }
}
