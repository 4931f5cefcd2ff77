"""`hpo ui`: MLflow's pages of a study, served on this machine alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpo_pipeline.commands.named import study_folder
from hpo_pipeline.errors import StudyError

if TYPE_CHECKING:
    from hpo_pipeline.saved_study import Study
    from hpo_pipeline.tracker.mlflow import MLflowTracker

_HOST = "127.0.0.1"


def ui(
    study: Annotated[
        Path | None,
        typer.Argument(metavar="[STUDY]", help="A study whose links are printed, and whose store is shown."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    uri: Annotated[str | None, typer.Option(help="Tracking URI; else the study's, or MLFLOW_TRACKING_URI.")] = None,
) -> None:
    """Serve MLflow's pages here, and print the links to a study.

    On this machine alone (127.0.0.1), until Ctrl-C. Of a tracking server it only prints the links.
    """
    from hpo_pipeline.interrupt import signals_as_interrupt
    from hpo_pipeline.saved_study import load_study
    from hpo_pipeline.tracker.mlflow import uri as uris

    found = None if study is None else load_study(study_folder(study))
    tracker = _tracker(found, uri)
    if uris.scheme(tracker.uri) in uris.SERVERS:
        return print(*_links(tracker, found, uris.link(tracker.uri)), sep="\n")
    database = uris.database_path(tracker.uri)
    if database is not None and not database.is_file():
        raise StudyError(
            f"{database}: there is no such database; a study makes it, or hpo sync; or choose another --uri"
        )
    _refuse_taken(port)
    # One worker and no job runner: a fifth of the memory, and each request is 40 ms faster.
    print("starting MLflow, which takes some seconds", flush=True)
    quiet = ("--uvicorn-opts", "--log-level warning")  # a line for each request would carry the links away
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--host", _HOST, "--port", str(port), *quiet],
        env={
            **os.environ,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "PYTHONSAFEPATH": "1",  # nothing of the current folder is imported
            "PYTHONWARNINGS": "ignore",  # of what MLflow itself will have to change
            "MLFLOW_BACKEND_STORE_URI": tracker.uri,  # not among the arguments, which everybody sees
        },
    )
    try:
        with signals_as_interrupt():
            links = _links(tracker, found, f"http://{_HOST}:{port}")
            while not _answers(port) and _runs(server):
                pass
            if server.poll() is None:
                print(*links, sep="\n", flush=True)
            code = server.wait()
    except KeyboardInterrupt:
        code = 0
    finally:
        server.terminate()
        server.wait()
    raise typer.Exit(code)


def _tracker(study: Study | None, uri: str | None) -> MLflowTracker:
    """The study's own, as far as its config is to be believed; it may be anybody's."""
    from hpo_pipeline.config.containment import written_places
    from hpo_pipeline.tracker import tracker_nodes
    from hpo_pipeline.tracker.mlflow import MLflowTracker

    if uri is not None or study is None:
        return MLflowTracker(uri)
    for path, node in tracker_nodes(study.config).items():
        if isinstance(node, Mapping) and str(node.get("_target_")).endswith(".MLflowTracker"):
            given: Any = node.get("uri")
            if f"{path}.uri" in written_places({"folder": "", "tracker": study.config["tracker"]}):
                where = f"{path}.uri={given} leads out of this folder"
                raise StudyError(f"{study.folder}: {where}; if that is what you want: --uri {given}")
            return MLflowTracker(given)
    return MLflowTracker()  # it may have been written there later


def _links(tracker: MLflowTracker, study: Study | None, address: str) -> list[str]:
    """A line each; before them what there is to say of a study that isn't there."""
    routes = tracker.routes(str(study.view.header.get("id", ""))) if study is not None else {}
    lines = [f"{what:<8} {address}/{route}" for what, route in (routes or {"studies": "#/experiments"}).items()]
    if study is not None and not routes:
        lines.insert(0, f"{study.folder}: not in this store yet; hpo sync {study.folder} tracker=mlflow writes it")
    return lines


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((_HOST, port), timeout=1.0):
            return True
    except OSError:
        return False


def _runs(server: subprocess.Popen[bytes]) -> bool:
    """Whether it still does a moment later."""
    try:
        server.wait(timeout=0.1)
    except subprocess.TimeoutExpired:
        return True
    return False


def _refuse_taken(port: int) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((_HOST, port))
        except OSError as error:
            raise StudyError(f"port {port}: can't be used ({error.strerror}); choose another: --port …") from None
