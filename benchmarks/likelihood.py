"""Test log-likelihood on MNIST after a stated time, beside published numbers.

    python benchmarks/likelihood.py gated-pixelcnn --data FOLDER --recipe five-minutes
    python benchmarks/likelihood.py nade --data FOLDER --levels 2 --minutes 20
    python benchmarks/likelihood.py vae --data FOLDER --levels 2 --dynamic --is-k 500 --ais 100

FOLDER holds the four IDX files of MNIST (60,000 + 10,000). As many training images are learned from
as the published numbers of static MNIST have, 50,000 (--training), and 500 more choose the weights.
Every other option of `ptheta train` goes through. Written to benchmarks/results/likelihood.json,
one entry for each name (default: the model) and binarisation: nats per test image (exact, or the
importance bound with --is-k samples) with their standard error, the protocol, and the curve on
held-out training images. Dynamic binarisation is scored on one draw of the test pixels (seed 0),
static on the same draw; it is not the file that was published with the static numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from ptheta.compute.streams import seeded
from ptheta.data import idx
from ptheta.data.dataset import Dataset
from ptheta.files.paths import expand
from ptheta.metrics.ais import ais
from ptheta.metrics.likelihood import batches, bound_terms, likelihood
from ptheta.runs.folder import Run

HELD_OUT = 500  # training images that choose the weights, as the trainer sets them aside


def annealed(model: Any, test: Dataset, n: int) -> dict[str, Any]:
    """Annealed importance sampling on the first n test images, and the bound on the same ones."""
    some = test.subset(slice(0, n))
    values, rates = [], []
    with seeded(0):
        for x, y in batches(model, some, 50):
            log_p, rate = ais(model, x, y, chains=16, steps=500, leapfrog=5)
            values.append(-log_p)
            rates.append(rate)
    nats = torch.cat(values)
    bound = likelihood(model, some, is_k=5000, batch_size=50)
    assert bound is not None
    return {
        "images": n,
        "nats": round(nats.mean().item(), 3),
        "standard_error": round((nats.std() / n**0.5).item(), 3),
        "acceptance": round(torch.cat(rates).mean().item(), 3),
        "is_5000_nats_of_the_same_images": round(bound.nats, 3),
        "protocol": "16 chains, 500 temperatures, 5 leapfrog steps, from q(z | x)",
    }


def division(data: str, training: int, into: Path) -> Path:
    """The first training images of IDX files, `training` and those that choose the weights, and all
    test images, as IDX files."""
    into.mkdir()
    files = sorted(expand(data).glob("*idx*-ubyte*"))
    kept = [path for path in files if path.name.startswith(("train-", "t10k-"))]
    if len(kept) != 4:
        raise SystemExit(f"{data} holds {len(kept)} of the four IDX files of MNIST: give them")
    for path in kept:
        values = idx.parse(path)
        if path.name.startswith("train-"):
            values = values[: training + HELD_OUT]
        sizes = b"".join(size.to_bytes(4) for size in values.shape)
        header = bytes((0, 0, 8, values.ndim)) + sizes
        (into / path.name.removesuffix(".gz")).write_bytes(header + values.tobytes())
    return into


def measure(folder: Path, is_k: int, ais_images: int) -> dict[str, Any]:
    run = Run.open(folder)
    test, model = run.data("test").with_fixed_binarisation(), run.model()
    found = likelihood(model, test, is_k=is_k)
    assert found is not None
    terms = {k: [round(n, 3) for n in v] for k, v in bound_terms(model, test).items()}
    lines = run.metrics()
    scored = [line for line in lines if "held_out/bits_per_dim" in line]
    train = run.plan.train
    bits = 784 * 0.6931471805599453
    return {
        "nats": round(found.nats, 3),
        "standard_error": round(found.error, 3),
        "exact": found.relation == "=",
        "how": found.how,
        **({"minus_elbo_and_terms": terms} if terms else {}),
        **({"ais": annealed(model, test, ais_images)} if ais_images else {}),
        "training_images": run.about.dataset.images - train.held_out,
        "test_images": len(test),
        "binarisation": "dynamic" if run.plan.data.dynamic else "static (seed 0)",
        "model": run.about.config,
        "parameters": run.about.parameters,
        "train": {k: v for k, v in run.about.train.items() if v is not None},
        "steps": lines[-1]["step"],
        "images_seen": lines[-1]["step"] * train.batch_size,
        "seconds": round(lines[-1]["seconds"]),
        "threads": train.threads or os.cpu_count(),
        "versions": run.about.versions,
        "held_out_nats": [
            [line["step"], round(line["held_out/bits_per_dim"] * bits, 2)] for line in scored
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/likelihood.json"))
    parser.add_argument("--name", help="of the entry; default: the model")
    parser.add_argument("--is-k", type=int, default=500, help="importance samples of a bound")
    parser.add_argument("--ais", type=int, default=0, help="test images to anneal on")
    parser.add_argument("--run", help="a finished run: measured as it is")
    parser.add_argument("--data", help="folder of the IDX files; not with --run")
    parser.add_argument("--training", type=int, default=50_000, help="images to learn from")
    options, rest = parser.parse_known_args()
    if not options.run and not options.data:
        parser.error("give --data, or a finished run by --run")
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(options.run or Path(place) / options.model)
        if not options.run:
            command = [sys.executable, "-m", "ptheta.cli", "train", options.model]
            data = division(options.data, options.training, Path(place) / "mnist")
            subprocess.run([*command, "--data", str(data), "--out", str(folder), *rest], check=True)
        row = measure(folder, options.is_k, options.ais)
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    results[f"{options.name or options.model}, {row['binarisation']}"] = row
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"{options.model}: {row['nats']} +- {row['standard_error']} nats")


if __name__ == "__main__":
    main()
