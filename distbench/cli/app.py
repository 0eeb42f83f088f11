"""The command line as one object. `commands/` has the commands; each imports what it needs when it runs, so that
`--help` stays fast and light.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from distbench import __version__

app = typer.Typer(
    name="distbench",
    help="Is this smaller model good enough to replace that bigger one, and what does it buy?",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
suites = typer.Typer(help="The suites that ship with distbench, and the check of your own.", no_args_is_help=True)
app.add_typer(suites, name="suites")
imports = typer.Typer(help="Results of models that were evaluated elsewhere, as a run.", no_args_is_help=True)
app.add_typer(imports, name="import")
data = typer.Typer(help="What a suite's tasks read, fetched once so that it runs offline.", no_args_is_help=True)
app.add_typer(data, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"distbench {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Compare teachers and students."""


for _module in ("work", "read", "several", "bring"):  # each registers its commands; `--help` lists them in this order
    import_module(f"distbench.cli.commands.{_module}")
