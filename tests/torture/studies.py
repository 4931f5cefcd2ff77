"""Studies that are tortured, what each would come to undisturbed, and how the two are compared."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from commands import RungTable, rung_table

from hpo_pipeline.journal import Record, read
from torture.case import FailedError
from torture.objectives import closed_form
from torture.sandbox import Sandbox

SCHEDULERS = {
    "fifo": ("scheduler=fifo",),
    "successive_halving": ("scheduler=successive_halving",),
    "hyperband": ("scheduler=hyperband",),
    "asha": ("scheduler=asha",),
    "asha_beyond_the_paper": (
        *("scheduler=asha", "scheduler.early_eta=[4,2]", "scheduler.early_trials=6"),
        *("scheduler.leaders=[3,2]", "scheduler.probes=3"),
    ),
    "asha_stopping": ("scheduler=asha", "scheduler.type=stopping"),
    "async_hyperband": ("scheduler=asha", "scheduler.brackets=2"),
    "pasha": ("scheduler=pasha",),
    "median_stopping": ("scheduler=median_stopping",),
    "pbt": ("scheduler=pbt", "search_space=pbt", "scheduler.population=9", "scheduler.interval=3"),
}
SYNCHRONOUS = ("fifo", "successive_halving", "hyperband")
"""Whose rungs don't depend on which worker is ready first."""
EXECUTORS = {
    "serial": ("executor=serial",),
    "process": ("executor=process", "executor.n_workers=2"),
    "one_process": ("executor=process", "executor.n_workers=1"),
    "fused": ("executor=fused", "executor.n_workers=1", "executor.pack_size=4"),
    "fused_workers": ("executor=fused", "executor.n_workers=2", "executor.pack_size=2"),
}
ONE_AT_A_TIME = ("serial", "one_process")
FUNCTION = (
    *("objective=function", "model=mlp", "optimizer=adam", "dataset=digits"),
    *("objective.function=torture.objectives.curve", "metric=error"),
)
TRAINING = ("model=softmax", "optimizer=sgd", "metric=validation_loss")
N_TRIALS, MAX_RESOURCE = 9, 9
NAME = "s"


@dataclass(frozen=True)
class Study:
    """A study of nine trials and nine units of resource at most."""

    scheduler: str
    executor: str
    trained: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        objective = TRAINING if self.trained and self.scheduler != "pbt" else FUNCTION
        scheduler = SCHEDULERS[self.scheduler]
        common = (
            f"name={NAME}",
            f"n_trials={N_TRIALS}",
            f"max_resource={MAX_RESOURCE}",
            "tracker=none",
            "finalists.n=0",
            "dataset=digits",
        )
        return (*common, *objective, *scheduler, *EXECUTORS[self.executor])

    @property
    def repeatable(self) -> bool:
        """Whether its rung table is the same each time."""
        return self.scheduler in SYNCHRONOUS or self.executor in ONE_AT_A_TIME

    def __str__(self) -> str:
        return f"{self.scheduler} under {self.executor}{', trained' if self.trained else ''}"


def records(sandbox: Sandbox) -> list[Record]:
    path = sandbox.work / "runs" / NAME / "journal.jsonl"
    return [record for record, _ in read(path)] if path.exists() else []


def copied(study: Path, sandbox: Sandbox) -> Path:
    """Puts a finished or interrupted study into the sandbox."""
    there = sandbox.work / "runs" / NAME
    shutil.copytree(study, there)
    return there


@functools.cache
def undisturbed(study: Study) -> tuple[RungTable, dict[tuple[int, int], float]]:
    """The rung table of the study when nothing happens to it, and (trial, resource) -> value of all reports."""
    study = Study(study.scheduler, "serial", study.trained)
    with Sandbox() as sandbox:
        ended = sandbox.run(*study.arguments, UNIT_SECONDS="0")
        if ended.code:
            raise FailedError(f"{study}, undisturbed: exit code {ended.code}: {ended.err} {ended.out[-2000:]}")
        found = records(sandbox)
    return rung_table(found), reports(found)


def reports(found: Iterable[Record]) -> dict[tuple[int, int], float]:
    """(trial, resource) -> value. No report may be there twice."""
    metric, values = "", {}
    for record in found:
        if record["event"] == "study":
            metric = record["metrics"][0]["name"]
        elif record["event"] == "report":
            place = (record["trial"], record["resource"])
            if place in values:
                raise FailedError(f"trial {place[0]} reported resource {place[1]} twice")
            values[place] = record["metrics"][metric]
    return values


def check(study: Study, found: list[Record]) -> str:
    """Compares a study that ended with the same one, undisturbed.

    Raises:
        FailedError: something is lost, doubled or different.
    """
    table, values = _table(found), reports(found)
    if (found[-1]["event"], found[-1]["state"]) != ("end", "completed"):
        raise FailedError(f"ended with {found[-1]}")
    trials = [record["trial"] for record in found if record["event"] == "suggested"]
    if trials != list(range(N_TRIALS)):
        raise FailedError(f"trials {trials}")
    _check_reports(values)
    if study.scheduler == "pbt" or not study.trained:
        _check_closed_form(found)
    expected_table, expected = undisturbed(study)
    if study.trained and study.scheduler != "pbt":
        same = {place: value for place, value in values.items() if place in expected}
        exact = not study.executor.startswith("fused")
        wrong = {
            p: (v, expected[p]) for p, v in same.items() if (v != expected[p] if exact else abs(v - expected[p]) > 0.01)
        }
        if wrong:
            raise FailedError(f"{study}: other values (trial, resource): (value, expected): {wrong}")
        if not exact:
            return "all there"
    if not study.repeatable:
        return "all there"
    if table != expected_table:
        raise FailedError(f"{study}: another rung table: {_differences(table, expected_table)}")
    return "the same table"


def _table(found: list[Record]) -> RungTable:
    try:
        return rung_table(found)
    except AssertionError as error:
        raise FailedError(str(error)) from None


def _check_reports(values: Iterable[tuple[int, int]]) -> None:
    """Each trial reported each unit of resource up to its last."""
    last: dict[int, int] = {}
    for trial, resource in values:
        if resource != last.get(trial, 0) + 1:
            raise FailedError(f"trial {trial} reported {resource} after {last.get(trial, 0)}")
        last[trial] = resource


def _check_closed_form(found: list[Record]) -> None:
    """Each value follows from the trial's learning rate then, and from the resource of the state that it had."""
    rates: dict[int, float] = {}
    spent: dict[tuple[int, int], int] = {}  # (trial, resource) -> units that its state has behind it
    now: dict[int, int] = {}
    for record in found:
        trial = record.get("trial")
        if trial is None:
            continue
        if "config" in record:
            rates[trial] = record["config"]["optimizer.lr"]
        if "source" in record:
            now[trial] = spent[tuple(record["source"])]
        if record["event"] == "report":
            now[trial] = spent[trial, record["resource"]] = now.get(trial, 0) + 1
            value, expected = record["metrics"]["error"], closed_form(rates[trial], now[trial])
            if value != expected:
                raise FailedError(f"trial {trial} at {record['resource']}: {value!r}, not {expected!r}")


def _differences(table: RungTable, expected: RungTable) -> list[str]:
    found = []
    for place in sorted({*table, *expected}):
        got, wanted = table.get(place, {}), expected.get(place, {})
        if got != wanted:
            found.append(f"(bracket, rung, resource) {place}: {got}, not {wanted}")
    return found
