"""Components that note each call of them: what docs/extending.md prints as the trace of a study.

TRACE is emptied by whoever starts a study. Other processes have one of their own; an able objective has a file for all.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo_pipeline.errors import Problem
from hpo_pipeline.evaluation import Evaluation
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.executor.serial import SerialExecutor
from hpo_pipeline.objective import Metrics, TrialSpec
from hpo_pipeline.records import Record
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.scheduler.median_stopping import MedianStopping
from hpo_pipeline.scheduler.successive_halving import SuccessiveHalving
from hpo_pipeline.searcher import NoTrial, Searcher
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Decision, Event, Job, Report, Result, StateChange

TRACE: list[str] = []
TRACKED: list[str] = []
"""What the tracker's thread does, apart from the others."""
_depth = 0
PLACES: list[tuple[str, bool]] = []
"""(call, whether it was in the main thread)."""


_file: str | None = None


def _noted(call: str) -> int:
    TRACE.append("    " * _depth + call)
    PLACES.append((call.partition("(")[0], threading.current_thread() is threading.main_thread()))
    if _file:
        with open(_file, "a") as file:
            file.write(f"{os.getpid()} {call.partition('(')[0]}\n")
    return len(TRACE) - 1


class _Call:
    """Notes a call, those within it further to the right, and its answer."""

    def __init__(self, call: str) -> None:
        self._at = _noted(call)

    def __enter__(self) -> _Call:
        global _depth
        _depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        global _depth
        _depth -= 1

    def answers(self, answer: Any) -> Any:
        TRACE[self._at] += f" -> {_shown(answer)}"
        return answer


def _shown(value: Any) -> str:
    match value:
        case Job():
            return f"Job(trial {value.trial.id} to {value.resource})"
        case Evaluation():
            worth = f"{value.score:g}" if value.status.value == "ok" else value.status.value
            return f"trial {value.trial.id} at {value.resource}: {worth}"
        case StateChange():
            return f"trial {value.trial_id} {value.state.value}"
        case Decision():
            kept = {"stop": value.stop or None, "rung": value.rung}
            return f"Decision({', '.join(f'{k}={v}' for k, v in kept.items() if v is not None)})"
        case NoTrial():
            return value.name
        case Report():
            return f"Report(trial {value.trial_id} at {value.resource})"
        case Result():
            return f"Result(trial {value.trial_id} {value.outcome.value})"
        case TrialSpec():
            return f"trial {value.config['trial']}"
        case list() | tuple():
            return f"[{', '.join(map(_shown, value))}]"
        case Mapping() if "loss" in value:
            return f"{{loss: {value['loss']:g}}}"
    return str(value)


class TracedSearcher(Searcher):
    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._random = RandomSearch(space, seed)

    def suggest(self, trial_id: int, first_rung: int = 0) -> Any:
        with _Call(f"searcher.suggest({trial_id})") as call:
            call.answers("a configuration")
            return self._random.suggest(trial_id, first_rung)

    def on_submitted(self, job: Job) -> None:
        _noted(f"searcher.on_submitted({_shown(job)})")
        self._random.on_submitted(job)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        _noted(f"searcher.on_evaluation({_shown(evaluation)})")

    def on_state(self, change: StateChange) -> None:
        _noted(f"searcher.on_state({_shown(change)})")


SCHEDULERS = {
    "fifo": lambda trials, max_resource: FIFO(trials, max_resource),
    "halving": lambda trials, max_resource: SuccessiveHalving(trials, 2, 1, max_resource),
    "median": lambda trials, max_resource: MedianStopping(trials, max_resource, min_samples=1),
}


class TracedScheduler(Scheduler):
    def __init__(self, trials: TrialGenerator, max_resource: int, kind: str) -> None:
        self._scheduler: Scheduler = SCHEDULERS[kind](trials, max_resource)

    def next_job(self) -> Job | NoTrial:
        with _Call("scheduler.next_job()") as call:
            return call.answers(self._scheduler.next_job())

    def on_report(self, job: Job, evaluation: Evaluation) -> Decision:
        with _Call(f"scheduler.on_report({_shown(evaluation)})") as call:
            return call.answers(self._scheduler.on_report(job, evaluation))

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        with _Call(f"scheduler.on_result({_shown(evaluation)})") as call:
            return call.answers(list(self._scheduler.on_result(job, evaluation)))


class TracedExecutor(SerialExecutor):
    def __init__(self, setup: StudySetup, breaks_after: int | None = None) -> None:
        super().__init__(setup)
        self._waits_left = breaks_after

    def open(self) -> None:
        _noted("executor.open()")
        super().open()

    def submit(self, job: Job, recorded: int) -> None:
        _noted(f"executor.submit({_shown(job)}, {recorded})")
        super().submit(job, recorded)

    def wait(self, timeout: float | None = None) -> list[Event]:
        with _Call("executor.wait()") as call:
            if self._waits_left == 0:
                raise KeyboardInterrupt
            self._waits_left = None if self._waits_left is None else self._waits_left - 1
            return call.answers(super().wait(timeout))

    def cancel(self, trial_id: int) -> None:
        _noted(f"executor.cancel({trial_id})")
        super().cancel(trial_id)

    def discard(self, trial_id: int) -> None:
        _noted(f"executor.discard({trial_id})")
        super().discard(trial_id)

    def close(self) -> None:
        with _Call("executor.close()"):
            super().close()


class TracedObjective:
    """Of two trials the second is the better one."""

    unit = "step"
    metrics = ("loss",)

    def __init__(self, fails: bool = False) -> None:
        self._fails = fails

    def start(self, trial: TrialSpec) -> dict[str, int]:
        _noted(f"objective.start({_shown(trial)})")
        return {"trial": trial.config["trial"], "at": 0}

    def advance(self, state: dict[str, int]) -> Metrics:
        with _Call(f"objective.advance(trial {state['trial']})") as call:
            state["at"] += 1
            if self._fails:
                raise RuntimeError("out of memory")
            return call.answers({"loss": 1.0 / (state["at"] * (1 + state["trial"]))})

    def save(self, state: dict[str, int], path: Path) -> None:
        _noted(f"objective.save(trial {state['trial']}, path)")
        path.write_text(str(state["at"]))

    def load(self, trial: TrialSpec, path: Path) -> dict[str, int]:
        _noted(f"objective.load({_shown(trial)}, path)")
        return {"trial": trial.config["trial"], "at": int(path.read_text())}


class AbleObjective(TracedObjective):
    """With the abilities that most objectives may want.

    Args:
        file: where each process that makes one notes its calls.
    """

    def __init__(self, file: str | None = None) -> None:
        global _file
        super().__init__()
        _file = file

    def problems(self, config: Mapping[str, Any]) -> list[Problem]:
        _noted("objective.problems(config)")
        return []

    def available(self, config: Mapping[str, Any]) -> None:
        _noted("objective.available(config)")

    def set_target(self, state: dict[str, int], units: int) -> None:
        _noted(f"objective.set_target(trial {state['trial']}, {units})")

    def finished(self, state: dict[str, int]) -> str:
        with _Call(f"objective.finished(trial {state['trial']})") as call:
            return "" if state["at"] < 2 else str(call.answers("converged"))

    def snapshot(self, state: dict[str, int]) -> int:
        _noted(f"objective.snapshot(trial {state['trial']})")
        return state["at"]

    def save_model(self, snapshot: int, path: Path) -> None:
        _noted("objective.save_model(snapshot, path)")
        path.write_text(str(snapshot))

    def load_model(self, config: Mapping[str, Any], path: Path) -> int:
        return int(path.read_text())

    def input_shape(self, path: Path) -> None:
        return None

    def notices(self) -> list[str]:
        return []

    def close(self, state: dict[str, int]) -> None:
        _noted(f"objective.close(trial {state['trial']})")


class TracedTracker:
    def problems(self) -> list[Problem]:
        TRACKED.append("tracker.problems()")
        return []

    def writer(self, folder: Path, config: Mapping[str, Any], commands: Mapping[str, str]) -> TracedWriter:
        TRACKED.append("tracker.writer(folder, config, commands)")
        return TracedWriter()


class TracedWriter:
    name = "traced"
    window = 0.1

    def open(self, study: Record) -> str:
        TRACKED.append("writer.open(study)")
        return ""

    def take(self, record: Record, *, held: bool) -> None:
        TRACKED.append(f"writer.take({record['event']})")

    def write(self, position: str) -> Iterator[None]:
        TRACKED.append("writer.write(position)")
        yield None

    def close(self) -> str:
        TRACKED.append("writer.close()")
        return ""

    def masked(self, text: str) -> str:
        return text
