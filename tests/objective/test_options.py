"""Every shipped option of the groups model, dataset and optimizer fits every other, losses and metrics their tasks."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_pipeline import conf
from hpo_pipeline.build import build
from hpo_pipeline.objective.training import Training

(ROOT,) = map(Path, conf.__path__)
GROUPS = ("model", "dataset", "optimizer")
IMAGES = ("cifar10", "digits", "fashion_mnist", "image_folder", "mnist")
OF_ANY_SHAPE = ("tabular",)  # known once it is read
OPTIONS = list(
    itertools.product(
        *(sorted(path for path in (ROOT / group).glob("*.yaml") if path.stem != "none") for group in GROUPS)
    )
)


def node(path: Path) -> dict[str, Any]:
    written: dict[str, Any] = yaml.safe_load(path.read_text())
    return written.get(path.parent.name, written)  # a model that chooses its optimizer is written from the root


@pytest.mark.parametrize("options", OPTIONS, ids=lambda paths: "-".join(p.stem for p in paths))
def test_options_of_different_groups_have_no_problems_together(options: tuple[Path, ...]):
    config = {"seed": 0, **dict(zip(GROUPS, map(node, options), strict=True))}
    found = Training(device="cpu").problems(config)
    model, dataset, _ = (path.stem for path in options)
    if model in ("cnn", "resnet18") and dataset not in (*IMAGES, *OF_ANY_SHAPE):
        assert [problem.path for problem in found] == ["model.input_shape"]
    else:
        assert found == []


TASKS = {"classification": "digits", "multilabel": "multilabel", "regression": "diabetes"}
OF_LABELS = ("accuracy", "precision", "recall", "f1", "auroc", "average_precision")
OF_NUMBERS = ("mean_absolute_error", "mean_squared_error", "r2")
FITTING = {
    "loss": {
        "classification": {"cross_entropy"},
        "multilabel": {"bce_with_logits"},
        "regression": {"mse", "l1", "huber"},
    },
    # the squared error of a probability is Brier's score
    "metrics": {"classification": {*OF_LABELS}, "multilabel": {*OF_LABELS, *OF_NUMBERS}, "regression": {*OF_NUMBERS}},
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("group", FITTING)
def test_a_loss_or_a_metric_fits_the_tasks_that_it_is_for_and_is_refused_for_others(group: str, task: str):
    config = {
        "dataset": node(ROOT / "dataset" / f"{TASKS[task]}.yaml"),
        "model": node(ROOT / "model/mlp.yaml"),
        "optimizer": node(ROOT / "optimizer/adam.yaml"),
    }
    fitting = set()
    for path in sorted((ROOT / group).glob("*.yaml")):
        if path.stem != "auto":
            chosen = node(path) if group == "loss" else {path.stem: node(path)}
            found = Training(device="cpu").problems({**config, group: chosen})
            fitting |= set() if found else {path.stem}
            assert all(task in str(problem) for problem in found)  # names the task
    assert fitting == FITTING[group][task]


OF_SOMETHING_OWN = ("command", "lightning", "tabular", "train_function")
"""Objectives that are nothing without a program, a module, a recording or a function; each has its own tests."""
OBJECTIVES = sorted(p for p in (ROOT / "objective").glob("*.yaml") if p.stem not in OF_SOMETHING_OWN)


@pytest.mark.parametrize("path", OBJECTIVES, ids=lambda path: path.stem)
def test_objectives_can_be_built_from_their_files(path: Path):
    assert build(node(path), "objective").unit in {"epoch", "step"}
