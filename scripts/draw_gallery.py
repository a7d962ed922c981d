"""Draw the figures of the gallery with the commands shown below them.

    python -m scripts.draw_gallery [NAME ...]

The commands of a figure run one after the other in an empty folder; the image written by the last
one is copied to docs/images/gallery/NAME.png. Without a NAME, missing figures are drawn.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GALLERY = Path(__file__).parent.parent / "docs" / "images" / "gallery"


@dataclass(frozen=True)
class Picture:
    """A figure. title: caption; model: its name; commands: the last one writes NAME.png"""

    title: str
    model: str
    commands: tuple[str, ...]


def _moons(model: str, train: str = "") -> Picture:
    """Samples of a model trained on the two moons."""
    run = f"runs/{model}-moons"
    return Picture(
        f"2,000 samples of `{model}` trained on two moons",
        model,
        (
            f"ptheta train {model} --data points-moons --recipe points{train} --out {run}",
            f"ptheta sample {run} -n 2000 --out {model}-moons.png",
        ),
    )


def _digits(model: str, train: str, title: str = "", sample: str = "") -> Picture:
    """Samples of a model trained on digits."""
    file, run = _file(model), f"runs/{_file(model)}"
    return Picture(
        title or f"64 uncurated samples of `{model}` trained on digits",
        model,
        (
            f"ptheta train {model} --data digits {train} --out {run}",
            f"ptheta sample {run}{sample} --out {file}.png",
        ),
    )


def _file(model: str) -> str:
    return model.replace("+", "p")


MOONS: Mapping[str, str] = {  # model -> training options in addition to the recipe
    "gaussian": "",
    "mixture": "",
    "kde": "",
    "nice": " --steps 1000",
    "realnvp": " --steps 500",
    "glow": " --steps 500",
    "maf": " --steps 500",
    "made": " --steps 1000",
    "nade": " --steps 1000",
    "vae": " --steps 1500",
    "gan": " --steps 2000",
    "gmmn": " --steps 500",
    "wae-mmd": " --steps 1000",
    "rbm": " --steps 1500",
    "gsn": " --steps 1000",
    "ddpm": " --steps 2000",
    "flow-matching": " --steps 3000",
}
DIGITS: Mapping[str, Picture] = {
    "vae": _digits("vae", "--recipe demo --steps 1500", sample=" --mean"),
    "iwae": _digits("iwae", "--levels 2 --samples 5 --steps 1000", sample=" --mean"),
    "dcgan": _digits("dcgan", "--recipe demo --steps 800"),
    "gmmn": _digits("gmmn", "--levels 2 --recipe eight-minutes --steps 1500", sample=" --mean"),
    "aae": _digits("aae", "--steps 2500"),
    "wae-mmd": _digits("wae-mmd", "--steps 1200"),
    "mixture": _digits("mixture", "--levels 2 --recipe bernoulli"),
    "kde": _digits("kde", "--recipe bernoulli --levels 2"),
    "made": _digits("made", "--levels 2 --steps 1500"),
    "rbm": _digits("rbm", "--levels 2 --steps 4000"),
    "ladder-vae": _digits("ladder-vae", "--recipe digits", sample=" --mean"),
    "vq-vae": Picture(
        "samples of `vq-vae` by label, with a prior of its codes",
        "vq-vae",
        (
            "ptheta train vq-vae --data digits --recipe digits --out runs/vq-vae",
            "ptheta fit runs/vq-vae --model pixelcnn --set steps=1000 --set condition=labels",
            "ptheta sample runs/vq-vae -n 80 --mean --out vq-vae.png",
        ),
    ),
    "cgan": _digits(
        "cgan",
        "--condition labels --steps 800 --features 16",
        "samples of `cgan` by label, with the same noise in each row",
        " -n 80 --same-noise",
    ),
    "cvae": _digits(
        "cvae",
        "--condition labels --levels 2 --steps 1500",
        "samples of `cvae` by label, with the same code in each row",
        " -n 80 --same-noise --mean",
    ),
}
PICTURES: Mapping[str, Picture] = {
    **{f"{model}-moons": _moons(model, train) for model, train in MOONS.items()},
    **{_file(name): picture for name, picture in DIGITS.items()},
}


def draw(name: str) -> None:
    """Run the commands of a figure. Raises CalledProcessError if one fails."""
    with tempfile.TemporaryDirectory() as folder:
        for command in PICTURES[name].commands:
            program, *words = shlex.split(command)
            assert program == "ptheta"
            subprocess.run([sys.executable, "-m", "ptheta.cli", *words], cwd=folder, check=True)
        GALLERY.mkdir(parents=True, exist_ok=True)
        picture = Path(folder, f"{name}.png")
        GALLERY.joinpath(picture.name).write_bytes(picture.read_bytes())


def main(names: Sequence[str]) -> None:
    for name in names or [n for n in PICTURES if not (GALLERY / f"{n}.png").exists()]:
        print(name, flush=True)
        draw(name)


if __name__ == "__main__":
    main(sys.argv[1:])
