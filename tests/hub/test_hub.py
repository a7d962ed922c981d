"""Runs on the hub: pushed to a fake one on loopback, and used from it like any other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ptheta
from ptheta.errors import PthetaError
from ptheta.files.tensors import load_tensors
from ptheta.report.sight import look
from ptheta.runs import hub
from ptheta.runs.examples import PLACE
from ptheta.runs.folder import Run
from ptheta.runs.places import folder_of, shipped
from tests.conftest import TINY
from tests.data.makers import noise
from tests.hub.fake import Hub, hash_of, serving
from tests.training.test_runs import QUIET

# everything at once, since each process reads torch anew, and the library reads its settings once
ALL = """
import sys, torch, ptheta
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run

def said(do):
    try:
        return str(do())
    except PthetaError as error:
        return str(error)

print(ptheta.push("example:vae", "team/digits-vae", license="mit").where)
model, own = ptheta.load("team/digits-vae"), ptheta.load("example:vae")
weights = zip(model.state_dict().values(), own.state_dict().values(), strict=True)
assert all(torch.equal(a, b) for a, b in weights)
run = Run.open("hf://team/digits-vae")
print(run.called, run.unfinished())
assert torch.equal(ptheta.sample(run, 3).x, ptheta.sample("example:vae", 3).x)
assert len(run.data("test")) == 2000
print(said(lambda: ptheta.fit(run)))
print(said(lambda: ptheta.load("team/other")))
print(said(lambda: ptheta.load("hf://team/digits-vae@v2")))
print(said(lambda: ptheta.load("hf://team")))
"""


def environment(fake: Hub, home: Path, **more: str) -> dict[str, str]:
    own = {"HF_ENDPOINT": fake.address, "HF_HOME": str(home), "HF_TOKEN": "hf_token"}
    return {**os.environ, **own, "HF_HUB_DISABLE_TELEMETRY": "1", **more}


def python(code: str, env: dict[str, str]) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def ptheta_says(*words: str, env: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "ptheta.cli", *words], env=env, capture_output=True, text=True
    )
    return done.returncode, done.stderr or done.stdout


def test_a_run_is_pushed_loaded_and_used(tmp_path):
    with serving() as fake:
        where, called, fitting, other, revision, name = python(ALL, environment(fake, tmp_path))
    commit = where.rpartition("/")[2]
    assert where.startswith(f"{fake.address}/team/digits-vae/commit/")
    assert called == f"hf://team/digits-vae@{commit[:12]} None"
    assert (
        "read-only: copy it, `hf download team/digits-vae --local-dir runs/digits-vae`" in fitting
    )
    assert other.startswith("cannot load hf://team/other from the hub (RepositoryNotFoundError")
    assert revision.startswith("cannot load hf://team/digits-vae@v2 from the hub (RevisionNot")
    assert name.startswith("hf://team is no name on the hub")
    files = fake.repos["team/digits-vae"][-1]
    assert set(files) == {*hub.OF_A_RUN, "README.md"}
    assert files["model.safetensors"] == (PLACE / "vae" / "model.safetensors").read_bytes()
    assert b'license: "mit"' in files["README.md"]


@pytest.mark.slow
def test_what_the_hub_refuses_is_one_line(tmp_path):
    with serving() as fake:
        env = environment(fake, tmp_path)
        for status, cure in (
            (401, "log in with `hf auth login`, or set HF_TOKEN"),
            (403, "the token needs write access to this repository"),
            (500, "try again later"),
        ):
            fake.refused = status
            code, text = ptheta_says("push", "example:vae", "team/v", env=env)
            assert (code, text.count("\n")) == (2, 1), text
            assert f"cannot push to hf://team/v (HfHubHTTPError, status {status}): {cure}" in text
        assert fake.repos == {}
    code, text = ptheta_says("sample", "hf://team/v", "--out", str(tmp_path / "x.png"), env=env)
    assert (code, text.count("\n")) == (2, 1), text
    assert "check the network, and HF_ENDPOINT if it is set" in text
    code, text = ptheta_says("push", "example:vae", "a/b", env={**env, "HF_HUB_OFFLINE": "1"})
    assert (code, "unset HF_HUB_OFFLINE" in text) == (2, True), text


@pytest.mark.slow
def test_private_runs_need_a_token_and_are_used_without_a_network(tmp_path):
    with serving() as fake:
        env = environment(fake, tmp_path)
        assert ptheta_says("push", "example:vae", "team/v", "--private", env=env)[0] == 0
        assert fake.private == {"team/v"}
        sample = ("sample", "hf://team/v", "--out", str(tmp_path / "x.png"))
        stranger = environment(fake, tmp_path / "stranger", HF_TOKEN="")
        code, text = ptheta_says(*sample, env=stranger)
        assert (code, "RepositoryNotFoundError" in text) == (2, True), text
        assert ptheta_says(*sample, env=env)[0] == 0
    assert ptheta_says(*sample, env=env)[0] == 0  # from the cache


# -- what is pushed


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """On a folder of images whose path nobody else needs to know, with an evaluation."""
    place = tmp_path_factory.mktemp("hub")
    shutil.copytree(PLACE / "vae", place / "vae")
    about = json.loads((place / "vae" / "config.json").read_text())
    about["source"] = str(place / "secret" / "pictures")
    about["dataset"]["skipped"] = [f"{place}/secret/pictures/a.png: broken"]
    (place / "vae" / "config.json").write_text(json.dumps(about))
    run = Run.open(place / "vae")
    (run.path / "samples").mkdir()
    for step in (20, 100):
        (run.path / "samples" / f"step-{step:06d}.png").write_bytes(f"{step}".encode())
    result = {"metric": "kd_digits", "value": 12.5, "error": 1.0, "better": "lower"}
    bound = {"metric": "nll", "value": 90.0, "unit": "nats", "relation": "<="}
    none = {"metric": "sharpness", "value": None, "reason": "no | images"}
    protocol = {**run.checkpoint(), "data": about["source"], "seed": 0, "samples": 1000}
    rows = [{**row, "protocol": {}} for row in (result, bound, none)]
    (run.path / "evaluation.json").write_text(json.dumps({"protocol": protocol, "results": rows}))
    return run


def pushed(run: Run, out: Path, license: str = "") -> Path:
    ptheta.push(run, "my-team/v", out=out, license=license)
    return out


def test_no_path_of_this_machine_is_pushed(trained, tmp_path):
    out = pushed(trained, tmp_path / "out")
    for file in out.rglob("*"):
        assert b"secret" not in file.read_bytes(), file
    assert json.loads((out / "config.json").read_text())["source"] == "digits"
    assert Run.open(out).spec == trained.spec
    assert "--data digits" in (out / "README.md").read_text()


def test_the_card_states_the_numbers_and_their_protocol(trained, tmp_path):
    text = (pushed(trained, tmp_path / "out", license="mit") / "README.md").read_text()
    head, about = text.removeprefix("---\n").split("\n---\n", 1)
    found = {key: json.loads(value) for key, value in (x.split(": ", 1) for x in head.splitlines())}
    assert found["library_name"] == "ptheta"
    assert found["license"] == "mit"
    assert "arxiv:1312.6114" in found["tags"]
    (model,) = found["model-index"]
    assert [m["value"] for m in model["results"][0]["metrics"]] == [12.5, 90.0]
    assert model["results"][0]["metrics"][1]["name"].endswith("(nats), an upper bound")
    assert "| 12.5 | 10.54 to 14.46 | lower |" in about
    assert "| ≤ 90 nats |" in about
    assert "not defined: no \\| images" in about
    assert "- samples: 1000\n" in about
    assert "![Samples in the last step of the training](samples.png)" in about
    assert (tmp_path / "out" / "samples.png").read_bytes() == b"100"
    assert "ptheta sample hf://my-team/v --out grid.png" in about


def test_an_evaluation_of_other_weights_is_left_out(trained, tmp_path):
    run = Run.open(shutil.copytree(trained.path, tmp_path / "run"))
    file = run.path / "evaluation.json"
    file.write_text(file.read_text().replace(run.checkpoint()["checkpoint"], "0" * 12))
    with pytest.warns(UserWarning, match="is of other weights than those that are pushed"):
        out = pushed(run, tmp_path / "out")
    assert not (out / "evaluation.json").exists()
    assert "These weights were not evaluated" in (out / "README.md").read_text()


def test_a_fitted_prior_is_pushed_with_its_run(tmp_path):
    x = torch.randint(0, 255, (60, 1, 8, 8), dtype=torch.uint8)
    options: dict[str, Any] = {
        "steps": 2,
        "batch_size": 8,
        "net": "mlp",
        "hidden": (4,),
        "latent": 2,
    }
    run = ptheta.train("ae", x, tmp_path / "ae", **options)
    fitted = ptheta.fit(run, x, components=1)
    out = pushed(run, tmp_path / "out")
    loaded = Run.open(out).model()
    assert type(loaded) is type(fitted)
    assert load_tensors(out / "fitted.safetensors").keys() == {"weights", "means", "factors"}
    assert "ptheta sample hf://my-team/v" in (out / "README.md").read_text()


def test_no_place_of_this_machine_is_pushed(tmp_path):
    x = noise(24, 8, 8)
    packed = ptheta.pack(x, tmp_path / "private" / "packed").folder
    other = tmp_path / "private" / "other.npy"
    np.save(other, noise(24, 8, 8))
    options = {**TINY["vae"], **QUIET}
    for i, source in enumerate((str(packed), f"file://{packed}")):
        run = ptheta.train("vae", source, tmp_path / f"vae{i}", **{**options, "steps": 2})
        ptheta.evaluate(run, data=str(other), n=8)
        out = tmp_path / f"out{i}"
        ptheta.push(run, "my-team/v", out=out)
        assert not [file.name for file in out.iterdir() if b"private" in file.read_bytes()]


# -- what others wrote into a run


FOREIGN = """
import sys, ptheta
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from ptheta.runs.hub import library

def said(do):
    try:
        return str(do())
    except PthetaError as error:
        return str(error)

run = Run.open("hf://team/v")
print(said(lambda: ptheta.evaluate(run, n=20)))
copy = library().snapshot_download("team/v", local_dir=sys.argv[1] + "/copy")
print(said(lambda: Run.open(copy).place()))
print(len(run.data("test", "digits")))
"""


def foreign(source: str) -> bytes:
    """The config of a run that names this as its data."""
    about = json.loads((PLACE / "vae" / "config.json").read_text())
    return json.dumps(about | {"source": source}).encode()


def in_cache(home: Path, source: str) -> Path:
    """Such a run, in the cache of the hub."""
    folder = home / "models--team--v" / "snapshots" / ("0123456789" * 4)
    shutil.copytree(PLACE / "vae", folder)
    (folder / "config.json").write_bytes(foreign(source))
    return folder


def test_an_address_in_a_run_of_the_hub_is_not_contacted(tmp_path):
    with serving() as fake:
        files = {p.name: p.read_bytes() for p in (PLACE / "vae").iterdir() if p.is_file()}
        fake.repos["team/v"] = [files | {"config.json": foreign(f"{fake.address}/s")}]
        env = environment(fake, tmp_path)
        code = FOREIGN.replace("sys.argv[1]", repr(str(tmp_path)))
        cached, copied, n = python(code, env)
    why = f"came from the hub, and {fake.address}/s, which it names as its training data"
    assert cached.startswith(f"hf://team/v@{hash_of('team/v', 0)[:12]} {why}")
    assert copied.startswith(f"{tmp_path}/copy {why}")
    assert cached.endswith("give it, or your own copy of the data, with --data")
    assert int(n) == 2000
    assert not [asked for asked in fake.asked if "/s/" in asked]


@pytest.mark.parametrize(
    "source",
    ["https://host/s", "s3://bucket/s", "hf://datasets/a/b", "org/name", "file://{}", "{}", "x"],
)
def test_a_place_in_a_run_of_the_hub_is_not_read(source, tmp_path, monkeypatch):
    mine = tmp_path / "mine.npy"
    np.save(mine, noise(24, 28, 28))
    place = source.format(mine)
    monkeypatch.setattr("ptheta.data.sources.reader_of", lambda *_: pytest.fail("was read"))
    run = Run.open(in_cache(tmp_path, place))
    (tmp_path / "link").symlink_to(run.path)
    for opened in (run, Run.open(tmp_path / "link")):
        for call in (
            lambda run: ptheta.evaluate(run, n=20),
            lambda run: ptheta.neighbours(run),
            lambda run: ptheta.latents(run, 4),
            lambda run: ptheta.compare([run], tmp_path / "report", n=20),
            lambda run: run.data("train"),
        ):
            with pytest.raises(PthetaError, match="is not read unless you name it") as error:
                call(opened)
            assert "\n" not in str(error.value)


def test_data_that_the_user_names_are_read(tmp_path):
    np.save(tmp_path / "mine.npy", noise(24, 28, 28))
    run = Run.open(in_cache(tmp_path, str(tmp_path / "mine.npy")))
    assert len(run.data("test", "digits")) == 2000
    own = shutil.copytree(run.path, tmp_path / "own")  # as trained here
    assert Run.open(own).place() == tmp_path / "mine.npy"
    assert Run.open(in_cache(tmp_path / "known", "digits")).place() == "digits"
    found = look([run, Run.open(PLACE / "vae")], None)  # of equal data, those of the user's run
    assert len(found.test) == 2000


def test_names_on_the_hub():
    assert str(hub.Address.parse("a/b")) == "hf://a/b"
    assert hub.Address.parse("hf://my-team/v_1.0@x/y").revision == "x/y"
    odd = ("a", "a/b/c", "/b", "a/", "a b/c", "-a/b", "a/b@", "a/b.", "ä/b", "", "a/b\n")
    for wrong in (*odd, "a/b@../x", "a/b@x?y"):
        with pytest.raises(PthetaError, match="no name on the hub"):
            hub.Address.parse(wrong)
    cached = Path("/x/models--my-team--v--1/snapshots/0123456789abcdef")
    assert shipped(cached) == "hf://my-team/v--1@0123456789ab"
    assert shipped(cached / "prior") == "hf://my-team/v--1@0123456789ab"
    assert shipped(cached.parent) is None
    assert folder_of(PLACE / "vae") == PLACE / "vae"


def test_a_folder_comes_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "team").mkdir()
    shutil.copytree(PLACE / "vae", tmp_path / "team" / "v")
    monkeypatch.setattr(hub, "library", lambda: pytest.fail("asked the hub"))
    ptheta.load("team/v")
    with pytest.raises(PthetaError, match=r"--out hf://a/b: names that begin with"):
        ptheta.train("vae", "digits", "hf://a/b")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PthetaError, match=r"need the extra: pip install 'ptheta\[hub\]'"):
        ptheta.load("hf://a/b")
