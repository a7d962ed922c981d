"""The table of tasks: which model supports which, computed from capabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypedDict, runtime_checkable

from ptheta.capabilities import (
    CAPABILITIES,
    Clusters,
    Completes,
    Decodes,
    Denoises,
    Encodes,
    EstimatesLogProb,
    EstimatesPartition,
    HasBound,
    HasChain,
    HasConditionals,
    HasLayers,
    HasLogProb,
    HasLogRatio,
    HasPosterior,
    Samples,
    StepsThrough,
    Tempers,
    Translates,
    Truncates,
)
from ptheta.conditions import Labels, wanted
from ptheta.models import registry
from ptheta.models.entries import Listed
from ptheta.specs import DataSpec, ImageSpec, VectorSpec
from ptheta.tasks.invert import InvertsEncoded, InvertsPrior
from ptheta.tasks.needs import Autoencodes, DecodesPrior, HasKL, learns, takes, unreadable

Can = Literal["yes", "after fit", "no"]


@runtime_checkable
class Anything(Protocol):
    """No capability."""


ANY = (ImageSpec, VectorSpec)


def never(cls: type, config: object) -> bool:
    return False


@dataclass(frozen=True)
class Task:
    """A use of a trained model, named by its command.

    about: a short description
    needs: alternative capabilities, each a protocol: a model needs one of them
    fitted: capabilities added by a prior from `ptheta fit`
    of: the supported kinds of examples
    conditional: whether models that require a condition are supported
    condition_kind: the kind of condition that a model must accept; "" for none
    refused: whether a class with its default config is excluded despite its methods
    """

    about: str
    needs: tuple[type, ...]
    fitted: tuple[type, ...] = ()
    of: tuple[type[DataSpec], ...] = (ImageSpec,)
    conditional: bool = True
    condition_kind: str = ""
    refused: Callable[[type, object], bool] = never

    def can(self, entry: Listed) -> Can:
        """Whether a registered model supports the task."""
        cls = entry.load_model()
        if not any(learns(cls, kind) for kind in self.of):
            return "no"
        if not self.conditional and wanted(entry.load_config()()):
            return "no"
        if self.condition_kind and not takes(cls, self.condition_kind):
            return "no"
        if self.refused(cls, entry.load_config()()):
            return "no"
        if any(issubclass(cls, need) for need in self.needs):
            return "yes"
        return "after fit" if self.fitted and issubclass(cls, Autoencodes) else "no"

    @property
    def methods(self) -> str:
        """The required capabilities, by name."""
        ways = named(self.needs)
        return f"{ways}, given {self.condition_kind}" if self.condition_kind else ways


def named(needs: tuple[type, ...]) -> str:
    """Names of alternative capabilities: "encodes + decodes or decodes + prior"."""
    return " or ".join(dict.fromkeys(map(_named, needs)))


def _named(need: type) -> str:
    methods = {name for name in dir(need) if not name.startswith("_")}
    parts = [
        name
        for name, protocol in CAPABILITIES.items()
        if {m for m in dir(protocol) if not m.startswith("_")} <= methods
    ]
    return " + ".join(parts) or "nothing"


# to add a command for trained models, add an entry here
TASKS: dict[str, Task] = {
    "sample": Task("draw examples", (Samples,), fitted=(Samples,), of=ANY),
    "inpaint": Task("complete images", (Completes,)),
    "impute": Task("fill missing values", (Completes,), of=ANY),
    "surprise": Task("map the surprise of each pixel", (HasConditionals,)),
    "context": Task("map the pixels that a prediction depends on", (StepsThrough,)),
    "compress": Task("lossless image compression", (StepsThrough,)),
    "reconstruct": Task("encode and decode images", (Autoencodes,)),
    "denoise": Task("repair damaged images", (Denoises, Autoencodes)),
    "translate": Task("translate images to another domain", (Translates,)),
    "interpolate": Task(
        "walk through the latent space", (Autoencodes, DecodesPrior), fitted=(DecodesPrior,)
    ),
    "manifold": Task(
        "decode a grid over two code dimensions", (DecodesPrior,), fitted=(DecodesPrior,)
    ),
    "encode": Task("the codes of examples", (Encodes,), of=ANY),
    "decode": Task("examples of codes", (Decodes,), of=ANY),
    "scatter": Task("2-D scatter plot of codes, coloured by class", (Encodes,), of=ANY),
    "invert": Task("search for the codes of images", (InvertsPrior, InvertsEncoded)),
    "arithmetic": Task("latent arithmetic: change one attribute", (Autoencodes, InvertsPrior)),
    "traverse": Task("change one dimension of a code", (Autoencodes, DecodesPrior)),
    "latents": Task("measure the information in the codes", (HasPosterior,), of=ANY),
    "layers": Task("KL of each layer of codes", (HasLayers, HasKL), of=ANY),
    "fit": Task("fit a prior to the codes", (Autoencodes,), of=ANY),
    "probe": Task("predict labels from codes (linear probe)", (Encodes,), conditional=False),
    "cluster": Task(
        "group examples without labels", (Clusters, Encodes), of=ANY, conditional=False
    ),
    "neighbours": Task(
        "nearest training examples of samples: are they copies",
        (Samples,),
        fitted=(Samples,),
        of=ANY,
    ),
    "usefulness": Task(
        "usefulness of samples as training data", (Samples,), fitted=(Samples,), of=ANY
    ),
    "classify": Task(
        "classify by Bayes' rule", (HasLogProb, HasBound), of=ANY, condition_kind=Labels.kind
    ),
    "chain": Task("run its Markov chain and measure mixing", (HasChain,), of=ANY),
    "density": Task(
        "likelihood of examples",
        (HasLogProb, EstimatesPartition, EstimatesLogProb, HasBound),
        of=ANY,
    ),
    "ratio": Task(
        "density ratio of data and samples, by a discriminator",
        (HasLogRatio,),
        of=ANY,
        refused=unreadable,
    ),
    "tradeoff": Task("precision-recall trade-off of samples", (Truncates, Tempers), of=ANY),
    "outliers": Task("outlier detection", (Anything,), of=ANY),
}


class TaskInfo(TypedDict):
    """A task, JSON-ready. needs: names of capabilities; models: names of the supporting models"""

    about: str
    needs: str
    models: dict[str, Can]


def list_tasks() -> dict[str, TaskInfo]:
    """List the tasks of trained models by command, with the models that support them."""
    entries = registry.models()
    return {
        verb: {
            "about": task.about,
            "needs": task.methods,
            "models": {name: task.can(entry) for name, entry in entries.items()},
        }
        for verb, task in TASKS.items()
    }


SIGNS: Mapping[Can, str] = {"yes": "+", "after fit": "fit", "no": ""}


def matrix() -> list[list[str]]:
    """The table, header first: one row per model, one column per task."""
    table = list_tasks()
    rows = [["", *table]]
    for name in registry.models():
        rows.append([name, *(SIGNS[info["models"][name]] for info in table.values())])
    return rows
