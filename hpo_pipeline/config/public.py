"""A config as it is used, and as it may be shown: without what comes from the environment, and without passwords.

    written                                      used                           shown
    postgresql://me:${oc.env:DB_PASSWORD}@host   postgresql://me:secret@host    as it is written
    postgresql://me:secret@host                  as it is written               postgresql://me:${oc.env:HPO_PASSWORD}@host

What is shown is what files, MLflow and the terminal get. It can be composed again where the environment has the values.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from hpo_pipeline.config.hydra_errors import in_our_words
from hpo_pipeline.errors import ConfigError, Problem

PASSWORD = "HPO_PASSWORD"
"""The environment variable that stands for a password that was written into a URI, where the URI is shown."""
_PASSWORDS = (
    re.compile(r"(?<=://)([^:/@\s${}]*:)(?!\$\{)[^/@\s]+(?=@)"),  # user:password@
    re.compile(r"(?<=://)()(?!\$\{)[^:/@\s]{20,}(?=@)"),  # a token in the place of the user
    re.compile(r"([?&](?:password|passwd|pwd|secret|token|access_token|api_key)=)(?!\$\{)[^&\s]+", re.IGNORECASE),
)
_MARK = "\0environment\0"


def resolved(config: DictConfig) -> dict[str, Any]:
    """All values in place of what refers to them: plain.

    Raises:
        ConfigError: for each value that can't be had, such as that of an environment variable that isn't set.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(list(_unresolvable(config)) or _reason(error)) from None
    return {str(key): value for key, value in plain.items()}  # type: ignore[union-attr]


def resolved_as_far_as_possible(config: DictConfig) -> tuple[dict[str, Any], list[Problem]]:
    """`resolved`, with None for each value that can't be had; and the problems that `resolved` would raise."""
    try:
        return resolved(config), []
    except ConfigError as error:
        return _leniently(config, None), error.problems


def shown(config: DictConfig, plain: Mapping[str, Any]) -> dict[str, Any]:
    """The config with what depends on the environment as it is written, and no password.

    Args:
        config: unresolved.
        plain: the same, resolved.
    """
    written = OmegaConf.to_container(config, resolve=False)
    if "oc.env" not in repr(written) and "oc.decode" not in repr(written):
        return masked(plain)  # type: ignore[no-any-return]
    with _other_environment():
        elsewhere = _leniently(config, _MARK)
    return masked(_kept(written, plain, elsewhere))  # type: ignore[no-any-return]


def without_hydra(config: DictConfig) -> DictConfig:
    """The config without Hydra's own part."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def masked(node: Any) -> Any:
    """Plain data without the passwords of URIs."""
    if isinstance(node, Mapping):
        return {key: masked(value) for key, value in node.items()}
    if isinstance(node, list):
        return [masked(value) for value in node]
    return mask(node) if isinstance(node, str) else node


def mask(text: str) -> str:
    """The text with the passwords of the URIs in it replaced by a reference to the environment."""
    for pattern in _PASSWORDS:
        text = pattern.sub(lambda found: f"{found[1]}${{oc.env:{PASSWORD}}}", text)
    return text


def _kept(written: Any, plain: Any, elsewhere: Any) -> Any:
    """`plain`, but `written` wherever another environment gives something else."""
    if isinstance(written, Mapping) and isinstance(plain, Mapping) and isinstance(elsewhere, Mapping):
        return {str(key): _kept(value, plain[key], elsewhere.get(key)) for key, value in written.items()}
    if isinstance(written, list) and isinstance(plain, list) and isinstance(elsewhere, list):
        return [_kept(*parts) for parts in zip(written, plain, elsewhere, strict=True)]
    return plain if plain == elsewhere or plain != plain else written


@contextlib.contextmanager
def _other_environment() -> Iterator[None]:
    """Every environment variable has a value that nothing else has."""

    def other(key: str, default: Any = None) -> str:
        return _MARK

    # OmegaConf 2.4 warns of this name; its new one, register_resolver, is something else in 2.3.
    is_new = "replace" in inspect.signature(OmegaConf.register_resolver).parameters
    register: Any = OmegaConf.register_resolver if is_new else OmegaConf.register_new_resolver
    register("oc.env", other, replace=True)
    try:
        yield
    finally:
        register("oc.env", oc.env, replace=True)


def _leniently(node: Any, instead: Any) -> Any:
    """The node resolved; `instead` of what can't be."""

    def value(key: Any) -> Any:
        try:
            return node[key]
        except (OmegaConfBaseException, RecursionError):
            return instead

    if isinstance(node, DictConfig) and not node._is_none():
        return {str(key): _leniently(value(key), instead) for key in node}
    if OmegaConf.is_list(node) and not node._is_none():
        return [_leniently(value(i), instead) for i in range(len(node))]
    return node


def _unresolvable(config: DictConfig) -> Iterator[Problem]:
    """Every value that can't be had, and why."""

    def look(node: Any, path: str) -> Iterator[Problem]:
        keys = list(node) if isinstance(node, DictConfig) else range(len(node))
        for key in keys:
            here = f"{path}.{key}" if path else str(key)
            try:
                value = node[key]
            except (OmegaConfBaseException, RecursionError) as error:
                yield Problem(here, _reason(error))
                continue
            if OmegaConf.is_config(value) and not value._is_none():
                yield from look(value, here)

    yield from look(config, "")


def _reason(error: BaseException) -> str:
    """Why a value can't be had, and what to do."""
    first = str(error).partition("\n")[0]
    if unset := re.search(r"Environment variable '(.*?)' not found", first):
        return f"the environment variable {unset[1]} is not set; set it, or write a default: ${{oc.env:{unset[1]},…}}"
    if "Missing mandatory value" in first:
        return "is missing; give it a value"
    return in_our_words(first) or first or type(error).__name__
