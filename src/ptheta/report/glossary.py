"""What the words of a report mean: of its metrics, and of what is said of all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from ptheta.metrics.metric import GIVEN
from ptheta.metrics.table import metric_of, words
from ptheta.report.tables import Table

ALWAYS: Mapping[str, str] = {
    "held-out": "examples that no model was trained on",
    "± (standard error)": "how far a number would move by chance with other samples and other "
    "held-out examples: two thirds of the time by no more than this",
    "95 % interval": "where the difference of two rows lies, both measured on the same examples; "
    "the two can be told apart where it does not hold 0",
    "reference rows (grey)": "what needs no learning, such as a copied training set, and real "
    "examples: a number means something beside these",
    "explicit, implicit": "a model that is explicit gives p(x) of an example, exactly, by a bound "
    "or by an estimate; one that is implicit draws samples and gives no number",
    "seed": "the number that decides all that is drawn at random; the same seed, the same samples",
    "log 2, 2 log 2": "the losses of a generator and of a discriminator that cannot tell samples "
    "from real examples, and gives 1/2 to all",
    "critic gap": "the mean output for real examples minus that for samples: 0 where the two "
    "cannot be told apart",
}

# of the code, the command line and the docs; `docs/architecture.md` says where each lives
WORDS: Mapping[str, str] = {
    "spec": "what one example is: the size and levels of an image, or the columns of a row",
    "condition": "what an example is asked for: labels, attributes, a caption, an image",
    "capability": "something that a model can do, such as sample, encode, or give log p(x); what a "
    "model cannot do it does not offer",
    "game, player, move": "who learns what in training; a player owns weights and their optimizer",
    "dynamics": "the rule by which the players of a game are updated: in turns, at once, or by "
    "extragradient",
    "run": "the folder that training writes and all other verbs read",
    "recipe": "named settings of a model, such as those of a paper",
    "task": "a use of a trained model, by the verb of the command line",
    "metric": "a number of samples, likelihoods, codes or speed, with an error",
    "extractor": "the network whose features of images a metric compares; its name ends the name "
    "of the metric",
    "exact (=)": "log p(x) itself, computed",
    "bound (<=)": "a number on the known side of the truth: the loss is at most as high",
    "estimate (~)": "a number with errors on both sides, such as that of an energy whose Z is "
    "estimated",
    "density": "p of real numbers, in the units of the data: log p of it may be above 0",
    "dequantisation": "noise that spreads whole levels over their bins, so that a density of real "
    "numbers bounds their probability",
    "bits/dim": "-log2 p(x) of an example over its number of values",
    "nats": "-log p(x) of an example, by the natural logarithm",
    "ELBO": "the evidence lower bound: E log p(x | z) - KL(q(z | x) || p(z)), at most log p(x)",
    "KL": "the Kullback-Leibler divergence of two distributions, 0 where they are the same",
    "code": "the numbers z that a model has for an example, or draws one from",
    "prior": "the distribution p(z) of codes before an example is seen",
    "posterior": "the distribution of codes given an example; q(z | x) is the guess of an encoder",
    "generator, discriminator": "the network that makes samples, and the one that tells them from "
    "data",
    "critic": "a discriminator whose output is no probability, such as that of the Wasserstein "
    "distance",
    "mode": "a place where p(x) is high; a model that leaves one out has dropped it",
    "floor": "what is reached without learning, to hold a number against",
    "annealed importance sampling": "an estimate of a normalisation, by a path of distributions "
    "from a known one",
    "Gibbs step": "one of a Markov chain: some numbers are drawn given all others",
}


class Entry(NamedTuple):
    """key: its place on the page; of several lines of a page one names it"""

    key: str
    term: str
    meaning: str


def glossary(metrics: Iterable[str]) -> list[Entry]:
    """The metrics of a report, and what is always said, in the order of the alphabet."""
    found = {words(name): _meaning(name) for name in metrics}
    terms = {**ALWAYS, **{name: meaning for name, meaning in found.items() if meaning}}
    order = sorted(terms, key=lambda term: (not term[0].isalpha(), term.lower()))
    return [Entry(f"term-{_key(term)}", term, terms[term]) for term in order]


def _meaning(name: str) -> str:
    """What a metric is, its unit, and which way is better; "" of one that is not known."""
    metric = metric_of(name)
    if metric is None:
        return ""
    given = ", of p(x | y), with what the example was asked for" if name.endswith(GIVEN) else ""
    better = f"; {metric.better} is better" if metric.better else ""
    return f"{metric.about}{given}{better}"


def _key(term: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", term.lower()).strip("-") or "sign"


class Links:
    """Makes the terms of a glossary links to their meanings, which a pointer shows as well."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = {entry.term: entry for entry in entries}
        terms = sorted(self.entries, key=len, reverse=True)
        self.pattern = re.compile("|".join(rf"(?<![\w=]){re.escape(t)}(?![\w=])" for t in terms))

    def term(self, text: str) -> Markup:
        """A text that is a term; any other as it is."""
        entry = self.entries.get(text)
        return escape(text) if entry is None else _link(entry, text)

    def line(self, text: str) -> Markup:
        """A sentence, with each of its terms."""
        made, at = Markup(), 0
        for found in self.pattern.finditer(text):
            made += escape(text[at : found.start()]) + self.term(found.group())
            at = found.end()
        return made + escape(text[at:])


def _link(entry: Entry, text: str) -> Markup:
    return Markup('<a class="term" href="#{}" title="{}">{}</a>').format(
        entry.key, entry.meaning, text
    )


def of_tables(tables: Sequence[Table], metrics: Sequence[str]) -> list[str]:
    """The metrics that stand in the tables of a report."""
    heads = {head.name for table in tables for head in table.head}
    return [metric for metric in metrics if words(metric) in heads]
