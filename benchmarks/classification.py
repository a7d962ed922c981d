"""Classification by Bayes' rule: runs that are conditional on labels, on held-out examples.

    python -m benchmarks.classification runs/cvae runs/pixelcnn [--n 500]

Seed 0. Writes what each run reached beside its floors into benchmarks/results/classification.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import ptheta

RESULTS = Path(__file__).parent / "results" / "classification.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--n", type=int)
    asked = parser.parse_args()
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for run in asked.runs:
        start = time.process_time()
        done = ptheta.classify(run, n=asked.n, seed=0)
        print(run, done)
        told = done.to_json()
        found[Path(run).name] = {
            "examples": told["examples"],
            "likelihood": told["likelihood"],
            "seed": 0,
            "process_seconds": round(time.process_time() - start, 1),
            "measured": told["measured"],
        }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
