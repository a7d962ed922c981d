"""The command that a user may want next: one that works for the model at hand."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ptheta import plugins
from ptheta.capabilities import Completes, Decodes, Encodes, NamesPrior, Samples, Translates
from ptheta.models import registry

if TYPE_CHECKING:
    from ptheta.conditions import ConditionSpec
    from ptheta.specs import DataSpec


def after_training(
    model: str, run: str | Path, spec: DataSpec, condition: ConditionSpec | None = None
) -> str:
    """By what the model can do: to translate, to draw samples, first to fit a prior to its codes,
    to complete, or else to measure what there is. condition: what it is asked for"""
    cls = registry.entry(model).load_model()
    to, caption = _asked(condition)
    if issubclass(cls, Translates):
        return _command("translate", run, *to, "--out", spec.usual_file)
    if issubclass(cls, Samples):
        return _command("sample", run, *caption, "--out", spec.usual_file)
    if issubclass(cls, NamesPrior):
        return f"{_command('fit', run, '--model', cls.usual_prior())}, then {_sample(run, spec)}"
    if issubclass(cls, Encodes) and issubclass(cls, Decodes):
        return f"{_command('fit', run)}, then {_sample(run, spec)}"
    if issubclass(cls, Completes):
        return _command("inpaint", run, "--out", spec.usual_file)
    return _command("evaluate", run)


def _asked(condition: ConditionSpec | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What says where a picture is carried over to, needed among more than two domains; and what a
    model of captions is asked for: the shortest that it is shown with."""
    from ptheta.conditions import Labels, parts_of, text_of  # and torch

    parts, text = parts_of(condition), text_of(condition)
    names = next((part.names for part in parts if isinstance(part, Labels)), ())
    known = () if text is None or len(parts) > 1 else text.captions
    to = ("--to", names[-1]) if len(names) > 2 else ()
    return to, ("--caption", min(known, key=len)) if known else ()


def after_fit(run: str | Path, spec: DataSpec) -> str:
    return _sample(run, spec)


def after_sweep(folder: Path) -> str:
    return _command("compare", folder, "--out", folder / "report")


def _sample(run: str | Path, spec: DataSpec) -> str:
    return _command("sample", run, "--out", spec.usual_file)


def _command(*words: str | Path) -> str:
    """As a shell reads it, whatever is in the names."""
    command, first, *rest = map(str, words)
    # a name that begins like an option is given as a path
    modules = (word for module in plugins.named() for word in ("--plugin", module))
    first = f"./{first}" if first.startswith("-") else first
    return shlex.join(["ptheta", *modules, command, first, *rest])
