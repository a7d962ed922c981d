"""Every part that a GAN may have, read off the tables, and every pair of them."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations, permutations
from typing import Any

import pytest
import torch

import ptheta
from ptheta.batch import Batch
from ptheta.config import options
from ptheta.dynamics import DYNAMICS
from ptheta.errors import PthetaError
from ptheta.models.adversarial.conditioning import CONDITIONING
from ptheta.models.adversarial.gan import GAN
from ptheta.models.adversarial.options import BREAKS_DENSITY_RATIO, GANConfig, odd_spec, parts
from ptheta.models.parts import Part
from ptheta.models.worded import OF_TEXT
from ptheta.specs import Column, DataSpec, ImageSpec, VectorSpec
from ptheta.training.engine import Engine
from ptheta.training.group import Group

SPEC = ImageSpec(1, 8, 8)
VECTORS = VectorSpec(
    (
        Column("height", center=1.7, scale=0.1),
        Column("age", "integer", low=0, high=99, center=40, scale=20),
        Column("pet", "category", ("cat", "dog", "owl")),
    )
)
SPECS: dict[str, DataSpec] = {"images": SPEC, "vectors": VECTORS}
BASE = {"net": "mlp", "g_hidden": (8, 8), "d_hidden": (8, 8), "features": 6, "latent": 4}
BASE |= {"code": 3, "reference": 4}

LABELS = ptheta.Labels(("a", "b", "c"))
FIELDS = options(GANConfig)
# values of options that name no entry of a table; one for each trick of `TRICKS`, and of others
NUMBERS: dict[str, Any] = {
    "weight_clip": 0.05,
    "spectral_norm": True,
    "equalised": True,
    "feature_matching": 0.5,
    "label_smoothing": 0.1,
    "label_noise": 0.2,
    "label_flips": 0.1,
    "instance_noise": 0.3,
    "historical_averaging": 0.1,
    "d_lr": 4e-4,
    "critic_steps": 2,
    "g_dropout": 0.3,
    "g_noise": 0.1,
    "noise_in_sampling": True,
    "joint_batches": True,
    "replay": 5,
}


def choices(name: str) -> dict[str, dict[str, Any]]:
    """Each entry that option `name` may name, as options of a model."""
    wrap = (lambda word: (word,)) if FIELDS[name].is_tuple else (lambda word: word)
    return {f"{name}={word}": {name: wrap(word)} for word in FIELDS[name].table}


def choosable() -> dict[str, dict[str, dict[str, Any]]]:
    """Option -> what it may be, as options of a model: all entries of its table, or the one value
    of `NUMBERS`; but for how captions are read (`tests/contracts/test_text.py`)."""
    found = {name: choices(name) for name, opt in FIELDS.items() if opt.table}
    found = {name: part for name, part in found.items() if name not in OF_TEXT}
    found |= {name: {name: {name: value}} for name, value in NUMBERS.items()}
    found["penalty"]["penalties"] = {"penalty": ("r1", "r2", "gp"), "penalty_weight": 0.5}
    return found


class Pairing:
    """All pairs of parts: games in which those that go together train, and those that do not.

    parts: as `choosable` gives them, without those that are not for the spec
    options: of each part; refused: pair -> why its two do not go together, as their entries say
    """

    def __init__(self, parts: dict[str, dict[str, dict[str, Any]]], spec: DataSpec = SPEC) -> None:
        self.spec = spec
        self.alone = {n: given for part in parts.values() for n, given in part.items()}
        self.alone = {n: given for n, given in self.alone.items() if self._odd(given)}
        parts = {
            option: {n: given for n, given in part.items() if n not in self.alone}
            for option, part in parts.items()
        }
        self.parts = parts
        self.option = {name: option for option, part in parts.items() for name in part}
        self.options = {name: given for part in parts.values() for name, given in part.items()}
        entries = {name: self._entries(name) for name in self.options}
        self.refused = {
            (a, b): reasons
            for a, b in combinations(self.options, 2)
            if (reasons := why_not(entries[a] + entries[b]))
        }

    def _odd(self, given: dict[str, Any]) -> str | None:
        return odd_spec(GANConfig(**{**BASE, **given}), self.spec)

    def _entries(self, name: str) -> list[Part]:
        used = parts(GANConfig(**self.options[name]))
        return [part for part in used if part.option == self.option[name]]

    def games(self, only: Collection[str] = ()) -> list[list[str]]:
        """Parts of few models, so that every pair that goes together is in one of them.

        only: the pairs of these parts alone
        """
        apart = {frozenset(pair) for pair in self.refused}
        left = {
            frozenset((a, b))
            for a, b in combinations(self.options, 2)
            if self.option[a] != self.option[b] and frozenset((a, b)) not in apart
            if not only or {a, b} & {*only}
        }
        found = []
        while left:
            game = min(sorted(pair) for pair in left)
            for option, part in self.parts.items():
                if option in {self.option[name] for name in game}:
                    continue
                free = [n for n in part if not any(frozenset((n, m)) in apart for m in game)]
                gain = {n: sum(frozenset((n, m)) in left for m in game) for n in free}
                if gain and max(gain.values()) > 0:
                    game.append(max(gain, key=lambda n: gain[n]))
            left -= {frozenset(pair) for pair in combinations(game, 2)}
            found.append(game)
        return found

    def build(self, *names: str) -> Any:
        """The model of these parts."""
        chosen = {k: v for name in names for k, v in self.options[name].items()}
        return build(chosen, self.spec)


def why_not(used: list[Part]) -> list[str]:
    """Every reason for which parts do not go together."""
    return [
        reason
        for one, other in permutations(used, 2)
        for trait, reason in one.entry.excludes.items()
        if trait in other.traits()
    ]


def examples(spec: DataSpec = SPEC, n: int = 6) -> Batch:
    torch.manual_seed(1)
    x = spec.unscaled(torch.randn(n, *spec.scaled_shape))
    return Batch(x, torch.arange(n) % 3)


def condition_of(options: dict[str, Any]) -> ptheta.Labels | None:
    """Three labels where the conditioning of these options wants them."""
    return LABELS if CONDITIONING[options.get("conditioning", "none")].takes else None


def build(options: dict[str, Any], spec: DataSpec = SPEC) -> Any:
    """A tiny model."""
    torch.manual_seed(0)
    condition = condition_of(options)
    return ptheta.create("gan", spec, condition=condition, **{**BASE, **options}).train()


def unsupported(options: dict[str, Any], spec: DataSpec = SPEC) -> str | None:
    """Why there is no such model, as its class says."""
    return GAN.unsupported(spec, condition_of(options), GANConfig(**{**BASE, **options}))


def broken(config: GANConfig) -> list[bool]:
    """Whether each of the options is in use that change what the discriminator learns."""
    values = vars(config)
    return [values[name] not in (0, (), "none") for name in BREAKS_DENSITY_RATIO]


def play(model: Any, steps: int = 2, half: torch.dtype | None = None) -> None:
    """Trains a few steps; both networks must have changed, and nothing be infinite.

    half: what autocast computes in
    """
    game, batch = model.game(), examples(model.spec)
    engine = Engine(model, game, Group(half=half))
    with torch.no_grad():
        game.start(batch)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for step in range(1, steps + 1):
        engine.step = step
        DYNAMICS["alternating"].rule(engine, game, step, examples(model.spec))
        with torch.no_grad():
            game.after(step)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    changed = {k.split(".")[0] for k, v in model.state_dict().items() if not v.equal(before[k])}
    assert {"generator", "discriminator"} <= changed
    y = torch.arange(4) % 3 if model.classes else None
    with torch.no_grad():
        x = model.spec.check_drawn(model.eval().sample(4, y))
        assert model.discriminate(x, y).isfinite().all()
        if model.loss.probability and model.loss.log_ratio and not any(broken(model.config)):
            assert model.log_ratio(batch.x[:4], y).isfinite().all()


def check_refused(pairing: Pairing, a: str, b: str) -> None:
    with pytest.raises(PthetaError) as error:
        pairing.build(a, b)
    text = str(error.value)
    assert text == unsupported(pairing.options[a] | pairing.options[b], pairing.spec)
    assert any(reason in text for reason in pairing.refused[a, b])
    assert " does not go with " in text
    assert "\n" not in text
