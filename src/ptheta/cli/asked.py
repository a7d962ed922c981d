"""The options by which a user says what a conditional model is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import click

import ptheta
from ptheta.config import brief
from ptheta.errors import PthetaError

F = TypeVar("F", bound=Callable[..., object])

# by kind of condition (`ptheta.conditions.KINDS`): the option, the name of its values, its help
OPTIONS = {
    "labels": ("--label", "labels", "Name of a class. May be repeated."),
    "attributes": (
        "--attributes",
        "attributes",
        "Attributes that are not 0, by number or word: hat,size=0.3,colour=red; or a number for "
        "each: 1,0,0.5. May be repeated.",
    ),
    "text": ("--caption", "captions", "Caption. May be repeated."),
    "image": (
        "--image",
        "images",
        "Picture that is the condition. May be repeated. By default "
        "test inputs of the data that the run learned.",
    ),
}


def asked_options(command: F, without: Collection[str] = ()) -> F:
    """All of them, each of which may be repeated. without: kinds whose flags say something else"""
    for kind, (flag, name, text) in reversed(OPTIONS.items()):
        if kind not in without:
            command = click.option(flag, name, multiple=True, help=text)(command)
    return command


def asked(run: str, options: dict[str, Any]) -> dict[str, Sequence[str]]:
    """What was asked for, by kind of condition. options: of the command, by their names; these are
    taken out of them

    Raises PthetaError where the run's model is not asked for what the user gives.
    """
    given = {kind: options.pop(name, ()) for kind, (_, name, _) in OPTIONS.items()}
    wanted = {kind: texts for kind, texts in given.items() if texts}
    takes = ptheta.Run.open(run).kinds if wanted else ()
    for kind, texts in wanted.items():
        if kind not in takes:
            flag, known = OPTIONS[kind][0], " and ".join(takes) or "no condition"
            raise PthetaError(
                f"{flag} {brief(texts[0])}: this model takes no {kind}, it takes {known}; leave it "
                "out"
            )
    return wanted
