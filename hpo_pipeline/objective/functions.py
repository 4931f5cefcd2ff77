"""Functions with known optima, for trying things: `python tune.py experiment=branin`.

    garden       the largest garden by a wall, of 500 m of fence: width (500 - 2 width); 31,250 at 125, to be maximised
    branin       2 dimensions; 0.397887 at (-pi, 12.275), (pi, 2.275) and (9.42478, 2.475)
    hartmann6    6 dimensions in [0, 1]; -3.32237
    ackley       any number of dimensions, 10 of them in [-32.768, 32.768] by default; 0 at the origin
    mf_hartmann  hartmann6 with a bias and noise that vanish with the resource

Branin, Hartmann-6 and Ackley as in Surjanovic & Bingham, "Virtual Library of Simulation Experiments". Their coordinates
are `params.x0`, `params.x1`, …, their metric `value`, to be minimised, and but for the last they tell all in one step.

`mf_hartmann` is the MFHartmann6 of mf-prior-bench, with its default constants, bias 0.5 and noise 0.1 (Mallik et al.
2023, "PriorBand", arXiv:2306.12370, use it; the idea is that of Kandasamy et al. 2017, arXiv:1703.06240). At resource r
of R, with z = log(r) / log(R):

    value = -sum_i (alpha_i - 0.5 (1 - z)^2) exp(-sum_j A_ij (x_j - P_ij)^2) + 0.1 (1 - z) n,    n standard normal
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hpo_pipeline.objective import Metrics
from hpo_pipeline.seeding import generator

BIAS, NOISE = 0.5, 0.1

_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def garden(config: Mapping[str, Any], resource: int, seed: int) -> Metrics:
    width = config["params"]["width"]
    return {"area": width * (500 - 2 * width)}


def branin(config: Mapping[str, Any], resource: int, seed: int) -> Metrics:
    x, y = _point(config)
    bend = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return {"value": bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10}


def hartmann6(config: Mapping[str, Any], resource: int, seed: int) -> Metrics:
    return {"value": _hartmann(_point(config))}


def ackley(config: Mapping[str, Any], resource: int, seed: int) -> Metrics:
    x = _point(config)
    root, wave = math.sqrt((x**2).mean()), np.cos(2 * np.pi * x).mean()
    return {"value": float(-20 * math.exp(-0.2 * root) - math.exp(wave) + 20 + math.e)}


def mf_hartmann(config: Mapping[str, Any], resource: int, seed: int) -> Metrics:
    most = config["max_resource"]
    left = 1 - math.log(resource) / math.log(most) if resource < most else 0.0
    noise = NOISE * left * float(generator(seed, "mf_hartmann", resource).standard_normal())
    return {"value": _hartmann(_point(config), BIAS * left**2) + noise}


def _hartmann(x: npt.NDArray[np.float64], bias: float = 0.0) -> float:
    return -float((_ALPHA - bias) @ np.exp(-(_A * (x - _P) ** 2).sum(1)))


def _point(config: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """`params.x0`, `params.x1`, …"""
    params = config["params"]
    return np.array([params[f"x{i}"] for i in range(len(params))], dtype=float)
