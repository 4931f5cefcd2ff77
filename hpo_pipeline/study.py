"""A study from its composed config to its summary: the folder, the journal, the tuner, the views."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpo_pipeline import __version__
from hpo_pipeline.atomic import write_text
from hpo_pipeline.best_model import keep_winner
from hpo_pipeline.closing import closing, winners_command, without_finalists
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.config.containment import leads_elsewhere
from hpo_pipeline.environment import keep_environment
from hpo_pipeline.errors import StudyError
from hpo_pipeline.evaluation import Constraint, Metric
from hpo_pipeline.executor import load_text
from hpo_pipeline.executor.process import start_early
from hpo_pipeline.garbage import uncollected
from hpo_pipeline.interrupt import interrupts_held
from hpo_pipeline.journal import VERSION, Journal, Record, read
from hpo_pipeline.objective import Objective, SupportsDataSplits, SupportsReplay
from hpo_pipeline.preflight import Components, check_study
from hpo_pipeline.report.audience import Audience
from hpo_pipeline.report.files import write_best, write_data, write_front, write_leaderboard
from hpo_pipeline.report.json_lines import JsonLines, only_json
from hpo_pipeline.report.status import status_line
from hpo_pipeline.report.summary import print_places, print_results
from hpo_pipeline.report.terminal import working
from hpo_pipeline.report.text import plural
from hpo_pipeline.tracker.tracking import Tracking
from hpo_pipeline.tuner import Tuner
from hpo_pipeline.view import StudyView

EXIT_CODES = {"completed": 0, "failed": 1, "interrupted": 130}
UNTRACKED = 3
"""Exit code of what came to its end, and is in its journal, but not all of it in the tracker or the other files."""
PATIENCE_SECONDS = 60.0
"""Without progress, after which a tracker is given up at the end."""
MOST_REPORTED = 300_000
"""Records of a journal that report.html is drawn from at the end without being asked: half a minute's work."""


def run_study(composed: Composed) -> int:
    """Runs a study, or goes on with it; returns the exit code.

    Raises:
        ConfigError: the config is wrong; nothing was started.
        StudyError: the study is there already, or at work, or can't be resumed.
    """
    with only_json(composed.config["output"]) as events:
        return _run(composed, Path(composed.config["folder"]), events)


def _run(composed: Composed, folder: Path, events: JsonLines | None) -> int:
    if not composed.problems:
        _refuse_existing(composed, folder)
    if not composed.config["dry_run"]:
        start_early(*(composed.config[part] for part in ("executor", "objective", "metrics")))
    working("checking data, model and search space")
    parts = check_study(composed)
    for note in [*composed.notes, *parts.trials.notes]:
        print(note)
    if composed.config["dry_run"]:
        from hpo_pipeline.dry_run import plan

        planned = plan(composed, parts, _plan(parts))
        if events:
            events.add("plan", **planned.event())
        for line in planned.lines():
            print(line)
        return 0
    with said_of(folder):
        folder.mkdir(parents=True, exist_ok=True)
    waiting = functools.partial(status_line, at_once=True)
    with Journal(folder / "journal.jsonl", waiting) as journal, contextlib.closing(parts.executor):
        records = list(journal.records("study", "session"))
        if records and not composed.config["resume"]:
            raise StudyError(f"{folder}: another tuner has just begun this study; choose another name=…")
        _refuse_another(composed, folder, records)
        view = StudyView()
        audience = Audience(
            *(view, parts.budget, parts.objective.unit, folder, composed.config["output"], events),
            study_clock=parts.executor.monotonic,
            to_come=parts.finalists.to_come,
            workers=lambda: load_text(parts.executor.nodes()),
        )
        tuner = Tuner(
            parts.scheduler, parts.trials, parts.executor, journal, view, parts.budget, [audience], parts.finalists
        )
        tuner.replay(journal.records(), journal.records("session", "suggested"))  # what it refuses stays as it is
        parts.executor.open()
        with said_of(folder):
            write_configs(composed, folder)
            keep_environment(folder)
            keep_data(composed, parts.objective, folder)
            if parts.earlier:
                parts.earlier.keep(folder)
            if isinstance(parts.objective, SupportsReplay):
                parts.objective.keep(folder)
        commands = {"resume": composed.resume_command(), "train": composed.train_command()}
        if new := _new_header(composed, parts, journal, records):
            tuner.begin({**new, "commands": commands})
        audience.open(_opening(composed, parts, folder))
        tracking = Tracking(parts.trackers, folder, composed.public, commands)
        audience.start()
        try:
            end = tuner.run()
        except StudyError:  # what another tuner goes on with, it shows as well
            tracking.abandon("the journal can't be written")
            raise
        finally:
            audience.close()
        with interrupts_held():
            print_results(view, folder, parts.objective.unit)
            working("drawing the report")
            with uncollected():
                told, unwritten = _write_views(composed, view, folder, parts)
        told += without_finalists(view, end, parts)
        print_places(view, folder, [*told, *closing(composed, view, folder, end)])
        audience.summarise({**commands, **winners_command(composed, view)})
        with status_line() as show:
            tracked = tracking.close(PATIENCE_SECONDS, show)
        for line in [*unwritten, *tracked.text.splitlines()]:
            print(line, flush=True)
    return EXIT_CODES[end.state] or (0 if tracked.complete and not unwritten else UNTRACKED)


@contextlib.contextmanager
def said_of(folder: Path) -> Iterator[None]:
    """Turns what keeps a folder from being made, or written to, into a StudyError."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: " if error.filename and error.filename != str(folder) else ""
        raise StudyError(
            f"{folder}: can't be used ({what}{error.strerror or error}); choose another folder=…"
        ) from None


def _refuse_existing(composed: Composed, folder: Path) -> None:
    journal = folder / "journal.jsonl"
    # One without a record was left by a tuner that was killed before it began.
    if not composed.config["resume"] and journal.is_file() and any(True for _ in read(journal)):
        raise StudyError(
            f"{folder}: this study exists; go on with it: {composed.resume_command()}; or choose another name=…"
        )


def _refuse_another(composed: Composed, folder: Path, records: list[Record]) -> None:
    """Raises StudyError if what the config says isn't the study that the journal holds, or its folder can't be used."""
    began = next((record for record in records if record["event"] == "study"), {})
    metrics, constraints = (", ".join(map(str, found)) for found in (composed.metrics, composed.constraints))
    before = ", ".join(str(Metric(**metric)) for metric in began.get("metrics", []))
    bounds = ", ".join(str(Constraint(**each)) for each in began.get("constraints", []))
    for key, now, then in (
        ("seed", composed.config["seed"], began.get("seed")),
        ("metric", metrics, before or None),
        ("constraints", constraints or "none", (bounds or "none") if began else None),
        ("reference_point", composed.config["reference_point"], began.get("reference_point") if began else None),
    ):
        if then not in (None, now):
            raise StudyError(
                f"{folder / 'config.yaml'}: {key}: is {now}, and the study began with {then}; restore it, or start a "
                "new study with another name=…"
            )
    trials = folder / "trials"
    if trials.exists() and not trials.is_dir():
        raise StudyError(f"{trials}: must be a folder; remove it")


def _new_header(composed: Composed, parts: Components, journal: Journal, records: list[Record]) -> Record | None:
    """The record that says which study this is; None where the journal has it already.

    A copied folder is a study of its own from the moment it is resumed: what belongs to the one that it was copied
    from, its runs in MLflow above all, is left alone. The file's inode tells: a copy has another, a renamed one hasn't.
    Where the study was on other machines only, which may see other inodes, it is a copy if the one that it was copied
    from lies beside it.
    """
    host, inode = socket.gethostname(), os.stat(journal.path).st_ino
    at = max((i for i, record in enumerate(records) if record["event"] == "study"), default=None)
    if at is None:
        return {**header(composed, parts.objective.unit), "inode": inode, "host": host}
    last, name = records[at], composed.config["name"]
    original = journal.path.parent.parent / str(last["name"]) / journal.path.name
    is_copy = original != journal.path and original.exists()
    if "inode" in last:
        saw_it = {record["host"] for record in records[at:] if "host" in record}
        is_copy = last["inode"] != inode and (is_copy or not saw_it or host in saw_it)
        if last["inode"] == inode and last["name"] == name:
            return None
    elif not is_copy and last["name"] == name:
        return None
    study_id = uuid.uuid4().hex if is_copy else last["id"]
    return {**last, "id": study_id, "name": name, "inode": inode, "host": host, "time": time.time()}


def header(composed: Composed, unit: str) -> Record:
    """The record that begins the journal of a new study, or of a training."""
    reference = composed.config.get("reference_point")
    return {
        "event": "study",
        "version": VERSION,
        "id": uuid.uuid4().hex,
        "name": composed.config["name"],
        "seed": composed.config["seed"],
        "metrics": [asdict(metric) for metric in composed.metrics],
        **({"constraints": [asdict(each) for each in composed.constraints]} if composed.constraints else {}),
        **({"reference_point": dict(reference)} if reference else {}),
        "unit": unit,
        "time": time.time(),
    }


_OF_A_COMMAND = ("resume", "dry_run", "output", "folder", "search_around", "factor")
"""Root keys that aren't saved: they are about one command. The search space is saved as it was narrowed."""
_HYDRA = {
    "searchpath": ["pkg://hpo_pipeline.conf"],
    "run": {"dir": "."},
    "sweep": {"dir": ".", "subdir": "."},
    "output_subdir": None,
}


def write_configs(composed: Composed, folder: Path, program: str = "tune") -> None:
    """config.yaml, which runs again by itself, and overrides.yaml, what was typed."""
    config = {key: value for key, value in composed.public.items() if key not in _OF_A_COMMAND}
    # Sorted: two studies differ in what differs. An option that is chosen on the command line takes the place of what
    # is written here; those that choose options of other groups come after them.
    last, choices = ("model", "objective", "experiment"), dict(sorted(composed.config["choices"].items()))
    named = [*(group for group in choices if group not in last), *last]
    groups: list[Any] = [{group: None} for group in named]
    above = folder.parent
    content = {
        "defaults": [f"{program}_schema", "_self_", *groups, {"override hydra/job_logging": "none"}],
        "hydra": _HYDRA,
        **config,
        "choices": choices,
        "folder": "runs/${name}" if leads_elsewhere(above) else f"{above}/${{name}}",
    }
    head = f"# The composed config, by hpo_pipeline {__version__}. Run it again under another name:\n"
    head += f"#   {composed.again_command(program, folder)}\n"
    write_text(folder / "config.yaml", head + _yaml(content))
    if not composed.config.get("resume"):
        write_text(folder / "overrides.yaml", _yaml(in_order(composed.typed)))


def in_order(typed: Sequence[str]) -> list[str]:
    """Overrides by their keys, so that those of two studies can be compared; as they are if their order matters."""
    keys = [word.lstrip("+~").partition("=")[0].replace("/", ".") for word in typed]
    whole = [key for key, word in zip(keys, typed, strict=True) if word.startswith("~") or "={" in word]
    if any(key.startswith(f"{above}.") for above in whole for key in keys):
        return list(typed)
    return [typed[i] for i in sorted(range(len(typed)), key=keys.__getitem__)]


def keep_data(composed: Composed, objective: Objective, folder: Path) -> None:
    """Writes which data are used, where the objective can tell."""
    if isinstance(objective, SupportsDataSplits):
        write_data(objective.data_splits(composed.training), folder)


def _yaml(content: dict[str, Any] | list[str]) -> str:
    from omegaconf import OmegaConf

    # OmegaConf's dumper: it knows which strings OmegaConf would read as numbers.
    return OmegaConf.to_yaml(OmegaConf.create(content))


def _opening(composed: Composed, parts: Components, folder: Path) -> str:
    config = composed.config
    group = config["choices"]
    resumed = "resumed: " if config["resume"] else ""
    model = group.get("model", "model")
    what = f"{model} on {group.get('dataset', 'data')}" if model != "none" else group.get("objective", "objective")
    room = parts.executor.capacity
    jobs = plural(min(room, parts.budget.n_trials or room), "job") if room else "as many jobs as there is room for"
    simulated = "\nTime is simulated: a unit takes the seconds that it reports, else one, and no time passes"
    simulated = simulated if parts.executor.is_simulated else ""
    return (
        f"{resumed}{config['name']}: {group.get('scheduler', 'scheduler')} with {group.get('searcher', 'searcher')}, "
        f"{what}, "
        f"{jobs} at a time, in {folder}\n{_plan(parts)}"
        f"{simulated}"
    )


def _plan(parts: Components) -> str:
    """What scheduler and searcher have to say of themselves."""
    told = parts.scheduler.describe(), parts.trials.searcher.describe(), parts.finalists.describe(parts.objective.unit)
    return "\n".join(filter(None, told))


def _write_views(composed: Composed, view: StudyView, folder: Path, parts: Components) -> tuple[list[str], list[str]]:
    """Writes what is drawn from the journal, and the best model.

    Returns:
        What to say of the model, and a line for each file that can't be written.
    """
    from hpo_pipeline.report.page import Report
    from hpo_pipeline.report.plot import study_picture

    group = composed.config["choices"]
    title = f"{group.get('scheduler', '')}, {group.get('searcher', '')} search"

    def picture() -> None:
        (folder / "plots").mkdir(exist_ok=True)
        study_picture(view, folder / "plots" / "study.png", parts.objective.unit, title)

    told: list[str] = []
    report = Report(folder)
    writers: dict[str, Callable[[], object]] = {
        "best": lambda: told.extend(keep_winner(composed, view, folder, parts.objective)),
        "leaderboard.csv": lambda: write_leaderboard(view, folder),
        "best.yaml": lambda: write_best(view, folder, composed.training_choices, composed.changes),
        "best/*.yaml": lambda: write_front(view, folder, composed.training_choices, composed.changes),
        "plots/study.png": picture,
    }
    if view.n_records <= MOST_REPORTED:
        writers |= {"report.html": report.write, "plots/*.png": report.write_pictures}
    else:
        told.append(f"Drawing report.html from {view.n_records} records takes a while: hpo report {folder} does")
    problems = []
    for name, write in writers.items():
        try:
            write()
        except OSError as error:
            again = f"make room for it, then: {composed.resume_command()}"
            problems.append(f"{folder / name} can't be written ({error.strerror or error}); {again}")
        except StudyError as error:
            problems.append(f"{folder / name} can't be written: {error}")
    return told, problems
