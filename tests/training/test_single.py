"""Steps of one image through batch normalisation: one line, before anything is written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import ptheta
from ptheta.errors import PthetaError
from ptheta.training.single import refuse_single


@pytest.mark.parametrize(("images", "options"), [(8, {"batch_size": 1}), (2, {"batch_size": 1})])
def test_a_run_of_single_images_is_refused_before_it_begins(tmp_path, images, options):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (images, 8, 8), np.uint8))
    with pytest.raises(
        PthetaError, match=r"batch normalisation needs more than one image per step.*--batch-size 2"
    ):
        ptheta.train("gan", tmp_path / "a.npy", tmp_path / "run", net="mlp", steps=1, **options)
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize("images", [2, 3])
def test_two_images_train(tmp_path, images):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (images, 8, 8), np.uint8))
    ptheta.train("vae", tmp_path / "a.npy", tmp_path / "run", steps=1, hidden=(4,))


@pytest.mark.parametrize("share", [1, 2])
@pytest.mark.parametrize("side", [1, 2])
def test_maps_of_one_pixel_are_refused_where_torch_would_fail(share, side):
    model = nn.Sequential(nn.BatchNorm2d(3))
    refuse_single(model, share, 1)
    x = torch.rand(share, 3, side, side)
    if share * side == 1:
        with pytest.raises(PthetaError, match="batch normalisation"):
            model(x)
    else:
        model(x)
    model.eval()(x[:1])


@pytest.mark.parametrize("share", [1, 2])
def test_units_are_refused_at_once_and_other_norms_are_not(share):
    refuse_single(nn.Sequential(nn.GroupNorm(1, 4), nn.Linear(4, 4)), share, 1)
    if share > 1:
        refuse_single(nn.Sequential(nn.BatchNorm1d(4)), share, 1)
    else:
        with pytest.raises(PthetaError, match="--batch-size 4 or more"):
            refuse_single(nn.Sequential(nn.BatchNorm1d(4)), share, 2)
