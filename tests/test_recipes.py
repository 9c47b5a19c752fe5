"""Recipes: the paper's values and schedules, and what they refuse."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import gan
from gan.recipes import PRESETS, Recipe


def test_mnist_is_the_authors_configuration():
    r = gan.recipe("mnist")
    assert (r.noise, r.noise_size, r.g_hidden, r.g_activations, r.g_output, r.g_init) == (
        "uniform", 100, (1200, 1200), ("relu", "relu"), "sigmoid", 0.05,
    )  # fmt: skip
    assert (r.d_hidden, r.d_pieces, r.d_init, r.dropout_input, r.dropout_hidden) == (
        (240, 240), 5, 0.005, 0.2, 0.5,
    )  # fmt: skip
    assert (r.batch_size, r.valid, r.epochs, r.k) == (100, 10_000, 2400, 1)
    assert (r.optimizer, r.learning_rate, r.loss, r.updates) == ("sgd", 0.1, "non_saturating", "simultaneous")


def test_pytorch_gan_is_the_linked_implementation():
    r = gan.recipe("pytorch-gan")
    assert (r.noise, r.noise_size, r.g_hidden, r.g_output) == (
        "gaussian", 100, (128, 256, 512, 1024), "tanh",
    )  # fmt: skip
    assert (r.d_hidden, r.d_activation, r.d_pieces) == ((512, 256), "leaky_relu", 1)
    assert {*r.g_activations} == {"leaky_relu"} and r.g_init == r.d_init == "pytorch"
    assert r.dropout_input == r.dropout_hidden == 0
    assert (r.optimizer, r.beta2, r.batch_size, r.epochs) == ("adam", 0.999, 64, 200)
    assert (r.dataset, r.valid, r.scaling, r.updates) == ("mnist", 0, "signed", "simultaneous")
    assert {r.learning_rate_at(update) for update in (0, 1000, 10**6)} == {2e-4}
    assert {r.momentum_at(epoch) for epoch in (1, 100, 200)} == {0.5}


# What the authors' configuration says, of all four experiments and of each
ALIKE = {
    "noise_size": 100, "g_batch_norm": "none", "g_init": 0.05, "g_bias_init": 0.0,
    "d_activation": "maxout", "d_pieces": 5, "d_init": 0.005, "dropout_input": 0.2, "dropout_hidden": 0.5,
    "seed": 0, "k": 1, "loss": "non_saturating", "updates": "simultaneous",
    "optimizer": "sgd", "learning_rate_decay": 1.000_004, "learning_rate_floor": 1e-6, "conv_rate": 1.0,
    "momentum": 0.5, "momentum_final": 0.7, "momentum_epochs": 250, "beta2": 0.999,
    "precision": "fp32", "ema": 0.0,
}  # fmt: skip
FACES = {
    "scaling": "unit", "noise": "gaussian",
    "g_hidden": (8000, 8000), "g_activations": ("relu", "sigmoid"), "g_output": "sigmoid",
    "g_output_init": None, "g_output_sparse": 100, "g_sigmoid_bias": -2.0, "g_deconv": None,
    "second_stage_after": 50, "g_front": (8000, 100), "g_front_activations": ("relu", "sigmoid"),
    "d_conv": (), "d_hidden": (1200, 1200), "epochs": 50 + 22, "batch_size": 100, "learning_rate": 0.05,
    "max_norm": 1.9365,
}  # fmt: skip
COLOURS = {
    "dataset": "cifar10", "valid": 10_000, "scaling": "gcn", "noise": "gaussian",
    "g_hidden": (8000, 8000), "g_activations": ("relu", "sigmoid"), "g_output": "linear",
    "g_output_sparse": 0, "g_sigmoid_bias": 0.0, "second_stage_after": 0, "g_front": (),
    "g_front_activations": (), "epochs": 250, "max_norm": 0.0,
}  # fmt: skip
EXPERIMENTS = {
    "tfd": FACES | {"dataset": "tfd", "valid": 0},
    "faces": FACES | {  # in updates: TFD has 981 an epoch, LFW 108
        "dataset": "faces", "valid": 1200, "second_stage_after": 50 * 981 // 108,
        "epochs": 50 * 981 // 108 + 200, "momentum_epochs": 250 * 981 // 108,
    },
    "cifar10": COLOURS | {
        "g_output_init": 0.5, "g_deconv": None, "d_conv": (), "d_hidden": (1600, 1600),
        "batch_size": 100, "learning_rate": 0.025,
        "precision": "bf16",  # ours: in float32 it may diverge
    },
    "cifar10-conv": COLOURS | {
        "g_output_init": None, "g_deconv": (80, 5, 3),
        "d_conv": ((32, 2, 8, 4, 4, 2), (32, 2, 8, 3, 4, 2), (192, 2, 5, 3, 2, 2)), "d_hidden": (500,),
        "batch_size": 128, "learning_rate": 0.004,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_faces_and_colours_are_the_authors_configurations(name):
    expected = {"name": name} | ALIKE | EXPERIMENTS[name]
    assert gan.recipe(name).model_dump() == expected


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_their_rate_starts_at_its_own_value_and_falls_alike(name):
    r = gan.recipe(name)
    for update in (0, 1, 1000):
        expected = EXPERIMENTS[name]["learning_rate"] / 1.000004**update
        assert r.learning_rate_at(update) == pytest.approx(expected, rel=1e-12)
    assert r.learning_rate_at(10**7) == 1e-6


# Two stages


@pytest.mark.parametrize(
    ("epoch", "number", "second"),
    [(0, 0, False), (1, 1, False), (50, 50, False), (51, 1, True), (52, 2, True), (72, 22, True)],
)
def test_the_second_stage_has_longer_networks_and_its_own_numbers(epoch, number, second):
    stage, of_stage = gan.recipe("tfd").stage(epoch)
    assert of_stage == number
    expected = gan.recipe("tfd").model_dump()
    if second:
        expected |= {
            "g_hidden": (8000, 100, 8000, 8000),
            "g_activations": ("relu", "sigmoid", "relu", "sigmoid"),
        }
    assert stage.model_dump() == expected


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar10-conv", "pytorch-gan"])
def test_where_there_is_one_stage_every_epoch_is_its_own(name):
    r = gan.recipe(name)
    assert all(r.stage(epoch) == (r, epoch) for epoch in (1, 50, 51, 250))


def test_a_second_stage_may_come_after_any_epoch():
    r = gan.recipe("tfd", second_stage_after=3, g_front=(7, 100), g_front_activations=("tanh", "linear"))
    assert [r.stage(epoch)[1] for epoch in range(1, 8)] == [1, 2, 3, 1, 2, 3, 4]
    stage, _ = r.stage(4)
    assert stage.g_hidden == (7, 100, 8000, 8000)
    assert stage.g_activations == ("tanh", "linear", "relu", "sigmoid")
    assert gan.recipes.parse(r.model_dump(mode="json")) == r  # as run.json keeps it


def test_the_learning_rate_falls_with_each_update_down_to_a_floor():
    r = gan.recipe("mnist")
    expected = rate = 0.1
    for update in range(1000):
        assert r.learning_rate_at(update) == pytest.approx(expected, rel=1e-9)
        expected /= 1.000004
    assert r.learning_rate_at(250 * 500) == pytest.approx(
        rate * 0.6065, rel=1e-4
    )  # e^(−1/2) after 250 epochs
    assert r.learning_rate_at(10_000_000) == 1e-6


@pytest.mark.parametrize(
    ("epoch", "momentum"), [(1, 0.5), (2, 0.5 + 0.2 / 249), (125.5, 0.6), (250, 0.7), (900, 0.7)]
)
def test_the_momentum_rises_linearly_over_epochs_1_to_250(epoch, momentum):
    assert gan.recipe("mnist").momentum_at(epoch) == pytest.approx(momentum, abs=1e-12)


def test_none_keeps_the_recipes_own_value():
    assert gan.recipe("mnist", epochs=None, k=None) == gan.recipe("mnist")
    assert gan.recipe("mnist", epochs="7").epochs == 7


def test_a_seed_may_be_as_large_as_torch_takes_it():
    recipe = gan.recipe("digits", seed=2**64 - 1)
    torch.manual_seed(recipe.seed)
    generator, _ = gan.nets.networks(recipe, (1, 8, 8))
    assert torch.equal(generator.sample(2, seed=recipe.seed), generator.sample(2, seed=recipe.seed))
    for seed in (-1, 2**64):
        with pytest.raises(ValueError, match=f"{seed} is no seed: one is at least 0"):
            generator.sample(2, seed=seed)


def test_an_initial_range_is_a_number_or_a_word():
    assert gan.recipe("mnist", g_init="0.5").g_init == 0.5
    assert gan.recipe("mnist", g_init="pytorch").g_init == "pytorch"


def test_a_recipe_is_frozen():
    with pytest.raises(ValidationError):
        gan.recipe("mnist").epochs = 3


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("minst", {}, ["'minst'", "did you mean mnist?"]),
        ("mnist", {"epoch": 3}, ["'epoch'; did you mean epochs?"]),
        ("mnist", {"wheels": 3}, ["'wheels'; there are: dataset, valid"]),
        *(
            ("mnist", {field: truth}, [f"{field} = {truth!r}", "a truth value"])
            for field in ("epochs", "learning_rate", "g_init", "valid", "loss")
            for truth in (True, False, np.True_)
        ),
        ("mnist", {"g_hidden": (8, True)}, ["g_hidden = (8, True)", "a truth value"]),
        ("mnist", {"d_conv": ((32, 2, 8, True, 4, 2),)}, ["d_conv", "a truth value"]),
        ("mnist", {"seed": 2**64}, ["seed = 18446744073709551616", "less than 18446744073709551616"]),
        ("mnist", {"seed": -1}, ["seed = -1", "greater than or equal to 0"]),
        ("mnist", {"epochs": 10**400}, ["epochs = 1", "less than 2147483648"]),
        ("mnist", {"name": "x"}, ["name"]),
        ("mnist", {"k": 0}, ["k = 0", "greater than or equal to 1"]),
        ("mnist", {"k": 2}, ["k = 2", "alternating"]),
        ("mnist", {"epochs": 2.5}, ["epochs = 2.5", "integer"]),
        ("mnist", {"learning_rate": -0.1}, ["learning_rate = -0.1", "greater than 0"]),
        ("mnist", {"learning_rate": float("inf")}, ["learning_rate = inf", "finite"]),
        ("mnist", {"momentum": 1}, ["momentum = 1", "less than 1"]),
        ("mnist", {"ema": -1}, ["ema = -1"]),
        ("mnist", {"loss": "wasserstein"}, ["loss = 'wasserstein'", "minimax", "non_saturating"]),
        ("mnist", {"updates": "both"}, ["updates = 'both'", "alternating", "simultaneous"]),
        ("mnist", {"precision": "fp8"}, ["precision = 'fp8'", "bf16"]),
        ("mnist", {"g_hidden": (10,)}, ["g_hidden = (10,)", "each layer needs one activation"]),
        ("mnist", {"valid": -1}, ["valid = -1", "greater than or equal to 0"]),
        ("mnist", {"g_output": "tanh"}, ["scaling = 'unit'", "g_output = 'tanh'", "go together"]),
        ("mnist", {"scaling": "signed"}, ["scaling = 'signed'", "g_output = 'sigmoid'", "go together"]),
        (
            "mnist",
            {"d_activation": "leaky_relu"},
            ["= 'leaky_relu', d_pieces = 5", "others need 1"],
        ),
        ("mnist", {"g_init": -0.1}, ["g_init", "-0.1", "greater than 0"]),
        ("mnist", {"g_init": "xavier"}, ["g_init", "'xavier'"]),
        ("mnist", {"d_init": 0}, ["d_init", "= 0", "greater than 0"]),
        ("mnist", {"g_batch_norm": "all"}, ["g_batch_norm = 'all'", "meant", "written"]),
        ("tfd", {"g_front": (8000, 90)}, ["g_front = (8000, 90)", "noise_size = 100"]),
        ("tfd", {"noise_size": 50}, ["g_front = (8000, 100)", "noise_size = 50"]),
        ("tfd", {"g_front": ()}, ["g_front_activations = ('relu', 'sigmoid')", "g_front = ()"]),
        ("tfd", {"g_front_activations": ("relu",)}, ["g_front_activations = ('relu',)", "(8000, 100)"]),
        ("tfd", {"g_front": (), "g_front_activations": ()}, ["g_front = ()", "second_stage_after = 50"]),
        ("tfd", {"second_stage_after": 0}, ["g_front = (8000, 100)", "second_stage_after = 0", "needs both"]),
        ("tfd", {"second_stage_after": -1}, ["second_stage_after = -1", "greater than or equal to 0"]),
        ("mnist", {"second_stage_after": 3}, ["g_front = ()", "second_stage_after = 3", "needs both"]),
        ("tfd", {"g_front_activations": ("relu", "relu6")}, ["g_front_activations.1 = 'relu6'", "'tanh'"]),
        ("tfd", {"g_front": (0, 100)}, ["g_front.0 = 0", "greater than or equal to 1"]),
        ("mnist", {"g_activations": ("relu", "elu")}, ["g_activations.1 = 'elu'", "'leaky_relu'"]),
        ("mnist", {"scaling": "gcn"}, ["scaling = 'gcn'", "g_output = 'sigmoid'", '"linear"']),
        ("cifar10", {"g_output": "sigmoid"}, ["scaling = 'gcn'", "g_output = 'sigmoid'"]),
        ("cifar10", {"g_output": "tanh"}, ["scaling = 'gcn'", "g_output = 'tanh'"]),
        ("cifar10", {"scaling": "zca"}, ["scaling = 'zca'", "'gcn'"]),
        ("mnist", {"g_output_sparse": 1201}, ["g_output_sparse = 1201", "1200 weights"]),
        ("mnist", {"g_output_sparse": -1}, ["g_output_sparse = -1", "greater than or equal to 0"]),
        ("mnist", {"g_output_init": 0}, ["g_output_init", "= 0", "greater than 0"]),
        ("mnist", {"g_sigmoid_bias": float("inf")}, ["g_sigmoid_bias = inf", "finite"]),
        ("mnist", {"max_norm": -1}, ["max_norm = -1", "greater than or equal to 0"]),
        ("mnist", {"max_norm": float("nan")}, ["max_norm = nan"]),
        ("cifar10-conv", {"g_deconv": (80, 5)}, ["g_deconv", "(80, 5)"]),
        ("cifar10-conv", {"g_deconv": (80, 5, 0)}, ["g_deconv.2 = 0", "greater than or equal to 1"]),
        ("cifar10-conv", {"d_conv": ((32, 2, 8, 4, 4),)}, ["d_conv.0.5", "Field required"]),
        ("cifar10-conv", {"d_conv": ((0, 2, 8, 4, 4, 2),)}, ["d_conv.0.0 = 0", "greater than or equal to 1"]),
        ("cifar10-conv", {"d_conv": ((32, 2, 8, -1, 4, 2),)}, ["d_conv.0.3 = -1", "or equal to 0"]),
        ("cifar10-conv", {"d_conv": (32, 2, 8, 4, 4, 2)}, ["d_conv.0 = 32", "tuple"]),
        ("cifar10-conv", {"d_conv": ((32, 2, 8, 4, 2, 4),)}, ["2, 4)", "stride must not be larger"]),
        ("tfd", {"g_batch_norm": "meant"}, ["g_batch_norm = 'meant'", "g_front"]),
        ("cifar10", {"conv_rate": 0.05}, ["conv_rate = 0.05", "g_deconv = None", "no convolutional"]),
        ("cifar10-conv", {"conv_rate": 0}, ["conv_rate = 0", "greater than 0"]),
        ("cifar10-conv", {"g_output_sparse": 10}, ["g_deconv = (80, 5, 3)", "g_output_sparse"]),
        ("mnist", {"dataset": "../mine"}, ["dataset", "'../mine'", "one plain word"]),
        ("mnist", {"dataset": ""}, ["dataset", "''", "one plain word"]),
        ("mnist", {"dataset": 3}, ["dataset = 3", "string"]),
    ],
)
def test_bad_values_are_one_clear_line(name, fields, words):
    with pytest.raises(ValueError) as error:
        gan.recipe(name, **fields)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), error.value


def test_as_many_sparse_weights_as_there_are_units_are_allowed():
    assert gan.recipe("mnist", g_output_sparse=1200).g_output_sparse == 1200
    assert gan.recipe("tfd", g_hidden=(), g_activations=(), g_output_sparse=100).g_hidden == ()


def test_every_preset_is_valid_and_differs_from_the_defaults_only_where_it_says():
    for name, fields in PRESETS.items():
        recipe = gan.recipe(name)
        assert recipe.name == name
        assert fields.keys() <= Recipe.model_fields.keys()
