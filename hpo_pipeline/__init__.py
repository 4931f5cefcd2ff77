"""Declarative, config-driven hyperparameter optimization. Nothing heavy is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__version__ = "0.1.0"


def load_model(folder: str | Path) -> Any:
    """The best model of a study or a training, ready to predict.

        model = hpo_pipeline.load_model("runs/x")
        with torch.no_grad():
            scores = model(x)

    Its weights are those of its best epoch, its place the CPU, its mode `eval`. Nothing is trained, and nothing that
    the files hold is executed: the model is built as a study builds it, from this project, torch, torchvision, and
    what the environment variable HPO_TRUST names.

    Args:
        folder: of the study or the training, which holds `best/`.

    Raises:
        StudyError: there is no such folder, or no model in it, or none that can be built here.
    """
    from hpo_pipeline.objective.kept_model import load

    return load(folder)
