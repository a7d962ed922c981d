"""Odd and hostile input of every kind: pictures, files of answers, files of a study, requests."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections import Counter

import pytest
from PIL import Image

from ptheta.errors import PthetaError
from ptheta.study import making
from ptheta.study.analysis.analyse import analyse
from ptheta.study.export import FAILED, FINISHED, UNDER_WAY, answers, people
from ptheta.study.files import ATTENTION, COLUMNS, MAIN, REAL, read_answers, write_answers
from ptheta.study.guard import cookie
from ptheta.study.interview import Refused, clean_name
from ptheta.study.making import Wanted, new
from ptheta.study.order import trials_of
from ptheta.study.words import chosen
from tests.study.answers import hype
from tests.study.sites import COUNTS, Visitor, make, pictures, served

FEW = {**COUNTS, "trials": 6, "practice": 2, "repeats": 1, "attention": 1, "images": 6}


# -- pictures


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_turned_pictures_count_as_they_are_shown(tmp_path, suffix):
    """A camera stores them lying on their side: nothing may be enlarged for that."""
    (tmp_path / "a").mkdir()
    turned = Image.Exif()
    turned[making.ORIENTATION] = 6
    for i in range(12):
        Image.new("RGB", (40, 30), (20 * i, 99, 0)).save(
            tmp_path / "a" / f"{i}{suffix}", exif=turned
        )
    made = new([str(tmp_path / "a")], tmp_path / "out", Wanted("rating", **FEW))
    assert (made.plan.width, made.plan.height) == (30, 40)
    assert made.notes == ()


def test_pictures_are_read_one_at_a_time(tmp_path, monkeypatch):
    """100 photographs of 24 megapixels do not fit into memory together."""
    pictures(tmp_path / "a", 20, 0)
    open_now = list[int]()
    loaded = making._loaded

    def counted(path):
        open_now.append(sum(isinstance(one, Image.Image) for one in kept))
        kept.append(loaded(path))
        return kept.pop()

    kept = list[Image.Image]()
    monkeypatch.setattr(making, "_loaded", counted)
    new([str(tmp_path / "a")], tmp_path / "out", Wanted("rating", **FEW))
    assert open_now == [0] * len(open_now)
    assert len(open_now) >= 8


def test_images_that_two_sources_share_are_noticed(tmp_path):
    pictures(tmp_path / "a", 20, 0)
    pictures(tmp_path / "b", 20, 0)
    pictures(tmp_path / "c", 20, 1)
    sources = [str(tmp_path / name) for name in "abc"]
    made = new(sources, tmp_path / "out", Wanted("pairs", **FEW))
    assert [("same in a and b" in note) for note in made.notes] == [True]
    assert new([sources[0], sources[2]], tmp_path / "o2", Wanted("pairs", **FEW)).notes == ()


def test_a_study_too_large_to_serve_is_not_made(tmp_path, monkeypatch):
    pictures(tmp_path / "a", 20, 0)
    monkeypatch.setattr(making, "MOST_BYTES", 5000)
    with pytest.raises(PthetaError, match="a smaller --size"):
        new([str(tmp_path / "a")], tmp_path / "out", Wanted("rating", **FEW))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", range(2))
def test_an_image_next_to_noise_is_in_no_other_question(tmp_path, seed):
    """It must be the real one; shown again, it would tell the answer."""
    n = 2 * 4 + 4 + 2 + 12 + 2  # qualification, practice, examples, main, attention
    for i, name in enumerate(("one", "real")):
        pictures(tmp_path / name, n, i)
    wanted = Wanted(
        "2afc", **{**COUNTS, "repeats": 0}, qualification=4, real=str(tmp_path / "real")
    )
    plan = new([str(tmp_path / "one")], tmp_path / "out", wanted).plan
    shown = Counter[str]()
    for trial in (main := [t for t in trials_of(plan, seed, "") if t.phase == MAIN]):
        shown.update(
            i for i, s in ((trial.item, trial.source), (trial.item_b, trial.source_b)) if s == REAL
        )
    noisy = {t.item if t.source == REAL else t.item_b for t in main if t.kind == ATTENTION}
    assert len(noisy) == 2
    assert {shown[item] for item in noisy} == {1}
    next((tmp_path / "real").iterdir()).unlink()
    with pytest.raises(PthetaError, match="28 images are needed, and 27 are there"):
        new([str(tmp_path / "one")], tmp_path / "o2", wanted)


# -- files of answers


def rows():
    return [hype(p, k, k % 2 == 0, trial=k) for p in range(2) for k in range(4)]


def rewritten(path, **how):
    """answers.csv as another program writes it."""
    with path.open(encoding="utf-8", newline="") as file:
        cells = list(csv.reader(file))
    with path.open("w", encoding=how.pop("encoding", "utf-8"), newline="") as file:
        csv.writer(file, **how).writerows(cells)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_answers_written_by_other_programs_are_the_same(
    tmp_path, delimiter, end, encoding, quoting
):
    path = tmp_path / "answers.csv"
    write_answers(path, rows())
    rewritten(path, delimiter=delimiter, lineterminator=end, encoding=encoding, quoting=quoting)
    assert read_answers(path) == rows()


def test_cells_as_spreadsheets_and_data_frames_write_them(tmp_path):
    path = tmp_path / "answers.csv"
    write_answers(path, rows())
    with path.open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    for spell in (
        {"1": "1.0", "0": "0.0"},
        {"1": "True", "0": "False"},
        {"1": "TRUE", "0": "FALSE"},
    ):
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, delimiter=";")
        writer.writeheader()
        for line in cells:
            times = {k: line[k].replace(".", ",") for k in ("shown_ms", "response_ms")}
            more = {"correct": spell[line["correct"]], "trial": f"{line['trial']}.0"}
            writer.writerow({**line, **times, **more})
        path.write_text(text.getvalue() + ";" * (len(COLUMNS) - 1) + "\n", encoding="utf-8")
        assert read_answers(path) == rows()


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_truncated_file_is_one_line_or_what_is_left(tmp_path, cut):
    path = tmp_path / "answers.csv"
    write_answers(path, rows())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * cut // 12])
    found = read_or_told(path)
    if isinstance(found, str):
        assert "\n" not in found
        assert "answers.csv" in found
    else:
        assert found == rows()[: len(found)]


def read_or_told(path):
    try:
        return read_answers(path)
    except PthetaError as error:
        return str(error)


# -- files of a study


def edited(folder, name, **changes):
    told = json.loads((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(json.dumps({**told, **changes}), encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


def opened(folder):
    server = pytest.importorskip("ptheta.study.server", reason="ptheta[web] is not installed")
    from ptheta.study.guard import Doors

    return server.app_of(folder, Doors(mark="m"))


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("study.json", {"protocol": "rating"}, "study.json is of rating and plan.json of hype"),
        ("plan.json", {"protocol": "2afc"}, "is of hype-infinity and plan.json of 2afc"),
        ("plan.json", {"items": []}, "too few images"),
        ("plan.json", {"language": "xx"}, "unknown language"),
        ("plan.json", {"trials": -1}, "plan.json"),
        ("study.json", {"sources": []}, "study.json"),
    ],
)
def test_an_edited_study_is_not_served(place, name, changes, told):
    folder = make(place, "hype-infinity").folder
    edited(folder, name, **changes)
    with pytest.raises(PthetaError, match=told) as raised:
        opened(folder)
    assert "\n" not in str(raised.value)


def test_answers_are_not_continued_under_another_plan(place):
    """The images of people who have joined are in no other plan."""
    first, second = (make(place, "hype-infinity").folder for _ in range(2))
    with served(first) as port:
        visitor = Visitor(port)
        visitor.answer(visitor.join("Ana"), "real")
    with sqlite3.connect(first / "answers.db") as db:
        db.execute("VACUUM INTO ?", (str(second / "answers.db"),))
    with pytest.raises(PthetaError, match=r"answers\.db holds answers to another plan\.json"):
        opened(second)


def test_answers_that_do_not_fit_the_study_are_one_line(place):
    folder = make(place, "hype-infinity").folder
    with served(folder) as port:
        visitor = Visitor(port)
        visitor.answer(visitor.join("Ana"), "real")
    edited(folder, "study.json", protocol="rating")
    with pytest.raises(PthetaError, match=r"answers\.db does not fit study\.json") as raised:
        answers(folder)
    assert "\n" not in str(raised.value)


def test_people_are_listed_with_where_they_are(place):
    folder = make(place, "hype-infinity", least_correct=0.6).folder
    with served(folder) as port:
        Visitor(port).join("new")
        (failed := Visitor(port)).finish(failed.join("failed"), "real")
        passing = Visitor(port)
        state = passing.join("passed")
        while state["step"] == "trial":
            trials = {one.session: one for one in people(folder)}
            assert trials
            with sqlite3.connect(folder / "answers.db") as db:
                text = db.execute("SELECT trials FROM people WHERE name = 'passed'").fetchone()[0]
            state = passing.answer(state, json.loads(text)[state["trial"]][-1]).said
    assert {one.name: one.state for one in people(folder)} == {
        "new": UNDER_WAY,
        "failed": FAILED,
        "passed": FINISHED,
    }


# -- requests


@pytest.mark.parametrize(
    "others",
    [
        'prefs={"a": [1, 2]}',
        "x[y]=1",
        "a=b=c",
        '"',
        "=;=",
        "é=ü",
        "expires=1; path=/",
        "mine",
        "a,b",
    ],
)
def test_cookies_of_other_programs_do_not_matter(others):
    assert cookie(f"{others}; mine=abc", "mine") == "abc" or others == "mine"
    assert cookie(f"mine=abc; {others}", "mine") == "abc"
    assert cookie(others, "mine") == ""


@pytest.mark.parametrize("name", ["हिन्दी", "สมชาย ใจดี", "தமிழ்", "e\u0301a", "አበበ"])
def test_letters_with_marks_are_letters(name):
    assert clean_name(name)


@pytest.mark.parametrize("name", ["\u0301a", "a\u202eb", "a\u200bb", "a\ufeffb", "\u093f"])
def test_marks_alone_and_what_cannot_be_seen_are_not(name):
    with pytest.raises(Refused):
        clean_name(name)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de", "de"),
        ("en;q=0.1, de;q=0.9", "de"),
        ("de;q=0, en;q=0.5", "en"),
        ("fr, de-CH;q=0.8", "de"),
        ("fr", "en"),
        ("*", "en"),
        ("", "en"),
        ("de;q=nan", "en"),
        ("de;q=١", "en"),
        (",;,;q=;" * 999, "en"),
    ],
)
def test_the_language_is_the_one_that_a_browser_likes_most(accepted, language):
    assert chosen(accepted, "en") == language


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_the_link_of_a_server_for_all_leads_somewhere(host):
    server = pytest.importorskip("ptheta.study.server", reason="ptheta[web] is not installed")
    name = server._reachable(host)
    assert name not in ("0.0.0.0", "[::]", "::", "")
    assert server._reachable("127.0.0.1") == "127.0.0.1"
    assert server._reachable("::1") == "[::1]"


@pytest.mark.parametrize(
    ("sources", "truth"),
    [(("real", ""), "fake"), (("real", "gan"), "right"), (("gan", "real"), "left")],
)
def test_a_real_image_is_not_said_to_be_generated(sources, truth):
    more = {"source": sources[0], "source_b": sources[1], "truth": truth, "answer": truth}
    if sources[1]:
        more |= {"protocol": "2afc", "item_b": "i9"}
    with pytest.raises(PthetaError, match=f"truth is '{truth}', and the source"):
        hype(0, 0, False, **more)
    other = {"fake": "real", "left": "right", "right": "left"}[truth]
    assert hype(0, 0, False, **{**more, "truth": other, "answer": other})


def test_a_clock_that_jumps_changes_no_order(place, monkeypatch):
    """Times are those of the server, and the order is that of the questions."""
    made = make(place, "rating")
    years = iter(range(2999, 1000, -1))
    monkeypatch.setattr("ptheta.study.interview._now", lambda: f"{next(years)}-02-28T00:00:00.000Z")
    with served(made.folder) as port:
        visitor = Visitor(port)
        visitor.finish(visitor.join("Ana"), "3")
    rows = answers(made.folder)
    assert [row.trial for row in rows] == list(range(len(rows)))
    assert [row.answered_at for row in rows] == sorted((r.answered_at for r in rows), reverse=True)
    first, last = analyse(rows).dates
    assert first < last
