"""Recipes: the paper's values and schedules, and what they refuse."""

import pytest
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
    assert (r.batch_size, r.valid, r.epochs, r.k) == (100, 10_000, 250, 1)
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


def test_an_initial_range_is_a_number_or_a_word():
    assert gan.recipe("mnist", g_init="0.5").g_init == 0.5
    assert gan.recipe("mnist", g_init="pytorch").g_init == "pytorch"


def test_a_recipe_is_frozen():
    with pytest.raises(ValidationError):
        gan.recipe("mnist").epochs = 3


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("minst", {}, ["'minst'", "mnist, tfd"]),
        ("mnist", {"epoch": 3}, ["epoch", "epochs"]),
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
        ("mnist", {"g_hidden": (10,)}, ["g_hidden = (10,)", "one activation for each"]),
        ("mnist", {"valid": -1}, ["valid = -1", "greater than or equal to 0"]),
        ("mnist", {"g_output": "tanh"}, ["scaling = 'unit'", "g_output = 'tanh'", "do not agree"]),
        ("mnist", {"scaling": "signed"}, ["scaling = 'signed'", "g_output = 'sigmoid'", "do not agree"]),
        ("mnist", {"d_activation": "leaky_relu"}, ["d_pieces = 5", "leaky_relu needs 1"]),
        ("mnist", {"g_init": -0.1}, ["g_init", "-0.1", "greater than 0"]),
        ("mnist", {"g_init": "xavier"}, ["g_init", "'xavier'"]),
        ("mnist", {"d_init": 0}, ["d_init", "= 0", "greater than 0"]),
        ("mnist", {"g_batch_norm": "all"}, ["g_batch_norm = 'all'", "meant", "written"]),
    ],
)
def test_bad_values_are_one_clear_line(name, fields, words):
    with pytest.raises(ValueError) as error:
        gan.recipe(name, **fields)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), error.value


def test_every_preset_is_valid_and_differs_from_the_defaults_only_where_it_says():
    for name, fields in PRESETS.items():
        recipe = gan.recipe(name)
        assert recipe.name == name
        assert fields.keys() <= Recipe.model_fields.keys()
