"""Runs on the Hugging Face hub: `hf://ORG/NAME` in place of a run folder.

A run is downloaded into the cache of `huggingface_hub` and is read-only there. Only the files in
`FILES` are downloaded: JSON and safetensors, so that opening a run from the hub executes no code.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.files.paths import HUB
from ptheta.runs.prior import FOLDER, GRID, NAME

T = TypeVar("T")
OF_A_RUN = ("config.json", "model.safetensors", "data.safetensors", "metrics.jsonl")
FILES = (*OF_A_RUN, "evaluation.json", NAME, GRID, *(f"{FOLDER}/{name}" for name in OF_A_RUN))
PART = r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9])?"
REVISION = r"(?!.*\.\.)\w[\w./+-]{0,199}"  # it is part of a path in the cache
ADDRESS = re.compile(rf"(?P<name>{PART}/{PART})(?:@(?P<revision>{REVISION}))?", re.ASCII)
DOWNLOADS = Path(".cache", "huggingface", "download")  # what the library notes in a --local-dir
MAIN = "main"  # the revision that is meant if none is named


@dataclass(frozen=True)
class Address:
    """A run on the hub.

    Attributes:
        name: Organisation or user, and repository: "org/name".
        revision: A branch, a tag or a commit.
    """

    name: str
    revision: str = MAIN

    def __str__(self) -> str:
        return f"{HUB}{self.name}{f'@{self.revision}' if self.revision != MAIN else ''}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """`org/name`, `hf://org/name` or either with `@revision`.

        Raises PthetaError for another text.
        """
        found = ADDRESS.fullmatch(text.removeprefix(HUB))
        if found is None:
            raise PthetaError(
                f"{brief(text)} is no name on the hub: want ORG/NAME, of letters, digits, "
                "-, _ and ., as in my-team/digits-vae; a revision follows as @NAME"
            )
        return cls(found["name"], found["revision"] or MAIN)


def library() -> ModuleType:
    """huggingface_hub. Raises PthetaError if it is not installed."""
    try:
        import huggingface_hub
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError:
        raise PthetaError("runs on the hub need the extra: pip install 'ptheta[hub]'") from None
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # errors are raised below
    disable_progress_bars()
    return huggingface_hub


def fetched(text: str) -> Path:
    """The folder in the cache of the run `hf://ORG/NAME`, downloaded if it is not there or is not
    the newest.

    Raises PthetaError for an invalid address, and if the run cannot be downloaded.
    """
    at = Address.parse(text)
    hub = library()
    return Path(
        asked(
            f"cannot load {at} from the hub",
            lambda: hub.snapshot_download(
                at.name, revision=at.revision, allow_patterns=list(FILES)
            ),
        )
    )


def uploaded(to: Address, files: Mapping[str, Path | bytes], private: bool) -> str:
    """Uploads files in one commit, so that others see all of them or none.

    Args:
        to: where; the repository is created if it does not exist
        files: path in the repository -> a local file, or the contents
        private: whether a repository that is created is visible to its owner only

    Returns:
        The address of the commit on the web.

    Raises:
        PthetaError: if the hub cannot be reached, or refuses
    """
    hub = library()
    api = hub.HfApi()
    added = [
        hub.CommitOperationAdd(name, data if isinstance(data, bytes) else str(data))
        for name, data in files.items()
    ]

    def upload() -> str:
        api.create_repo(to.name, private=private, exist_ok=True)
        if to.revision != MAIN:
            api.create_branch(to.name, branch=to.revision, exist_ok=True)
        done = api.create_commit(
            to.name, added, commit_message="Upload of a run of ptheta", revision=to.revision
        )
        return str(done.commit_url)

    return asked(f"cannot push to {to}", upload)


CURES: Mapping[str, str] = {
    "LocalTokenNotFoundError": "log in with `hf auth login`, or set HF_TOKEN",
    "GatedRepoError": "ask its owner for access, and log in with `hf auth login`",
    "RepositoryNotFoundError": "check the name; a private one needs `hf auth login` or HF_TOKEN",
    "RevisionNotFoundError": "check the part after @: a branch, a tag or a commit",
    "HFValidationError": "the hub has no such names: without --, .. and an end in .git",
    "OfflineModeIsEnabled": "unset HF_HUB_OFFLINE",
    "LocalEntryNotFoundError": "check the network, and HF_ENDPOINT if it is set",
    "ConnectError": "check the network, and HF_ENDPOINT if it is set",
}
STATUS: Mapping[int, str] = {
    401: "log in with `hf auth login`, or set HF_TOKEN",
    403: "the token needs write access to this repository",
}


def asked(failure: str, ask: Callable[[], T]) -> T:
    """The answer of the hub. failure: what is said if there is none.

    Raises PthetaError with the kind of error and what to do about it.
    """
    try:
        return ask()
    except Exception as error:  # the library raises many kinds, for names and networks alike
        from huggingface_hub.errors import HfHubHTTPError

        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        kinds = (kind.__name__ for kind in type(error).__mro__)
        cure = STATUS.get(status or 0) or next(
            (CURES[kind] for kind in kinds if kind in CURES), "try again later"
        )
        said = f"{type(error).__name__}{f', status {status}' if status else ''}"
        raise PthetaError(f"{failure} ({said}): {cure}") from error


def address_in(folder: Path) -> str | None:
    """`hf://ORG/NAME@COMMIT` if a folder is that of a run in the cache of the hub, or is in such a
    folder; else None."""
    for _, place in _within(folder):
        repository = place.parent.parent.name
        if place.parent.name == "snapshots" and repository.startswith("models--"):
            name = repository.removeprefix("models--").replace("--", "/", 1)
            return f"{HUB}{name}@{place.name[:12]}"
    return None


def is_downloaded(folder: Path) -> bool:
    """Whether the run in a folder came from the hub: into its cache, or by `hf download
    --local-dir`. Where its files are says so, and nothing that is written in them."""
    if address_in(folder) is not None:
        return True
    return any(
        (place / DOWNLOADS / rest / "config.json.metadata").is_file()
        for rest, place in _within(folder)
    )


def _within(folder: Path) -> Iterator[tuple[Path, Path]]:
    """The folders that a folder is in, from itself upwards, each with the path of it in there; by
    its name, and with links followed."""
    for text in dict.fromkeys((os.path.abspath(folder), os.path.realpath(folder))):
        own = Path(text)
        for place in (own, *own.parents):
            yield own.relative_to(place), place
