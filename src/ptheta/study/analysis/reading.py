"""What is analysed: the folder of a study, its `answers.csv`, or public answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ptheta.errors import PthetaError
from ptheta.files.atomic import there
from ptheta.files.paths import expand
from ptheta.schemas import Study
from ptheta.study import export
from ptheta.study.analysis.stein import is_public, read_public
from ptheta.study.analysis.table import Table
from ptheta.study.files import ANSWERS_FILE, STUDY_FILE, Answer, read_answers, read_study
from ptheta.study.plan import DATABASE


@dataclass(frozen=True)
class Read:
    """The answers of a study.

    name: of the study, where its files say none
    folder: that a report belongs into
    file: that the answers are from; None: the database
    answers: empty where `public` is given
    public: aggregated answers of Stein et al. 2023
    """

    name: str
    folder: Path
    answers: tuple[Answer, ...] = ()
    study: Study | None = None
    public: Table | None = None
    file: Path | None = None


def read(place: str | Path) -> Read:
    """Reads a study.

    Args:
        place: Its folder, in which answers are in the database of the server or else in
            `answers.csv`; or a file of answers, next to which `study.json` may be; or a file of
            the public answers of Stein et al. 2023.

    Raises:
        PthetaError: if there is nothing to read, or it is damaged.
    """
    path = expand(place)
    if path.is_dir():
        return _folder(path)
    if not there(path):
        raise PthetaError(f"no folder or file {path}: give the folder of a study, or answers.csv")
    if is_public(path):
        return Read(path.stem, path.parent, public=read_public(path))
    return Read(path.stem, path.parent, tuple(read_answers(path)), _study(path.parent), file=path)


def _folder(path: Path) -> Read:
    file = None
    if (path / DATABASE).exists():
        answers = export.answers(path)
    elif (path / ANSWERS_FILE).exists():
        file = path / ANSWERS_FILE
        answers = read_answers(file)
    else:
        raise PthetaError(
            f"{path} holds no answers, neither {ANSWERS_FILE} nor {DATABASE}: give the folder of a "
            "study that people have answered"
        )
    return Read(path.name, path, tuple(answers), _study(path), file=file)


def _study(folder: Path) -> Study | None:
    path = folder / STUDY_FILE
    return read_study(path) if path.exists() else None
