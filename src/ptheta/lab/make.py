"""From a page's name to a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptheta.api.limits import check_numbers
from ptheta.compute.streams import undisturbed
from ptheta.errors import PthetaError
from ptheta.files.atomic import make_folder, write_text
from ptheta.files.out import check_new
from ptheta.lab.asked import Asked
from ptheta.lab.html import html
from ptheta.lab.parts import Number, Page
from ptheta.lab.table import entry
from ptheta.runs.folder import Run

LARGEST = 2_000_000  # bytes of a page


@dataclass(frozen=True)
class Learned:
    """A page that was made.

    Attributes:
        page: Its content.
        path: The HTML file, or None if none was asked for.
    """

    page: Page
    path: Path | None

    @property
    def numbers(self) -> list[Number]:
        """All numbers of the page that theory says something about."""
        return [n for n in self.page.numbers() if n.theory is not None]

    @property
    def disagree(self) -> list[Number]:
        """Those that differ from theory by more than their tolerance."""
        return [n for n in self.numbers if not n.holds]


@undisturbed()
def learn(
    name: str,
    out: str | Path | None = None,
    *,
    seed: int = 0,
    runs: str | Path | Run | Sequence[str | Path | Run] = (),
    force: bool = False,
) -> Learned:
    """Computes a page of the theory lab and writes it as one self-contained HTML file.

    Args:
        name: The page; see `ptheta.lab.PAGES` or `ptheta learn`.
        out: The file, ending in .html; None writes nothing.
        seed: Seed of every random number on the page.
        runs: Trained runs, or one, to show where the page would otherwise train models itself.
        force: Replace the file if it exists.

    Returns:
        The page with its numbers.

    Raises:
        PthetaError: If there is no such page, the seed is out of range, the file cannot be
            written or exists, or the page does not use runs.
    """
    found = entry(name)
    check_numbers(seed=seed)
    place = check_new(out, (".html",), "--out", force)
    if runs and not found.shows:
        raise PthetaError(f"--runs: the page {name} shows no given runs; leave --runs out")
    several = (runs,) if isinstance(runs, str | Path | Run) else tuple(runs)
    page = found.load()(Asked(seed, tuple(Run.open(run) for run in several)))
    if place is not None:
        make_folder(place.parent)
        write_text(place, html(name, page, seed))
    return Learned(page, place)
