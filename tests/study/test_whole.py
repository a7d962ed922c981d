"""A study from its plan to its report: people answer by the rules of the server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from ptheta.api.studying import study_report
from ptheta.study.analysis.analyse import Analysis
from ptheta.study.export import answers
from ptheta.study.files import ANSWERS, read_answers
from ptheta.study.interview import Interview, Reply
from ptheta.study.plan import read_plan
from ptheta.study.store import Store
from tests.study.sites import make

PEOPLE = 4


def asked(folder: Path, name: str, choose: Callable[[Random], str]) -> None:
    """People answer everything."""
    random, plan = Random(0), read_plan(folder)
    with closing(Store(folder)) as store:
        interview = Interview(plan, name, store)
        for person in range(PEOPLE):
            cookie = f"{person:048}"
            state = interview.join(f"person {person}", "en", cookie)
            while state["step"] == "trial":
                shown = float(state["asked_ms"] or 0)  # type: ignore[arg-type]
                said = choose(random)
                reply = Reply(int(state["tab"]), int(state["trial"]), said, shown, 900.0)  # type: ignore[call-overload]
                state = interview.answer(cookie, reply)


@pytest.mark.parametrize("protocol", ANSWERS)
def test_every_protocol_goes_from_its_plan_to_its_report(protocol: str, tmp_path: Path):
    made = make(tmp_path, protocol, attention=0, seed=0)  # chance gives each source a threshold
    asked(made.folder, made.study.name, lambda random: random.choice(ANSWERS[protocol]))
    page, found = study_report(made.folder)
    assert page == made.folder / "report" / "report.html"
    assert (found.protocol, found.people, found.joined) == (protocol, PEOPLE, PEOPLE)
    assert found.answers == PEOPLE * made.plan.trials
    assert set(found.human) == {"one", "two"}
    assert found.consistency is not None
    assert found.consistency.same.n == PEOPLE * made.plan.repeats
    assert read_answers(page.parent / "answers.csv") == answers(made.folder)


def test_people_who_do_not_look_are_excluded(tmp_path: Path):
    """They answer "real" to images of noise."""
    made = make(tmp_path, "rating", attention=2)
    asked(made.folder, made.study.name, lambda random: random.choice("45"))
    assert made.study.attention is not None
    found: Analysis
    _, found = study_report(made.folder, least_attention=0.0)
    assert not found.excluded
    with pytest.raises(Exception, match="nobody is left: 4 people are excluded, by --least-att"):
        study_report(made.folder)
