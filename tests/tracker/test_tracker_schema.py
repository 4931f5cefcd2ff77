from __future__ import annotations

import math
from typing import Any

from studies import CONFIG, MemoryStore, Study, carry

from hpo_pipeline.tracker.mlflow.naming import Keys, dimensions


def points(run: dict[str, Any], key: str) -> list[tuple[int, str]]:
    """(step, value) of one metric, in order."""
    return sorted((step, value) for name, value, _, step in run["metrics"] if name == key)


def test_16_trials_of_successive_halving_make_31_rung_records_in_16_runs_under_one(study: Study, memory: MemoryStore):
    study.successive_halving()
    carry(study, memory)
    children = memory.children()
    assert len(children) == 16
    assert len(memory.runs) == 17
    assert sum(len(points(memory.runs[run], "rung/error")) for run in children.values()) == 31


def test_a_trial_has_every_epoch_in_its_curve_and_a_rung_record_beside_it(study: Study, memory: MemoryStore):
    study.successive_halving()
    carry(study, memory)
    best = memory.named("trial-0000")
    assert [step for step, _ in points(best, "error")] == list(range(1, 17))
    assert points(best, "rung/error") == [(1, "0.1"), (2, "0.1"), (4, "0.1"), (8, "0.1"), (16, "0.1")]


def test_a_trial_is_summed_up_when_it_ends(study: Study, memory: MemoryStore):
    study.successive_halving()
    carry(study, memory)
    run = memory.named("trial-0001")  # the best of the others: 1 + 1 + 2 + 4 epochs of 2 seconds, stopped on rung 3
    assert {key: run["tags"][f"hpo.{key}"] for key in ("resource", "rung", "seconds")} == {
        "resource": "8",
        "rung": "3",
        "seconds": "16",
    }
    assert run["tags"]["mlflow.note.content"] == (
        "Stopped at rung 3 (epoch 8): 1 kept; best error 0.1100 at 1; 16.0 s of training."
    )
    grey = run["tags"]["mlflow.runColor"]
    colors = {trial: memory.named(f"trial-{trial:04d}")["tags"]["mlflow.runColor"] for trial in range(16)}
    assert [trial for trial, color in colors.items() if color != grey] == [0]


def test_only_curves_are_metrics_and_the_best_so_far_is_one(study: Study, memory: MemoryStore):
    study.begin()
    study.suggest(0)
    study.submit(0, 4)
    for epoch, error in enumerate((0.5, 0.3, 0.4, 0.2), start=1):
        study.report(0, epoch, error=error)
    study.rung(0, 4, 0)
    study.result(0)
    study.decide(0, "COMPLETED")
    study.end()
    carry(study, memory)
    run = memory.named("trial-0000")
    assert points(run, "best.error") == [(1, "0.5"), (2, "0.3"), (4, "0.2")]
    assert {key for key, *_ in run["metrics"]} == {"error", "best.error", "rung/error"}
    assert {key for key, *_ in memory.named("s")["metrics"]} == {"best.error"}


def test_the_sample_is_in_params_to_the_last_digit_with_log10_where_it_is_searched_so(
    study: Study, memory: MemoryStore
):
    study.begin()
    study.suggest(0, lr=0.1 + 0.2, n_units=12)
    study.suggest(1, lr=0.001)
    carry(study, memory)
    params = memory.named("trial-0000")["params"]
    assert params.keys() == {"optimizer.lr", "log10.optimizer.lr", "model.n_units"}
    assert params["optimizer.lr"] == "0.30000000000000004"
    assert params["model.n_units"] == "12"
    assert math.isclose(float(memory.named("trial-0001")["params"]["log10.optimizer.lr"]), -3.0)


def test_the_study_has_what_it_was_made_of_as_params(study: Study, memory: MemoryStore):
    study.begin()
    carry(study, memory)
    params = memory.named("s")["params"]
    assert params["scheduler"] == "ASHA"
    assert params["searcher"] == "RandomSearch"
    assert (params["seed"], params["metric"], params["mode"]) == ("7", "error", "min")
    assert (params["n_trials"], params["scheduler.eta"]) == ("16", "2")
    assert params["space.optimizer.lr"] == "float(low=1e-06, high=1.0, log=true)"
    assert params["space.model.n_units"] == "int(low=4, high=1024)"
    assert not [key for key in params if "_target_" in key or key.startswith("search_space")]


def test_at_most_100_scalars_of_the_config_become_params(study: Study, memory: MemoryStore):
    study.begin()
    carry(study, memory, {**CONFIG, "many": {f"k{i}": i for i in range(300)}})
    names = memory.named("s")["params"].keys() - {"model", "scheduler", "searcher", "metric", "mode"}
    assert len([name for name in names if not name.startswith("space.")]) == 100


def test_the_best_so_far_is_drawn_over_the_resource_that_was_spent(study: Study, memory: MemoryStore):
    study.begin()
    for trial, value in enumerate((0.5, 0.7, 0.3)):
        study.suggest(trial)
        study.job(trial, 0, 2, 0, value)
    carry(study, memory)
    assert points(memory.named("s"), "best.error") == [(1, "0.5"), (5, "0.3")]


def test_a_failed_trial_is_not_the_best_so_far_and_has_no_best_value_to_sort_by(study: Study, memory: MemoryStore):
    study.begin()
    study.suggest(0)
    study.job(0, 0, 1, 0, 0.5)
    study.suggest(1)
    study.submit(1, 2)
    study.report(1, 1, error=0.1)
    study.result(1, "failed", "ValueError: no")
    study.decide(1, "FAILED")
    study.end()
    carry(study, memory)
    assert points(memory.named("s"), "best.error") == [(1, "0.5"), (2, "0.1"), (2, "0.5")]
    assert points(memory.named("trial-0000"), "best.error") == [(1, "0.5")]
    records = [record for record in memory.named("trial-0001")["metrics"] if record[0] == "best.error"]
    _, last, _, step = max(records, key=lambda record: (record[3], record[2]))
    assert (last, step) == ("nan", 1)  # what MLflow sorts by: the latest value
    assert points(memory.named("trial-0001"), "best.error") == [(1, "0.1"), (1, "nan")]


def test_a_trial_s_run_says_on_which_nodes_it_was(study: Study, memory: MemoryStore):
    study.begin()
    study.suggest(0)
    study.submit(0, 3)
    for resource, node in ((1, "a"), (2, "b"), (3, "b")):
        study.record("report", trial=0, resource=resource, metrics={"error": 0.5}, node=node)
    study.result(0)
    study.suggest(1)
    study.job(1, 0, 1, 0, 0.5)
    study.end()
    carry(study, memory)
    assert memory.named("trial-0000")["tags"]["hpo.nodes"] == "a, b"
    assert "hpo.nodes" not in memory.named("trial-0001")["tags"]


def test_nan_is_nan_and_infinity_too_with_a_tag(study: Study, memory: MemoryStore):
    study.begin()
    study.suggest(0)
    study.submit(0, 3)
    study.report(0, 1, error=0.5)
    study.report(0, 2, error=math.nan)
    study.report(0, 3, error=math.inf)
    study.rung(0, 3, 0)
    study.decide(0, "COMPLETED")
    carry(study, memory)
    run = memory.named("trial-0000")
    assert points(run, "error") == [(1, "0.5"), (2, "nan"), (3, "nan")]
    assert points(run, "rung/error") == [(3, "nan")]
    assert points(run, "best.error") == [(1, "0.5")]
    assert run["tags"]["hpo.diverged"] == "error was inf at 3"


def test_runs_end_as_their_trials_did(study: Study, memory: MemoryStore):
    study.begin()
    for trial in range(5):
        study.suggest(trial)
        study.submit(trial, 1)
    study.decide(0, "COMPLETED")
    study.decide(1, "STOPPED", "rung 0: rank 3 of 3, kept 1")
    study.result(2, "failed", "ValueError: no", "Traceback (most recent call last): no")
    study.decide(2, "FAILED")
    study.decide(3, "PAUSED")
    carry(study, memory)
    assert memory.named("trial-0003")["status"] == "RUNNING"  # it can still be promoted
    study.result(4, "interrupted")
    study.end("interrupted", "stopped by Ctrl-C")
    carry(study, memory)
    statuses = [memory.named(f"trial-000{trial}")["status"] for trial in range(5)]
    assert statuses == ["FINISHED", "FINISHED", "FAILED", "FINISHED", "KILLED"]
    states = [memory.named(f"trial-000{trial}")["tags"]["hpo.state"] for trial in range(5)]
    assert states == ["COMPLETED", "STOPPED", "FAILED", "PAUSED", "INTERRUPTED"]
    assert memory.named("trial-0001")["tags"]["hpo.stop_reason"] == "rung 0: rank 3 of 3, kept 1"
    assert memory.named("trial-0002")["tags"]["hpo.error"] == "ValueError: no"
    assert memory.named("trial-0002")["files"]["traceback.txt"].startswith("Traceback")
    assert memory.named("s")["status"] == "KILLED"


def test_a_resumed_study_and_the_trials_it_touches_are_running_again(study: Study, memory: MemoryStore):
    study.begin()
    for trial in range(3):
        study.suggest(trial)
        study.submit(trial, 2)
        study.report(trial, 1, error=0.5)
    study.decide(2, "PAUSED")
    study.result(0, "interrupted")
    study.result(1, "interrupted")
    study.end("interrupted", "stopped by Ctrl-C")
    carry(study, memory)
    study.session()
    study.report(0, 2, error=0.4)  # in flight when the session ended: goes on without being submitted again
    study.submit(2, 4, rung=1)
    carry(study, memory)
    assert memory.named("s")["status"] == "RUNNING"
    assert [memory.named(f"trial-000{i}")["status"] for i in range(3)] == ["RUNNING", "KILLED", "RUNNING"]
    assert memory.named("trial-0000")["tags"]["hpo.state"] == "RUNNING"


def test_a_trial_bears_the_command_that_runs_it_again(study: Study, memory: MemoryStore):
    study.begin()
    study.suggest(3, lr=0.01, n_units=8)
    study.job(3, 0, 2, 0, value=0.5)
    study.decide(3, "COMPLETED")
    carry(study, memory)
    command = memory.named("trial-0003")["tags"]["hpo.command"]
    assert command == "python train.py model=mlp optimizer.lr=0.01 model.n_units=8 trial=3 resource=2"


def test_the_files_of_the_study_are_artifacts_of_its_run(study: Study, memory: MemoryStore):
    study.begin()
    study.end()
    for name in ("best.yaml", "report.html"):
        (study.folder / name).write_text("a: 1\n", encoding="utf-8")
    (study.folder / "plots").mkdir()
    (study.folder / "plots" / "study.png").write_bytes(b"")
    carry(study, memory)
    assert memory.named("s")["files"].keys() == {"journal.jsonl", "best.yaml", "report.html", "plotsstudy.png"}


def test_the_note_tells_the_best_trials(study: Study, memory: MemoryStore):
    study.successive_halving()
    carry(study, memory)
    note = memory.named("s")["tags"]["mlflow.note.content"]
    assert "16 trials, 31 rung evaluations, 48 epochs" in note  # 16 + 8 + 2 * 4 + 4 * 2 + 8 epochs
    rows = [line for line in note.splitlines() if line.startswith("| [trial-")]
    assert [row[3:13] for row in rows] == [f"trial-000{trial}" for trial in range(5)]


def test_names_that_mlflow_refuses_are_mended_and_stay_distinct():
    keys = Keys()
    assert keys("optimizer.lr") == "optimizer.lr"
    assert keys("a=b") == "a_b"
    assert keys("a+b") not in ("a_b", "a+b")
    assert keys("a+b") == keys("a+b")
    assert keys("/x//../y") == "_/x/_/_/y"
    assert len(keys("x" * 300)) == 250


def test_dimensions_under_the_options_of_a_choice_are_found():
    tree = {"optimizer": {"type": "choice", "choices": {"sgd": {"lr": {"type": "float", "log": True}}, "adam": {}}}}
    assert list(dimensions(tree)) == ["optimizer", "optimizer.lr"]
