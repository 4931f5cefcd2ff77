"""What training trials as a pack gains (`executor=fused`), against the usual loop and one by one: one core, one run.

    python benchmarks/fused.py [--csv] [--fraction 0.1] [--data FOLDER]

Seconds are per trial and epoch of FashionMNIST's 50,000 training images, from a fraction of an epoch; the median of
three alternating measurements. The usual loop is a torchvision dataset with `ToTensor` on every image, a `DataLoader`
and torch's plain optimizer.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ToTensor

from hpo_pipeline.build import build
from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.objective.training import Training, TrainingState

N = 50_000


def config(model: dict[str, Any], optimizer: dict[str, Any], batch_size: int, root: str) -> dict[str, Any]:
    dataset = {
        "_target_": "hpo_pipeline.dataset.fashion_mnist.FashionMNIST",
        "root": root,
        "search_path": ["/usr/share/datasets/fashion-mnist"],
        "batch_size": batch_size,
    }
    return {"seed": 0, "model": model, "dataset": dataset, "optimizer": optimizer}


def workloads(root: str) -> dict[str, list[dict[str, Any]]]:
    draw = random.Random(0)
    softmax = {"_target_": "hpo_pipeline.model.softmax.Softmax"}

    def mlp(n_units_1: int, n_units_2: int) -> dict[str, Any]:
        return {"_target_": "hpo_pipeline.model.mlp.MLP", "n_units_1": n_units_1, "n_units_2": n_units_2}

    def sgd(lr: float) -> dict[str, Any]:
        return {"_target_": "torch.optim.SGD", "lr": lr}

    def adam(lr: float) -> dict[str, Any]:
        return {"_target_": "torch.optim.Adam", "lr": lr}

    rates = [10 ** (-4 * i / 31) for i in range(32)]
    return {
        "softmax, batch 16, 32 learning rates": [config(softmax, sgd(lr), 16, root) for lr in rates],
        "softmax, batch sizes 8..128, 32 trials": [
            config(softmax, sgd(0.05), draw.randint(8, 128), root) for _ in range(32)
        ],
        "MLP 32-16, batch 64, 16 learning rates": [
            config(mlp(32, 16), adam(10 ** (-2 - 2 * i / 15)), 64, root) for i in range(16)
        ],
        "MLP, widths 4..128, batch 64, 16 trials": [
            config(mlp(draw.randint(4, 128), draw.randint(4, 128)), adam(1e-3), 64, root) for _ in range(16)
        ],
        "MLP 512-128, batch 64, 16 trials": [config(mlp(512, 128), adam(1e-3 / (i + 1)), 64, root) for i in range(16)],
    }


class Images(Dataset):  # type: ignore[type-arg]
    """The images as torchvision's datasets hand them over: a PIL image, through a transform, one at a time."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.y, self.transform = (x[:, 0] * 255).to(torch.uint8).numpy(), y.tolist(), ToTensor()

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.x[i])), self.y[i]


def usual_loop(config: dict[str, Any], state: TrainingState) -> float:
    """Seconds of one pass over the state's training data, without validation."""
    model = build(config["model"], "model", input_shape=(1, 28, 28), n_outputs=10)
    optimizer = build(config["optimizer"], "optimizer", params=list(model.parameters()))
    images = Images(state.data.x_train, state.data.y_train)
    began = time.perf_counter()
    for x, y in DataLoader(images, batch_size=config["dataset"]["batch_size"], shuffle=True):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    return time.perf_counter() - began


def measure(training: Training, configs: list[dict[str, Any]], fraction: float) -> tuple[float, float, float]:
    """Seconds per trial and epoch: the usual loop, one by one, as a pack (or one by one where that is faster)."""

    def started() -> list[TrainingState]:
        states = [training.start(TrialSpec(config, seed, Path())) for seed, config in enumerate(configs)]
        full, n = states[0].data, int(N * fraction)
        data = dataclasses.replace(
            full,
            x_train=full.x_train[:n],
            y_train=full.y_train[:n],
            x_validation=full.x_validation[: n // 5],
            y_validation=full.y_validation[: n // 5],
        )
        for state in states:
            state.data = data
        return states

    alone, packed = started(), started()
    sample = range(0, len(configs), 4)
    times: list[tuple[float, float, float]] = []
    gain = training.pack_gain(packed)
    for _ in range(3):
        usual = usual_loop(configs[len(configs) // 2], alone[0])
        began = time.perf_counter()
        for i in sample:
            training.advance(alone[i])
        middle = time.perf_counter()
        if gain >= 1:
            training.advance_pack(packed)
        else:
            for i in sample:
                training.advance(packed[i])
        done = len(configs) if gain >= 1 else len(sample)
        times.append((usual, (middle - began) / len(sample), (time.perf_counter() - middle) / done))
    usual, serial, fused = (statistics.median(column) / fraction for column in zip(*times, strict=True))
    return usual, serial, fused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", action="store_true", help="comma-separated, for programs")
    parser.add_argument("--fraction", type=float, default=0.1, help="of an epoch that is trained")
    parser.add_argument("--data", default="data", help="folder with FashionMNIST")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    training = Training(device="cpu", threads=1)
    if arguments.csv:
        print("workload,usual_loop_s,serial_s,fused_s,ratio_usual,ratio_serial")
    else:
        print(f"{'seconds per trial and epoch':42}{'usual':>9}{'serial':>9}{'fused':>9}{'usual/f':>9}{'serial/f':>9}")
    for name, configs in workloads(arguments.data).items():
        usual, serial, fused = measure(training, configs, arguments.fraction)
        figures = (usual, serial, fused, usual / fused, serial / fused)
        if arguments.csv:
            print(name.replace(", ", "; "), *(f"{figure:.4f}" for figure in figures), sep=",", flush=True)
        else:
            print(f"{name:42}" + "".join(f"{figure:9.3f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
