"""The model card of a run: README.md of its repository on the hub.

It says what was trained on what, how, and what was measured with which protocol: everything is read
from the run folder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ptheta.capabilities import Samples
from ptheta.conditions import word
from ptheta.measures.results import Evaluation, Result
from ptheta.metrics.protocol import COMPARABLE
from ptheta.metrics.table import words
from ptheta.models import registry
from ptheta.report.markdown import grid
from ptheta.report.reproduce import command
from ptheta.report.text import markdown
from ptheta.runs.folder import Run
from ptheta.runs.unplaced import unplaced
from ptheta.specs import ImageSpec

PICTURE = "samples.png"
PAPER = "https://arxiv.org/abs/"
SIGNS = {"=": "", "<=": "≤ ", "~": "≈ "}
KINDS = {"<=": ", an upper bound", "~": ", an estimate"}
TASK = "unconditional-image-generation"  # the hub's name


@dataclass(frozen=True)
class Card:
    """What a card is made of.

    Attributes:
        run: The run.
        name: Its name on the hub, "org/name", as it is called in commands.
        evaluation: Its evaluation, if it was evaluated with these weights.
        pictured: Whether there is a picture of its samples beside the card.
        license: Identifier of the licence of the weights; "" if none was given.
    """

    run: Run
    name: str
    evaluation: Evaluation | None
    pictured: bool
    license: str = ""

    def text(self) -> str:
        """The card in Markdown, below its metadata in YAML."""
        parts = [
            self._metadata(),
            *self._about(),
            *self._use(),
            *self._numbers(),
            *self._training(),
        ]
        return "\n".join(parts).rstrip() + "\n"

    def _metadata(self) -> str:
        """The front matter that the hub reads. A JSON text is also YAML, so that no value needs
        other quotes."""
        run, entry = self.run, registry.entry(self.run.plan.model)
        unconditional = isinstance(run.spec, ImageSpec) and run.asked is None and self._samples
        about: dict[str, object] = {
            "library_name": "ptheta",
            "tags": ["ptheta", run.plan.model, entry.family, *_tags(entry.paper)],
        }
        if unconditional:
            about["pipeline_tag"] = TASK
        if self.license:
            about["license"] = self.license
        if found := list(_index(self.evaluation)):
            task = {"type": TASK if unconditional else "other", "name": entry.family}
            data = {"type": "other", "name": run.about.dataset.name}
            result = {"task": task, "dataset": data, "metrics": found}
            about["model-index"] = [{"name": self.name, "results": [result]}]
        lines = [f"{key}: {json.dumps(value)}" for key, value in about.items()]
        return "\n".join(["---", *lines, "---", ""])

    @cached_property
    def _samples(self) -> bool:
        """Whether it can be sampled, perhaps with a fitted prior."""
        return isinstance(self.run.model(), Samples)

    def _about(self) -> Iterator[str]:
        run, entry = self.run, registry.entry(self.run.plan.model)
        data = run.about.dataset
        paper = f" ([{entry.paper}]({_link(entry.paper)}))" if _link(entry.paper) else ""
        yield f"# {self.name.partition('/')[2]}"
        yield ""
        about = f": {markdown(entry.about)}" if entry.about else ""
        yield f"A `{run.plan.model}`{about}{paper}."
        yield ""
        yield f"- Data: {markdown(data.name)}, {data.images:,} training examples of {run.spec}."
        if run.asked is not None:
            yield f"- Condition: {word(run.asked)}."
        yield f"- Parameters: {run.about.parameters:,}; weights: {run.weights}."
        if (unfinished := run.unfinished()) is not None:
            yield f"- **The training is not finished** ({unfinished})."
        if self.pictured:
            yield ""
            yield f"![Samples in the last step of the training]({PICTURE})"
        yield ""

    def _use(self) -> Iterator[str]:
        verb = f"sample hf://{self.name} --out {self.run.spec.usual_file}"
        yield "## Usage"
        yield ""
        yield "```"
        yield "pip install 'ptheta[hub]'"
        yield f"ptheta {verb if self._samples else f'evaluate hf://{self.name}'}"
        yield "```"
        yield ""
        yield "```python"
        yield "import ptheta"
        yield ""
        yield f'model = ptheta.load("{self.name}")'
        yield "```"
        yield ""
        yield "The repository contains JSON and safetensors; loading it executes no code from it."
        if self.run.about.plugins:
            names = ", ".join(f"`{plugin.module}`" for plugin in self.run.about.plugins)
            yield f"The model needs components of {names}, which must be installed."
        yield ""

    def _numbers(self) -> Iterator[str]:
        yield "## Evaluation"
        yield ""
        if self.evaluation is None:
            yield "These weights were not evaluated: `ptheta evaluate` does so."
            yield ""
            return
        head = ["metric", "value", "95 % interval", "better"]
        rows = [
            [words(r.metric), _value(r), _interval(r), r.better] for r in self.evaluation.results
        ]
        yield from grid([head, *rows])
        yield ""
        yield "A value with ≤ is a bound, one with ≈ an estimate that may deviate by more than its"
        yield "interval. The protocol, with which other results must agree to be comparable:"
        yield ""
        for key in COMPARABLE:
            if key in self.evaluation.protocol:
                yield f"- {words(key)}: {markdown(str(self.evaluation.protocol[key]))}"
        yield ""

    def _training(self) -> Iterator[str]:
        yield "## Training"
        yield ""
        yield "```"
        yield command(unplaced(self.run), self.name)
        yield "```"
        yield ""
        last = next(iter(self.run.metrics()[-1:]), None)
        if last is not None and "seconds" in last:
            yield f"{int(last['step']):,} steps took {last['seconds'] / 60:.1f} minutes."
        versions = ", ".join(f"{name} {of}" for name, of in self.run.about.versions.items())
        yield f"Versions: {markdown(versions)}."


def _tags(paper: str) -> list[str]:
    """The tag by which the hub links a paper."""
    return [paper.lower()] if _link(paper) else []


def _link(paper: str) -> str:
    return f"{PAPER}{paper.removeprefix('arXiv:')}" if paper.startswith("arXiv:") else ""


def _index(evaluation: Evaluation | None) -> Iterator[Mapping[str, object]]:
    """The defined results in the form of the hub."""
    for result in () if evaluation is None else evaluation.results:
        if result.value is not None and math.isfinite(result.value):
            unit = f" ({result.unit})" if result.unit else ""
            name = f"{words(result.metric)}{unit}{KINDS.get(result.relation, '')}"
            yield {"type": result.metric, "name": name, "value": result.value}


def _value(result: Result) -> str:
    if result.value is None:
        return f"not defined: {result.reason}"
    whole = (
        float(result.value).is_integer() and abs(result.value) >= 1e5
    )  # .5g would write an exponent
    value = f"{result.value:,.0f}" if whole else f"{result.value:.5g}"
    return f"{SIGNS.get(result.relation, '')}{value} {result.unit}".rstrip()


def _interval(result: Result) -> str:
    if result.interval is None or not result.error:
        return ""
    low, high = result.interval
    return f"{low:.4g} to {high:.4g}"
