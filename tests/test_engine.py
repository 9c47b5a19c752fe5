"""Engines: however an iteration is run, it is the same one, and a run stays repeatable and resumable."""

import copy
import json
import os
import socket
import subprocess
import sys
from functools import partial

import pandas as pd
import peers
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

import gan
from gan import algorithm1, data, durable, engine, keeping, runs, training
from gan.__main__ import main
from gan.algorithm1 import Players
from gan.nets import Discriminator, Generator

CPU = torch.device("cpu")
SMALL = (20, (64, 64), (1, 8, 8), (24, 24))
MNIST = (100, (1200, 1200), (1, 28, 28), (240, 240))


def flat(network):
    """All weights and variances, less what batch norm cancels: a bias before it, and so the mean.

    The gradient of such a bias is rounding errors alone, which Adam makes steps of.
    """
    layers = dict(network.named_modules())
    cancelled = {"num_batches_tracked", "running_mean"}
    for (name, layer), after in zip(layers.items(), [*layers.values()][1:], strict=False):
        if isinstance(layer, nn.Linear) and isinstance(after, nn.BatchNorm1d):
            cancelled.add(f"{name}.bias")
    kept = [w for name, w in network.state_dict().items() if not {name, name.split(".")[-1]} & cancelled]
    return torch.cat([w.detach().double().flatten() for w in kept])


def apart(network, other):
    """‖Δθ‖/‖θ‖."""
    return ((flat(network) - flat(other)).norm() / flat(other).norm()).item()


# The plain loop


class Replay(nn.Module):
    """Dropout with the masks that it is given, one per call."""

    def __init__(self):
        super().__init__()
        self.masks = []

    def forward(self, x):
        return x * self.masks.pop(0).view_as(x)


def ours_and_plain(noise_size, g_hidden, shape, d_hidden):
    """The same networks twice, by `gan.nets` and by torch.nn, and what replays the plain D's masks."""
    torch.manual_seed(0)
    generator = Generator(noise_size, g_hidden, shape, init=0.1)
    discriminator = Discriminator(shape, d_hidden, 5, init=0.1)
    if g_hidden == MNIST[1]:
        plain = peers.mnist_networks()
    else:
        (a, b), (c, d), pixels = g_hidden, d_hidden, generator.layers[-2].out_features
        plain = (
            nn.Sequential(
                *(nn.Linear(noise_size, a), nn.ReLU(), nn.Linear(a, b), nn.ReLU()),
                *(nn.Linear(b, pixels), nn.Sigmoid()),
            ),
            nn.Sequential(
                *(nn.Dropout(0.2), peers.Maxout(pixels, c, 5), nn.Dropout(0.5), peers.Maxout(c, d, 5)),
                *(nn.Dropout(0.5), nn.Linear(d, 1)),
            ),
        )
    for network, twin in zip((generator, discriminator), plain, strict=True):
        with torch.no_grad():
            for w, there in zip(network.parameters(), twin.parameters(), strict=True):
                there.copy_(w)
    replays = []
    for i, layer in enumerate(plain[1]):
        if isinstance(layer, nn.Dropout):
            plain[1][i] = Replay()
            replays.append(plain[1][i])
    sgd = {"lr": 0.5, "momentum": 0.5}
    optimizers = [torch.optim.SGD(n.parameters(), **sgd) for n in (generator, discriminator, *plain)]
    return Players(generator, discriminator, *optimizers[:2]), (*plain, *optimizers[2:]), replays


def give(replays, masks, halves):
    """Hand each layer its masks for D's next calls: the first or the second half of all rows."""
    for replay, mask in zip(replays, masks, strict=True):
        replay.masks = [mask.chunk(2)[half] for half in halves]


def plain_discriminator_step(generator, discriminator, _, optimizer, x, z):
    optimizer.zero_grad()
    real, fake = discriminator(x), discriminator(generator(z).detach())
    (
        (cross_entropy(real, torch.ones_like(real)) + cross_entropy(fake, torch.zeros_like(fake))) / 2
    ).backward()
    optimizer.step()


def plain_generator_step(generator, discriminator, optimizer, _, z):
    optimizer.zero_grad()
    fake = discriminator(generator(z))
    cross_entropy(fake, torch.ones_like(fake)).backward()
    optimizer.step()


def assert_moved_alike(players, plain, start):
    ours = players.generator, players.discriminator
    for network, twin, before in zip(ours, plain[:2], start, strict=True):
        assert apart(network, twin) <= 1e-4
        assert (flat(network) - before).norm() > 3e-3 * before.norm()


STEPS = pytest.mark.parametrize(
    ("sizes", "batch", "steps"), [(SMALL, 50, 50), (MNIST, 100, 3)], ids=["small", "mnist"]
)


@STEPS
def test_simultaneous_updates_are_those_of_a_plain_loop(sizes, batch, steps):
    players, plain, replays = ours_and_plain(*sizes)
    start = flat(players.generator), flat(players.discriminator)
    for _ in range(steps):
        x, z = torch.rand(batch, *sizes[2]), players.generator.draw_noise(batch)
        masks = players.discriminator.draw_masks(2 * batch)
        algorithm1.simultaneous_step(players, x, z, masks)
        give(replays, masks, halves=(1, 0, 1))  # fakes, data, fakes
        peers.plain_update(*plain, x.flatten(1), z)
    assert_moved_alike(players, plain, start)


@STEPS
def test_alternating_updates_are_those_of_a_plain_loop(sizes, batch, steps):
    players, plain, replays = ours_and_plain(*sizes)
    start = flat(players.generator), flat(players.discriminator)
    for _ in range(steps):
        x, z = torch.rand(batch, *sizes[2]), players.generator.draw_noise(batch)
        masks = players.discriminator.draw_masks(2 * batch)
        algorithm1.discriminator_step(players, x, z, masks)
        give(replays, masks, halves=(0, 1))
        plain_discriminator_step(*plain, x.flatten(1), z)
        z, masks = players.generator.draw_noise(batch), players.discriminator.draw_masks(batch)
        algorithm1.generator_step(players, z, masks)
        for replay, mask in zip(replays, masks, strict=True):
            replay.masks = [mask]
        plain_generator_step(*plain, z)
    assert_moved_alike(players, plain, start)


# torch.compile


@pytest.fixture(scope="module")
def compiler():
    if not engine._compiler_works(CPU) and os.environ.get("CI") != "true":
        pytest.skip("torch.compile does not work here: it needs a C++ compiler")


DIGITS = {"g_hidden": (32, 32), "d_hidden": (16, 16), "d_pieces": 2, "batch_size": 24, "d_init": 0.3}
SHALLOW = {"g_hidden": (32,), "g_activations": ("relu",), "d_hidden": (16,)}
PYTORCH_GAN = {
    **{"dataset": "digits", "valid": 300, "noise_size": 20, "batch_size": 24},
    **{"g_hidden": (32, 48), "g_activations": ("leaky_relu", "leaky_relu"), "d_hidden": (32,)},
}
RECIPES = {
    "simultaneous": gan.recipe("digits", **DIGITS),
    "alternating": gan.recipe("digits", **DIGITS | SHALLOW, updates="alternating"),
    "pytorch-gan": gan.recipe("pytorch-gan", **PYTORCH_GAN),
    "bf16": gan.recipe("digits", **DIGITS | SHALLOW, precision="bf16"),
    "capped": gan.recipe("digits", **DIGITS, max_norm=0.8, g_output_sparse=8, noise="gaussian"),
}


def play(recipe, how, device="cpu", epochs=1, n=1200):
    """The players and the statistics of each update, after ``epochs`` over ``n`` images from one seed."""
    where = torch.device(device)
    images = gan.data.load("digits").x_train[:n]
    torch.manual_seed(1)
    players = training.make_players(recipe, images, where)
    iterate = how(players) if callable(how) else engine.iteration(players, recipe.updates, how, where)
    x = gan.data.resident(images, where)
    rows = [
        row.clone()
        for epoch in range(1, epochs + 1)
        for row in training.updates(iterate, players, recipe, x, epoch)
    ]
    return players, torch.stack(rows)


def assert_near(ones, others, rtol=1e-4, atol=1e-5):
    (players, rows), (expected, expected_rows) = ones, others
    torch.testing.assert_close(rows, expected_rows, rtol=rtol, atol=atol)
    assert apart(players.generator, expected.generator) <= 1e-4
    assert apart(players.discriminator, expected.discriminator) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["simultaneous", "alternating", "pytorch-gan", "capped"])
def test_compiled_updates_are_the_eager_ones(compiler, name):
    n = 1190 if name == "simultaneous" else 1200  # the last minibatch is smaller, or is not
    compiled = play(RECIPES[name], "compiled", n=n)
    assert len(compiled[1]) == 50
    assert_near(compiled, play(RECIPES[name], "eager", n=n))


@pytest.mark.slow
def test_compiled_updates_leave_batch_norms_statistics_as_eager_ones_do(compiler):
    players, eager = (play(RECIPES["pytorch-gan"], how, n=24)[0] for how in ("compiled", "eager"))
    torch.testing.assert_close(dict(players.generator.named_buffers()), dict(eager.generator.named_buffers()))
    assert [*eager.generator.buffers()][2] == 1


@pytest.mark.slow
def test_losses_in_bfloat16_are_near_those_in_float32(compiler):
    plain = RECIPES["bf16"].model_copy(update={"precision": "fp32"})
    _, expected = play(plain, "eager")
    for how in ("eager", "compiled"):
        _, rows = play(RECIPES["bf16"], how)
        assert 0 < (rows - expected).abs().max() < 0.01, how


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
FAST = [
    ("cpu", "compiled"),
    pytest.param("cuda", "graph", marks=needs_cuda),
    pytest.param("cuda", "compiled", marks=needs_cuda),
]


@pytest.mark.parametrize("name", ["simultaneous", "alternating", "pytorch-gan", "capped"])
@pytest.mark.parametrize(("device", "how"), FAST[1:])
def test_updates_on_a_gpu_are_the_eager_ones(device, how, name):
    fast = play(RECIPES[name], how, device, epochs=2)
    assert_near(fast, play(RECIPES[name], "eager", device, epochs=2), rtol=1e-3, atol=1e-4)


# Runs


def epochs(n, **fields):
    return RECIPES["simultaneous"].model_copy(update={"epochs": n} | fields)


def train(recipe, out, device="cpu", **options):
    return gan.train(recipe, out, device=device, progress=False, **options)


def assert_same(run, other):
    for name in ("generator", "discriminator"):
        ours, theirs = (getattr(r, name).state_dict() for r in (run, other))
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
    shown = [r.history.drop(columns="seconds") for r in (run, other)]
    pd.testing.assert_frame_equal(*shown, check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize(("device", "how"), FAST)
def test_a_fast_run_is_repeatable_stops_cleanly_and_goes_on(request, device, how, tmp_path, monkeypatch):
    if (device, how) == ("cpu", "compiled"):
        request.getfixturevalue("compiler")
    whole = train(epochs(3), tmp_path / "1", device, engine=how)
    assert_same(whole, train(epochs(3), tmp_path / "2", device, engine=how))
    assert whole.record["engine"] == how

    left = 120  # two epochs of 50 iterations, and a part of the third

    def interrupted(*arguments):
        iterate = engine.iteration(*arguments)

        def iteration(minibatches):
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return iterate(minibatches)

        return iteration

    monkeypatch.setattr(keeping, "SAVE_EVERY", 0.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "iteration", interrupted)
        train(epochs(3), tmp_path / "3", device, engine=how)
    assert len(runs.Run.load(tmp_path / "3").history) == 2
    resumed = train(epochs(3), tmp_path / "3", device)
    assert_same(whole, resumed)
    assert resumed.record["engine"] == how and "resumed" not in resumed.record


def counted(asked):
    """In `engine.compiled`'s place: nothing is compiled, each call is counted."""
    return lambda gradient: lambda *drawn: asked.append(1) or gradient(*drawn)


def test_a_run_keeps_its_engine_until_another_is_asked_for(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(engine, "compiled", counted(asked))
    monkeypatch.setattr(engine, "_compiler_works", lambda device: True)
    assert train(epochs(1), tmp_path).record["engine"] == "eager" and not asked
    resumed = train(epochs(2), tmp_path, engine="compiled").record
    assert len(asked) == 2 * 50  # gradients, and statistics
    assert resumed["engine"] == "eager"
    (there,) = resumed["resumed"]
    assert (there["after_epoch"], there["engine"]) == (1, "compiled")
    resumed = train(epochs(3), tmp_path).record
    assert len(asked) == 4 * 50 and resumed["resumed"] == [there]


def rewrite(folder, change):
    """Write the checkpoint in ``folder`` anew, with another record."""
    state = torch.load(folder / runs.CHECKPOINT, weights_only=True)
    with durable.sealed(folder / runs.CHECKPOINT) as file:
        torch.save(state | {"record": change(state["record"])}, file)


@pytest.mark.parametrize("kept", ["compiled", "graph"])
def test_a_run_goes_on_without_an_engine_that_does_not_work_here_and_says_so(tmp_path, monkeypatch, kept):
    train(epochs(1), tmp_path)
    rewrite(tmp_path, lambda record: record | {"engine": kept})
    monkeypatch.setattr(engine, "_compiler_works", lambda device: False)
    if kept == "compiled":
        with pytest.raises(ValueError, match="compiler") as error:
            train(epochs(2), tmp_path, engine="compiled")
        assert "\n" not in str(error.value)
    (resumed,) = train(epochs(2), tmp_path).record["resumed"]
    assert (resumed["after_epoch"], resumed["engine"]) == (1, "eager")


def test_a_run_without_an_engine_was_an_eager_one(tmp_path, monkeypatch):
    train(epochs(1), tmp_path)
    rewrite(tmp_path, lambda record: {key: value for key, value in record.items() if key != "engine"})
    monkeypatch.setattr(engine, "PAYS", {"cpu": 1})  # a new run would be compiled
    monkeypatch.setattr(engine, "_compiler_works", lambda device: True)
    monkeypatch.setattr(runs, "describe", lambda device: "another machine")
    (resumed,) = train(epochs(2), tmp_path).record["resumed"]
    assert resumed["engine"] == "eager"


# The choice


@pytest.mark.parametrize(
    ("device", "updates", "works", "expected"),
    [
        ("cpu", engine.PAYS["cpu"], True, "compiled"),
        ("cpu", engine.PAYS["cpu"] - 1, True, "eager"),
        ("cpu", engine.PAYS["cpu"], False, "eager"),
        ("cuda", engine.PAYS["cuda"], True, "compiled"),
        ("cuda", engine.PAYS["cuda"] - 1, True, "graph"),
        ("cuda", engine.PAYS["cuda"], False, "graph"),
        ("mps", 10**9, True, "eager"),
    ],
)
def test_the_engine_is_the_fastest_that_works_and_pays(monkeypatch, device, updates, works, expected):
    monkeypatch.setattr(engine, "_compiler_works", lambda device: works)
    assert engine.choose("auto", torch.device(device), updates) == expected
    assert engine.choose("eager", torch.device(device), updates) == "eager"


def test_a_compiler_that_fails_is_not_chosen(monkeypatch):
    def fail(function):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(engine, "_compiler_works", engine._compiler_works.__wrapped__)  # which asks each time
    monkeypatch.setattr(torch, "compile", fail)
    assert engine.choose("auto", CPU, engine.PAYS["cpu"]) == "eager"
    with pytest.raises(ValueError, match=r"'compiled': .* eager, compiled \(with a C\+\+ compiler"):
        engine.choose("compiled", CPU, 0)
    monkeypatch.setattr(torch, "compile", lambda function: function)
    assert engine.choose("auto", CPU, engine.PAYS["cpu"]) == "compiled"


@pytest.mark.parametrize(
    ("asked", "words"),
    [("fast", "'fast': it must be auto, eager, compiled .* or graph"), ("graph", r"graph \(on CUDA\)")],
)
def test_an_engine_that_is_not_there_is_refused_before_anything_is_written(tmp_path, asked, words):
    with pytest.raises(ValueError, match=words) as error:
        train(epochs(1), tmp_path / "run", engine=asked)
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


# CUDA graphs, with a stand-in for the graph


class Graph:
    """Like a CUDA graph: nothing happens when it is recorded, and it keeps the momenta of that moment."""

    def __init__(self, optimizers):
        self.optimizers, self.recorded = optimizers, 0

    def settings(self):
        return [{**group, "params": 0, "lr": 0} for o in self.optimizers for group in o.param_groups]

    def record(self, function):
        self.recorded += 1
        settings, result = self.settings(), torch.full((len(algorithm1.STATISTICS),), torch.nan)

        def replay():
            assert self.settings() == settings
            result.copy_(function())

        return replay, result


def recorded(recipe, monkeypatch, seen):
    """What makes `play` go by a recorded iteration; ``seen`` gets the graph and the minibatches' buffers."""

    def how(players):
        graph = Graph([players.g_optimizer, players.d_optimizer])
        monkeypatch.setattr(engine, "record", graph.record)
        monkeypatch.setattr(engine, "aside", lambda function: function())
        plain = partial(algorithm1.ITERATIONS[recipe.updates], players)

        def iterate(minibatches):
            if len(minibatches[-1]) == recipe.batch_size:  # no graph for an epoch's last, smaller one
                seen["buffers"].add(tuple(x.data_ptr() for x in minibatches))
            return plain(minibatches)

        seen["graph"], seen["buffers"] = graph, set()
        return engine.Recorded(iterate, players)

    return how


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"updates": "alternating", "k": 2},
        {"batch_size": 35},
        {"optimizer": "adam", "learning_rate": 2**-9, "learning_rate_decay": 2.0},
    ],
    ids=str,
)
def test_a_recorded_iteration_is_the_eager_one(monkeypatch, fields):
    recipe = epochs(3, momentum_epochs=2, **fields)
    seen = {}
    players, rows = play(recipe, recorded(recipe, monkeypatch, seen), epochs=3)
    eager, expected = play(recipe, "eager", epochs=3)
    assert torch.equal(rows, expected)
    assert torch.equal(flat(players.generator), flat(eager.generator))
    assert torch.equal(flat(players.discriminator), flat(eager.discriminator))
    # the momentum is 0.5, then 0.7, then 0.7
    assert seen["graph"].recorded == 2 and len(seen["buffers"]) == 1


def test_a_recorded_iterations_rate_is_a_number_that_is_filled_in(monkeypatch):
    recipe = epochs(2, learning_rate_decay=1.01, momentum_final=0.5)
    seen = {}
    players, _ = play(recipe, recorded(recipe, monkeypatch, seen), epochs=2)
    assert seen["graph"].recorded == 1
    for optimizer in (players.g_optimizer, players.d_optimizer):
        rate = optimizer.param_groups[0]["lr"]
        assert rate.dtype == torch.float32 and rate.item() == pytest.approx(0.1 / 1.01**99)


def test_what_a_graph_saved_goes_on_without_one(monkeypatch):
    """A checkpoint of a recorded run holds rates that are tensors."""
    for fields in ({}, {"optimizer": "adam", "learning_rate": 2**-9}):
        recipe = epochs(1, learning_rate_decay=1.0, **fields)
        graphed, _ = play(recipe, recorded(recipe, monkeypatch, {}))
        eager, _ = play(recipe, "eager")
        for name in ("g_optimizer", "d_optimizer"):
            getattr(eager, name).load_state_dict(copy.deepcopy(getattr(graphed, name).state_dict()))
        before = flat(eager.generator)
        x, z = torch.rand(5, 1, 8, 8), eager.generator.draw_noise(5)
        masks = eager.discriminator.draw_masks(10)
        for players in (graphed, eager):
            algorithm1.simultaneous_step(players, x, z, masks)
        assert torch.equal(flat(eager.generator), flat(graphed.generator))
        assert not torch.equal(flat(eager.generator), before)


# Many processes


@pytest.mark.parametrize("updates", ["simultaneous", "alternating"])
def test_the_mean_of_the_parts_gradients_is_the_whole_minibatchs(monkeypatch, updates):
    players, _, _ = ours_and_plain(*SMALL)
    x, z = torch.rand(6, 1, 8, 8), players.generator.draw_noise(6)
    masks, fewer = (players.discriminator.draw_masks(n) for n in (12, 6))

    def gradients():
        taken = []
        twin = engine.iteration(players, updates, "eager", CPU).args[0]
        monkeypatch.setattr(engine, "average", lambda gradient: gradient)
        monkeypatch.setattr(algorithm1, "move", lambda optimizer, gradient, max_norm: taken.extend(gradient))
        if updates == "simultaneous":
            algorithm1.simultaneous_step(twin, x, z, masks)
        else:
            algorithm1.discriminator_step(twin, x, z, masks)
            algorithm1.generator_step(twin, z, fewer)
        return torch.cat([g.flatten() for g in taken])

    whole, parts = gradients(), []
    monkeypatch.setattr(engine, "processes", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr(engine.dist, "get_rank", lambda rank=rank: rank)
        parts.append(gradients())
    torch.testing.assert_close(torch.stack(parts).mean(0), whole, rtol=1e-4, atol=1e-7)
    assert (parts[0] - whole).norm() > 0.1 * whole.norm()


SCRIPT = """
import sys
from gan.__main__ import main
for updates in ("simultaneous", "alternating"):
    for epochs in ("1", "2"):
        fields = {"updates": updates, "epochs": epochs, "batch_size": 350, "d_init": 0.1}
        options = [word for field, value in fields.items() for word in ("-p", field, str(value))]
        out = f"{sys.argv[1]}/{updates}"
        assert main(["train", "digits", *options, "--device", "cpu", "--out", out]) == 0
"""


@pytest.mark.slow
def test_two_processes_train_the_run_of_one(tmp_path):
    """Each form is trained for an epoch, stopped, and gone on with."""
    (tmp_path / "script.py").write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, tmp_path / "script.py", tmp_path], capture_output=True, text=True, env=one_thread
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("recipe digits") == 4  # of the two processes one speaks
    for updates in ("simultaneous", "alternating"):
        fields = {"updates": updates, "batch_size": 350, "d_init": 0.1}
        one = train(gan.recipe("digits", epochs=2, **fields), tmp_path / "one" / updates)
        two = runs.Run.load(tmp_path / updates)
        assert two.finished and two.record["device"].startswith("2 × CPU")
        assert apart(two.generator, one.generator) <= 1e-4
        assert apart(two.discriminator, one.discriminator) <= 1e-4
        shown = [run.history.drop(columns="seconds") for run in (two, one)]
        pd.testing.assert_frame_equal(*shown, rtol=1e-4)


def test_a_minibatch_that_cannot_be_shared_equally_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert main(["train", "digits", "--out", str(tmp_path / "run")]) == 2
    out, err = capsys.readouterr()
    assert not out and err == "gan: batch_size = 50 cannot be shared equally by 3 processes\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_every_new_shape_is_compiled(monkeypatch):
    """torch.compile gives up, with a log line alone, after 8 programs of one function."""
    programs = []
    real = torch.compile

    def by(graph, inputs):
        programs.append(1)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda f, **options: real(f, backend=by, **options))
    torch.compiler.reset()
    images = data.load("digits").x_train
    for batch_size in range(20, 29):
        players = training.make_players(gan.recipe("digits", **DIGITS), images, CPU)
        iterate = engine.iteration(players, "simultaneous", "compiled", CPU)
        iterate([torch.rand(batch_size, 1, 8, 8)])
    torch.compiler.reset()
    assert len(programs) == 2 * 9  # of both gradients, and of the statistics


def test_a_run_of_before_there_were_engines_goes_on(tmp_path):
    recipe = gan.recipe("digits", epochs=1, **DIGITS)
    gan.train(recipe, tmp_path, device="cpu", progress=False)
    record = json.loads((tmp_path / "run.json").read_text())
    del record["engine"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    longer = recipe.model_copy(update={"epochs": 2})
    assert gan.train(longer, tmp_path, device="cpu", progress=False).finished


@pytest.mark.slow
def test_what_many_processes_refuse_is_one_line(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    (tmp_path / "script.py").write_text(
        "import sys; from gan.__main__ import main; print(main(sys.argv[1:]))"
    )
    command = [*launch, tmp_path / "script.py", "train", "digits", "--device", "cpu", "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert "".join(done.stdout.split()) == "22", done.stderr
    assert done.stderr.count("files that are no run's") == 1 and "Traceback" not in done.stderr
