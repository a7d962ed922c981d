"""What torchrun and srun say of a process, and how the processes agree that they are one run."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.machines import free_port
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed import PrefixStore

import ptheta
from ptheta.errors import PthetaError
from ptheta.training import meeting
from ptheta.training.joining import Member, _error_of
from ptheta.training.launchers import (
    PORTS,
    Place,
    attempts,
    first_host,
    place_in,
    speaks,
    timeout,
)
from ptheta.training.meeting import Card, difference, interface, listed, meet
from ptheta.training.watch import Cause, Watch
from tests.training.test_processes import SLURM, STEP, TORCH

ELASTIC = TORCH | {"TORCHELASTIC_RUN_ID": "r", "TORCHELASTIC_USE_AGENT_STORE": "True"}
TASKS = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_TASKS_PER_NODE": "4(x2)", "SLURM_PROCID": "5"}
SRUN = SLURM | STEP | TASKS | {"SLURM_LOCALID": "1", "SLURM_NODEID": "1"}


def test_torchrun_says_everything():
    place = place_in(ELASTIC | {"TORCHELASTIC_RESTART_COUNT": "2"})
    assert place == Place("torchrun", 3, 4, 3, 4, "elsewhere", 22, hosted=True, attempt=2)
    assert not speaks(ELASTIC)
    assert speaks(ELASTIC | {"RANK": "0"})
    assert speaks({})
    assert attempts(ELASTIC | {"TORCHELASTIC_RESTART_COUNT": "2"}) == 2
    assert attempts(TORCH | {"TORCHELASTIC_RESTART_COUNT": "2"}) == 0


def test_srun_says_where_and_the_job_says_the_port(monkeypatch):
    monkeypatch.setenv("PATH", "")
    place = place_in(SRUN)
    assert place == Place("srun", 5, 8, 1, 4, "node1", PORTS[17])
    given = place_in(SRUN | {"MASTER_ADDR": "ib1", "MASTER_PORT": "99"})
    assert given is not None
    assert (given.address, given.port) == ("ib1", 99)
    assert place_in(SRUN | {"SLURM_JOB_ID": "99999999"}) != place  # its port


@pytest.mark.parametrize(
    "variables",
    [
        {},
        TORCH,
        SLURM,
        SLURM | STEP | {"SLURM_STEP_NUM_TASKS": "1"},
        ELASTIC | {"WORLD_SIZE": "1", "RANK": "0"},
    ],
)
def test_a_process_alone_is_a_run_of_its_own(variables):
    assert place_in(variables) is None


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({k: v for k, v in ELASTIC.items() if k != "MASTER_PORT"}, "MASTER_PORT is not set"),
        (ELASTIC | {"RANK": "first"}, "RANK='first' of the launcher is not a number"),
        (ELASTIC | {"RANK": "4"}, "rank 4 of 4 processes"),
        (ELASTIC | {"WORLD_SIZE": "9" * 20}, "start the command again"),
        (ELASTIC | {"MASTER_PORT": "0"}, "port 0, is no address"),
        (ELASTIC | {"MASTER_PORT": "99999"}, "MASTER_PORT from 1 to 65535"),
        (ELASTIC | {"MASTER_ADDR": " "}, "set MASTER_ADDR"),
        (ELASTIC | {"MASTER_ADDR": "a\nb"}, "is no address"),
        (SRUN | {"SLURM_NODELIST": "", "PATH": ""}, "the node list '' of this SLURM job"),
    ],
)
def test_what_contradicts_itself_is_refused_in_one_line(variables, text, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PthetaError, match=text) as caught:
        place_in(variables)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("node7", "node7"),
        ("node[1-2]", "node1"),
        ("gpu[07-09,12],cpu1", "gpu07"),
        ("a,b", "a"),
        ("r[1,3]n[04-09]-ib.site", "r1n04-ib.site"),
    ],
)
def test_the_first_machine_of_a_node_list(nodes, host, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    assert first_host(nodes) == host
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$2" = hostnames ] && printf "first\\nsecond\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert first_host(nodes) == "first"
    scontrol.write_text("#!/bin/sh\nexit 1\n")
    assert first_host(nodes) == host


@pytest.mark.parametrize(
    ("rank", "left", "text"),
    [(None, lambda: "continue", "lost; continue"), (None, None, "lost"), (1, str, "lost")],
)
def test_rank_0_says_how_to_go_on_after_a_loss(rank, left, text):
    member = Member(None, None, None, Path("shadow"), 1.0, left=left)  # type: ignore[arg-type]
    assert str(_error_of(Cause("lost", rank=rank), member)) == text


@given(st.text(max_size=20))
def test_any_text_is_a_time_out_or_refused(text):
    refused = False
    try:
        seconds = timeout({"PTHETA_TIMEOUT": text})
    except PthetaError:
        refused = True
    assert refused or 1 <= seconds <= 86_400


# -- meetings, of threads


def places(size: int) -> list[Place]:
    port = free_port()
    return [Place("srun", rank, size, rank, size, "127.0.0.1", port) for rank in range(size)]


def gather(runs: list[dict[str, str]], seconds: float, missing: int | None = None) -> list[str]:
    """What each process is told: the hosts that met, or an error."""
    meeting._opened.cache_clear()

    def come(place: Place) -> str:
        try:
            return f"met {len(meet(place, runs[place.rank], seconds).cards)}"
        except PthetaError as error:
            return str(error)

    came = [place for place in places(len(runs)) if place.rank != missing]
    with ThreadPoolExecutor(len(came)) as pool:
        return list(pool.map(come, came))


def test_those_that_are_alike_meet():
    assert gather([{"torch": "2", "--steps": "3"}] * 3, 20) == ["met 3"] * 3


def test_whoever_differs_all_say_the_same_line():
    told = gather([{"torch": "2"}, {"torch": "2"}, {"torch": "3"}], 20)
    assert len(set(told)) == 1
    assert "rank 2 on" in told[0]
    assert "torch is 3, and 2 in rank 0" in told[0]
    assert "\n" not in told[0]


def test_runs_of_different_sizes_do_not_meet():
    meeting._opened.cache_clear()
    two, three = places(2), places(3)
    mixed = [two[0], replace(three[1], port=two[0].port)]

    def come(place: Place) -> str:
        with pytest.raises(PthetaError) as error:
            meet(place, {}, 20)
        return str(error.value)

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(come, mixed))
    assert told[0] == told[1]
    assert "the number of processes is 3, and 2 in rank 0" in told[0]


def test_another_program_that_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(meeting, "SPARE", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = Place("torchrun", 1, 2, 1, 2, "127.0.0.1", server.getsockname()[1], hosted=True)
        with pytest.raises(PthetaError, match="another program listens there"):
            meet(place, {}, 1.0)


def test_a_process_that_is_lost_before_it_is_watched_is_told_in_one_line():
    meeting._opened.cache_clear()
    both = places(2)
    with ThreadPoolExecutor(2) as pool:
        met = list(pool.map(lambda place: meet(place, {}, 20), both))
    own = PrefixStore(met[0].name, meeting.connect(both[0], 20))
    with pytest.raises(PthetaError, match=r"rank 0 .* was not connected to all of them within 1 s"):
        Watch(met[0], own, 0, 1.0, lambda: None)


def test_who_does_not_come_is_named_in_time():
    told = gather([{}] * 3, 1.5, missing=2)
    assert len(set(told)) == 1
    assert "rank 2 of 3 did not come to 127.0.0.1" in told[0]


def test_without_a_way_to_rank_0_each_says_so():
    told = gather([{}] * 3, 1.0, missing=0)
    assert [text.partition(" on ")[0] for text in told] == ["rank 1 of 3", "rank 2 of 3"]
    assert all("did not meet rank 0 at 127.0.0.1" in text for text in told)
    assert all("PTHETA_TIMEOUT" in text for text in told)


def test_remains_of_an_earlier_meeting_are_not_taken_for_this_one():
    """As after torchrun has started the processes again: its store is the same."""
    meeting._opened.cache_clear()
    first, second = places(2)
    for attempt in range(2):
        late = threading.Timer(0.4 * attempt, lambda: None)
        late.start()
        with ThreadPoolExecutor(2) as pool:
            other = pool.submit(meet, second, {}, 20.0)
            late.join()  # the other one finds the old meeting first
            mine, theirs = pool.submit(meet, first, {}, 20.0).result(), other.result()
        assert mine.name == theirs.name
        assert mine.cards == theirs.cards


def test_differences_name_what_and_where():
    cards = [Card("a", 1, 0, {"--lr": "1"}), Card("b", 2, 0, {"--lr": "1", "--ema": "0.9"})]
    assert difference(cards[:1]) == ""
    assert "rank 1 on b: --ema is 0.9, and not given in rank 0 on a" in difference(cards)
    assert json.loads(cards[0].to_text())["host"] == "a"
    assert Card.read(cards[1].to_text()) == cards[1]


def test_many_ranks_are_listed_briefly():
    assert listed([3]) == "rank 3"
    assert listed([1, 3]) == "ranks 1 and 3"
    assert listed(list(range(20))).endswith("7 and 12 more")


def test_the_interface_of_the_loopback_is_found():
    assert interface("127.0.0.1", 80) in ("lo", "lo0")
    assert interface("no.such.host.invalid", 80) is None


# -- what only one process can do


@pytest.fixture
def rank(monkeypatch):
    for key, value in ELASTIC.items():
        monkeypatch.setenv(key, value)


def test_the_number_of_processes_agrees_or_is_refused(rank, tmp_path):
    with pytest.raises(PthetaError, match="processes = 2, but torchrun has started 4"):
        ptheta.train("vae", "digits", tmp_path / "r", steps=1, processes=2)
    with pytest.raises(PthetaError, match="a sweep has several: start the sweep once"):
        ptheta.sweep("vae", "digits", tmp_path / "r", [{}], steps=1)
    assert not list(Path(tmp_path).iterdir())
