"""docs/extending.md names every method of every interface, and the traces that it prints are those of real studies."""

from __future__ import annotations

import importlib
import inspect
import itertools
import os
import re
from pathlib import Path
from typing import Any

import pytest
import traced
from commands import ROOT, run

from hpo_pipeline.kinds import KINDS
from hpo_pipeline.searcher.earlier import SupportsWarmStart

PAGE = (ROOT / "docs/extending.md").read_text()
PRINTED = {
    name: block.splitlines() for name, block in re.findall(r"<!-- trace: (\w+) -->\n```text\n(.*?)```", PAGE, re.DOTALL)
}
INTERFACES = {
    "Searcher": ["searcher"],
    "Scheduler": ["scheduler"],
    "Objective": ["objective"],
    "Dataset": ["dataset"],
    "Tracker": ["tracker"],
    "Executor": ["executor"],
}
"""Section of the page -> the packages whose interfaces it tells."""
TRACED = "# @package _global_\ndefaults: [override /model: none, override /dataset: none, override /optimizer: none]\n"
CONF = {
    "objective/traced": f"{TRACED}objective: {{_target_: traced.TracedObjective, fails: false}}\n",
    "objective/able": f"{TRACED}objective: {{_target_: traced.AbleObjective, file: null}}\n",
    "searcher/traced": "_target_: traced.TracedSearcher\n",
    "scheduler/traced": "_target_: traced.TracedScheduler\nmax_resource: ${max_resource}\nkind: halving\n",
    "executor/traced": "_target_: traced.TracedExecutor\nbreaks_after: null\n",
    "tracker/traced": "_target_: traced.TracedTracker\n",
    "search_space/x": "params: {x: {type: float, low: 0, high: 1}}\n",
}
STUDY = (
    *("--config-dir", "conf", "objective=traced", "search_space=x", "searcher=traced", "scheduler=traced"),
    *("executor=traced", "tracker=none", "metric=loss", "max_resource=2", "n_trials=2", "points_to_evaluate=[]"),
    *("finalists.n=0", "name=s"),
)


@pytest.fixture(autouse=True)
def _options(monkeypatch):
    monkeypatch.setenv("HPO_TRUST", "traced")
    for path, text in CONF.items():
        Path("conf", path).parent.mkdir(parents=True, exist_ok=True)
        Path("conf", f"{path}.yaml").write_text(text)


def study(*words: str, code: int = 0) -> list[str]:
    """The trace of a study, until all is closed."""
    traced.TRACE.clear()
    traced.TRACKED.clear()
    traced.PLACES.clear()
    ended = run(*STUDY, *words)
    assert ended.code == code, ended.err
    closed = [i for i, line in enumerate(traced.TRACE) if line == "executor.close()"]
    return traced.TRACE[: closed[1]]  # which is safe to call twice


def test_the_trace_of_a_study():
    assert study() == PRINTED["halving"]


def test_the_trace_of_a_trial_that_is_stopped():
    # The second trial is worse than the first at 1 where more is better.
    trace = study("scheduler.kind=median", "mode=max", "max_resource=3")
    begins = trace.index("scheduler.next_job() -> Job(trial 1 to 3)")
    assert trace[begins:-2] == PRINTED["stopped"]


def test_the_trace_of_a_trial_that_fails():
    trace = study("scheduler.kind=fifo", "objective.fails=true", "n_trials=1", code=1)
    assert trace[trace.index("executor.submit(Job(trial 0 to 2), 0)") :] == PRINTED["failed"]


def test_the_trace_of_a_resumed_study():
    assert study("executor.breaks_after=2", code=130)[-2:] == ["executor.wait()", "executor.close()"]
    resumed = study("resume=true")
    assert resumed == PRINTED["resumed"]
    # From the job that was in flight on, it is the trace without a break, but that the trial is loaded.
    again = "executor.submit(Job(trial 1 to 2), 1)"
    rest = [line for line in resumed[resumed.index(again) :] if "objective.load" not in line]
    assert rest == PRINTED["halving"][PRINTED["halving"].index(again) :]


def test_the_trace_of_an_able_objective():
    trace = study("objective=able", "scheduler=fifo", "searcher=random", "n_trials=1", "max_resource=3")
    told = [line for line, again in itertools.groupby(trace) if "executor.submit" not in line and again]
    assert [line for line in told if "next_job" not in line] == PRINTED["abilities"]


def test_the_trace_of_a_tracker():
    study("tracker=traced")
    events = [line for line in traced.TRACKED if "take" in line]
    assert events[:2] == ["writer.take(study)", "writer.take(session)"]
    assert events[-1] == "writer.take(end)"
    # How many records a window has is a matter of time.
    rounds = [line for line in traced.TRACKED if "take" not in line]
    assert [line for line, _ in itertools.groupby(rounds)] == [
        line for line in PRINTED["tracker"] if "take" not in line
    ]
    assert "writer.take(record); writer.take(record); ..." in PRINTED["tracker"]


def test_where_it_runs():
    notes = Path("notes.txt").absolute()
    study_words = ("executor=process", "executor.n_workers=1", "objective=able", f"objective.file={notes}")
    traced.PLACES.clear()
    assert run(*STUDY, *study_words).code == 0
    here: set[str] = set()
    elsewhere: set[str] = set()
    for line in notes.read_text().splitlines():
        pid, call = line.split()
        (here if int(pid) == os.getpid() else elsewhere).add(call)
    of_a_trial = {"start", "set_target", "advance", "finished", "snapshot", "save_model", "save", "close"}
    assert {f"objective.{name}" for name in of_a_trial} == elsewhere
    assert {"objective.problems", "objective.available", "scheduler.next_job", "searcher.suggest"} <= here
    in_main = {call: {main for name, main in traced.PLACES if name == call} for call, _ in traced.PLACES}
    assert in_main.pop("searcher.suggest") == {False}
    assert set(map(frozenset, in_main.values())) == {frozenset({True})}


def test_what_a_scheduler_raises_ends_the_study_in_good_order(monkeypatch):
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("by zero")

    with monkeypatch.context() as patch:
        patch.setattr(traced.TracedScheduler, "on_report", broken)
        ended = run(*STUDY)
    assert ended.code == 1
    assert "TracedScheduler.on_report raised ZeroDivisionError: by zero" in ended.out
    assert run(*STUDY, "resume=true").code == 0


def protocols(package: str) -> list[type]:
    module = importlib.import_module(f"hpo_pipeline.{package}")
    return [
        thing
        for thing in vars(module).values()
        if getattr(thing, "_is_protocol", False) and thing.__module__ == module.__name__
    ]


def members(protocol: type) -> list[str]:
    """Its methods as the page writes them, `suggest(trial_id, first_rung)`, and its attributes."""
    found = []
    for name, member in {**inspect.get_annotations(protocol), **vars(protocol)}.items():
        if name.startswith("_"):
            continue
        if inspect.isfunction(member):
            found.append(f"{name}({', '.join(list(inspect.signature(member).parameters)[1:])})")
        else:
            found.append(name)
    return found


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("title", INTERFACES)
def test_every_member_of_every_interface_is_told(title):
    told = set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", section(title), flags=re.DOTALL)))
    found = [protocol for package in INTERFACES[title] for protocol in protocols(package)]
    assert found
    for protocol in [*found, *([SupportsWarmStart] if title == "Searcher" else [])]:
        assert protocol.__name__ in told or f"hpo_pipeline.{INTERFACES[title][0]}.{protocol.__name__}" in told
        for member in members(protocol):
            assert member in told, f"{protocol.__name__}.{member}"


@pytest.mark.parametrize("title", INTERFACES)
def test_no_interface_is_told_that_is_not_there(title):
    known = {protocol.__name__ for package in INTERFACES[title] for protocol in protocols(package)}
    known |= {SupportsWarmStart.__name__}
    assert set(re.findall(r"`(Supports\w+|Holds\w+|Registers\w+)`", section(title))) <= known


def test_every_group_has_its_section_with_what_is_offered():
    text = section("Model, loss, metric, optimizer, schedule")
    for kind in KINDS.values():
        if kind.interface and kind.interface.startswith("hpo_pipeline."):
            title = kind.interface.rpartition(".")[2]
            offered = section(title).partition("Offered: ")[2].partition("\n\n")[0].partition("| |")[0]
            assert {offer.name for offer in kind.offers} <= set(re.findall(r"`(\w+)`", offered)), title
        elif kind.name in ("model", "loss", "metrics", "optimizer", "lr_schedule"):
            assert f"| `{kind.name}" in text
