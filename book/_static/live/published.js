// A published run in the reader's browser, as gan.Run.load gives it: its weights of 8 bits, the z that a seed draws.

import { Network, shapes } from "./nets.js"

/** @typedef {import("./nets.js").Activation} Activation */
/** @typedef {{data: Int8Array | Uint8Array | Float32Array, shape: number[]}} Tensor */

/** The number that 16 bits mean (IEEE's half precision). @param {number} bits */
export function half(bits) {
  const exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024
  const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction
  return bits >> 15 ? -size : size
}

/** @type {Record<string, (bytes: ArrayBuffer) => Tensor["data"]>} */
const TYPES = {
  I8: (bytes) => new Int8Array(bytes),
  F32: (bytes) => new Float32Array(bytes),
  F16: (bytes) => Float32Array.from(new Uint16Array(bytes), half),
}

/** The tensors of a safetensors file. @param {ArrayBuffer} file @returns {Record<string, Tensor>} */
export function tensors(file) {
  const begin = 8 + new DataView(file).getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, begin - 8)))
  delete header.__metadata__
  /** @type {Record<string, Tensor>} */
  const found = {}
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header))
    found[name] = { shape, data: TYPES[dtype](file.slice(begin + from, begin + to)) }
  return found
}

/** The network whose parameters gan.layers.pack wrote to a file: 64 weights share a scale.
 * @param {ArrayBuffer} file @param {Activation} hidden @param {number} pieces @param {Activation} output */
export function network(file, hidden, pieces, output) {
  const all = tensors(file), names = Object.keys(all).filter((name) => name.endsWith(".weight")).sort()
  const biases = names.map((name) => all[name.replace(/weight$/, "bias")].data)
  const theta = new Float32Array(names.reduce((size, name, l) => size + all[name].data.length + biases[l].length, 0))
  let at = 0
  names.forEach((name, l) => {
    const { data } = all[name], { data: scales } = all[`${name}.scale`]
    for (let i = 0; i < data.length; i++) theta[at++] = data[i] * scales[i >> 6]
    theta.set(biases[l], at)
    at += biases[l].length
  })
  const widths = [...names.map((name) => all[name].shape[1]), biases[biases.length - 1].length]
  return new Network(shapes(widths, hidden, pieces, output), theta)
}

/**
 * z of `G.draw_noise(n, torch.Generator().manual_seed(seed))`, uniform on (−√3, √3), bit for bit PyTorch's: the
 * Mersenne twister of Matsumoto and Nishimura (1998), 24 bits a number. Returns (n, size) in rows.
 * @param {number} seed @param {number} n @param {number} size
 */
export function torchNoise(seed, n, size) {
  const state = new Uint32Array(624), z = new Float32Array(n * size), width = Math.fround(Math.sqrt(3))
  state[0] = seed
  for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i
  for (let at = 0; at < z.length; at++) {
    const i = at % 624
    if (!i)
      for (let j = 0; j < 624; j++) {
        const y = (state[j] & 0x80000000) | (state[(j + 1) % 624] & 0x7fffffff)
        state[j] = state[(j + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
      }
    let y = state[i]
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    y ^= y >>> 18
    z[at] = ((y & 0xffffff) / 2 ** 23 - 1) * width
  }
  return z
}
