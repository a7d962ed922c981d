"""Command-line options that give the condition of a conditional model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import click

import ptheta
from ptheta.config import brief
from ptheta.errors import PthetaError

F = TypeVar("F", bound=Callable[..., object])

# for each kind of condition (`ptheta.conditions.KINDS`): option, parameter name, help
OPTIONS = {
    "labels": ("--label", "labels", "Class name. May be repeated."),
    "attributes": (
        "--attributes",
        "attributes",
        "Attributes that are not 0, as numbers or words: hat,size=0.3,colour=red; or one number "
        "for each attribute: 1,0,0.5. May be repeated.",
    ),
    "text": ("--caption", "captions", "Caption. May be repeated."),
    "image": (
        "--image",
        "images",
        "Image to condition on. May be repeated. By default test inputs of the run's data.",
    ),
}


def asked_options(command: F, without: Collection[str] = ()) -> F:
    """Adds all condition options to a command, each repeatable, except those of the kinds in
    `without`."""
    for kind, (flag, name, text) in reversed(OPTIONS.items()):
        if kind not in without:
            command = click.option(flag, name, multiple=True, help=text)(command)
    return command


def asked(run: str, options: dict[str, Any]) -> dict[str, Sequence[str]]:
    """Takes the condition options out of `options` and returns the given ones by kind.

    Raises PthetaError if the run's model does not take a condition of that kind.
    """
    given = {kind: options.pop(name, ()) for kind, (_, name, _) in OPTIONS.items()}
    wanted = {kind: texts for kind, texts in given.items() if texts}
    takes = ptheta.Run.open(run).kinds if wanted else ()
    for kind, texts in wanted.items():
        if kind not in takes:
            flag, known = OPTIONS[kind][0], " and ".join(takes) or "no condition"
            raise PthetaError(
                f"{flag} {brief(texts[0])}: this model takes no {kind}, it takes {known}; leave "
                "it out"
            )
    return wanted
