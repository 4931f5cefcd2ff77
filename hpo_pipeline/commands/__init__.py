"""The command `hpo`: one command a file, each of which imports what it needs when it is called.

hpo tune, hpo train                     run; Hydra overrides are handed through
hpo status, hpo list                    what there is, running studies too
hpo report, hpo compare, hpo export     what came out, for people and for other programs
hpo sync, hpo ui, hpo clean             MLflow, and room on the disk
"""

from __future__ import annotations

import sys

import typer

from hpo_pipeline.commands import clean, compare, export, list, report, status, sync, train, tune, ui
from hpo_pipeline.errors import ConfigError, StudyError, one_line
from hpo_pipeline.report.terminal import forgiving_streams

app = typer.Typer(
    name="hpo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
_HYDRAS = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
"""A command line that Hydra reads, flags and all."""

app.command(add_help_option=False, context_settings=_HYDRAS)(tune.tune)
app.command(add_help_option=False, context_settings=_HYDRAS)(train.train)
for _command in (
    *(status.status, list.list_studies, report.report, compare.compare),
    *(export.export, sync.sync, clean.clean, ui.ui),
):
    app.command(_command.__name__.partition("_")[0])(_command)


@app.callback(invoke_without_command=True)
def _main(version: bool = typer.Option(False, "--version", help="Show the version.", is_eager=True)) -> None:
    """Hyperparameter optimization, declared in YAML. `hpo COMMAND --help` says more of each command."""
    if version:
        from hpo_pipeline import __version__

        print(f"hpo_pipeline {__version__}")
        raise typer.Exit


@forgiving_streams()
def main() -> None:
    """What a person got wrong ends in one line and exit code 2, without a traceback."""
    try:
        app()
    except (ConfigError, StudyError) as error:
        for line in str(error).splitlines():
            print(f"hpo: {one_line(line)}", file=sys.stderr)
        sys.exit(2)
