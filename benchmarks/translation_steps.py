"""Training speed of image-to-image translation beside loops as they are usually written.

    python -m benchmarks.translation_steps [--rounds 5] [--only TITLE] [--out FILE.json]

Contenders of a table take turns in one process, round by round. The sizes are those of the public
collection PyTorch-GAN (pix2pix at 256 pixels, a U-Net of 64 to 512 channels; CycleGAN, 9 residual
blocks of 256 channels); its networks and loops are written anew here. A loop has its images in
memory, and neither logs nor checks anything. Their networks are not quite those of ptheta, which
follows the papers (discriminators of 4x4 filters that see 70 pixels): a third contender of pix2pix
is the loop with ptheta's own.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import ptheta
from benchmarks.training import Contender, begun, by_loop, by_trainer, measure
from ptheta.conditions import Image, Labels
from ptheta.data.image_data import ImageDataset
from ptheta.data.inputs import StoredInputs
from ptheta.models.translation.pix2pix import Pix2Pix
from ptheta.specs import ImageSpec, to_symmetric

LR, BETAS = 2e-4, (0.5, 0.999)
PIXELWISE, CYCLE, IDENTITY = 100.0, 10.0, 5.0
POOL = 50


def initialised(module: nn.Module) -> nn.Module:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
    return module


def adam(*modules: nn.Module) -> torch.optim.Adam:
    weights = [p for module in modules for p in module.parameters()]
    return torch.optim.Adam(weights, lr=LR, betas=BETAS)


# -- pix2pix


class Down(nn.Sequential):
    def __init__(self, a: int, b: int, *, norm: bool = True, dropout: float = 0.0) -> None:
        layers: list[nn.Module] = [nn.Conv2d(a, b, 3, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.BatchNorm2d(b, 0.8)] if norm else []
        super().__init__(*layers, *([nn.Dropout(dropout)] if dropout else []))


class Up(nn.Sequential):
    def __init__(self, a: int, b: int, dropout: float = 0.0) -> None:
        up, conv = nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1)
        layers = [up, conv, nn.LeakyReLU(0.2, inplace=True), nn.BatchNorm2d(b, 0.8)]
        super().__init__(*layers, *([nn.Dropout(dropout)] if dropout else []))


class PlainUNet(nn.Module):
    """Six halvings, channels 64 to 512, skips joined by channels."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [
                Down(3, 64, norm=False),
                Down(64, 128),
                Down(128, 256, dropout=0.5),
                *(Down(a, 512, dropout=0.5) for a in (256, 512, 512)),
            ]
        )
        self.up = nn.ModuleList(
            [
                Up(512, 512, 0.5),
                Up(1024, 512, 0.5),
                Up(1024, 256, 0.5),
                Up(512, 128),
                Up(256, 64),
            ]
        )
        self.last = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(128, 3, 3, 1, 1), nn.Tanh()
        )

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        for down in self.down:
            x = down(x)
            kept.append(x)
        kept.pop()
        for up in self.up:
            x = torch.cat([up(x), kept.pop()], 1)
        found: Tensor = self.last(x)
        return found


def plain_patches(channels: int, norm: type[nn.Module]) -> nn.Sequential:
    """Four halvings, channels 64 to 512, one logit for each patch."""
    layers: list[nn.Module] = [nn.Conv2d(channels, 64, 3, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    for a, b in ((64, 128), (128, 256), (256, 512)):
        layers += [nn.Conv2d(a, b, 3, 2, 1), norm(b), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 3, 1, 1))


def pix2pix_loop(g: nn.Module, d: nn.Module) -> Callable[[Tensor], None]:
    """Both networks take gradients in the generator's step; the discriminator sees pairs twice."""
    g_step, d_step = adam(g), adam(d)
    mse, l1 = nn.MSELoss(), nn.L1Loss()

    def step(both: Tensor) -> None:
        given, real = both[:, :3], both[:, 3:]
        g_step.zero_grad()
        fake = g(given)
        rated = d(torch.cat([fake, given], 1))
        (mse(rated, torch.ones_like(rated)) + PIXELWISE * l1(fake, real)).backward()
        g_step.step()
        d_step.zero_grad()
        on_real, on_fake = (
            d(torch.cat([real, given], 1)),
            d(torch.cat([fake.detach(), given], 1)),
        )
        wrong = mse(on_fake, torch.zeros_like(on_fake))
        (0.5 * (mse(on_real, torch.ones_like(on_real)) + wrong)).backward()
        d_step.step()

    return step


class Logits(nn.Module):
    """A discriminator of ptheta as the loop knows one: images -> logits of patches."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.discriminator(x)[0].logits
        return found


def pictures(n: int, size: int, seed: int) -> np.ndarray:
    """Noise: how fast a step is does not depend on what it sees."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 3, size, size), dtype=np.uint8)


def pix2pix_table(size: int, batch: int, steps: int) -> dict[str, Contender]:
    n = max(32, 4 * batch)
    spec, given, real = ImageSpec(3, size, size), pictures(n, size, 0), pictures(n, size, 1)
    condition = Image(spec)
    data = ImageDataset("noise", "train", real, inputs=StoredInputs(given, spec))

    def ours() -> Pix2Pix:
        model = ptheta.create(
            "pix2pix", spec, condition=condition, features=64, dropout=0.5, loss="least_squares"
        )
        assert isinstance(model, Pix2Pix)
        return model

    plain = initialised(PlainUNet()), initialised(plain_patches(6, nn.BatchNorm2d))
    same = ours()
    assert same.discriminator is not None
    both = to_symmetric(torch.from_numpy(np.concatenate([given, real], 1)))
    return {
        "the usual loop": by_loop(pix2pix_loop(*plain), both, batch, steps),
        "the same of ptheta's networks": by_loop(
            pix2pix_loop(same.generator, Logits(same.discriminator)), both, batch, steps
        ),
        "ptheta's pix2pix": by_trainer(ours(), condition.adapted(data), batch, steps),
    }


# -- CycleGAN


class PlainBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for last in (False, True):
            conv = nn.Conv2d(channels, channels, 3)
            layers += [nn.ReflectionPad2d(1), conv, nn.InstanceNorm2d(channels)]
            layers += [] if last else [nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.body(x)
        return found


def plain_residual(blocks: int) -> nn.Sequential:
    """Two halvings to 256 channels, residual blocks, two doublings."""

    def tail(c: int) -> list[nn.Module]:
        return [nn.InstanceNorm2d(c), nn.ReLU(inplace=True)]

    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, 64, 7), *tail(64)]
    for a in (64, 128):
        layers += [nn.Conv2d(a, 2 * a, 3, 2, 1), *tail(2 * a)]
    layers += [PlainBlock(256) for _ in range(blocks)]
    for a in (256, 128):
        layers += [nn.ConvTranspose2d(a, a // 2, 3, 2, 1, 1), *tail(a // 2)]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(64, 3, 7), nn.Tanh())


class PlainPool:
    """The last 50 images, one at a time."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []

    def seen(self, images: Tensor) -> Tensor:
        shown = []
        for image in images.detach():
            if len(self.kept) < POOL:
                self.kept.append(image)
                shown.append(image)
            elif random.random() > 0.5:
                place = random.randrange(POOL)
                shown.append(self.kept[place].clone())
                self.kept[place] = image
            else:
                shown.append(image)
        return torch.stack(shown)


def cyclegan_loop(blocks: int) -> Callable[[Tensor], None]:
    """Each generator three times, each discriminator thrice, and gradients into all of them."""
    g = [initialised(plain_residual(blocks)) for _ in range(2)]  # into domain 0, 1
    d = [initialised(plain_patches(3, nn.InstanceNorm2d)) for _ in range(2)]
    g_step, d_step = adam(*g), [adam(one) for one in d]
    pools = [PlainPool(), PlainPool()]
    mse, l1 = nn.MSELoss(), nn.L1Loss()

    def step(both: Tensor) -> None:
        real = both[:, :3], both[:, 3:]
        g_step.zero_grad()
        same = [l1(g[k](real[k]), real[k]) for k in range(2)]
        fake = [g[0](real[1]), g[1](real[0])]
        rated = [d[k](fake[k]) for k in range(2)]
        fooled = [mse(one, torch.ones_like(one)) for one in rated]
        back = [l1(g[k](fake[1 - k]), real[k]) for k in range(2)]
        loss = sum(fooled) / 2 + CYCLE * sum(back) / 2 + IDENTITY * sum(same) / 2
        loss.backward()
        g_step.step()
        for k in range(2):
            d_step[k].zero_grad()
            on_real, on_fake = d[k](real[k]), d[k](pools[k].seen(fake[k]))
            right = mse(on_real, torch.ones_like(on_real))
            ((right + mse(on_fake, torch.zeros_like(on_fake))) / 2).backward()
            d_step[k].step()

    return step


def cyclegan_table(size: int, batch: int, steps: int, blocks: int) -> dict[str, Contender]:
    """batch: images of each domain"""
    n = max(32, 4 * batch)
    spec, first, second = ImageSpec(3, size, size), pictures(n, size, 0), pictures(n, size, 1)
    condition = Labels(("a", "b"))
    labels = np.repeat(np.arange(2), n)
    images = np.concatenate([first, second])
    data = ImageDataset("noise", "train", images, labels=labels, classes=condition.names)
    ours = ptheta.create(
        "cyclegan",
        spec,
        condition=condition,
        features=64,
        blocks=blocks,
        d_features=64,
        receptive_field="70",
    )
    both = to_symmetric(torch.from_numpy(np.concatenate([first, second], 1)))
    pair = by_trainer(ours, condition.adapted(data), 2 * batch, steps)
    return {
        "the usual loop": by_loop(cyclegan_loop(blocks), both, batch, steps),
        "ptheta's cyclegan": lambda: pair() / 2,  # pairs of images, as the loop counts
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="tables whose title holds this; others stay")
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/results/translation_steps.json")
    )
    options = parser.parse_args()
    torch.manual_seed(0)
    tables: dict[str, Callable[[], dict[str, Contender]]] = {
        "pix2pix, 256 px, batch 1": lambda: pix2pix_table(256, 1, 8),
        "pix2pix, 64 px, batch 16": lambda: pix2pix_table(64, 16, 8),
        "CycleGAN, 128 px, batch 1": lambda: cyclegan_table(128, 1, 8, 9),
        "CycleGAN, 32 px, batch 8": lambda: cyclegan_table(32, 8, 8, 9),
    }
    results = begun(options.out if options.only else None)
    for title, made in tables.items():
        if options.only not in title:
            continue
        print(title, flush=True)
        found: dict[str, Any] = measure(made(), options.rounds)
        for name, row in found.items():
            rate = f"{row['images_per_s']:>7,.2f} images/s ({row['least']:,.2f}"
            print(f"  {name:30} {rate}..{row['most']:,.2f})  {row['ratio']:.2f}x", flush=True)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        results["tables"][title] = found | {"GiB, most so far in this process": round(most, 2)}
    options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
