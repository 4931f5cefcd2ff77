"""What may stand in each place of a config, and what is offered to it there.

A place holds a kind of thing: a scheduler node names a scheduler. Of this project, torch and torchvision that is a
class of that kind, or a model builder that torchvision registers; no function, no method, no base class, nothing that
merely lives beside them. A person's own code may be any class of the kind, or a function that makes one.
docs/components.md tells people the same.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Offer:
    """An argument that a component gets from whoever builds it, if it takes one of that name.

    Attributes:
        name: of the argument.
        settable: whether a config may give another value.
        named_only: not for a component that would take it as one of its `**arguments`.
    """

    name: str
    settable: bool = False
    named_only: bool = False


@dataclass(frozen=True, slots=True)
class Home:
    """Where things of a kind are found that nobody has to trust first.

    Attributes:
        modules: the module that names them; ending in `.*`, any module of that package.
        what: which of the names there are meant, for people.
        admits: (name, class or function) -> whether it is one.
        refused: arguments that must not be given, with the reason.
    """

    modules: str
    what: str
    admits: Callable[[str, Any], bool]
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def is_ours(self) -> bool:
        return self.modules.startswith("hpo_pipeline.")

    def holds(self, module: str) -> bool:
        return module == self.modules or (self.modules.endswith(".*") and module.startswith(self.modules[:-1]))


@dataclass(frozen=True, slots=True)
class Kind:
    """What may stand in one place of a config.

    Attributes:
        name: the config group's.
        interface: dotted name of the base class, or of the Protocol, that a person's own code is held to; None: none.
        homes: where there is more of the kind.
        offers: what its constructor is offered.
    """

    name: str
    interface: str | None
    homes: tuple[Home, ...]
    offers: tuple[Offer, ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def sources(self) -> str:
        """For people: where to find one."""
        return ", ".join([*(home.what for home in self.homes), "or code of your own that HPO_TRUST names"])

    def lacking(self, thing: Any) -> str | None:
        """What a class, or an object, lacks to be of this kind; None if it lacks nothing."""
        if self.interface is None:
            return None
        wanted = _resolve(self.interface)
        if not getattr(wanted, "_is_protocol", False):
            fits = issubclass(thing, wanted) if inspect.isclass(thing) else isinstance(thing, wanted)
            return None if fits else f"it is no {self.interface}"
        members = [name for name, member in vars(wanted).items() if name[0] != "_" and inspect.isfunction(member)]
        if not inspect.isclass(thing):  # what is only annotated may be set by the constructor
            members += [name for name in {**vars(wanted), **wanted.__annotations__} if name[0] != "_"]
        missing = [name for name in dict.fromkeys(members) if not hasattr(thing, name)]
        return f"it has no {', '.join(missing)}" if missing else None


_resolve = functools.cache(pkgutil.resolve_name)
"""Imports only when something of the kind is asked for: torch takes a second."""


def _classes(modules: str, base: str, defined_in: str | None = None) -> Home:
    """The subclasses of `base`, or the classes that implement it as a Protocol, which are defined in `defined_in`."""
    place = modules.removesuffix(".*")
    origin = defined_in or place
    kind = Kind("", base, ())

    def admits(name: str, found: Any) -> bool:
        here = inspect.isclass(found) and f"{found.__module__}.".startswith(f"{origin}.")
        return here and found is not _resolve(base) and kind.lacking(found) is None

    return Home(modules, f"a class of {place}", admits)


def _registered_model(name: str, found: Any) -> bool:
    models = importlib.import_module("torchvision.models")
    return name in models.list_models(module=models) and found is models.get_model_builder(name)


_NO_WEIGHTS = "downloads weights and unpickles them; to begin from weights, load them in a function of your own"

_NN = _classes("torch.nn", "torch.nn.Module", defined_in="torch.nn.modules")
_BUILDERS = Home(
    "torchvision.models",
    "a model builder of torchvision.models",
    _registered_model,
    tuple((key, _NO_WEIGHTS) for key in ("weights", "weights_backbone", "pretrained", "pretrained_backbone")),
)
_MODELS = (_NN, _BUILDERS, _classes("hpo_pipeline.model.*", "torch.nn.Module"))
_LOSSES = replace(
    _classes("torch.nn", "torch.nn.modules.loss._Loss", defined_in="torch.nn.modules.loss"), what="a loss of torch.nn"
)
_METRICS = tuple(  # others download models, and unpickle them
    _classes(f"torchmetrics.{field}", "torchmetrics.Metric") for field in ("classification", "regression")
)
_ABOUT_TASK = ("task", "num_classes", "num_labels", "num_outputs")
_TRANSFORMS = _classes("torchvision.transforms.v2", "torchvision.transforms.v2.Transform")
_CURVE = Home(
    "hpo_pipeline.objective.function",
    "learning_curve of hpo_pipeline.objective.function",
    lambda name, _: name == "learning_curve",
)
_NAMES = ("garden", "branin", "hartmann6", "ackley", "mf_hartmann")
_FUNCTIONS = Home(
    "hpo_pipeline.objective.functions",
    f"{', '.join(_NAMES)} of hpo_pipeline.objective.functions",
    lambda name, _: name in _NAMES,
)


def _component(name: str, protocol: str, *offers: Offer) -> Kind:
    """A group of which this project has the components, and the Protocol in its package."""
    interface = f"hpo_pipeline.{name}.{protocol}"
    return Kind(name, interface, (_classes(f"hpo_pipeline.{name}.*", interface),), offers)


_LR = "torch.optim.lr_scheduler"
_LIGHTNING = "lightning.pytorch.LightningModule"
_SEED = Offer("seed", settable=True)
KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "model",
            "torch.nn.Module",
            _MODELS,
            (Offer("input_shape", True), Offer("n_outputs", True, True), Offer("n_classes", True)),
        ),
        Kind(
            "optimizer",
            "torch.optim.Optimizer",
            (_classes("torch.optim", "torch.optim.Optimizer"),),
            (Offer("params"), Offer("fused", settable=True, named_only=True)),
        ),
        Kind(
            "lr_schedule",
            f"{_LR}.LRScheduler",
            (_classes(_LR, f"{_LR}.LRScheduler"), _classes("hpo_pipeline.objective.*", f"{_LR}.LRScheduler")),
            (Offer("optimizer"),),
        ),
        Kind("loss", "torch.nn.Module", (_LOSSES,), (Offer("n_outputs", True, True),)),
        Kind("metrics", "torchmetrics.Metric", _METRICS, tuple(Offer(name, True, True) for name in _ABOUT_TASK)),
        _component("dataset", "Dataset"),
        _component("objective", "Objective", Offer("threads"), Offer("final"), Offer("tracker_uri", named_only=True)),
        _component("searcher", "Searcher", Offer("space"), _SEED),
        _component("scheduler", "Scheduler", Offer("trials"), Offer("space"), Offer("ranking"), _SEED),
        _component("executor", "Executor", Offer("setup"), Offer("devices", settable=True)),
        _component("tracker", "Tracker", Offer("register", True, True)),
        # Not groups: what `objective.function` names, and a node that is an argument of another node.
        Kind("function", "types.FunctionType", (_CURVE, _FUNCTIONS)),
        Kind("train_function", "types.FunctionType", ()),
        # What model and dataset hold beside objective=lightning.
        Kind(
            "lightning_module",
            _LIGHTNING,
            (_classes("hpo_pipeline.objective.lightning_mlp", _LIGHTNING),),
            (Offer("input_shape", True, True), Offer("n_outputs", True, True), Offer("n_classes", True, True)),
        ),
        Kind("lightning_data", "lightning.pytorch.LightningDataModule", ()),
        Kind("part", None, (*_MODELS, _TRANSFORMS)),
        Kind("transform", None, (_TRANSFORMS,)),  # an item of `dataset.transform`
    )
}
"""Group -> what it may hold."""
