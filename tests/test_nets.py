"""The networks against NumPy and against what §5's configuration says of them."""

import math
from itertools import pairwise

import numpy as np
import peers
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

import gan
from gan import engine
from gan.nets import (
    Deconv,
    Discriminator,
    Generator,
    Maxout,
    MaxoutConv,
    interpolate,
    marginal_bias,
    networks,
    stretch,
)


def count(network):
    return sum(w.numel() for w in network.parameters())


def test_maxout_is_the_largest_of_its_pieces():
    torch.manual_seed(0)
    layer = Maxout(6, units=4, pieces=3, init=1.0)
    torch.nn.init.normal_(layer.linear.bias)
    x = torch.randn(10, 6)
    w = layer.linear.weight.detach().numpy().reshape(3, 4, 6)  # piece, unit, input
    b = layer.linear.bias.detach().numpy().reshape(3, 4)
    expected = np.max([x.numpy() @ w[j].T + b[j] for j in range(3)], axis=0)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_mnist_networks_have_the_papers_sizes_and_initial_ranges():
    generator, discriminator = networks(gan.recipe("mnist"), (1, 28, 28))
    assert count(generator) == 100 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 784 + 784
    assert count(discriminator) == 784 * 1200 + 1200 + 240 * 1200 + 1200 + 240 + 1
    for network, init in ((generator, 0.05), (discriminator, 0.005)):
        for name, w in network.named_parameters():
            if name.endswith("bias"):
                assert not w.any()
            else:  # uniform on (−init, init): its extremes and its spread
                assert init * 0.9 < w.abs().max() <= init
                if w.numel() > 10_000:
                    assert w.std().item() == pytest.approx(init / math.sqrt(3), rel=0.02)
    kinds = [type(layer).__name__ for layer in generator.layers]
    assert kinds == ["Linear", "ReLU", "Linear", "ReLU", "Linear", "Sigmoid"]
    drops = [layer.p for layer in discriminator.layers if isinstance(layer, torch.nn.Dropout)]
    assert drops == [0.2, 0.5, 0.5]


def test_generator_at_zero_weights_gives_the_marginals_of_the_data():
    x = torch.rand(50, 1, 4, 4) * torch.linspace(0, 1, 16).view(1, 1, 4, 4)
    generator = Generator(5, (8, 8), (1, 4, 4), bias=marginal_bias(x))
    for name, w in generator.named_parameters():
        if name.endswith("weight"):
            torch.nn.init.zeros_(w)
    expected = x.double().mean(0).clamp(1e-7, 1 - 1e-7)
    torch.testing.assert_close(
        generator(torch.randn(3, 5)).double(), expected.expand(3, 1, 4, 4), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("noise", ["uniform", "gaussian"])
def test_noise_has_mean_0_and_variance_1(noise):
    generator = Generator(50, (4, 4), (1, 2, 2), noise=noise)
    z = generator.draw_noise(4000, torch.Generator().manual_seed(0))
    assert abs(z.mean().item()) < 0.01
    assert z.var().item() == pytest.approx(1, abs=0.02)
    assert (z.abs().max() <= math.sqrt(3)) == (noise == "uniform")


def test_samples_are_images_and_a_seed_repeats_them():
    generator = Generator(5, (8, 8), (1, 6, 7))
    images = generator.sample(9, seed=3)
    assert images.shape == (9, 1, 6, 7)
    assert not images.requires_grad
    assert images.min() >= 0 and images.max() <= 1
    assert torch.equal(images, generator.sample(9, seed=3))
    assert not torch.equal(images, generator.sample(9, seed=4))
    assert generator.training


def test_probability_is_the_logits_sigmoid_without_dropout():
    torch.manual_seed(0)
    discriminator = Discriminator((1, 6, 6), (10, 10), 3, init=0.5)
    x = torch.rand(20, 1, 6, 6)
    once, twice = discriminator.probability(x), discriminator.probability(x)
    assert once.shape == (20,) and torch.equal(once, twice)
    assert discriminator.training and not torch.equal(discriminator(x), discriminator(x))
    torch.testing.assert_close(once, 1 / (1 + torch.exp(-discriminator.eval()(x))))


def test_interpolation_is_a_straight_line():
    start, end = torch.zeros(3), torch.tensor([2.0, -4.0, 6.0])
    expected = torch.tensor([[0.0, 0, 0], [1, -2, 3], [2, -4, 6]])
    torch.testing.assert_close(interpolate(start, end, 3), expected)


def test_hidden_biases_start_where_they_are_told():
    def biases(**given):
        torch.manual_seed(0)
        g = Generator(2, (300, 300), (3,), output="linear", **given)
        return [layer.bias.detach() for layer in g.layers if isinstance(layer, torch.nn.Linear)]

    assert all((bias == 0).all() for bias in biases())
    *hidden, output = biases(bias_init=0.3)
    assert (output == 0).all()
    for bias in hidden:
        assert -0.3 <= bias.min() < -0.27 and 0.27 < bias.max() <= 0.3


# Dropout


def dropping(p_input=0.2, p_hidden=0.5, shape=(16,), **given):
    return Discriminator(shape, (12, 8), dropout_input=p_input, dropout_hidden=p_hidden, **given)


def test_masks_have_a_row_for_each_image_and_a_column_for_each_unit():
    assert [mask.shape for mask in dropping().draw_masks(5)] == [(5, 16), (5, 12), (5, 8)]
    assert [mask.shape for mask in dropping(p_input=0).draw_masks(5)] == [(5, 12), (5, 8)]
    assert [mask.shape for mask in dropping(p_hidden=0).draw_masks(5)] == [(5, 16)]
    assert dropping(p_input=0, p_hidden=0).draw_masks(5) == []
    assert dropping().eval().draw_masks(5) == []


def test_masks_drop_as_often_as_they_should_wherever_they_stand():
    """Against the binomial distribution, in each of the four places of a random integer."""
    torch.manual_seed(0)
    for mask, p in zip(dropping().draw_masks(20_000), (0.2, 0.5, 0.5), strict=True):
        dropped = (mask == 0).flatten().view(-1, 4)
        n = len(dropped)
        assert ((dropped.sum(0) - n * p).abs() < 5 * math.sqrt(n * p * (1 - p))).all()


def test_units_are_dropped_independently():
    torch.manual_seed(0)
    masks = torch.cat(dropping().draw_masks(20_000), 1)
    correlations = torch.corrcoef(masks.T) - torch.eye(36)
    assert correlations.abs().max() < 5 / math.sqrt(20_000)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_over_all_random_bits_a_mask_has_mean_1(monkeypatch, p):
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16)
    monkeypatch.setattr(torch.Tensor, "random_", lambda bits, *_: bits.copy_(every.view(torch.int64)))
    (mask,) = dropping(p_input=p, p_hidden=0, shape=(256,)).draw_masks(256)
    zero, kept = mask.unique().tolist()
    assert zero == 0 and kept == pytest.approx(1 / (1 - p), rel=2**-16 / (1 - p))
    assert (mask == 0).sum() == round(p * 2**16)
    assert mask.double().mean().item() == pytest.approx(1, rel=1e-7)


def test_a_seed_repeats_the_masks():
    discriminator, drawn = dropping(), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(torch.cat(discriminator.draw_masks(50), 1))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize(("activation", "pieces"), [("maxout", 3), ("leaky_relu", 1)])
def test_the_discriminator_multiplies_by_the_masks_it_is_given(activation, pieces):
    torch.manual_seed(0)
    discriminator = dropping(shape=(1, 4, 4), pieces=pieces, activation=activation, init=0.5)
    x, masks = torch.rand(7, 1, 4, 4), discriminator.draw_masks(7)
    layers = [layer for layer in discriminator.modules() if isinstance(layer, torch.nn.Linear)]
    h = x.flatten(1)
    for layer, mask in zip(layers, masks, strict=True):
        h = h * mask.flatten(1)
        if layer is not layers[-1]:
            h = F.linear(h, layer.weight, layer.bias)
            h = F.leaky_relu(h, 0.2) if pieces == 1 else h.view(7, pieces, -1).max(1).values
    expected = h @ layers[-1].weight[0] + layers[-1].bias
    torch.testing.assert_close(discriminator(x, masks), expected)
    torch.manual_seed(3)
    masks = discriminator.draw_masks(7)
    torch.manual_seed(3)
    assert torch.equal(discriminator(x), discriminator(x, masks))  # drawn where none are given


# The networks of PyTorch-GAN


def pytorch_gan(batch_norm):
    return networks(gan.recipe("pytorch-gan", g_batch_norm=batch_norm), (1, 28, 28))


def test_the_linked_networks_are_those_written_in_plain_torch():
    torch.manual_seed(0)
    (generator, discriminator), (plain_g, plain_d) = pytorch_gan("written"), peers.pytorch_gan_networks()
    for network, plain in ((generator, plain_g), (discriminator, plain_d)):
        values = zip(plain.state_dict(), network.state_dict().values(), strict=True)
        plain.load_state_dict(dict(values))
    z, x = torch.randn(64, 100), torch.rand(64, 1, 28, 28) * 2 - 1
    for _ in range(2):  # in training mode, where statistics move
        torch.testing.assert_close(generator(z).flatten(1), plain_g(z))
    for ours, theirs in zip(generator.buffers(), plain_g.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(generator.eval()(z).flatten(1), plain_g.eval()(z))
    torch.testing.assert_close(discriminator.probability(x), plain_d(x.flatten(1))[:, 0])


def test_the_linked_networks_have_pytorchs_own_initial_ranges():
    torch.manual_seed(0)
    generator, discriminator = pytorch_gan("meant")
    widths = (100, 128, 256, 512, 1024, 784)
    products = sum(a * b + b for a, b in pairwise(widths))
    assert count(generator) == products + 2 * (256 + 512 + 1024)
    assert count(discriminator) == 784 * 512 + 512 + 512 * 256 + 256 + 256 + 1
    for network in (generator, discriminator):
        for layer in network.modules():
            if isinstance(layer, torch.nn.Linear):
                largest = 1 / math.sqrt(layer.in_features)
                for w in (layer.weight, layer.bias):
                    assert w.abs().max() <= largest
                    assert w.numel() < 100 or w.abs().max() > 0.9 * largest


@pytest.mark.parametrize(("which", "eps", "momentum"), [("meant", 1e-5, 0.2), ("written", 0.8, 0.1)])
def test_batch_norm_stands_in_all_hidden_layers_but_the_first(which, eps, momentum):
    generator, _ = pytorch_gan(which)
    kinds = [type(layer).__name__ for layer in generator.layers]
    normalised = ["Linear", "BatchNorm1d", "LeakyReLU"]
    assert kinds == ["Linear", "LeakyReLU", *normalised * 3, "Linear", "Tanh"]
    for layer in generator.layers:
        if isinstance(layer, torch.nn.BatchNorm1d):
            assert (layer.eps, layer.momentum) == (eps, momentum)
        if isinstance(layer, torch.nn.LeakyReLU):
            assert layer.negative_slope == 0.2


def test_samples_of_a_tanh_generator_are_images_in_0_to_1():
    torch.manual_seed(0)
    generator, _ = pytorch_gan("meant")
    for _ in range(3):
        generator(generator.draw_noise(50))
    before = [buffer.clone() for buffer in generator.buffers()]
    images = generator.sample(20, seed=1)
    assert generator.training and all(map(torch.equal, generator.buffers(), before))
    z = torch.randn(20, 100, generator=torch.Generator().manual_seed(1))
    x = generator.eval()(z)
    assert x.min() < 0 <= images.min() and images.max() <= 1
    torch.testing.assert_close(images, (x + 1) / 2)


# Every recipe's networks: parameters of each layer (weights, biases), and where they start


def layers(network):
    """The layers that have parameters themselves, in their order."""
    return [layer for layer in network.modules() if [*layer.parameters(recurse=False)]]


def sizes(network):
    return [tuple(w.numel() for w in layer.parameters(recurse=False)) for layer in layers(network)]


MNIST_D = [(940_800, 1200), (288_000, 1200), (240, 1)]
FACES_G = [(800_000, 8000), (64_000_000, 8000), (18_432_000, 2304)]
FACES_D = [(13_824_000, 6000), (7_200_000, 6000), (1200, 1)]
SIZES = {  # by hand, from the widths in the authors' configuration
    "mnist": ([(120_000, 1200), (1_440_000, 1200), (940_800, 784)], MNIST_D),
    "tfd": (FACES_G, FACES_D),
    "faces": (FACES_G, FACES_D),
    "tfd, stage 2": ([(800_000, 8000), (800_000, 100), *FACES_G], FACES_D),
    "cifar10": (
        [(800_000, 8000), (64_000_000, 8000), (24_576_000, 3072)],
        [(24_576_000, 8000), (12_800_000, 8000), (1600, 1)],
    ),
    "cifar10-conv": (
        [(800_000, 8000), (64_000_000, 8000), (3072,), (6000,)],  # a bias for each value of an image
        [(12_288, 64), (131_072, 64), (307_200, 384), (12_000_000, 2500), (500, 1)],
    ),
    "pytorch-gan": (
        [
            *((12_800, 128), (32_768, 256), (256, 256), (131_072, 512), (512, 512)),
            *((524_288, 1024), (1024, 1024), (802_816, 784)),
        ],
        [(401_408, 512), (131_072, 256), (256, 1)],
    ),
}


def stage(name):
    name, _, second = name.partition(",")
    return gan.recipe(name).stage(51 if second else 1)[0]


@pytest.mark.parametrize("name", SIZES)
def test_every_layer_has_as_many_parameters_as_the_configuration_gives_it(name):
    recipe = stage(name)
    with torch.device("meta"):
        generator, discriminator = networks(recipe, gan.data.SHAPES[recipe.dataset])
    assert (sizes(generator), sizes(discriminator)) == SIZES[name]


ZEROS = [0.0, 0.0, 0.0]
RANGES = {  # of G's weights, G's biases and D's weights; "sparse" and "marginals" are what they say
    "mnist": ([0.05, 0.05, 0.05], [0.0, 0.0, "marginals"], [0.005] * 3),
    "tfd, stage 2": ([0.05] * 4 + ["sparse"], [0.0, -2.0, 0.0, -2.0, "marginals"], [0.005] * 3),
    "cifar10": ([0.05, 0.05, 0.5], ZEROS, [0.005] * 3),
    "cifar10-conv": ([0.05, 0.05, 0.05], ZEROS, [0.005] * 5),
}


def some(w):
    return w.detach().flatten()[:1_000_000]


def assert_uniform(w, init):
    """On (−init, init): its extremes and its spread, of the first million."""
    assert init * (0.98 if w.numel() > 1000 else 0.9) < some(w).abs().max() <= init
    assert abs(some(w).mean().item()) < 5 * init / math.sqrt(3 * some(w).numel())
    assert some(w).std().item() == pytest.approx(init / math.sqrt(3), rel=0.02 if w.numel() > 3000 else 0.1)


@pytest.mark.parametrize("name", RANGES)
def test_every_layer_starts_in_the_configurations_range(name):
    """With a tenth of G's hidden units, which no range depends on."""
    recipe = stage(name)
    narrow = {"g_hidden": tuple(n // 10 if n == 8000 else n for n in recipe.g_hidden)}
    recipe = recipe.model_copy(update=narrow | ({"g_deconv": (8, 5, 3)} if recipe.g_deconv else {}))
    shape = gan.data.SHAPES[recipe.dataset]
    marginals = torch.linspace(-3, 3, math.prod(shape))
    torch.manual_seed(0)
    players = networks(recipe, shape, marginals if recipe.g_output == "sigmoid" else None)
    of_g, biases, of_d = RANGES[name]
    for network, inits in zip(players, (of_g, of_d), strict=True):
        weights = [w for n, w in network.named_parameters() if n.endswith("weight")]
        for w, init in zip(weights, inits, strict=True):
            if init == "sparse":
                assert_sparse(w.detach(), 100)
            else:
                assert_uniform(w, init)
    starts = [w.detach() for n, w in players[0].named_parameters() if n.endswith("bias")]
    for bias, start in zip(starts, biases, strict=True):
        assert torch.equal(bias, marginals) if start == "marginals" else (bias == start).all()
    assert not any(w.any() for n, w in players[1].named_parameters() if n.endswith("bias"))


def assert_sparse(w, count):
    """``count`` weights of each output, anywhere, drawn from N(0, 1); SciPy says how well they fit."""
    assert (w.count_nonzero(1) == count).all()
    drawn = w[w != 0].double()
    assert stats.kstest(drawn.numpy(), "norm").pvalue > 0.001
    used = (w != 0).sum(0).double()  # of each input: binomial, of mean len(w)·count / inputs
    share = count / w.shape[1]
    spread = math.sqrt(len(w) * share * (1 - share))
    assert used.mean().item() == pytest.approx(len(w) * share)
    assert used.std().item() == pytest.approx(spread, rel=0.1)
    assert (used - len(w) * share).abs().max() < 6 * spread


def test_the_output_starts_as_it_is_told_apart_from_the_hidden_layers():
    def outputs(**given):
        torch.manual_seed(0)
        g = Generator(50, (60, 60), (300,), output="linear", init=0.05, **given)
        return [layer.weight.detach() for layer in layers(g)]

    assert outputs()[-1].abs().max() <= 0.05
    hidden, _, last = outputs(output_init=0.5)
    assert hidden.abs().max() <= 0.05 and 0.45 < last.abs().max() <= 0.5
    *_, last = outputs(output_sparse=7)
    assert (last.count_nonzero(1) == 7).all() and last.abs().max() > 2
    *_, last = outputs(output_sparse=60)
    assert last.all()


def test_sigmoid_layers_start_at_their_bias_and_others_do_not():
    g = Generator(
        2, (30, 30, 30), (3,), activations=("sigmoid", "relu", "sigmoid"), sigmoid_bias=-2.0, bias_init=0.3
    )
    first, second, third, output = (layer.bias.detach() for layer in layers(g))
    assert (first == -2).all() and (third == -2).all()
    assert 0 < second.abs().max() <= 0.3 and not output.any()


# Convolutions


@pytest.mark.parametrize(
    ("kernel", "pad", "pool", "stride", "size"),
    [(8, 4, 4, 2, (32, 32)), (5, 3, 2, 2, (7, 7)), (3, 1, 3, 2, (6, 5)), (1, 0, 2, 2, (5, 8))],
)
def test_convolutional_maxout_is_the_largest_in_each_window_of_each_piece(kernel, pad, pool, stride, size):
    """Against loops over windows; the last ones reach over the edge, where nothing is."""
    torch.manual_seed(0)
    layer = MaxoutConv(2, (3, 2, kernel, pad, pool, stride), init=0.5)
    torch.nn.init.normal_(layer.conv.bias)
    x = torch.randn(4, 2, *size)
    w = layer.conv.weight.view(2, 3, 2, kernel, kernel)  # piece, channel
    b = layer.conv.bias.view(2, 3)
    pieces = torch.stack([F.conv2d(x, w[j], b[j], padding=pad) for j in range(2)]).detach().numpy()
    high, wide = pieces.shape[-2:]
    rows, columns = (range(0, math.ceil((n - pool) / stride) * stride + 1, stride) for n in (high, wide))
    windows = [[pieces[..., i : i + pool, j : j + pool].max((0, 3, 4)) for j in columns] for i in rows]
    expected = np.moveaxis(np.array(windows), (0, 1), (2, 3))
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    d = Discriminator((2, *size), (3,), conv=((3, 2, kernel, pad, pool, stride),))
    assert d.dropped[1] == expected.shape[1:]
    assert rows[-1] + pool > high or columns[-1] + pool > wide or pool == 3


def test_the_convolutional_discriminators_maps_shrink_as_the_authors_did():
    """32 → 33 → 16 → 15 → 7 → 9 → 5; 192 · 5 · 5 = 4800."""
    with torch.device("meta"):
        _, discriminator = networks(gan.recipe("cifar10-conv"), (3, 32, 32))
        seen = []
        for layer in discriminator.modules():
            if isinstance(layer, (MaxoutConv, torch.nn.Conv2d, torch.nn.Flatten)):
                layer.register_forward_hook(lambda layer, x, out: seen.append(tuple(out.shape[1:])))
        assert discriminator.eval()(torch.empty(2, 3, 32, 32)).shape == (2,)
    assert seen == [
        *((64, 33, 33), (32, 16, 16), (64, 15, 15), (32, 7, 7), (384, 9, 9), (192, 5, 5), (4800,)),
    ]
    side, sides = 32, []
    for _, _, kernel, pad, pool, stride in gan.recipe("cifar10-conv").d_conv:
        convolved = side + 2 * pad - kernel + 1
        side = math.ceil((convolved - pool) / stride) + 1
        sides += [convolved, side]
    assert sides == [shape[1] for shape in seen[:-1]]


def deconv(maps=6, kernel=5, stride=3, shape=(3, 32, 32)):
    torch.manual_seed(0)
    layer = Deconv(maps, kernel, stride, shape, init=0.5)
    assert not layer.bias.any()
    torch.nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize("sizes", [(6, 5, 3, (3, 32, 32)), (4, 3, 1, (2, 8, 8)), (5, 8, 2, (1, 8, 8))])
def test_deconvolution_is_the_transpose_of_a_convolution(sizes):
    """⟨Aᵀx, y⟩ = ⟨x, Ay⟩, A being `conv2d` with the same weights; and as torch has it."""
    layer = deconv(*sizes)
    _, kernel, stride, shape = sizes
    side = (shape[1] - kernel) // stride + 1
    x, y = torch.randn(7, sizes[0] * side * side), torch.randn(7, *shape)
    out = layer(x)
    assert out.shape == (7, math.prod(shape))
    maps = x.view(7, sizes[0], side, side)
    made = out.view_as(y) - layer.bias
    there = F.conv2d(y, layer.conv.weight, stride=stride)
    assert there.shape == maps.shape
    torch.testing.assert_close((made * y).sum(), (maps * there).sum(), rtol=1e-4, atol=1e-3)
    plain = F.conv_transpose2d(maps, layer.conv.weight, stride=stride) + layer.bias
    torch.testing.assert_close(out, plain.flatten(1))


def test_a_deconvolution_has_a_bias_for_each_value_that_it_makes():
    layer = deconv()
    torch.testing.assert_close(layer(torch.zeros(1, 600))[0], layer.bias.detach().flatten())
    assert layer.bias.shape == (3, 32, 32) and layer.conv.bias is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"g_deconv": (81, 5, 3)}, ["g_deconv = (81, 5, 3)", "(3, 32, 32) of 8100 units, not 8000"]),
        ({"g_deconv": (80, 4, 2)}, ["g_deconv = (80, 4, 2)", "of 18000 units, not 8000"]),
        ({"g_deconv": (80, 5, 2)}, ["g_deconv = (80, 5, 2)", "no images of shape (3, 32, 32)"]),
        ({"g_deconv": (80, 33, 1)}, ["g_deconv = (80, 33, 1)", "no images"]),
        ({"d_conv": ((4, 2, 33, 0, 4, 2),)}, ["d_conv = (4, 2, 33, 0, 4, 2)", "does not fit on (3, 32, 32)"]),
        ({"d_conv": ((4, 2, 40, 0, 1, 1),)}, ["d_conv = (4, 2, 40, 0, 1, 1)", "does not fit"]),
        ({"g_hidden": (8000, 500)}, ["of 8000 units, not 500"]),
    ],
)
def test_a_convolution_that_does_not_fit_is_refused(fields, words):
    with pytest.raises(ValueError) as error, torch.device("meta"):
        networks(gan.recipe("cifar10-conv", **fields), (3, 32, 32))
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words), error.value


CONV = {"conv": ((4, 2, 3, 1, 2, 2), (5, 3, 2, 1, 3, 2)), "shape": (3, 8, 8)}


def test_masks_of_a_convolutional_discriminator_have_its_maps_shapes():
    maps = [(3, 8, 8), (4, 4, 4), (5, 2, 2)]
    assert [mask.shape[1:] for mask in dropping(**CONV).draw_masks(6)] == [*maps, (12,), (8,)]
    assert [mask.shape[1:] for mask in dropping(p_hidden=0, **CONV).draw_masks(6)] == maps[:1]
    assert [mask.shape[1:] for mask in dropping(p_input=0, **CONV).draw_masks(6)] == [*maps[1:], (12,), (8,)]
    masks = dropping(**CONV).draw_masks(500)
    assert all(len(mask) == 500 for mask in masks)
    for mask, p in zip(masks, (0.2, 0.5, 0.5, 0.5, 0.5), strict=True):  # each value by itself
        assert (mask == 0).double().mean().item() == pytest.approx(p, abs=0.02)
        assert mask.unique().tolist() == pytest.approx([0, 1 / (1 - p)], rel=1e-3)


def test_a_convolutional_discriminator_multiplies_by_the_masks_it_is_given():
    torch.manual_seed(0)
    d = dropping(pieces=2, init=0.5, **CONV)
    x, masks = torch.rand(7, 3, 8, 8), d.draw_masks(7)
    first, second = (layer for layer in d.modules() if isinstance(layer, MaxoutConv))
    *maxouts, last = (layer for layer in d.layers if isinstance(layer, (Maxout, torch.nn.Linear)))
    h = first(x * masks[0]) * masks[1]
    h = (second(h) * masks[2]).flatten(1)
    for layer, mask in zip(maxouts, masks[3:], strict=True):
        h = layer(h) * mask
    expected = h @ last.weight[0] + last.bias
    torch.testing.assert_close(d(x, masks), expected)
    assert not torch.allclose(d.eval()(x), expected)


def test_a_process_has_its_own_part_of_a_convolutional_discriminators_masks(monkeypatch):
    """Of 2 · 6 rows, data and samples, the second of three processes has 2 of each."""
    monkeypatch.setattr(engine, "processes", lambda: 3)
    monkeypatch.setattr(engine.dist, "get_rank", lambda: 1)
    for mask in dropping(**CONV).draw_masks(12):
        assert torch.equal(engine.part(mask, 2), mask[[2, 3, 8, 9]])


# Samples, and what is shown of them


def test_stretching_brings_each_image_to_0_to_1():
    x = torch.randn(5, 3, 4, 6) * torch.tensor([1.0, 55, 1e-3, 7, 0]).view(5, 1, 1, 1)
    x[4] = 3.5  # an even image
    low, high = x.numpy().min((1, 2, 3), keepdims=True), x.numpy().max((1, 2, 3), keepdims=True)
    expected = (x.numpy() - low) / np.where(high > low, high - low, 1)
    np.testing.assert_allclose(stretch(x).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert not stretch(x)[4].any()
    assert stretch(x)[0].min() == 0 and stretch(x)[0].max() == 1


@pytest.mark.parametrize("output", ["sigmoid", "tanh", "linear"])
def test_samples_have_the_datas_units_and_images_are_for_the_eye(output):
    torch.manual_seed(0)
    g = Generator(5, (8, 8), (2, 3, 4), output=output, init=1.0)
    z = g.draw_noise(9, torch.Generator().manual_seed(3))
    x = g(z).detach()
    rendered = (x + 1) / 2 if output == "tanh" else x
    for ours in (g.render(z), g.sample(9, seed=3)):
        assert torch.equal(ours, rendered) and not ours.requires_grad
    low, high = rendered.amin((1, 2, 3), keepdim=True), rendered.amax((1, 2, 3), keepdim=True)
    shown = (rendered - low) / (high - low) if output == "linear" else rendered
    for ours in (g.depict(z), g.images(9, seed=3)):
        torch.testing.assert_close(ours, shown)
        assert ours.min() >= 0 and ours.max() <= 1 and not ours.requires_grad
    assert not torch.equal(g.images(9, seed=4), g.images(9, seed=3))
    assert (output == "linear") == (not 0 <= g.sample(9, seed=3).min() < g.sample(9, seed=3).max() <= 1)
