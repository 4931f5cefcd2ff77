"""What a study, or a training, was made of, as parameters of its run: the settings that it has used, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hpo_pipeline.tracker.mlflow.naming import Keys, dimensions, domain_text, scalars, text

_MOST = 100
_BOOKKEEPING = frozenset(
    {
        *("name", "folder", "resume", "dry_run", "trial", "choices", "tracker", "metric", "mode", "register"),
        *("search_space", "search_around", "factor"),
    }
)
"""Root keys that say nothing of what was done, or that are told in another way; a tracker's may hold a password."""
_COMPONENTS = (
    *("model", "dataset", "objective", "optimizer", "lr_schedule", "loss"),
    *("searcher", "scheduler", "executor"),
)


def study_params(config: Mapping[str, Any], metrics: str, modes: str, seed: Any) -> dict[str, str]:
    """The components by the names that people type, what was searched, and the other settings."""
    searched = dimensions(config.get("search_space"))
    found = {group: name for group, name in components(config).items() if group not in searched}
    found |= {"seed": text(seed), "metric": metrics, "mode": modes}
    keys = Keys()
    for path, domain in searched.items():
        found[keys(f"space.{path}")] = domain_text(domain)
    finalists = config.get("finalists")
    unused = {"finalists"} if isinstance(finalists, Mapping) and not finalists.get("n") else set()
    for path, value in list(settings(config, [*searched, *unused]))[:_MOST]:
        found.setdefault(keys(path), text(value))
    return found


def training_params(config: Mapping[str, Any]) -> dict[str, str]:
    """The components by their names, and every setting."""
    found, keys = components(config), Keys()
    for path, value in settings(config, []):
        found.setdefault(keys(path), text(value))
    return found


def components(config: Mapping[str, Any]) -> dict[str, str]:
    """`{"model": "mlp", "scheduler": "asha"}`: what was chosen, else the class; what isn't there is left out."""
    choices = config.get("choices")
    chosen = choices if isinstance(choices, Mapping) else {}
    found = {}
    for group in _COMPONENTS:
        node = config.get(group)
        target = str(node.get("_target_", "")).rpartition(".")[2] if isinstance(node, Mapping) else ""
        if node is not None and (name := chosen.get(group) or target):
            found[group] = text(name)
    return found


def settings(config: Mapping[str, Any], unused: list[str]) -> Iterator[tuple[str, Any]]:
    """(path, value) of what is set: no nulls, nothing under the paths of `unused`, which trials set themselves."""
    prefixes = tuple(f"{path}." for path in unused)
    for path, value in scalars({key: node for key, node in config.items() if key not in _BOOKKEEPING}):
        is_unused = path in unused or path.startswith(prefixes)
        if value is not None and not is_unused and not path.endswith(("_target_", "_partial_")):
            yield path, value
