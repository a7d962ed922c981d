"""The command line. Nothing here names a model; torch is imported when a command needs it."""

from __future__ import annotations

import signal
import sys
import warnings

import click

from ptheta.cli import images, latent, listing, measure, train
from ptheta.cli.common import cli
from ptheta.errors import PthetaError, unknown

PARTS = (listing, train, images, latent, measure)  # each adds its commands to the group


def main(argv: list[str] | None = None) -> None:
    """The installed command. Bad input: one line on stderr and status 2."""
    status = 0
    said: set[str] = set()

    def warn(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        """A line for the user, once; warnings of other kinds are for developers."""
        if issubclass(category, UserWarning) and str(message) not in said:
            said.add(str(message))
            click.echo(f"ptheta: warning: {message}", err=True)

    warnings.showwarning = warn
    try:
        cli.main(args=argv, prog_name="ptheta", standalone_mode=False)
    except PthetaError as error:
        number = getattr(error, "number", None)  # of the signal that stopped a training
        status = 2 if number is None else 128 + number
        click.echo(f"ptheta: {error}", err=True)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else str(error))
        status = 2
    except click.ClickException as error:
        click.echo(f"ptheta: {_one_line(error)}", err=True)
        status = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("ptheta: interrupted", err=True)
        status = 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of the output has gone
        sys.stderr.close()
    sys.exit(status)


def _one_line(error: click.ClickException) -> str:
    """click's message, with the nearest option where one was mistyped."""
    ctx = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption) and ctx is not None:
        known = [name for param in ctx.command.get_params(ctx) for name in param.opts]
        return str(unknown("option", error.option_name, known))
    text = " ".join(error.format_message().split())
    where = f" (see: {ctx.command_path} --help)" if ctx is not None else ""
    return text[0].lower() + text[1:] + where
