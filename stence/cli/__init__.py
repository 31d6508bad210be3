"""The command ``stence``: one short function per command. The library and the flows do the work."""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

import click
from pydantic import ValidationError

from stence import __version__, discretion, private, temporary
from stence.cli.trouble import in_words
from stence.errors import ObjectError, StenceError
from stence.settings import NESTED, Settings

# Command -> module of stence.cli. Modules are imported on use, because torch and Prefect take seconds.
COMMANDS = {
    "practice": "practice",
    "doctor": "doctor",
    "migrate": "access",
    "access": "access",
    "up": "up",
    "ingest": "runs",
    "score": "runs",
    "retrain": "runs",
    "monitor": "runs",
    "simulate": "practice",
    "train": "practice",
    "query": "query",
    "quarantine": "quarantine",
    "unpack": "unpack",
    "models": "models",
    "validate": "validate",
    "patients": "patients",
    "retention": "retention",
    "review": "review",
    "snooze": "review",
    "explain": "explain",
    "inspect": "explain",
    "pages": "explain",
    "ward-list": "explain",
    "flags": "flags",
    "export": "export",
    "convert": "convert",
    "similar": "similar",
    "alerts": "alerts",
    "weights": "weights",
    "study": "study",
    "labels": "labels",
    "report": "report",
    "about": "about",
    "audit": "audit",
    "backup": "backup",
    "restore": "backup",
}


class Commands(click.Group):
    """Commands, imported on use. Errors for people are shown without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(
            import_module(f"stence.cli.{COMMANDS[cmd_name]}"), cmd_name.replace("-", "_")
        )
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StenceError as error:
            raise click.ClickException(discretion.masked(_message(error))) from error
        except ValidationError as error:
            raise click.ClickException(_settings_message(error)) from error
        except Exception as error:
            if (words := in_words(error)) is None:
                raise
            raise click.ClickException(discretion.masked(words)) from error


def _message(error: StenceError) -> str:
    """The error's text, and on a terminal its object key: elsewhere, standard error is a log."""
    from stence.cli.terminal import shown

    lines = str(error).split("\n")
    if isinstance(error, ObjectError) and error.object_key is not None:
        key = error.object_key if sys.stderr.isatty() else "named on a terminal only"
        lines.append(f"The object is {key}")
    return "\n".join(map(shown, lines))


def _settings_message(error: ValidationError) -> str:
    """Name each wrong setting by its environment variable, without its value, which may be a secret."""
    if error.title != "Settings":
        return str(error)
    lines = [f"STENCE_{NESTED.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
    return "Settings are wrong. Correct them in the environment or in .env:\n  " + "\n  ".join(lines)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("-v", "--verbose", is_flag=True, help="Show the library's detailed log.")
@click.pass_context
def main(context: click.Context, verbose: bool) -> None:
    """Find patients with severe coronary stenosis from the ECGs that a hospital already has."""
    private.keep_to_ourselves()
    discretion.install()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops cleanly, like Ctrl-C
    _keep_temporary_files(context)
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("stence").setLevel(level)


def _keep_temporary_files(context: click.Context) -> None:
    """Keep the command's temporary files in the data folder, if there is one already."""
    # The command itself says what is wrong with the settings; another account's folder is not for this one.
    with suppress(StenceError, ValidationError, PermissionError):
        if (folder := Settings().data_dir).is_dir():
            context.with_resource(temporary.in_data_folder(folder))
