"""What a preflight finds, all of it, before it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hpo_pipeline.build import build
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.tracker import registry_problems, tracker_nodes


@dataclass
class Preflight:
    """Collects problems while it builds, besides those that are `known` from composing."""

    config: dict[str, Any]
    known: list[Problem]
    problems: list[Problem] = field(default_factory=list)

    def build(self, group: str, **offered: Any) -> Any:
        """The component of a group, or None after noting what is wrong with it."""
        return self.built(group, self.config.get(group), **offered)

    def built(self, group: str, node: Any, path: str | None = None, **offered: Any) -> Any:
        """The same, of a node that stands at `path`, if not at the group's own."""
        try:
            return build(node, group, **offered)
        except ConfigError as error:
            found = error.problems
        except Exception as error:  # whatever somebody's own code may raise
            reason = " ".join(str(error).split())
            found = [Problem("", f"{node['_target_']} can't be made ({type(error).__name__}: {reason})")]
        self.problems += [
            problem.under(path or group) for problem in found if not self._is_a_root_keys(problem.path, node)
        ]
        return None

    def _is_a_root_keys(self, key: str, node: Any) -> bool:
        """Whether the node's key refers to a root key of that name, which has a problem already."""
        known = any(problem.path == key for problem in [*self.known, *self.problems])
        return known and isinstance(node, dict) and node.get(key, ...) == self.config.get(key)

    def trackers(self, *, look: bool) -> list[Any]:
        """The tracker, or several, each at its key; once it was made sure (`look`) that they can be written to."""
        made, register = [], self.config.get("register")
        for path, node in tracker_nodes(self.config).items():
            if (tracker := self.built("tracker", node, path, register=register)) is not None:
                made.append(tracker)
                self.problems += ConfigError(tracker.problems()).under(path).problems if look else []
        self.problems += registry_problems(register, made)
        return made

    def attempt(self, make: Callable[[], Any]) -> Any:
        """What `make` makes, or None after noting its problems."""
        try:
            return make()
        except ConfigError as error:
            self.problems += error.problems
            return None

    def numbers(self, *, least: int, keys: tuple[str, ...]) -> None:
        for key in keys:
            value = self.config[key]
            if value is not None and value < least:
                self.problems.append(Problem(key, f"must be at least {least}", value))

    def raise_problems(self) -> None:
        """Where a value was wrong from the start, nothing of what follows from that."""
        wrong = {problem.path for problem in self.known}
        others = [problem for problem in self.problems if problem.path not in wrong]
        if self.known or others:
            raise ConfigError([*self.known, *others])
