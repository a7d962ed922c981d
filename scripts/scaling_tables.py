"""Markdown tables of training on several processes: what was measured, and what a model says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from benchmarks import scaling_model
from benchmarks.scaling import CASES

from scripts.seed_tables import RESULTS, markdown

PAIR = RESULTS / "scaling.json"
STEPS = (RESULTS / "scaling_steps.json", RESULTS / "scaling_steps_gpu.json")
TWICE = ", twice the batch"


def rates() -> str:
    """Steps per second of one and of two processes, and the efficiencies."""
    head = ["game", "players", "batch", "one: steps/s", "two", "strong", "without messages"]
    rows = [[*head, f"two{TWICE}", "weak", "without messages"]]
    for name, game in _games().items():
        rate = {way: f"{median:.1f}" for way, (median, *_) in game["steps_per_s"].items()}
        silent = game["without_sending"]
        rows.append(
            [
                *(f"`{_model(name)}`", str(game["players"]), str(game["batch"])),
                *(rate["one"], rate["two"], f"{game['strong_efficiency']:.2f}"),
                f"{silent['strong_efficiency']:.2f}",
                *(rate[f"two{TWICE}"], f"{game['weak_efficiency']:.2f}"),
                f"{silent['weak_efficiency']:.2f}",
            ]
        )
    return markdown(rows)


def messages() -> str:
    """What is sent, how long it takes, and how near the model is."""
    head = ["game", "weights", "messages in a step", "kB in a step", "of these gathered"]
    head += ["share of the time", "ms waiting", "ms sending", "ms by the model"]
    rows = [[*head, "error of the step: strong", "weak"]]
    for name, game in _games().items():
        spent, found = game["communication"], game["predicted"]
        errors = (found[how]["relative_error_of_seconds"] for how in ("strong", "weak"))
        rows.append(
            [
                *(f"`{_model(name)}`", f"{game['parameters']:,}"),
                f"{game['messages_per_step']:.1f}",
                f"{game['payload_bytes_per_step'] / 1e3:,.1f}",
                f"{game['gathered_bytes_per_step'] / 1e3:,.1f}",
                f"{spent['share']:.2f}",
                f"{1e3 * spent['waiting_seconds']:.2f}",
                f"{1e3 * spent['transfer_seconds']:.2f}",
                f"{1e3 * found['strong']['communication_seconds']:.2f}",
                *(f"{100 * error:+.0f} %" for error in errors),
            ]
        )
    return markdown(rows)


def loopback() -> str:
    """The interface between the two processes, in a sentence."""
    found = json.loads(PAIR.read_text(encoding="utf-8"))
    link = found["link"]
    times = {one["bytes"]: one["seconds"] for one in link["all_reduce"]}
    errors = [abs(one["relative_error_of_fit"]) for one in link["all_reduce"]]
    least, most = min(times), max(times)
    return (
        f"Measured on {found['device']}, torch {found['torch']}, load average of other work before "
        f"{found['load_before']}, medians of {found['rounds']} rounds. An all-reduce of {least} "
        f"bytes takes {1e6 * times[least]:.0f} us, one of {most / 2**20:.0f} MiB "
        f"{1e3 * times[most]:.1f} ms. The fit has a latency of {1e6 * link['latency_seconds']:.0f} "
        f"us a step and a bandwidth of {link['bandwidth_bytes_per_s'] / 1e9:.2f} GB/s, and is off "
        f"by at most {100 * max(errors):.0f} %. The interface carried "
        f"{link['bytes_of_interface_per_byte_and_process']:.3f} bytes for each byte of the formula."
    )


def clusters() -> str:
    """The model of every cluster, from the steps of each device that was measured."""
    parts = []
    for file in STEPS:
        if not file.exists():
            continue
        about, _ = scaling_model.read(file)
        what = f"Steps of **{about['device']}**"
        sizes = f"weak: a batch of {about['batch']} for each; strong: {about['total']} for all"
        for cluster in scaling_model.CLUSTERS:
            rows = scaling_model.table(file, cluster)
            parts.append(f"{what}; {cluster.name}; {sizes}.\n\n{markdown(rows)}")
    return "\n\n".join(parts)


def links() -> str:
    """The links with their sources."""
    issue = re.compile(r"https://github\.com/NVIDIA/([\w-]+)/issues/(\d+)")
    text = issue.sub(r"[\1#\2](\g<0>)", markdown(scaling_model.links()))
    return re.sub(r"https://\S+/([\w.]+\.cc)", r"[NCCL \1](\g<0>)", text)


def others() -> str:
    """The model of an all-reduce beside what others have measured."""
    return markdown(scaling_model.beside_others())


def _games() -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads(PAIR.read_text(encoding="utf-8"))["games"]
    return found


def _model(name: str) -> str:
    """The model with the options that shorten its steps."""
    options = (f"--{key} {_words(value)}" for key, value in CASES[name].small.items())
    return " ".join([name, *options])


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
