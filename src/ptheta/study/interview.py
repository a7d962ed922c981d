"""The rules of a study: who joins, what is asked next, which answers are taken.

Every method is one job of the desk (`ptheta.study.store.Desk`) and so one transaction. What they
return is all that a browser gets: nothing in it depends on whether an image is real, except the
feedback of practice trials, whose images are shown nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import TypeAlias

from ptheta.study.files import (
    ANSWERS,
    HYPE_TIME,
    MAIN,
    NORMAL,
    PRACTICE,
    QUALIFICATION,
    REAL,
    REPEAT,
)
from ptheta.study.order import Trial, trials_of
from ptheta.study.plan import BETWEEN, NOISE, Plan
from ptheta.study.staircase import exposure
from ptheta.study.store import Given, Person, Store

State: TypeAlias = dict[str, object]
LONGEST_NAME = 40  # characters
NAMES = "letters, digits, spaces and . - _"
LOW_RATING = 2  # the most that an image of noise is given by a person who pays attention
MOST_CACHED = 4096  # people whose trials are held in memory
EXAMPLES = ("a", "b")  # of each kind in the tutorial


class Refused(Exception):
    """A request that is not carried out. status: of HTTP; code: for the page; text: for a reader"""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as a browser sends it. tab: the number of its tab, trial: of the question"""

    tab: int
    trial: int
    answer: str
    shown_ms: float | None
    response_ms: float | None


@lru_cache(maxsize=MOST_CACHED)
def _trials(text: str) -> tuple[Trial, ...]:
    return tuple(Trial(*values) for values in json.loads(text))


def clean_name(text: str) -> str:
    """A nickname or code. Raises Refused for one with other characters than `NAMES`."""
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise Refused(422, "name", f"a name of 1 to {LONGEST_NAME} characters is needed")
    if not name[0].isalnum() or not all(_in_name(c) for c in name):
        raise Refused(422, "name", f"a name holds {NAMES}, and begins with a letter or a digit")
    return name


def _in_name(c: str) -> bool:
    """Whether a name may hold a character: vowel signs and the like are parts of letters."""
    return c.isalnum() or c in " .-_" or unicodedata.category(c) in ("Mn", "Mc")


def key_of(cookie: str) -> str:
    """What is stored of the cookie that a browser shows: the cookie itself is not."""
    return hashlib.sha256(cookie.encode()).hexdigest()


class Interview:
    """The study as its participants see it."""

    def __init__(self, plan: Plan, name: str, store: Store) -> None:
        self.plan, self.name, self.store = plan, name, store
        self.secret = store.secret("images").encode()

    # -- joining

    def join(self, name: str, language: str, cookie: str) -> State:
        """A new person, and the state of the first tab.

        cookie: chosen by the page; the same one again, with the same name, is the same person,
            whose browser has not got the first reply
        """
        name, key = clean_name(name), key_of(cookie)
        known = self.store.person(key)
        if known is not None and known.name == name:
            return self._opened(known)
        if known is not None or self.store.named(name):
            raise Refused(409, "taken", "this name is taken: choose another one")
        number = self.store.next_person()
        source = self._assigned(number)
        trials = trials_of(self.plan, number, source)
        text = json.dumps(trials)
        code = secrets.token_hex(4)
        person = Person(number, name, code, key, source, language, text, _now())
        self.store.add_person(person)
        return self._opened(person)

    def _assigned(self, number: int) -> str:
        """The source that the fewest people see, by chance among several; "" where all see all."""
        if self.plan.design != BETWEEN:
            return ""
        seen = self.store.assigned()
        models = self.plan.models
        Random(f"{self.plan.seed}/assigned/{number}").shuffle(models)
        return min(models, key=lambda model: seen.get(model, 0))

    def person(self, cookie: str | None) -> Person:
        """Raises Refused for a browser that has not joined."""
        found = self.store.person(key_of(cookie)) if cookie else None
        if found is None:
            raise Refused(401, "join", "join the study first")
        return found

    def open(self, cookie: str | None) -> State:
        """The state of a new tab, which from now on is the only active one."""
        try:
            person = self.person(cookie)
        except Refused:
            return {"step": "welcome"}
        return self._opened(person)

    def leave(self, cookie: str | None) -> State:
        """For another person at the same browser, once this one has ended."""
        person = self.person(cookie)
        trials, given = _trials(person.trials), self.store.answers(person.id)
        if len(given) < len(trials) and not self._failed(trials, given):
            raise Refused(409, "trial", "there are questions left")
        return {"step": "welcome"}

    def _opened(self, person: Person) -> State:
        return self._state(person, self.store.open_tab(person.id, _now()))

    # -- asking

    def _state(self, person: Person, tab: int) -> State:
        """What the page shows now."""
        trials, given = _trials(person.trials), self.store.answers(person.id)
        if self._failed(trials, given):
            return {"step": "failed", "tab": tab, "code": person.session}
        if len(given) == len(trials):
            return {"step": "done", "tab": tab, "code": person.session, **_result(trials, given)}
        number = len(given)
        trial = trials[number]
        same = [i for i, one in enumerate(trials) if one.phase == trial.phase]
        place = number - same[0]
        every = self.plan.break_every
        return {
            "step": "trial",
            "tab": tab,
            "name": person.name,
            "language": person.language,
            "trial": number,
            "phase": trial.phase,
            "number": place + 1,
            "of": len(same),
            "rest": bool(every and trial.phase == MAIN and place and place % every == 0),
            "images": self._addresses(person, number),
            "asked_ms": self._asked(trials, given, trial),
            "examples": self._examples(person) if number == 0 else [],
        }

    def _addresses(self, person: Person, number: int) -> list[str]:
        sides = "ab" if self.plan.two_images else "a"
        return [self._address(person, f"{number}{side}") for side in sides]

    def _address(self, person: Person, slot: str) -> str:
        """An address that says nothing and holds for one person and one trial."""
        text = f"{person.session}/{slot}".encode()
        return "image/" + hmac.new(self.secret, text, hashlib.sha256).hexdigest()[:32]

    def _examples(self, person: Person) -> list[dict[str, str]]:
        """Images of the tutorial with what they are, where there is a right answer."""
        return [
            {"image": self._address(person, f"example{slot}"), "is": truth}
            for slot, truth, _ in self._example_items(person)
        ]

    def _example_items(self, person: Person) -> list[tuple[str, str, str]]:
        """(slot, what it is, id of the image)"""
        if not self.plan.has_truth:
            return []
        source = person.source or self.plan.models[0]
        found = []
        for truth, name in ((REAL, REAL), ("fake", source)):
            ids = self.plan.pool("example", name)
            pairs = zip(EXAMPLES, ids, strict=False)
            found += [(f"{truth}{slot}", truth, item) for slot, item in pairs]
        return found

    def _asked(self, trials: tuple[Trial, ...], given: list[Given], trial: Trial) -> int | None:
        """The exposure in ms; None: unlimited."""
        timing = self.plan.timing
        if self.plan.protocol != HYPE_TIME:
            return None
        if trial.phase != MAIN:
            return timing.start_ms
        main = (
            bool(one.correct)
            for one, asked in zip(given, trials, strict=False)
            if (asked.phase, asked.kind) == (MAIN, NORMAL)
        )
        return exposure(timing, main)

    def image(self, cookie: str | None, token: str) -> str:
        """The id of the image behind an address. Raises Refused for one that is not shown now."""
        person = self.person(cookie)
        trials, number = _trials(person.trials), self.store.count(person.id)
        wanted = f"image/{token}".encode()
        if number == 0:
            for slot, _, item in self._example_items(person):
                if hmac.compare_digest(self._address(person, f"example{slot}").encode(), wanted):
                    return item
        if number < len(trials):
            trial = trials[number]
            for address, item in zip(
                self._addresses(person, number), (trial.item, trial.item_b), strict=False
            ):
                if hmac.compare_digest(address.encode(), wanted):
                    return item
        raise Refused(404, "image", "no such image, or it is not shown now")

    # -- answering

    def answer(self, cookie: str | None, reply: Reply) -> State:
        """Takes an answer and returns the next state.

        An answer to a trial that is answered already changes nothing: what is returned is the
        state as it is.
        """
        person = self.person(cookie)
        trials, given = _trials(person.trials), self.store.answers(person.id)
        if reply.tab != self.store.tab(person.id):
            raise Refused(409, "tab", "the study goes on in another tab")
        if reply.answer not in ANSWERS[self.plan.protocol]:
            raise Refused(422, "answer", "this is not one of the answers")
        if not 0 <= reply.trial <= len(given) or len(given) == reply.trial >= len(trials):
            raise Refused(409, "trial", "another question is asked now")
        if self._failed(trials, given):
            raise Refused(409, "trial", "the study is over")
        if reply.trial == len(given):
            self._take(person, trials, given, reply)
        answered = trials[reply.trial]
        state = self._state(person, reply.tab)
        if answered.phase == PRACTICE and answered.truth:
            first = given[reply.trial].answer if reply.trial < len(given) else reply.answer
            right = answered.truth == first
            state["feedback"] = {"truth": answered.truth, "right": right}
        return state

    def _take(
        self, person: Person, trials: tuple[Trial, ...], given: list[Given], reply: Reply
    ) -> None:
        trial = trials[reply.trial]
        asked = self._asked(trials, given, trial)
        if asked is not None and reply.shown_ms is None:
            raise Refused(422, "answer", "the exposure is missing")
        times = asked, reply.shown_ms, reply.response_ms
        right = _right(trial, reply.answer)
        self.store.add_answer(person.id, Given(reply.trial, reply.answer, right, *times, _now()))

    def _failed(self, trials: tuple[Trial, ...], given: list[Given]) -> bool:
        """Whether a person has answered the qualification, and too often wrong."""
        asked = [i for i, one in enumerate(trials) if one.phase == QUALIFICATION]
        if not asked or len(given) <= asked[-1]:
            return False
        right = sum(bool(given[i].correct) for i in asked)
        return right < self.plan.least_correct * len(asked)


def _right(trial: Trial, answer: str) -> bool | None:
    """Whether an answer is right; None where none is."""
    if trial.truth:
        return trial.truth == answer
    # on a scale, noise has no right answer, but it has wrong ones
    return int(answer) <= LOW_RATING if trial.source == NOISE else None


def _result(trials: tuple[Trial, ...], given: list[Given]) -> State:
    """A person's own result, over the main trials without checks."""
    both = list(zip(trials, given, strict=True))
    main = [(trial, one) for trial, one in both if (trial.phase, trial.kind) == (MAIN, NORMAL)]
    right = [one.correct for trial, one in main if trial.truth]
    again = _repeated(both)
    return {
        "answers": len(main),
        "right": sum(map(bool, right)) if right else None,
        "of": len(right),
        "same": sum(again),
        "repeats": len(again),
    }


def _repeated(both: list[tuple[Trial, Given]]) -> list[bool]:
    """Whether each repeated question got the answer of the first time."""
    first = {
        (trial.item, trial.item_b): one.answer
        for trial, one in reversed(both)
        if (trial.phase, trial.kind) == (MAIN, NORMAL)
    }
    return [
        first[trial.item, trial.item_b] == one.answer for trial, one in both if trial.kind == REPEAT
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
