"""Commands of the human study: new, serve, export, people."""

from __future__ import annotations

import re
import secrets
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import click

from ptheta.cli import types
from ptheta.cli.common import Parsed, cli, whole
from ptheta.cli.help import MEASURE, Commands
from ptheta.cli.tables import print_table
from ptheta.errors import PthetaError
from ptheta.files.paths import expand
from ptheta.terminal.progress import shown

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LEAST_TOKEN = 8  # characters
MOST_TEXT = 100_000  # bytes of a file of consent
FOLDER = click.argument("folder", type=types.SOURCE)
PROTOCOLS = ("hype-infinity", "hype-time", "2afc", "pairs", "rating")


@cli.group(cls=Commands, panel=MEASURE)
def study() -> None:
    """Ask people whether images look real, and analyse their answers.

    `ptheta study new` writes the folder of a study, `serve` shows it in browsers, `export` writes
    the answers as a table, and `report` analyses them.
    """


@study.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=types.SOURCE)
@click.option(
    "--protocol",
    metavar="NAME",
    required=True,
    shell_complete=types.one_of(PROTOCOLS),
    help="What is asked: hype-infinity (real or fake, unlimited time), hype-time (real or fake, "
    "exposure by a staircase), 2afc (which of two is real), pairs (which of two looks more "
    "realistic) or rating (from 1 to 5).",
)
@click.option("--out", type=types.FOLDER, required=True, help="Folder to write.")
@click.option(
    "--real",
    type=types.SOURCE,
    help="Real images: a folder or a data set. By default the test images of the first run; pairs "
    "and rating show real images only if this is given.",
)
@click.option("--name", help="Name of the study. By default that of the folder.")
@whole("--images", 100, "Number of images of each source, at most.")
@click.option(
    "--trials",
    type=types.COUNT,
    help="Questions of the main part for each person, without checks.  [default: 100, hype-time "
    "150, others 60]",
)
@click.option(
    "--practice",
    type=types.Whole(0),
    help="Questions of the practice.  [default: 10, pairs and rating 4]",
)
@click.option(
    "--qualification",
    type=types.Whole(0),
    help="Questions of the test before the main part.  [default: 20, 2afc 10, pairs and rating 0]",
)
@click.option(
    "--least-correct",
    type=types.Real(0),
    default=0.65,
    show_default=True,
    help="Fraction of right answers in the test with which a person goes on.",
)
@whole("--attention", 4, "Attention checks in the main part: images of noise.", types.Whole(0))
@whole("--repeats", 6, "Questions of the main part that are asked twice.", types.Whole(0))
@whole("--break-every", 50, "Questions between two breaks; 0: none.", types.Whole(0))
@click.option(
    "--design",
    metavar="between|within",
    help="Whether each person sees one source (between: the default of hype-infinity and "
    "hype-time) or all of them (within).",
)
@click.option(
    "--size",
    type=types.SIDE,
    help="Side of the images in pixels. By default that of the smallest image.",
)
@click.option(
    "--language", default="en", show_default=True, help="Language of the pages: en or de."
)
@click.option(
    "--consent",
    type=types.SOURCE,
    help="Text file (UTF-8) that a person agrees to, instead of the usual text.",
)
@click.option(
    "--seed",
    type=types.SEED,
    help="Seed of the images drawn and of each person's order. By default a random one: "
    "participants who know it can compute which images are real.",
)
def new(sources: tuple[str, ...], out: Path, consent: str | None, **options: Parsed) -> None:
    """Prepare a study of SOURCEs: runs, or folders of generated images.

    A SOURCE may be given a name: NAME=PATH. All images are brought to the same size and format.

    Examples:
      ptheta study new runs/vae --protocol hype-infinity --out study
      ptheta study new a=samples-a b=samples-b --protocol pairs --out ratings
    """
    from ptheta.study.making import Wanted, new

    with shown(str(out)):
        made = new(sources, out, Wanted(consent=_text(consent), **options))
    for note in made.notes:
        click.echo(note)
    counts = ", ".join(f"{n} {phase}" for phase, n in made.study.counts.items() if n)
    click.echo(
        f"{out}: {made.study.protocol} of {', '.join(made.plan.sources)}; {counts} questions"
    )
    click.echo(f"next: {shlex.join(['ptheta', 'study', 'serve', str(out)])}")


def _text(file: str | None) -> str:
    """The content of a text file."""
    if file is None:
        return ""
    path = expand(file)
    try:
        if path.stat().st_size > MOST_TEXT:
            raise PthetaError(f"--consent {file}: want a text of at most {MOST_TEXT:,} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PthetaError(f"--consent {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PthetaError(f"--consent {file} is not in UTF-8: save it in UTF-8") from None


@study.command()
@FOLDER
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0: all of this machine. Any other than the default needs a "
    "token, which is part of the printed link.",
)
@whole("--port", 8000, "Port to listen on; 0: any that is free.", types.Whole(0, 65_535))
@click.option(
    "--token", help="Token of the link. By default a random one that stays the same for the study."
)
@click.option(
    "--url",
    metavar="URL",
    help="Where people open the study behind a reverse proxy: https://example.org/study. Its path "
    "is the base path.",
)
def serve(folder: str, host: str, port: int, token: str | None, url: str | None) -> None:
    """Serve the study in FOLDER until Ctrl-C.

    Each answer is on disk before the next question is shown. The server may be stopped and started
    again at any time: people continue where they were.

    Examples:
      ptheta study serve study
      ptheta study serve study --host 0.0.0.0 --port 8080
    """
    from ptheta.study import serving

    place = expand(folder)
    origin, base = _address(url)
    is_local = host in LOOPBACK and not origin
    if token is not None and (len(token) < LEAST_TOKEN or not _plain(token)):
        raise PthetaError(
            f"--token: want at least {LEAST_TOKEN} letters, digits, - or _, such as "
            f"{secrets.token_urlsafe(9)}"
        )
    serving.serve(
        place,
        host,
        port,
        serving.doors(place, token, local=is_local, origin=origin, base=base),
        lambda address: click.echo(f"{address}: open it in a browser; Ctrl-C ends the server"),
    )


def _plain(token: str) -> bool:
    return token.isascii() and token.replace("-", "").replace("_", "").isalnum()


def _address(url: str | None) -> tuple[str, str]:
    """(origin, base path) of --url."""
    if url is None:
        return "", ""
    parts = urlsplit(url)
    is_plain = re.fullmatch(r"[A-Za-z0-9._~/-]*", parts.path) and "//" not in parts.path
    is_address = parts.scheme in ("http", "https") and parts.netloc and is_plain
    if not is_address or parts.query or parts.fragment or not url.isascii():
        raise PthetaError(
            f"--url {url}: want an address such as https://example.org/study, with a path of "
            "letters, digits and . _ ~ -"
        )
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")


@study.command()
@FOLDER
@click.option(
    "--out",
    type=types.File(".csv"),
    help="File to write.  [default: answers.csv in FOLDER]",
)
def export(folder: str, out: Path | None) -> None:
    """Write the answers of the study in FOLDER as a .csv file.

    The study may be served meanwhile. The columns are described in docs/study.md.

    Examples:
      ptheta study export study
      ptheta study export study --out answers.csv
    """
    from ptheta.study.export import export, finished

    place = expand(folder)
    path = place / "answers.csv" if out is None else out
    count = export(place, path)
    n = finished(place)
    who = "1 person has" if n == 1 else f"{n:,} people have"
    click.echo(f"{path}: {count:,} answers; {who} finished")


@study.command()
@FOLDER
def people(folder: str) -> None:
    """List who takes part in the study in FOLDER, and how far each person is.

    Examples:
      ptheta study people study
      ptheta study people ./study
    """
    from ptheta.study.export import people

    found = people(expand(folder))
    if not found:
        click.echo("nobody has joined yet")
        return
    rows = [[p.name, p.source or "all", f"{p.answered}/{p.of}", p.state, p.last] for p in found]
    print_table([["name", "sees", "answered", "state", "last answer"], *rows])
