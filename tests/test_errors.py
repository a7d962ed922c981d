"""Suggestions: every slip of one letter is understood, and an unrelated word is not."""

from __future__ import annotations

import pickle
import string

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptheta.cli.commands import cli
from ptheta.cli.train import train
from ptheta.errors import PthetaError, distance, nearest, unknown
from ptheta.models import registry


def flags(command: click.Command) -> list[str]:
    every = [name for p in command.params for name in (*p.opts, *p.secondary_opts)]
    return [name for name in every if name.startswith("--")]


def options(model: str) -> list[str]:
    command = train.get_command(click.Context(train), model)
    assert command is not None
    return flags(command)


MODELS = list(registry.MODELS)
# a set of options for each model, and what else has names: models, commands, their options
NAMES = {
    **{model: options(model) for model in MODELS},
    "models": MODELS,
    "commands": list(cli.commands),
    **{f"of {name}": flags(c) for name, c in cli.commands.items() if flags(c)},
}
LETTERS = string.ascii_lowercase


def slips(name: str) -> list[str]:
    """One letter left out, doubled, swapped with the next, or another in its place."""
    dashes = len(name) - len(name.lstrip("-"))
    found = []
    for i in range(dashes, len(name)):
        found.append(name[:i] + name[i + 1 :])
        found.append(name[:i] + name[i] + name[i:])
        other = LETTERS[(LETTERS.find(name[i]) + 7) % 26]
        found.append(name[:i] + other + name[i + 1 :])
        if i + 1 < len(name):
            found.append(name[:i] + name[i + 1] + name[i] + name[i + 2 :])
    return [slip for slip in found if len(slip) > dashes]


@pytest.mark.parametrize("kind", NAMES)
def test_every_slip_of_one_letter_is_understood(kind: str) -> None:
    known = NAMES[kind]
    # what several models have is tried among the options of the first
    tried = set().union(*(NAMES[k] for k in list(NAMES)[: list(NAMES).index(kind)]))
    for name in set(known) - tried:
        for slip in slips(name):
            found = nearest(slip, known)
            # another name may be as near as the one that was meant, and none may be nearer
            assert found is not None, f"{slip} for {name}"
            bare = slip.strip("-")
            assert distance(bare, found.strip("-"), 3) <= distance(bare, name.strip("-"), 3)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    "word",
    ["--pretend", "--classes", "--bananas", "--learning-rate", "--verbose", "--weights", "--gpu"],
)
def test_an_unrelated_word_is_not(kind: str, word: str) -> None:
    found = nearest(word, NAMES[kind])
    assert found is None or found in ("--weight", "--weight-clip"), found


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("--batch", "--batch-size"),
        ("--BATCH_SIZE", "--batch-size"),
        ("--num-steps", "--steps"),
        ("--latent-dim", "--latent"),
        ("--no-dynamik", "--no-dynamic"),
        ("-steps", "--steps"),
        ("--s", None),
        ("--", None),
        ("", None),
    ],
)
def test_words_of_a_model(word: str, found: str | None) -> None:
    assert nearest(word, options("vae")) == found


WORD = st.text("abcde-", max_size=7)


@given(WORD, WORD, WORD)
def test_distance_is_one_of_strings(a: str, b: str, c: str) -> None:
    ab = distance(a, b, 9)
    assert (ab == 0) == (a == b)
    assert ab == distance(b, a, 9)
    assert abs(len(a) - len(b)) <= ab <= max(len(a), len(b))
    assert distance(a + c, b + c, 9) <= ab
    assert min(ab, 3) == distance(a, b, 2)


def every_error(cls: type[PthetaError] = PthetaError) -> list[type[PthetaError]]:
    return [cls, *(one for sub in cls.__subclasses__() for one in every_error(sub))]


def test_every_error_reaches_another_process_as_it_was():
    import ptheta.api
    import ptheta.training.averages  # those that define some

    assert ptheta.api.Unwritten in every_error()
    for cls in every_error():
        error = cls.__new__(cls, "what was given")
        error.number = 15  # type: ignore[attr-defined]
        sent = pickle.loads(pickle.dumps(error))
        assert (type(sent), str(sent), vars(sent)) == (cls, str(error), vars(error))
    found = ptheta.training.averages.NonFinite(3, "vae", "loss", 2.0)
    again = pickle.loads(pickle.dumps(found))
    assert (str(again), again.step, again.player) == (str(found), 3, "vae")


def test_a_message_lists_no_more_names_than_can_be_read():
    few, many = ([f"class {i}" for i in range(n)] for n in (50, 20_000))
    assert "..." not in str(unknown("label", "?", few))
    said = str(unknown("label", "?", many))
    assert said.endswith("class 49, ... (20,000 in all)")
