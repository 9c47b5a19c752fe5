// node run.mjs MODULES WHAT [FIXTURE]: what tests/test_live.py asks of the modules, as JSON.
import { readFileSync } from "node:fs"

const [modules, what, fixture] = process.argv.slice(2)
const load = (name) => import(new URL(`${name}.js`, `file://${modules}/`))
const [nets, theory, training, { defaults }] = await Promise.all(["nets", "theory", "training", "controls"].map(load))

const start = async (widget, preset, more) => {
  const { KIND: { schema, presets, games } } = await load(widget)
  return games({ ...defaults(schema, presets, preset), ...more }).map(({ settings }) => new training.Game(settings))
}
const sum = (p) => p.reduce((a, b) => a + b, 0)
const meanOf = (state) => sum(state.g) / state.g.length

const tasks = {
  answers() {
    const answers = (0, eval)(readFileSync(new URL("answers.js", import.meta.url), "utf8"))
    return answers(nets, theory, JSON.parse(readFileSync(fixture, "utf8")))
  },

  async converge() {
    const seeds = []
    for (let seed = 1; seed <= 5; seed++) {
      const [game] = await start("figure1", "converge", { seed })
      const totals = [], jsds = []
      while (game.gSteps < 300 && !(jsds.at(-1) < 0.03)) {
        for (let i = 0; i < 20; i++) game.iterate()
        const { pG, jsd } = game.state()
        totals.push(sum(pG))
        jsds.push(jsd)
      }
      seeds.push({ steps: game.gSteps, jsds, totals })
    }
    return seeds
  },

  async saturate() {
    const [minimax, other] = await start("figure1", "saturate")
    const told = [minimax, other].map((game) => {
      const before = game.state()
      let farthest = 0
      for (let i = 0; i < 60; i++) {
        game.iterate()
        farthest = Math.max(farthest, meanOf(game.state()) - meanOf(before))
      }
      return { moved: farthest, pull: Math.max(...before.pull.map(Math.abs)), start: [...before.g], loss: game.settings.loss }
    })
    return told
  },

  async oscillate() {
    const [game] = await start("figure1", "oscillate"), means = []
    for (let i = 0; i < 400; i++) {
      game.iterate()
      means.push(meanOf(game.state()))
    }
    return means
  },

  async collapse() {
    const seeds = []
    for (let seed = 1; seed <= 5; seed++) {
      const [game] = await start("figure1", "collapse", { seed }), left = []
      for (let i = 0; i < 200; i++) {
        game.iterate()
        const { pG, edges } = game.state()
        left.push(sum(pG.filter((_, bin) => edges[bin + 1] <= 0)))
      }
      seeds.push(left)
    }
    return seeds
  },

  async plane() {
    const [cover] = await start("plane", "cover"), [helvetica] = await start("plane", "helvetica")
    let most = 0
    const few = []
    while (most < 8 && cover.gSteps < 1500) {
      for (let i = 0; i < 50; i++) cover.iterate()
      most = Math.max(most, cover.state().covered)
    }
    while (helvetica.gSteps < 600) {
      for (let i = 0; i < 50; i++) helvetica.iterate()
      few.push(helvetica.state().covered)
    }
    const grids = await Promise.all([{}, { width: 64 }].map((more) => start("plane", "grid", more)))
    const some = grids.map(([grid]) => {
      while (grid.gSteps < 2000) grid.iterate()
      return grid.state().covered
    })
    return { most, few, some }
  },

  random() {
    const random = new nets.Random(7), again = new nets.Random(7)
    const uniform = Array.from({ length: 20000 }, () => random.uniform())
    const same = uniform.every((u) => u === again.uniform())
    const normal = Array.from({ length: 20000 }, () => random.normal())
    const samples = Object.fromEntries(Object.values(theory.TARGETS).map((target) => {
      const out = new Float64Array(8000)
      target.sample(random, out)
      return [target.name, [...out]]
    }))
    const drawn = new Float64Array(8000)
    theory.drawnTarget([1, 3, 0, 4], 4).sample(random, drawn)
    return { uniform, normal, same, samples, drawn: [...drawn] }
  },
}

console.log(JSON.stringify(await tasks[what]()))
