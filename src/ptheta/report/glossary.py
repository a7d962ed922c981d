"""Glossary of a report: its metrics and general terms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from ptheta.metrics.metric import GIVEN
from ptheta.metrics.table import metric_of, words
from ptheta.report.tables import Table

ALWAYS: Mapping[str, str] = {
    "held-out": "examples that were not used in training",
    "± (standard error)": "the standard deviation of a number over other samples and other "
    "held-out examples: about two thirds of the time it moves by no more than this",
    "95 % interval": "interval of the difference of two rows, both evaluated on the same "
    "examples; the difference is significant if it excludes 0",
    "reference rows (grey)": "baselines without learning, such as a copied training set, and "
    "real examples: the scale on which to read the other numbers",
    "explicit, implicit": "an explicit model computes p(x), exactly, as a bound or as an "
    "estimate; an implicit model only draws samples",
    "seed": "initialises the random generator; the same seed gives the same samples",
    "log 2, 2 log 2": "the losses of a generator and of a discriminator at equilibrium, where "
    "the discriminator outputs 1/2 everywhere",
    "critic gap": "the critic's mean output for real examples minus that for samples: 0 if it "
    "cannot distinguish them",
}

# terms of the code, the command line and the docs; see `docs/architecture.md`
WORDS: Mapping[str, str] = {
    "spec": "what one example is: the size and levels of an image, or the columns of a row",
    "condition": "what a model is conditioned on: labels, attributes, a caption, an image",
    "capability": "an operation that a model supports, such as sampling, encoding or computing "
    "log p(x)",
    "game, player, move": "a training procedure; a player owns weights and their optimizer, a "
    "move is one player's loss",
    "dynamics": "the update rule for the players of a game: alternating, simultaneous or "
    "extragradient",
    "run": "a folder written by training and read by all other commands",
    "recipe": "a named configuration of a model, such as that of a paper",
    "task": "a use of a trained model; one command of the command line",
    "metric": "a measure of samples, likelihoods, codes or speed, with an error",
    "extractor": "the network that computes image features for a metric; it is named at the end "
    "of the metric's name",
    "exact (=)": "log p(x) computed exactly",
    "bound (<=)": "a value known to be above (or below) the true one: the true loss is at most "
    "this",
    "estimate (~)": "a value with error in both directions, such as the likelihood of an "
    "energy-based model with estimated Z",
    "density": "p(x) of continuous data, in the units of the data; its logarithm may be above 0",
    "dequantisation": "adding noise within the bin of each discrete level, so that a density "
    "bounds the probability of the level",
    "bits/dim": "-log2 p(x) of an example divided by its number of dimensions",
    "nats": "-log p(x) of an example, with the natural logarithm",
    "ELBO": "the evidence lower bound: E log p(x | z) - KL(q(z | x) || p(z)), at most log p(x)",
    "KL": "the Kullback-Leibler divergence of two distributions, 0 if they are equal",
    "code": "the latent variables z that represent an example",
    "prior": "the distribution p(z) of codes",
    "posterior": "the distribution of codes given an example; an encoder approximates it by q(z "
    "| x)",
    "generator, discriminator": "the network that produces samples, and the one that "
    "distinguishes them from data",
    "critic": "a discriminator with an unbounded output instead of a probability, as for the "
    "Wasserstein distance",
    "mode": "a region where p(x) is high; a model that generates no samples there has dropped "
    "the mode",
    "floor": "the score of a method without learning, for comparison",
    "annealed importance sampling": "an estimate of a normalising constant by a sequence of "
    "distributions from a known one",
    "Gibbs step": "a Markov chain step that samples some variables given all others",
    "diffusion": "a chain that adds noise to an example step by step, and a network that takes "
    "the steps back",
    "flow matching": "learning the velocity of an ODE that carries noise to examples",
    "noise schedule": "how fast noise grows along the chain of a diffusion model",
    "guidance": "the weight of the condition in a step of a diffusion model: 0 leaves it out, 1 "
    "takes it as it was learned, more exaggerates it",
    "DDIM": "steps of a diffusion model that draw nothing: the same noise gives the same sample",
    "codebook": "the vectors to which the outputs of an encoder are rounded; the number of one is "
    "a discrete code",
    "perplexity of a codebook": "the number of codes that, used equally often, would have the "
    "entropy of those that are used",
    "ladder": "several layers of codes, each of which the data correct from the top down",
    "posterior collapse": "codes, or a layer of them, that equal their prior and say nothing of "
    "the data: a KL of 0",
    "total correlation": "the KL between the distribution of codes and the product of its "
    "marginals: 0 if the dimensions are independent",
    "mutual information gap": "how much more one dimension of a code says of an attribute than any "
    "other dimension does, as a share of the attribute's entropy, averaged over attributes",
}


class Entry(NamedTuple):
    """key: anchor on the page; only one of several lines defines it"""

    key: str
    term: str
    meaning: str


def glossary(metrics: Iterable[str]) -> list[Entry]:
    """The metrics of a report and the general terms, in alphabetical order."""
    found = {words(name): _meaning(name) for name in metrics}
    terms = {**ALWAYS, **{name: meaning for name, meaning in found.items() if meaning}}
    order = sorted(terms, key=lambda term: (not term[0].isalpha(), term.lower()))
    return [Entry(f"term-{_key(term)}", term, terms[term]) for term in order]


def _meaning(name: str) -> str:
    """Description of a metric, its unit and direction; "" if unknown."""
    metric = metric_of(name)
    if metric is None:
        return ""
    given = ", of p(x | y), given the condition of the example" if name.endswith(GIVEN) else ""
    better = f"; {metric.better} is better" if metric.better else ""
    return f"{metric.about}{given}{better}"


def _key(term: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", term.lower()).strip("-") or "sign"


class Links:
    """Links terms to their glossary entries, with the meaning as a tooltip."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = {entry.term: entry for entry in entries}
        terms = sorted(self.entries, key=len, reverse=True)
        self.pattern = re.compile("|".join(rf"(?<![\w=]){re.escape(t)}(?![\w=])" for t in terms))

    def term(self, text: str) -> Markup:
        """Links a text that is a term; returns any other unchanged."""
        entry = self.entries.get(text)
        return escape(text) if entry is None else _link(entry, text)

    def line(self, text: str) -> Markup:
        """Links all terms in a sentence."""
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
    """The metrics in the tables of a report."""
    heads = {head.name for table in tables for head in table.head}
    return [metric for metric in metrics if words(metric) in heads]
