"""Algorithm 1 of "Generative Adversarial Nets" (Goodfellow et al., 2014) in plain PyTorch.

    python examples/algorithm1.py [PICTURE] [--seed N]

It learns scikit-learn's 8x8 digits and draws new ones. The comments "line n" name the lines of the
printed algorithm; line 6 only ends the inner loop, line 9 the outer one.
"""

import argparse

import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torch.optim import SGD

NOISE, PIXELS = 20, 64  # the sizes of z and x
k, m = 1, 50  # steps of D for each step of G, and the size of a minibatch


class Maxout(nn.Module):
    """Units that each take the maximum of three linear functions; (m, inputs) -> (m, units)."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 3 * units)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (3, -1)).amax(1)


def networks() -> tuple[nn.Module, nn.Module]:
    """G, from noise to pixels in [0, 1], and D, from pixels to a logit s: D's probability is sigmoid(s)."""
    G = nn.Sequential(
        *(nn.Linear(NOISE, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()),
        *(nn.Linear(128, PIXELS), nn.Sigmoid()),
    )
    D = nn.Sequential(Maxout(PIXELS, 64), nn.Dropout(0.3), Maxout(64, 64), nn.Dropout(0.3), nn.Linear(64, 1))
    for network, bound in (G, 0.2), (D, 0.05):
        for w in network.parameters():
            nn.init.uniform_(w, -bound, bound)
    return G, D


def play(G: nn.Module, D: nn.Module, data: Tensor, iterations: int) -> None:
    """Algorithm 1; log D = logsigmoid(s) and log(1 - D) = logsigmoid(-s)."""
    d_optimizer = SGD(D.parameters(), lr=0.2, momentum=0.5, maximize=True)
    g_optimizer = SGD(G.parameters(), lr=0.2, momentum=0.5)
    for i in range(1, iterations + 1):  # line 1
        for _ in range(k):  # line 2
            z = torch.randn(m, NOISE)  # line 3
            x = data[torch.randint(len(data), (m,))]  # line 4
            value = (logsigmoid(D(x)) + logsigmoid(-D(G(z).detach()))).mean()
            d_optimizer.zero_grad()  # G's steps leave gradients in D
            value.backward()
            d_optimizer.step()  # line 5: D ascends
        z = torch.randn(m, NOISE)  # line 7
        loss = -logsigmoid(D(G(z))).mean()  # section 3: log(1 - D) saturates
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()  # line 8: G descends
        if i % 300 == 0:  # V: -1.39 where D can only guess, 0 where it is sure
            print(f"iteration {i:4}: V(D, G) = {value:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("picture", nargs="?", default="algorithm1.png")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    G, D = networks()
    play(G, D, torch.tensor(load_digits().data / 16, dtype=torch.float32), iterations=1200)
    digits = G(torch.randn(60, NOISE)).mul(255).byte().view(6, 10, 8, 8)
    grid = nn.functional.pad(digits, (1, 1, 1, 1)).transpose(1, 2).reshape(60, 100)  # six rows of ten
    Image.fromarray(grid.numpy()).resize((1000, 600), Image.Resampling.NEAREST).save(arguments.picture)
    print(f"60 samples of G: {arguments.picture}")
