"""Pictures carried over: test inputs in a grid, a picture, a folder, images in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor, nn

import ptheta
from ptheta import plugins
from ptheta.api.export import Images
from ptheta.api.translating import Translations
from ptheta.batch import Batch, Condition
from ptheta.cli.commands import cli
from ptheta.compute import streams
from ptheta.conditions import Conditional, ConditionSpec
from ptheta.conditions.base import tensor_of
from ptheta.config import option
from ptheta.data.image_data import ImageDataset
from ptheta.data.inputs import StoredInputs
from ptheta.errors import PthetaError
from ptheta.models import own, registry
from ptheta.optimizers import OptimizerConfig
from ptheta.report.pictures import Subject, pictures
from ptheta.runs.folder import Run
from ptheta.specs import DataSpec, ImageSpec, LabelMapSpec
from ptheta.tasks.conditions import with_conditions
from ptheta.training.pictures import InputGrid, picture_of
from ptheta.training.translations import can_ask

PALETTE = ((0, 0, 0), (255, 0, 0), (0, 0, 255))
COLOUR = ImageSpec(3, 8, 8)
MAPS = LabelMapSpec(3, 8, 8, palette=PALETTE)
HOW: dict[str, Any] = {
    "steps": 1,
    "batch_size": 4,
    "evaluate_every": 0,
    "sample_every": 0,
    "threads": 1,
}


@pytest.fixture(autouse=True, scope="module")
def nothing_stays() -> Iterator[None]:
    """The models of this file are forgotten after it."""
    known, plugins._known = plugins._known, plugins._Known(loaded=True)
    kept = [(table, dict(table)) for table in (registry.MODELS, own.CONFIGS)]
    yield
    plugins._known = known
    for table, before in kept:
        table.clear()
        table.update(before)  # type: ignore[arg-type]


@dataclass(frozen=True)
class PairConfig(Conditional, OptimizerConfig):
    condition: str = option("image", "")
    noise: bool = option(False, "draw a grey value to be added")


class Negative(nn.Module):
    """Its answer is the negative, and in one colour of a palette the colour itself."""

    def __init__(
        self, spec: DataSpec, config: PairConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__()
        assert isinstance(spec, ImageSpec)
        assert isinstance(condition, ptheta.conditions.Image)
        self.spec, self.condition, self.noise = spec, condition, config.noise
        self.weight = nn.Parameter(torch.zeros(()))

    def loss(self, batch: Batch) -> Tensor:
        return (self.weight - batch.x.float() / 255).square().flatten(1).mean(1)

    def input_spec(self) -> ImageSpec:
        return self.condition.spec

    def domains(self) -> tuple[str, ...]:
        return ()

    def varied(self) -> bool:
        return self.noise

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        made = x if isinstance(self.spec, LabelMapSpec) else 255 - x
        if self.noise:
            shift = streams.uniform(len(x)).mul(100).byte()
            made = made // 2 + shift.view(-1, 1, 1, 1)
        return made.expand(-1, self.spec.channels, -1, -1)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        assert isinstance(condition, Tensor)
        return self.translate(condition)


@dataclass(frozen=True)
class DomainConfig(Conditional, OptimizerConfig):
    condition: str = option("labels", "")


class Shift(Negative):
    """Lighter by 10 times the number of the domain and 5."""

    def __init__(
        self, spec: DataSpec, config: DomainConfig, condition: ConditionSpec | None = None
    ) -> None:
        nn.Module.__init__(self)
        assert isinstance(spec, ImageSpec)
        assert isinstance(condition, ptheta.Labels)
        self.spec, self.labels = spec, condition.names
        self.weight = nn.Parameter(torch.zeros(()))
        self.condition = condition  # type: ignore[assignment]

    def input_spec(self) -> ImageSpec:
        assert isinstance(self.spec, ImageSpec)
        return self.spec

    def domains(self) -> tuple[str, ...]:
        return self.labels

    def varied(self) -> bool:
        return False

    def translate(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        assert to is not None
        return x + (10 * to + 5).byte().view(-1, 1, 1, 1)


def noise(n: int, channels: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.integers(0, 200, (n, channels, 8, 8), dtype=np.uint8)


def pairs(spec: ImageSpec, target: ImageSpec = COLOUR) -> ImageDataset:
    """Twenty random pairs."""
    x, inputs = noise(20, 3, 0), noise(20, spec.channels, 1)
    palette = target.palette if isinstance(target, LabelMapSpec) else ()
    return ImageDataset("pairs", "train", x, inputs=StoredInputs(inputs, spec), palette=palette)


def domains(names: tuple[str, ...]) -> ImageDataset:
    """Ten random images of each domain, with the shifted ones of the next as partners."""
    x = noise(10, 3, 2)
    every = np.concatenate([x + np.uint8(5 * (k > 0)) for k in range(len(names))])
    partners = np.roll(np.arange(10 * len(names)), -10)
    labels = np.repeat(np.arange(len(names)), 10)
    return ImageDataset("scenes", "train", every, labels=labels, classes=names, partners=partners)


@dataclass(frozen=True)
class World:
    """A run, and the data that it was trained on."""

    run: Run
    data: ImageDataset

    def tested(self, **options: Any) -> Any:
        return ptheta.translate(self.run, data={"train": self.data, "test": self.data}, **options)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    folder = tmp_path_factory.mktemp("runs")
    grey = ImageSpec(1, 8, 8)
    made: dict[str, tuple[type[nn.Module], ImageDataset, dict[str, Any]]] = {
        "grey": (Negative, pairs(grey), {"sample_every": 1}),
        "colour": (Negative, pairs(COLOUR), {}),
        "varied": (Negative, pairs(COLOUR), {"noise": True}),
        "from maps": (Negative, pairs(MAPS), {}),
        "to maps": (Negative, pairs(MAPS, MAPS), {}),
        "two": (Shift, domains(("day", "night")), {}),
        "three": (Shift, domains(("red", "green", "blue")), {}),
    }
    return {
        name: World(ptheta.train(cls, data, folder / name, **{**HOW, **options}), data)
        for name, (cls, data, options) in made.items()
    }


def picture(
    path: Path, height: int = 20, width: int = 30, channels: int = 3, seed: int = 0
) -> Path:
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 200, (height, width, channels), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def said(*args: object) -> str:
    """What a command prints; its error where it is refused."""
    done = CliRunner().invoke(cli, [str(a) for a in args])
    if isinstance(done.exception, PthetaError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


# -- test inputs


def test_test_inputs_stand_in_rows_with_outputs_target_and_the_nearest_target(worlds, tmp_path):
    world = worlds["grey"]
    grid = world.tested(n=3, out=tmp_path / "a.png")
    assert grid.images.headings == ("input", "output", "target", "nearest training target")
    rows = grid.x.unflatten(0, (3, 4))
    stored = torch.from_numpy(world.data.images)
    inputs = torch.from_numpy(world.data.inputs.images)
    for x, made, target, near in rows:
        i = next(i for i, one in enumerate(inputs) if torch.equal(one.expand(3, -1, -1), x))
        assert torch.equal(made, 255 - x)
        assert torch.equal(target, stored[i])
        far = (stored.float() - made.float()).flatten(1).norm(dim=1)
        assert torch.equal(near, stored[far.argmin()])
    assert torch.equal(world.tested(n=3).x, grid.x)
    assert not torch.equal(world.tested(n=3, seed=1).x, grid.x)
    assert Image.open(tmp_path / "a.png").height > 3 * 128  # with a line of headings
    assert "of 255 from the target" in grid.about


def test_styles_are_answers_of_their_own(worlds, tmp_path):
    grid = worlds["varied"].tested(n=2, styles=3)
    assert grid.images.headings[:4] == ("input", "output 1", "output 2", "output 3")
    rows = grid.x.unflatten(0, (2, 6))
    assert not torch.equal(rows[:, 1], rows[:, 2])
    assert torch.equal(worlds["varied"].tested(n=2).x.unflatten(0, (2, 4))[:, 1], rows[:, 1])
    with pytest.warns(UserWarning, match="deterministic, so all 2 outputs are identical"):
        alike = worlds["colour"].tested(n=2, styles=2).x.unflatten(0, (2, 5))
    assert torch.equal(alike[:, 1], alike[:, 2])


def test_a_domain_is_left_for_the_other_one_of_two(worlds):
    grid = worlds["two"].tested(n=20)
    assert grid.images.headings == ("input", "output", "target", "nearest training target")
    x, made, target, near = grid.x.unflatten(0, (20, 4)).unbind(1)
    day = (made == x + 15).flatten(1).all(1)
    assert int(day.sum()) == 10
    assert torch.equal(made[~day], x[~day] + 5)
    assert torch.equal(target[day], x[day] + 5)
    stored = torch.from_numpy(worlds["two"].data.images)
    assert all(any(torch.equal(one, other) for other in stored[10:]) for one in near[day])
    grid = worlds["two"].tested(n=20, to="night")
    assert len(grid.x) == 40


def test_a_domain_is_asked_for_where_there_are_several(worlds):
    with pytest.raises(PthetaError, match="red and green and blue: say which is wanted with --to"):
        worlds["three"].tested()
    with pytest.raises(PthetaError, match="unknown domain 'gren': did you mean 'green'"):
        worlds["three"].tested(to="gren")
    with pytest.raises(PthetaError, match="learned from pairs, not domains: leave it out"):
        worlds["grey"].tested(to="day")
    grid = worlds["three"].tested(n=30, to="green")
    x, made, *_ = grid.x.unflatten(0, (20, -1)).unbind(1)
    assert torch.equal(made, x + 15)


def test_a_model_that_cannot_is_told_so(strokes, tmp_path):
    run = ptheta.train("vae", strokes, tmp_path / "r", hidden=(4,), latent=2, **HOW)
    with pytest.raises(PthetaError, match="this model cannot translate: it has no `translate`"):
        ptheta.translate(run)


# -- pictures


def test_a_picture_of_any_size_keeps_its_name(worlds, tmp_path):
    file = picture(tmp_path / "in" / "cat.png")
    text = said("translate", worlds["colour"].run.path, file, "--out", tmp_path / "out")
    assert text.startswith(str(tmp_path / "out" / "cat.png"))
    assert (pixels(tmp_path / "out" / "cat.png") == 255 - pixels(file)).all()
    said("translate", worlds["colour"].run.path, file, "--out", tmp_path / "new" / "a.webp")
    assert (pixels(tmp_path / "new" / "a.webp") == 255 - pixels(file)).all()
    small = ptheta.translate(worlds["colour"].run, file, size=10)
    assert small.x.shape == (1, 3, 10, 15)


def test_styles_have_numbers(worlds, tmp_path):
    file = picture(tmp_path / "cat.png")
    made = ptheta.translate(worlds["varied"].run, file, styles=2, out=tmp_path / "out")
    assert [path.name for path in made.paths] == ["cat-1.png", "cat-2.png"]
    assert made.path == tmp_path / "out"
    first, second = map(pixels, made.paths)
    assert not (first == second).all()
    again = ptheta.translate(worlds["varied"].run, file, styles=2, seed=0)
    assert torch.equal(again.images[0][1], torch.from_numpy(second.copy()).permute(2, 0, 1))


@pytest.mark.parametrize("tile", [64, 100])
def test_tiles_of_one_picture_are_of_one_style(worlds, tmp_path, tile):
    file = picture(tmp_path / "wide.png", 70, 300)
    whole = ptheta.translate(worlds["varied"].run, file).x
    assert torch.equal(ptheta.translate(worlds["varied"].run, file, tile=tile).x, whole)


def test_pictures_of_every_kind_are_read_as_what_the_model_takes(worlds, tmp_path):
    grey, colour = worlds["grey"].run, worlds["colour"].run
    values = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    kinds = {
        "grey.png": Image.fromarray(values),
        "deep.png": Image.fromarray(values.astype(np.uint16) * 257),
        "colour.png": Image.fromarray(np.stack([values] * 3, -1)),
        "alpha.png": Image.fromarray(np.stack([values] * 3 + [np.full_like(values, 255)], -1)),
        "few.png": Image.fromarray(values).quantize(256, dither=Image.Dither.NONE),
    }
    for name, image in kinds.items():
        image.save(tmp_path / name)
        for run in (grey, colour):
            made = ptheta.translate(run, tmp_path / name).x
            assert made.shape == (1, 3, 8, 8)
            off = made[0].int() - (255 - torch.from_numpy(values)).int()
            assert off.abs().max() <= 2, name  # a palette is not exact
    clear = Image.fromarray(np.zeros((8, 8, 4), dtype=np.uint8))
    assert (ptheta.translate(colour, clear).x == 0).all()  # on white


def test_images_in_memory_are_taken_in_any_form(worlds, tmp_path):
    run, x = worlds["colour"].run, noise(3, 3, 5)
    wanted = torch.from_numpy(255 - x)
    forms: list[Any] = [
        x,
        torch.from_numpy(x),
        list(x),
        x.transpose(0, 2, 3, 1),
        [Image.fromarray(one.transpose(1, 2, 0)) for one in x],
        tuple(torch.from_numpy(x)),
    ]
    for form in forms:
        assert torch.equal(ptheta.translate(run, form).x, wanted)
    made = ptheta.translate(run, x, out=tmp_path / "out")
    assert [path.name for path in made.paths] == ["00000.png", "00001.png", "00002.png"]
    odd: list[Any] = [3, [], np.zeros((2, 2, 2, 2, 2)), [x], np.zeros((5, 7, 9), np.uint8)]
    odd += [x[:0], [x[:0]], np.zeros((3, 4, 4), complex), Image.new("L", (0, 3))]
    for bad in odd:
        with pytest.raises(PthetaError, match="give a path, a Pillow image"):
            ptheta.translate(run, bad)


@pytest.mark.parametrize(
    "beyond", [{"n": 0}, {"n": -1}, {"styles": 0}, {"styles": 1001}, {"size": 0}, {"seed": -1}]
)
def test_numbers_beyond_their_limits_are_refused(worlds, beyond):
    given = None if "n" in beyond else noise(3, 3, 5)
    with pytest.raises(PthetaError, match=r"^-.*: want \d+ or (more|less)$"):
        ptheta.translate(worlds["colour"].run, given, **beyond)


def test_label_maps_are_read_and_written_in_their_colours(worlds, tmp_path):
    numbers = torch.randint(3, (1, 9, 7))
    exact = MAPS.coloured(numbers)[0].permute(1, 2, 0).numpy()
    Image.fromarray(exact).save(tmp_path / "map.png")
    near = (exact.astype(int) + np.random.default_rng(0).integers(-9, 10, exact.shape)).clip(0, 255)
    Image.fromarray(near.astype(np.uint8)).save(tmp_path / "near.png")
    for name in ("map.png", "near.png"):
        made = ptheta.translate(worlds["to maps"].run, tmp_path / name, out=tmp_path / "out")
        assert (pixels(made.paths[0]) == exact).all()
    with pytest.raises(PthetaError, match="lossy, and each colour is a label"):
        ptheta.translate(worlds["to maps"].run, tmp_path / "map.png", out=tmp_path / "a.jpg")
    green = exact.copy()
    green[0, :5] = (0, 255, 0)
    with pytest.warns(UserWarning, match=r"7\.94% of the pixels are far from all 3 colours"):
        ptheta.translate(worlds["from maps"].run, Image.fromarray(green))


@pytest.mark.parametrize("kind", ["grey", "noise"])
def test_inputs_are_made_of_whole_pictures_as_in_training(kind, tmp_path):
    run = ptheta.train(Negative, noise(20, 3, 0), tmp_path / "r", pairs=kind, **HOW)
    file = picture(tmp_path / "cat.png", 9, 12)
    x = torch.from_numpy(pixels(file).copy()).permute(2, 0, 1)
    made = ptheta.translate(run, file, from_target=True, out=tmp_path / "out")
    inputs = 255 - made.x[0]
    if kind == "grey":
        assert torch.equal(inputs[0], torch.from_numpy(np.array(Image.open(file).convert("L"))))
    assert 3 < (inputs.float() - x.float()).abs().mean() < 80
    row = pixels(tmp_path / "out" / "cat.png")
    assert row.shape[1] == 3 * 12 + 2
    assert (row[-9:, -12:] == pixels(file)).all()
    assert "of 255 from the target" in made.about
    with pytest.raises(PthetaError, match="--from-target applies only to given images"):
        ptheta.translate(run, from_target=True)


def test_inputs_that_are_pictures_are_not_made(worlds):
    with pytest.raises(PthetaError, match="inputs of this run are not derived from its targets"):
        ptheta.translate(worlds["grey"].run, noise(1, 3, 0), from_target=True)


# -- folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, one of them in a subfolder, and two that are none."""
    for i, name in enumerate(("a.png", "b.bmp", "deep/er/c.png")):
        picture(tmp_path / "in" / name, 9 + i, 12, seed=i)
    (tmp_path / "in" / "bad.png").write_text("no picture")
    (tmp_path / "in" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00")
    return tmp_path / "in"


def test_a_folder_keeps_its_names_and_what_cannot_be_read_is_named(worlds, folder, tmp_path):
    with pytest.warns(UserWarning, match=r"2 of 5 pictures cannot be read.*bad\.png: not an ima"):
        made = ptheta.translate(worlds["colour"].run, folder, out=tmp_path / "out")
    names = [str(path.relative_to(tmp_path / "out")) for path in made.paths]
    assert sorted(names) == ["a.png", "b.png", "deep/er/c.png"]
    assert (pixels(tmp_path / "out/deep/er/c.png") == 255 - pixels(folder / "deep/er/c.png")).all()
    assert "3 images translated, 2 unreadable ones skipped" in made.about
    with pytest.warns(UserWarning, match="cannot be read"):
        assert len(ptheta.translate(worlds["colour"].run, folder).images) == 3


@pytest.mark.filterwarnings("ignore:2 of 5 pictures", "ignore:.*1 line is damaged")
def test_a_stopped_folder_is_gone_on_with(worlds, folder, tmp_path, monkeypatch):
    run, out, seen = worlds["colour"].run, tmp_path / "out", list[str]()
    from ptheta.api import translating

    before = translating.answers_to

    def stopping(*args: Any) -> Any:
        seen.append("")
        if len(seen) == 2:
            raise KeyboardInterrupt
        return before(*args)

    monkeypatch.setattr(translating, "answers_to", stopping)
    with pytest.raises(KeyboardInterrupt):
        ptheta.translate(run, folder, out=out)
    assert [path.name for path in out.rglob("*.png")] == ["a.png"]
    kept = (out / "a.png").stat().st_mtime_ns
    made = ptheta.translate(run, folder, out=out)
    assert "1 of them before" in made.about
    assert (out / "a.png").stat().st_mtime_ns == kept
    assert len(made.paths) == 3
    with pytest.raises(PthetaError, match="started with seed 0, and now seed is 1"):
        ptheta.translate(run, folder, out=out, seed=1)
    picture(folder / "a.png", 5, 5)
    os.utime(folder / "a.png", ns=(kept - 10**12,) * 2)  # an old one, moved here
    made = ptheta.translate(run, folder, out=out)
    assert "2 of them before" in made.about
    assert pixels(out / "a.png").shape == (5, 5, 3)
    (out / "b.png").unlink()
    with (out / ".ptheta-answered").open("a") as file:
        file.write('{"picture": "a.p')  # cut off by a kill
    assert "2 of them before" in ptheta.translate(run, folder, out=out).about
    assert "3 of them before" in ptheta.translate(run, folder, out=out).about


def test_names_that_differ_in_their_suffix_alone_stay_apart(worlds, tmp_path):
    for name in ("x.png", "x.bmp"):
        picture(tmp_path / "in" / name)
    made = ptheta.translate(worlds["colour"].run, tmp_path / "in", out=tmp_path / "out")
    assert sorted(path.name for path in made.paths) == ["x.bmp.png", "x.png.png"]


REFUSED = {
    "no such picture": (("missing.png", "--out", "o"), "no such image or folder"),
    "no pictures": (("empty", "--out", "o"), "contains no images"),
    "not a picture": (("in/bad.png", "--out", "o"), "cannot read bad.png: not an image"),
    "over itself": (("in/a.png", "--out", "in"), "would be overwritten"),
    "over themselves": (("in", "--out", "in"), "contains other files"),
    "a folder into a file": (("in", "--out", "o.png"), "several images are written into a folder"),
    "an array": (("in/a.png", "--out", "o.npy"), "give a name without a suffix"),
    "data of a picture": (("in/a.png", "--data", "in", "--out", "o"), "--data in: .*leave it out"),
    "scale of a picture": (("in/a.png", "--scale", "2", "--out", "o"), "--scale 2: .*leave it out"),
    "size without": (("--size", "9", "--out", "o"), "--size 9: .*leave it out"),
    "too small a tile": (("in/a.png", "--tile", "9", "--out", "o"), "--tile 9: want 64 or more"),
    "no styles": (("in/a.png", "--styles", "0", "--out", "o"), "--styles 0: want 1 or more"),
    "a domain": (("in/a.png", "--to", "x", "--out", "o"), "learned from pairs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_one_line_and_nothing_is_written(case, worlds, folder, monkeypatch):
    args, why = REFUSED[case]
    monkeypatch.chdir(folder.parent)
    (folder.parent / "empty").mkdir()
    before = sorted(folder.rglob("*"))
    with pytest.raises(PthetaError, match=why) as error:
        said("translate", worlds["colour"].run.path, *args)
    assert "\n" not in str(error.value)
    assert not list(folder.parent.glob("o*"))
    assert sorted(folder.rglob("*")) == before


def test_a_picture_beyond_all_sizes_is_refused_before_it_is_read(worlds, tmp_path):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    with pytest.raises(PthetaError, match=r"huge\.png: 10000x10000 pixels, more than"):
        ptheta.translate(worlds["colour"].run, tmp_path / "huge.png")


def test_what_it_gives_says_what_it_is(worlds, tmp_path):
    made = ptheta.translate(worlds["colour"].run, picture(tmp_path / "a.png"))
    assert isinstance(made, Translations)
    assert repr(made) == "Translations(1 image translated)"
    assert "<img" in made._repr_html_()
    assert isinstance(Images.of(made.x), Images)


# -- wherever a model that makes images of images is shown


@pytest.mark.parametrize(("name", "columns"), [("grey", 3), ("varied", 5), ("two", 3)])
def test_a_training_is_shown_by_what_it_makes_of_the_same_inputs(worlds, name, columns, tmp_path):
    world, model = worlds[name], worlds[name].run.model()
    data = world.data if model.domains() else model.condition.adapted(world.data)
    shown = picture_of(model, data, data.subset(slice(0, 20)))
    assert isinstance(shown, InputGrid)
    for file in ("a.png", "b.png"):
        with streams.seeded(0):
            shown.write(tmp_path / file, model)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    beside = Image.open(tmp_path / "a.png").width - 8 * (9 * columns - 1)
    assert (beside > 0) == bool(model.domains())  # the name of the domain stands left of a row
    assert len(shown.inputs) == 8
    assert picture_of(model, data) is not None  # of training data, where none are set aside


def test_samples_of_a_model_of_images_are_of_test_inputs(worlds, monkeypatch):
    run, model = worlds["grey"].run, worlds["grey"].run.model()
    assert (run.path / "samples" / "step-00000001.png").is_file()
    with pytest.raises(PthetaError, match=r"conditional on images.*give an input with --image"):
        ptheta.sample(run, 4)  # they were in memory
    data = with_conditions(model, worlds["grey"].data)
    monkeypatch.setattr(Run, "data", lambda self, split, source=None: data)
    inputs = data.shuffled(0).conditions(slice(0, 8))
    assert inputs is not None
    wanted = 255 - tensor_of(inputs, "image").expand(-1, 3, -1, -1)
    assert torch.equal(sampled(run, 4).x, wanted[:4])
    same = sampled(run, 16, same_noise=True)
    assert same.images.captions == tuple(f"input {i}" for i in range(1, 9))
    assert torch.equal(same.x[::2], wanted)


def sampled(run: Run, n: int, **options: Any) -> ptheta.api.Grid:
    grid = ptheta.sample(run, n, **options)
    assert isinstance(grid, ptheta.api.Grid)
    return grid


def test_a_report_shows_what_is_made_of_test_inputs(worlds):
    for name in ("varied", "two"):
        world, model = worlds[name], worlds[name].run.model()
        data = with_conditions(model, world.data)
        seen = pictures(Subject(model, None, data, data, 0))
        assert [one.title for one in seen] == ["Made of inputs"]
    assert can_ask(model, data)
    assert not can_ask(worlds["grey"].run.model(), replace(data, condition=None, labels=None))
