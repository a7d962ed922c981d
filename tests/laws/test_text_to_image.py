"""Laws of models that make an image of a caption."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate, logsigmoid, relu

from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.conditions import Text
from ptheta.errors import PthetaError
from ptheta.games import END, Clock
from ptheta.losses.adversarial import LOSSES
from ptheta.losses.image_text import PAIR_PENALTIES, matching_aware, pair_penalty
from ptheta.models.adversarial.monitor import LOW, STILL
from ptheta.models.text.base import ENCODER
from ptheta.models.text.monitor import StagesMonitor
from ptheta.models.text.stage import others
from ptheta.nets.resize import enlarged, halved
from ptheta.nets.text_to_image.fusion import FUSIONS, DeepFusion
from ptheta.nets.text_to_image.generator import Coarse, MapOptions, Refiner, TextGenerator
from ptheta.optimizers import Adam
from ptheta.runs import plan
from ptheta.specs import ImageSpec
from ptheta.training.engine import Engine
from ptheta.training.group import Group
from tests.conftest import conditions, data_for, examples, tiny
from tests.training.test_runs import check_same, in_two, train

SPEC = ImageSpec(1, 8, 8)
MODELS = ("text-gan", "stackgan")
OUTPUTS = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
ALL = torch.ones(7, dtype=torch.bool)


# -- the loss of a discriminator that is aware of matching


def test_half_for_wrong_captions_is_the_algorithm_of_the_paper():
    right, wrong, fake = OUTPUTS
    paid = matching_aware(LOSSES["non_saturating"], right, wrong, fake, share=0.5, differs=ALL)
    said = logsigmoid(right) + (logsigmoid(-wrong) + logsigmoid(-fake)) / 2
    torch.testing.assert_close(paid, -said)


@pytest.mark.parametrize("name", [n for n, loss in LOSSES.items() if not loss.autoencoding])
def test_nothing_is_to_be_told_where_the_wrong_caption_is_the_right_one(name):
    loss, (right, wrong, fake) = LOSSES[name], OUTPUTS
    same = matching_aware(loss, right, wrong, fake, share=0.4, differs=~ALL)
    torch.testing.assert_close(same, 0.6 * loss.discriminator(right, fake))
    none = matching_aware(loss, right, wrong, fake, share=0.0, differs=ALL)
    torch.testing.assert_close(none, loss.discriminator(right, fake))


def test_against_perfect_images_the_best_output_is_the_odds_of_a_pair_that_is_right():
    """Of a right pair as many are shown as real, with weight 1, as are made, with 1 - share."""
    share = 0.5
    d = torch.tensor([math.log(1 / (1 - share))], requires_grad=True)
    never = torch.tensor([-30.0])  # a wrong pair is never right
    loss = LOSSES["non_saturating"]
    paid = matching_aware(loss, d, never, d, share=share, differs=ALL[:1])
    (grad,) = torch.autograd.grad(paid.sum(), d)
    assert grad.abs().item() < 1e-6


def sides(n: int) -> tuple[Tensor, Tensor, Text]:
    """Images that are bright on the side that their caption names."""
    text = Text(("left", "right"), 1)
    side = torch.arange(n) % 2
    x = torch.randint(0, 60, (n, 1, 8, 8), dtype=torch.uint8)
    for image, right in zip(x, side.tolist(), strict=True):
        image[..., 4 * right : 4 * right + 4] += 150
    return x, text.encode([text.vocabulary[i] for i in side.tolist()]), text


def test_a_discriminator_ranks_a_real_image_with_its_own_caption_first():
    """Made images are noise on no side: to know them no caption is needed."""
    torch.manual_seed(0)
    x, tokens, text = sides(32)
    model = tiny("text-gan", SPEC, condition=text, matching=0.0, features=8, lr=3e-3)
    stage = model.stage
    optimizer = Adam(3e-3)(model.game().players["discriminator"].parameters())
    real = SPEC.scaled(x)
    for step in range(60):
        order = torch.randperm(32)
        fake = torch.rand(32, 1, 8, 8) * 2 - 1
        captions = model.captions(tokens[order])
        terms = stage.discriminator_terms(Batch(x), real[order], fake, captions, step)
        optimizer.zero_grad()
        sum(term.mean() for term in terms.values()).backward()
        optimizer.step()
    with torch.no_grad():
        right = model.discriminate(x, tokens)
        wrong = model.discriminate(x, others(tokens))
        fake = stage.discriminator(fake, model.sentences(tokens))
    assert (right > fake.max()).all()
    assert (right > wrong.max()).all()


def test_wrong_captions_are_those_of_the_whole_batch_whoever_holds_it():
    every = torch.arange(8)[:, None] * torch.ones(1, 3, dtype=torch.int64)
    torch.testing.assert_close(others(every), every.roll(1, 0))
    for rank in range(2):
        with streams.shared(rank, 2, lambda here: every):
            assert torch.equal(others(every[rank::2]), every.roll(1, 0)[rank::2])
        with streams.shared(rank, 2):  # where nothing is sent, of those that are here
            assert torch.equal(others(every[rank::2]), every[rank::2].roll(1, 0))


# -- penalties in image and caption


def test_the_matching_aware_penalty_is_of_both_gradients():
    a, b = torch.randn(4, 12, dtype=torch.double), torch.randn(4, 5, dtype=torch.double)
    x = torch.randn(4, 12, dtype=torch.double, requires_grad=True)
    e = torch.randn(4, 5, dtype=torch.double, requires_grad=True)
    d = (a * x).sum(1) + (b * e).sum(1)
    norms = a.norm(dim=1) + b.norm(dim=1)
    found = pair_penalty(PAIR_PENALTIES["matching"], d, x, e)
    torch.testing.assert_close(found.double(), norms**6, rtol=1e-5, atol=1e-5)
    r1 = pair_penalty(PAIR_PENALTIES["r1"], (a * x).sum(1) + (b * e).sum(1), x, e)
    torch.testing.assert_close(r1.double(), a.square().sum(1) / 2, rtol=1e-5, atol=1e-5)


def test_a_penalty_in_one_of_some_steps_is_as_many_times_as_heavy():
    found = {}
    for every in (1, 3):
        model = tiny("text-gan", SPEC, penalty_every=every, matching=0.0)
        shown, shared = step_of(model, number=3)
        found[every] = model.game().moves[0].loss(shown, shared)["matching"]
        assert "matching" not in model.game().moves[0].loss(shown, shared._replace(number=4)) or (
            every == 1
        )
    torch.testing.assert_close(found[3], 3 * found[1])


# -- how a caption enters a generator


@pytest.mark.parametrize("name", FUSIONS)
def test_a_caption_reaches_every_layer_unless_it_stands_at_the_input_alone(name):
    torch.manual_seed(0)
    net = TextGenerator((1, 16, 16), 6, MapOptions(4, name, "none"))
    numbers = torch.randn(3, 6, requires_grad=True)
    net(numbers).sum().backward()
    assert numbers.grad is not None
    assert (numbers.grad.abs().sum(1) > 0).all()
    grads = {n: p.grad for n, p in net.named_parameters() if "affine" in n}
    within = [n for n, grad in grads.items() if grad is not None and grad.any()]
    layers = {part.rpartition("affine")[0] for part in within}
    assert len(layers) == (0 if name == "input" else len(net.body.blocks) + 1)


def test_deep_fusion_without_a_caption_is_its_nonlinearities():
    fused = DeepFusion(4, 3, "none")
    with torch.no_grad():
        for p in fused.parameters():
            p.zero_()
    maps = torch.randn(2, 4, 5, 5)
    leaky = torch.where(maps > 0, maps, 0.04 * maps)
    torch.testing.assert_close(fused(maps, torch.randn(2, 3)), leaky)


@pytest.mark.parametrize("size", [(8, 8), (9, 14), (5, 20)])
def test_images_of_any_size_are_made_and_refined(size):
    options = MapOptions(4, "deep", "none")
    half = tuple((side + 1) // 2 for side in size)
    numbers = torch.randn(2, 6)
    coarse = TextGenerator((3, *half), 6, options)(numbers)
    assert coarse.shape == (2, 3, *half)
    assert Refiner((3, *size), Coarse(half), 6, options)(numbers, coarse).shape == (2, 3, *size)


@pytest.mark.parametrize("size", [(8, 8), (9, 14)])
def test_a_residual_refiner_begins_as_the_coarse_image_enlarged(size):
    half = tuple((side + 1) // 2 for side in size)
    refiner = Refiner((3, *size), Coarse(half, residual=True), 6, MapOptions(4, "deep", "none"))
    coarse, numbers = torch.randn(2, 3, *half), torch.randn(2, 6)
    made = refiner(numbers, coarse)
    torch.testing.assert_close(made, interpolate(coarse, size, mode="bilinear"))
    (gradient,) = torch.autograd.grad(made.square().sum(), refiner.body.last.weight)
    assert gradient.abs().sum() > 0


def test_an_image_that_was_halved_lies_where_it_was():
    """Enlarged again, its centre of mass is where it was."""
    x = torch.zeros(1, 1, 12, 12)
    x[:, :, 4:8, 6:10] = 1
    again = enlarged(halved(x), (12, 12))
    place = torch.arange(12.0)
    for axis in (2, 3):
        at = [(image.sum((0, 1, 5 - axis)) * place).sum() / image.sum() for image in (x, again)]
        torch.testing.assert_close(at[0], at[1])


# -- what a training weighs


def test_a_recipe_weighs_the_kl_where_there_is_one_and_the_user_is_told_at_once():
    assert plan.make("stackgan", "digits", {}).train.beta == 0.01
    assert plan.make("stackgan", "digits", {"augmented": 0}).train.beta == 1
    weighed: tuple[dict[str, float], ...] = ({"beta": 0.5}, {"beta_warmup": 10}, {"free_bits": 0.1})
    for name, options in (("stackgan", {"augmented": 0}), ("text-gan", {})):
        for given in weighed:
            with pytest.raises(
                PthetaError, match=f"term named kl, and {name} with these options has none"
            ):
                plan.make(name, "digits", {**options, **given})
    assert plan.make("text-gan", "digits", {"augmented": 3, "beta": 0.5}).train.beta == 0.5


# -- the game


def step_of(model: Any, share: float = 0.5, number: int = 1, n: int = 6) -> tuple[Batch, Any]:
    """A batch, and what the moves of a step share at this share of the run."""
    shown = Batch(examples(model.spec, n), conditions(model, n))
    movers = frozenset(move.player for move in model.game().due(number, share))
    return shown, model.prepare(shown, Clock(number, movers, share))


TERMS: dict[str, tuple[dict[str, Any], set[str], set[str]]] = {
    "all": (
        {"interpolated": 1.0, "augmented": 3, "matching_weight": 1.0},
        {"adversarial", "interpolated", "kl", "match"},
        {"adversarial", "matching"},
    ),
    "no interpolation": (
        {"interpolated": 0.0, "augmented": 0},
        {"adversarial"},
        {"adversarial", "matching"},
    ),
    "no penalty": (
        {"penalty": "none", "augmented": 0, "wrong_captions": 0.0},
        {"adversarial"},
        {"adversarial"},
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("case", TERMS)
def test_every_term_can_be_left_out(name, case):
    given, of_generator, of_discriminator = TERMS[case]
    model = tiny(name, SPEC, **given)
    for share in (0.3, 0.7):
        shown, shared = step_of(model, share)
        found = {move.player: move.loss(shown, shared) for move in model.game().due(1, share)}
        assert len(found) == 2
        for player, terms in found.items():
            assert terms.keys() == (
                of_discriminator if player.endswith("discriminator") else of_generator
            )


def test_interpolated_captions_are_half_way_between_two():
    model = tiny("text-gan", SPEC, interpolated=2.0, loss="non_saturating")
    shown, shared = step_of(model)
    sentences = model.sentences(shown.condition)
    torch.testing.assert_close(shared.made.sentences[:6], sentences)
    between = (sentences + sentences.roll(1, 0)) / 2
    torch.testing.assert_close(shared.made.sentences[6:], between)
    terms = model.generator_loss(model.stage, shown, shared)
    d = model.stage.discriminator(shared.made.images, shared.made.sentences)
    torch.testing.assert_close(terms["adversarial"], -logsigmoid(d[:6]))
    torch.testing.assert_close(terms["interpolated"], -2 * logsigmoid(d[6:]))


def test_the_discriminator_pays_for_wrong_captions_of_the_same_images():
    model = tiny("text-gan", SPEC, loss="hinge", penalty="none")
    shown, shared = step_of(model)
    right = model.sentences(shown.condition)
    judge, real, fake = model.stage.discriminator, shared.real, shared.made.images.detach()
    paid = model.discriminator_loss(model.stage, shown, shared)["adversarial"]
    of_wrong = relu(1 + judge(real, right.roll(1, 0)))
    said = relu(1 - judge(real, right)) + (of_wrong + relu(1 + judge(fake, right))) / 2
    torch.testing.assert_close(paid, said)  # the captions of this batch alternate: all differ


@pytest.mark.parametrize("name", MODELS)
def test_the_encoder_learns_first_and_then_rests_or_is_taught_by_the_first_discriminator(name):
    for matching, teacher in ((0.2, ENCODER), (0.0, "discriminator")):
        model = tiny(name, SPEC, matching=matching)
        game = model.game()
        owners = [n for n, player in game.players.items() if model.reader in {*owned(player)}]
        assert owners == [teacher]
        spans = [move.span for move in game.moves if move.player == teacher]
        assert spans == [(0.0, 0.2)] if matching else spans[0][0] == 0
        engine = Engine(model, game, Group())
        before = [p.clone() for p in model.reader.parameters()]
        engine.share, engine.step = 0.9, 1  # of the run
        shown = Batch(examples(SPEC, 6), conditions(model, 6))
        shared = engine.prepare(game, 1, shown)
        for move in game.due(1, 0.9):
            engine.gradients(move, shown, shared)
            engine.update(move.player)
        after = list(model.reader.parameters())
        rests = all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        assert rests == (bool(matching) or name == "stackgan")


def owned(player: Any) -> list[Any]:
    return [part for module in player.modules for part in module.modules()]


def test_at_each_moment_one_stage_learns():
    game = tiny("stackgan", SPEC, matching=0.2, coarse=0.6).game()
    stages = (["discriminator", "generator"], ["fine_discriminator", "fine_generator"])
    for share, players in (
        (0.0, [ENCODER]),
        (0.199, [ENCODER]),
        (0.2, stages[0]),
        (0.599, stages[0]),
        (0.6, stages[1]),
        (1.0, stages[1]),
    ):
        assert [move.player for move in game.due(1, share)] == players


def test_the_second_stage_begins_where_the_first_ends_and_leaves_it_alone():
    model = tiny("stackgan", SPEC)
    shown, _ = step_of(model, 0.4)
    with torch.no_grad():
        assert not model.fine
        z, sentences = model.sample_latent(6), model.sentences(shown.condition)
        assert model.coarse(z, sentences).images.shape == (6, 1, 4, 4)
        before = model.made_of(z, sentences)
    _, shared = step_of(model, 0.7)
    assert model.fine
    assert shared.made.images.shape == (6, 1, 8, 8)
    assert not torch.equal(model.made_of(z, sentences), before)
    terms = model.generator_loss(model.second, shown, shared)
    grads = torch.autograd.grad(
        sum(term.sum() for term in terms.values()),
        list(model.first.parameters()),
        allow_unused=True,
    )
    assert all(grad is None for grad in grads)


@pytest.mark.parametrize("name", MODELS)
def test_one_code_shows_several_captions_and_one_caption_several_codes(name):
    model = tiny(name, SPEC, features=8).eval()
    z, asked = model.sample_latent(2), model.condition.examples(2)
    with torch.no_grad():
        x = model.decode(z, asked)
        assert torch.equal(model.decode(z, asked), x)
        assert not torch.equal(model.decode(z, asked.flip(0)), x)
        assert not torch.equal(model.decode(z.flip(0), asked), x)


def test_each_stage_is_watched_by_itself():
    watched = StagesMonitor([("generator", "discriminator"), ("fine_generator", "fine_d")], True)
    for _ in range(STILL):
        assert watched({"generator/diversity": 0.9, "encoder/match": 1.0}) == {}
    kept = watched.memory()
    told: dict[str, str] = {}
    for _ in range(STILL):
        told = watched({"fine_generator/diversity": 0.01})
    assert told.keys() == {"mode collapse"}
    assert watched({END: 1.0}).keys() == {"mode collapse"}
    watched.recall(kept)
    assert watched({END: 1.0}) == {}
    classes = {"held_out/classes_x": 1.0, "held_out/real_classes_x": 9.0}
    assert [bool(watched(classes)) for _ in range(LOW)] == [False, False, True]


# -- resume, in every phase


PHASES = {"text-gan": (2, 3, 6), "stackgan": (2, 8, 10)}  # steps to stop after


@pytest.mark.parametrize("name", MODELS)
def test_a_run_goes_on_bit_for_bit_from_every_phase(name, strokes, tmp_path):
    """The encoder learns in steps 1 to 3; a second stage from step 9 on."""
    options = {"matching": 0.25, "ema": 0.9, "steps": 12, "levels": 2}
    options |= {"coarse": 0.67} if name == "stackgan" else {}
    data = data_for(name, strokes)
    whole = train(name, data, tmp_path / "whole", **options)
    for stop in PHASES[name]:
        check_same(whole, in_two(name, data, tmp_path / str(stop), stop, **options), 12)
