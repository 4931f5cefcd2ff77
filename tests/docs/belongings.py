"""What a reader has already, before a page speaks of it: a folder of photographs, tables, recorded curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def lay_out() -> None:
    """All of it, in the current folder."""
    photos(Path("photos"))
    houses(Path("houses.csv"))
    curves(Path("curves.csv"))
    taskset(Path("taskset/patch32_GRU64_avg_bs128.npz"))


def photos(folder: Path) -> None:
    """Two kinds of pictures, a folder each."""
    for kind, colour in (("cat", 60), ("dog", 200)):
        (folder / kind).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (32, 32), (colour, number, 0)).save(folder / kind / f"{number}.png")


def houses(path: Path) -> None:
    rows = [f"{size},{'town' if size % 2 else 'village'},{3 * size}" for size in range(40, 100)]
    path.write_text("\n".join(["size,place,price", *rows]))


def curves(path: Path) -> None:
    """Learning curves of two hyperparameters, as `objective=tabular` reads them."""
    rows = [f"{lr},0.001,{epoch},{lr + 1 / epoch}" for lr in (0.01, 0.1, 0.5) for epoch in range(1, 4)]
    path.write_text("\n".join(["lr,weight_decay,epoch,validation_error", *rows]))


def taskset(path: Path) -> None:
    """A table of the form that TaskSet's have: 4 configurations, 3 values each, the first from before training."""
    path.parent.mkdir()
    names = ["learning_rate", "beta1", "beta2"]
    config = np.random.default_rng(0).uniform(size=(4, len(names)))
    curve = np.linspace(2.0, 1.0, 3) * np.ones((4, 1))
    np.savez(path, config=config, names=names, valid=curve, test=curve)
