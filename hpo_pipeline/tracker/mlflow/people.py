"""What people read about a study in MLflow: the note on its run, and how to open the UI on it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from urllib.parse import urlencode

from hpo_pipeline.tracker.mlflow import uri as uris
from hpo_pipeline.tracker.mlflow.naming import TAG_LENGTH, clipped
from hpo_pipeline.tracker.mlflow.schema import study_state
from hpo_pipeline.trial import State
from hpo_pipeline.view import StudyView

_BEST = 5
# Without it MLflow 3 opens an empty page on generative models.
_WORKFLOW = {"workflowType": "machine_learning"}


def runs_link(experiment_id: str, view: str = "") -> str:
    """Route of the UI to an experiment's runs, through a saved view if there is one."""
    query = dict(_WORKFLOW)
    if view:
        query |= {"viewStateShareKey": view, "compareRunsMode": "CHART"}
    return f"#/experiments/{experiment_id}/runs?{urlencode(query)}"


def run_link(experiment_id: str, run_id: str) -> str:
    """Route of the UI to one run."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{urlencode(_WORKFLOW)}"


def how_to_look(uri: str, experiment: str, route: str) -> str:
    """The command that opens the UI on this store, and where (`route`) to look there."""
    name = uris.scheme(uri)
    if name == "databricks":
        return f"MLflow: experiment {experiment!r} on Databricks"
    if name in uris.SERVERS:
        return f"MLflow: {uris.link(uri)}/{route}"
    # A URI with a password is in the environment, where it belongs, and stays there.
    store = '"$MLFLOW_TRACKING_URI"' if uris.has_secrets(uri) else shlex.quote(uri)
    # Only one worker and no job runner: a fifth of the memory, and each request is 40 ms faster.
    command = f"mlflow ui --workers 1 --backend-store-uri {store}"
    return f"MLflow: MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false {command}\n        http://127.0.0.1:5000/{route}"


def note(view: StudyView, experiment_id: str, runs: Mapping[int, str], commands: Mapping[str, str]) -> str:
    """The study in Markdown, as the UI shows it on the study's page: where it stands, and its best trials.

    Args:
        runs: trial id -> run id.
    """
    state = "running" if view.end is None else f"{view.end['state']} ({view.end['reason']})"
    unit = str(view.header.get("unit", "")) or "resource"
    lines = [
        f"**{view.header['name']}**: {state}. {len(view.trials)} trials, {view.evaluations} rung evaluations, "
        f"{view.total_resource} {unit}s in {view.seconds:.0f} s.",
        "",
    ]
    best = view.top(_BEST)
    if best:
        names = list(best[0].best_config)
        lines.append(f"| trial | {view.metric} | {unit} | {' | '.join(names)} |")
        lines.append("|" + "---|" * (3 + len(names)))
        for trial in best:
            run = runs.get(trial.id)
            title = f"trial-{trial.id:04d}"
            link = f"[{title}]({run_link(experiment_id, run)})" if run else title
            values = " | ".join(_short(trial.best_config.get(name)) for name in names)
            lines.append(f"| {link} | {_short(trial.best(view.metric))} | {trial.best_resource} | {values} |")
    if commands.get("resume") and (view.end is None or study_state(view.end) is not State.COMPLETED):
        lines += ["", f"Resume: `{commands['resume']}`"]
    return clipped("\n".join(lines), TAG_LENGTH)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def deleted_experiment(uri: str, name: str, experiment_id: str) -> str:
    """What is wrong, and what to do."""
    where = "" if uris.has_secrets(uri) else f"MLFLOW_TRACKING_URI={shlex.quote(uri)} "
    return (
        f"the experiment {name!r} has been deleted; restore it with `{where}mlflow experiments restore "
        f"--experiment-id {experiment_id}`"
    )


def missing(done: int, total: int, why: str, interrupted: bool, resume: str) -> str:
    """What is said where MLflow lacks something at the end.

    Args:
        done, total: trials that are in MLflow as far as they came, and all trials.
        why: what kept the rest from it; may be empty.
        interrupted: the study itself hasn't come to its end.
        resume: the command that goes on with it.
    """
    what = f"{total - done} of {total} trials" if done < total else "the end of the study"
    line = f"MLflow lacks {what}{f' ({why})' if why else ''}; the journal has everything."
    if not resume:
        return line
    how = "Going on with the study writes it" if interrupted else "This writes it, and trains nothing"
    return f"{line} {how}:\n  {resume}"
