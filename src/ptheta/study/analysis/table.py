"""Answers as columns, and the groups of answers that are not independent of each other."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ptheta.study.files import FAKE, LEFT, TWO_AFC, TWO_IMAGES, Answer

Ints: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Floats: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Bools: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
# names of groupings; a pair is of the two images of a question
PEOPLE, IMAGES, PAIRS, BOTH, PAIRS_OF_PERSON = "people", "images", "pairs", "both", "own pairs"


@dataclass(frozen=True)
class Grouping:
    """Answers in groups: those that share a person, an image, or several of these.

    columns: the group of each answer (N,), or several of them where an answer is in more than one
    sign: +1 or -1, in the inclusion and exclusion of groups (`ptheta.study.analysis.estimates`)
    """

    name: str
    columns: tuple[Ints, ...]
    count: int
    sign: int


@dataclass(frozen=True)
class Table:
    """N answers as columns, in the order in which each person gave them.

    person, image, image_b: index of the person and of the images (N,). None: not recorded, or
        there is no second image.
    source, source_b: name of the source (N,); of the left and the right image where there are two.
        Where people are not recorded, source_b is the experiment that an answer belongs to.
    fake: whether the right answer was "fake" (N,).
    wrong: 1.0 for a wrong answer, 0.0 for a right one, NaN where no answer is right (N,).
    answer: the answers as they are (N,).
    place: the number of the answer among those of its person, from 0 (N,).
    asked, shown, response: milliseconds, NaN where not recorded (N,).
    people: names of the people, by index.
    """

    person: Ints | None
    image: Ints | None
    image_b: Ints | None
    source: np.ndarray
    source_b: np.ndarray
    fake: Bools
    wrong: Floats
    answer: np.ndarray
    place: Ints
    asked: Floats
    shown: Floats
    response: Floats
    people: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.wrong)

    def where(self, mask: Bools) -> Table:
        """Some of the answers. Indices of people and images keep their meaning."""
        return Table(
            person=None if self.person is None else self.person[mask],
            image=None if self.image is None else self.image[mask],
            image_b=None if self.image_b is None else self.image_b[mask],
            source=self.source[mask],
            source_b=self.source_b[mask],
            fake=self.fake[mask],
            wrong=self.wrong[mask],
            answer=self.answer[mask],
            place=self.place[mask],
            asked=self.asked[mask],
            shown=self.shown[mask],
            response=self.response[mask],
            people=self.people,
        )

    @property
    def models(self) -> np.ndarray:
        """The source other than the reference that an answer is about (N,): of a question with two
        images, one of them real, the other one."""
        if self.image_b is None:
            return self.source
        real_left = (self.answer == LEFT) == (self.wrong == 0)
        return np.where(real_left, self.source_b, self.source)

    def groupings(self) -> tuple[Grouping, ...]:
        """Which answers share something: a person or an image.

        Answers that share a person or an image are those that share a person, and those that share
        an image, without those that share both. With two images in a question, answers that share
        both of them are counted once.
        """
        if self.person is None:
            return () if self.image is None else (_of(IMAGES, 1, self.image),)
        people = _of(PEOPLE, 1, self.person)
        if self.image is None:
            return (people,)
        if self.image_b is None:
            both = _joint(self.person, self.image)
            return people, _of(IMAGES, 1, self.image), _of(BOTH, -1, both)
        images, pair = (self.image, self.image_b), _unordered(self.image, self.image_b)
        cells = _codes(np.concatenate([_pack(self.person, image) for image in images]))
        half = len(self)
        return (
            people,
            _of(IMAGES, 1, *images),
            _of(PAIRS, -1, pair),
            _of(BOTH, -1, cells[:half], cells[half:]),
            _of(PAIRS_OF_PERSON, 1, _joint(self.person, pair)),
        )


def table_of(answers: Sequence[Answer]) -> Table:
    """Answers of one protocol as columns. An image is known by its source and its id."""
    two = bool(answers) and answers[0].protocol in TWO_IMAGES
    people, person = _indexed([a.participant for a in answers])
    images = [(a.source, a.item) for a in answers]
    others = [(a.source_b, a.item_b) for a in answers] if two else []
    _, every = _indexed([*images, *others])
    wrong = [np.nan if a.correct is None else float(not a.correct) for a in answers]
    seen: dict[str, int] = {}
    places = []
    for a in answers:
        places.append(seen.get(a.participant, 0))
        seen[a.participant] = places[-1] + 1
    return Table(
        person=person,
        image=every[: len(answers)],
        image_b=every[len(answers) :] if two else None,
        source=np.array([a.source for a in answers], dtype=object),
        source_b=np.array([a.source_b for a in answers], dtype=object),
        fake=np.array([a.truth == FAKE or a.protocol == TWO_AFC for a in answers], dtype=bool),
        wrong=np.array(wrong, dtype=np.float64),
        answer=np.array([a.answer for a in answers], dtype=object),
        place=np.array(places, dtype=np.int64),
        asked=_times([a.asked_ms for a in answers]),
        shown=_times([a.shown_ms for a in answers]),
        response=_times([a.response_ms for a in answers]),
        people=tuple(people),
    )


def _indexed(names: Sequence[Hashable]) -> tuple[list[str], Ints]:
    """The different names in the order in which they appear, and the index of each."""
    places: dict[Hashable, int] = {}
    codes = [places.setdefault(name, len(places)) for name in names]
    return [str(name) for name in places], np.array(codes, dtype=np.int64)


def _times(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _of(name: str, sign: int, *columns: Ints) -> Grouping:
    count = max((int(column.max()) + 1 for column in columns if len(column)), default=0)
    return Grouping(name, columns, count, sign)


def _pack(a: Ints, b: Ints) -> Ints:
    """One number for each pair of indices."""
    return a * (int(b.max(initial=0)) + 1) + b


def _codes(values: Ints) -> Ints:
    return np.unique(values, return_inverse=True)[1].astype(np.int64).reshape(-1)


def _joint(a: Ints, b: Ints) -> Ints:
    return _codes(_pack(a, b))


def _unordered(a: Ints, b: Ints) -> Ints:
    return _joint(np.minimum(a, b), np.maximum(a, b))
