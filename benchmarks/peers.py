"""What a user would run instead: plain loops, the authors' Parzen formula, scikit-learn, the linked gan.py.

The networks are stated here once more, with torch.nn alone, so that they also serve as a second opinion on
`gan.nets`.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset


class Maxout(nn.Module):
    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units * pieces)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).view(len(x), self.pieces, -1).amax(1)


def mnist_networks() -> tuple[nn.Sequential, nn.Sequential]:
    """The recipe ``mnist``: G, and D as a logit; initialised as the authors' configuration says."""
    generator = nn.Sequential(
        *(nn.Linear(100, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU()),
        *(nn.Linear(1200, 784), nn.Sigmoid()),
    )
    discriminator = nn.Sequential(
        *(nn.Dropout(0.2), Maxout(784, 240, 5), nn.Dropout(0.5), Maxout(240, 240, 5)),
        *(nn.Dropout(0.5), nn.Linear(240, 1)),
    )
    for network, init in ((generator, 0.05), (discriminator, 0.005)):
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                nn.init.uniform_(layer.weight, -init, init)
                nn.init.zeros_(layer.bias)
    return generator, discriminator


def pytorch_gan_networks() -> tuple[nn.Sequential, nn.Sequential]:
    """The recipe ``pytorch-gan`` with batch norm as it is written there, and D with its sigmoid."""
    layers: list[nn.Module] = [nn.Linear(100, 128), nn.LeakyReLU(0.2)]
    for inputs, outputs in ((128, 256), (256, 512), (512, 1024)):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs, 0.8), nn.LeakyReLU(0.2)]
    generator = nn.Sequential(*layers, nn.Linear(1024, 784), nn.Tanh())
    discriminator = nn.Sequential(
        *(nn.Linear(784, 512), nn.LeakyReLU(0.2), nn.Linear(512, 256), nn.LeakyReLU(0.2)),
        *(nn.Linear(256, 1), nn.Sigmoid()),
    )
    return generator, discriminator


def plain_mnist(images: NDArray[np.uint8], device: torch.device) -> Iterator[None]:
    """The recipe ``mnist`` as one would write it in plain PyTorch, float32: an update per ``next``.

    The data set is scaled once and read by a DataLoader; nothing is waited for within an update.
    """
    generator, discriminator = (network.to(device) for network in mnist_networks())
    g_optimizer = torch.optim.SGD(generator.parameters(), lr=0.1, momentum=0.5)
    d_optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.1, momentum=0.5)
    data = TensorDataset(torch.from_numpy(images).flatten(1).float() / 255)
    while True:
        for (x,) in DataLoader(data, batch_size=100, shuffle=True, drop_last=True):
            z = (torch.rand(len(x), 100, device=device) * 2 - 1) * math.sqrt(3)
            plain_update(generator, discriminator, g_optimizer, d_optimizer, x.to(device), z)
            yield


def plain_update(
    generator: nn.Module,
    discriminator: nn.Module,
    g_optimizer: torch.optim.Optimizer,
    d_optimizer: torch.optim.Optimizer,
    x: Tensor,
    z: Tensor,
) -> None:
    """Both players' gradients from one minibatch, then both steps."""
    loss = nn.BCEWithLogitsLoss()
    real, fake = torch.ones(len(x), 1, device=x.device), torch.zeros(len(x), 1, device=x.device)
    samples = generator(z)
    g_optimizer.zero_grad()
    loss(discriminator(samples), real).backward()
    d_optimizer.zero_grad()
    d_loss = (loss(discriminator(x), real) + loss(discriminator(samples.detach()), fake)) / 2
    d_loss.backward()
    g_optimizer.step()
    d_optimizer.step()


class Pictures(Dataset):
    """MNIST as torchvision serves it: a PIL image, transformed, per index."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        from torchvision import transforms

        self.images = images
        self.transform = transforms.Compose(
            [transforms.Resize(28), transforms.ToTensor(), transforms.Normalize([0.5], [0.5])]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[i]))


def plain_pytorch_gan(images: NDArray[np.uint8], device: torch.device) -> Iterator[None]:
    """A loop written to gan.py's description: DataLoader, per-image transforms, losses read every update."""
    generator, discriminator = (network.to(device) for network in pytorch_gan_networks())
    loss = nn.BCELoss()
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    while True:
        for batch in DataLoader(Pictures(images), batch_size=64, shuffle=True):
            x = batch.flatten(1).to(device)
            real, fake = torch.ones(len(x), 1, device=device), torch.zeros(len(x), 1, device=device)
            g_optimizer.zero_grad()
            samples = generator(torch.randn(len(x), 100, device=device))
            g_loss = loss(discriminator(samples), real)
            g_loss.backward()
            g_optimizer.step()
            d_optimizer.zero_grad()
            d_loss = (loss(discriminator(x), real) + loss(discriminator(samples.detach()), fake)) / 2
            d_loss.backward()
            d_optimizer.step()
            _ = f"{d_loss.item():.3f} {g_loss.item():.3f}"
            yield


class LinkedScript:
    """PyTorch-GAN's gan.py itself, as a process that stands still between two calls."""

    def __init__(self, script: Path, images: NDArray[np.uint8]) -> None:
        self.home = tempfile.TemporaryDirectory()
        raw = Path(self.home.name) / "data" / "mnist" / "MNIST" / "raw"
        raw.mkdir(parents=True)
        labels = np.zeros(len(images), np.uint8)
        for part in ("train", "t10k"):  # the files that torchvision would have downloaded
            (raw / f"{part}-images-idx3-ubyte").write_bytes(
                struct.pack(">IIII", 0x803, *images.shape) + images.tobytes()
            )
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(
                struct.pack(">II", 0x801, len(labels)) + labels.tobytes()
            )
        where = Path(self.home.name) / "implementations" / "gan"
        where.mkdir(parents=True)
        self.process = subprocess.Popen(
            [sys.executable, "-u", script.resolve(), "--n_epochs", "100000"],
            cwd=where,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self._read(1)
        except ChildProcessError:
            self.close()
            raise
        os.kill(self.process.pid, signal.SIGSTOP)

    def _read(self, n: int) -> None:
        """Wait for ``n`` of the lines that it prints, one per update."""
        assert self.process.stdout
        while n:
            line = self.process.stdout.readline()
            if not line:
                raise ChildProcessError("the linked gan.py ended early: run it by hand to see why")
            n -= line.startswith("[Epoch")

    def seconds(self, updates: int) -> float:
        """The time of ``updates`` updates; the first two after standing still do not count."""
        os.kill(self.process.pid, signal.SIGCONT)
        self._read(2)
        start = time.perf_counter()
        self._read(updates)
        seconds = time.perf_counter() - start
        os.kill(self.process.pid, signal.SIGSTOP)
        return seconds

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.communicate()  # waits, and closes the pipe
        self.home.cleanup()


def authors_parzen(x: Tensor, samples: Tensor, sigma: float) -> Tensor:
    """log p(x) (n,) by the formula of the authors' script: all differences, batches of 100 points."""
    d = x.shape[1]
    out = []
    for batch in x.split(100):
        a = (batch[:, None, :] - samples[None, :, :]) / sigma
        e = -0.5 * (a**2).sum(2)
        largest = e.max(1, keepdim=True).values
        log_mean = largest[:, 0] + torch.log(torch.exp(e - largest).mean(1))
        out.append(log_mean - d * math.log(sigma * math.sqrt(2 * math.pi)))
    return torch.cat(out)


def sklearn_parzen(x: NDArray, samples: NDArray, sigma: float) -> NDArray:
    """log p(x) (n,) by scikit-learn, with one leaf: its default is wrong in 784 dimensions."""
    from sklearn.neighbors import KernelDensity

    return KernelDensity(bandwidth=sigma, leaf_size=len(samples)).fit(samples).score_samples(x)


def sklearn_nearest(queries: NDArray, pool: NDArray) -> NDArray:
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(pool)
    return search.kneighbors(queries, return_distance=False)[:, 0]
