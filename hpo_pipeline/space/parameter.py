"""One hyperparameter of a search space: where it stands in the config, its values, and when it exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hpo_pipeline.space.domain import Domain, identity, text
from hpo_pipeline.space.prior import Prior
from hpo_pipeline.trial import Config, Value


class Condition(NamedTuple):
    """Holds if the parent is active and has one of these values."""

    parent: str
    values: tuple[Value, ...]

    def holds(self, config: Config) -> bool:
        if self.parent not in config:
            return False
        value = identity(config[self.parent])
        return any(value == identity(allowed) for allowed in self.values)

    def __str__(self) -> str:
        return f"{self.parent} is {' or '.join(map(text, self.values))}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One hyperparameter.

    Attributes:
        path: where it stands in the composed config.
        domain: its values.
        when: conditions that must all hold for it to be active.
        prior: where its best value is believed to lie; for searchers that use it.
    """

    path: str
    domain: Domain
    when: tuple[Condition, ...] = ()
    prior: Prior | None = None

    def is_active(self, config: Config) -> bool:
        return all(condition.holds(config) for condition in self.when)
