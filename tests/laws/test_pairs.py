"""Laws of models that learn from pairs of images."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ptheta
from ptheta.batch import Batch
from ptheta.conditions import Image
from ptheta.data.image_data import ImageDataset
from ptheta.data.inputs import StoredInputs
from ptheta.errors import PthetaError
from ptheta.games import Clock
from ptheta.metrics.selection import Selection
from ptheta.models.translation.pairs import borders, feature_distance
from ptheta.models.translation.targets import LABEL_MAPS
from ptheta.nets.translation.generators import GENERATORS
from ptheta.nets.translation.hd import CoarseToFine
from ptheta.nets.translation.moves import PAIR_MOVES, Places, as_it_is, drawn, moved
from ptheta.nets.translation.patch import PatchOutput
from ptheta.nets.translation.unet import UNet, UNetOptions
from ptheta.specs import ImageSpec, LabelMapSpec
from tests.conftest import examples, tiny

COLOURS = ((0, 0, 0), (255, 0, 0), (0, 255, 0), (10, 20, 255))
LABELS = LabelMapSpec(3, 8, 12, palette=COLOURS)
PHOTO = ImageSpec(3, 8, 12)
MOVERS = frozenset({"generator", "discriminator"})


def label_maps(n: int) -> Tensor:
    return LABELS.rounded(examples(ImageSpec(3, 8, 12), n))


def pix2pix(spec: ImageSpec = PHOTO, given: ImageSpec = PHOTO, **options: Any) -> Any:
    return tiny("pix2pix", spec, condition=Image(given), **options).train()


def batch(model: Any, n: int = 4) -> Batch:
    x, given = (
        label_maps(n) if isinstance(spec, LabelMapSpec) else examples(spec, n, seed=seed)
        for seed, spec in enumerate((model.spec, model.condition.spec))
    )
    return Batch(x, given)


# -- how pairs are moved


@pytest.mark.parametrize("name", PAIR_MOVES)
def test_an_input_and_its_target_are_moved_alike(name):
    """A target that is its input stays so, whatever is drawn, and labels stay labels."""
    torch.manual_seed(0)
    model = pix2pix(augment=(name,))
    given, real = model.pair(Batch(x := examples(PHOTO, 6), x))
    assert torch.equal(given, real)
    assert not torch.equal(real, PHOTO.scaled(x))
    planes = LABELS.scaled(label_maps(6))
    places = drawn([name], planes)
    assert places is not None
    kept = moved(planes, places, smooth=False)
    assert set(kept.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(kept.sum(1), planes.sum(1))


def test_moves_of_whole_pixels_are_exact_and_mirror_what_lies_beyond():
    x = torch.rand(2, 3, 4, 5)
    rows, columns = as_it_is(2, 4, 5, x)
    torch.testing.assert_close(moved(x, Places(rows, columns), smooth=True), x)
    torch.testing.assert_close(moved(x, Places(rows, 4 - columns), smooth=True), x.flip(3))
    down = moved(x, Places(rows - 2, columns), smooth=True)
    torch.testing.assert_close(down, x[:, :, [2, 1, 0, 1]])
    between = moved(x, Places(rows, columns + 0.5), smooth=True)
    torch.testing.assert_close(between[..., 0], x[..., :2].mean(3))
    assert drawn([], x) is None


# -- what is learned


def test_the_terms_are_those_of_the_paper():
    model = pix2pix(l1_weight=7.0, adversarial_weight=0.5, feature_matching=2.0, norm="none")
    pairs = batch(model)
    shared = model.prepare(pairs, Clock(1, MOVERS))
    terms = model.generator_loss(pairs, shared)
    assert terms.keys() == {"l1", "adversarial", "features"}
    l1 = 7 * (shared.image - PHOTO.scaled(pairs.x)).abs().mean((1, 2, 3))
    torch.testing.assert_close(terms["l1"], l1)
    (rated,) = model.discriminator(torch.cat([shared.given, shared.image], 1))
    fooled = -0.5 * torch.nn.functional.logsigmoid(rated.logits).mean((1, 2, 3))
    torch.testing.assert_close(terms["adversarial"], fooled)
    (real,) = model.discriminator(torch.cat([shared.given, shared.real], 1))
    both = zip(rated.features, real.features, strict=True)
    gaps = [(a - b).abs().mean((1, 2, 3)) for a, b in both]
    torch.testing.assert_close(terms["features"], 2 * torch.stack(gaps).sum(0))
    learned = model.discriminator_loss(pairs, shared)["adversarial"]
    of_real = -torch.nn.functional.logsigmoid(real.logits).mean((1, 2, 3))
    of_fake = -torch.nn.functional.logsigmoid(-rated.logits).mean((1, 2, 3))
    torch.testing.assert_close(learned, of_real + of_fake)


def test_every_term_can_be_left_out():
    alone = pix2pix(l1_weight=0.0)
    pairs = batch(alone)
    shared = alone.prepare(pairs, Clock(1, MOVERS))
    assert alone.generator_loss(pairs, shared).keys() == {"adversarial"}
    alone = pix2pix(adversarial_weight=0.0)
    assert alone.discriminator is None
    assert list(alone.game().players) == ["generator"]
    assert alone.generator_loss(pairs, shared).keys() == {"l1"}


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_real_and_made_images_are_rated_in_one_pass_where_that_changes_nothing(norm):
    model = pix2pix(norm=norm)
    pairs = batch(model)
    given, real, _, fake = model.prepare(pairs, Clock(1, MOVERS))
    seen: list[int] = []
    model.discriminator.register_forward_pre_hook(lambda m, x: seen.append(len(x[0])))
    on_real, on_fake = model.rated_both(model.discriminator, given, real, fake)
    assert seen == ([4, 4] if norm == "batch" else [8])
    for x, rated in ((real, on_real), (fake, on_fake)):
        (apart,) = model.rated(model.discriminator, given, x)
        torch.testing.assert_close(apart.logits, rated[0].logits, rtol=1e-4, atol=1e-5)


def test_an_unconditional_discriminator_sees_no_input():
    model = pix2pix(unconditional_discriminator=True)
    assert model.discriminator.scales[0].layers[0][0].in_channels == 3
    assert pix2pix().discriminator.scales[0].layers[0][0].in_channels == 6


def test_features_that_are_equal_cost_nothing():
    same = PatchOutput(torch.zeros(2, 1, 3, 3), (torch.rand(2, 4, 3, 3), torch.rand(2, 5, 2, 2)))
    other = PatchOutput(same.logits, tuple(f + 0.25 for f in same.features))
    assert feature_distance([(same, same)]).tolist() == [0, 0]
    torch.testing.assert_close(feature_distance([(other, same)]), torch.full((2,), 0.5))


# -- label maps


def test_label_maps_are_learned_by_cross_entropy_and_judged_as_planes():
    model = pix2pix(LABELS)
    pairs = batch(model)
    shared = model.prepare(pairs, Clock(1, MOVERS))
    terms = model.generator_loss(pairs, shared)
    assert terms.keys() == {"cross_entropy", "adversarial"}
    p = shared.out.softmax(1).gather(1, LABELS.numbers(pairs.x)[:, None])
    torch.testing.assert_close(terms["cross_entropy"], -100 * p.log().mean((1, 2, 3)))
    torch.testing.assert_close(shared.image.sum(1), shared.real.sum(1))  # 1 - (K - 1)
    drawn = model.translate(pairs.condition)
    assert torch.equal(LABELS.check_drawn(drawn), drawn)


def test_a_sure_answer_costs_nothing_and_looks_like_a_real_label_map():
    real = LABELS.scaled(label_maps(3))
    assert LABEL_MAPS.error(100 * real, real, real).max() < 1e-6
    torch.testing.assert_close(LABEL_MAPS.image(100 * real), real)
    blind = LABEL_MAPS.error(torch.zeros_like(real), real, real)
    torch.testing.assert_close(blind, torch.full((3,), math.log(4)))


def test_the_borders_of_instances_are_where_two_meet():
    numbers = torch.zeros(1, 8, 12, dtype=torch.int64)
    numbers[:, 2:5, 3:7] = 2
    edges = borders(LABELS.scaled(LABELS.coloured(numbers)))[0, 0] > 0
    inside = torch.zeros(8, 12, dtype=torch.bool)
    inside[1:6, 2:8] = True
    inside[3:4, 4:6] = False
    assert torch.equal(edges, inside)
    model = pix2pix(given=LABELS, instance_edges=True)
    assert model.planes_given == 5
    assert model.translate(label_maps(2)).shape == (2, 3, 8, 12)


# -- at use


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("spec", [PHOTO, LABELS], ids=["photo", "labels"])
def test_images_of_any_size_are_carried_over(generator, spec):
    model = pix2pix(spec, LABELS, generator=generator, features=2, blocks=1).eval()
    for size in ((1, 1), (5, 3), (8, 12), (17, 30)):
        x = LABELS.rounded(examples(ImageSpec(3, *size), 2))
        with torch.no_grad():
            y = model.translate(x)
        assert y.shape == x.shape
        assert y.dtype == torch.uint8
    with torch.no_grad():
        assert torch.equal(model.sample(2, x), y)
    with pytest.raises(PthetaError, match=r"translates uint8 \(B, 3, H, W\)"):
        model.translate(x[:, :1])
    with pytest.raises(PthetaError, match="has no domains"):
        model.translate(x, torch.zeros(2, dtype=torch.int64))


def test_answers_differ_where_dropout_stays_at_use():
    x = examples(PHOTO, 2)
    for stays in (False, True):
        model = pix2pix(dropout=0.5, noise_in_sampling=stays, features=8).eval()
        assert model.varied() == stays
        assert torch.equal(model.translate(x), model.translate(x)) != stays


def test_a_coarse_network_learns_at_half_the_size_before_the_enhancer():
    model = pix2pix(generator="hd", coarse=0.5)
    pairs = batch(model)
    early = model.prepare(pairs, Clock(1, MOVERS, 0.2))
    assert early.image.shape == early.real.shape == (4, 3, 4, 6)
    assert not model.generator.fine
    assert model.translate(pairs.x).shape == (4, 3, 8, 12)
    late = model.prepare(pairs, Clock(9, MOVERS, 0.5))
    assert late.image.shape == (4, 3, 8, 12)
    assert model.generator.fine
    model.generator_loss(pairs, late)["l1"].sum().backward()
    learned = {n: p.grad is not None for n, p in model.generator.named_parameters()}
    assert all(found != n.startswith("coarse_image") for n, found in learned.items())


@pytest.mark.parametrize("network", [UNet, CoarseToFine])
def test_codes_enter_at_one_layer_or_at_all(network):
    torch.manual_seed(0)
    for place in ("input", "all"):
        options = UNetOptions(4, latent=2, code_place=place)
        net = network(3, 3, (16, 16), options)
        x, z = torch.randn(2, 3, 16, 16), torch.randn(2, 2, requires_grad=True)
        (grad,) = torch.autograd.grad(net(x, z)[0].sum(), z)
        assert (grad[0] != 0).all()
        assert (grad[1] == 0).all()


# -- the best weights


def held_out(spec: ImageSpec = PHOTO) -> ImageDataset:
    x = label_maps(6).numpy()
    given = examples(PHOTO, 6).numpy()
    palette = COLOURS if isinstance(spec, LabelMapSpec) else ()
    return ImageDataset("p", "train", x, inputs=StoredInputs(given, PHOTO), palette=palette)


def test_the_best_weights_are_those_whose_translations_are_nearest_to_the_targets():
    data = replace(held_out(), condition=Image(PHOTO))
    model = pix2pix().eval()
    found = Selection(data)(model)
    assert found is not None
    assert data.inputs is not None
    inputs = data.inputs.take(data, np.arange(len(data)))
    made = model.translate(inputs).numpy().astype(float)
    assert found.metric == "translation_l1"
    assert found.value == pytest.approx(np.abs(made - data.images).mean(), rel=1e-5)
    labels = Selection(replace(held_out(LABELS), condition=Image(PHOTO)))
    scored = labels(pix2pix(LABELS).eval())
    assert scored is not None
    assert scored.metric == "wrong_labels"
    assert 0.3 < scored.value <= 1


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"l1_weight": 0.0, "adversarial_weight": 0.0}, "nothing is left to learn"),
    "features": ({"adversarial_weight": 0.0, "feature_matching": 1.0}, "leave one of both out"),
    "noise": ({"noise_in_sampling": True}, "give --dropout"),
    "norm": ({"norm": "virtual"}, "use norm = batch, layer, instance, pixel, none"),
    "loss": ({"loss": "began"}, "use loss = minimax"),
    "edges": ({"instance_edges": True}, "leave it out"),
    "size": ({"condition": Image(ImageSpec(3, 8, 8))}, "bring both to one size"),
    "labels": ({"condition": ptheta.Labels(("a",))}, "cannot be conditional on labels"),
    "no input": ({"condition": None}, "got no input: give data with inputs"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_no_pair_or_no_game_is_refused_in_one_line(fault):
    given, said = REFUSED[fault]
    with pytest.raises(PthetaError, match=said) as error:
        tiny("pix2pix", PHOTO, **{"condition": Image(PHOTO), **given})
    assert "\n" not in str(error.value)


# -- many answers to one input


def bicycle(**options: Any) -> Any:
    options = {"condition": Image(PHOTO), "latent": 3, **options}
    return tiny("bicycle-gan", PHOTO, **options).train()


def test_the_terms_of_bicycle_gan_are_those_of_its_paper():
    model = bicycle(norm="none", discriminators=1)
    pairs = batch(model)
    shared = model.prepare(pairs, Clock(1, MOVERS))
    terms = model.generator_loss(pairs, shared)
    assert terms.keys() == {"l1", "kl", "code", "adversarial"}
    assert terms["kl"].shape == (4, 3)
    q = model.posterior(pairs.x)
    kl = (q.mean.square() + q.log_var.exp() - q.log_var - 1).sum(1) / 2
    torch.testing.assert_close(terms["kl"].sum(1), kl)
    code = model.posterior(PHOTO.unscaled(shared.drawn)).mean  # of the images, rounded
    torch.testing.assert_close(
        terms["code"], (code - shared.z).abs().mean(1) / 2, atol=0.01, rtol=0
    )
    torch.testing.assert_close(terms["l1"], 10 * (shared.found - shared.real).abs().mean((1, 2, 3)))
    logits = [
        d(torch.cat([shared.given, fake], 1))[0].logits
        for d, fake in zip(model.discriminators, (shared.found, shared.drawn), strict=True)
    ]
    fooled = sum((d - 1).square().mean((1, 2, 3)) / 2 for d in logits)
    torch.testing.assert_close(terms["adversarial"], fooled)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_the_code_that_is_found_again_teaches_the_generator_alone(norm):
    model = bicycle(norm=norm)
    pairs = batch(model)
    shared = model.prepare(pairs, Clock(1, MOVERS))
    before = {name: b.clone() for name, b in model.encoder.named_buffers()}
    term = model.generator_loss(pairs, shared)["code"].sum()
    assert all(torch.equal(before[name], b) for name, b in model.encoder.named_buffers())
    of_encoder = torch.autograd.grad(
        term, list(model.encoder.parameters()), allow_unused=True, retain_graph=True
    )
    assert all(grad is None or not grad.any() for grad in of_encoder)
    of_generator = torch.autograd.grad(term, list(model.generator.parameters()), allow_unused=True)
    assert all(grad is not None and grad.isfinite().all() for grad in of_generator)


def test_one_discriminator_or_two_or_none():
    for options, count in (({}, 2), ({"one_discriminator": True}, 1)):
        model = bicycle(**options)
        assert len(model.discriminators) == count
        pairs = batch(model)
        shared = model.prepare(pairs, Clock(1, MOVERS))
        assert model.discriminator_loss(pairs, shared)["adversarial"].shape == (4,)
        judges = [d for d, _ in model.rated_apart(shared)]
        assert (judges[0] is judges[1]) == (count == 1)
    model = bicycle(adversarial_weight=0.0)
    assert list(model.game().players) == ["generator"]
    shared = model.prepare(pairs, Clock(1, MOVERS))
    assert model.generator_loss(pairs, shared).keys() == {"l1", "kl", "code"}


def test_a_code_decides_the_answer_and_is_drawn_for_each_image():
    model = bicycle(features=8).eval()
    x = examples(PHOTO, 3)
    z = model.sample_latent(3)
    answer = model.decode(z, x)
    assert torch.equal(model.decode(z, x), answer)
    assert not torch.equal(model.decode(-z, x), answer)
    assert torch.equal(model.decode(z.flip(0), x.flip(0)), answer.flip(0))
    assert not torch.equal(model.translate(x), model.translate(x))
    assert model.encode(x).shape == z.shape
