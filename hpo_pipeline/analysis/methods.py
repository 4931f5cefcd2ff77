"""Which studies are the same method with other seeds: by what differs between their configs, and a short name of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hpo_pipeline.errors import StudyError, nearest, one_line
from hpo_pipeline.tree import flatten

Settings = Mapping[str, Any]
"""Config group -> its option, and the path of every other value -> the value."""

BUDGET = ("n_trials", "max_total_resource", "max_seconds", "target")
"""Root keys that say when a study ends: a study is no other method for being longer."""
_ASIDE = frozenset(
    {
        *("name", "folder", "seed", "trial", "choices", "tracker", "register", "resume", "dry_run", "output"),
        *("max_failures", "reference_point", "threads", "metric", "mode", "constraints", *BUDGET),
        *("search_around", "factor"),
        *("dataset.search_path", "dataset.download", "dataset.n_workers"),
    }
)
"""What makes no other method: bookkeeping, and how trials are compared, which comparable.py looks at."""
_FIRST = ("scheduler", "searcher", "model", "dataset", "executor")
"""Groups that a name tells wherever they differ, in this order."""
_LONGEST = 60
"""Characters in the name of a method: it may be anybody's."""
_NOTHING = object()


def settings(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the configs of studies say that may make them other methods.

    Where all that differs is the study's own name or seed, as in `cache/${name}`, it is no difference.

    Args:
        configs: nested, as they are saved, with their `choices`.
    """
    found = [_of_one(config) for config in configs]
    for path in dict.fromkeys(path for study in found for path in study):
        if len(_values(found, path)) > 1:
            own = [_own(config, study.get(path, _NOTHING)) for config, study in zip(configs, found, strict=True)]
            if None not in own and len(set(own)) == 1:
                for study in found:
                    study[path] = own[0]
    return found


def _of_one(config: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        path: value
        for path, value in flatten(config).items()
        if not ({path, path.partition(".")[0]} & _ASIDE or path.endswith("_target_"))
    }
    choices = config.get("choices")
    chosen = choices.items() if isinstance(choices, Mapping) else ()
    return values | {str(group): option for group, option in chosen if group not in _ASIDE}


def _own(config: Mapping[str, Any], value: Any) -> str | None:
    """The value with the study's name or seed as interpolations; None if it has neither."""
    name, seed = config.get("name"), config.get("seed")
    if isinstance(value, str) and isinstance(name, str) and name and name in value:
        return value.replace(name, "${name}")
    return "${seed}" if value == seed and seed is not None and not isinstance(value, bool) else None


def differing(studies: Sequence[Settings], groups: Iterable[str]) -> list[str]:
    """The keys by which studies differ, groups first.

    What differs because another option was chosen (the `eta` that only some schedulers have) is told by the group: a
    value counts where studies with the same option have different ones.
    """
    groups = [group for group in groups if len(_values(studies, group)) > 1]
    found = []
    for path in dict.fromkeys(path for study in studies for path in study):
        group = path.partition(".")[0]
        if path in groups:
            continue
        alike: dict[str, list[Settings]] = {}
        for study in studies:
            alike.setdefault(_text(study.get(group, _NOTHING)) if group in groups else "", []).append(study)
        if any(len(_values(some, path)) > 1 for some in alike.values()):
            found.append(path)
    return [*sorted(groups, key=_order), *sorted(found, key=lambda path: (path.count("."), path))]


def signature(study: Settings, keys: Iterable[str]) -> tuple[str, ...]:
    """Equal for studies of the same method."""
    return tuple(_text(study.get(key, _NOTHING)) for key in keys)


def chosen_keys(studies: Sequence[Settings], by: Sequence[str]) -> list[str]:
    """The keys that were asked for.

    Raises:
        StudyError: no study has such a key, or it stands for several values.
    """
    known = list(dict.fromkeys(path for study in studies for path in study))
    for key in by:
        if key not in known:
            below = [path for path in known if path.startswith(f"{key}.")]
            what = f"stands for several values: choose one, {below[0]}" if below else "no study has such a key"
            raise StudyError(f"--by {one_line(key)}: {what}{'' if below else nearest(key, known)}")
    return list(dict.fromkeys(by))


def names(methods: Sequence[Settings], keys: Sequence[str], groups: Iterable[str], all_keys: bool) -> list[str]:
    """A name for each method, by as few of the keys as tell them apart: `asha + random`, `asha, eta=4`.

    Scheduler, searcher, model, dataset and executor are told wherever they differ; an experiment in place of all else,
    where each method is one.

    Args:
        methods: of each what one of its studies is.
        keys: by which they differ.
        groups: those of the keys that are config groups.
        all_keys: tell them all.
    """
    groups = set(groups)
    if not all_keys:
        experiments = [method.get("experiment") for method in methods]
        if "experiment" in keys and len(set(map(_text, experiments))) == len(methods) and None not in experiments:
            return _different([_clipped(shown(experiment)) for experiment in experiments])
        keys = _telling(methods, keys, groups)
    last = [key.rpartition(".")[2] for key in keys]
    short = {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}
    found = []
    for method in methods:
        there = [key for key in keys if key in method]
        options = [shown(method[key]) for key in there if key in groups]
        values = [f"{short[key]}={shown(method[key])}" for key in there if key not in groups]
        found.append(_clipped(", ".join(filter(None, [" + ".join(options), *values])) or "none"))
    return _different(found)


def usual_name(method: Settings) -> str:
    """What a method is called where there is no other to tell it from."""
    options = [shown(method[group]) for group in ("scheduler", "searcher") if group in method]
    return _clipped(" + ".join(options)) or "all studies"


def _telling(methods: Sequence[Settings], keys: Sequence[str], groups: set[str]) -> list[str]:
    """The keys that are told always, and of the others those that it takes."""
    found = [key for key in keys if key in _FIRST and key in groups]
    rest = [key for key in keys if key not in found]
    while rest and _told_apart(methods, found) < len(methods):
        best = max(rest, key=lambda key: _told_apart(methods, [*found, key]))  # the first of equals
        found.append(best)
        rest.remove(best)
    return found


def _told_apart(methods: Sequence[Settings], keys: Sequence[str]) -> int:
    return len({signature(method, keys) for method in methods})


def _different(found: list[str]) -> list[str]:
    """The names, with a number behind those that are the same, as they were cut off."""
    return [f"{name} ({found[:i].count(name) + 1})" if found.count(name) > 1 else name for i, name in enumerate(found)]


def _values(studies: Iterable[Settings], key: str) -> set[str]:
    return {_text(study.get(key, _NOTHING)) for study in studies}


def _text(value: Any) -> str:
    """Equal for equal values; what isn't there, as in a config of an older version, is null."""
    return "" if value is _NOTHING or value is None else f"{type(value).__name__} {value!r}"


def shown(value: Any) -> str:
    """A value of a config, for people."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _clipped(name: str) -> str:
    name = one_line(name)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _order(group: str) -> tuple[int, str]:
    return (_FIRST.index(group) if group in _FIRST else len(_FIRST)), group
