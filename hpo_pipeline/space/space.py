"""A search space: an ordered list of parameters, some of which exist only where others have certain values.

A sample is a flat dict {path: value} that holds the active parameters, parents before children. The unit cube has one
dimension for each parameter that isn't a constant; a path that is declared under several conditions (`optimizer.lr`
for sgd and for adam) has one for each. Inactive dimensions are encoded as 0.5 and ignored when decoding.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hpo_pipeline.errors import ConfigError, Problem, nearest
from hpo_pipeline.space.constraint import Constraint
from hpo_pipeline.space.domain import Choice, Constant, Ordinal, identity, text
from hpo_pipeline.space.parameter import Parameter
from hpo_pipeline.space.parsing import parse
from hpo_pipeline.space.ranges import Float, Int
from hpo_pipeline.trial import Config, Value

RAREST = 10_000
"""At least one in so many samples must meet the constraints."""
_MAX_COUNTED = 100_000
"""A space with constraints is counted by enumeration, if it isn't larger than this without them."""


@dataclass(frozen=True)
class SearchSpace:
    """What is tuned. Built by `parse`, which checks what is assumed here.

    Attributes:
        parameters: parents before children; a path occurs again only under conditions that exclude each other.
        constraints: what a configuration must meet besides.
    """

    parameters: tuple[Parameter, ...]
    constraints: tuple[Constraint, ...] = ()

    @staticmethod
    def parse(tree: Mapping[str, Any], prefix: str = "search_space") -> SearchSpace:
        """The space that a plain nested mapping describes.

        Args:
            tree: mirrors the config that is tuned; the syntax is described in hpo_pipeline/space/__init__.py.
            prefix: where it stands in the config, for the messages.

        Raises:
            ConfigError: with everything that is wrong in it.
        """
        try:
            parameters, constraints = parse(tree)
            space = SearchSpace(tuple(parameters), tuple(constraints))
            if problems := space.check_constraints():
                raise ConfigError(problems)
        except ConfigError as error:
            raise error.under(prefix) from None
        return space

    @functools.cached_property
    def _tuned(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if not isinstance(p.domain, Constant))

    @property
    def dim(self) -> int:
        """Dimensions of the unit cube."""
        return len(self._tuned)

    @functools.cached_property
    def paths(self) -> tuple[str, ...]:
        """Every path that a configuration can have, each once."""
        return tuple(dict.fromkeys(p.path for p in self.parameters))

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """A configuration, uniform in the unit cube as far as the constraints allow."""
        return self._first_allowed(lambda: rng.random(self.dim))

    def sample_prior(self, rng: np.random.Generator) -> dict[str, Value]:
        """A configuration with each hyperparameter drawn from its prior, or uniformly where it has none."""
        return self._first_allowed(lambda: self._prior_point(rng))

    def _prior_point(self, rng: np.random.Generator) -> list[float]:
        return [p.prior.sample(p.domain, rng) if p.prior else rng.random() for p in self._tuned]

    def _first_allowed(self, draw: Callable[[], npt.ArrayLike]) -> dict[str, Value]:
        for _ in range(100 * RAREST):
            config = self.from_unit(draw())
            if self.allows(config):
                return config
        what = f"none of {100 * RAREST} samples meets them; loosen them, or the ranges"
        raise ConfigError(Problem("constraints", what))

    def check_constraints(self, *, prior: bool = False) -> list[Problem]:
        """Why samples can't be drawn: a constraint doesn't fit the values, or fewer than 1 in 10,000 samples meet all.

        Draws until ten samples have passed, at most 100,000; from the priors with `prior`.
        """
        if not self.constraints:
            return []
        rng = np.random.default_rng(0)
        points = (self._prior_point(rng) if prior else rng.random(self.dim) for _ in range(10 * RAREST))
        passes = (self.allows(self.from_unit(point)) for point in points)
        try:
            allowed = sum(1 for _ in itertools.islice(filter(None, passes), 10))
        except ConfigError as error:
            return error.under("constraints").problems
        if allowed == 10:
            return []
        listed = "; ".join(constraint.source for constraint in self.constraints)
        what = f"only {allowed} of {10 * RAREST} samples{' from the priors' if prior else ''} meet them ({listed})"
        mend = f"loosen them, or {'move the priors' if prior else 'the ranges'}"
        return [Problem("constraints", f"{what}, fewer than 1 in {RAREST}; {mend}")]

    def allows(self, config: Config) -> bool:
        """Whether a configuration of this space meets the constraints."""
        return all(constraint.holds(config) for constraint in self.constraints)

    def to_unit(self, config: Config) -> npt.NDArray[np.float64]:
        """The point `(dim,)` of the unit cube that encodes `config`; 0.5 where a parameter is inactive."""
        return np.array([p.domain.to_unit(config[p.path]) if p.is_active(config) else 0.5 for p in self._tuned])

    def from_unit(self, point: npt.ArrayLike) -> dict[str, Value]:
        """The configuration at a point `(dim,)` of the unit cube, whether the constraints allow it or not."""
        coordinates = iter(np.asarray(point, dtype=float).tolist())
        config: dict[str, Value] = {}
        for p in self.parameters:
            u = 0.5 if isinstance(p.domain, Constant) else next(coordinates)
            if p.is_active(config):
                config[p.path] = p.domain.from_unit(u)
        return config

    def midpoint(self, partial: Config | None = None) -> dict[str, Value]:
        """`partial` completed with mid-points; what isn't active then is left out."""
        config: dict[str, Value] = {}
        for p in self.parameters:
            if p.is_active(config):
                config[p.path] = partial[p.path] if partial and p.path in partial else p.domain.midpoint
        return config

    def contains(self, config: Config) -> list[Problem]:
        """Why `config` is not a configuration of this space; empty if it is one."""
        problems = []
        active: dict[str, Value] = {}
        for p in self.parameters:
            if not p.is_active(config):
                continue
            if p.path not in config:
                problems.append(Problem(p.path, f"missing; give it a value ({p.domain})"))
            else:
                active[p.path] = config[p.path]
                if not p.domain.contains(config[p.path]):
                    what = f"{config[p.path]!r} is not in the search space ({p.domain})"
                    problems.append(Problem(p.path, what))
        for path in config:
            if path not in self.paths:
                problems.append(Problem(path, f"not in the search space{nearest(path, self.paths)}"))
            elif path not in active:
                needed = " or ".join(
                    " and ".join(map(str, p.when)) for p in self.parameters if p.path == path and p.when
                )
                problems.append(Problem(path, f"given, but it exists only when {needed}; leave it out"))
        if not problems:
            for broken in (c for c in self.constraints if not c.holds(config)):
                values = ", ".join(f"{path} {text(config[path])}" for path in self.paths if path in broken.paths)
                problems.append(Problem("constraints", f"{broken.source!r} does not hold for {values}"))
        return problems

    def key(self, config: Config) -> Hashable:
        """Equal for equal configurations of this space, whatever the order of their paths; small, as searchers keep one
        of each trial. What is not active is the empty tuple, which is no value."""
        values = [config.get(path, ()) for path in self.paths]
        return tuple([identity(value) if isinstance(value, bool) else value for value in values])

    @functools.cached_property
    def size(self) -> int | None:
        """Number of configurations; None if there is no end to them, or there are constraints and very many."""
        if any(p.domain.size is None for p in self.parameters):
            return None
        count = self._count(0, {}, {})
        if not self.constraints:
            return count
        return sum(1 for _ in self.grid()) if count <= _MAX_COUNTED else None

    def _count(self, index: int, config: Config, known: dict[Hashable, int]) -> int:
        """Configurations from parameter `index` on, given the values of earlier parents in `config`.

        Of a parent's values, only those that a condition names are looked at one by one; the others all lead to the
        same number. `known` holds what was counted, by what still matters, so that independent choices add up only.
        """
        if index == len(self.parameters):
            return 1
        matters = {condition.parent for p in self.parameters[index:] for condition in p.when}
        config = {path: value for path, value in config.items() if path in matters}
        key = (index, self.key(config))
        if key not in known:
            p = self.parameters[index]
            total, others = 0, 1
            if p.is_active(config):
                conditions = [c for child in self.parameters[index:] for c in child.when if c.parent == p.path]
                named = {identity(value): value for c in conditions for value in c.values if p.domain.contains(value)}
                total = sum(self._count(index + 1, {**config, p.path: value}, known) for value in named.values())
                others = (p.domain.size or 0) - len(named)
            known[key] = total + (others * self._count(index + 1, config, known) if others else 0)
        return known[key]

    def grid(self, n: int | None = None, points: Mapping[str, int] | None = None) -> Iterator[dict[str, Value]]:
        """All allowed combinations of grid points, one at a time; the last parameter varies fastest.

        Args:
            n: points of each range; None is all values. What lists its values (choices, and ranges with `step`, `n`
                or `base`) has all of them.
            points: path -> points, for parameters that need another number.

        Raises:
            ConfigError: a continuous parameter is given no number of points.
        """
        values = {
            id(p): p.domain.grid((points or {}).get(p.path, None if _is_listed(p) else n)) for p in self.parameters
        }
        return filter(self.allows, self._combinations(0, {}, values))

    def _combinations(
        self, index: int, config: dict[str, Value], values: dict[int, list[Value]]
    ) -> Iterator[dict[str, Value]]:
        if index == len(self.parameters):
            yield dict(config)
            return
        p = self.parameters[index]
        if not p.is_active(config):
            yield from self._combinations(index + 1, config, values)
            return
        for value in values[id(p)]:
            yield from self._combinations(index + 1, {**config, p.path: value}, values)

    def without(self, paths: Collection[str]) -> SearchSpace:
        """The rest of the space, to be looked at as well; constraints and what depends on `paths` go, too."""
        if not paths:
            return self
        gone = set(paths)
        kept: list[Parameter] = []
        for p in self.parameters:  # parents before children
            if p.path in gone or any(condition.parent in gone for condition in p.when):
                gone.add(p.path)
            else:
                kept.append(p)
        return SearchSpace(tuple(kept), tuple(c for c in self.constraints if not c.paths & gone))


def _is_listed(p: Parameter) -> bool:
    """Whether a person has chosen the values one by one, or their number."""
    if isinstance(p.domain, (Float, Int)):
        return any((p.domain.step, p.domain.n, getattr(p.domain, "base", None)))
    return isinstance(p.domain, (Choice, Ordinal, Constant))
