"""An option that nothing reads without another one is refused where the user gives it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import ptheta
from ptheta import config
from ptheta.data import describe, open_images
from ptheta.data.image_data import ImageDataset
from ptheta.data.request import DataSettings
from ptheta.errors import PthetaError
from ptheta.models import registry
from ptheta.runs import plan
from ptheta.runs.folder import Run
from ptheta.runs.sweeps import Trainings, grid, vary
from ptheta.training.settings import TrainSettings
from tests.conftest import MODELS, TINY

OF_RUNS: tuple[type, ...] = (DataSettings, TrainSettings)


def pictures() -> ImageDataset:
    rng = np.random.default_rng(0)
    return ImageDataset("p", "train", rng.integers(0, 256, (40, 1, 8, 8)).astype(np.uint8))


@pytest.mark.parametrize("name", [*MODELS, ""])
def test_every_mark_names_an_option_of_the_same_config_that_may_be_off(name):
    for cls in (registry.entry(name).load_config(),) if name else OF_RUNS:
        known = config.options(cls)
        for opt in known.values():
            if opt.of:
                off: list[Any] = [0, 0.0, (), "none", False]
                values = [v for v in off if type(v) is type(known[opt.of].default)]
                if known[opt.of].choices and not known[opt.of].is_tuple:
                    assert "none" in known[opt.of].choices
                    values = ["none"]
                said = [
                    config.idle_option(config.build(cls, {opt.of: v}), [opt.name]) for v in values
                ]
                assert said
                assert all(text and f"--{opt.of.replace('_', '-')}" in text for text in said)
                assert config.idle_option(config.build(cls, {opt.of: values[0]}), []) is None


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("text-gan", {"penalty": "none", "penalty_weight": 3}, "--penalty-weight 3.0 only applies"),
        ("text-gan", {"penalty": "none", "penalty_every": 4}, "--penalty, which is none here"),
        (
            "stackgan",
            {"matching": 0, "matching_weight": 0, "matching_lr": 0.1},
            "applies to --matching",
        ),
        ("dcgan", {"penalty_weight": 3}, "or leave --penalty-weight out"),
        ("dcgan", {"instance_noise_steps": 9}, "applies to --instance-noise"),
        ("maf", {"components": 4}, "applies to --(input|transform) mix.* or --.* mix"),
        ("nice", {"components": 4}, "mixture-cdf, and the choice here is --input logit: choose"),
        (
            "rbm",
            {"negative": "cd", "chains": 4},
            "--negative pcd or --negative tempered, and the choice",
        ),
        ("rbm", {"hottest": 0.1}, "or leave --hottest out"),
        ("vae", {"prior": "flow", "pseudo_inputs": 4}, "applies to --prior vamp"),
        ("gmmn", {"temperatures": (0.1,)}, "applies to --matching drifting"),
        ("vae", {"unseen_share": 0.2}, "applies to --unseen, which is none here: set that"),
        ("vae", {"sample_every": 0, "sample_minutes": 1}, "applies to --sample-every, which is 0"),
    ],
)
def test_what_nothing_reads_is_refused_in_one_line(model, options, words):
    with pytest.raises(PthetaError, match=words) as found:
        plan.make(model, "shapes", {"steps": 1, **options})
    assert "\n" not in str(found.value)


def test_what_another_option_reads_is_taken():
    for model, options in (
        ("text-gan", {"penalty_weight": 3.0, "penalty_every": 4}),
        ("dcgan", {"penalty": ("r1",), "penalty_weight": 3.0}),
        ("wgan-gp", {"penalty_weight": 3.0}),
        ("vae", {"unseen": ("a", "b"), "unseen_share": 0.2}),
        ("maf", {"components": 4, "transform": "mixture"}),
        ("nice", {"components": 4, "input": "mixture-cdf"}),
        ("rbm", {"chains": 4}),
        ("rbm", {"tempering": 4, "chains": 4, "negative": "tempered"}),
    ):
        plan.make(model, "shapes", {"steps": 1, **options})


def test_a_sweep_over_the_other_option_leaves_it_out_where_that_is_off():
    settings = grid(vary("text-gan", ["penalty=none,r1", "matching=0,0.1"]))
    options = {"penalty_weight": 3.0, "matching_lr": 0.1, "matching_weight": 0, "steps": 1}
    runs = Trainings("text-gan", "shapes", settings, 1, "default", options).runs()
    read = {name: ("penalty_weight" in o, "matching_lr" in o) for name, o in runs.items()}
    assert len(read) == 4
    for name, (weight, rate) in read.items():
        assert weight == ("r1" in name)
        assert rate == ("0.1" in name)
    for run_options in runs.values():
        plan.make("text-gan", "shapes", run_options)


def test_a_sweep_over_a_choice_leaves_out_what_it_does_not_read():
    """But not where another option, of all runs or of the recipe, still chooses what reads it."""
    settings = grid(vary("glow", ["transform=affine,mixture"]))
    for recipe, options, kept in (
        ("default", {}, {"mixture"}),
        ("default", {"input": "mixture-cdf"}, {"affine", "mixture"}),
        ("ten-minutes", {}, {"affine", "mixture"}),
    ):
        runs = Trainings("glow", "shapes", settings, 1, recipe, {"components": 3, **options}).runs()
        read = {str(o["transform"]) for o in runs.values() if "components" in o}
        assert read == kept
        for run_options in runs.values():
            plan.make("glow", "shapes", run_options, recipe)


def test_data_is_refused_likewise(tmp_path):
    for read in (describe, open_images):
        with pytest.raises(PthetaError, match=r"--unseen-share 0\.3 only applies to --unseen"):
            read(pictures(), unseen_share=0.3)


def test_a_run_of_before_still_opens(tmp_path):
    """Whose options were ignored."""
    how: dict[str, Any] = {**TINY["ae"], "steps": 1, "batch_size": 4, "sample_every": 0}
    ptheta.train("ae", pictures(), tmp_path / "r", **how)
    about = json.loads((tmp_path / "r/config.json").read_text())
    about["data"]["unseen_share"] = 0.3
    (tmp_path / "r/config.json").write_text(json.dumps(about))
    run = Run.open(tmp_path / "r")
    assert len(run.data("train", pictures())) == 40
    how = {"steps": 2}
    assert ptheta.train("ae", pictures(), tmp_path / "r", resume=True, **how).path == run.path
