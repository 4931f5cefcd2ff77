"""Studies that begin with earlier ones, from the command line, and what is said where that can't be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import FREE, journal, run
from heard import LOSS, folded

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.journal import Journal
from hpo_pipeline.searcher.evolution import RegularizedEvolution
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.tracker.none import NoTracker
from hpo_pipeline.warm_start import FILE, WarmStart, warm_start

A = (*FREE, "name=a", "searcher=random", "n_trials=12", "points_to_evaluate=[]")
B = (*FREE, "name=b", "searcher=evolution", "searcher.warm_start=[runs/a]", "points_to_evaluate=[]")


def suggested(name: str) -> list[tuple[dict[str, object], str]]:
    return [(record["config"], record["origin"]) for record in journal(name) if record["event"] == "suggested"]


def test_the_first_trial_is_the_earlier_best_and_a_resumed_study_goes_on_without_the_earlier_one():
    assert run(*A).code == 0
    best = folded(journal("a")).best
    assert best is not None

    whole = run(*B, "name=whole", "n_trials=16")
    assert whole.code == 0
    assert "learning from runs/a: 12 of 12 trials" in whole.out
    assert suggested("whole")[0] == (best.config, f"trial {best.id} of runs/a")
    assert any("of runs/a" in origin for _, origin in suggested("whole")[1:])  # the model knows the others, too

    assert run(*B, "n_trials=3").code == 0
    shutil.rmtree("runs/a")
    assert run("name=b", "resume=true", "n_trials=16").code == 0
    assert suggested("b") == suggested("whole")


def test_what_can_not_be_learned_from_is_said_before_anything_starts():
    ended = run(*B, "n_trials=4")
    assert ended.code == 2
    assert "searcher.warm_start[0]: 'runs/a' is neither the folder of a study nor an experiment of the" in ended.err
    assert not Path("runs").exists()


SPACE = SearchSpace.parse({"x": {"type": "float", "low": 0.0, "high": 1.0}})


def write_study(name: str, *trials: tuple[dict[str, Any], list[float] | None]) -> None:
    """A study of (configuration, the losses that it reports; None: it fails) each; `accuracy` is 1 - loss."""
    folder = Path(name)
    folder.mkdir(parents=True)
    with Journal(folder / "journal.jsonl") as file:
        metrics = [{"name": "loss", "mode": "min"}]
        file.append({"event": "study", "version": 3, "name": name, "metrics": metrics, "time": 0.0})
        for trial, (config, losses) in enumerate(trials):
            of = {"trial": trial, "time": 0.0}
            file.append({"event": "suggested", "config": config, **of})
            file.append({"event": "submitted", "resource": 9, "rung": 0, "bracket": 0, **of})
            for resource, loss in enumerate(losses or [], start=1):
                reported = {"loss": loss, "accuracy": 1 - loss}
                file.append({"event": "report", "resource": resource, "metrics": reported, **of})
            outcome = "done" if losses else "failed"
            file.append({"event": "result", "outcome": outcome, "error": "" if losses else "no", "traceback": "", **of})
            state = "COMPLETED" if losses else "FAILED"
            file.append({"event": "decision", "state": state, "reason": "", **of})


def begun(names: Any, searcher: Any = None, metric: Metric = LOSS[0], **config: Any) -> WarmStart | None:
    node = {"_target_": "some.Searcher", "warm_start": names}
    config = {"searcher": node, "folder": "runs/b", "resume": False, **config}
    return warm_start(searcher or RegularizedEvolution(SPACE, 0), config, SPACE, metric, [NoTracker()])


def test_a_trials_score_is_its_best_and_failed_ones_have_none():
    write_study("runs/a", ({"x": 0.1}, [0.5, 0.3, 0.4]), ({"x": 0.2}, None), ({"x": 0.3}, [0.2]), ({"x": 2.0}, [0.1]))
    found = begun(["runs/a"])
    assert [(trial.id, trial.score) for trial in found.studies[0].trials] == [(2, 0.2), (0, 0.3), (1, float("inf"))]
    assert found.notes == ["learning from runs/a: 3 of 4 trials"]


def test_another_metric_of_an_earlier_study_is_taken_from_its_reports():
    write_study("runs/a", ({"x": 0.1}, [0.5, 0.9]), ({"x": 0.3}, [0.8]))
    (study,) = begun(["runs/a"], metric=Metric("accuracy", "max")).studies
    assert [(trial.id, trial.score) for trial in study.trials] == [(0, -0.5), (1, pytest.approx(-0.2))]


def test_no_names_are_no_warm_start():
    assert begun([]) is None
    assert begun(None, searcher=RandomSearch(SPACE, 0)) is None


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["gone"], "[0]: 'gone' is neither the folder of a study nor an experiment of the tracker with trials in it"),
        (["runs"], "[0]: runs: is no study's folder, as there is no journal.jsonl in it"),
        (["runs/a", "runs/broken"], "[1]: runs/broken/journal.jsonl: line 1: this is not a journal"),
        (["runs/outside"], "[0]: runs/outside: none of its 1 trials lies in the search space, e.g. x: 2 is not in"),
        (["runs/empty"], "[0]: runs/empty: it has no trial"),
        (["runs/failed"], "[0]: runs/failed: no trial has a finite score"),
        ("runs/a", ": must be a list of folders of studies, or of experiments, got 'runs/a'"),
        (["a" * 5000], f"[0]: '{'a' * 5000}' is neither the folder of a study nor an experiment of the tracker"),
        (["runs/rung"], "[0]: runs/rung/journal.jsonl: trial 0 is on a rung without a report"),
        ([3], ": must be a list of folders of studies, or of experiments, got [3]"),
    ],
)
def test_every_study_that_can_not_be_learned_from_is_named(names, told):
    write_study("runs/a", ({"x": 0.1}, [0.5]))
    write_study("runs/outside", ({"x": 2}, [0.5]))
    write_study("runs/empty")
    write_study("runs/failed", ({"x": 0.5}, None))
    write_study("runs/rung", ({"x": 0.5}, None))
    with Journal(Path("runs/rung/journal.jsonl")) as file:
        file.append({"event": "rung", "trial": 0, "rung": 0, "bracket": 0, "resource": 9, "time": 0.0})
    Path("runs/broken").mkdir()
    Path("runs/broken/journal.jsonl").write_text("no journal\n")
    with pytest.raises(ConfigError) as caught:
        begun(names)
    (line,) = caught.value.lines
    assert line.startswith(f"searcher.warm_start{told}")


def test_a_metric_that_was_not_reported_and_a_searcher_that_does_not_learn_are_named():
    write_study("runs/a", ({"x": 0.1}, [0.5]))
    with pytest.raises(ConfigError, match=r"runs/a/journal.jsonl: trial 0 reports no 'error'"):
        begun(["runs/a"], metric=Metric("error"))
    with pytest.raises(ConfigError, match=r"searcher.warm_start: some.Searcher learns from no earlier study"):
        begun(["runs/a"], searcher=RandomSearch(SPACE, 0))


def test_what_was_kept_is_read_again_whatever_became_of_the_earlier_study():
    write_study("runs/a", ({"x": 0.1}, [0.5]), ({"x": 0.2}, None))
    found = begun(["runs/a"])
    Path("runs/b").mkdir()
    found.keep(Path("runs/b"))
    shutil.rmtree("runs/a")
    assert begun(["runs/a"], resume=True).studies == found.studies


@pytest.mark.parametrize(
    "damaged",
    [
        "{",
        "3",
        "[1]",
        json.dumps([{"name": "a", "trials": [[0, {"x": [1]}, 0.5]]}]),
        json.dumps([{"name": "a", "trials": [[-1, {"x": 0.5}, 0.5]]}]),
        json.dumps([{"name": "a", "trials": [[0, {"x": 0.5}, "0.5"]]}]),
        '[{"name": "a", "trials": [[0, {"x": 0.5}, NaN]]}]',
        json.dumps([{"name": "a", "trials": [[0, {"x": 0.5}, 10**400]]}]),
        json.dumps([{"name": "a", "trials": [[10**400, {"x": 0.5}, 0.5]]}]),
        "[" * 100_000,
    ],
)
def test_what_was_kept_is_not_trusted(damaged):
    Path("runs/b").mkdir(parents=True)
    Path("runs/b", FILE).write_text(damaged)
    with pytest.raises(ConfigError, match=r"searcher.warm_start: runs/b/warm_start.json: can't be read"):
        begun(["runs/a"], resume=True)
