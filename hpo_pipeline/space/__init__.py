"""Search spaces: a nested mapping that mirrors the config it tunes.

    optimizer:
      lr:         {type: float, low: 1.0e-6, high: 1.0, log: true}     # tunes optimizer.lr
    model:
      n_units_1:  {type: int, low: 4, high: 1024}
      activation: {type: choice, choices: [relu, tanh]}
      dropout:    0.1                                                  # a constant

A leaf is a scalar (a constant) or has an explicit `type`:

    type     keys
    float    low, high; log, or step, or n (that many values, log-spaced with log)
    int      low, high; log, or step, or n, or base (powers: low 8, high 128, base 2)
    choice   choices: a list, or a mapping option -> sub-space
    ordinal  choices in their order; encoding: equal or nearest (then also log)
    scipy    distribution: a name in scipy.stats; its parameters as further keys

Bounds are inclusive. Any leaf may have `when: {path: value or [values]}`: it exists only while the parameters at those
paths (in full, from the root of the config) have one of those values. A condition on a parameter that is itself
inactive does not hold. The order of declaration doesn't matter.

The sub-space of an option exists only while the option is chosen:

    optimizer:                       # a choice at the root selects a config group:
      type: choice                   # its sub-spaces lie inside the group
      choices:
        sgd:  {momentum: {type: float, low: 0, high: 0.99}}     # tunes optimizer.momentum
        adam: {}
    model:
      n_layers:                      # a choice further down is one key of its group:
        type: choice                 # its sub-spaces lie beside it
        choices:
          1: {n_units_1: {type: int, low: 4, high: 64}}         # tunes model.n_units_1
          2: ...

For anything else there is `when`. A path may be declared under several options, with another domain in each.

Any leaf may have `prior: {center: 1.0e-3, confidence: medium}` (low, medium, high): where its best value is believed
to lie. Only searchers that say so use it.

The key `constraints` at the root is a list of expressions that every configuration must meet (constraint.py has the
language):

    constraints: [model.n_units_2 <= model.n_units_1]

The constructors of domains, priors and constraints raise a ConfigError with all that is wrong with their arguments.
"""

from __future__ import annotations

from hpo_pipeline.space.constraint import Constraint
from hpo_pipeline.space.distribution import Scipy
from hpo_pipeline.space.domain import Choice, Constant, Domain, Ordinal
from hpo_pipeline.space.parameter import Condition, Parameter
from hpo_pipeline.space.prior import Prior
from hpo_pipeline.space.ranges import Float, Int
from hpo_pipeline.space.space import SearchSpace

__all__ = [
    "Choice",
    "Condition",
    "Constant",
    "Constraint",
    "Domain",
    "Float",
    "Int",
    "Ordinal",
    "Parameter",
    "Prior",
    "Scipy",
    "SearchSpace",
]
