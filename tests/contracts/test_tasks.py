"""The uses of latent-variable models, against their definitions and with bad input."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scripts.write_uses import PAGES, ROOT, written

from ptheta import tasks
from ptheta.api.labelled import known_of
from ptheta.capabilities import (
    Clusters,
    Encodes,
    Samples,
    Translates,
    capabilities,
    some_conditions,
)
from ptheta.conditions import wanted
from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.metrics.latent import codes, latent_report
from ptheta.metrics.layers import layer_kl
from ptheta.metrics.likelihood import bound_terms, likelihood
from ptheta.models import registry
from ptheta.specs import ImageSpec
from ptheta.tasks.arithmetic import codes_of, moved
from ptheta.tasks.matrix import TASKS
from ptheta.tasks.needs import DecodesPrior, able, able_models, require
from ptheta.tasks.neighbours import Numbers, neighbours
from ptheta.tasks.probe import balanced
from tests.conftest import MODELS, VECTORS, loaded, tiny

SPEC = ImageSpec(1, 8, 8, 2)


def bars(n: int = 200) -> Dataset:
    """Upright and lying bars, labelled 1 and 0."""
    rng = np.random.default_rng(0)
    images, labels = np.zeros((n, 1, 8, 8), np.uint8), np.arange(n) % 2
    for image, label in zip(images, labels, strict=True):
        at = int(rng.integers(0, 7))
        image[0][(slice(None), slice(at, at + 2)) if label else slice(at, at + 2)] = 255
    return ImageDataset(
        "bars", "test", images, labels=labels, classes=("lying", "upright"), levels=2
    )


def test_a_fitted_mixture_is_the_density_of_the_codes():
    from scipy.stats import multivariate_normal

    model = tiny("ae", SPEC)
    torch.manual_seed(0)
    z = torch.cat([torch.randn(300, 3) * 0.3 + 2, torch.randn(300, 3) - 3])
    fitted = tasks.fit(model, z, components=2)
    some = z[::60]
    covariances = fitted.factors @ fitted.factors.mT
    wanted = np.logaddexp.reduce(
        [
            math.log(w) + multivariate_normal(m.numpy(), c.numpy()).logpdf(some.numpy())
            for w, m, c in zip(fitted.weights, fitted.means, covariances, strict=True)
        ]
    )
    torch.testing.assert_close(fitted.log_prior(some), torch.from_numpy(wanted).float())
    torch.manual_seed(1)
    drawn = fitted.sample_latent(20_000)
    torch.testing.assert_close(drawn.mean(0), z.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), z.T.cov(), atol=0.3, rtol=0.05)
    x = tasks.sample(fitted, 5, seed=1)
    assert x.shape == (5, 1, 8, 8)
    assert torch.equal(x, tasks.sample(fitted, 5, seed=1))
    for bad in (0, 301):
        with pytest.raises(PthetaError, match="components for 600 codes"):
            tasks.fit(model, z, components=bad)
    with pytest.raises(PthetaError, match="it has no `decode` and no `encode`"):
        tasks.fit(tiny("nade", SPEC), z)


def test_a_manifold_is_decoded_from_the_quantiles_of_the_prior():
    model = tiny("vae", SPEC, latent=2).eval()
    x = tasks.manifold(model, 5)
    q = torch.special.ndtri(torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9]))
    assert torch.equal(x[5 * 1 + 3], model.decode(torch.stack([q[3], q[1]])[None])[0])
    across = tasks.manifold(model, 5, dims=(1, 0))
    assert torch.equal(across[5 * 1 + 3], x[5 * 3 + 1])
    for dims in ((0, 2), (1, 1)):
        with pytest.raises(PthetaError, match="give two of 0 to 1"):
            tasks.manifold(model, 5, dims=dims)
    with pytest.raises(PthetaError, match="no `sample_latent`; fit a prior to its codes first"):
        tasks.manifold(tiny("ae", SPEC), 5)
    with pytest.raises(PthetaError, match="no `decode`"):
        tasks.manifold(tiny("nade", SPEC), 5)
    conditional = tiny("cvae", SPEC).eval()
    assert len(tasks.manifold(conditional, 3, label=2)) == 9


def test_a_traversal_changes_one_dimension():
    model = tiny("vae", SPEC).eval()
    z = torch.tensor([0.5, -1.0, 2.0])
    x = tasks.traverse(model, z, [2, 0], steps=3, reach=2.0)
    assert torch.equal(x[1], model.decode(torch.tensor([[0.5, -1.0, 0.0]]))[0])
    assert torch.equal(x[3], model.decode(torch.tensor([[-2.0, -1.0, 2.0]]))[0])
    with pytest.raises(PthetaError, match="the code has 0 to 2"):
        tasks.traverse(model, z, [3])


def test_interpolation_ends_at_its_images_and_can_be_straight():
    model, x = tiny("ae", SPEC).eval(), bars().batch(slice(0, 4)).x
    walk = tasks.interpolate(model, 2, 5, ends=(x[:2], x[2:]), straight=True)
    back = tasks.reconstruct(model, x)
    assert torch.equal(walk[[0, 5]], back[:2])
    assert torch.equal(walk[[4, 9]], back[2:])
    middle = (model.encode(x[:1]) + model.encode(x[2:3])) / 2
    assert torch.equal(walk[2], model.decode(middle)[0])
    with pytest.raises(PthetaError, match="no `sample_latent`; give images to interpolate between"):
        tasks.interpolate(model, 2, 5)
    assert len(tasks.interpolate(tiny("cvae", SPEC).eval(), 3, 4)) == 12


def test_denoising_and_its_measure():
    model, x = tiny("dae", SPEC).eval(), bars().batch(slice(0, 4)).x
    damaged, repaired = tasks.denoise(model, x, "masking", 0.5, seed=3)
    assert torch.equal(damaged, tasks.denoise(model, x, "masking", 0.5, seed=3)[0])
    assert torch.equal(repaired, tasks.reconstruct(model, damaged))
    assert tasks.psnr(x, x) == math.inf
    off = torch.full_like(x, 51)
    assert tasks.psnr(torch.zeros_like(x), off) == pytest.approx(-20 * math.log10(0.2))
    with pytest.raises(PthetaError, match="unknown noise"):
        tasks.denoise(model, x, "rain", 0.5)
    with pytest.raises(PthetaError, match="want 0 or more"):
        tasks.denoise(model, x, "gaussian", -1)


@pytest.mark.parametrize("name", ["ddpm", "flow-matching", "vq-vae"])
def test_codes_without_a_gradient_have_no_fine_tuned_encoder(name):
    """Its accuracy would be that of the linear one by another name."""
    data = bars(40)
    batch = data.batch(slice(0, 40))
    x, y = batch.x, batch.extra["labels"]
    model = tiny(name, SPEC).eval()
    found = tasks.probe(model, lambda: model, (x, y), (x, y), [4], draws=1, steps=1)
    assert [p.way for p in found] == ["linear"]


def test_probe_finds_labels_in_codes_and_trains_from_scratch():
    data = bars(240)
    batch = data.batch(slice(0, 240))
    labels = batch.extra["labels"]
    train, test = (batch.x[:160], labels[:160]), (batch.x[160:], labels[160:])
    model = tiny("vae", SPEC, latent=8).eval()
    kept = {k: v.clone() for k, v in model.state_dict().items()}
    found = tasks.probe(
        model, lambda: tiny("vae", SPEC, latent=8), train, test, [4, 10**6], draws=2, steps=80
    )
    assert [(p.labels, p.way, len(p.accuracy)) for p in found] == [
        *((4, way, 2) for way in ("linear", "fine-tuned", "from scratch")),
        *((160, way, 1) for way in ("linear", "fine-tuned", "from scratch")),
    ]
    assert found[5].mean > 0.9
    assert found[0].spread >= 0
    for key, value in model.state_dict().items():
        assert torch.equal(kept[key], value)
    rows = balanced(train[1], 7, 0)
    assert sorted(torch.bincount(train[1][rows]).tolist()) == [3, 4]
    assert len(rows.unique()) == 7
    with pytest.raises(PthetaError, match="at least one of each"):
        tasks.probe(model, lambda: model, train, test, [1])
    with pytest.raises(PthetaError, match="cannot predict labels from codes: it has no `encode`"):
        tasks.probe(tiny("nade", SPEC), lambda: model, train, test, [4])
    with pytest.raises(PthetaError, match="nothing to probe"):
        tasks.probe(tiny("cvae", SPEC), lambda: model, train, test, [4])


def test_a_latent_report_is_what_it_says():
    data, model = bars(), tiny("vae", SPEC).eval()
    report = latent_report(model, data, n=100)
    x = data.batch(slice(0, 100)).x
    with torch.no_grad():
        q = model.posterior(x)
    torch.testing.assert_close(report.mean_variance, q.mean.var(0))
    kl = 0.5 * (q.mean**2 + q.log_var.exp() - q.log_var - 1)
    moves = q.mean.var(0) > 0.01
    assert report.active_by_variance == int(moves.sum())
    assert report.active == int((moves & (kl.mean(0) > 0.1)).sum())
    assert report.to_json()["active_units"] == report.active
    torch.testing.assert_close(report.kl, kl.mean(0))
    assert report.kl[report.order()[0]] == report.kl.max()
    assert report.distance < 0.5
    torch.testing.assert_close(codes(model, data, 100), q.mean)
    away = tiny("vae", SPEC).eval()
    with torch.no_grad():
        list(away.encoder.parameters())[-1][:3] += 3.0  # the means
    assert latent_report(away, data, n=100).distance > 10 * abs(report.distance)
    with pytest.raises(PthetaError, match="it has no `posterior`"):
        latent_report(tiny("ae", SPEC), data)


def test_the_terms_of_the_bound_add_up_to_it():
    data, model = bars(), tiny("vae", SPEC).eval()
    terms = bound_terms(model, data, seed=1)
    total = terms["reconstruction"][0] + terms["kl"][0]
    assert terms["elbo"][0] == pytest.approx(total)
    found = likelihood(model, data, is_k=1, seed=1)
    assert found is not None
    assert found.nats == pytest.approx(total, rel=0.02)
    assert bound_terms(tiny("nade", SPEC), data) == {}


@pytest.mark.parametrize("name", ["vae", "ae", "cvae"])
def test_the_most_used_dimensions_are_those_that_say_most(name):
    """By KL where there is a posterior (a narrow q of a mean that never moves counts), else by the
    variance of the code."""
    model, batch = tiny(name, SPEC).eval(), bars(20).batch(slice(0, 20))
    y = batch.extra["labels"] if name == "cvae" else None
    last = [p for p in model.encoder.parameters() if p.ndim == 2][-1]
    with torch.no_grad():
        last[1] *= 100
        last[0] *= 10
        assert tasks.most_used(model, batch.x, y)[:2] == [1, 0]
        if name == "vae":
            list(model.encoder.parameters())[-1][3 + 2] = -40.0  # the log-variance of z2
            assert tasks.most_used(model, batch.x, y)[0] in (1, 2)
            assert 2 in tasks.most_used(model, batch.x, y)[:2]


class Silent(torch.nn.Module):
    """It can do nothing."""

    spec = SPEC


X, Z = torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(3)
ENDS = X, X
SOME = X, torch.tensor([0, 1])
CODES = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))


def some_clusters(m: torch.nn.Module) -> tuple[int, ...]:
    """How many are asked for, of a model that does not say so itself."""
    return () if isinstance(m, Clusters) else (2,)


VERBS: dict[str, tuple[Callable[[torch.nn.Module], object], str]] = {
    "sample": (lambda m: tasks.sample(m, 2), "sample"),
    "reconstruct": (lambda m: tasks.reconstruct(m, X), "decode` and no `encode"),
    "encode": (lambda m: tasks.encode(m, X), "encode"),
    "decode": (lambda m: tasks.decode(m, Z[None]), "decode"),
    "scatter": (lambda m: tasks.scatter(m, X), "encode"),
    "denoise": (lambda m: tasks.denoise(m, X, "masking", 0.5), "decode` and no `encode"),
    "interpolate": (lambda m: tasks.interpolate(m, 2, 3), "decode"),
    "impute": (lambda m: tasks.impute(m, X, X > 0), "complete"),
    "imputed": (lambda m: tasks.imputed(m, X, X > 0), "complete"),
    "inpaint": (lambda m: tasks.inpaint(m, X, X > 0), "complete"),
    "invert": (lambda m: tasks.invert(m, X), "decode` and no `generated"),
    "surprise": (lambda m: tasks.surprise(m, X), "conditionals"),
    "context": (
        lambda m: tasks.context(m, X),
        "conditionals` and no `pixel_order",
    ),
    "manifold": (lambda m: tasks.manifold(m, 2), "decode` and no `sample_latent"),
    "traverse": (lambda m: tasks.traverse(m, Z, [0]), "decode"),
    "most_used": (lambda m: tasks.most_used(m, X), "encode"),
    "fit": (lambda m: tasks.fit(m, CODES, components=2), "decode` and no `encode"),
    "translate": (lambda m: tasks.translate(m, X), "translate"),
    "chain": (lambda m: tasks.chain(m, 3, 2, every=2), "chain_start` and no `transition"),
    "classify": (lambda m: tasks.classify(m, bars(4)), "bound_terms"),
    "tradeoff": (lambda m: tasks.tradeoff(m, X, X, lambda x: x), "sample_at"),
    "ratio": (lambda m: tasks.ratio(m, None, bars(24), floors=False), "log_ratio"),
    "density": (lambda m: tasks.density(m, bars(4)), "bound_terms` and no `elbo"),
    "cluster": (lambda m: tasks.cluster(m, bars(20), *some_clusters(m), restarts=1), "encode"),
    "compress": (lambda m: tasks.compress(m, X), "conditionals` and no `pixel_order"),
    "decompress": (lambda m: tasks.decompress(m, b"", 2), "conditionals` and no `pixel_order"),
    "outliers": (
        lambda m: tasks.outliers(m, bars(4), bars(40), scores=["log-likelihood"]),
        "log_prob",
    ),
    "probe": (lambda m: tasks.probe(m, lambda: m, SOME, SOME, [2], draws=1, steps=1), "encode"),
}
HELPERS = {"psnr", "region", "sample_batches"}  # of a verb above


@pytest.mark.parametrize("verb", [name for name in tasks.__all__ if name not in HELPERS])
def test_a_model_that_cannot_is_told_what_it_lacks_in_one_sentence(verb):
    call, lacks = VERBS[verb]
    with pytest.raises(PthetaError, match=f"^this model cannot .*: it has no `{lacks}`") as said:
        call(Silent())
    assert "\n" not in str(said.value)


def some_code(m: torch.nn.Module) -> torch.Tensor:
    """Of an image, or of the prior."""
    if isinstance(m, Encodes):
        return codes(m, bars(2), 1)[0]
    prior = require(m, DecodesPrior, "traverse")
    return prior.sample_latent(1, some_conditions(m, 1))[0]


def samples_beside(m: torch.nn.Module) -> object:
    train = bars(20)
    return neighbours(tasks.sample(m, 10), train, bars(12), {"pixels": Numbers(train)})


OTHERS: dict[str, Callable[[torch.nn.Module], object]] = {  # verbs that are no functions of tasks
    "latents": lambda m: latent_report(m, bars(20)),
    "layers": lambda m: layer_kl(m, bars(20), "run"),
    "usefulness": lambda m: known_of(m, bars(20), bars(12), None)[0].draw(2, 0),
    "neighbours": lambda m: samples_beside(m),
    # as the verb does it
    "outliers": lambda m: tasks.outliers(m, bars(4), bars(40), scores=["zero-pixels"]),
    "invert": lambda m: tasks.invert(m, X, restarts=1, steps=1, drawn=2),
    "arithmetic": lambda m: moved(m, codes_of(m, X), codes_of(m, X), (1.0,)),
    "traverse": lambda m: tasks.traverse(m, some_code(m), [0]),
    "interpolate": lambda m: tasks.interpolate(
        m, 2, 3, ends=(X, X) if issubclass(type(m), Encodes) else None
    ),
}


def kinds_of_models() -> list[str]:
    """A model of each set of capabilities, and of whether it is always asked for a condition."""
    first: dict[object, str] = {}
    for name in MODELS:
        entry = registry.entry(name)
        asked = bool(wanted(entry.load_config()()))
        first.setdefault((capabilities(entry.load_model()), loaded(name).specs, asked), name)
    return list(first.values())


@pytest.mark.parametrize("name", kinds_of_models())
def test_the_matrix_says_what_models_are_refused(name):
    """A use that the table denies is refused, and no other is for want of a capability."""
    spec = SPEC if isinstance(SPEC, loaded(name).specs) else VECTORS
    for verb, task in TASKS.items():
        call = OTHERS[verb] if verb in OTHERS else VERBS[verb][0]
        can = task.can(registry.entry(name))
        if not isinstance(spec, task.of):
            assert can == "no"
            continue
        said = ""
        try:
            call(tiny(name, spec).eval())
        except PthetaError as error:
            said = str(error)
        codes = "so its codes depend on it" in said or "nothing to probe" in said
        refused = codes or said.startswith("this model cannot")
        assert refused == (can != "yes"), (verb, said)
        assert ("fit a prior to its codes" in said) == (can == "after fit"), (verb, said)


def test_a_refusal_names_the_models_that_can():
    with pytest.raises(PthetaError, match=r"; models that can: .*nade.* and 4 more") as said:
        tasks.surprise(tiny("vae", SPEC), X)
    assert str(said.value).count(", ") == 5
    assert able_models(Translates) == "models that can: pix2pix, bicycle-gan, cyclegan"
    assert able_models(Translates, VECTORS) == ""
    assert "vae" in able(Samples, VECTORS)
    assert "pixelcnn" not in able(Samples, VECTORS)


# what is needed of the others is asked of a model step by step
COUNTED = {verb for verb in TASKS if verb in VERBS} - {"outliers", "probe", "traverse"}


@pytest.mark.parametrize("verb", sorted(COUNTED))
def test_a_refusal_names_as_many_models_as_the_matrix(verb):
    """Those that can by one way or the other, and none that is refused as it is configured."""
    with pytest.raises(PthetaError, match="models that can: ") as said:
        VERBS[verb][0](Silent())
    named, _, rest = str(said.value).partition("models that can: ")[2].partition(" and ")
    names = set(named.split(", "))
    can = {name for name, entry in registry.models().items() if TASKS[verb].can(entry) == "yes"}
    assert names <= can
    assert len(names) + int(rest.split(" ")[0] or 0) == len(can)


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_of_uses_in_the_docs_are_what_the_program_knows(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert written(text, PAGES[page]) == text, "run python -m scripts.write_uses"
