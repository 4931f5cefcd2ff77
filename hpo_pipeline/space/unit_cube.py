"""A search space as arrays, for searchers that model it: points of the unit cube, many at a time.

A canonical point is what a configuration is encoded as (space.py): finite domains at their value's own encoding,
dimensions that don't exist there at 0.5. So equal configurations are equal points, but for ranges of many integers,
which are taken for continuous ones.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo_pipeline.space.domain import Choice, Constant, identity
from hpo_pipeline.space.parameter import Condition, Parameter
from hpo_pipeline.space.space import SearchSpace
from hpo_pipeline.trial import Config, Value

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MOST_CELLS = 1000
"""A finite domain with more values than this is taken for a continuous one."""
_MOST_DRAWS = 2000
"""Of points that the constraints may forbid, in one call."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A finite domain in the unit interval.

    Attributes:
        edges: (n + 1,) from 0 to 1; value i is what [edges[i], edges[i + 1]) means.
        centres: (n,) the values' encodings, each within its cell.
        values: (n,) the values.
    """

    edges: Floats
    centres: Floats
    values: tuple[Value, ...]

    def index(self, u: Floats) -> npt.NDArray[np.intp]:
        """Which value each coordinate means."""
        return np.searchsorted(self.edges[1:-1], u, side="right")


class UnitCube:
    """The unit cube of a search space.

    Attributes:
        space: the search space.
        dim: its dimensions.
        categorical: (dim,) those without an order.
        cells: of each dimension, or None where it is continuous or has more than 1,000 values.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.dim = space.dim
        tuned = [p for p in space.parameters if not isinstance(p.domain, Constant)]
        self.categorical: Bools = np.array([isinstance(p.domain, Choice) for p in tuned], dtype=bool)
        self.cells = [_cells(p) for p in tuned]
        self._columns = {id(p): column for column, p in enumerate(tuned)}
        self._is_conditional = any(p.when for p in space.parameters)
        self._sizes = [
            len(c.centres) if c and flat else 1 for c, flat in zip(self.cells, self.categorical, strict=True)
        ]

    def canonical(self, points: Floats) -> Floats:
        """The points (m, dim) that mean the same configurations, in their canonical form."""
        points = np.clip(points, 0.0, 1.0)
        for column, cells in enumerate(self.cells):
            if cells is not None:
                points[:, column] = cells.centres[cells.index(points[:, column])]
        if self._is_conditional:
            points[~self.active(points)] = 0.5
        return points

    def active(self, points: Floats) -> Bools:
        """Which dimensions (m, dim) exist at points (m, dim)."""
        active = np.ones(points.shape, dtype=bool)
        if not self._is_conditional:
            return active
        exists: dict[int, Bools] = {}  # by id of the parameter
        for p in self.space.parameters:  # parents before children
            here = np.ones(len(points), dtype=bool)
            for condition in p.when:
                here &= self._holds(condition, points, exists)
            exists[id(p)] = here
            if (column := self._columns.get(id(p))) is not None:
                active[:, column] = here
        return active

    def _holds(self, condition: Condition, points: Floats, exists: dict[int, Bools]) -> Bools:
        """Where some parameter of the parent's path is there and has one of the condition's values."""
        holds = np.zeros(len(points), dtype=bool)
        wanted = {identity(value) for value in condition.values}
        for p in self.space.parameters:
            if p.path == condition.parent and id(p) in exists:
                holds |= exists[id(p)] & self._means(p, wanted, points)
        return holds

    def _means(self, p: Parameter, wanted: set[tuple[bool, Value]], points: Floats) -> Bools:
        if (column := self._columns.get(id(p))) is None:
            return np.full(len(points), identity(p.domain.from_unit(0.5)) in wanted)
        if (cells := self.cells[column]) is None:
            return np.array([identity(p.domain.from_unit(u)) in wanted for u in points[:, column].tolist()], dtype=bool)
        fits = np.array([identity(value) in wanted for value in cells.values], dtype=bool)
        return fits[cells.index(points[:, column])]

    @property
    def feature_dimensions(self) -> npt.NDArray[np.intp]:
        """(n_features,) the dimension that each of the features belongs to."""
        return np.repeat(np.arange(self.dim), self._sizes)

    def features(self, points: Floats) -> Floats:
        """What models see of canonical points (m, dim): (m, n_features).

        A number is its coordinate. A category of n is n columns, of which its own holds 1/sqrt(2) and the others 0, so
        that different ones are at distance 1.
        """
        if not self.categorical.any():
            return points
        columns: list[Floats] = []
        for column, (flat, cells) in enumerate(zip(self.categorical, self.cells, strict=True)):
            if flat and cells is not None:
                block = np.zeros((len(points), len(cells.centres)))
                block[np.arange(len(points)), cells.index(points[:, column])] = 1.0 / np.sqrt(2.0)
                columns.append(block)
            else:
                columns.append(points[:, [column]])
        return np.hstack(columns)

    def distances(self, a: Floats, b: Floats) -> Floats:
        """Euclidean distances (len(a), len(b)) of the features of canonical points."""
        x, y = self.features(a), self.features(b)
        squares = (x**2).sum(1)[:, None] + (y**2).sum(1)[None, :] - 2.0 * (x @ y.T)
        distances: Floats = np.sqrt(np.maximum(squares, 0.0))
        return distances

    def uniform(self, rng: np.random.Generator, m: int) -> Floats:
        """Canonical points (m, dim), uniform; with constraints, allowed ones, at most m, at least 1."""
        if not self.space.constraints:
            return self.canonical(rng.random((m, self.dim)))
        drawn = self.canonical(rng.random((min(_MOST_DRAWS, 4 * m), self.dim)))
        allowed = list(itertools.islice(filter(self.allows, drawn), m))
        return np.array(allowed or [self.point(self.space.sample(rng))])

    def drawn_where_inactive(self, points: Floats, rng: np.random.Generator) -> Floats:
        """The points (m, dim) with a uniform value of what doesn't exist there, for the case that it comes to exist."""
        return np.where(self.active(points), points, rng.random(points.shape))

    def cell(self, point: Floats) -> tuple[Floats, Floats]:
        """Bounds (dim,), (dim,) of the coordinates that mean the same as those of a canonical `point` (dim,)."""
        low, high = point.copy(), point.copy()
        for column, cells in enumerate(self.cells):
            if cells is not None:
                i = int(cells.index(point[column]))
                low[column], high[column] = cells.edges[i], np.nextafter(cells.edges[i + 1], 0.0)
        absent = ~self.active(point[None, :])[0]
        low[absent], high[absent] = 0.0, 1.0
        return low, high

    def allows(self, point: Floats) -> bool:
        """Whether the constraints do."""
        return not self.space.constraints or self.space.allows(self.config(point))

    def config(self, point: Floats) -> dict[str, Value]:
        return self.space.from_unit(point)

    def point(self, config: Config) -> Floats:
        return self.space.to_unit(config)


def _cells(p: Parameter) -> Cells | None:
    if p.domain.size is None or (p.domain.size > MOST_CELLS and not isinstance(p.domain, Choice)):
        return None
    values = tuple(p.domain.values())
    edges = np.array([0.0, *p.domain.borders(), 1.0])
    centres = np.array([p.domain.to_unit(value) for value in values])
    return Cells(edges, centres, values)
