"""A study in a real Chromium, by mouse, touch and keyboard, as a person would."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from ptheta.study.export import answers
from ptheta.study.guard import Doors
from ptheta.study.interview import NAMES
from ptheta.study.words import WORDS
from tests.study.sites import SIDE, make, served

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("fastapi", reason="ptheta[web] is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
SCREENS = ((390, "light"), (1200, "dark"))  # no rule of the pages is of both
SHORT: dict[str, Any] = {
    "practice": 2,
    "trials": 6,
    "attention": 1,
    "repeats": 1,
    "break_every": 4,
    "images": 8,
}
# what Chromium says of a lost connection, and of an answer that the server refuses
EXPECTED = re.compile(r"Failed to load resource: (net::ERR_|.* status of 4(09|22) )")
ACTIVE = ".answers button[aria-disabled=false]"
FRAME = 1000 / 60  # ms
EN, DE = WORDS["en"], WORDS["de"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is found: `apt-get install chromium` gives Debian's")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


@contextmanager
def visited(
    browser: Browser, port: int, width: int = 1200, *, scheme: str = "light", **more: Any
) -> Iterator[Page]:
    """A page of a new browser; what it complains about fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 844 if width < 600 else 900},
        color_scheme="dark" if scheme == "dark" else "light",
        **{"locale": "en-GB", **more},
    )
    context.set_default_timeout(15_000)
    page, said = context.new_page(), list[str]()
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_selector("h1")
    yield page
    context.close()
    assert [line for line in said if not EXPECTED.match(line)] == []


def join(page: Page, name: str = "Ana") -> None:
    page.fill("#name", name)
    page.check("#agree")
    page.click("button.go")
    heading(page, EN["tutorial"])


def heading(page: Page, text: str) -> None:
    page.wait_for_selector(f"h1:text-is({json.dumps(text)})")


def go_on(page: Page) -> None:
    """Presses the button of a page without a question, as soon as it can be."""
    page.wait_for_timeout(330)
    page.click("button.go")


def to_questions(page: Page) -> None:
    """From the tutorial to the first question."""
    go_on(page)
    heading(page, EN["practice"])
    go_on(page)
    page.wait_for_selector(ACTIVE)


def counted(page: Page) -> str:
    return page.inner_text(".count")


def answer_all(page: Page, answer: str, shots: dict[str, str] | None = None) -> int:
    """Answers every question by the mouse until the page says thanks; how many there were."""
    n = 0
    while True:
        page.wait_for_selector(f"{ACTIVE}, button.go, #code")
        if page.locator("#code").count():
            return n
        if page.locator("button.go").count():
            go_on(page)
            continue
        before = counted(page)
        page.click(f"{ACTIVE}[data-answer='{answer}']")
        page.wait_for_selector(f".told, #code, .stop, .count:not(:text-is({json.dumps(before)}))")
        n += 1


ANSWERS = {"hype-infinity": "real", "hype-time": "fake", "2afc": "left", "pairs": "right"}


@pytest.mark.parametrize("protocol", [*ANSWERS, "rating"])
def test_a_person_clicks_through_a_study(browser, place, protocol):
    made = make(place, protocol, **SHORT)
    wanted = ANSWERS.get(protocol, "4")
    with served(made.folder) as port, visited(browser, port) as page:
        join(page)
        assert answer_all(page, wanted) == sum(made.study.counts.values())
        assert EN["done"] in page.inner_text("h1")
        rows = answers(made.folder)
        shown = page.inner_text("main")
        main = [r for r in rows if (r.phase, r.kind) == ("main", "normal")]
        right = sum(bool(row.correct) for row in main)
        told = f"right in {right} of 6" if main[0].truth else "You answered 6 questions"
        assert told in shown
        assert rows[0].session in shown
    assert [row.trial for row in rows] == list(range(len(rows)))
    assert {row.answer for row in rows} == {wanted}
    assert all(row.response_ms is not None and row.response_ms < 20_000 for row in rows)
    assert all(row.shown_ms is not None for row in rows)


def test_timed_images_are_shown_as_long_as_was_asked(browser, place):
    """Within two frames, at exposures from 100 to 1,000 ms, for each of 30 questions."""
    from ptheta.schemas import StudyTiming

    timing = StudyTiming(start_ms=330, down_ms=80, up_ms=240, least_ms=100, most_ms=1000)
    counts = {**SHORT, "trials": 24, "attention": 0, "qualification": 0, "images": 12}
    made = make(place, "hype-time", **counts, timing=timing)
    with served(made.folder) as port, visited(browser, port) as page:
        join(page)
        answer_all(page, "real")
    rows = answers(made.folder)
    errors = [abs((row.shown_ms or 0) - (row.asked_ms or 0)) for row in rows]
    assert len(errors) == 27
    assert max(errors) <= 2 * FRAME
    assert len({row.asked_ms for row in rows}) >= 5
    assert all((row.response_ms or 0) >= (row.shown_ms or 0) for row in rows)


def test_a_timed_image_is_masked_and_gone(browser, place):
    made = make(place, "hype-time", **SHORT)
    with served(made.folder) as port, visited(browser, port) as page:
        join(page)
        to_questions(page)
        assert page.locator(".stage img").count() == 4  # the masks alone
        assert page.locator(".stage > :not(.hidden)").count() == 0


def test_the_images_are_drawn_as_they_are_stored(browser, place):
    made = make(place, "hype-infinity", **SHORT)
    script = """() => {
        const image = document.querySelector(".stage img");
        const canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
    }"""
    with served(made.folder) as port, visited(browser, port) as page:
        join(page)
        to_questions(page)
        import numpy as np
        from PIL import Image

        drawn = np.array(page.evaluate(script), np.uint8).reshape(SIDE, SIDE, 4)[..., :3]
        page.click(f"{ACTIVE}[data-answer=real]")
        page.wait_for_selector(".told")
    (row,) = answers(made.folder)
    stored = np.asarray(Image.open(made.folder / "images" / f"{row.item}.png"))
    assert (drawn == stored).all()


def test_a_study_by_the_keyboard_alone(browser, place):
    made = make(place, "2afc", **SHORT)
    with served(made.folder) as port, visited(browser, port) as page:
        for _ in range(10):
            page.keyboard.press("Tab")
            focused = page.evaluate("document.activeElement.id")
            if focused == "agree":
                page.keyboard.press("Space")
            if focused == "name":
                page.keyboard.type("Bo")
                page.keyboard.press("Enter")
                break
        heading(page, EN["tutorial"])
        n = 0
        while not page.locator("#code").count():
            page.wait_for_selector(f"{ACTIVE}, button.go, #code")
            if page.locator("button.go").count():
                page.wait_for_timeout(330)
                page.keyboard.press("Enter")
            elif page.locator(ACTIVE).count():
                page.keyboard.press("ArrowLeft" if n % 2 else "ArrowRight")
                n += 1
            page.wait_for_timeout(60)
    rows = answers(made.folder)
    assert len(rows) == sum(made.study.counts.values())
    assert {row.answer for row in rows} == {"left", "right"}
    assert {row.participant for row in rows} == {"Bo"}


def test_answers_by_touch(browser, place):
    made = make(place, "rating", **SHORT)
    with served(made.folder) as port, visited(browser, port, 390, has_touch=True) as page:
        join(page)
        to_questions(page)
        box = page.locator(f"{ACTIVE}[data-answer='5']").bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
        page.touchscreen.tap(box["x"] + 20, box["y"] + 20)
        page.wait_for_function(
            "() => document.querySelector('.count').textContent.includes('2 of')"
        )
    assert [row.answer for row in answers(made.folder)] == ["5"]


def test_reload_goes_on_at_the_same_question(browser, place):
    made = make(place, "hype-infinity", **SHORT, qualification=0)
    with served(made.folder) as port, visited(browser, port) as page:
        join(page)
        to_questions(page)
        page.click(ACTIVE)
        page.wait_for_selector(".told")
        go_on(page)
        page.wait_for_selector(ACTIVE)
        before = counted(page)
        for _ in range(3):
            page.reload()
            page.wait_for_selector(ACTIVE)
            assert counted(page) == before
    assert len(answers(made.folder)) == 1


def test_a_double_click_answers_once(browser, place):
    made = make(place, "rating", **{**SHORT, "practice": 1})
    with served(made.folder) as port, visited(browser, port) as page:
        join(page)
        to_questions(page)
        page.click(f"{ACTIVE}[data-answer='2']")
        heading(page, EN["main"])
        go_on(page)
        for n in range(1, 4):
            page.wait_for_selector(ACTIVE)
            page.dblclick(f"{ACTIVE}[data-answer='2']", delay=30)
            page.wait_for_timeout(700)
            assert len(answers(made.folder)) == 1 + n
        assert f"{n + 1} of" in counted(page)


def test_back_and_forward_change_nothing(browser, place):
    made = make(place, "rating", **SHORT)
    with served(made.folder) as port, visited(browser, port) as page:
        join(page)
        to_questions(page)
        page.click(f"{ACTIVE}[data-answer='2']")
        page.wait_for_selector(f"{ACTIVE}")
        page.wait_for_function(
            "() => document.querySelector('.count').textContent.includes('2 of')"
        )
        page.goto("about:blank")
        page.go_back()
        page.wait_for_selector(ACTIVE)
        assert "2 of" in counted(page)
    assert len(answers(made.folder)) == 1


def test_one_tab_is_active(browser, place):
    made = make(place, "rating", **SHORT)
    with served(made.folder) as port, visited(browser, port) as page:
        join(page)
        to_questions(page)
        other = page.context.new_page()
        other.goto(page.url)
        heading(other, EN["tutorial"])
        page.click(f"{ACTIVE}[data-answer='1']")
        heading(page, EN["other-tab"])
        assert answers(made.folder) == []
        to_questions(other)
        other.click(f"{ACTIVE}[data-answer='4']")
        other.wait_for_function(
            "() => document.querySelector('.count').textContent.includes('2 of')"
        )
        page.click("button.go")  # continue here
        page.wait_for_selector(ACTIVE)
        assert "2 of" in counted(page)
        other.click(f"{ACTIVE}[data-answer='4']")
        heading(other, EN["other-tab"])
    assert [row.answer for row in answers(made.folder)] == ["4"]


def test_a_lost_connection_loses_no_answer(browser, place):
    made = make(place, "rating", **SHORT)
    with served(made.folder) as port, visited(browser, port) as page:
        join(page)
        to_questions(page)
        page.context.set_offline(True)
        page.click(f"{ACTIVE}[data-answer='3']")
        page.wait_for_selector("#notice:not([hidden])")
        assert page.inner_text("#notice") == EN["lost"]
        page.context.set_offline(False)
        page.wait_for_function(
            "() => document.querySelector('.count').textContent.includes('2 of')"
        )
        assert not page.is_visible("#notice")
    assert [row.answer for row in answers(made.folder)] == ["3"]


def test_a_reply_that_never_comes_makes_no_second_answer(browser, place):
    """The server has stored the answer, and the connection breaks before it can say so."""
    made = make(place, "rating", **SHORT)
    with served(made.folder) as port, visited(browser, port) as page:
        join(page)
        to_questions(page)
        broken = list[object]()

        def break_once(route):
            if not broken:
                broken.append(route.fetch())
                route.abort("connectionreset")
            else:
                route.continue_()

        page.route("**/api/answer", break_once)
        page.click(f"{ACTIVE}[data-answer='3']")
        page.wait_for_function(
            "() => document.querySelector('.count').textContent.includes('2 of')"
        )
    assert [row.answer for row in answers(made.folder)] == ["3"]


def test_a_page_that_could_not_load_its_texts_tries_again(browser, place):
    made = make(place, "rating", **SHORT)
    broken = list[str]()

    def break_once(route):
        if broken:
            return route.continue_()
        broken.append(route.request.url)
        return route.abort("connectionreset")

    with served(made.folder) as port:
        context = browser.new_context(locale="en-GB")
        context.route("**/static/words.json", break_once)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("h1")
        assert not page.is_visible("#notice")
        context.close()
    assert len(broken) == 1


@pytest.mark.parametrize("passes", [True, False])
def test_the_next_person_at_a_computer_begins_anew(browser, place, passes):
    counts = {**SHORT, "trials": 2, "repeats": 0, "attention": 0}
    made = make(place, "hype-infinity", **counts, least_correct=0.0 if passes else 1.0)
    with served(made.folder) as port, visited(browser, port) as page:
        for name in ("Ana", "Bo"):
            join(page, name)
            answer_all(page, "real")
            heading(page, EN["done" if passes else "failed"])
            page.click(f"button:text-is({json.dumps(EN['another'])})")
            page.wait_for_selector("#name")
    assert {row.participant for row in answers(made.folder)} == {"Ana", "Bo"}


def test_names_are_texts(browser, place):
    made = make(place, "rating", name='<img src=x onerror="window.bad=1">', **SHORT)
    consent = "<script>window.bad = 1</script> & more"
    also = make(place, "rating", consent=consent, **SHORT)
    with served(made.folder) as port, visited(browser, port) as page:
        assert "<img src=x" in page.inner_text("main")
        page.fill("#name", "<b>x</b>")
        page.check("#agree")
        page.click("button.go")
        page.wait_for_selector(f"#fault:text-is({json.dumps(EN['error-name'])})")
        assert page.evaluate("window.bad") is None
    with served(also.folder) as port, visited(browser, port) as page:
        assert consent in page.inner_text("main")
        assert page.evaluate("window.bad") is None
    assert "<" not in NAMES


def test_a_form_says_what_is_missing(browser, place):
    made = make(place, "rating", **SHORT)
    with served(made.folder) as port, visited(browser, port) as page:
        page.click("button.go")
        assert page.inner_text("#fault") == EN["error-consent"]
        join(page, "Ana")
        with visited(browser, port) as other:
            other.fill("#name", "ana")
            other.check("#agree")
            other.click("button.go")
            other.wait_for_selector(f"#fault:text-is({json.dumps(EN['error-taken'])})")


def test_the_pages_are_in_the_language_of_the_browser_or_of_choice(browser, place):
    made = make(place, "hype-infinity", **SHORT)
    with served(made.folder) as port, visited(browser, port, locale="de-AT") as page:
        assert page.inner_text("h1") == DE["welcome"]
        assert page.get_attribute("html", "lang") == "de"
        page.select_option("#language", "en")
        assert page.inner_text("h1") == EN["welcome"]
        page.select_option("#language", "de")
        page.fill("#name", "Jo")
        page.check("#agree")
        page.click("button.go")
        heading(page, DE["tutorial"])
    with served(made.folder) as port, visited(browser, port, locale="fr") as page:
        assert page.inner_text("h1") == EN["welcome"]


def test_every_language_has_every_text_and_the_same_gaps():
    for code, words in WORDS.items():
        assert words.keys() == EN.keys(), code
        for key, text in words.items():
            assert text.strip(), (code, key)
            gaps = re.findall(r"\{\w+\}", text)
            assert sorted(gaps) == sorted(re.findall(r"\{\w+\}", EN[key])), (code, key)


def test_a_page_before_its_time_asks_for_nothing(browser, place):
    """The next image is requested only after the answer before it was acknowledged."""
    made = make(place, "hype-infinity", **SHORT, qualification=0)
    order = list[str]()
    with served(made.folder) as port, visited(browser, port) as page:
        page.on("requestfinished", lambda r: order.append(r.url.split("/")[3]))
        page.on("request", lambda r: order.append(f"ask {r.url.split('/')[3]}"))
        join(page)
        answer_all(page, "real")
    shown = [what for what in order if what in ("ask image", "api", "ask api")]
    first = shown.index("ask api", 1)
    for i, what in enumerate(shown):
        if what == "ask image" and i > first:
            assert shown[i - 1] in ("api", "ask image")
    assert shown.count("ask image") >= sum(made.study.counts.values())


def test_a_page_below_a_base_path_stays_below_it(browser, place):
    made = make(place, "rating", **SHORT)
    asked = list[str]()
    doors = Doors(base="/lab/study", hosts=(), token="a-long-token", mark="m")
    with served(made.folder, doors) as port:
        page = browser.new_page(locale="en-GB")
        page.on("request", lambda one: asked.append(one.url))
        page.goto(f"http://127.0.0.1:{port}/lab/study/?token=a-long-token")
        page.wait_for_selector("#name")
        assert page.url == f"http://127.0.0.1:{port}/lab/study/"
        join(page)
        to_questions(page)
        page.click(f"{ACTIVE}[data-answer='4']")
        page.wait_for_function(
            "() => document.querySelector('.count').textContent.includes('2 of')"
        )
        page.reload()
        page.wait_for_selector(ACTIVE)
        page.close()
    home = f"http://127.0.0.1:{port}/lab/study/"
    assert [one for one in asked if not one.startswith((home, "blob:"))] == []
    assert len(answers(made.folder)) == 1


# -- what it looks like


@contextmanager
def every_page(browser: Browser, folder: Path, width: int, scheme: str) -> Iterator[Any]:
    """Gives the name of each kind of page and the page itself, one after the other."""

    def pages():
        with served(folder) as port, visited(browser, port, width, scheme=scheme) as page:
            yield "welcome", page
            join(page, f"P{time.monotonic_ns()}")
            yield "tutorial", page
            go_on(page)
            heading(page, EN["practice"])
            yield "phase", page
            go_on(page)
            page.wait_for_selector(ACTIVE)
            yield "question", page
            page.locator(ACTIVE).first.click()
            page.wait_for_selector(".told, .count:text('2 of')")
            yield "feedback", page
            answer = page.locator(".answers button").first.get_attribute("data-answer")
            assert answer is not None
            answer_all(page, answer)
            yield "thanks", page

    yield pages()


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
@pytest.mark.parametrize("protocol", [*ANSWERS, "rating"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    browser, place, protocol, width, scheme
):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe is installed")
    made = make(place, protocol, **SHORT)
    with every_page(browser, made.folder, width, scheme) as pages:
        for name, page in pages:
            found = axe.Axe().run(page).response["violations"]
            assert [(v["id"], v["nodes"][0]["html"]) for v in found] == [], name
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name


@pytest.mark.parametrize("protocol", ["hype-infinity", "2afc", "rating", "pairs"])
def test_a_question_fits_a_phone_without_scrolling(browser, place, protocol):
    made = make(place, protocol, **SHORT)
    with served(made.folder) as port, visited(browser, port, 390) as page:
        join(page)
        to_questions(page)
        last = page.locator(".answers button").last.bounding_box()
        image = page.locator(".stage img").first.bounding_box()
        assert last is not None
        assert image is not None
        assert last["y"] + last["height"] <= 844
        assert image["width"] >= (150 if protocol in ("2afc", "pairs") else 300)
        assert abs(image["width"] - image["height"]) < 1


def test_focus_is_seen_and_a_screen_reader_hears_the_progress(browser, place):
    made = make(place, "hype-infinity", **SHORT)
    with served(made.folder) as port, visited(browser, port) as page:
        page.keyboard.press("Tab")
        width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert float(width.removesuffix("px")) >= 2
        join(page)
        to_questions(page)
        assert page.inner_text("[role=status]").startswith("Practice: question 1 of 2")
        assert page.locator(".stage img").get_attribute("alt") == EN["image"]
        assert page.evaluate("document.activeElement.tagName") == "H1"
        page.click(ACTIVE)
        page.wait_for_selector(".told")
        assert page.inner_text("[role=status]") == page.inner_text(".told")


# -- what a browser may learn


PAGE_KNOWS = """() => ({
    html: document.documentElement.outerHTML.replace(/blob:[^"]*/g, "blob"),
    address: location.href,
    kept: JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie]),
    loaded: performance.getEntriesByType("resource").slice(-1).map((one) => [
        one.initiatorType, one.transferSize, one.encodedBodySize, one.decodedBodySize,
        one.responseStatus, one.contentType, one.nextHopProtocol, one.name.length]),
    image: [...document.querySelectorAll(".stage img")].map((one) => [
        one.naturalWidth, one.naturalHeight, one.getAttributeNames().join()]),
})"""


def replies_of(arrived: list[Any], part: str) -> list[object]:
    """Everything about the replies to one kind of address, but for their content."""
    found = [one for one in arrived if one.url.split("/")[3] == part]
    return [
        (
            *(one.request.method, one.status, len(one.url), sorted(one.all_headers().items())),
            len(one.body()) if part == "image" else shape_of(one.json()),
        )
        for one in found
    ]


def shape_of(state: dict[str, Any]) -> list[object]:
    """The fields of a state in their order, and how long their values are; what depends on the
    number of the question is left out."""
    return [(k, type(v).__name__, len(str(v))) for k, v in state.items() if k not in COUNTED]


COUNTED = ("trial", "number")


def test_a_browser_gets_the_same_for_real_and_fake_images(browser, place):
    """All that arrives for a main question and all that the page knows then, but for pixels."""
    none = dict.fromkeys(("practice", "qualification", "attention", "repeats", "break_every"), 0)
    made = make(place, "hype-infinity", **{**SHORT, **none, "trials": 40, "images": 20})
    told, arrived = list[str](), list[Any]()
    with served(made.folder) as port, visited(browser, port) as page:
        page.on("response", lambda one: arrived.append(one))
        join(page)
        go_on(page)
        heading(page, EN["main"])
        arrived.clear()
        go_on(page)
        for _ in range(40):
            page.wait_for_selector(f"{ACTIVE}[data-answer=real]")
            knows = page.evaluate(PAGE_KNOWS)
            knows["html"] = re.sub(r"question \d+ of|value=\"\d+\"", "", knows["html"])
            images, before = replies_of(arrived, "image"), counted(page)
            assert len(images) == 1
            arrived.clear()
            page.click(f"{ACTIVE}[data-answer=real]")
            page.wait_for_selector(f"#code, .count:not(:text-is({json.dumps(before)}))")
            reply = json.dumps(replies_of(arrived, "api"))
            # a number of two digits makes a reply longer; its fields are compared above
            told.append(json.dumps([knows, images, re.sub(r'"content-length", "\d+"', "", reply)]))
    truth = [row.truth for row in answers(made.folder)]
    assert truth.count("real") == truth.count("fake") == 20
    seen = {
        kind: {what for what, is_ in zip(told[:-1], truth, strict=False) if is_ == kind}
        for kind in ("real", "fake")
    }
    assert seen["real"] == seen["fake"]
    assert len(seen["real"]) == 1
