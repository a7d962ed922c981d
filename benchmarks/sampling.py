"""Autoregressive speed beside pytorch-generative's modules: sampling and training.

    python benchmarks/sampling.py [--peer FOLDER] [--rounds 3] [--part sampling] [--out FILE.json]

--peer: a folder with the sources of pytorch-generative, which is in no package index; without it
the peer's sizes are run as plain modules written anew here, by the same definition of sampling: one
full forward pass for each pixel. Such a pass is timed once and multiplied by the pixels.

The floor of sampling is the time of its matrix products alone, each run in a tight loop on its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import ptheta
from ptheta.batch import Batch
from ptheta.compute.layout import channels_last, keep_large_blocks
from ptheta.specs import ImageSpec, to_unit

SPEC = ImageSpec(1, 28, 28, 2)
PIXELS = 784

# title -> (model, options, the peer's class, its options)
SIZES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "PixelCNN 15 x 32": (
        "pixelcnn",
        {"features": 32, "blocks": 15, "head": 32},
        "PixelCNN",
        {"residual_channels": 16},
    ),
    "PixelCNN 15 x 256": (
        "pixelcnn",
        {"features": 256, "blocks": 15, "head": 32},
        "PixelCNN",
        {"residual_channels": 128},
    ),
    "Gated PixelCNN 11 x 128": (
        "gated-pixelcnn",
        {"features": 128, "layers": 11, "head": 32},
        "GatedPixelCNN",
        {},
    ),
}


class PlainMasked(nn.Conv2d):
    """A k x k convolution whose later half is multiplied by zero."""

    mask: torch.Tensor

    def __init__(self, a: int, b: int, kernel: int, own: bool) -> None:
        super().__init__(a, b, kernel, padding=kernel // 2)
        mask = torch.zeros(kernel, kernel)
        mask[: kernel // 2] = 1
        mask[kernel // 2, : kernel // 2 + own] = 1
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class PlainBlock(nn.Module):
    def __init__(self, wide: int) -> None:
        super().__init__()
        half = wide // 2
        self.body = nn.Sequential(
            *(nn.ReLU(), nn.Conv2d(wide, half, 1), nn.ReLU(), PlainMasked(half, half, 3, True)),
            *(nn.ReLU(), nn.Conv2d(half, wide, 1)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        more: torch.Tensor = self.body(x)
        return x + more


class PlainPixelCNN(nn.Sequential):
    def __init__(self, residual_channels: int) -> None:
        wide = 2 * residual_channels
        blocks = [PlainBlock(wide) for _ in range(15)]
        head = [nn.ReLU(), nn.Conv2d(wide, 32, 1), nn.ReLU(), nn.Conv2d(32, 1, 1)]
        super().__init__(PlainMasked(1, wide, 7, False), *blocks, *head)


def peer(name: str, options: dict[str, Any], folder: str | None) -> nn.Module | None:
    if folder is not None:
        sys.path.insert(0, folder)
        from pytorch_generative import models

        other: nn.Module = getattr(models, name)(**options)
        return other
    return PlainPixelCNN(**options) if name == "PixelCNN" else None


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def product_floor(model: nn.Module, n: int) -> float:
    """Seconds of the matrix products alone that n images need."""
    products: list[tuple[int, int, int, int]] = []  # rows, inner, columns, how often
    config: Any = model.config
    f, head = config.features, config.head
    if hasattr(config, "blocks"):
        half, layers = f // 2, config.blocks
        products += [(n, f, half, layers * PIXELS), (n, half, half, 2 * layers * PIXELS)]
        products += [(n, half, f, layers * PIXELS), (28 * n, half, half, 3 * layers * 28)]
    else:
        layers = config.layers
        products += [(n, f, 2 * f, 2 * layers * PIXELS), (n, f, f, layers * PIXELS)]
        products += [(n, f * layers, f, PIXELS), (28 * n, f, 2 * f, 6 * layers * 28)]
        products += [(28 * n, 2 * f, 2 * f, layers * 28)]
    products += [(n, 24, f, PIXELS), (n, f, head, PIXELS), (n, head, 1, PIXELS)]
    total = 0.0
    for rows, inner, columns, count in products:
        a, b = torch.randn(rows, inner), torch.randn(inner, columns)
        out = torch.empty(rows, columns)
        repeats = max(20, min(400, int(2e8 / (rows * inner * columns))))
        total += count * timed(lambda: [torch.mm(a, b, out=out) for _ in range(repeats)]) / repeats  # noqa: B023
    return total


@torch.no_grad()
def sampling(folder: str | None, rounds: int) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for title, (name, options, peer_name, peer_options) in SIZES.items():
        torch.manual_seed(0)
        ours: Any = channels_last(ptheta.create(name, SPEC, **options).eval())
        theirs = peer(peer_name, peer_options, folder)
        for n in (16, 64):
            x = torch.zeros(n, 1, 28, 28)
            ours.sample(n)
            fast, slow, floor = [], [], []
            for _ in range(rounds):
                fast.append(timed(lambda: ours.sample(n)))  # noqa: B023
                floor.append(product_floor(ours, n))
                if theirs is not None:
                    slow.append(timed(lambda: theirs(x)) * PIXELS)  # noqa: B023
            row: dict[str, Any] = {
                "ptheta_s": round(statistics.median(fast), 3),
                "images_per_s": round(n / statistics.median(fast), 2),
                "floor_s": round(statistics.median(floor), 3),
                "times_floor": round(statistics.median(fast) / statistics.median(floor), 2),
            }
            if slow:
                row["naive_s"] = round(statistics.median(slow), 1)
                row["ratio"] = round(
                    statistics.median(b / a for a, b in zip(fast, slow, strict=True)), 1
                )
            table[f"{title}, batch {n}"] = row
            print(f"{title}, batch {n}: {row}", flush=True)
    return table


def worker(title: str, who: str, folder: str | None, batch: int, pipe: Any) -> None:
    """A process with one contender's step: both by Adam on Bernoulli logits. ptheta's is set up as
    its trainer sets it up (channels last, fused Adam, memory kept); the peer's is its own."""
    name, options, peer_name, peer_options = SIZES[title]
    x = torch.randint(0, 2, (batch, 1, 28, 28), dtype=torch.uint8) * 255
    model: Any
    if who == "ptheta":
        keep_large_blocks()
        model = channels_last(ptheta.create(name, SPEC, **options))
    else:
        model = peer(peer_name, peer_options, folder)
    adam = torch.optim.Adam(model.parameters(), fused=who == "ptheta")

    def loss() -> torch.Tensor:
        if who == "ptheta":
            own: torch.Tensor = model.loss(Batch(x))["nll"]
            return own.mean()
        target = to_unit(x)
        nll = F.binary_cross_entropy_with_logits(model(target), target, reduction="none")
        return nll.sum((1, 2, 3)).mean()

    def step() -> None:
        adam.zero_grad()
        loss().backward()
        adam.step()

    step()
    pipe.send(sum(p.numel() for p in model.parameters()))
    while pipe.recv():
        pipe.send(timed(step))


def training(folder: str | None, rounds: int, batch: int = 64) -> dict[str, Any]:
    """One optimizer step, each contender in a process of its own; they take turns."""
    context = torch.multiprocessing.get_context("spawn")
    table: dict[str, Any] = {}
    for title, (_, _, peer_name, _) in SIZES.items():
        if folder is None and peer_name != "PixelCNN":
            continue
        pipes, sizes, times = {}, {}, {"ptheta": [], "peer": []}  # type: ignore[var-annotated]
        for who in times:
            pipes[who], end = context.Pipe()
            context.Process(
                target=worker, args=(title, who, folder, batch, end), daemon=True
            ).start()
            sizes[who] = pipes[who].recv()
        for _ in range(rounds):
            for who, pipe in pipes.items():
                pipe.send(True)
                times[who].append(pipe.recv())
        for pipe in pipes.values():
            pipe.send(False)
        ratios = (b / a for a, b in zip(times["ptheta"], times["peer"], strict=True))
        table[title] = row = {
            "ptheta_s": round(statistics.median(times["ptheta"]), 3),
            "peer_s": round(statistics.median(times["peer"]), 3),
            "ratio": round(statistics.median(ratios), 2),
            "ptheta_parameters": sizes["ptheta"],
            "peer_parameters": sizes["peer"],
        }
        print(f"{title}: {row}", flush=True)
    return table


class SkewedLSTM(nn.Module):
    """A straightforward Diagonal BiLSTM layer: skewed maps, a convolution for each column."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.input = nn.ModuleList(nn.Conv2d(2 * features, 4 * features, 1) for _ in range(2))
        self.state = nn.ModuleList(nn.Conv1d(features, 4 * features, 2) for _ in range(2))

    def one(self, x: torch.Tensor, k: int) -> torch.Tensor:
        b, _, h, w = x.shape
        gates = self.input[k](x)
        skewed = torch.stack(
            [F.pad(gates[:, :, i], (i, h - 1 - i)) for i in range(h)], 2
        )  # (B, 4F, H, W + H - 1)
        state = gates.new_zeros(b, gates.shape[1] // 4, h)
        cell, outs = state, []
        for column in skewed.unbind(3):
            g = column + self.state[k](F.pad(state, (1, 0)))
            o, f, i, c = g.chunk(4, 1)
            cell = f.sigmoid() * cell + i.sigmoid() * c.tanh()
            state = o.sigmoid() * cell.tanh()
            outs.append(state)
        out = torch.stack(outs, 3)
        return torch.stack([out[:, :, i, i : i + w] for i in range(h)], 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        other = self.one(x.flip(3), 1).flip(3)
        return self.one(x, 0) + F.pad(other[:, :, :-1], (0, 0, 1, 0))


def diagonal(rounds: int, batch: int = 64) -> dict[str, Any]:
    """Forward and backward of one layer."""
    from ptheta.nets.pixel_lstm import DiagonalLayer

    table: dict[str, Any] = {}
    for features in (16, 32, 64):
        ours, plain = DiagonalLayer(features, 1), SkewedLSTM(features)
        x = torch.randn(batch, 2 * features, 28, 28, requires_grad=True)

        def run(layer: nn.Module) -> None:
            layer(x).square().mean().backward()  # noqa: B023

        run(ours)
        run(plain)
        a, b = [], []
        for _ in range(rounds):
            a.append(timed(partial(run, ours)))
            b.append(timed(partial(run, plain)))
        table[f"h = {features}"] = row = {
            "ptheta_ms": round(1e3 * statistics.median(a)),
            "skewed_ms": round(1e3 * statistics.median(b)),
            "ratio": round(statistics.median(q / p for p, q in zip(a, b, strict=True)), 1),
        }
        print(f"Diagonal BiLSTM layer, h = {features}: {row}", flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--peer", help="folder that holds the package pytorch_generative")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=("sampling", "training", "diagonal"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sampling.json"))
    options = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "diagonal": lambda: diagonal(options.rounds),
        "training": lambda: training(options.peer, options.rounds),
        "sampling": lambda: sampling(options.peer, options.rounds),
    }
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    results["threads"] = torch.get_num_threads()
    for name, work in parts.items():
        if options.part in (None, name):
            results[name] = work()
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
