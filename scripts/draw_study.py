"""Draws the screenshots of docs/study.md: docs/images/study-*.png.

    python -m scripts.draw_study

The studies are of the three example runs. Each page is the one that a participant sees, in a
Chromium, which must be there.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
RUNS = ("gan=example:gan", "vae=example:vae", "pixelcnn=example:pixelcnn")
FEW = ("--trials", "12", "--attention", "1", "--repeats", "1", "--break-every", "6")
PHONE, DESK = (390, 760), (1000, 700)
ACTIVE = ".answers button[aria-disabled=false]"
GAP, COLOURS = 16, 64


def ptheta(*words: str) -> list[str]:
    return [sys.executable, "-m", "ptheta.cli", "study", *words]


@contextmanager
def served(place: Path, protocol: str, *options: str) -> Iterator[str]:
    """The address of a study of the example runs."""
    folder = place / protocol
    words = (*RUNS, "--protocol", protocol, "--name", "Digits", *FEW, *options)
    subprocess.run(ptheta("new", *words, "--out", str(folder)), check=True)
    command = ptheta("serve", str(folder), "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.match(r"(\S+/):", server.stdout.readline())
        assert found is not None
        yield found[1]
        server.terminate()


@contextmanager
def visited(
    browser: Browser, address: str, size: tuple[int, int], *, dark: bool = False, to: str = "en"
) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        locale=to,
    )
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#name")
    yield page
    context.close()


def go_on(page: Page) -> None:
    page.wait_for_timeout(350)
    page.click("button.go")


def join(page: Page, name: str) -> None:
    page.fill("#name", name)
    page.check("#agree")
    page.click("button.go")
    page.wait_for_selector(".stop")


def to_questions(page: Page) -> None:
    go_on(page)
    go_on(page)
    page.wait_for_selector(ACTIVE)


def finish(page: Page) -> None:
    """Answers everything."""
    while not page.locator("#code").count():
        page.wait_for_selector(f"{ACTIVE}, button.go, #code")
        if page.locator("button.go").count():
            go_on(page)
        elif page.locator(ACTIVE).count():
            page.locator(ACTIVE).first.click()
            page.wait_for_timeout(100)


def shot(page: Page) -> Image.Image:
    page.evaluate("document.activeElement.blur()")
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def write(name: str, shots: list[Image.Image]) -> None:
    """Screenshots side by side, on grey."""
    width = sum(one.width for one in shots) + GAP * (len(shots) - 1)
    sheet = Image.new("RGB", (width, max(one.height for one in shots)), (136, 136, 136))
    x = 0
    for one in shots:
        sheet.paste(one, (x, 0))
        x += one.width + GAP
    sheet.quantize(COLOURS).save(IMAGES / f"study-{name}.png", optimize=True)


def infinity(browser: Browser, place: Path) -> None:
    """Welcome, tutorial, a question with feedback and the thanks, on a phone."""
    options = ("--practice", "1", "--qualification", "0")
    with (
        served(place, "hype-infinity", *options) as address,
        visited(browser, address, PHONE) as page,
    ):
        shots = [shot(page)]
        join(page, "Ana")
        page.wait_for_selector("figure img")
        shots.append(shot(page))
        to_questions(page)
        page.locator(ACTIVE).first.click()
        page.wait_for_selector(".told")
        shots.append(shot(page))
        finish(page)
        shots.append(shot(page))
    write("infinity", shots)


def afc(browser: Browser, place: Path) -> None:
    """A question with two images on a wide dark screen."""
    with (
        served(place, "2afc", "--practice", "1", "--qualification", "0") as address,
        visited(browser, address, DESK, dark=True) as page,
    ):
        join(page, "Ben")
        to_questions(page)
        write("2afc", [shot(page)])


def rating(browser: Browser, place: Path) -> None:
    """A question in German."""
    with (
        served(place, "rating", "--practice", "0") as address,
        visited(browser, address, PHONE, to="de") as page,
    ):
        join(page, "Cem")
        to_questions(page)
        ratings = shot(page)
        phone = PHONE
    with (
        served(place, "pairs", "--practice", "0") as address,
        visited(browser, address, phone, dark=True) as page,
    ):
        join(page, "Dia")
        to_questions(page)
        write("phones", [ratings, shot(page)])


STEPS = """() => {
    // keeps what the stage shows at each change, for the pictures below
    window.seen = [];
    const note = () => {
        const stage = document.querySelector("#stage");
        const part = stage && [...stage.children].find((one) => !one.matches(".hidden"));
        const last = window.seen.at(-1);
        if (part && last !== part) window.seen.push(part);
        requestAnimationFrame(note);
    };
    requestAnimationFrame(note);
}"""
AGAIN = """(k) => {
    const stage = document.querySelector("#stage");
    if (!window.seen[k].isConnected) stage.append(window.seen[k]);
    for (const one of stage.children) one.classList.toggle("hidden", one !== window.seen[k]);
}"""


def timed(browser: Browser, place: Path) -> None:
    """What the stage shows in turn: the cross, the image, a mask, nothing."""
    with (
        served(place, "hype-time", "--practice", "1", "--qualification", "0") as address,
        visited(browser, address, (390, 620)) as page,
    ):
        join(page, "Eva")
        page.evaluate(STEPS)
        to_questions(page)
        empty = shot(page)
        shots = []
        for k in range(3):
            page.evaluate(AGAIN, k)
            shots.append(shot(page))
        write("timed", [*shots, empty])


def main() -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    with tempfile.TemporaryDirectory() as temp, sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for draw in (infinity, afc, rating, timed):
            draw(opened, Path(temp))
        opened.close()


if __name__ == "__main__":
    main()
