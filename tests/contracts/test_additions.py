"""A choice that somebody adds is one function and one entry, of every table; and every pair of
choices of a model trains or is refused. The parts of a GAN are in `test_gan_additions.py`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import ptheta
from ptheta.batch import Batch, Condition
from ptheta.capabilities import Samples
from ptheta.conditions.units import UNITS
from ptheta.config import Choice, build, option, options
from ptheta.corruption import NOISES, Noise
from ptheta.data.image_data import ImageDataset
from ptheta.data.inputs import StoredInputs
from ptheta.data.pairs.table import PAIRS as PAIR_KINDS
from ptheta.data.pairs.table import PairKind, Wish
from ptheta.data.request import DataSettings
from ptheta.distributions.latents import Normal
from ptheta.dynamics import DYNAMICS, Dynamics, Updater, simultaneous
from ptheta.errors import PthetaError
from ptheta.games import Game
from ptheta.losses.image_text import PAIR_PENALTIES, PairPenalty
from ptheta.losses.mmd import KERNELS as MMD_KERNELS
from ptheta.losses.mmd import MMDKernel
from ptheta.masks import MASKS, Mask
from ptheta.models import registry
from ptheta.models.adversarial.options import GANConfig
from ptheta.models.autoencoders.ae import PIXEL_ERRORS, PixelError
from ptheta.models.base import Fits
from ptheta.models.diffusion.ddpm import (
    SAMPLERS,
    VARIANCES,
    WEIGHTS,
    Sampler,
    Variance,
    Weight,
)
from ptheta.models.diffusion.ode import SOLVERS, Solver
from ptheta.models.diffusion.pairing import PAIRINGS, Pairing
from ptheta.models.diffusion.paths import PREDICTIONS, Prediction
from ptheta.models.diffusion.paths import SCHEDULES as NOISE_SCHEDULES
from ptheta.models.diffusion.paths import Schedule as NoiseSchedule
from ptheta.models.energy.negative import LADDERS, NEGATIVES, Ladder, Negative
from ptheta.models.flows.base import INPUTS, FlowPrior, Input
from ptheta.models.flows.base import PRIORS as FLOW_PRIORS
from ptheta.models.flows.dequantisation import DEQUANTISATIONS
from ptheta.models.flows.dequantisation import Kind as Dequantisation
from ptheta.models.matching.options import MATCHINGS, SPACES, Matching, Space
from ptheta.models.mixtures.components import COMPONENTS, Diagonal
from ptheta.models.mixtures.covariance import COVARIANCES, Isotropic
from ptheta.models.mixtures.kde import RULES, WINDOWS, GaussianWindow, Rule
from ptheta.models.variational.beta_tcvae import ESTIMATORS, Estimator
from ptheta.models.variational.iwae import GRADIENTS, Gradient, LogWeights
from ptheta.models.variational.priors import PRIORS, PriorKind
from ptheta.models.variational.vq_vae import CODEBOOKS, CodebookKind
from ptheta.nets.activations import ACTIVATIONS, Activation
from ptheta.nets.coders import CODERS, CoderConfig, CoderKind, Shape
from ptheta.nets.flows.conditioners import CONDITIONERS, ConditionerKind
from ptheta.nets.flows.laws import LAWS, SCALES, Additive, LawKind, Scale
from ptheta.nets.heads import HEADS, SIGMAS, CategoricalHead, Width
from ptheta.nets.modules import Stack
from ptheta.nets.text import ENCODERS, Encoder, TextEncoder
from ptheta.nets.text_to_image.fusion import FUSIONS, Affine, FusionKind
from ptheta.nets.translation.ends import ENDS, End
from ptheta.nets.translation.fill import FILLS, Fill
from ptheta.nets.translation.generators import GENERATORS, GeneratorOptions, ImageGenerator
from ptheta.nets.translation.moves import PAIR_MOVES, PairMove, Places
from ptheta.nets.translation.patch import PATCHES, Patch, Step
from ptheta.nets.translation.unet import CODE_PLACES, CodePlace, with_code
from ptheta.optimizers import OPTIMIZERS, SGD, Decay
from ptheta.runs.offered import needless
from ptheta.specs import ImageSpec
from ptheta.training.engine import Engine
from ptheta.training.group import Group
from ptheta.training.settings import SCHEDULES, Schedule, TrainSettings
from tests.cli.helped import help_of, offers
from tests.conftest import MODELS, TINY, condition_of, loaded

SPEC = ImageSpec(1, 8, 8, 2)


def one_layer(config: CoderConfig, shape: Shape, out: int, dcgan: bool) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), out), nn.Tanh())


def and_back(config: CoderConfig, size: int, shape: Shape, dcgan: bool) -> nn.Module:
    return nn.Sequential(nn.Linear(size, math.prod(shape)), nn.Unflatten(1, shape))


class Cold(CategoricalHead):
    about = "a probability for each level, sharpened"

    def by_number(self, out: Tensor) -> Tensor:
        return 2 * super().by_number(out)


def moved_normal(model: Any) -> Normal:
    return Normal(model.shift[None], torch.zeros_like(model.shift)[None])


def mean_bound(log_weights: LogWeights, q: Normal, z: Tensor) -> Tensor:
    return log_weights(q).mean(0)


@dataclass(frozen=True)
class HeavyBall(SGD):
    about: ClassVar[str] = "gradient descent with a velocity"

    momentum: Decay = option(0.5, "decay of the velocity")


def simultaneous_twice(engine: Updater, game: Game[Any], step: int, batch: Batch) -> None:
    simultaneous(engine, game, step, batch)
    simultaneous(engine, game, step, batch)


class PixelByPixel(nn.Module):
    def __init__(
        self, channels: int, out: int, size: tuple[int, int], options: GeneratorOptions
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels + options.latent, out, 1)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        found: Tensor = self.convolution(with_code(x, z))
        return found


class LastWord(TextEncoder):
    def read(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        last = there.sum(1).sub(1).clamp_min(0)
        return x[torch.arange(len(x)), last], x


def upside_down(data: ImageDataset, wish: Wish) -> StoredInputs:
    return StoredInputs(data.images[:, :, ::-1], data.spec)


class Added(NamedTuple):
    """An entry of a table, and where it is chosen. beside: what the choice needs"""

    table: dict[str, Any]
    entry: Any
    models: tuple[str, ...]
    option: str
    beside: Mapping[str, Any] = {}


PAIRS = ("pix2pix", "bicycle-gan")
DRAWS = ("text-gan", "stackgan")
WITH_TEXT = ("cvae", "pixelcnn", "nade")
OF_TEXT = {"condition": "text"}
NOISED = ("ddpm", "flow-matching")
FLOWS = ("nice", "realnvp", "glow", "maf")
CODED = ("vae", "iwae", "cvae", "avb", "ae", "dae", "aae", "vae-gan", "alpha-gan")
NEW: dict[str, Added] = {
    "net": Added(CODERS, CoderKind(one_layer, and_back, about="tanh"), CODED, "net"),
    "likelihood": Added(HEADS, Cold, ("vae", "cvae", "nade", "made", "fvsbn"), "likelihood"),
    "sigma": Added(
        SIGMAS,
        Width(lambda head, out, loc: head.start - loc.square(), about="narrow where bright"),
        ("vae", "avb"),
        "sigma",
        {"likelihood": "gaussian"},
    ),
    "prior": Added(
        PRIORS,
        PriorKind(
            lambda spec, config: {"shift": nn.Parameter(torch.ones(config.latent))},
            moved_normal,
            about="a Gaussian that moves",
        ),
        ("vae", "iwae"),
        "prior",
    ),
    "activation": Added(
        ACTIVATIONS, Activation(torch.tanh, about="in -1 to 1"), ("nade",), "activation"
    ),
    "gradient": Added(GRADIENTS, Gradient(mean_bound, about="of the mean"), ("iwae",), "gradient"),
    "estimator": Added(
        ESTIMATORS,
        Estimator(lambda rows, m, n: torch.full((len(rows), m), -1.0), about="of no constant"),
        ("beta-tcvae",),
        "estimator",
    ),
    "codebook": Added(
        CODEBOOKS, CodebookKind(learned=True, about="as gradient"), ("vq-vae",), "codebook"
    ),
    "loss": Added(
        PIXEL_ERRORS,
        PixelError(lambda out, u: (out - u).abs(), lambda out: out, about="absolute"),
        ("ae", "dae"),
        "loss",
    ),
    "noise": Added(NOISES, Noise(lambda x, level: 255 - x, about="inverted"), ("dae",), "noise"),
    "mask": Added(
        MASKS,
        Mask(lambda n, h, w, device: torch.ones(1, h, w, dtype=torch.bool), about="everything"),
        ("context-gan",),
        "masks",
    ),
    "fill": Added(
        FILLS,
        Fill(lambda x, known: -x * known, lambda start, out: out, about="negative"),
        ("context-gan",),
        "fill",
    ),
    "negative": Added(
        NEGATIVES,
        Negative(lambda m, v, chains, k, step: (v, chains), about="itself"),
        ("rbm",),
        "negative",
    ),
    "ladder": Added(
        LADDERS, Ladder(lambda n, least: torch.ones(n), about="all cold"), ("rbm",), "ladder"
    ),
    "space": Added(SPACES, Space(about="somewhere"), ("gmmn",), "space"),
    "matching": Added(
        MATCHINGS,
        Matching(lambda config, x, y: (x - y).square().sum(1), about="pairs"),
        ("gmmn",),
        "matching",
    ),
    "kernel": Added(
        MMD_KERNELS,
        MMDKernel(lambda square, widths: (-square).exp(), about="one width"),
        ("gmmn", "wae-mmd"),
        "kernel",
    ),
    "window": Added(WINDOWS, GaussianWindow(about="of no levels"), ("kde",), "kernel"),
    "rule": Added(RULES, Rule(lambda n, dims: 0.5, about="half"), ("kde",), "rule"),
    "component": Added(COMPONENTS, Diagonal(about="alone"), ("mixture",), "component"),
    "dequantisation": Added(
        DEQUANTISATIONS, Dequantisation(about="evenly"), FLOWS, "dequantisation"
    ),
    "input": Added(INPUTS, Input(margins=True, about="margins first"), FLOWS, "input"),
    "flow prior": Added(
        FLOW_PRIORS,
        FlowPrior(
            lambda z: -z.abs() - math.log(2),
            lambda n, dims, device: torch.distributions.Laplace(0.0, 1.0).sample((n, dims)),
            about="Laplace",
        ),
        ("nice",),
        "prior",
    ),
    "transform": Added(
        LAWS, LawKind(lambda components, scale: Additive(), about="shift"), FLOWS[1:], "transform"
    ),
    "scale": Added(SCALES, Scale(lambda raw: raw.clamp(-1, 1), about="cut"), FLOWS[1:], "scale"),
    "conditioner": Added(
        CONDITIONERS,
        ConditionerKind(
            lambda c, out, features, blocks: Stack(nn.Conv2d(c, out, 1)), about="one layer"
        ),
        ("realnvp", "glow"),
        "conditioner",
    ),
    "prediction": Added(
        PREDICTIONS,
        Prediction(
            lambda x, e, c: 2 * x,
            lambda out, x_s, c: out / 2,
            lambda c: torch.full_like(c.alpha, 4.0),
            last=1e-3,
            about="the example twice",
        ),
        NOISED,
        "prediction",
    ),
    "noise schedule": Added(
        NOISE_SCHEDULES,
        NoiseSchedule(lambda n: torch.linspace(1, 0.01, n + 1).double(), about="a line"),
        ("ddpm",),
        "noise_schedule",
    ),
    "weight": Added(WEIGHTS, Weight(bounded=True, about="another"), ("ddpm",), "weight"),
    "variance": Added(VARIANCES, Variance(large=True, about="wide"), ("ddpm",), "variance"),
    "sampler": Added(SAMPLERS, Sampler(chain=True, about="again"), ("ddpm",), "sampler"),
    "pairing": Added(
        PAIRINGS,
        Pairing(lambda x, noise: noise.flip(0), about="backwards"),
        ("flow-matching",),
        "pairing",
    ),
    "solver": Added(
        SOLVERS,
        Solver((0.0,), ((),), (1.0,), 1, about="Euler's own"),
        ("flow-matching",),
        "solver",
    ),
    "covariance": Added(COVARIANCES, Isotropic(about="a ball"), ("gaussian",), "covariance"),
    "code_place": Added(
        CODE_PLACES,
        CodePlace(lambda depth: range(depth - 1, depth), about="at the smallest map"),
        ("bicycle-gan",),
        "code_place",
    ),
    "receptive_field": Added(
        PATCHES,
        Patch(lambda side: (Step(3, 1), Step(3, 1)), about="patches of 5"),
        PAIRS,
        "receptive_field",
    ),
    "augment": Added(
        PAIR_MOVES,
        PairMove(lambda places: Places(places.rows.flip(1), places.columns), about="upside down"),
        PAIRS,
        "augment",
    ),
    "generator": Added(
        GENERATORS,
        ImageGenerator(PixelByPixel, about="pixel by pixel"),
        ("pix2pix", "cyclegan"),
        "generator",
    ),
    "output": Added(
        ENDS,
        End(lambda channels: channels, lambda x, made: made.clamp(-1, 1), about="clipped"),
        ("cyclegan",),
        "output",
    ),
    "fusion": Added(
        FUSIONS,
        FusionKind(lambda channels, numbers, norm: Affine(channels, numbers), about="no end"),
        DRAWS,
        "fusion",
    ),
    "penalty": Added(
        PAIR_PENALTIES,
        PairPenalty(lambda of_image, of_sentence: of_sentence, 1.0, "|grad_e d|^2", "of no paper"),
        DRAWS,
        "penalty",
    ),
    "text_encoder": Added(
        ENCODERS, Encoder(LastWord, about="the last word"), WITH_TEXT, "text_encoder", OF_TEXT
    ),
    "text_unit": Added(
        UNITS, replace(UNITS["words"], about="read aloud"), WITH_TEXT, "text_unit", OF_TEXT
    ),
    "optimizer": Added(OPTIMIZERS, HeavyBall, ("vae", "aae", "made", "gan"), "optimizer"),
    "dynamics": Added(
        DYNAMICS, Dynamics(simultaneous_twice, about="two at once"), ("vae",), "dynamics"
    ),
    "schedule": Added(
        SCHEDULES, Schedule(lambda share: 1 - share**2, about="slowly down to 0"), (), "schedule"
    ),
    "pairs": Added(PAIR_KINDS, PairKind(inputs=upside_down, about="turned"), (), "pairs"),
}
WHERE = [(kind, model) for kind, added in NEW.items() for model in added.models]


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    for new in NEW.values():
        monkeypatch.setitem(new.table, "mine", new.entry)


def options_of(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {**TINY.get(name, {}), **given}


def trained(
    name: str,
    given: Mapping[str, Any],
    dynamics: str = "alternating",
    half: torch.dtype | None = None,
) -> Any:
    """A tiny model after a step, with finite weights. half: what autocast computes in"""
    torch.manual_seed(0)
    condition = condition_of(name, SPEC, options_of(name, given))
    how = options_of(name, given) | {"condition": condition}  # in the place of its kind
    model: Any = ptheta.create(name, SPEC, **how).train()
    x = torch.randint(0, 2, (6, *SPEC.shape), dtype=torch.uint8) * 255
    batch = Batch(x, None if condition is None else condition.examples(6))
    if issubclass(registry.entry(name).load_model(), Fits):
        with torch.no_grad():
            list(model.fit([batch]))
        return model.eval()
    game = model.game()
    engine = Engine(model, game, Group(half=half))
    engine.step, engine.share = 1, game.moves[0].span[0]  # where the first of all moves is made
    DYNAMICS[dynamics].rule(engine, game, 1, batch)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    return model.eval()


def mine(name: str, new: Added) -> str | tuple[str, ...]:
    """The added choice, as the option takes it."""
    several = options(registry.entry(name).load_config())[new.option].is_tuple
    return ("mine",) if several else "mine"


@pytest.mark.parametrize(("kind", "name"), WHERE)
def test_an_added_choice_trains(kind, name, added):
    new, settings = NEW[kind], options(TrainSettings)
    given = {} if kind in settings else {new.option: mine(name, new), **new.beside}
    model = trained(name, given, "mine" if kind == "dynamics" else "alternating")
    y: Condition | None = None if model.condition is None else model.condition.examples(2)
    if isinstance(model, Samples):
        assert model.sample(2, y).shape == (2, *SPEC.shape)
    cls, config = loaded(name), registry.entry(name).load_config()
    asked = config(**options_of(name, given))
    condition = condition_of(name, SPEC, options_of(name, given))
    assert cls.unsupported(SPEC, condition, asked) is None


@pytest.mark.parametrize("name", sorted({name for _, name in WHERE}))
def test_an_added_choice_is_in_the_help_and_in_the_refusal_of_another(name, added):
    shown = help_of(name)
    for kind, new in NEW.items():
        if name not in new.models and kind not in ("schedule", "pairs"):
            continue
        if new.option in needless(name):
            continue
        flag = new.option.replace("_", "-")
        assert offers(shown, flag, "mine"), kind
        assert f"mine: {new.entry.about}" in shown, kind
        if name in new.models and kind != "dynamics":
            with pytest.raises(PthetaError, match=r"input should be .*'mine'"):
                build(registry.entry(name).load_config(), {new.option: "yours"})


def test_an_added_choice_is_written_into_a_run_and_read_back(added, strokes, tmp_path):
    chosen: dict[str, Any] = dict.fromkeys(("net", "likelihood", "prior", "optimizer"), "mine")
    chosen |= dict.fromkeys(("dynamics", "schedule"), "mine")
    how: dict[str, Any] = {"latent": 3, "levels": 4, "evaluate_every": 0, "sample_every": 0}
    whole = ptheta.train("vae", strokes, tmp_path / "whole", steps=4, batch_size=8, **how, **chosen)
    model: Any = ptheta.load(whole.path)
    assert model.config.net == model.config.prior == "mine"
    assert ptheta.tasks.sample(model, 2).shape == (2, 1, 16, 16)


def test_an_added_choice_says_what_it_does_not_go_with(monkeypatch):
    new = CoderKind(one_layer, and_back, excludes={"sharp": "its maps are too coarse"})
    monkeypatch.setitem(CODERS, "mine", new)
    monkeypatch.setattr(Cold, "traits", frozenset({"sharp"}))
    monkeypatch.setitem(HEADS, "cold", Cold)
    said = (
        "net = mine does not go with likelihood = cold: its maps are too coarse; use likelihood "
        "= auto, bernoulli, categorical, logistic, gaussian"
    )
    with pytest.raises(PthetaError, match=re.escape(said)):
        ptheta.create("vae", SPEC, net="mine", likelihood="cold")


def tables() -> Iterator[tuple[str, Mapping[str, Choice]]]:
    """Every table that an option names entries of, with the option."""
    configs = [registry.entry(name).load_config() for name in MODELS]
    for cls in (*configs, TrainSettings, DataSettings):
        for name, opt in options(cls).items():
            if opt.table:
                yield name, opt.table


def test_every_table_of_choices_has_a_throw_away_entry_in_a_test():
    known: list[Mapping[str, Choice]] = [new.table for new in NEW.values()]
    known += [opt.table for opt in options(GANConfig).values() if opt.table]  # of another file
    for name, table in tables():
        part_of = [other for other in known if all(other.get(k) is v for k, v in table.items())]
        assert part_of, name


# What names no entry of a table: devices and formats of torch, and what is either on or off.
WORDS = {"device", "precision", "best"}


def test_choices_are_names_of_a_table():
    for name in MODELS:
        for field, opt in options(registry.entry(name).load_config()).items():
            assert bool(opt.choices) == bool(opt.table), f"{field} of {name}"
    literal = {n for n, opt in options(TrainSettings).items() if opt.choices and not opt.table}
    assert literal == WORDS


def choices(name: str) -> dict[str, tuple[str, ...]]:
    """Option -> its choices, of the options that name one entry of a table."""
    found = options(registry.entry(name).load_config())
    return {n: opt.choices for n, opt in found.items() if opt.table and not opt.is_tuple}


def refusal(name: str, given: Mapping[str, Any]) -> str | None:
    found = registry.entry(name)
    config = found.load_config()(**options_of(name, given))
    return loaded(name).unsupported(SPEC, condition_of(name, SPEC, options_of(name, given)), config)


def pairings(name: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Few games in which every pair of choices is that goes together, and the other pairs."""
    parts = choices(name)
    every = [(n, word) for n, words in parts.items() for word in words]
    pairs = [frozenset(pair) for pair in combinations(every, 2) if pair[0][0] != pair[1][0]]
    apart = {pair for pair in pairs if refusal(name, dict(pair)) is not None}
    left, games = {*pairs} - apart, []
    while left:
        game = dict(min(left, key=sorted))
        for option_, words in parts.items():
            if option_ not in game:
                gains = {w: _gain(game, (option_, w), left, apart) for w in words}
                best = max(gains, key=lambda w: gains[w])
                game |= {option_: best} if gains[best] > 0 else {}
        left -= {frozenset(pair) for pair in combinations(game.items(), 2)}
        games.append(game)
    return games, [dict(pair) for pair in apart]


def _gain(game: dict[str, str], part: tuple[str, str], left: Any, apart: Any) -> int:
    """How many pairs are new with one more part; -1 where it does not go with another."""
    with_it = [frozenset((other, part)) for other in game.items()]
    return -1 if any(pair in apart for pair in with_it) else sum(pair in left for pair in with_it)


PAIRED = [n for n in MODELS if registry.entry(n).family != "adversarial" and len(choices(n)) > 1]


@pytest.mark.parametrize("name", PAIRED)
def test_every_pair_of_choices_trains_or_is_refused(name):
    games, refused = pairings(name)
    for game in games:
        trained(name, game)
    for pair in refused:
        with pytest.raises(PthetaError) as error:
            trained(name, pair)
        assert str(error.value) == refusal(name, pair)
