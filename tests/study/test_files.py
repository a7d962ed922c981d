"""The two files of a study: what is written is read again, and bad input gives one clear line."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptheta.errors import PthetaError
from ptheta.schemas import Study, StudyRule, StudySource
from ptheta.study import files
from ptheta.study.files import Answer

ONE = Answer(
    study="faces",
    protocol="hype-infinity",
    participant="p1",
    session="s1",
    trial=0,
    phase="main",
    kind="normal",
    item="a1",
    item_b="",
    source="vae",
    source_b="",
    truth="fake",
    answer="real",
    correct=False,
    asked_ms=None,
    shown_ms=None,
    response_ms=812.25,
    answered_at="2025-03-14T09:26:53.589793+00:00",
)
TWO = replace(
    ONE, protocol="2afc", trial=1, item_b="b1", source_b="real", truth="right", answer="left"
)
PAIR = replace(TWO, protocol="pairs", trial=2, source_b="gan", truth="", correct=None)
RATED = replace(ONE, protocol="rating", trial=3, truth="", answer="4", correct=None)
TIMED = replace(ONE, protocol="hype-time", trial=4, asked_ms=500.0, shown_ms=498.7, correct=False)
ALL = [ONE, TWO, PAIR, RATED, TIMED]


def test_answers_are_read_as_written(tmp_path: Path):
    path = tmp_path / "answers.csv"
    files.write_answers(path, ALL)
    assert files.read_answers(path) == ALL
    header = path.read_text(encoding="utf-8").splitlines()[0]
    assert header == (
        "study,protocol,participant,session,trial,phase,kind,item,item_b,source,source_b,truth,"
        "answer,correct,asked_ms,shown_ms,response_ms,answered_at"
    )


@settings(max_examples=30, deadline=None)
@given(
    st.text(min_size=1).filter(str.isprintable),
    st.floats(0, allow_infinity=False),
)
def test_any_text_and_any_time_survive(tmp_path_factory, text: str, time: float):
    path = tmp_path_factory.mktemp("a") / "answers.csv"
    answer = replace(ONE, participant=text[:999], source=text[:999], response_ms=time)
    files.write_answers(path, [answer])
    assert files.read_answers(path) == [answer]


def test_order_of_columns_and_other_columns_do_not_matter(tmp_path: Path):
    path = tmp_path / "answers.csv"
    names = [*reversed(files.COLUMNS), "note"]
    cells = [*reversed(ONE.row()), "x"]
    path.write_bytes("\r\n".join(map(",".join, [names, cells, []])).encode("utf-8-sig"))
    assert files.read_answers(path) == [ONE]


BAD = {
    "protocol": ("hype", "protocol is 'hype' and not one of hype-infinity"),
    "phase": ("Main", "phase is 'Main' and not one of tutorial"),
    "kind": ("", "kind is '' and not one of normal"),
    "answer": ("left", "answer is 'left' and not one of real, fake"),
    "truth": ("real", "correct is '0', and the answer is 'real' where the truth is 'real'"),
    "correct": ("yes", "correct is 'yes' and not 1, 0 or empty"),
    "trial": ("-1", "trial is '-1' and not a whole number"),
    "response_ms": ("nan", "response_ms is 'nan' and not a number of milliseconds"),
    "participant": ("", "participant is empty"),
    "source_b": ("gan", "source_b is 'gan', and one image is shown"),
    "answered_at": ("today", "answered_at is 'today' and not a time"),
    "session": ("a\tb", "session is 'a\\tb', with characters that are not printable"),
    "item": ("x" * 1001, "item is longer than 1,000 characters"),
}


@pytest.mark.parametrize("column", BAD)
def test_bad_values_give_one_line(tmp_path: Path, column: str):
    path = tmp_path / "answers.csv"
    value, message = BAD[column]
    cells = dict(zip(files.COLUMNS, ONE.row(), strict=True)) | {column: value}
    path.write_text(",".join(files.COLUMNS) + "\n" + ",".join(cells.values()) + "\n")
    with pytest.raises(PthetaError) as caught:
        files.read_answers(path)
    assert str(caught.value).startswith(f"{path} line 2: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column 'study': add it"),
        (b"study,protocl\n", "has no column 'protocol'; is 'protocl' meant?"),
        (b"\xff\xfe\n", "is not in UTF-8"),
        (",".join(files.COLUMNS).encode() + b"\nx\n", "line 2 has 1 values for 18 columns"),
        (",".join((*files.COLUMNS, "item")).encode() + b"\n", "has two columns 'item'"),
        (",".join(files.COLUMNS).encode() + b'\n"a\n', "unexpected end of data"),
    ],
)
def test_other_files_give_one_line(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "answers.csv"
    path.write_bytes(content)
    with pytest.raises(PthetaError) as caught:
        files.read_answers(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_trial_is_answered_once(tmp_path: Path):
    path = tmp_path / "answers.csv"
    files.write_answers(path, [ONE, replace(ONE, answer="fake", correct=True)])
    with pytest.raises(PthetaError, match="line 3: trial 0 of session 's1' is also answered in"):
        files.read_answers(path)


def test_study_is_read_as_written(tmp_path: Path):
    path = tmp_path / "study.json"
    study = Study(
        name="faces",
        protocol="hype-infinity",
        sources=[
            StudySource(name="real", kind="reference", path="faces", n=50),
            StudySource(name="vae", kind="run", path="runs/vae", n=50),
        ],
        counts={"main": 100, "qualification": 20},
        qualification=StudyRule(least_correct=0.65),
    )
    files.write_study(path, study)
    assert files.read_study(path) == study


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "contains a list"),
        ('{"name": "a", "protocol": "hype", "sources": []}', "protocol: input should be"),
        (
            '{"name": "a", "protocol": "2afc", "sources": ['
            '{"name": "b", "kind": "run", "path": "", "n": 1},'
            '{"name": "b", "kind": "run", "path": "", "n": 1}]}',
            "two are named 'b'",
        ),
    ],
)
def test_bad_study_gives_one_line(tmp_path: Path, content: str, message: str):
    path = tmp_path / "study.json"
    path.write_text(content)
    with pytest.raises(PthetaError) as caught:
        files.read_study(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_reading_answers_imports_no_torch_and_no_web_library():
    slow = ["torch", "fastapi", "starlette", "uvicorn", "scipy", "matplotlib"]
    code = f"import sys, ptheta.study.files; assert not set({slow}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
