// What the modules make of a fixture from tests/test_live.py: run under Node and in Chromium.
(nets, theory, given) => {
  const of = (widths, theta, maxout) => new nets.Network(
    nets.shapes(widths, maxout ? "maxout" : "relu", maxout ? 2 : 1, "linear"), Float64Array.from(theta))
  const { m, x, z } = given, size = given.g_widths.at(-1)
  const answers = { players: {}, targets: {} }
  for (const [name, loss] of given.games) {
    const G = of(given.g_widths, given.g, false), D = of(given.d_widths, given.d, true)
    const players = new nets.Players(G, D, loss), [moveG, moveD] = [G, D].map((net) => nets[name](net, 0.5))
    const logits = [...players.discriminatorGradient(x, z, m).slice(0, 2 * m)]
    const answer = {
      fake: [...G.forward(z, m).slice(0, m * size)], logits, d_gradient: [...D.gradient],
      value: nets.value(logits.slice(0, m), logits.slice(m)), d_loss: nets.discriminatorLoss(logits.slice(0, m), logits.slice(m)),
      g_loss: nets.generatorLosses[loss].loss(nets.Network.prototype.forward.call(D, G.forward(z, m), m).slice(0, m)),
    }
    players.generatorGradient(z, m)
    answer.g_gradient = [...G.gradient]
    for (let i = 0; i < 3; i++) {
      players.discriminatorGradient(x, z, m)
      moveD(0.01)
      players.generatorGradient(z, m)
      moveG(0.01)
    }
    answers.players[`${name} ${loss}`] = { ...answer, d_after: [...D.theta], g_after: [...G.theta] }
  }
  const edges = theory.binEdges(4), G = of(given.line_widths, given.line_g, false), D = of(given.line_d_widths, given.line_d, true)
  for (const name of given.targets) {
    const target = theory.TARGETS[name], own = theory.binEdges(target.reach), masses = theory.binMasses(target, own)
    answers.targets[name] = { edges: [...own], masses: [...masses] }
    for (const noise of ["uniform", "gaussian"]) {
      const { pG, logits, dStar, value, criterion, jsd } = theory.snapshot(G, D, masses, own, noise)
      answers.targets[name][noise] = {
        p_g: [...pG], logit: [...logits], d_star: [...dStar], value, criterion, jsd,
        tv: theory.totalVariation(masses, pG), kl: theory.kl(masses, masses.map((p, i) => (p + pG[i]) / 2)),
      }
    }
  }
  answers.cdf = given.points.map(theory.normalCdf)
  answers.drawn = [...theory.binMasses(theory.drawnTarget([1, 3, 0, 4], 4), edges)]
  return JSON.parse(JSON.stringify(answers, (_, number) => (typeof number === "number" && !Number.isFinite(number) ? String(number) : number)))
}
