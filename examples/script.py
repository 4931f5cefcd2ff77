"""A training script that knows nothing of hpo_pipeline, but for the line that prints a report.

A two-layer perceptron learns y = sin(3 x) by gradient descent, in plain NumPy. It takes its hyperparameters as a script
for Syne Tune does, and keeps a checkpoint where it is told to.

    hpo tune objective=command 'objective.command="python examples/script.py --epochs {resource} {params}"' \
        '+search_space.params.n_units_1={type: int, low: 2, high: 64}' \
        '+search_space.params.lr={type: float, low: 1e-3, high: 1, log: true}'
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, required=True)
parser.add_argument("--n_units_1", type=int, default=16)
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--seed", type=int, default=int(os.environ.get("HPO_SEED", 0)))
parser.add_argument("--checkpoint", default=os.environ.get("HPO_CHECKPOINT"))
arguments = parser.parse_args()

x = np.linspace(-1, 1, 200)[:, None]
y = np.sin(3 * x)
train, valid = slice(0, None, 2), slice(1, None, 2)

rng = np.random.default_rng(arguments.seed)
weights = {
    "w1": rng.normal(size=(1, arguments.n_units_1)),
    "b1": rng.normal(size=arguments.n_units_1),
    "w2": rng.normal(size=(arguments.n_units_1, 1)) / arguments.n_units_1,
}
done = 0
saved = Path(arguments.checkpoint, "weights.npz") if arguments.checkpoint else None
if saved and saved.exists():
    with np.load(saved) as file:
        weights, done = {name: file[name] for name in weights}, int(file["epoch"])

for epoch in range(done + 1, arguments.epochs + 1):
    for _ in range(20):
        hidden = np.tanh(x[train] @ weights["w1"] + weights["b1"])
        slope = 2 * (hidden @ weights["w2"] - y[train]) / len(hidden)
        back = slope @ weights["w2"].T * (1 - hidden**2)
        weights["w1"] = weights["w1"] - arguments.lr * x[train].T @ back
        weights["b1"] = weights["b1"] - arguments.lr * back.sum(0)
        weights["w2"] = weights["w2"] - arguments.lr * hidden.T @ slope
    error = np.mean((np.tanh(x[valid] @ weights["w1"] + weights["b1"]) @ weights["w2"] - y[valid]) ** 2)
    if saved:  # whole or not at all: it may be killed at any time
        aside = saved.with_name("aside.npz")
        np.savez(aside, epoch=epoch, **weights)
        aside.replace(saved)
    print(json.dumps({"epoch": epoch, "validation_error": float(error)}), flush=True)  # the line for hpo_pipeline
