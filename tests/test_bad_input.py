"""What people and programs give by mistake: each is answered in one line that says what would be right."""

import io
import math
import re
import struct
import time
import warnings
import zipfile
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reliability import record

import gan
from gan import parzen
from gan.__main__ import main, typed
from gan.book import places
from gan.book.opening import check_parameters, image_recipe

TOLD = (ValueError, OSError, FloatingPointError, MemoryError)  # what the command line tells in one line
PLAIN = "can't be a name: it must be one plain word: letters, digits, - _ . ="


def refused(call, line, kinds=TOLD):
    """``call`` is refused with exactly this ``line``; … at its end stands for any rest."""
    with pytest.raises(kinds) as error:
        call()
    said = str(error.value)
    assert "\n" not in said and len(said) < 3000
    assert said.startswith(line[:-1]) if line.endswith("…") else said == line, said


# A recipe's fields

TOO_SMALL, TOO_LARGE = "Input should be greater than or equal to", "Input should be less than"
ABOVE, WHOLE, FINITE = (
    "Input should be greater than",
    "Input should be a valid integer",
    "Input should be a fin…",
)
TUPLE, TEXT = "Input should be a valid tuple", "Input should be a valid string"
ENDS = 'scaling = {}, g_output = {}: "signed" and "tanh" go together, and "gcn" needs "linear"'
ACTIVATION = "each layer needs one activation"
FIELDS = [
    ({"epochs": 0}, f"epochs = 0: {TOO_SMALL} 1"),
    ({"epochs": -1}, f"epochs = -1: {TOO_SMALL} 1"),
    ({"epochs": 1.5}, f"epochs = 1.5: {WHOLE}, got a number with a fractional part"),
    ({"epochs": "x"}, f"epochs = 'x': {WHOLE}, unable to parse string as an integer"),
    ({"epochs": True}, "epochs = True: a truth value is none of a recipe's values"),
    ({"epochs": np.True_}, "epochs = np.True_: a truth value is none of a recipe's values"),
    ({"epochs": 2**31}, f"epochs = {2**31}: {TOO_LARGE} {2**31}"),
    ({"epochs": 10**400}, "epochs = 1000…"),
    ({"epochs": math.nan}, f"epochs = nan: {FINITE}"),
    ({"epochs": [1]}, f"epochs = [1]: {WHOLE}"),
    ({"epochs": {}}, "epochs = {}: " + WHOLE),
    ({"epochs": 1 + 0j}, f"epochs = (1+0j): {WHOLE}"),
    ({"batch_size": 0}, f"batch_size = 0: {TOO_SMALL} 1"),
    ({"k": 0}, f"k = 0: {TOO_SMALL} 1"),
    ({"k": 2}, "k = 2, updates = 'simultaneous': …"),
    ({"valid": -1}, f"valid = -1: {TOO_SMALL} 0"),
    ({"seed": -1}, f"seed = -1: {TOO_SMALL} 0"),
    ({"seed": 2**64}, f"seed = {2**64}: {TOO_LARGE} {2**64}"),
    ({"seed": "0x10"}, f"seed = '0x10': {WHOLE}, unable to parse string as an integer"),
    ({"seed": 1e30}, "seed = 1e+30: Unable to parse input string as an integer, exceeded maximum size"),
    ({"noise_size": "a" * 100_000}, "noise_size = 'aaa…"),
    ({"learning_rate": 0}, f"learning_rate = 0: {ABOVE} 0"),
    ({"learning_rate": -1}, f"learning_rate = -1: {ABOVE} 0"),
    ({"learning_rate": math.inf}, f"learning_rate = inf: {FINITE}"),
    ({"learning_rate": 10**400}, "learning_rate = 1000…"),
    ({"learning_rate": "1e999"}, f"learning_rate = '1e999': {FINITE}"),
    ({"learning_rate_decay": 0.5}, f"learning_rate_decay = 0.5: {TOO_SMALL} 1"),
    ({"conv_rate": 0.5}, "conv_rate = 0.5, d_conv = (), g_deconv = None: there is no convolutional layer"),
    ({"learning_rate_floor": -1}, f"learning_rate_floor = -1: {TOO_SMALL} 0"),
    ({"momentum": 1}, f"momentum = 1: {TOO_LARGE} 1"),
    ({"momentum": math.nan}, f"momentum = nan: {FINITE}"),
    ({"momentum_final": -0.1}, f"momentum_final = -0.1: {TOO_SMALL} 0"),
    ({"beta2": 1.0}, f"beta2 = 1.0: {TOO_LARGE} 1"),
    ({"ema": 1}, f"ema = 1: {TOO_LARGE} 1"),
    ({"dropout_input": 1.0}, f"dropout_input = 1.0: {TOO_LARGE} 1"),
    ({"dropout_hidden": -0.5}, f"dropout_hidden = -0.5: {TOO_SMALL} 0"),
    ({"max_norm": -1}, f"max_norm = -1: {TOO_SMALL} 0"),
    ({"g_bias_init": math.nan}, "g_bias_init = nan: Input should be …"),
    ({"dataset": "../x"}, f"dataset = '../x': '../x' {PLAIN}"),
    ({"dataset": "/etc/passwd"}, f"dataset = '/etc/passwd': '/etc/passwd' {PLAIN}"),
    ({"dataset": "x\0"}, f"dataset = 'x\\x00': 'x\\x00' {PLAIN}"),
    ({"dataset": "x" * 300}, "dataset = 'xxx…"),
    ({"dataset": 5}, f"dataset = 5: {TEXT}"),
    ({"dataset": "<b>x</b>"}, f"dataset = '<b>x</b>': '<b>x</b>' {PLAIN}"),
    ({"scaling": "x"}, "scaling = 'x': Input should be 'unit', 'signed' or 'gcn'"),
    ({"scaling": "gcn"}, ENDS.format("'gcn'", "'sigmoid'")),
    ({"g_output": "tanh"}, ENDS.format("'unit'", "'tanh'")),
    ({"noise": "cauchy"}, "noise = 'cauchy': Input should be 'uniform' or 'gaussian'"),
    ({"loss": "hinge"}, "loss = 'hinge': Input should be 'minimax' or 'non_saturating'"),
    ({"optimizer": "adamw"}, "optimizer = 'adamw': Input should be 'sgd' or 'adam'"),
    ({"precision": "fp16"}, "precision = 'fp16': Input should be 'fp32' or 'bf16'"),
    ({"updates": ""}, "updates = '': Input should be 'alternating' or 'simultaneous'"),
    ({"g_batch_norm": "yes"}, "g_batch_norm = 'yes': Input should be 'none', 'meant' or 'written'"),
    ({"g_hidden": ()}, f"g_hidden = (), g_activations = ('relu', 'relu'): {ACTIVATION}"),
    ({"g_hidden": 5}, f"g_hidden = 5: {TUPLE}"),
    ({"g_hidden": "128"}, f"g_hidden = '128': {TUPLE}"),
    ({"g_hidden": (0, 1)}, f"g_hidden.0 = 0: {TOO_SMALL} 1"),
    ({"g_hidden": [[1], 2]}, f"g_hidden.0 = [1]: {WHOLE}"),
    ({"g_hidden": (128,) * 100_000}, "g_hidden = (128, 128, 128, …"),
    ({"g_activations": ("relu", "tan")}, "g_activations.1 = 'tan': Input should be 'relu', 'leaky_relu', …"),
    ({"d_pieces": 0}, f"d_pieces = 0: {TOO_SMALL} 1"),
    ({"d_activation": "leaky_relu"}, "d_activation = 'leaky_relu', d_pieces = 5: only maxout has…"),
    ({"d_conv": (1,)}, f"d_conv.0 = 1: {TUPLE}"),
    (
        {"d_conv": ((1, 1, 1, 0, 1, 2),)},
        "d_conv = ((1, 1, 1, 0, 1, 2),): a stride must not be larger than its pool",
    ),
    ({"g_deconv": (1, 2)}, "g_deconv.2 = (1, 2): Field required"),
    (
        {"g_deconv": (8, 5, 3), "g_output_sparse": 1},
        "g_deconv = (8, 5, 3), g_output_sparse = 1: the one does not go with the other",
    ),
    ({"g_output_sparse": 1000}, "g_output_sparse = 1000: an output has 128 weights"),
    ({"second_stage_after": 2}, "g_front = (), second_stage_after = 2: a second stage needs both"),
    ({"g_front": (3,)}, f"g_front = (3,), g_front_activations = (): {ACTIVATION}"),
    (
        {"g_front": (3,), "g_front_activations": ("relu",), "second_stage_after": 1},
        "g_front = (3,), noise_size = 20: the last added layer takes z's place",
    ),
    ({"g_init": "torch"}, "g_init.…"),
    ({"d_init": 0}, "d_init.…"),
]


@pytest.mark.parametrize(("fields", "line"), FIELDS, ids=[f"{[*f]} {i}" for i, (f, _) in enumerate(FIELDS)])
def test_a_field_out_of_its_range_is_refused(fields, line):
    refused(lambda: gan.recipe("digits", **fields), f"recipe 'digits': {line}", ValueError)


THERE = "there are: mnist, mnist-alternating, tfd, faces, cifar10, cifar10-conv, digits, pytorch-gan, figure1"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("nosuch", ""),
        ("", ""),
        (None, ""),
        (5, ""),
        ("mnist\n", "mnist"),
        ("MNIST", "mnist"),
        ("<i>", ""),
        ("digit", "digits"),
    ],
)
def test_an_unknown_recipe_is_refused(name, near):
    told = f"did you mean {near}?" if near else THERE
    refused(lambda: gan.recipe(name), f"there is no recipe {name!r}; {told}", ValueError)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("epoch", "'epoch'; did you mean epochs?"),
        ("a\nb", "'a\\nb'; there are: …"),
        ("name", "'name'; there are: …"),
        ("run", "'run'; there are: …"),
    ],
)
def test_an_unknown_field_is_refused(field, told):
    refused(lambda: gan.recipe("digits", **{field: 3}), f"there is no recipe field {told}", ValueError)


def test_a_rate_that_falls_faster_than_numbers_reach_ends_at_its_floor():
    recipe = gan.recipe("digits", learning_rate_decay=1e300)
    assert recipe.learning_rate_at(5) == recipe.learning_rate_floor


# Names

NAMES = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/etc",
    "a\\b",
    "x\0y",
    "x\n",
    " x",
    "-x",
    "~",
    "$HOME",
    "<b>",
    "a b",
    "x" * 201,
    "\ud800",
    None,
    5,
    b"x",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("use", ["data", "published", "publish"])
def test_a_name_that_is_no_plain_word_leads_nowhere(tmp_path, name, use):
    call = {
        "data": lambda: gan.data.load(name, tmp_path),
        "published": lambda: gan.published(name),
        "publish": lambda: places.name_of_run(name),
    }[use]
    told = f"{name!r:.90}"
    refused(call, f"{told} {PLAIN}", ValueError)


# Figures

X = torch.full((5, 4), 0.5)
WIDTHS = "one or more from 1e-15 to 1e+15 are needed"
FLOATS = "it must be (n, …), not empty, of floats, or uint8 from 0 to 255"
POINTS = {
    f"sigma = [0]: {WIDTHS}": lambda: parzen.log_likelihood(X, X, 0),
    f"sigma = [nan]: {WIDTHS}": lambda: parzen.log_likelihood(X, X, math.nan),
    f"sigma = [-1]: {WIDTHS}": lambda: parzen.log_likelihood(X, X, -1),
    f"sigma = []: {WIDTHS}": lambda: parzen.log_likelihoods(X, X, []),
    "x has 4 values per point and samples 3: they must agree": lambda: parzen.log_likelihood(X, X[:, 1:], 1),
    f"x is torch.float32 of shape (4,): {FLOATS}": lambda: parzen.log_likelihood(X[0], X, 1),
    f"x is torch.float32 of shape (0, 4): {FLOATS}": lambda: parzen.log_likelihood(X[:0], X, 1),
    f"samples is torch.float32 of shape (5, 0): {FLOATS}": lambda: parzen.log_likelihood(X, X[:, :0], 1),
    "x has values that are NaN or infinite: all must be finite": lambda: parzen.log_likelihood(X / 0, X, 1),
    f"x is torch.int64 of shape (5, 4): {FLOATS}": lambda: parzen.log_likelihood((X * 18).long(), X, 1),
    f"samples is torch.complex64 of shape (5, 4): {FLOATS}": lambda: parzen.log_likelihood(X, X * 1j, 1),
    "split = 'train': it must be test or valid": lambda: parzen.estimate(
        gan.recipe("digits"), X, split="train"
    ),
    "x has 4 values per point and samples 64: they must agree": lambda: parzen.log_likelihood(
        X, torch.rand(3, 1, 8, 8), 1
    ),
}


@pytest.mark.parametrize("line", POINTS)
def test_points_that_have_no_likelihood_are_refused(line):
    refused(POINTS[line], line, ValueError)


# Training

DEVICES = "here it must be one of auto, …"
ENGINES = "it must be auto, eager, compiled (with a C++ compiler, on a GPU with Triton) or graph (on CUDA)"
HOW = [
    ({"device": "gpu"}, f"device = 'gpu': {DEVICES}"),
    ({"device": ""}, f"device = '': {DEVICES}"),
    ({"device": "meta"}, f"device = 'meta': {DEVICES}"),
    ({"device": "cuda:99"}, f"device = 'cuda:99': {DEVICES}"),
    ({"engine": "fast"}, f"engine = 'fast': {ENGINES}"),
    ({"engine": None}, f"engine = None: {ENGINES}"),
    ({"averages": [1.5]}, "averages = 1.5: a decay is at least 0 and less than 1"),
    ({"averages": [-1]}, "averages = -1: a decay is at least 0 and less than 1"),
    ({"averages": [math.nan]}, "averages = nan: a decay is at least 0 and less than 1"),
    ({"start": "nosuch"}, "nosuch is no run: it has no run.json"),
    ({"batch_size": 5000}, "batch_size = 5000 with k = 1 needs 5000 training images; digits has 1200"),
    ({"valid": 1500}, "valid = 1500: digits has 1500 training images; hold out 0 to 1499"),
    ({"dataset": "nosuch"}, "there is no data set 'nosuch'; there are: mnist, …"),
    (
        {"dataset": "mine", "data_dir": "nosuch"},
        "there is no data folder nosuch: name one that is there, or …",
    ),
    ({"g_deconv": (8, 5, 3)}, "g_deconv = (8, 5, 3) makes (1, 8, 8) of 32 units, not 128"),
    ({"d_conv": ((4, 2, 30, 0, 2, 2),)}, "d_conv = (4, 2, 30, 0, 2, 2) does not fit on (1, 8, 8)"),
    (
        {"noise_size": 2**31 - 1, "g_hidden": (2**31 - 1, 1)},
        "cpu has too little memory: smaller networks need less",
    ),
]


@pytest.mark.parametrize(("how", "line"), HOW, ids=[f"{i} {', '.join(h)}" for i, (h, _) in enumerate(HOW)])
def test_what_cannot_be_trained_is_refused_and_leaves_nothing(tmp_path, monkeypatch, how, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_DATA_DIR", str(tmp_path))
    fields = {field: how.pop(field) for field in [*how] if field in gan.Recipe.model_fields}
    refused(lambda: gan.train(gan.recipe("digits", **fields), "run", progress=False, **how), line)
    assert not [*tmp_path.iterdir()]
    how |= fields  # the parameters are shared


# The command line

NEEDED = "the following arguments are required:"
COMMANDS = {
    "": f"{NEEDED} command (gan --help)",
    "--nosuch": f"{NEEDED} command (gan --help)",
    "nosuch": "argument command: invalid choice: 'nosuch' (choose from 'train', 'evaluate', …",
    "trian digits": "argument command: invalid choice: 'trian' (choose from 'train', 'evaluate', …",
    "train": f"{NEEDED} recipe (gan train --help)",
    "train nosuch": f"there is no recipe 'nosuch'; {THERE}",
    "train digit": "there is no recipe 'digit'; did you mean digits?",
    "train digits -p": "argument -p: expected 2 arguments (gan train --help)",
    "train digits -p epochs": "argument -p: expected 2 arguments (gan train --help)",
    "train digits -p epochs 1 2": "unrecognized arguments: 2 (gan --help)",
    "train digits -p epochs x": "recipe 'digits': epochs = 'x': Input should be a valid integer, unable to …",
    "train digits -p epochs True": "recipe 'digits': epochs = True: a truth value is none of a recipe's …",
    "train digits -p epochs 0": "recipe 'digits': epochs = 0: Input should be greater than or equal to 1",
    "train digits -p epoch 1": "there is no recipe field 'epoch'; did you mean epochs?",
    "train digits -p run x": "there is no recipe field 'run'; there are: dataset, …",
    "train digits -p g_hidden [64,64": "recipe 'digits': g_hidden = '[64,64': Input should be a valid tuple",
    "train digits -p g_hidden [64,x]": "recipe 'digits': g_hidden.1 = 'x': Input should be a valid …",
    "train digits -p g_hidden ((((": "recipe 'digits': g_hidden = '((((': Input should be a valid tuple",
    "train digits -p seed 1is": "recipe 'digits': seed = '1is': Input should be a valid integer, …",
    f"train digits -p seed {10**20}": f"recipe 'digits': seed = {10**20}: Input should be less than {2**64}",
    "train digits -p dataset ../x": f"recipe 'digits': dataset = '../x': '../x' {PLAIN}",
    "train digits -p dataset nosuch": "there is no data set 'nosuch'; there are: mnist, …",
    "train digits -p valid 1500": "valid = 1500: digits has 1500 training images; hold out 0 to 1499",
    "train digits --out afile": "afile is a file; a run needs a folder of its own",
    "train digits --out .": ". holds files that are no run's: choose a new folder",
    "train digits --device gpu": f"device = 'gpu': {DEVICES}",
    "train digits --device cuda:77": f"device = 'cuda:77': {DEVICES}",
    "train digits --engine x": f"engine = 'x': {ENGINES}",
    "train digits --average 1.5": "averages = 1.5: a decay is at least 0 and less than 1",
    "train digits --average nan": "averages = nan: a decay is at least 0 and less than 1",
    "train digits --average x": "argument --average: invalid float value: 'x' (gan train --help)",
    "train digits --from nosuch": "nosuch is no run: it has no run.json",
    "train digits --overwrite=1": "argument --overwrite: ignored explicit argument '1' (gan train --help)",
    "train digits --nosuch": "unrecognized arguments: --nosuch (gan --help)",
    "train digits extra": "unrecognized arguments: extra (gan --help)",
    "train mnist --data-dir nosuch": "there is no data folder nosuch: name one that is there, or …",
    "train mnist --data-dir afile": "there is no data folder afile: name one that is there, or make it first",
    "train tfd --data-dir .": "tfd: there is no TFD_48x48.mat, and it is not public; the recipe faces …",
    "evaluate": f"{NEEDED} folder (gan evaluate --help)",
    "evaluate nosuch": "nosuch is no run: it has no run.json",
    "evaluate afile": "afile is no run: it has no run.json",
    "evaluate .": ". is no run: it has no run.json",
    "evaluate . --z-seed x": "argument --z-seed: invalid int value: 'x' (gan evaluate --help)",
    "evaluate . --average x": "argument --average: invalid float value: 'x' (gan evaluate --help)",
    "publish": f"{NEEDED} folder, name (gan publish --help)",
    "publish .": f"{NEEDED} name (gan publish --help)",
    "publish nosuch x": "nosuch is no run: it has no run.json",
    "record .": f"{NEEDED} --end (gan record --help)",
    "record . --end x": ". is no run: it has no run.json",
    "sweep": f"{NEEDED} recipe (gan sweep --help)",
    "sweep digits": "there is nothing to sweep in {}: it takes fields, and values of each",
    "sweep nosuch --follow": f"there is no recipe 'nosuch'; {THERE}",
    "sweep digits --follow --every 0": "every = 0: it must be a number of epochs, at least 1",
    "sweep digits --every x": "argument --every: invalid int value: 'x' (gan sweep --help)",
    "sweep digits --follow --results afile": "afile is a file: the scores need a folder",
    "yardsticks": f"{NEEDED} recipe (gan yardsticks --help)",
    "yardsticks nosuch": f"there is no recipe 'nosuch'; {THERE}",
    "yardsticks digits -n 0": "n = 0: of 1200 training images from 1 to 1200 stand-ins come",
    "yardsticks digits -n 99999": "n = 99999: of 1200 training images from 1 to 1200 stand-ins come",
    "yardsticks figure1": "recipe 'figure1' has no images: yardsticks are made of images",
    "bench nosuch": "there is no row nosuch; there are: …",
    "bench --rounds 0": "--rounds 0: at least one is needed, five for a median",
}


@pytest.fixture
def stand(checkout, monkeypatch):
    """A folder with one file in it that is no run's, where nothing may be changed."""
    monkeypatch.setenv("GAN_DATA_DIR", str(checkout))
    (checkout / "afile").write_text("x")
    yield checkout
    there = [path.name for path in checkout.rglob("*")]
    assert sorted(there) == ["afile", "book", "results"] and (checkout / "afile").read_text() == "x"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_cannot_be_is_answered_in_one_line(stand, capsys, command):
    line = COMMANDS[command]
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and err.startswith("gan: ")
    said = err.removeprefix("gan: ").removesuffix("\n")
    assert said.startswith(line[:-1]) if line.endswith("…") else said == line, said


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["train", "a\nb"], f"gan: there is no recipe 'a\\nb'; {THERE}\n"),
        (["train", "\udc80"], f"gan: there is no recipe '\\udc80'; {THERE}\n"),
        (["\0"], "gan: argument command: invalid choice: '\\x00' (choose from 'train', 'evaluate', …"),
        (["train", "digits", "-p", "a\nb", "1"], "gan: there is no recipe field 'a\\nb'; there are: …"),
        (["train", "digits", "-p", "epochs", "9" * 5000], "gan: recipe 'digits': epochs = '9999…"),
        (["train", "digits", "-p", "g_hidden", "[" * 5000], "gan: recipe 'digits': g_hidden = '[[[[…"),
        (["evaluate", "a" * 5000], "gan: [Errno 36] File name too long: 'aaa…"),
    ],
)
def test_words_of_any_kind_and_length_are_answered_in_one_line(stand, capsys, words, line):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and (err.startswith(line[:-1]) if line.endswith("…") else err == line), err


# Parameters of notebooks

WHOLE_1 = "it must be a whole number from 1 on"
PARAMETERS = [
    ("x = 1", {"n": (1, 1)}, "this notebook has no parameter x; it has: n, r"),
    ("n, m = 1, 2\nz = 3", {}, "this notebook has no parameter z; it has: n, r"),
    ("run = '../../x'", {}, "this notebook has no parameter run; it has: n, r"),
    ("n = 0", {"n": (0, 1)}, f"n = 0: {WHOLE_1}"),
    ("n = 2.0", {"n": (2.0, 1)}, f"n = 2.0: {WHOLE_1}"),
    ("n = True", {"n": (True, 1)}, f"n = True: {WHOLE_1}"),
    ("n = '3'", {"n": ("3", 1)}, f"n = '3': {WHOLE_1}"),
    ("n = None", {"n": (None, 1)}, f"n = None: {WHOLE_1}"),
    ("n = [1]", {"n": ([1], 1)}, f"n = [1]: {WHOLE_1}"),
    ("n = 10", {"n": (10, 1, 9)}, "n = 10: it must be a whole number from 1 to 9"),
    ("r = 0.0", {"r": (0.0, 0.0)}, "r = 0.0: it must be a finite number above 0"),
    ("r = inf", {"r": (math.inf, 0.0)}, "r = inf: it must be a finite number above 0"),
    ("r = nan", {"r": (math.nan, 0.0)}, "r = nan: it must be a finite number above 0"),
    ("r = 1.0", {"r": (1.0, 0.0, 1.0)}, "r = 1.0: it must be a number between 0 and 1"),
    ("r = 'x'", {"r": ("x", 0.0, 1.0)}, "r = 'x': it must be a number between 0 and 1"),
    ("n = 'c'", {"n": ("c", ["a", "b"])}, "n = 'c': it must be one of: a, b"),
    ("n = '<script>'", {"n": ("<script>", ["a", "b"])}, "n = '<script>': it must be one of: a, b"),
    ("n = 'gpu'", {"n": ("gpu", gan.engine.pick_device)}, f"device = 'gpu': {DEVICES}"),
]
OF_IMAGES = "mnist, mnist-alternating, tfd, faces, cifar10, cifar10-conv, digits, pytorch-gan"
IMAGES = f"here it must be one of images: {OF_IMAGES}"
RECIPES = [
    ("nosuch", {}, f"recipe = 'nosuch': {IMAGES}"),
    ("figure1", {}, f"recipe = 'figure1': {IMAGES}"),
    (None, {}, f"recipe = None: {IMAGES}"),
    (5, {}, f"recipe = 5: {IMAGES}"),
    ("../x", {}, f"recipe = '../x': {IMAGES}"),
    ("digits", {"dataset": "ring"}, "dataset = 'ring' has points; here it must be one of images"),
    ("digits", {"dataset": "../x"}, f"recipe 'digits': dataset = '../x': '../x' {PLAIN}"),
    (
        "digits",
        {"epochs": True},
        "recipe 'digits': epochs = True: a truth value is none of a recipe's values",
    ),
    ("digits", {"epochs": "<b>"}, "recipe 'digits': epochs = '<b>': Input should be a valid integer, …"),
]


@pytest.mark.parametrize(("injected", "checks", "line"), PARAMETERS, ids=[p[0] for p in PARAMETERS])
def test_parameters_that_a_notebook_cannot_have_are_refused(injected, checks, line):
    cells = ["", "n = 1\nr = 0.5\n", f"# Parameters\n{injected}\n"]
    refused(lambda: check_parameters(cells, **checks), line, ValueError)


@pytest.mark.parametrize(("name", "fields", "line"), RECIPES, ids=[f"{r[0]} {r[1]}" for r in RECIPES])
def test_recipes_that_a_notebook_cannot_play_are_refused(name, fields, line):
    refused(lambda: image_recipe(name, {}, **fields), line, ValueError)


# Data files


def images():
    x = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    return {"x_train": x[:20], "y_train": np.arange(20) % 10, "x_test": x[20:], "y_test": np.arange(10)}


def member(header, values=b""):
    """A .npy file with this dictionary as its header, as it stands."""
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + values


def told(shape="(20, 28, 28)", descr="'|u1'", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


SIZE = 20 * 28 * 28
CONTENT = bytes(range(256)) * 62
FILES = [
    (lambda a: a.pop("x_train"), "has no x_train: it must hold x_train, y_train, x_test, y_test"),
    (lambda a: a.clear(), "has no x_train, y_train, x_test, y_test: it must hold …"),
    (lambda a: a.update(x_train=a["x_train"] / 255), ": x_train is float64 (20, 28, 28); it must be uint8 …"),
    (
        lambda a: a.update(x_test=a["x_test"].astype(int)),
        ": x_test is int64 (10, 28, 28); it must be …",
    ),
    (lambda a: a.update(x_test=a["x_test"][0]), ": x_test is uint8 (28, 28); it must be uint8 (n, 28, 28)"),
    (lambda a: a.update(x_test=a["x_test"][:0]), ": x_test is uint8 (0, 28, 28); it must be uint8 (n, 28, …"),
    (lambda a: a.update(y_test=np.arange(9)), ": y_test is int64 (9,); it must be 10 integers"),
    (lambda a: a.update(y_test=np.eye(10)), ": y_test is float64 (10, 10); it must be 10 integers"),
    (lambda a: a.update(y_test=np.arange(10) / 2), ": y_test is float64 (10,); it must be 10 integers"),
    (lambda a: a.update(y_train=np.full(20, "a")), ": y_train is <U1 (20,); it must be 20 integers"),
    (lambda a: a.update(y_test=np.full(10, None)), "is damaged (y_test.npy is object (10,) by its header, …"),
    (lambda a: a.update(x_train=member("")), "is damaged (…"),
    (lambda a: a.update(x_train=b"\x93NUMPY"), "is damaged (EOF: …"),
    (lambda a: a.update(x_train=b"no array at all"), "is damaged (the magic string is not correct…"),
    (
        lambda a: a.update(x_train=member(told("(9, 28, 28)"), CONTENT[:SIZE])),
        f"is damaged (x_train.npy is uint8 (9, 28, 28) by its header, and has {SIZE} bytes): put back a copy",
    ),
    (
        lambda a: a.update(x_train=member(told("(21, 28, 28)"), CONTENT[:SIZE])),
        f"is damaged (x_train.npy is uint8 (21, 28, 28) by its header, and has {SIZE} bytes): …",
    ),
    (lambda a: a.update(x_train=member(told(f"({2**62}, 28, 28)"))), "is damaged (x_train.npy is uint8 (46…"),
    (lambda a: a.update(x_train=member(told("(-20, 28, 28)"))), "is damaged (…"),
    (lambda a: a.update(x_train=member(told("(-20, -28, 28)"), CONTENT[:SIZE])), "is damaged (…"),
    (lambda a: a.update(x_train=member(told("(20., 28, 28)"))), "is damaged (shape is not valid…"),
    (lambda a: a.update(x_train=member(told(descr="'|u9'"))), "is damaged (descr is not a valid…"),
    (lambda a: a.update(x_train=member(told(order="7"))), "is damaged (fortran_order is not a …"),
    (lambda a: a.update(x_train=member("[" * 9000)), "is damaged (…"),
    (lambda a: a.update(x_train=member("print('here')")), "is damaged (malformed node or string …"),
    (lambda a: a.update(x_train=b"\x93NUMPY\2\0" + member(told())[8:10] + bytes(9)), "is damaged (…"),
    (lambda a: a.update(x_train=b"\x93NUMPY\3\0" + bytes(9)), "is damaged (…"),
]


@pytest.mark.parametrize(("spoil", "line"), FILES, ids=range(len(FILES)))
def test_a_data_file_that_is_not_as_it_must_be_is_refused(tmp_path, capfd, spoil, line):
    path, arrays = tmp_path / "mnist.npz", images()
    spoil(arrays)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                file.write(array) if isinstance(array, bytes) else np.save(file, array)
    between = "" if line.startswith(":") else " "
    refused(lambda: gan.data.load("mnist", tmp_path), f"{path}{between}{line}", ValueError)
    assert capfd.readouterr() == ("", "")


def test_a_data_file_whose_images_are_in_another_order_in_memory_is_the_same(tmp_path):
    arrays = images()
    np.savez(tmp_path / "mnist.npz", **arrays)
    one = gan.data.load("mnist", tmp_path)
    arrays["x_train"] = np.asfortranarray(arrays["x_train"])
    arrays["y_train"] = arrays["y_train"].astype(">i8")
    np.savez_compressed(tmp_path / "mnist.npz", **arrays)
    assert gan.data.load("mnist", tmp_path).digest == one.digest


# What nobody thought of

EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(EXAMPLES, max_examples=3000)
ODD = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["None", "True", "[1,2]", "(1,)", "relu", "1e1", "-0.0", "nan", "0x1", "{}", "1_0", "٣", "1" * 400]
    ),
    st.integers().map(str),
    st.floats().map(str),
    st.lists(st.integers(-2, 300), max_size=3).map(str),
)
FIELD = st.sampled_from([*gan.Recipe.model_fields][1:])


def valid_or_one_line(field, text):
    """Whether it makes a recipe, valid, and again the same from its record; else one line names the field."""
    try:
        with warnings.catch_warnings(action="error"):
            made = gan.recipe("digits", **{field: typed(text)})
    except ValueError as error:
        assert not re.search(r"[\n\r]", str(error)) and len(str(error)) < 3000
        assert field.split("_")[0] in str(error)
        return False
    assert gan.recipe("digits", **gan.recipes.changes(made)) == made
    assert gan.recipes.parse(made.model_dump(mode="json")) == made
    return True


@pytest.mark.slow
@EXAMPLES
@given(FIELD, ODD)
def test_any_text_for_any_field_makes_a_recipe_or_one_line(field, text):
    valid_or_one_line(field, text)


@pytest.mark.soak
def test_many_more_texts_for_any_field():
    start, counts = time.monotonic(), {True: 0, False: 0}

    @MANY
    @given(FIELD, ODD)
    def play(field, text):
        counts[valid_or_one_line(field, text)] += 1

    play()
    cases, seconds = sum(counts.values()), round(time.monotonic() - start)
    assert cases >= 1000 and counts[False] and counts[True]
    record("bad input", cases=cases, detected=counts[False], harmless=counts[True], seconds=seconds)


WORDS = st.one_of(
    st.text(max_size=9).filter(lambda word: word not in ("-h", "--h") and not word.startswith("--he")),
    st.sampled_from(["train", "evaluate", "publish", "record", "digits", "-p", "--out", "1.5", "--", "-1"]),
)


@EXAMPLES
@given(st.lists(WORDS, max_size=5))
def test_any_words_after_gan_are_answered(words):
    """What would train is not tried: those without a recipe, or with a device that is not."""
    with redirect_stderr(io.StringIO()) as told, redirect_stdout(io.StringIO()):
        assert main([*words, "--device", "nosuch"]) == 2
    assert told.getvalue().count("\n") == 1 and told.getvalue().startswith("gan: ")


@EXAMPLES
@given(st.text(max_size=300))
def test_any_name_is_a_plain_word_or_refused(name):
    try:
        word = gan.files.plain_word(name)
    except ValueError as error:
        assert str(error).endswith(PLAIN) and str(error).isprintable()
    else:
        assert (
            word == name and not {*name} & {*"/\\\0\n<>&'\""} and len(name.encode()) <= 200 and name[0] != "."
        )
