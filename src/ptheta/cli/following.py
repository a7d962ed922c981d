"""Suggestion of the next command, one that works for the trained model."""

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
    """Chosen by the model's capabilities: translate, sample, fit a prior to the codes and sample,
    complete, or else evaluate."""
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
    """Options for `translate` (the target domain, needed for more than two domains) and for
    `sample` (the shortest example caption, for a model of captions)."""
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
    """The command line, quoted for a shell."""
    command, first, *rest = map(str, words)
    # a name that looks like an option is written as a path
    modules = (word for module in plugins.named() for word in ("--plugin", module))
    first = f"./{first}" if first.startswith("-") else first
    return shlex.join(["ptheta", *modules, command, first, *rest])
