"""real: a perceptron of seven hyperparameters, trained by the product's own objective: on digits, and on FashionMNIST.

    digits          scikit-learn's, 1,197 images for training and 300 for validation
    fashion_mnist   the first 10,000 of its training images: 5,000 for training, 5,000 for validation

The space is conf/search_space/mlp.yaml with widths to 256; the validation error itself is what counts. One thread. A
trial's seed follows from the run's seed and the trial's number, so that methods which propose the same train the same.
What was trained is kept in a file (`curves`), from which a run that is made again takes it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks.search.product import CONF
from benchmarks.search.task import Curve, Task, Value
from hpo_pipeline import trust
from hpo_pipeline.dataset import Splits
from hpo_pipeline.dataset.fashion_mnist import FashionMNIST
from hpo_pipeline.dataset.images import split
from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.objective.training import Training
from hpo_pipeline.seeding import trial_seed
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config

MAX_RESOURCE = 27
WIDEST = 256
N_IMAGES = 10_000
DATASETS: Mapping[str, Mapping[str, Any]] = {
    "digits": {"_target_": "hpo_pipeline.dataset.digits.Digits"},
    "fashion_mnist": {
        "_target_": f"{__name__}.FirstFashionMNIST",
        "root": str(CONF.parent / "data"),
        "search_path": ["/usr/share/datasets/fashion-mnist"],
        "n_validation": N_IMAGES // 2,
        "download": False,
    },
}


class FirstFashionMNIST(FashionMNIST):
    """The first images alone."""

    def load(self) -> Splits:
        images, labels = self._read("train", self.n_train)
        return split(images[:N_IMAGES], labels[:N_IMAGES], self.n_validation, self.split_seed, self.n_classes)


def space() -> SearchSpace:
    tree: Any = OmegaConf.to_container(OmegaConf.load(CONF / "search_space" / "mlp.yaml"))
    for width in ("n_units_1", "n_units_2"):
        tree["model"][width]["high"] = WIDEST
    return SearchSpace.parse(tree)


def tasks(curves: Path) -> Iterator[Task]:
    for name in DATASETS:
        yield Task(
            suite="real",
            group=name,
            name=name,
            space=space(),
            curve=functools.partial(_curve, name, curves),
            max_resource=MAX_RESOURCE,
            n_units=1000,
        )


def _curve(name: str, curves: Path, seed: int) -> Curve:
    kept, objective = _Kept(curves), _objective(name)
    states: dict[int, Any] = {}

    def value(trial_id: int, config: Config, resource: int) -> Value:
        weights = trial_seed(seed, trial_id)
        key = hashlib.sha256(json.dumps([name, weights, sorted(config.items())]).encode()).hexdigest()
        errors = kept.errors(key)
        while len(errors) < resource:
            if trial_id not in states:
                states[trial_id] = objective.started(config, weights)
            state = states[trial_id]
            error = objective.training.advance(state)["validation_error"]
            if state.resource > len(errors):  # else it is trained again, up to where the record ends
                errors.append(error)
                kept.keep(key, errors)
        return Value(errors[resource - 1], errors[resource - 1])

    return value


class _Kept:
    """Learning curves on disk; several processes may read and write."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("CREATE TABLE IF NOT EXISTS curves (key TEXT PRIMARY KEY, errors TEXT)")
        self._memory: dict[str, list[float]] = {}

    def errors(self, key: str) -> list[float]:
        if key not in self._memory:
            row = self._connection.execute("SELECT errors FROM curves WHERE key = ?", [key]).fetchone()
            self._memory[key] = json.loads(row[0]) if row else []
        return self._memory[key]

    def keep(self, key: str, errors: list[float]) -> None:
        self._connection.execute("INSERT OR REPLACE INTO curves VALUES (?, ?)", [key, json.dumps(errors)])


class _Objective:
    """The product's objective on one dataset."""

    def __init__(self, name: str) -> None:
        self.training = Training(device="cpu", threads=1)
        self._dataset = DATASETS[name]
        trust.trust((*trust.trusted(), __name__))

    def started(self, config: Config, seed: int) -> Any:
        nested: dict[str, Any] = {
            "seed": 0,
            "model": {"_target_": "hpo_pipeline.model.mlp.MLP"},
            "optimizer": {"_target_": "torch.optim.Adam"},
            "dataset": dict(self._dataset),
        }
        for path, value in config.items():
            group, _, key = path.partition(".")
            nested[group][key] = value
        return self.training.start(TrialSpec(nested, seed, Path()))


_objective = functools.cache(_Objective)
