"""What is wrong with the data that a dataset hands over, found before anything is trained on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset as MapDataset

from hpo_pipeline.dataset import Dataset, MapSplits, Splits
from hpo_pipeline.dataset.task import Task, declared_task
from hpo_pipeline.errors import ConfigError, Problem


def load(dataset: Dataset) -> Splits | MapSplits:
    """What the dataset holds for training and validation.

    Raises:
        ConfigError: with all that is wrong with it, as problems of the key `dataset`.
    """
    splits = dataset.load()
    if isinstance(splits, MapSplits):
        parts = (("train", splits.train), ("validation", splits.validation))
        found = [problem for name, part in parts for problem in _map_problems(name, part, splits.task)]
        if found := found or [*_class_problems(dataset, splits)]:
            raise _refusal(found)
        return splits
    if not isinstance(splits, Splits):
        raise _refusal([f"load() gives {_kind(splits)}; give hpo_pipeline.dataset.Splits(…), or MapSplits(…)"])
    found = [
        *_class_problems(dataset, splits),
        *_problems("train", splits.x_train, splits.y_train, splits.task),
        *_problems("validation", splits.x_validation, splits.y_validation, splits.task),
    ]
    train, validation = splits.x_train, splits.x_validation
    if not found and train.shape[1:] != validation.shape[1:]:
        shapes = f"{tuple(train.shape[1:])} in x_train and {tuple(validation.shape[1:])} in x_validation"
        found.append(f"one example has the shape {shapes}; give both the same")
    if found:
        raise _refusal(found)
    return splits


def load_test(dataset: Dataset, like: Splits | MapSplits) -> tuple[Tensor, Tensor] | MapDataset[Any]:
    """The test examples and their targets, which must be like those for training.

    Raises:
        ConfigError: with all that is wrong with them.
    """
    parts: Any = dataset.load_test()
    if isinstance(parts, MapDataset):
        if found := list(_map_problems("test", parts, like.task)):
            raise _refusal(found)
        return parts
    if not isinstance(parts, (tuple, list)) or len(parts) != 2:
        raise _refusal([f"load_test() gives {_kind(parts)}; give the examples and their targets, (x, y)"])
    x, y = parts
    found = list(_problems("test", x, y, like.task))
    if not found and tuple(x.shape[1:]) != like.input_shape:
        shapes = f"{like.input_shape} in x_train and {tuple(x.shape[1:])} in x_test"
        found.append(f"one example has the shape {shapes}")
    if found:
        raise _refusal(found)
    return x, y


def _refusal(messages: Iterable[str]) -> ConfigError:
    return ConfigError(Problem("dataset", message) for message in messages)


def _map_problems(name: str, part: Any, task: Task) -> Iterator[str]:
    """What is wrong with a map-style part, by its length and its first example."""
    if not isinstance(part, MapDataset) or not hasattr(part, "__len__"):
        yield f"{name} is {_kind(part)}; give a torch.utils.data.Dataset with __len__ and __getitem__"
        return
    if len(part) == 0:
        yield f"{name} is empty; at least one example is needed"
        return
    first = part[0]
    if not isinstance(first, (tuple, list)) or len(first) != 2:
        yield f"{name}[0] is {_kind(first)}; give an example and its target, (x, y)"
        return
    x, y = first
    y = torch.as_tensor(y, dtype=torch.float32 if isinstance(y, float) else None)
    if not isinstance(x, Tensor):
        yield f"the example of {name}[0] must be a torch tensor of float32, got {_kind(x)}"
        return
    yield from _problems(name, x.unsqueeze(0), y.unsqueeze(0), task)


def _class_problems(dataset: Dataset, splits: Splits | MapSplits) -> Iterator[str]:
    """Where the class, by which models are checked, and the data say different things."""
    task = declared_task(dataset)
    if task is not None and splits.n_classes is None and task != splits.task:
        yield f"{type(dataset).__name__} declares a {task}, the data are a {splits.task}; make them equal"
    if isinstance(splits, Splits) and not isinstance(splits.x_train, Tensor):
        return
    for name, found in (("n_classes", splits.n_classes), ("input_shape", splits.input_shape)):
        said = None if found is None else getattr(dataset, name, None)
        said = tuple(said) if isinstance(said, (list, torch.Size)) else said
        if said is not None and said != found:
            yield f"{type(dataset).__name__}.{name} is {said!r}, that of the data {found!r}; make them equal"


def _problems(part: str, x: Any, y: Any, task: Task) -> Iterator[str]:
    x_name, y_name = f"x_{part}", f"y_{part}"
    x_problem = _type_problem(x_name, x, "float32", "float()")
    of_classes = task.kind == "classification"
    y_problem = _type_problem(y_name, y, *(("int64", "long()") if of_classes else ("float32", "float()")))
    if not x_problem and x.dim() < 2:
        shape = tuple(x.shape)
        x_problem = f"{x_name} must have the shape (n, *input_shape), got {shape}; one number an example is (n, 1)"
    elif not x_problem and len(x) == 0:
        x_problem = f"{x_name} is empty; at least one example is needed"
    if not y_problem and of_classes and y.dim() != 1:
        y_problem = f"{y_name} must have the shape (n,), one class an example, got {tuple(y.shape)}"
    elif not y_problem and not of_classes and y.shape[1:] != (task.n_outputs,):
        mend = "; add it: .unsqueeze(1)" if y.dim() == task.n_outputs == 1 else ""
        y_problem = f"{y_name} must have the shape (n, {task.n_outputs}) for a {task}, got {tuple(y.shape)}{mend}"
    yield from filter(None, (x_problem, y_problem))
    if not x_problem and not y_problem and len(x) != len(y):
        what = "classes" if of_classes else "targets"
        yield f"{x_name} has {len(x)} examples and {y_name} {len(y)} {what}; one for each is needed"
    if not x_problem and (broken := int((~x.isfinite()).flatten(1).any(dim=1).sum())):
        yield f"{x_name} has NaN or infinity in {broken} of {len(x)} examples; leave these out, or fill the gaps"
    if not y_problem and len(y):
        yield from _target_problems(y_name, y, task)


def _target_problems(name: str, y: Tensor, task: Task) -> Iterator[str]:
    """What is wrong with the values of targets that have the right type and shape."""
    if task.kind == "classification":
        low, high, n_classes = int(y.min()), int(y.max()), task.n_outputs
        if low < 0 or high >= n_classes:
            mend = "subtract 1" if (low, high) == (1, n_classes) else "number the classes from 0, or mend n_classes"
            yield f"{name} must be in 0..{n_classes - 1} for n_classes {n_classes}, got {low}..{high}; {mend}"
    elif broken := int((~y.isfinite()).any(dim=1).sum()):
        yield f"{name} has NaN or infinity in {broken} of {len(y)} targets; leave these out"
    elif task.kind == "multilabel" and len(other := y[(y != 0) & (y != 1)]):
        yield f"{name} must be 0 or 1 for each label, got {float(other[0]):g}"


def _type_problem(name: str, value: Any, wanted: str, convert: str) -> str:
    """Why it is no tensor of this type; empty if it is one."""
    if not isinstance(value, Tensor):
        what = f"must be a torch tensor of {wanted}, got {_kind(value)}"
        return f"{name} {what}; convert it: torch.as_tensor(…).{convert}"
    found = str(value.dtype).removeprefix("torch.")
    return "" if found == wanted else f"{name} must be {wanted}, got {found}; convert it with .{convert}"


def _kind(value: Any) -> str:
    """`numpy.ndarray of float64`."""
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name} of {value.dtype}" if hasattr(value, "dtype") else name
