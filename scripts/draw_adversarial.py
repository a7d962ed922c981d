"""Draw the figures of docs/adversarial.md.

    python scripts/draw_adversarial.py RUNS --losses SWEEP [--out docs/images]

RUNS contains the runs listed under Figures in docs/adversarial.md, by these names; SWEEP is the
output folder of benchmarks/losses.py. The two-dimensional landscapes are trained by this script.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib import pyplot as plt
from torch import Tensor

import ptheta
from ptheta import tasks
from ptheta.batch import Batch
from ptheta.compute.streams import seeded
from ptheta.dynamics import alternating
from ptheta.files.images import grid, write_png
from ptheta.losses.adversarial import LOSSES
from ptheta.losses.penalties import PENALTIES, squared_grad_norm
from ptheta.nets.augment import AUGMENTATIONS
from ptheta.runs.folder import Run
from ptheta.specs import ImageSpec, from_symmetric, to_symmetric
from ptheta.training.engine import Engine
from ptheta.training.group import Group

POINTS = ImageSpec(1, 1, 2)  # two pixels: an image is a point in the plane
# additional options of a loss or penalty
WITH: dict[str, dict[str, dict[str, Any]]] = {
    "wasserstein": {
        "wasserstein, clipped": {"weight_clip": 0.1, "critic_steps": 5},
        "wasserstein, gp": {"penalty": ("gp",), "critic_steps": 5},
    },
    "relativistic": {
        "relativistic, R1 + R2": {"penalty": ("r1", "r2"), "penalty_weight": 0.1},
    },
    # one-dimensional code: with two, the autoencoder would be the identity
    "began": {"began": {"code": 1, "gamma": 0.7, "equilibrium_rate": 0.01}},
}
WEIGHTS = {"r1": 0.3, "r2": 0.3}  # penalty weights other than 1


def losses() -> dict[str, dict[str, Any]]:
    """Options of a two-dimensional game for every loss: title -> options."""
    return {
        title: {"loss": name, **options}
        for name in LOSSES
        for title, options in WITH.get(name, {name.replace("_", " "): {}}).items()
    }


def penalties() -> dict[str, dict[str, Any]]:
    """The same for every gradient penalty, weight clipping and spectral normalisation."""
    on_images = [name for name, penalty in PENALTIES.items() if penalty.at != "code"]
    games: dict[str, dict[str, Any]] = {"none": {}}
    for name in on_images:
        games[name] = {"penalty": (name,), "penalty_weight": WEIGHTS.get(name, 1.0)}
    return games | {"spectral norm": {"spectral_norm": True}}


def ring(n: int) -> Tensor:
    """Points from eight clusters on a circle, as images: uint8 (n, 1, 1, 2)."""
    angle = torch.randint(8, (n,)) * (torch.pi / 4)
    at = 0.7 * torch.stack([angle.cos(), angle.sin()], 1) + 0.03 * torch.randn(n, 2)
    return from_symmetric(at.view(n, 1, 1, 2))


def play(options: Mapping[str, Any], steps: int) -> Any:
    torch.manual_seed(0)
    shared: dict[str, Any] = {
        "net": "mlp",
        "g_hidden": (64, 64),
        "d_hidden": (64, 64),
        "g_norm": "none",
    }
    model: Any = ptheta.create("gan", POINTS, **shared, latent=4, lr=1e-3, **options)
    game = model.game()
    engine = Engine(model, game, Group())
    for step in range(1, steps + 1):
        engine.step = step
        alternating(engine, game, step, Batch(ring(256)))
        with torch.no_grad():
            game.after(step)
    return model.eval()


def landscapes(
    games: Mapping[str, Mapping[str, Any]], slopes: bool, steps: int, file: Path
) -> None:
    """Plot the discriminator's output (or its gradient norm), with data and samples."""
    side = 80
    axis = torch.linspace(-1, 1, side)
    plane = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).view(-1, 1, 1, 2)
    columns = (len(games) + 1) // 2
    figure, axes = plt.subplots(2, columns, figsize=(2.6 * columns, 5.6))
    for ax, (title, options) in zip(axes.flat, games.items(), strict=False):
        model = play(options, steps)
        points = plane.clone().requires_grad_()
        d = model.discriminate_batch(points, None).logits
        shown = squared_grad_norm(d, points).sqrt() if slopes else d
        picture = ax.imshow(
            shown.detach().view(side, side), extent=(-1, 1, -1, 1), origin="lower", cmap="viridis"
        )
        figure.colorbar(picture, ax=ax, shrink=0.7)
        with torch.no_grad():
            for x, colour in ((ring(300), "white"), (model.sample(300), "#e4572e")):
                at = to_symmetric(x).view(-1, 2)
                ax.scatter(at[:, 0], at[:, 1], s=2, color=colour)
        ax.set(title=title, xticks=[], yticks=[], xlim=(-1, 1), ylim=(-1, 1))
    for ax in axes.flat[len(games) :]:
        ax.axis("off")
    figure.tight_layout()
    figure.savefig(file, dpi=80)
    plt.close(figure)


def curves(file: Path) -> None:
    """Plot the losses of both players as functions of the logit d."""
    d = torch.linspace(-3, 3, 200)
    zero = torch.zeros_like(d)
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharex=True)
    titles = ("discriminator, of a real image", "discriminator, of a fake", "generator, of a fake")
    for name, loss in LOSSES.items():
        if loss.autoencoding:
            continue
        told = {"label": name.replace("_", " ")}
        told |= {"linestyle": "--" if loss.compares or loss.labelled is None else "-"}
        parts = (
            loss.discriminator(d, zero) - loss.discriminator(zero, zero),
            loss.discriminator(zero, d) - loss.discriminator(zero, zero),
            loss.generator(d, zero) - loss.generator(zero, zero),
        )
        for ax, y in zip(axes, parts, strict=True):
            ax.plot(d, y, **told)
    for ax, title in zip(axes, titles, strict=True):
        ax.set(title=title, xlabel="d", ylim=(-3.2, 4.5))
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("loss, from its value at d = 0")
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(file, dpi=80)
    plt.close(figure)


@torch.no_grad()
def conditions(runs: Path, out: Path) -> None:
    """Draw samples with one row per label and the same codes in each row."""
    for name in ("cgan", "acgan", "projection-gan"):
        if not (runs / name).exists():
            continue
        model: Any = Run.open(runs / name).model()
        with seeded(0):
            z = model.sample_latent(10)
        y = torch.arange(10).repeat_interleave(10)
        write_png(out / f"{name}-samples.png", grid(model.decode(z.repeat(10, 1), y), 10), 2)
    if (runs / "infogan").exists():
        model = Run.open(runs / "infogan").model()
        c = model.config
        with seeded(1):
            z = model.sample_latent(10)
        rows = []
        for category in range(c.categories):
            one = z.clone()
            one[:, c.latent :] = 0
            one[:, c.latent + category] = 1
            rows.append(model.decode(one))
        write_png(out / "infogan-categories.png", grid(torch.cat(rows), 10), 2)
        walks = []
        for j in range(c.continuous):
            for category in range(0, c.categories, 2):
                walk = z[:1].repeat(10, 1)
                walk[:, c.latent :] = 0
                walk[:, c.latent + category] = 1
                walk[:, c.latent + c.categories + j] = torch.linspace(-2, 2, 10)
                walks.append(model.decode(walk))
        write_png(out / "infogan-continuous.png", grid(torch.cat(walks), 10), 2)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--losses", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000, help="training steps of each 2-D game")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    out: Path = options.out
    matplotlib.use("agg")

    curves(out / "gan-loss-curves.png")
    with torch.enable_grad():
        landscapes(losses(), False, options.steps, out / "gan-losses-plane.png")
        landscapes(penalties(), True, options.steps, out / "gan-penalties-plane.png")

    for path in sorted(options.losses.glob("*,seed=0")):
        samples = tasks.sample(Run.open(path).model(), 30, seed=0)
        name = path.name.removesuffix(",seed=0").replace("=", "-").replace(",", "-")
        write_png(out / f"gan-{name}.png", grid(samples, 10), 2)

    for name in ("gan", "wgan-gp"):
        if (options.runs / name).exists():
            model = Run.open(options.runs / name).model()
            write_png(out / f"{name}-samples.png", grid(tasks.sample(model, 40, seed=0), 10), 2)
    conditions(options.runs, out)

    x = ptheta.open_data("digits", "test").batch(slice(0, 10)).x
    rows = [x]
    with seeded(0):
        for augment in AUGMENTATIONS.values():
            rows.append(from_symmetric(augment.apply(to_symmetric(x))))
    write_png(out / "gan-augment.png", grid(torch.cat(rows), 10), 2)

    if (options.runs / "gan").exists():
        model = Run.open(options.runs / "gan").model()
        walks = [tasks.interpolate(model, 2, 10, straight=s, seed=3) for s in (False, True)]
        write_png(out / "gan-interpolation.png", grid(torch.cat(walks), 10), 2)


if __name__ == "__main__":
    main()
