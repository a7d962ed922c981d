"""Codes and back: what `encode` and `decode` agree on, and the geometry of codes in a plane."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ptheta import tasks
from ptheta.api.code_files import CodeRows, read_codes, write_codes
from ptheta.capabilities import Decodes, Encodes, HasPosterior, some_conditions
from ptheta.errors import PthetaError
from ptheta.measures.planes import Density, by_neighbour, plane_of
from ptheta.specs import ImageSpec
from ptheta.tasks.codes import Codes, width_of
from tests.conftest import MODELS, VECTORS, examples, loaded, tiny

SPEC = ImageSpec(1, 8, 8, 2)
X = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (7, 1, 8, 8)) * 255).to(torch.uint8)
ROWS = examples(VECTORS, 9)
CODERS = [name for name in MODELS if issubclass(loaded(name), Encodes)]
FLOWS = ("nice", "realnvp", "glow", "maf")


def on(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """A tiny model, and examples for it."""
    if ImageSpec in loaded(name).specs:
        return tiny(name, SPEC).eval(), X
    return tiny(name, VECTORS).eval(), ROWS


@pytest.mark.parametrize("name", CODERS)
def test_the_code_is_what_the_encoder_gives_and_does_not_depend_on_parts(name, monkeypatch):
    model, x = on(name)
    y = some_conditions(model, len(x))
    codes = tasks.encode(model, x, y, seed=3)
    assert isinstance(model, Encodes)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(3)
        torch.testing.assert_close(codes.z, model.encode(x, y).float())
    assert width_of(model) == codes.z.shape[1]
    assert (codes.std is not None) == isinstance(model, HasPosterior)
    if name == "avb":  # its encoder is noisy, part by part
        return
    monkeypatch.setattr("ptheta.tasks.codes.BATCH", 3)
    torch.testing.assert_close(tasks.encode(model, x, y, seed=3).z, codes.z)


@pytest.mark.parametrize("name", [n for n in CODERS if issubclass(loaded(n), Decodes)])
def test_codes_decoded_are_the_reconstruction(name):
    model, x = on(name)
    y = some_conditions(model, len(x))
    back = tasks.decode(model, tasks.encode(model, x, y).z, y)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert torch.equal(back, tasks.reconstruct(model, x, y))


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_gives_examples_back(name):
    model = tiny(name, VECTORS).eval()
    back = tasks.decode(model, tasks.encode(model, ROWS).z)
    torch.testing.assert_close(back, ROWS, atol=1e-4, rtol=1e-4)
    if ImageSpec in loaded(name).specs:
        images = tiny(name, SPEC).eval()
        assert torch.equal(tasks.decode(images, tasks.encode(images, X).z), X)


def test_draws_of_a_posterior_have_its_moments_and_its_seed():
    codes = Codes(torch.zeros(40_000, 2) + 3, torch.tensor([0.5, 2.0]).expand(40_000, 2))
    z = codes.drawn(1)
    torch.testing.assert_close(z.mean(0), torch.tensor([3.0, 3.0]), atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(0), torch.tensor([0.5, 2.0]), atol=0.02, rtol=0.01)
    assert torch.equal(z, codes.drawn(1))
    assert not torch.equal(z, codes.drawn(2))
    with pytest.raises(PthetaError, match="no posterior"):
        Codes(torch.zeros(2, 2)).drawn()


def test_what_are_no_codes_is_refused():
    model = tiny("vae", SPEC).eval()
    z = tasks.encode(model, X).z
    wide = torch.cat([z, z], 1)
    holed = z.clone()
    holed[[1, 4]] = math.nan
    for bad, words in (
        (wide, "codes of 6 dimensions, but those of this model have 3"),
        (holed, "the code is not finite in rows 1, 4, from 0"),
        (z.long(), "want float32"),
        (z[0], "want float32"),
    ):
        with pytest.raises(PthetaError, match=words) as said:
            tasks.decode(model, bad)
        assert "\n" not in str(said.value)
    with pytest.raises(PthetaError, match="no `encode`; search for codes"):
        tasks.encode(tiny("gan", SPEC), X)
    with pytest.raises(PthetaError, match="no `decode`"):
        tasks.decode(tiny("rbm", SPEC), z)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy"])
def test_a_file_of_codes_reads_as_it_was_written(suffix: str, tmp_path: Path):
    z = torch.randn(12, 11)
    files = [f"b/{i}, {i % 2}.png" for i in range(12)]
    rows = CodeRows(z, files, [str(i % 3) for i in range(12)], std=z.exp())
    write_codes(rows, tmp_path / f"new/z{suffix}")
    back = read_codes(tmp_path / f"new/z{suffix}")
    assert torch.equal(back.z, z)
    if suffix != ".npy":
        assert list(back.files or ()) == files
        assert list(back.labels or ()) == list(rows.labels or ())
    write_codes(z, tmp_path / f"bare{suffix}")
    bare = read_codes(tmp_path / f"bare{suffix}")
    assert torch.equal(bare.z, z)
    assert (bare.files, bare.labels) == (None, None)


# -- in a plane


def test_principal_components_and_posteriors_seen_in_their_plane():
    from sklearn.decomposition import PCA

    g = torch.Generator().manual_seed(0)
    z = (
        torch.randn(500, 5, generator=g, dtype=torch.float64)
        @ torch.randn(5, 5, generator=g).double()
    )
    plane, other = plane_of(z), PCA(2).fit(z.numpy())
    np.testing.assert_allclose(plane.share, other.explained_variance_ratio_, rtol=1e-4)
    seen = torch.from_numpy(other.transform(z.numpy()))
    torch.testing.assert_close(plane.of(z).abs(), seen.abs(), atol=1e-6, rtol=1e-5)
    std = torch.rand(1, 5, generator=g, dtype=torch.float64) + 0.1
    draws = z[:1] + std * torch.randn(200_000, 5, generator=g, dtype=torch.float64)
    torch.testing.assert_close(
        plane.of(draws).T.cov(), plane.covariances(std)[0], rtol=0.02, atol=0.02
    )
    picked = plane_of(z, (3, 1))
    assert torch.equal(picked.of(z), z[:, [3, 1]])
    torch.testing.assert_close(picked.covariances(std)[0], std[0, [3, 1]].square().diag())
    assert plane_of(z[:, :2]).dims == (0, 1)
    for dims in ((0, 0), (0, 5)):
        with pytest.raises(PthetaError, match="give two of 0 to 4"):
            plane_of(z, dims)
    with pytest.raises(PthetaError, match="a code of this model is 1 number"):
        plane_of(z[:, :1])


def test_a_region_holds_its_share_of_other_draws():
    g = torch.Generator().manual_seed(0)
    gaussian = torch.randn(8000, 2, generator=g, dtype=torch.float64) @ torch.tensor(
        [[3.0, 0.0], [1.0, 0.2]], dtype=torch.float64
    )
    side = torch.randint(0, 2, (8000, 1), generator=g) * 8.0
    two = torch.randn(8000, 2, generator=g, dtype=torch.float64) + torch.cat([side, side], 1)
    for x in (gaussian, two):
        found = Density.of(x[:3000])
        for mass in (0.5, 0.95):
            assert found.holds(x[3000:], mass).value == pytest.approx(mass, abs=0.02)
    assert Density.of(gaussian[:3000]).width == 1.0  # one kernel: the Gaussian itself
    found = Density.of(two[:3000])
    assert found.width < 1
    assert found.at(torch.tensor([[4.0, 4.0]]))[0] < 0.01 * found.at(torch.zeros(1, 2))[0]
    across, down, f = found.grid(9)
    place = torch.tensor([[across[7], down[2]]])
    torch.testing.assert_close(f[2, 7], found.at(place)[0])


def test_the_nearest_other_point_by_hand():
    h = torch.tensor([[0.0], [0.1], [1.0], [1.05], [3.0]])
    assert by_neighbour(h, torch.tensor([0, 0, 1, 1, 1])).value == 1.0
    assert by_neighbour(h, torch.tensor([0, 1, 1, 1, 0])).value == pytest.approx(0.4)


def test_a_prior_that_is_the_posterior_overlaps_with_it_and_one_far_away_does_not():
    model = tiny("vae", SPEC, latent=2).eval()
    x = X.repeat(60, 1, 1, 1)
    found = tasks.scatter(model, x)
    torch.testing.assert_close(found.points, found.codes.z.double())
    g = torch.Generator().manual_seed(1)
    same, far = torch.randn(900, 2, generator=g), torch.randn(900, 2, generator=g) + 20
    for drawn, inside in ((same, 0.95), (far, 0.0)):
        moved = type(found)(found.codes, found.plane, drawn, found.prior)
        both = moved.overlap()
        assert both is not None
        assert [told.value for told in both] == pytest.approx([inside, inside], abs=0.03)
    assert tasks.scatter(tiny("ae", SPEC).eval(), x).overlap() is None
