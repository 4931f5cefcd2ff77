"""A trained model in a file: its weights, and what its config doesn't say of it. Tensors and plain data, no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hpo_pipeline.build import build
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.objective import checkpoint
from hpo_pipeline.objective.checks import told

FORMAT = 1
_OTHERS = ("hpo_pipeline", "torch", "torchvision")
"""Packages whose models a stranger's config can name. All others are the person's own, who has said so."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model as it was.

    Attributes:
        weights: name -> tensor, buffers included.
        input_shape: shape of one example; None where the data don't tell.
        task: what the model was built for; the same.
    """

    weights: Mapping[str, Tensor]
    input_shape: tuple[int, ...] | None
    task: Task | None

    @property
    def offered(self) -> dict[str, Any]:
        """What the model is told of its data, as it was in training."""
        return {} if self.task is None else told(self.input_shape, self.task)


@torch.no_grad()
def snapshot(model: nn.Module, input_shape: tuple[int, ...] | None, task: Task | None) -> Snapshot:
    """A copy; it stays on the model's device. What has no shape yet, as no example came there, isn't in it."""
    copied = {
        name: value.detach().clone() if isinstance(value, Tensor) else value
        for name, value in model.state_dict().items()
        if not is_lazy(value)
    }
    return Snapshot(copied, None if input_shape is None else tuple(input_shape), task)


def write(saved: Snapshot, path: Path) -> None:
    """Writes a file that `read` takes; on any device."""
    shape = None if saved.input_shape is None else list(saved.input_shape)
    kind, n_outputs = (None, None) if saved.task is None else (saved.task.kind, saved.task.n_outputs)
    content = {"format": FORMAT, "weights": dict(saved.weights), "input_shape": shape}
    torch.save({**content, "task": kind, "n_outputs": n_outputs}, path)


def read(path: Path) -> Snapshot:
    """What was written, in memory of the CPU. No code that is in there is run.

    Raises:
        StudyError: it is no such file, or one of a later version.
    """
    try:
        content = checkpoint.tensors(path, torch.device("cpu"))
    except Exception as error:  # a broken archive raises whatever its bytes lead to
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise _unusable(path, f"can't be read ({reason[:200]})") from None
    version = content.get("format") if isinstance(content, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise StudyError(f"{path}: was written by a later hpo_pipeline (format {version}, not {FORMAT}); update it")
    try:
        shape, kind, n_outputs = content["input_shape"], content["task"], content["n_outputs"]
        return Snapshot(
            dict(content["weights"]),
            None if shape is None else tuple(map(int, shape)),
            None if kind is None else Task(kind, n_outputs),
        )
    except (KeyError, TypeError, ValueError, OverflowError, ConfigError):
        raise _unusable(path, "is no model that a study has kept") from None


def build_from(node: Any, path: Path, kind: str = "model") -> nn.Module:
    """The model of a config with the weights in the file, ready to predict.

    Args:
        kind: what the config's node makes, a key of `KINDS`.

    Raises:
        ConfigError: the config names no model that may be built.
        StudyError: the file is no model, or that of another one.
    """
    saved = read(path)
    try:
        if (larger := _larger(node, kind, saved)) is not None:
            raise RuntimeError(f"{larger} has another shape")
        model = _made(node, kind, saved)
        there = model.state_dict()
        odd = saved.weights.keys() - there.keys()
        if _is_strict(model):
            odd |= {name for name, value in there.items() if name not in saved.weights and not is_lazy(value)}
        if odd:
            raise RuntimeError(f"only one of them has {', '.join(sorted(odd))}")
        model.load_state_dict(dict(saved.weights), strict=False)
    except ConfigError:
        raise
    except Exception as error:  # numbers that are no shapes raise whatever they lead to
        reason = " ".join(str(error).split())[:200]
        raise _unusable(path, f"does not fit the model of its config ({reason})") from None
    return model.eval()


def _made(node: Any, kind: str, saved: Snapshot) -> nn.Module:
    """The model with whatever weights it begins with; a LightningModule may have its layers from `configure_model`."""
    model: nn.Module = build(node, kind, **saved.offered)
    if kind == "lightning_module":
        model.configure_model()  # type: ignore[operator]
    return model


def _is_strict(model: nn.Module) -> bool:
    """Whether it must get all of its weights: a LightningModule may leave out some that its constructor has."""
    return bool(getattr(model, "strict_loading", True))


def _larger(node: Any, kind: str, saved: Snapshot) -> str | None:
    """A weight of the model that takes another amount of memory than is in the file; None if there is none.

    The model is made without its weights for this: numbers in a stranger's config can ask for any amount.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            model = _made(node, kind, saved)
            weights = model.state_dict()
    except (NotImplementedError, RuntimeError):  # a module of somebody's own may need its weights' values
        return None
    except ConfigError:
        raise
    except Exception:  # of somebody's own code it says the same; of others' it may be what their numbers lead to
        if str(node["_target_"]).partition(".")[0] in _OTHERS:
            raise
        return None
    for name, weight in weights.items():
        held = saved.weights.get(name)
        if not isinstance(weight, Tensor) or is_lazy(weight) or (held is None and not _is_strict(model)):
            continue
        if not isinstance(held, Tensor) or held.shape != weight.shape or _held(held) < weight.numel():
            return str(name)
    return None


def _held(tensor: Tensor) -> int:
    """How many of its elements are in memory: of one that repeats itself, fewer than it seems to have."""
    return tensor.untyped_storage().nbytes() // tensor.element_size()


def _unusable(path: Path, what: str) -> StudyError:
    return StudyError(f"{path}: {what}; train it again with train.py")
