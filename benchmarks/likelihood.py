"""Test log-likelihood on MNIST after a stated time, beside published numbers.

    python benchmarks/likelihood.py gated-pixelcnn --data FOLDER --recipe five-minutes
    python benchmarks/likelihood.py nade --data FOLDER --levels 2 --minutes 20

FOLDER holds the four IDX files of MNIST (60,000 + 10,000). Every option of `ptheta train` goes
through. Written to benchmarks/results/likelihood.json, one entry for each model and binarisation:
nats per test image with their standard error, the protocol, and the curve on held-out training
images. Dynamic binarisation is scored on one draw of the test pixels (seed 0), static on the same
draw; it is not the file that was published with the static numbers.
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

from ptheta.metrics.images import fixed
from ptheta.metrics.likelihood import likelihood
from ptheta.runs import Run


def measure(folder: Path) -> dict[str, Any]:
    run = Run.open(folder)
    test = fixed(run.data("test"))
    found = likelihood(run.model(), test)
    assert found is not None
    lines = run.metrics()
    scored = [line for line in lines if "held_out/bits_per_dim" in line]
    train = run.plan.train
    bits = 784 * 0.6931471805599453
    return {
        "nats": round(found.nats, 3),
        "standard_error": round(found.error, 3),
        "exact": found.relation == "=",
        "test_images": len(test),
        "binarisation": "dynamic" if run.plan.data.dynamic else "static (seed 0)",
        "model": run.about["config"],
        "parameters": run.about["parameters"],
        "train": {k: v for k, v in run.about["train"].items() if v is not None},
        "steps": lines[-1]["step"],
        "images_seen": lines[-1]["step"] * train.batch_size,
        "seconds": round(lines[-1]["seconds"]),
        "cores": os.cpu_count(),
        "versions": run.about["versions"],
        "held_out_nats": [
            [line["step"], round(line["held_out/bits_per_dim"] * bits, 2)] for line in scored
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/likelihood.json"))
    parser.add_argument("--run", help="a finished run: measured as it is")
    options, rest = parser.parse_known_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(options.run or Path(place) / options.model)
        if not options.run:
            command = [sys.executable, "-m", "ptheta.cli", "train", options.model]
            subprocess.run([*command, "--out", str(folder), *rest], check=True)
        row = measure(folder)
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    results[f"{options.model}, {row['binarisation']}"] = row
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"{options.model}: {row['nats']} +- {row['standard_error']} nats")


if __name__ == "__main__":
    main()
