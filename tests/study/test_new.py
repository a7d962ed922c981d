"""`ptheta study new` and the other commands: what they write, and one line for bad input."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ptheta.cli.commands import cli
from ptheta.cli.help import Verb
from ptheta.cli.study import PROTOCOLS, study
from ptheta.errors import PthetaError
from ptheta.study import making, pictures
from ptheta.study.files import REAL, read_study
from ptheta.study.guard import LOCAL
from ptheta.study.making import Wanted, new
from ptheta.study.plan import DEGRADED, NOISE, USUAL, read_plan
from ptheta.study.serving import doors
from ptheta.study.store import Store
from tests.study.sites import COUNTS, make
from tests.study.sites import pictures as folder_of_pictures

ROOT = Path(__file__).parents[2]
FEW = ["--trials", "8", "--practice", "2", "--repeats", "1", "--attention", "1", "--images", "6"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = tmp_path_factory.mktemp("studies")
    make(made, "rating")
    return made


def invoked(*words: object) -> str:
    done = CliRunner().invoke(cli, ["study", *map(str, words)], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.output


def test_the_protocols_of_the_help_are_those_that_there_are():
    assert tuple(USUAL) == PROTOCOLS


@pytest.mark.parametrize("name", study.commands)
def test_two_examples_are_commands(name):
    command = study.commands[name]
    assert isinstance(command, Verb)
    assert len(command.examples) >= 2
    for line in command.examples:
        program, group, verb, *words = shlex.split(line)
        assert (program, group, verb) == ("ptheta", "study", name)
        command.make_context(name, list(words), parent=click.Context(study))


def test_a_study_of_folders(place, tmp_path):
    words = [f"a={place / 'one'}", place / "two", "--real", place / "real", "--out", tmp_path / "s"]
    said = invoked("new", *words, "--protocol", "hype-infinity", "--qualification", 2, *FEW)
    assert "next: ptheta study serve" in said
    plan, about = read_plan(tmp_path / "s"), read_study(tmp_path / "s" / "study.json")
    assert [source.name for source in about.sources] == ["a", "two", "real"]
    assert [source.kind for source in about.sources] == ["folder", "folder", "reference"]
    assert about.counts == {"practice": 2, "qualification": 2, "main": 10}
    uses = {(item.source, item.use) for item in plan.items}
    assert uses == {
        *((name, use) for name in ("a", "two", REAL) for use in ("main", "practice", "example")),
        *((name, "qualification") for name in (REAL, DEGRADED)),
        (NOISE, "attention"),
    }
    assert len({item.id for item in plan.items}) == len(plan.items)
    assert {f.stem for f in (tmp_path / "s" / "images").iterdir()} == {i.id for i in plan.items}
    assert invoked("people", tmp_path / "s") == "nobody has joined yet\n"
    assert "0 answers" in invoked("export", tmp_path / "s")


def test_the_same_seed_shows_the_same_images_under_other_names(place, tmp_path):
    def origins(seed: int) -> list[tuple[str, str, str]]:
        wanted = Wanted("rating", **{**COUNTS, "seed": seed})
        plan = new([str(place / "one")], tmp_path / f"{seed}-{time.monotonic_ns()}", wanted).plan
        return sorted((item.source, item.use, item.origin) for item in plan.items)

    assert origins(0) == origins(0) != origins(1)


def test_images_of_several_sizes_are_brought_to_the_smallest(tmp_path):
    for name, size in {"large": (60, 40), "small": (30, 50)}.items():
        (tmp_path / name).mkdir()
        for i in range(20):
            Image.new("L", size, 7 * i).save(tmp_path / name / f"{i}.png")
    wanted = Wanted("rating", **{**COUNTS, "images": 8})
    made = new([str(tmp_path / "large"), str(tmp_path / "small")], tmp_path / "out", wanted)
    assert (made.plan.width, made.plan.height) == (30, 40)
    assert sum("brought to" in note for note in made.notes) == 2
    files = [Image.open(file) for file in (tmp_path / "out" / "images").iterdir()]
    assert {(file.size, file.mode) for file in files} == {((30, 40), "RGB")}


def test_padding_changes_no_pixel_and_makes_all_files_equally_long():
    random = np.random.default_rng(0)
    shown = [random.integers(0, high, (9, 7, 3), dtype=np.uint8) for high in (2, 9, 200, 256)]
    files = pictures.padded([pictures.png(one) for one in shown])
    assert len({len(file) for file in files}) == 1
    import io

    for file, one in zip(files, shown, strict=True):
        assert (np.asarray(Image.open(io.BytesIO(file))) == one).all()


def test_an_easy_fake_has_the_pixels_of_its_image_in_another_order():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    made = pictures.shuffled(image, random)
    assert (made != image).any()
    assert sorted(made.flatten()) == sorted(image.flatten())


def test_a_mask_has_the_spectrum_of_the_images_and_shows_none_of_them():
    random = np.random.default_rng(0)
    rows = np.sin(np.arange(32) * np.pi / 4)[:, None, None] * 100 + 128
    image = np.broadcast_to(rows, (32, 32, 3)).astype(np.uint8)
    mask = pictures.mask([image] * 4, random)
    power = np.abs(np.fft.fft2(mask.mean(2) - mask.mean()))
    assert np.unravel_index(power.argmax(), power.shape)[1] == 0  # still rows
    assert mask.std() > 20


BAD = [
    (["new", "ONE", "--protocol", "guess", "--out", "x"], "unknown protocol"),
    (["new", "nowhere", "--protocol", "rating", "--out", "x"], "neither a run nor a folder"),
    (["new", "ONE", "--protocol", "hype-infinity", "--out", "x"], "give them by --real"),
    (["new", "ONE", "--protocol", "pairs", "--out", "x"], "two or more"),
    (["new", "ONE", "ONE", "--protocol", "pairs", "--out", "x"], "two sources are called"),
    (["new", "real=ONE", "--protocol", "rating", "--out", "x"], "kept for other images"),
    (["new", "ONE", "--protocol", "rating", "--trials", "999", "--out", "x"], "are needed"),
    (["new", "ONE", "--protocol", "rating", "--size", "99", *FEW, "--out", "x"], "--size 99"),
    (["new", "ONE", "--protocol", "rating", "--language", "xx", "--out", "x"], "language"),
    (["new", "ONE", "--protocol", "rating", "--design", "between", "--out", "x"], "--design"),
    (["new", "ONE", "--protocol", "rating", "--qualification", "3", "--out", "x"], "qualify"),
    (["new", "ONE", "--protocol", "rating", "--repeats", "90", "--out", "x"], "--repeats 90"),
    (["new", "ONE", "--protocol", "rating", "--consent", "gone.txt", "--out", "x"], "--consent"),
    (["new", "ONE", "--protocol", "rating", *FEW, "--out", "FULL"], "not empty"),
    *(
        (["new", "ONE", "--protocol", "rating", option, "99999", "--out", "x"], f"{option} 99999")
        for option in ("--trials", "--practice", "--attention", "--repeats", "--break-every")
    ),
    (["new", "ONE", "--protocol", "rating", "--least-correct", "7", "--out", "x"], "0.65"),
    (["new", "ONE", "--protocol", "rating", "--name", "a\7b", "--out", "x"], "--name"),
    (["new", "ONE", "--protocol", "rating", "--name", "a" * 999, "--out", "x"], "--name"),
    (["serve", "ONE"], "not the folder of a study"),
    (["export", "ONE"], "study.json"),
    (["people", "ONE"], "study.json"),
    (["serve", "STUDY", "--token", "short"], "--token"),
    (["serve", "STUDY", "--url", "example.org"], "--url"),
    *(
        (["serve", "STUDY", "--url", f"https://example.org/{path}"], "--url")
        for path in ("a;b", "é", "%C3%A9", "a b", "/a", "?a=1", "#a")
    ),
    (["serve", "STUDY", "--host", "256.1.1.1"], "--host 256.1.1.1"),
]


@pytest.mark.parametrize(("words", "told"), BAD, ids=[told for _, told in BAD])
def test_bad_input_is_one_line(place, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    made = next(path for path in place.iterdir() if path.name.startswith("rating-"))
    paths = {"ONE": place / "one", "FULL": tmp_path / "full", "STUDY": made, "real=ONE": "real="}
    given = [paths.get(word, word) for word in words]
    given = [f"real={place / 'one'}" if word == "real=" else word for word in given]
    with pytest.raises(PthetaError, match=told) as raised:
        invoked(*given)
    assert "\n" not in str(raised.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_a_damaged_picture_is_named(tmp_path):
    folder_of_pictures(tmp_path / "a", 30, 0)
    (tmp_path / "a" / "004.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    with pytest.raises(PthetaError, match=r"004\.png cannot be read"):
        new([str(tmp_path / "a")], tmp_path / "out", Wanted("rating", **{**COUNTS, "images": 99}))


def test_a_token_stays_the_same_for_a_study(place):
    made = make(place, "rating")
    local = doors(made.folder, None, local=True, origin="", base="")
    assert (local.token, local.hosts) == (None, LOCAL)
    one, two = (doors(made.folder, None, local=False, origin="", base="") for _ in range(2))
    assert one.token == two.token
    assert one.token is not None
    assert len(one.token) >= 20
    assert one.hosts == ()


def test_commits_are_flushed_and_nothing_can_be_changed(place):
    made = make(place, "rating")
    store = Store(made.folder)
    assert store.db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert store.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.db.execute(
        "INSERT INTO people VALUES (1, 'a', 's', 'k', '', 'en', '[]', '2026-01-01T00:00:00Z')"
    )
    store.db.execute("INSERT INTO answers VALUES (1, 0, '3', NULL, NULL, 1, 1, 'now')")
    for change in ("UPDATE answers SET answer = '1'", "DELETE FROM answers", "DELETE FROM people"):
        with pytest.raises(Exception, match="append only"):
            store.db.execute(change)
    store.close()


def test_the_command_serves_one_study_once_and_ends_by_a_signal(place):
    pytest.importorskip("fastapi", reason="ptheta[web] is not installed")
    made = make(place, "rating")
    words = [sys.executable, "-m", "ptheta.cli", "study", "serve", str(made.folder), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        address = one.stdout.readline().split(": ")[0]
        with urllib.request.urlopen(address) as page:
            assert page.status == 200
        with pytest.raises(PthetaError, match="is in use"):
            invoked("serve", made.folder, "--port", "0")
        one.send_signal(signal.SIGTERM)
        _, said = one.communicate(timeout=20)
    assert one.returncode == 128 + signal.SIGTERM
    assert said == "ptheta: stopped by SIGTERM\n"


def test_a_study_without_its_images_says_so(place):
    pytest.importorskip("fastapi", reason="ptheta[web] is not installed")
    made = make(place, "rating")
    next((made.folder / "images").iterdir()).unlink()
    with pytest.raises(PthetaError, match="make the study again"):
        invoked("serve", made.folder, "--port", "0")
    plan = json.loads((made.folder / "plan.json").read_text())
    (made.folder / "plan.json").write_text(json.dumps({**plan, "width": "wide"}))
    with pytest.raises(PthetaError, match=r"plan\.json: width"):
        invoked("serve", made.folder, "--port", "0")


def test_without_the_web_libraries_the_command_says_what_to_install(place, monkeypatch):
    monkeypatch.setattr("ptheta.study.serving.NEEDED", ("no_such_library",))
    made = make(place, "rating")
    with pytest.raises(PthetaError, match=r"pip install 'ptheta\[web\]'"):
        invoked("serve", made.folder)


def needed_by(protocol: str, sources: int) -> list[int]:
    """Fewest images of each generated source and of the real one, where it has one."""
    real = "real" if USUAL[protocol].reference else None
    names = [f"source {i}" for i in range(sources)] + (["real"] if real else [])
    wanted = Wanted(protocol, real=real)
    plan = making._draft([making._Origin(name, "", "folder") for name in names], wanted, 0)
    return [making._asked(plan, name, wanted)[0] for name in dict.fromkeys([names[0], names[-1]])]


def test_the_page_says_how_many_images_are_needed():
    text = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    assert f"| `hype-infinity` | {' | '.join(map(str, needed_by('hype-infinity', 2)))} |" in text
    assert f"| `hype-time` | {' | '.join(map(str, needed_by('hype-time', 2)))} |" in text
    of_2afc = [needed_by("2afc", n) for n in (1, 2, 3)]
    (real,) = {real for _, real in of_2afc}
    fake = ", ".join(str(n) for n, _ in of_2afc)
    assert f"| `2afc` with 1, 2, 3 sources | {fake} | {real} |" in text
    for protocol, sources in (("pairs", (2, 3)), ("rating", (1, 2, 3))):
        fake = ", ".join(str(needed_by(protocol, n)[0]) for n in sources)
        with_sources = f"with {', '.join(map(str, sources))} sources"
        assert f"| `{protocol}` {with_sources} | {fake} | - |" in text
