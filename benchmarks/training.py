"""Training speed: ptheta's trainer beside hand-written loops, and pythae's trainer if installed.

    python benchmarks/training.py [--rounds 7] [--only TITLE] [--out FILE.json]

All contenders of a table take turns in one process, round by round; medians over the rounds are
reported, with the ratio to the reference taken round by round. Sizes are those of the published
code that the row is named after; its loops are written anew here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import ptheta
from ptheta.batch import Batch
from ptheta.data import open_images
from ptheta.data.dataset import Dataset
from ptheta.games import Clock, Game, Move, Player
from ptheta.losses.adversarial import cross_entropy, non_saturating
from ptheta.models.variational.vae import VAE
from ptheta.optimizers import Adam
from ptheta.specs import ImageSpec, to_symmetric
from ptheta.training.group import Group
from ptheta.training.loop import Trainer
from ptheta.training.metric_logger import read_metrics
from ptheta.training.settings import TrainSettings

Contender = Callable[[], float]  # one round: images/s


def by_trainer(model: nn.Module, data: Dataset, batch: int, steps: int) -> Contender:
    """ptheta's trainer, everything that a run does included, but for the first log interval."""
    group = Group()

    def one_round() -> float:
        settings = TrainSettings(
            steps=steps,
            batch_size=batch,
            log_every=steps // 4,
            sample_every=0,
            evaluate_every=0,
            checkpoint_every=0,
        )
        with (
            tempfile.TemporaryDirectory() as folder,
            open(os.devnull, "w") as quiet,
            contextlib.redirect_stderr(quiet),
        ):
            Trainer(model, data, settings, Path(folder), group).run()
            lines = read_metrics(Path(folder))
        first, last = lines[0], lines[-1]
        return (last["step"] - first["step"]) * batch / (last["seconds"] - first["seconds"])

    return one_round


def by_loop(step: Callable[[torch.Tensor], Any], x: torch.Tensor, batch: int, n: int) -> Contender:
    """A bare loop over tensors in memory: nothing logged, nothing checked."""

    def one_round() -> float:
        order = torch.randperm(len(x))
        for i in range(n // 4):  # as the trainer's first interval, not counted
            step(x[order[i * batch % (len(x) - batch) :][:batch]])
        start = time.perf_counter()
        for i in range(n - n // 4):
            step(x[order[i * batch % (len(x) - batch) :][:batch]])
        return (n - n // 4) * batch / (time.perf_counter() - start)

    return one_round


# -- MLP VAE of pythae's sizes: 784-512-latent 10, Bernoulli --------------------------------------


class PlainVAE(nn.Module):
    """The same sizes by hand: two separate heads, a sigmoid, binary cross-entropy."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(784, 512), nn.ReLU())
        self.mean, self.log_var = nn.Linear(512, 10), nn.Linear(512, 10)
        self.decoder = nn.Sequential(
            nn.Linear(10, 512), nn.ReLU(), nn.Linear(512, 784), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.body(x)
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        nll = F.binary_cross_entropy(self.decoder(z), x, reduction="none").sum(-1)
        kl: torch.Tensor = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(-1)
        return (nll + kl).mean()


def stepper(model: nn.Module, loss: Callable[[torch.Tensor], torch.Tensor], **adam: Any) -> Any:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **adam)

    def step(x: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss(x).backward()
        optimizer.step()

    return step


def vae_table(batch: int, steps: int) -> dict[str, Contender]:
    data = open_images("digits", levels=2)
    x = data.batch(slice(None)).x.flatten(1).float() / 255
    plain = PlainVAE()
    model = ptheta.create("vae", data.spec, hidden=(512,), latent=10)
    table = {
        "bare loop, plain modules": by_loop(stepper(plain, plain), x, batch, steps),
        "ptheta": by_trainer(model, data, batch, steps),
    }
    if (theirs := pythae_trainer(x, batch, steps)) is not None:
        table["pythae trainer"] = theirs
    return table


def pythae_trainer(x: torch.Tensor, batch: int, steps: int) -> Contender | None:
    """One epoch of pythae's trainer on as many images as the steps need."""
    try:
        from pythae.data.datasets import BaseDataset
        from pythae.models import VAE, VAEConfig
        from pythae.trainers import BaseTrainer, BaseTrainerConfig
    except ImportError:
        return None
    logging.getLogger("pythae").setLevel(logging.ERROR)
    images = x.view(-1, 1, 28, 28)[: steps * batch]
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=10, reconstruction_loss="bce"))

    def one_round() -> float:
        with (
            tempfile.TemporaryDirectory() as folder,
            open(os.devnull, "w") as quiet,
            contextlib.redirect_stderr(quiet),
            contextlib.redirect_stdout(quiet),
        ):
            trainer = BaseTrainer(
                model=model,
                train_dataset=BaseDataset(images, torch.zeros(len(images))),
                training_config=BaseTrainerConfig(
                    output_dir=folder,
                    num_epochs=1,
                    per_device_train_batch_size=batch,
                    learning_rate=1e-3,
                    optimizer_cls="Adam",
                ),
            )
            trainer.prepare_training()
            start = time.perf_counter()
            trainer.train_step(epoch=1)
            return len(images) / (time.perf_counter() - start)

    return one_round


def overhead_table(batch: int, steps: int) -> dict[str, Contender]:
    """The same modules, loss and optimizer: what the trainer adds to a loop."""
    data = open_images("digits", levels=2)
    spec = data.spec
    images = data.batch(slice(None)).x
    model = ptheta.create("vae", spec, hidden=(512,), latent=10)
    by_hand = ptheta.create("vae", spec, hidden=(512,), latent=10)
    assert isinstance(by_hand, VAE)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return -by_hand.elbo(x).mean()

    return {
        "bare loop, the same modules": by_loop(
            stepper(by_hand, loss, fused=True), images, batch, steps
        ),
        "ptheta": by_trainer(model, data, batch, steps),
    }


# -- DCGAN of PyTorch-GAN's sizes at 32 px ---------------------------------------------------------


class UpsamplingGAN(nn.Module):
    """Those sizes: upsampling and 3x3 convolutions against a discriminator of 16-32-64-128."""

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.spec, self.classes = spec, 0

        def wide(a: int, b: int) -> list[nn.Module]:
            up = nn.Upsample(scale_factor=2)
            return [up, nn.Conv2d(a, b, 3, 1, 1), nn.BatchNorm2d(b, 0.8), nn.LeakyReLU(0.2)]

        self.generator = nn.Sequential(
            nn.Linear(100, 128 * 64),
            nn.Unflatten(1, (128, 8, 8)),
            nn.BatchNorm2d(128),
            *wide(128, 128),
            *wide(128, 64),
            nn.Conv2d(64, spec.channels, 3, 1, 1),
            nn.Tanh(),
        )

        def deep(a: int, b: int) -> list[nn.Module]:
            block: list[nn.Module] = [nn.Conv2d(a, b, 3, 2, 1), nn.LeakyReLU(0.2)]
            block.append(nn.Dropout2d(0.25))
            return [*block, nn.BatchNorm2d(b, 0.8)] if a > spec.channels else block

        layers = [deep(a, b) for a, b in ((1, 16), (16, 32), (32, 64), (64, 128))]
        self.discriminator = nn.Sequential(
            *(layer for block in layers for layer in block), nn.Flatten(), nn.Linear(512, 1)
        )

    def prepare(self, batch: Batch, clock: Clock) -> torch.Tensor:
        fakes: torch.Tensor = self.generator(torch.randn(len(batch), 100))
        return fakes

    def g_loss(self, batch: Batch, fake: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"adversarial": non_saturating(self.discriminator(fake)[:, 0])}

    def d_loss(self, batch: Batch, fakes: torch.Tensor) -> dict[str, torch.Tensor]:
        real, fake = (
            self.discriminator(to_symmetric(batch.x)),
            self.discriminator(fakes.detach()),
        )
        return {"adversarial": cross_entropy(real[:, 0], fake[:, 0])}

    def game(self) -> Game[torch.Tensor]:
        return Game(
            {
                "generator": Player((self.generator,), Adam(2e-4, 0.5)),
                "discriminator": Player((self.discriminator,), Adam(2e-4, 0.5)),
            },
            (Move("discriminator", self.d_loss), Move("generator", self.g_loss)),
            self.prepare,
        )


def gan_loop(gan: UpsamplingGAN) -> Any:
    """The usual loop: both networks take gradients in both passes, BCE on sigmoids."""
    g_step = torch.optim.Adam(gan.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_step = torch.optim.Adam(gan.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    bce = nn.BCELoss()

    def step(x: torch.Tensor) -> None:
        valid, wrong = torch.ones(len(x), 1), torch.zeros(len(x), 1)
        g_step.zero_grad()
        z = torch.from_numpy(np.random.default_rng().normal(0, 1, (len(x), 100))).float()
        fake = gan.generator(z)
        bce(gan.discriminator(fake).sigmoid(), valid).backward()
        g_step.step()
        d_step.zero_grad()
        real_loss = bce(gan.discriminator(x).sigmoid(), valid)
        fake_loss = bce(gan.discriminator(fake.detach()).sigmoid(), wrong)
        ((real_loss + fake_loss) / 2).backward()
        d_step.step()

    return step


def gan_table(batch: int, steps: int) -> dict[str, Contender]:
    data = open_images("digits", size=32)
    x = to_symmetric(data.batch(slice(0, 4000)).x)
    return {
        "the usual loop": by_loop(gan_loop(UpsamplingGAN(data.spec)), x, batch, steps),
        "ptheta, the same modules": by_trainer(UpsamplingGAN(data.spec), data, batch, steps),
        "ptheta's dcgan, features 64": by_trainer(
            ptheta.create("dcgan", data.spec, features=64), data, batch, steps
        ),
        "ptheta's dcgan, features 32": by_trainer(
            ptheta.create("dcgan", data.spec, features=32), data, batch, steps
        ),
    }


# -- fully connected GANs of PyTorch-GAN's sizes (gan.py, wgan_gp.py) at 28 px ---------------------


def dense_generator() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(100, 128), nn.LeakyReLU(0.2, inplace=True)]
    for a, b in ((128, 256), (256, 512), (512, 1024)):
        layers += [nn.Linear(a, b), nn.BatchNorm1d(b, 0.8), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Linear(1024, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))


def dense_discriminator() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 512),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Linear(512, 256),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Linear(256, 1),
    )


def noise(n: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng().normal(0, 1, (n, 100))).float()


def adams(g: nn.Module, d: nn.Module) -> tuple[torch.optim.Adam, torch.optim.Adam]:
    lr, betas = 2e-4, (0.5, 0.999)
    return (
        torch.optim.Adam(g.parameters(), lr=lr, betas=betas),
        torch.optim.Adam(d.parameters(), lr=lr, betas=betas),
    )


def dense_loop() -> Any:
    """As usually written: both networks take gradients in the generator's step, too."""
    g, d = dense_generator(), dense_discriminator()
    g_step, d_step = adams(g, d)
    bce = nn.BCELoss()

    def step(x: torch.Tensor) -> None:
        valid, wrong = torch.ones(len(x), 1), torch.zeros(len(x), 1)
        g_step.zero_grad()
        fake = g(noise(len(x)))
        bce(d(fake).sigmoid(), valid).backward()
        g_step.step()
        d_step.zero_grad()
        real_loss = bce(d(x).sigmoid(), valid)
        fake_loss = bce(d(fake.detach()).sigmoid(), wrong)
        ((real_loss + fake_loss) / 2).backward()
        d_step.step()

    return step


def penalised_loop(critic_steps: int = 5) -> Any:
    """As usually written: the critic's step goes back into the generator, and fakes are made anew
    for the generator's."""
    g, d = dense_generator(), dense_discriminator()
    g_step, d_step = adams(g, d)
    count = 0

    def step(x: torch.Tensor) -> None:
        nonlocal count
        d_step.zero_grad()
        z = noise(len(x))
        fake = g(z)
        on_real, on_fake = d(x), d(fake)
        e = torch.from_numpy(np.random.default_rng().random((len(x), 1, 1, 1))).float()
        points = (e * x + (1 - e) * fake.data).requires_grad_(True)
        at = d(points)
        (slope,) = torch.autograd.grad(
            at, points, torch.ones_like(at), create_graph=True, retain_graph=True
        )
        penalty = ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
        (on_fake.mean() - on_real.mean() + 10 * penalty).backward()
        d_step.step()
        g_step.zero_grad()
        if count % critic_steps == 0:
            (-d(g(z)).mean()).backward()
            g_step.step()
        count += 1

    return step


def by_loader(
    step: Callable[[torch.Tensor], Any], x: torch.Tensor, batch: int, n: int
) -> Contender:
    """The same loop fed by a DataLoader over images in memory, as those programs are."""
    sets = torch.utils.data.TensorDataset(x)

    def one_round() -> float:
        loader = torch.utils.data.DataLoader(sets, batch_size=batch, shuffle=True, drop_last=True)
        done, start = 0, time.perf_counter()
        while True:
            for (images,) in loader:
                step(images)
                done += 1
                if done == n // 4:
                    start = time.perf_counter()
                if done == n:
                    return (n - n // 4) * batch / (time.perf_counter() - start)

    return one_round


def dense_gan_table(batch: int, steps: int, loop: Callable[[], Any], **options: Any) -> Any:
    data = open_images("digits")
    x = to_symmetric(data.batch(slice(None)).x)
    ours = ptheta.create("gan", data.spec, net="mlp", **options)
    return {
        "the usual loop and loader": by_loader(loop(), x, batch, steps),
        "the usual loop, no loader": by_loop(loop(), x, batch, steps),
        "ptheta": by_trainer(ours, data, batch, steps),
    }


def measure(contenders: dict[str, Contender], rounds: int) -> dict[str, dict[str, float]]:
    """Medians of images/s, and of the ratio to the first contender, over the rounds."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for one_round in contenders.values():  # warm-up
        one_round()
    for _ in range(rounds):
        for name, one_round in contenders.items():
            rates[name].append(one_round())
    reference = rates[next(iter(rates))]
    return {
        name: {
            "images_per_s": round(statistics.median(values), 1),
            "least": round(min(values), 1),
            "most": round(max(values), 1),
            "ratio": round(
                statistics.median(a / b for a, b in zip(values, reference, strict=True)), 3
            ),
        }
        for name, values in rates.items()
    }


def begun(kept: Path | None) -> dict[str, Any]:
    """The results that tables are added to: of this machine. kept: a file whose tables stay"""
    machine = {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    if kept is None or not kept.exists():
        return {"machine": machine, "tables": {}}
    return {"machine": machine, "tables": json.loads(kept.read_text())["tables"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="tables whose title holds this; others stay")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/training.json"))
    options = parser.parse_args()
    torch.manual_seed(0)
    tables: dict[str, dict[str, Contender]] = {
        "MLP VAE 784-512-10, batch 64": vae_table(64, 400),
        "MLP VAE 784-512-10, batch 256": vae_table(256, 160),
        "trainer overhead, batch 64": overhead_table(64, 400),
        "trainer overhead, batch 256": overhead_table(256, 160),
        "DCGAN 32 px, batch 64": gan_table(64, 16),
        "fully connected GAN, batch 64": dense_gan_table(64, 400, dense_loop),
        "fully connected WGAN-GP, batch 64": dense_gan_table(
            64,
            400,
            penalised_loop,
            loss="wasserstein",
            penalty=("gp",),
            critic_steps=5,
        ),
    }
    results = begun(options.out if options.only else None)
    for title, contenders in tables.items():
        if options.only not in title:
            continue
        # a few percent are sought there, less than what one round differs from the next
        rounds = options.rounds * (4 if title.startswith("trainer overhead") else 1)
        print(f"{title}, {rounds} rounds")
        found = measure(contenders, rounds)
        results["tables"][title] = found
        for name, row in found.items():
            print(
                f"  {name:32} {row['images_per_s']:>9,.0f} images/s "
                f"({row['least']:,.0f}..{row['most']:,.0f})  {row['ratio']:.2f}x"
            )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
