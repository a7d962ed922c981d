"""The files that the commands of the pages name, and the runs that those of the help name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image

from ptheta.cli.commands import cli
from ptheta.data import open_data
from tests.conftest import TINY
from tests.docs.commands import shortened

PICTURES = 30
FOLDERS = ("FOLDER", "photos", "drawings", "pets/cat", "pets/dog", "PATH", "made", "real")
# name of a run of the help -> the words of its training; a run is called as its model is, and
# `scenes` is of captioned scenes
TRAINED = {
    **{
        name: f"{name} --data digits --levels 4"
        for name in ("vae", "dcgan", "gan", "pixelcnn", "made", "dae", "ae", "aae", "gsn")
    },
    "rbm": "rbm --data digits --levels 2",
    "infogan": "infogan --data digits --levels 4 --categories 10 --continuous 2",
    "cvae": "cvae --data digits --levels 4",
    "pix2pix": "pix2pix --data photos --size 32 --pairs edges",
    "gaussian": "gaussian --data people.csv --recipe table",
    "scenes": "ae --data shapes",
    "vq": "vq-vae --data digits --levels 2",
    "plain": "ladder-vae --data digits --levels 2 --bottom-up",
    "ladder": "ladder-vae --data digits --levels 2",
}


def make_files(place: Path) -> None:
    """Pictures of digits, masks, captions, a table with gaps, options, codes."""
    images = open_data("digits", "test").batch(slice(0, PICTURES)).x[:, 0].numpy()
    for name in FOLDERS:
        (place / name).mkdir(parents=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(place / name / f"{i}.png")
    for name in ("a", "photo"):
        Image.fromarray(images[0]).save(place / f"{name}.png")
    hole = np.zeros((28, 28), np.uint8)
    hole[8:20, 8:20] = 255
    Image.fromarray(hole).save(place / "m.png")
    (place / "captions.txt").write_text("a large red circle at the top left on white\n")
    (place / "options.toml").write_text("")
    np.save(place / "codes.npy", np.zeros((3, TINY["gan"]["latent"]), np.float32))
    (place / "people.csv").write_text(table())


def table() -> str:
    """Of people, some of whose ages are not known."""
    rng = np.random.default_rng(0)
    lines = ["height,age,sex"]
    for i in range(200):
        tall = i % 2
        age = "" if rng.random() < 0.1 else str(rng.integers(18, 80))
        lines.append(f"{rng.normal(1.65 + 0.12 * tall, 0.06):.2f},{age},{'fm'[tall]}")
    return "\n".join([*lines, ""])


def make_runs() -> None:
    """The runs of the help, below runs/."""
    for name, words in TRAINED.items():
        fault = run(shortened(["train", *words.split(), "--out", f"runs/{name}"]))
        assert fault is None, f"{name}: {fault}"


def run(words: list[str]) -> str | None:
    """Runs `ptheta WORDS` here. What went wrong; None where it went well."""
    done = CliRunner().invoke(cli, words)
    if done.exception is None and done.exit_code == 0:
        return None
    return f"{done.exception!r} {done.output[-300:]}"
