"""Trial-epochs per second of the seven-hyperparameter perceptron, for packs of several sizes: made for a GPU.

    python benchmarks/pack_sizes.py [--csv] [--sizes 1 8 64 256] [--fraction 0.1] [--device auto] [--data FOLDER]

Configurations are random ones of conf/search_space/mlp.yaml: widths 4 to 1024, batch sizes 8 to 128, dropout. The rate
of one at a time is that of the executors `serial` and `process` with one worker, on the same trials; validation is
included. On a processor a pack has trials of the same widths where these are large, as under `executor=fused`.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.objective.training import Training, TrainingState
from hpo_pipeline.space import SearchSpace

CONF = Path(__file__).parent.parent / "conf"
ALONE = 8
"""Trials that are trained one at a time for comparison, and the fewest that any rate is taken from."""


def configs(n: int, root: str) -> list[dict[str, Any]]:
    space = SearchSpace.parse(yaml.safe_load((CONF / "search_space" / "mlp.yaml").read_text()))
    rng = np.random.default_rng(0)
    made: list[dict[str, Any]] = []
    for _ in range(n):
        config: dict[str, Any] = {
            "seed": 0,
            "model": {"_target_": "hpo_pipeline.model.mlp.MLP"},
            "optimizer": {"_target_": "torch.optim.Adam"},
            "dataset": {
                "_target_": "hpo_pipeline.dataset.fashion_mnist.FashionMNIST",
                "root": root,
                "search_path": ["/usr/share/datasets/fashion-mnist"],
            },
        }
        for path, value in space.sample(rng).items():
            group, key = path.split(".")
            config[group][key] = value
        made.append(config)
    return made


def started(training: Training, configs: list[dict[str, Any]], fraction: float) -> list[TrainingState]:
    """New trials on a part of the data."""
    states = [training.start(TrialSpec(config, seed, Path())) for seed, config in enumerate(configs)]
    full = states[0].data
    n, m = int(len(full.y_train) * fraction), int(len(full.y_validation) * fraction)
    parts = [full.x_train[:n], full.y_train[:n], full.x_validation[:m], full.y_validation[:m]]
    names = ["x_train", "y_train", "x_validation", "y_validation"]
    data = dataclasses.replace(full, **dict(zip(names, parts, strict=True)))
    for state in states:
        state.data = data
    return states


def seconds_packed(training: Training, states: list[TrainingState], size: int) -> float:
    """Of one epoch of all states, `size` at a time, those of one key as a pack."""
    began = time.perf_counter()
    for some in (states[at : at + size] for at in range(0, len(states), size)):
        packs: dict[Any, list[TrainingState]] = {}
        for state in some:
            packs.setdefault(training.pack_key(state), []).append(state)
        for pack in packs.values():
            training.advance_pack(pack)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", action="store_true", help="comma-separated, for programs")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--fraction", type=float, default=0.1, help="of an epoch that is trained")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--data", default="data", help="folder with FashionMNIST")
    arguments = parser.parse_args()
    training = Training(device=arguments.device, threads=1)
    made = configs(max(ALONE, *arguments.sizes), arguments.data)
    name = torch.cuda.get_device_name(training.device) if training.device.type == "cuda" else "one core"

    alone = started(training, made[:ALONE], arguments.fraction)
    training.advance(alone[0])  # what is done once
    began = time.perf_counter()
    for state in alone:
        training.advance(state)
    one = ALONE * arguments.fraction / (time.perf_counter() - began)
    if arguments.csv:
        print("pack_size,trial_epochs_per_s,ratio")
    else:
        print(f"{name}: {one:.2f} trial-epochs per second one at a time")
        print(f"{'pack size':>10}{'per second':>12}{'ratio':>8}")
    for size in arguments.sizes:
        states = started(training, made[: max(size, ALONE)], arguments.fraction)
        seconds_packed(training, states[:size], size)
        rate = len(states) * arguments.fraction / seconds_packed(training, states, size)
        row = (f"{size}", f"{rate:.2f}", f"{rate / one:.1f}")
        print(",".join(row) if arguments.csv else f"{row[0]:>10}{row[1]:>12}{row[2]:>8}", flush=True)


if __name__ == "__main__":
    main()
