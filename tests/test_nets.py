"""The networks against NumPy and against what §5's configuration says of them."""

import math

import numpy as np
import pytest
import torch

import gan
from gan.nets import Discriminator, Generator, Maxout, interpolate, marginal_bias, networks


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
