"""The installed command, with good and bad input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from ptheta.files.captions import DARK, LIGHT
from ptheta.training.metric_logger import read_metrics
from tests.cli.command import Done, command

COMMAND = Path(sys.executable).with_name("ptheta")
TINY = ["--hidden", "16", "--latent", "3", "--batch-size", "16", "--evaluate-every", "0"]


def run(*args: object, status: int = 0) -> Done:
    done = command(*args)
    assert done.status == status, done.stderr
    return done


def fails(*args: object) -> str:
    """The one line that a bad call prints."""
    done = run(*args, status=2)
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("vae on", "dcgan"))]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("ptheta: ")
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.fixture(scope="module")
def trained(strokes, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "vae"
    run("train", "vae", "--data", strokes, "--out", out, "--steps", 30, *TINY, "--levels", 2)
    return out


def test_help_is_quick_and_complete():
    times = []
    for _ in range(3):
        start = time.perf_counter()
        text = subprocess.run([COMMAND, "--help"], stdout=subprocess.PIPE, text=True).stdout
        times.append(time.perf_counter() - start)
    for verb in ("models", "data", "train", "sample", "evaluate", "sweep", "compare", "demo"):
        assert verb in text
    text = run("train", "vae", "--help").stdout
    for flag in ("--latent", "--levels", "--steps", "--resume", "--help-all"):
        assert flag in text
    assert "--checkpoint-every" not in text
    assert "--checkpoint-every" in run("train", "vae", "--help-all").stdout
    assert "mlp|conv" in text


def test_models_as_table_and_json():
    table = json.loads(run("models", "--json").stdout)
    assert table["pixelcnn"]["capabilities"]["log_prob"] is True
    assert table["dcgan"]["capabilities"]["log_prob"] is False
    text = run("models").stdout
    assert all(name in text for name in table)


def test_data_lists_and_inspects(strokes):
    assert "digits" in run("data").stdout
    about = json.loads(run("data", strokes, "--json").stdout)
    assert about["images"] == {"train": 217, "test": 23}
    assert about["classes"].keys() == {"0", "1"}


def test_train_writes_a_run(trained):
    config = json.loads((trained / "config.json").read_text())
    assert config["config"]["latent"] == 3
    assert config["spec"] == {"channels": 1, "height": 16, "width": 16, "levels": 2}
    assert config["versions"]["torch"]
    assert (trained / "model.safetensors").exists()
    assert [line["step"] for line in read_metrics(trained)] == [30]


@pytest.mark.slow
def test_evaluate_measures_a_folder_of_images(trained, strokes, tmp_path):
    run("sample", trained, "-n", 30, "--out", tmp_path / "images")
    told = run("evaluate", tmp_path / "images", "--data", strokes, "--json").stdout
    values = {r["metric"]: r for r in json.loads(told)["results"]}
    assert values["fd_pixels"]["protocol"]["samples"] == 30
    assert "bits_per_dim" not in values
    assert len(list((tmp_path / "images").glob("*.png"))) == 30
    assert "give the real images by --data" in fails("evaluate", tmp_path / "images")
    (tmp_path / "empty").mkdir()
    assert "empty" in fails("evaluate", tmp_path / "empty", "--data", strokes)
    (tmp_path / "one").mkdir()
    first = sorted((tmp_path / "images").glob("*.png"))[0]
    (tmp_path / "one" / "a.png").write_bytes(first.read_bytes())
    assert "need at least two" in fails("evaluate", tmp_path / "one", "--data", strokes)
    assert "1x16x16 (channels, height, width), digits of 1x28x28" in fails(
        "evaluate", tmp_path / "images", "--data", "digits"
    )
    alike = run("evaluate", tmp_path / "images", "--data", "digits", "--size", 16, "--json").stdout
    assert json.loads(alike)["protocol"]["resized_to"] == "16x16, Lanczos, antialiased"
    picture = tmp_path / "new" / "closest.png"
    run("evaluate", tmp_path / "images", "--data", strokes, "--closest", picture)
    with Image.open(picture) as opened:
        assert opened.size == ((10 * 17 - 1) * 4, (4 * 17 - 1) * 4)
    assert "--closest x.jpg: want .png" in fails("evaluate", trained, "--closest", "x.jpg")
    (tmp_path / "mixed").mkdir()
    for side in (16, 18, 20, 22):
        Image.new("L", (side, side)).save(tmp_path / "mixed" / f"{side}.png")
    said = fails("evaluate", tmp_path / "mixed", "--data", strokes)
    assert "images of several sizes" in said
    assert "--size 64" in said
    assert "leave them out" in fails("evaluate", trained, "--size", 16)


@pytest.mark.slow
def test_sweep_and_its_bad_input(strokes, tmp_path):
    tiny = ("--features", 4, "--latent", 6, "--steps", 2, "--evaluate-every", 0)
    common = ("--data", strokes, "--out", tmp_path / "s", *tiny, "--batch-size", 8)
    done = run("sweep", "gan", *common, "--vary", "loss=hinge,minimax", "--seeds", 1)
    assert "2 runs trained, 0 failed" in done.stdout
    assert (tmp_path / "s" / "loss=hinge,seed=0" / "model.safetensors").exists()
    run("compare", tmp_path / "s", "--out", tmp_path / "report", "-n", 20)
    assert "hinge" in (tmp_path / "report" / "report.html").read_text()
    assert "want NAME=VALUE" in fails("sweep", "gan", *common, "--vary", "loss")
    assert "loss" in fails("sweep", "gan", *common, "--vary", "loss=hinje")
    assert "--seeds" in run("sweep", "gan", "--help").stdout
    said = fails("sweep", "gan", *common, "--vary", "loss=began", "--label-smoothing", 0.1)
    assert "there are no labels" in said


def test_sample_in_three_forms(trained, tmp_path):
    run("sample", trained, "-n", 9, "--seed", 4, "--out", tmp_path / "x.npy")
    x = np.load(tmp_path / "x.npy")
    assert x.shape == (9, 1, 16, 16)
    assert set(np.unique(x)) <= {0, 255}
    run("sample", trained, "-n", 9, "--seed", 4, "--out", tmp_path / "folder")
    files = sorted((tmp_path / "folder").glob("*.png"))
    assert np.array_equal(np.stack([np.asarray(Image.open(f)) for f in files]), x[:, 0])
    run("sample", trained, "-n", 9, "--out", tmp_path / "deep" / "grid.png")
    with Image.open(tmp_path / "deep" / "grid.png") as picture:
        assert picture.width <= picture.height <= picture.width + 40  # a line says what they are
    run("sample", trained, "-n", 9, "--seed", 5, "--out", tmp_path / "y.npy")
    assert not np.array_equal(np.load(tmp_path / "y.npy"), x)


def test_evaluate_and_compare(trained, strokes, tmp_path):
    result = json.loads(run("evaluate", trained, "-n", 40, "--json").stdout)
    values = {r["metric"]: r for r in result["results"]}
    assert values["bits_per_dim"]["relation"] == "<="
    kept = values["fd_pixels"]["protocol"]
    assert kept["samples"] == 40
    assert kept["sampler"] == {"batch": 256, "noise": "of each batch", "condition": "none"}
    assert len(kept["checkpoint"]) == 12
    assert {"time", "dtype", "weights", "metrics_version", "seed", "split"} <= kept.keys()
    low, high = values["fd_pixels"]["interval_95"]
    assert low < values["fd_pixels"]["value"] < high
    assert (trained / "evaluation.json").exists()
    other = tmp_path / "gan"
    run(
        *("train", "dcgan", "--data", strokes, "--out", other, "--steps", 10, "--levels", 2),
        *("--features", 4, "--latent", 6, "--evaluate-every", 0),
    )
    run("sample", trained, "-n", 30, "--out", tmp_path / "elsewhere")
    run(
        *("compare", trained, other, "--out", tmp_path / "report", "-n", 40),
        *("--images", tmp_path / "elsewhere"),
    )
    stored = tmp_path / "report" / "measured.json"
    kept = json.loads(stored.read_text())
    assert "- " in run("report", tmp_path / "report").stdout
    rows = [{**row, "evaluation": {"results": [], "protocol": {}}} for row in kept["rows"]]
    (tmp_path / "bare").mkdir()
    shutil.copytree(tmp_path / "report" / "pictures", tmp_path / "bare" / "pictures")
    (tmp_path / "bare" / "measured.json").write_text(json.dumps({**kept, "rows": rows}))
    assert run("report", tmp_path / "bare").stdout.endswith("report.html\n")
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 8
    assert "<svg" in page
    assert "not defined" in page
    assert 'src="http' not in page
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    missing = [
        r for r in report["runs"]["gan"]["evaluation"]["results"] if r["metric"] == "bits_per_dim"
    ]
    assert missing[0]["value"] is None
    assert missing[0]["reason"] == "no likelihood"
    pair = report["differences"]["kd_pixels"][0]
    assert {pair["a"], pair["b"]} < set(report["runs"])
    assert "elsewhere" in report["runs"]
    assert pair["low"] < pair["value"] < pair["high"]
    assert "bits_per_dim" not in report["differences"]
    text = (tmp_path / "report" / "report.md").read_text()
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles[:3] == [
        "## Likelihood",
        "## Distance to real data",
        "## Fidelity and diversity",
    ]
    assert titles[3:5] == ["## Memorisation", "## Cost"]
    tables = text.split("## ")
    assert "real images" not in tables[1]
    assert all(name in tables[2] for name in ("real images", "pixel Gaussian", "shuffled pixels"))


def test_config_files(strokes, tmp_path):
    (tmp_path / "a.toml").write_text("steps = 3\n[model]\nhidden = [8]\nlatent = 2\n")
    run(
        *("train", "vae", "--data", strokes, "--out", tmp_path / "a"),
        *("--config", tmp_path / "a.toml", "--latent", 4),
    )
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert config["config"]["hidden"] == [8]
    assert config["config"]["latent"] == 4  # the flag wins
    assert config["train"]["steps"] == 3
    (tmp_path / "b.json").write_text('{"stpes": 3}')
    line = fails(
        *("train", "vae", "--data", strokes, "--out", tmp_path / "b"),
        *("--config", tmp_path / "b.json"),
    )
    assert "unknown option of vae in " in line
    assert "b.json 'stpes': did you mean 'steps'?" in line
    assert not (tmp_path / "b").exists()


def test_typos_name_the_nearest(strokes, tmp_path):
    assert "unknown command 'trian': did you mean 'train'?" in fails("trian")
    assert "unknown model 'vea': did you mean 'vae'?" in fails("train", "vea")
    base = ("train", "vae", "--data", strokes, "--out", tmp_path / "r")
    assert "did you mean '--latent'?" in fails(*base, "--latnt", 3)
    assert "did you mean 'demo'?" in fails(*base, "--recipe", "demos")
    assert "did you mean 'digits'?" in fails("train", "vae", "--data", "digist", "--out", "x")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--steps", "0"], "steps = 0: input should be greater than 0"),
        (["--steps", "ten"], "steps = ten: input should be a valid integer"),
        (["--steps", "5", "--minutes", "1"], "give exactly one of steps, minutes and epochs"),
        (["--steps", "5", "--levels", "300"], "levels = 300: input should be less than or equal"),
        (["--steps", "5", "--dynamic"], "add --levels 2"),
        (["--steps", "5", "--net", "resnet"], "net = resnet: input should be 'linear', 'mlp'"),
        (["--steps", "5", "--device", "cuda"], "device 'cuda' is not available here"),
        (["--steps", "5", "--likelihood", "bernoulli"], "train with --levels 2"),
        (["--steps", "5", "--channels", "2"], "channels"),
    ],
)
def test_bad_values(strokes, tmp_path, flags, words):
    import torch

    if "cuda" in flags and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    line = fails("train", "vae", "--data", strokes, "--out", tmp_path / "r", *flags)
    assert words in line


def test_bad_data(tmp_path):
    base = ("train", "vae", "--out", tmp_path / "r", "--steps", 2, "--data")
    (tmp_path / "empty").mkdir()
    assert "holds no images" in fails(*base, tmp_path / "empty")
    one = tmp_path / "one"
    one.mkdir()
    Image.new("L", (8, 8), 3).save(one / "a.png")
    assert "give at least two" in fails(*base, one)
    for i in range(5):
        Image.new("L", (8, 8), i).save(one / f"b{i}.png")
    (one / "c.png").write_bytes(b"not an image")
    assert "1 of 7 images cannot be read" in fails(*base, one)
    assert "no such file or folder" in fails(*base, tmp_path / "gone.npz")
    assert not (tmp_path / "r").exists()


def test_bad_places(trained, strokes, tmp_path):
    base = ("train", "vae", "--data", strokes, "--steps", 2, *TINY)
    before = (trained / "model.safetensors").read_bytes()
    assert "add --resume" in fails(*base, "--out", trained)
    assert (trained / "model.safetensors").read_bytes() == before
    (tmp_path / "file").write_text("x")
    assert "is a file where a folder is needed" in fails(*base, "--out", tmp_path / "file" / "run")
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("x")
    assert "is not empty and not a run" in fails(*base, "--out", full)
    assert "no such folder" in fails("sample", tmp_path / "nowhere", "--out", "x.png")
    assert "no config.json" in fails("evaluate", full)
    assert "want a .png, a .jpg, a .jpeg, a .webp, a .npy, a .npz or a folder" in fails(
        "sample", trained, "--out", "a.gif"
    )
    assert "contains other files" in fails("sample", trained, "--out", full)


def test_bad_requests_to_a_run(trained, tmp_path):
    out = ("--out", tmp_path / "x.png")
    assert "this model takes no labels" in fails("sample", trained, *out, "--label", 3)
    assert "-n 0: want 1 or more" in fails("sample", trained, *out, "-n", 0)
    assert "choose 'best' or 'last'" in fails("sample", trained, *out, "--weights", "bset")
    assert "give data of the same size and channels" in fails(
        "evaluate", trained, "--data", "digits"
    )
    colour = tmp_path / "colour.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    np.savez(colour, images=pixels)
    assert "3x16x16" in fails("evaluate", trained, "--data", colour)
    assert "did you mean 'pixels'" in fails("evaluate", trained, "--extractor", "pixel")


def test_labels_of_a_conditional_model(strokes, tmp_path):
    run(
        *("train", "pixelcnn", "--data", strokes, "--out", tmp_path / "r", "--steps", 4),
        *("--features", 6, "--blocks", 1, "--head", 6, "--condition", "labels", "--levels", 2),
        *("--evaluate-every", 0, "--sample-every", 2, "--batch-size", 8),
    )
    run("sample", tmp_path / "r", "-n", 4, "--label", 1, "--out", tmp_path / "x.npy")
    line = fails("sample", tmp_path / "r", "--label", 7, "--out", tmp_path / "y.npy")
    assert "unknown label '7': known: 0, 1" in line
    other = tmp_path / "other.npz"
    with np.load(strokes) as kept:
        np.savez(other, images=kept["images"], labels=kept["labels"] + 1)
    line = fails("evaluate", tmp_path / "r", "--data", other)
    assert "class '2' is a class of other" in line
    with np.load(strokes) as kept:
        np.savez(other, images=kept["images"])
    line = fails(
        *("train", "pixelcnn", "--data", other, "--out", tmp_path / "s", "--steps", 4),
        *("--condition", "labels", "--levels", 2),
    )
    assert "has no labels" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_out(strokes, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    line = fails("train", "vae", "--data", strokes, "--out", locked / "r", "--steps", 2, *TINY)
    assert "choose another --out" in line


def test_sigterm_writes_a_checkpoint(strokes, tmp_path):
    out = tmp_path / "r"
    process = subprocess.Popen(
        [
            *(str(COMMAND), "train", "vae", "--data", str(strokes), "--out", str(out)),
            *("--steps", "1000000", "--log-every", "20", *TINY),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not read_metrics(out) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in err.splitlines()[-1]
    assert list((out / "state").glob("step-*"))
    assert (out / "model.safetensors").exists()


@pytest.mark.slow
def test_demo_on_other_data(strokes, tmp_path):
    done = run("demo", "--data", strokes, "--out", tmp_path / "demo", "--speed", 200)
    page = Path(done.stdout.splitlines()[-1])
    assert page == tmp_path / "demo" / "report.html"
    text = page.read_text()
    assert "pixelcnn" in text
    assert "Frechet distance (pixels)" in text


@pytest.mark.slow
def test_inpaint_and_surprise(strokes, trained, tmp_path):
    out = tmp_path / "nade"
    options = ["--hidden", "8", "--batch-size", "16", "--evaluate-every", "0", "--levels", 2]
    run("train", "nade", "--data", strokes, "--out", out, "--steps", 20, *options)
    array = tmp_path / "x.npy"
    text = run(
        *("inpaint", out, "--known", "left", "-n", 3, "--each", 2, "--out", array),
        *("--candidates", 2),
    ).stdout
    assert "3 images, 2 completions each" in text
    x = np.load(array).reshape(3, 4, 16, 16)  # original, part, two completions
    assert (x[:, 1:, :, :8] == x[:, :1, :, :8]).all()
    assert set(np.unique(x[:, 1, :, 8:])) == {DARK, LIGHT}  # hatched
    assert (x[:, 2] != x[:, 3]).any()
    picture = tmp_path / "bits.png"
    assert "bits/dim" in run("surprise", out, "-n", 4, "--out", picture).stdout
    assert Image.open(picture).size[0] > 16
    assert "did you mean 'left'?" in fails("inpaint", out, "--known", "lef", "--out", picture)
    made = run("inpaint", trained, "-n", 2, "--each", 2, "--out", tmp_path / "y.png").stdout
    assert "2 images, 2 completions each" in made
    assert "this is a run of images" in fails(
        "impute", trained, tmp_path / "t.csv", "--out", tmp_path / "y.csv"
    )
    assert "no `conditionals`" in fails("surprise", trained, "--out", tmp_path / "y.png")
    assert "-n 0: want 1 or more" in fails("surprise", out, "-n", 0, "--out", tmp_path / "y.png")
    assert "--candidates 0: want 1 or more" in fails(
        "inpaint", out, "--candidates", 0, "--out", tmp_path / "y.png"
    )


@pytest.mark.slow
def test_the_uses_of_a_latent_space(strokes, trained, tmp_path):
    def shape(*args: object) -> tuple[int, ...]:
        array = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        run(*args, "--out", array)
        return np.load(array).shape

    assert shape("reconstruct", trained, "-n", 3) == (6, 1, 16, 16)
    assert shape("interpolate", trained, "-n", 2, "--steps", 4) == (8, 1, 16, 16)
    assert shape("interpolate", trained, "-n", 2, "--codes", "--straight") == (20, 1, 16, 16)
    assert shape("manifold", trained, "--side", 4, "--dims", "0,2") == (16, 1, 16, 16)
    assert shape("traverse", trained, "-n", 2, "--steps", 5) == (10, 1, 16, 16)
    assert shape("denoise", trained, "-n", 2, "--noise", "masking") == (10, 1, 16, 16)
    picture = tmp_path / "latents.png"
    text = run("latents", trained, "--out", picture).stdout
    assert "of 3 units active" in text
    assert Image.open(picture).size[0] > 600
    assert json.loads(run("latents", trained, "--json").stdout)["dimensions"] == 3
    assert "want two" in fails("manifold", trained, "--dims", "1", "--out", picture)
    assert "want integers" in fails("manifold", trained, "--dims", "a,b", "--out", picture)
    assert "want .png" in fails("latents", trained, "--out", tmp_path / "x.gif")
    assert "unknown noise" in fails("denoise", trained, "--noise", "rain", "--out", picture)
    result = run("evaluate", trained, "-n", 20, "--is-k", 5, "--ais", 2).stdout
    for metric in ("neg_elbo", "elbo_kl", "elbo_reconstruction", "elbo_gap", "nll_ais"):
        assert metric in result


@pytest.mark.slow
def test_fit_makes_an_autoencoder_sample(strokes, tmp_path):
    out = tmp_path / "ae"
    run("train", "ae", "--data", strokes, "--out", out, "--steps", 20, *TINY)
    assert "cannot sample" in fails("sample", out, "--out", tmp_path / "x.png")
    assert "2 Gaussians fitted" in run("fit", out, "--components", 2).stdout
    run("sample", out, "-n", 4, "--out", tmp_path / "x.png")
    assert "choose 'auto'" in fails("sample", out, "--prior", "x", "--out", tmp_path / "y.png")
    assert "components for" in fails("fit", out, "--components", 10_000)


def test_probe(strokes, trained, tmp_path):
    picture = tmp_path / "probe.png"
    options = ("--labels", "4,all", "--draws", 1, "--steps", 5)
    text = run("probe", trained, *options, "--out", picture).stdout
    assert text.count("from scratch") == 2
    assert Image.open(picture).size[0] > 300
    found = json.loads(run("probe", trained, *options, "--json").stdout)
    assert [p["labels"] for p in found[:3]] == [4, 4, 4]
    assert "want integers" in fails("probe", trained, "--labels", "ten")
    assert "at least one of each" in fails("probe", trained, "--labels", "1")


def test_python_ends_without_a_search_for_garbage():
    """Among all that torch has made it takes longer than many a command."""
    seen = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 1000))"
    code = f"{seen}; from ptheta.cli import main; main(['--version'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"


def test_every_verb_of_a_run_uses_the_weights_that_are_asked_for(trained, strokes, tmp_path):
    """Best and last weights that differ give pictures that differ."""
    folder = tmp_path / "vae"
    shutil.copytree(trained, folder)
    best = load_file(folder / "model.safetensors")
    moved = {name: value + 0.5 * value.is_floating_point() for name, value in best.items()}
    save_file(moved, folder / "last.safetensors")
    verbs = {
        "reconstruct": ("-n", 4),
        "manifold": ("--dims", "0,1", "--side", 2),
        "inpaint": ("-n", 2, "--each", 1),
    }
    for verb, more in verbs.items():
        places = [tmp_path / f"{verb}-{weights}.png" for weights in ("best", "last")]
        for place in places:
            weights = place.stem.rpartition("-")[2]
            run(verb, folder, *more, "--out", place, "--weights", weights)
        first, second = (place.read_bytes() for place in places)
        assert first != second, verb
    found = json.loads(run("evaluate", folder, "-n", 20, "--weights", "last", "--json").stdout)
    assert found["protocol"]["weights"] == "last"
    pictures = tmp_path / "pictures"
    run("sample", folder, "-n", 4, "--out", pictures)
    line = fails("evaluate", pictures, "--data", strokes, "--weights", "last")
    assert "--weights are of a run" in line
