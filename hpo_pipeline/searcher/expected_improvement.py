"""The logarithm of the expected improvement, without underflow (Ament et al. 2023, "Unexpected Improvements to
Expected Improvement for Bayesian Optimization", equation 9 and appendix A).

    EI = σ·h(z)    z = (best - μ) / σ    h(z) = φ(z) + z·Φ(z)

Far from good values EI is 0 in floating point, and all candidates would look alike; its logarithm still ranks them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_LOG_SQRT_2PI = math.log(2 * math.pi) / 2
_FAR = -30.0
"""Below it h is φ(z) / z² · (1 - 3/z² + 15/z⁴ - 105/z⁶ + 945/z⁸ …), its asymptotic expansion, to 13 digits."""


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """ln E[max(best - f, 0)] for f ~ N(mean, deviation²); all `(m,)`, deviations above 0."""
    return np.log(deviation) + log_h((best - mean) / deviation)


def log_h(z: Array) -> Array:
    """ln(φ(z) + z·Φ(z)), elementwise."""
    from scipy.special import erfcx, ndtr

    answer = -(z**2) / 2 - _LOG_SQRT_2PI
    near = z > -1
    answer[near] = np.log(np.exp(answer[near]) + z[near] * ndtr(z[near]))
    far = z < _FAR
    squares = z[far] ** -2.0
    answer[far] += np.log(squares) + np.log1p(-squares * (3 - squares * (15 - squares * (105 - squares * 945))))
    # In between φ + z·Φ = φ·(1 - |z|·Φ(z)/φ(z)), and Φ(z)/φ(z) = √(π/2)·erfcx(-z/√2).
    between = ~near & ~far
    x = -z[between]
    answer[between] += np.log1p(-math.sqrt(math.pi / 2) * x * erfcx(x / math.sqrt(2)))
    return answer
