"""The report of a study: its page, its text and its numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ptheta.api.studying import study_report
from ptheta.errors import PthetaError
from ptheta.measures.results import Evaluation, Result
from ptheta.schemas import Study, StudyRule, StudySource
from ptheta.study.analysis.analyse import Analysis, analyse, with_metrics
from ptheta.study.analysis.document import document, page, to_json, write
from ptheta.study.analysis.reading import read
from ptheta.study.analysis.simulate import People, simulate
from ptheta.study.analysis.words import summary
from ptheta.study.files import Answer, read_answers, read_study, write_answers, write_study
from tests.cli.command import command
from tests.study.answers import hype, pair

HOSTILE = "<script>alert(1)</script>|`$x$`"


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    made = simulate(People({"vae": 0.1, "gan": 0.4, "flow": 0.12}, people=12), 0)
    # one person falls asleep, and one answers a question again
    asleep = [
        replace(
            made[0], trial=200 + k, kind="attention", answer="real", truth="fake", correct=False
        )
        for k in range(2)
    ]
    again = replace(made[150], trial=300, kind="repeat")
    return [*made, *asleep, again]


@pytest.fixture(scope="module")
def found(answers: list[Answer]) -> Analysis:
    study = Study(
        name="three models",
        protocol="hype-infinity",
        sources=[StudySource(name="real", kind="reference", path="", n=1)],
        attention=StudyRule(least_correct=0.75),
    )
    metrics = {"fd_digits": ("lower", {"vae": 30.0, "gan": 10.0, "flow": 25.0})}
    return with_metrics(analyse(answers, study), metrics)


def test_the_page_shows_what_was_found(found: Analysis):
    shown = page(found)
    assert "<h1>Human study three models</h1>" in shown
    assert "These are answers of simulated people." in shown
    assert f"{100 * found.rates[0].both.value:.1f} %" in shown
    assert found.rates[0].name == "gan"
    assert "gan is closest to real images" in shown
    assert "1 person is excluded by the rule on the share of right answers to attention" in shown
    assert "simulated-0" in shown
    assert "Kendall&#39;s tau 1.00" in shown
    assert "Of 1 repeated question, 100.0 % get the same answer" in shown
    assert shown == page(found)
    assert "<script" not in shown


def test_the_text_has_the_numbers_of_the_page(found: Analysis):
    text = document(found)
    for rates in found.rates:
        assert f"| {rates.name} | {100 * rates.both.value:.1f} % (" in text
    assert "**These are answers of simulated people.**" in text


def test_the_numbers_are_json(found: Analysis):
    values = json.loads(json.dumps(to_json(found), allow_nan=False))
    first = values["rates"][0]["both"]
    assert first["value"] == found.rates[0].both.value
    assert first["interval_95"] == list(found.rates[0].both.interval or ())
    assert values["excluded"][0]["person"] == "simulated-0"
    assert values["comparisons"][0]["p_holm"] == found.comparisons[0].adjusted


def test_names_of_any_kind_are_shown_as_they_are(tmp_path: Path):
    made = [
        hype(
            p,
            k,
            (p + k) % 3 == 0,
            trial=k,
            source=HOSTILE,
            study=HOSTILE,
            participant=f"{p}{HOSTILE}",
        )
        for p in range(4)
        for k in range(6)
    ]
    write(analyse(made), tmp_path, made)
    shown = (tmp_path / "report.html").read_text("utf-8")
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script" not in (tmp_path / "report.md").read_text("utf-8")
    assert read_answers(tmp_path / "answers.csv") == made


def chosen(source: str, other: str) -> list[Answer]:
    return [
        pair(p, source, other, (p + k) % 4 > 0, (k, k), trial=k)
        for p in range(6)
        for k in range(10)
    ]


def rated() -> list[Answer]:
    return [
        hype(
            p,
            k,
            False,
            trial=k,
            protocol="rating",
            truth="",
            correct=None,
            answer=str(1 + (p + k) % 5),
            source="ab"[k % 2],
        )
        for p in range(6)
        for k in range(10)
    ]


def timed() -> list[Answer]:
    steps = [500.0, 490, 480, 510, 500, 490, 520, 510, 540, 530]
    return [
        hype(p, k, False, trial=k, protocol="hype-time", asked_ms=ms + p, shown_ms=ms + p)
        for p in range(5)
        for k, ms in enumerate(steps)
    ]


def forced() -> list[Answer]:
    return [
        pair(
            *(p, "real", "gan", (p + k) % 3 > 0, (k, k)),
            trial=k,
            protocol="2afc",
            truth="left",
            correct=(p + k) % 3 > 0,
        )
        for p in range(6)
        for k in range(10)
    ]


@pytest.mark.parametrize(
    ("made", "title", "says"),
    [
        (chosen("a", "b"), "Preferences", "a is preferred most often: in 75.0 %"),
        (rated(), "Ratings", "is rated highest"),
        (timed(), "Time to judge", "gan: people need 510 ms"),
        (forced(), "Error rates", "gan is closest to real images: 33.3 %"),
    ],
)
def test_every_protocol_has_a_report(made: Sequence[Answer], title: str, says: str):
    result = analyse(made)
    shown = page(result)
    assert f'<h2 id="h-1">{title}</h2>' in shown
    assert says in shown
    assert "<svg" in shown
    json.dumps(to_json(result), allow_nan=False)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "there are no answers"),
        ([hype(0, 0, True, phase="practice")], "there are no answers of the main phase"),
        ([*rated(), *timed()], "to several protocols, hype-time, rating"),
    ],
)
def test_what_cannot_be_analysed_gives_one_line(made: list[Answer], message: str):
    with pytest.raises(PthetaError, match=message):
        analyse(made)


def test_one_protocol_of_several_can_be_chosen():
    assert analyse([*rated(), *timed()], protocol="rating").protocol == "rating"
    with pytest.raises(PthetaError, match="--protocol 2afc: the answers are to hype-time, rating"):
        analyse([*rated(), *timed()], protocol="2afc")


def test_a_study_whose_people_are_all_excluded_gives_one_line():
    made = [hype(0, k, True, kind="attention", trial=k) for k in range(3)]
    made.append(hype(0, 9, True, trial=9))
    study = Study(
        name="a",
        protocol="hype-infinity",
        sources=[StudySource(name="real", kind="reference", path="", n=1)],
        attention=StudyRule(least_correct=0.5),
    )
    with pytest.raises(
        PthetaError, match=r"nobody is left: 1 person is excluded, by --least-attention 0\.5"
    ):
        analyse(made, study)


def test_one_answer_has_a_report():
    result = analyse([hype(0, 0, True)])
    assert "unknown" in page(result)
    json.dumps(to_json(result), allow_nan=False)


@pytest.fixture
def folder(tmp_path: Path, answers: list[Answer]) -> Path:
    """The two files of a study."""
    write_answers(tmp_path / "answers.csv", answers)
    sources = [
        StudySource(name="real", kind="reference", path="digits", n=50),
        StudySource(name="vae", kind="run", path=str(tmp_path / "vae"), n=50),
    ]
    study = Study(
        name="three models",
        protocol="hype-infinity",
        sources=sources,
        attention=StudyRule(least_correct=0.75),
    )
    write_study(tmp_path / "study.json", study)
    return tmp_path


def test_the_command_writes_a_report(folder: Path):
    done = command("study", "report", folder)
    assert done.status == 0, done.stderr
    assert "gan is closest to real images" in " ".join(done.stdout.split())
    names = {path.name for path in (folder / "report").iterdir()}
    assert names == {"report.html", "report.md", "analysis.json", "answers.csv"}


def test_the_csv_alone_is_enough(folder: Path, tmp_path_factory):
    alone = tmp_path_factory.mktemp("alone")
    shutil.copy(folder / "answers.csv", alone / "mine.csv")
    assert read(alone / "mine.csv").study is None
    done = command("study", "report", alone / "mine.csv", "--json", "--least-attention", 0.5)
    assert done.status == 0, done.stderr
    values = json.loads(done.stdout)
    assert values["excluded"][0]["rule"] == "attention"
    assert (alone / "report" / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "nowhere"], "no folder or file"),
        (["report", "."], "holds no answers"),
        (["power", "0.2", "0.2"], "nothing to tell apart"),
        (["power", "0.2", "1.2"], "1.2 is not an error rate"),
        (["power", "0.2", "0.3", "--design", "x"], "choose between or within"),
        (["power", "0.2", "0.3", "--person", "0.7"], "0 to 0.5"),
        (["power", "25", "30"], "such as 0.25"),
        (["power", "0.2", "0.3", "--people", "1"], "sees one of 2 sources"),
    ],
)
def test_bad_requests_give_one_line(words: list[str], message: str):
    done = command("study", *words)
    assert (done.status, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_power_is_printed():
    done = command("study", "power", 0.25, 0.35, "--people", 22)
    assert "a power of 80 % needs 24 people" in done.stdout
    assert json.loads(command("study", "power", 0.25, 0.35, "--json").stdout)["power"]["30"] > 0.8


def evaluated(folder: Path, distances: dict[str, float], samples: int = 1000) -> list[StudySource]:
    """Run folders with nothing but an evaluation."""
    sources = []
    for name, value in distances.items():
        (folder / name).mkdir()
        results = (Result("fd_digits", value, better="lower"), Result("speed", 1.0))
        protocol = {"extractor": "digits", "samples": samples, "real_images": 100}
        Evaluation(results, protocol).write(folder / name / "evaluation.json")
        sources.append(StudySource(name=name, kind="run", path=str(folder / name), n=50))
    return sources


def test_people_are_compared_with_stored_metrics(folder: Path):
    study = read_study(folder / "study.json")
    sources = evaluated(folder, {"vae": 30.0, "gan": 10.0, "flow": 25.0})
    write_study(folder / "study.json", study.model_copy(update={"sources": sources}))
    _, result = study_report(folder)
    assert [one.metric for one in result.agreements] == ["fd_digits"]
    order = sorted(result.human, key=result.human.__getitem__)
    expected = 1.0 if order == ["vae", "flow", "gan"] else 1 / 3
    assert result.agreements[0].tau == pytest.approx(expected)
    assert result.agreements[0].values["gan"][1] == 10.0


def test_metrics_of_different_protocols_are_left_out(folder: Path):
    study = read_study(folder / "study.json")
    sources = evaluated(folder, {"vae": 30.0, "gan": 10.0}) + evaluated(folder, {"flow": 9.0}, 500)
    write_study(folder / "study.json", study.model_copy(update={"sources": sources}))
    with pytest.warns(UserWarning, match="evaluated by different protocols"):
        _, result = study_report(folder)
    assert not result.agreements


@pytest.mark.slow
def test_metrics_are_measured_on_request(folder: Path):
    study = read_study(folder / "study.json")
    run = {"vae": "example:vae", "gan": "example:gan", "flow": "example:pixelcnn"}
    sources = [StudySource(name=k, kind="run", path=v, n=50) for k, v in run.items()]
    write_study(folder / "study.json", study.model_copy(update={"sources": sources}))
    _, result = study_report(folder, measure=True, n=100)
    assert {one.metric for one in result.agreements} >= {"fd_digits", "kd_digits"}
    assert all(value[1] > 0 for value in result.agreements[0].values.values())


# -- what is not known, and what is there already


def guessing(share: float, people: int = 12) -> list[Answer]:
    """People who are wrong in this share of the questions about two sources and real images."""
    made = []
    for p in range(people):
        for k in range(40):
            wrong, name = (7 * k + 11 * p) % 40 < 40 * share, ("real", "gan", "real", "vae")[k % 4]
            truth, other = ("real", "fake") if name == "real" else ("fake", "real")
            answer = other if wrong else truth
            more = {"truth": truth, "answer": answer, "source": name}
            made.append(hype(p, k, wrong, trial=k, **more))
    return made


@pytest.mark.parametrize(
    ("share", "people", "told"),
    [
        (0.2, 12, "People do better than chance on every source."),
        (0.5, 12, "People cannot be told from guessing on"),
        (0.8, 12, "People do worse than chance on"),
        (0.2, 1, None),
        (0.5, 1, None),
    ],
)
def test_chance_is_spoken_of_where_it_is_known(share: float, people: int, told: str | None):
    said = [line for line in summary(analyse(guessing(share, people))) if line.startswith("People")]
    assert [line[: len(told or "")] for line in said] == ([told] if told else [])


def test_nothing_is_found_apart_or_alike_by_one_person():
    found = analyse(guessing(0.3, 1))
    said = " ".join([*summary(found), document(found)])
    assert "Whether sources differ is unknown" in said
    assert "told apart" not in said


def test_intervals_of_ratings_stay_on_the_scale():
    rated = {"protocol": "rating", "truth": "", "correct": None}
    given = ("1", "5", "5", "4")
    made = [
        hype(p, k, False, trial=k, source="ab"[k % 2], answer=given[(p + k) % 4], **rated)
        for p in range(2)
        for k in range(4)
    ]
    found = analyse(made)
    for one in found.ratings:
        low, high = one.mean.interval or (0, 9)
        assert 1 <= low <= one.mean.value <= high <= 5
    low, high = found.comparisons[0].difference.interval or (-9, 9)
    assert -4 <= low <= high <= 4


def test_a_report_renews_its_own_answers_and_no_other_file(folder: Path, tmp_path: Path):
    raw = tmp_path / "answers.csv"
    made = guessing(0.3)
    study_csv = tmp_path / "in" / "given.csv"
    study_csv.parent.mkdir()
    out = tmp_path / "out"
    for n in (400, len(made)):
        write_answers(study_csv, made[:n])
        study_report(study_csv, out)
        assert len(read_answers(out / "answers.csv")) == n
    raw.write_text("mine", encoding="utf-8")
    with pytest.raises(PthetaError, match="of no earlier report"):
        study_report(study_csv, tmp_path)
    assert raw.read_text(encoding="utf-8") == "mine"
    write_answers(raw, made)
    before = raw.stat().st_mtime_ns
    study_report(raw, tmp_path)
    assert raw.stat().st_mtime_ns == before


def test_people_who_are_simulated_are_counted_among_others():
    made = [
        replace(a, participant="simulated 1") if a.participant == "p0" else a for a in guessing(0.3)
    ]
    assert "1 of 12 people are simulated." in document(analyse(made))
    assert "simulated" not in document(analyse(guessing(0.3)))
