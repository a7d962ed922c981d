"""Draws docs/images/study-report.png: the top of the report of a simulated study.

    python -m scripts.draw_study_report

The study is of the three example runs, and its answers are those of simulated people. It needs a
Chromium.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from ptheta.api.studying import study_report

OUT = Path(__file__).parents[1] / "docs" / "images" / "study-report.png"
NEW = (
    *("gan=example:gan", "vae=example:vae", "pixelcnn=example:pixelcnn"),
    *("--protocol", "hype-infinity", "--design", "within", "--trials", "120", "--images", "60"),
    *("--name", "three example models", "--seed", "0"),
)
WIDTH, HEIGHT = 900, 1000
COLOURS = 64  # of the file


def ptheta(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "ptheta.cli", *words], check=True)


def main() -> None:
    """Makes the study, its answers, the report and the picture."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    with tempfile.TemporaryDirectory() as temp, sync_playwright() as playwright:
        folder = Path(temp) / "study"
        ptheta("study", "new", *NEW, "--out", str(folder))
        subprocess.run([sys.executable, "-m", "scripts.simulate_study", str(folder)], check=True)
        page, _ = study_report(folder, measure=True)
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = opened.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.goto(page.as_uri())
        picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB").quantize(COLOURS)
        opened.close()
        picture.save(OUT, optimize=True)


if __name__ == "__main__":
    main()
