"""Every model in float64, bfloat16 and float16: the weights decide what is computed in."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from ptheta import tasks
from ptheta.capabilities import capabilities, conditional, some_conditions
from ptheta.errors import PthetaError
from ptheta.models.precision import in_own_type
from ptheta.specs import ImageSpec
from tests.conftest import MODELS, VECTORS, examples, pairs, tiny

SPEC = ImageSpec(1, 8, 8)
TYPES = {"double": torch.float64, "half": torch.float16, "bfloat16": torch.bfloat16}


def told(model: Any, n: int) -> tuple[Any, ...]:
    return (some_conditions(model, n),) if conditional(model) else ()


@torch.no_grad()
def uses(model: Any) -> dict[str, torch.Tensor]:
    """What each capability of a model gives for two examples."""
    x = examples(model.spec, 2)
    torch.manual_seed(1)
    able, y = capabilities(model), told(model, 2)
    found: dict[str, torch.Tensor] = {}
    if "log_prob" in able:
        found["log_prob"] = model.log_prob(x, *y)
    if "conditionals" in able:
        found["conditionals"] = model.conditionals(x, *y).log_prob(x)
    if "bound" in able:
        found["elbo"] = model.elbo(x, *y)
        found["importance_bound"] = model.importance_bound(x, 2, *y)
    if "posterior" in able:
        found["posterior"] = model.posterior(x, *y).mean
    if "joint" in able:
        found["joint"] = model.log_likelihood(x, model.sample_latent(2, *y), *y)
    if "encodes" in able:
        found["encode"] = model.encode(x, *y)
    if "prior" in able and "decodes" in able:
        found["decode"] = model.decode(model.sample_latent(2, *y), *y)
    if "encodes" in able and "decodes" in able:
        found["reconstruct"] = model.decode(model.encode(x, *y), *y)
    if "discriminates" in able:
        found["discriminate"] = model.discriminate(x, *y)
    if "clusters" in able:
        found["cluster"] = model.cluster(x)
    if "completes" in able:
        known = torch.zeros(2, *model.spec.shape, dtype=torch.bool)
        known[..., : model.spec.shape[-1] // 2] = True
        found["complete"] = model.complete(x, known, *y)
    if "conditional_mean" in able:
        found["conditional_mean"] = model.conditional_mean(x, known, *y)
    if "samples" in able:
        found["sample"] = model.sample(2, *y)
    return found


# rounded after 8 or 11 bits; noise differs, as it is drawn in another type
EXACT = ("log_prob", "conditionals", "posterior", "encode", "reconstruct", "discriminate")
EXAMPLES = (
    "decode",
    "reconstruct",
    "complete",
    "conditional_mean",
    "sample",
)  # in the type of the data
CLOSE = {"double": 1e-3, "half": 0.1, "bfloat16": 0.5}


@pairs(MODELS, SPEC, VECTORS)
def test_a_model_works_in_the_type_of_its_weights(name, spec):
    model = tiny(name, spec).eval()
    reference = uses(model)
    for kind, dtype in TYPES.items():
        other = copy.deepcopy(model).to(dtype)
        found = uses(other)
        assert found.keys() == reference.keys()
        assert torch.get_default_dtype() == torch.float32
        for what, value in found.items():
            assert value.shape == reference[what].shape, (kind, what)
            assert bool(torch.isfinite(value.double()).all()), (kind, what)
            if value.dtype.is_floating_point and what not in EXAMPLES:
                full = torch.float64 if kind == "double" else torch.float32
                assert value.dtype == full, (kind, what)
            if what in EXACT and name != "avb":
                off = (value.double() - reference[what].double()).abs().max()
                size = 255 if what == "reconstruct" else 1 + reference[what].double().abs().max()
                assert off <= CLOSE[kind] * size, (kind, what)


@pytest.mark.parametrize("dtype", TYPES.values(), ids=TYPES)
def test_tasks_and_fitted_priors_take_a_model_of_another_type(dtype):
    spec = ImageSpec(1, 8, 8, 4)
    ae, vae, made = (tiny(name, spec).eval().to(dtype) for name in ("ae", "vae", "made"))
    x = torch.randint(0, 4, (6, 1, 8, 8), dtype=torch.uint8) * 85
    codes = ae.encode(x.repeat(5, 1, 1, 1)).detach()
    fitted = tasks.fit(ae, codes, components=2)
    for model in (vae, fitted, copy.deepcopy(fitted).to(dtype)):
        assert tasks.sample(model, 2).dtype == torch.uint8
        assert tasks.interpolate(model, 1, 3).shape == (3, 1, 8, 8)
        assert tasks.manifold(model, 2).shape == (4, 1, 8, 8)
        assert tasks.traverse(model, torch.zeros(3), [0], steps=2).shape == (2, 1, 8, 8)
    assert tasks.interpolate(vae, 1, 3, ends=(x[:1], x[1:2])).dtype == torch.uint8
    assert tasks.reconstruct(vae, x).shape == x.shape
    assert len(tasks.most_used(vae, x)) == 3
    assert len(tasks.surprise(made, x)) == len(x)
    assert tasks.inpaint(made, x, tasks.region("upper", spec)).shape == x.shape


@in_own_type
class Lacking(nn.Module):
    """Computes in what a device has not."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def encode(self, x: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("\"some_cpu\" not implemented for 'Half'\nand more")
        return self.layer(x)


def test_a_type_that_a_device_lacks_is_said_in_one_line():
    model = Lacking()
    assert model.encode(torch.zeros(1, 2)).dtype == torch.float32
    assert model.double().encode(torch.zeros(1, 2)).dtype == torch.float64
    with pytest.raises(PthetaError, match=r"not supported in float16 on .* cpu \(.some_cpu"):
        model.half().encode(torch.zeros(1, 2))
    assert torch.get_default_dtype() == torch.float32


def test_models_are_copied_and_pickled_as_before():
    model, x = tiny("vae", SPEC), torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    assert list(inspect.signature(model.encode).parameters) == ["x", "condition"]
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin.encode(x), model.encode(x))
        assert twin.encode.__self__ is twin
