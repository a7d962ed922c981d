"""The uses of models as a table: which model can do which, computed from what it can."""

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
    """A use of a trained model, by the name of its verb.

    about: what it gives, in a few words
    needs: ways to do it, each a protocol (of capabilities): a model with one of them can
    fitted: which of them a prior gives that `ptheta fit` fits to the codes of a model
    of: what examples it is of
    conditional: whether models that are always asked for a condition can, too
    told: the kind of condition that a model must be able to take; "" for none
    refused: whether a class with its usual config cannot, for all its methods
    """

    about: str
    needs: tuple[type, ...]
    fitted: tuple[type, ...] = ()
    of: tuple[type[DataSpec], ...] = (ImageSpec,)
    conditional: bool = True
    told: str = ""
    refused: Callable[[type, object], bool] = never

    def can(self, entry: Listed) -> Can:
        """Whether a registered model can do it."""
        cls = entry.load_model()
        if not any(learns(cls, kind) for kind in self.of):
            return "no"
        if not self.conditional and wanted(entry.load_config()()):
            return "no"
        if self.told and not takes(cls, self.told):
            return "no"
        if self.refused(cls, entry.load_config()()):
            return "no"
        if any(issubclass(cls, need) for need in self.needs):
            return "yes"
        return "after fit" if self.fitted and issubclass(cls, Autoencodes) else "no"

    @property
    def methods(self) -> str:
        """The capabilities that it asks for, by their names."""
        ways = named(self.needs)
        return f"{ways}, given {self.told}" if self.told else ways


def named(needs: tuple[type, ...]) -> str:
    """The capabilities that several ways ask for: "encodes + decodes or decodes + prior"."""
    return " or ".join(dict.fromkeys(map(_named, needs)))


def _named(need: type) -> str:
    methods = {name for name in dir(need) if not name.startswith("_")}
    parts = [
        name
        for name, protocol in CAPABILITIES.items()
        if {m for m in dir(protocol) if not m.startswith("_")} <= methods
    ]
    return " + ".join(parts) or "nothing"


# a new verb of a trained model is an entry here
TASKS: dict[str, Task] = {
    "sample": Task("draw examples", (Samples,), fitted=(Samples,), of=ANY),
    "inpaint": Task("complete images", (Completes,)),
    "impute": Task("draw what is missing of examples", (Completes,), of=ANY),
    "surprise": Task("map how unexpected each pixel is", (HasConditionals,)),
    "compress": Task("images in few bytes, without loss", (StepsThrough,)),
    "reconstruct": Task("encode and decode images", (Autoencodes,)),
    "denoise": Task("repair damaged images", (Denoises, Autoencodes)),
    "translate": Task("carry images over to another domain", (Translates,)),
    "interpolate": Task(
        "walk through the latent space", (Autoencodes, DecodesPrior), fitted=(DecodesPrior,)
    ),
    "manifold": Task(
        "images over two dimensions of the code", (DecodesPrior,), fitted=(DecodesPrior,)
    ),
    "encode": Task("the codes of examples", (Encodes,), of=ANY),
    "decode": Task("examples of codes", (Decodes,), of=ANY),
    "scatter": Task("codes in a plane, coloured by class", (Encodes,), of=ANY),
    "invert": Task("find the codes of images", (InvertsPrior, InvertsEncoded)),
    "arithmetic": Task("change one thing of images", (Autoencodes, InvertsPrior)),
    "traverse": Task("change one dimension of a code", (Autoencodes, DecodesPrior)),
    "latents": Task("what the codes hold", (HasPosterior,), of=ANY),
    "layers": Task("KL of each layer of codes", (HasLayers, HasKL), of=ANY),
    "fit": Task("fit a prior to the codes", (Autoencodes,), of=ANY),
    "probe": Task("how much of the labels the codes hold", (Encodes,), conditional=False),
    "cluster": Task(
        "group examples without labels", (Clusters, Encodes), of=ANY, conditional=False
    ),
    "neighbours": Task(
        "samples beside their nearest training examples: are they copies",
        (Samples,),
        fitted=(Samples,),
        of=ANY,
    ),
    "usefulness": Task(
        "what samples are good for, as training data", (Samples,), fitted=(Samples,), of=ANY
    ),
    "classify": Task(
        "tell classes by Bayes' rule", (HasLogProb, HasBound), of=ANY, told=Labels.kind
    ),
    "chain": Task("watch its Markov chain, and how quickly it forgets", (HasChain,), of=ANY),
    "density": Task("how likely examples are", (HasLogProb, EstimatesPartition, HasBound), of=ANY),
    "ratio": Task(
        "how real examples are, by a discriminator", (HasLogRatio,), of=ANY, refused=unreadable
    ),
    "tradeoff": Task("precision against recall of its samples", (Truncates, Tempers), of=ANY),
    "outliers": Task("find examples unlike those of training", (Anything,), of=ANY),
}


class TaskInfo(TypedDict):
    """What is known of a use. needs: names of capabilities; models: which can do it"""

    about: str
    needs: str
    models: dict[str, Can]


def list_tasks() -> dict[str, TaskInfo]:
    """Every use of a trained model by its verb, with the models that can do it."""
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
    """The table: a model in each row, a task in each column, the heads first."""
    table = list_tasks()
    rows = [["", *table]]
    for name in registry.models():
        rows.append([name, *(SIGNS[info["models"][name]] for info in table.values())])
    return rows
