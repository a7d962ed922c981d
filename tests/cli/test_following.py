"""The command that is named next can be given as it stands; places and tables of the verbs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptheta import api
from ptheta.api import sweep
from ptheta.capabilities import capabilities
from ptheta.cli import main
from ptheta.cli.commands import cli
from ptheta.cli.following import after_fit, after_sweep, after_training
from ptheta.cli.tables import wrapped
from ptheta.conditions import Labels, Several, Text
from ptheta.errors import PthetaError
from ptheta.models import registry
from ptheta.specs import ImageSpec, VectorSpec
from tests.cli.helped import help_of

NEEDS = {
    "fit": {"encodes", "decodes"},
    "sample": {"samples"},
    "translate": {"translates"},
    "inpaint": {"completes"},
    "evaluate": set(),
    "compare": set(),
}
AWKWARD = ["runs/vae", "a b", "it's", "$HOME", "`ls`", "-n", "a\nb"]

GREY, ROWS = ImageSpec(1, 8, 8), VectorSpec.of(2)


def commands(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Each command of a line with its parsed options, as click reads it."""
    found = []
    for part in text.split(", then "):
        program, verb, *words = shlex.split(part)
        assert program == "ptheta"
        command = cli.commands[verb]
        found.append((verb, command.make_context(verb, words).params))
    return found


@pytest.mark.parametrize("name", registry.MODELS)
def test_the_next_command_works_for_what_was_trained(name: str) -> None:
    can = set(capabilities(registry.entry(name).load_model()))
    said = commands(after_training(name, "runs/x", GREY, Labels(("a", "b", "c"))))
    for verb, params in said:
        assert NEEDS[verb] <= can, verb
        assert params["run"] == "runs/x"
        if verb == "fit":
            can.add("samples")  # by the prior that it fits
        if verb == "translate":
            assert params["to"] == "c"  # of several domains one must be named
    makes = {"translate": "translates", "sample": "samples", "inpaint": "completes"}
    assert said[-1][0] in makes or not can & set(makes.values())


def test_a_model_of_captions_is_asked_for_one() -> None:
    text = Text(("a", "red", "circle"), 3, ("a red circle", "a circle"))
    ((verb, params),) = commands(after_training("text-gan", "runs/x", GREY, text))
    assert (verb, params["captions"]) == ("sample", ("a circle",))
    several = Several((Labels(("a", "b")), text))
    ((_, params),) = commands(after_training("gan", "runs/x", GREY, several))
    assert params["captions"] == ()


@pytest.mark.parametrize("run", AWKWARD)
def test_the_next_command_is_quoted_for_a_shell(run: str) -> None:
    for text in (after_training("vae", run, GREY), after_fit(run, GREY)):
        assert Path(commands(text)[0][1]["run"]) == Path(run)
    (verb, params), *_ = commands(after_sweep(Path(run)))
    assert verb == "compare"
    assert [Path(path) for path in params["runs"]] == [Path(run)]


def test_rows_are_sampled_into_a_table() -> None:
    for text in (after_training("made", "x", ROWS), after_fit("x", ROWS)):
        assert text == "ptheta sample x --out rows.csv"


@pytest.mark.slow
def test_an_autoencoder_samples_after_the_named_commands(strokes: Path, tmp_path: Path) -> None:
    run = api.train(
        *("ae", strokes, tmp_path / "ae"), hidden=(8,), latent=2, steps=2, sample_every=0
    )
    for part in after_training("ae", run.path, run.spec).split(", then "):
        words = shlex.split(part)[1:]
        words = [str(tmp_path / w) if w.endswith(".png") else w for w in words]
        with pytest.raises(SystemExit) as ended:
            main([*words, "-n", "4"] if words[0] == "sample" else words)
        assert ended.value.code == 0
    assert (tmp_path / "grid.png").exists()


@pytest.mark.parametrize("bad", ["all", "some"])
def test_a_sweep_says_what_failed_by_its_status(
    bad: str, strokes: Path, tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And tries it again where it is called again."""
    calls: list[str] = []

    def train(model: str, data: str, out: Path, **options: Any) -> Any:
        calls.append(out.name)
        if bad == "all" or out.name == "lr=0.1,seed=0":
            raise PthetaError("the loss is nan")
        return api.train(model, data, out, **options)

    monkeypatch.setattr("ptheta.api.sweeping.train", train)
    words = ["sweep", "vae", "--data", str(strokes), "--out", str(tmp_path / "s"), "--seeds", "1"]
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--steps", "2", "--vary", "lr=0.1,0.01"])
        assert ended.value.code == (1 if bad == "all" else 0)
        told = capfd.readouterr()
        failed = 2 if bad == "all" else 1
        assert f"{2 - failed} runs trained, {failed} failed (run the same command" in told.out
        assert ("next:" in told.out) == (bad == "some")
        assert "1 of 2: lr=0.1,seed=0" in told.err
        assert "lr=0.1,seed=0: failed: the loss is nan" in told.err
    assert len(calls) == 4


@pytest.mark.parametrize("verb", [api.train, sweep])
def test_a_bad_place_is_refused_before_the_data_is_read(verb: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    more: tuple[Any, ...] = ([{}],) if verb is sweep else ()
    with pytest.raises(PthetaError, match="is a file"):
        verb("vae", "no-such-data", tmp_path / "file", *more, steps=1)
    with pytest.raises(PthetaError, match="bytes"):
        verb("vae", "no-such-data", tmp_path / ("x" * 300), *more, steps=1)


CELL = st.text("abcd (.)-", max_size=60)


@given(st.lists(st.tuples(st.text("ab_", max_size=12), CELL), min_size=1), st.integers(40, 120))
def test_a_wrapped_table_fits_and_loses_no_word(rows: list[tuple[str, str]], width: int) -> None:
    lines = wrapped(rows, width)
    assert all(len(line) <= width or " " not in line.strip() for line in lines)
    assert "".join(" ".join(lines).split()) == "".join("".join(map("".join, rows)).split())
    whole = wrapped(rows, None)
    assert len(whole) == len(rows)


def test_the_list_of_models_fits_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from ptheta.cli import tables

    monkeypatch.setattr(tables, "columns", lambda: 80)
    with pytest.raises(SystemExit):
        main(["models"])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert all(name in out for name in registry.MODELS)
    told = " ".join(out.split())
    assert all(entry.about in told for entry in registry.models().values())


@pytest.mark.parametrize("name", registry.MODELS)
def test_help_says_what_a_recipe_is(name: str) -> None:
    text = help_of(name)
    for recipe in registry.entry(name).recipes().values():
        assert recipe["about"].split()[0] in text
    assert " Recipes: " in text
