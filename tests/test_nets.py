"""The networks against NumPy and against what §5's configuration says of them."""

import math
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import gan
from gan.nets import Discriminator, Generator, Maxout, interpolate, marginal_bias, networks

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import peers


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
        h = h * mask
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
