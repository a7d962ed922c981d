"""The command that reproduces a run: model, data, recipe and further options."""

from __future__ import annotations

import shlex

from ptheta import config
from ptheta.data.names import shown
from ptheta.report.comparison import Comparison
from ptheta.runs import plan
from ptheta.runs.plan import LENGTHS, Plan


def command(made: Plan, name: str) -> str:
    """`ptheta train ...` with the options in which a plan differs from its recipe, on one line:
    control characters, which others may have written into a run, are escaped.

    name: of the run
    """
    words = ["ptheta", "train", made.model, "--data", made.source]
    if made.recipe != "default":
        words += ["--recipe", made.recipe]
    usual = plan.make(made.model, made.source, {}, made.recipe).to_json()
    own = made.to_json()
    for part, known in plan.sections(made.model).items():
        values, before = _table(own, part), _table(usual, part)
        for option in config.options(known).values():
            value = values[option.name]
            if value != before[option.name] and not (option.name in LENGTHS and value is None):
                words += _flag(option, value)
    return shlex.join(map(shown, [*words, "--out", _place(name)]))


def reproduce(found: Comparison) -> list[str]:
    """The commands that reproduce the runs of a report and their comparison."""
    runs = [m for m in found.measured if m.command]
    if not runs:
        return []
    words = ["ptheta", "compare", *(_place(m.name) for m in runs)]
    words += ["-n", str(found.n), "--seed", str(found.seed), "--out", "report"]
    return [*(m.command for m in runs), shlex.join(words)]


def _place(name: str) -> str:
    """A folder name for a run, whose row name may be a path."""
    return f"runs/{name.strip('/').replace('/', '-')}"


def _table(made: plan.Written, part: str) -> dict[str, object]:
    tables = {"model": made["config"], "data": made["data"], "train": made["train"]}
    return tables[part]


def _flag(option: config.Option, value: object) -> list[str]:
    flag = option.name.replace("_", "-")
    if option.is_flag:
        return [f"--{flag}" if value else f"--no-{flag}"]
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return [f"--{flag}", "none" if value is None else text]
