"""Memory that runs out is one line, and costs nothing that was written before."""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import ptheta
from ptheta.cli import main
from ptheta.errors import OutOfMemory, PthetaError, lacking, out_of_memory
from ptheta.models.variational.vae import VAE
from ptheta.training import checkpoint, rank, ranks
from ptheta.training.exhausted import enough_memory
from ptheta.training.group import Group
from ptheta.training.settings import TrainSettings
from tests.training.test_runs import QUIET, same

OF_GPU = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 1 has a total capacity of 79.10 GiB of "
    "which 1.25 GiB is free. Process 7 has 77.85 GiB memory in use."
)
OF_CPU = (
    "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 4294967296 bytes. Error code 12 (Cannot allocate memory)"
)
ERRORS: dict[str, tuple[BaseException, str]] = {
    "gpu": (
        torch.OutOfMemoryError(OF_GPU),
        "out of memory on GPU 1 (tried to allocate 20.00 GiB, 1.25 GiB of 79.10 GiB are free)",
    ),
    "cpu": (RuntimeError(OF_CPU), "out of memory (tried to allocate 4.0 GiB)"),
    "numpy": (
        MemoryError("Unable to allocate 7.28 TiB for an array with shape (1000000, 1000000)"),
        "out of memory (tried to allocate 7.28 TiB)",
    ),
    "python": (MemoryError(), "out of memory"),
    "mps": (
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB). Tried to allocate 8 MB"),
        "out of memory (tried to allocate 8 MB)",
    ),
    "cublas": (
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"),
        "out of memory",
    ),
    "driver": (RuntimeError("CUDA error: out of memory"), "out of memory"),
    "nccl": (RuntimeError("NCCL error: Cuda failure 2 'out of memory'"), "out of memory"),
    "cufft": (RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"), "out of memory"),
    "system": (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
    "loader": (
        ImportError("libstdc++.so.6: failed to map segment from shared object"),
        "out of memory",
    ),
}
HOW: dict[str, Any] = {**QUIET, "hidden": (8,), "latent": 2, "levels": 2, "checkpoint_every": 2}
HOW |= {"threads": 1, "device": "cpu"}


@pytest.mark.parametrize("kind", ERRORS)
def test_what_is_known_of_the_memory_is_said(kind):
    error, words = ERRORS[kind]
    assert lacking(error) == words
    told = out_of_memory(error)
    assert told is not None
    assert str(told) == f"{words}: use fewer or smaller examples, or a smaller model"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a fault"),
        *(ValueError("out of memory"), KeyError(), ImportError("no module")),
        RuntimeError("not enough memory slots in the network"),  # of the user's own model
        RuntimeError("cannot read /data/out of memory.pt"),
        PthetaError("CUDA out of memory.npy does not exist"),
        OSError(errno.ENOSPC, "No space left on device"),
        ImportError("x.so: failed to map segment from shared object: Operation not permitted"),
    ],
)
def test_other_errors_are_no_lack_of_memory(error):
    assert lacking(error) is None
    assert out_of_memory(error) is None


@contextmanager
def exhausted(patch: pytest.MonkeyPatch, kind: str, after: int = 0) -> Iterator[None]:
    """Context in which a VAE has no memory to infer with after so many calls."""
    infer, calls = VAE.infer, iter(range(after))

    def failing(model: VAE, *args: Any) -> Any:
        if next(calls, None) is None:
            raise ERRORS[kind][0]
        return infer(model, *args)

    with patch.context() as inside:
        inside.setattr(VAE, "infer", failing)
        yield


@pytest.mark.parametrize("kind", ["gpu", "cpu", "python"])
def test_a_verb_is_one_line(kind, monkeypatch, capsys, tmp_path):
    with exhausted(monkeypatch, kind), pytest.raises(SystemExit) as ended:
        main(["encode", "example:vae", "--out", str(tmp_path / "codes.npy")])
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert said[-1].startswith(f"ptheta: {ERRORS[kind][1]}: use fewer or smaller examples")
    assert "Traceback" not in "".join(said)
    assert not list(tmp_path.iterdir())


def train_words(data: Path, out: Path, *more: str) -> list[str]:
    words = ["vae", "--data", str(data), "--out", str(out), "--steps", "6"]
    for name, value in HOW.items():
        text = "8" if name == "hidden" else str(value)
        words += [f"--{name.replace('_', '-')}", text]
    return ["train", *words, *more]


@pytest.mark.parametrize("kind", ["gpu", "cpu"])
def test_a_training_keeps_its_checkpoint_and_goes_on(kind, monkeypatch, capsys, strokes, tmp_path):
    whole = ptheta.train("vae", strokes, tmp_path / "whole", steps=6, **HOW)
    out = tmp_path / "run"
    with exhausted(monkeypatch, kind, after=5), pytest.raises(SystemExit) as ended:
        main(train_words(strokes, out))
    assert ended.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"ptheta: {ERRORS[kind][1]} with --batch-size 8 on cpu: ")
    assert "the checkpoint of step 4 is kept, and --resume goes on from it" in line
    last = checkpoint.latest(out / "state")
    assert last is not None
    assert checkpoint.step_of(last) == 4
    parts = ptheta.train("vae", strokes, out, steps=6, resume=True, **HOW)
    assert same(whole.path, parts.path)


def test_without_a_checkpoint_there_is_none_to_go_on_from(monkeypatch, strokes, tmp_path):
    with (
        exhausted(monkeypatch, "cpu"),
        pytest.raises(OutOfMemory, match="on cpu: give a smaller --batch-size or") as error,
    ):
        ptheta.train("vae", strokes, tmp_path / "run", steps=6, **HOW)
    assert error.value.__cause__ is ERRORS["cpu"][0]  # a program sees where


def test_half_precision_is_advised_on_a_gpu_only(tmp_path):
    settings = TrainSettings(steps=1, batch_size=512)
    for half, words in ((None, "--batch-size, --precision bf16-mixed"), (torch.bfloat16, "")):
        group = Group(torch.device("cuda", 1), half=half)
        with (
            pytest.raises(OutOfMemory, match="--batch-size 512 on cuda:1: give a") as error,
            enough_memory(settings, tmp_path, group),
        ):
            raise ERRORS["gpu"][0]
        assert words in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(RuntimeError, match="a fault"), enough_memory(settings, tmp_path, group):
        raise RuntimeError("a fault")


@pytest.fixture
def signals() -> Iterator[None]:
    """Signals are blocked afterwards as they were before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def runs_out(number: int, out: str) -> None:
    """One of two processes has no memory left, in a training or in other work."""
    if number == 0:
        return
    if not out:
        raise ERRORS["gpu"][0]
    with enough_memory(TrainSettings(steps=1), Path(out), Group(rank=number, size=2)):
        raise ERRORS["cpu"][0]


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("none", r"4.0 GiB\) with --batch-size 64 on cpu, 2 processes: give a smaller"),
        ("", "20.00 GiB, .*: use fewer or smaller examples"),
    ],
)
def test_a_process_of_several_says_it(out, words, signals):
    assert rank._outcome(0, runs_out, (out,)).done
    refused = rank._outcome(1, runs_out, (out,)).refusal
    assert isinstance(refused, OutOfMemory)
    assert re.search(words, str(refused))


@pytest.mark.slow
def test_several_processes_are_one_line():
    with pytest.raises(OutOfMemory, match="on cpu, 2 processes: give a smaller"):
        ranks.spread(runs_out, ("none",), 2)
