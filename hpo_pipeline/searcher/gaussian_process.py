"""Gaussian process regression by Cholesky factors and exact gradients (Rasmussen & Williams 2006, chapters 2 and 5).

    f ~ GP(0, k)    y = f + N(0, σ²)    k((x, r), (x', r')) = s² · m(|(x - x') / ℓ|) · exp(-|ln r - ln r'| / λ)

    m(d) = (1 + √5·d + 5/3·d²) · exp(-√5·d), the Matérn-5/2 kernel with one length scale a dimension (ARD)

The last factor is what two resources of one configuration have in common; where all resources are equal it is 1.

Hyperparameters θ = (ln ℓ_1 … ln ℓ_d, ln s², ln σ², ln λ) are the mode of their posterior (MAP) under normal priors.
The centre of the length scales' prior grows with √d, as distances in the unit cube do (Hvarfner et al. 2024, "Vanilla
Bayesian Optimization Performs Great in High Dimensions"); it is shorter than theirs, 0.3·√d, which measured better.
Targets are expected to have about unit variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_SQRT5 = math.sqrt(5)
_JITTERS = (0.0, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
"""Tried in turn, relative to s²: what is added to the diagonal of a matrix that isn't positive definite."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """k, and the prior of its hyperparameters.

    Attributes:
        dimensions: `(p,)`, the dimension that each feature belongs to; the features of one share a length scale.
            Inputs are `(n, p + 1)`: features, then the logarithm of the resource.
    """

    dimensions: npt.NDArray[np.intp]

    @property
    def n_scales(self) -> int:
        return int(self.dimensions.max(initial=-1)) + 1

    @property
    def prior(self) -> tuple[Array, Array]:
        """Means and standard deviations of θ, which is normal."""
        centre = math.log(0.3 * math.sqrt(max(self.n_scales, 1)))
        mean = np.array([centre] * self.n_scales + [0.0, math.log(1e-4), math.log(4.0)])
        deviation = np.array([1.0] * self.n_scales + [1.0, 2.0, 1.0])
        return mean, deviation

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Between which θ is looked for."""
        low, high = np.full(self.n_scales + 3, math.log(0.01)), np.full(self.n_scales + 3, math.log(100.0))
        low[-3:], high[-3:] = np.log([0.01, 1e-6, 0.1]), np.log([100.0, 1.0, 100.0])
        return low, high

    def scaled(self, theta: Array, inputs: Array) -> Array:
        """`(n, p)`: features in units of their length scales."""
        return np.asarray(inputs[:, :-1] * np.exp(-theta[self.dimensions]))

    def __call__(self, theta: Array, a: Array, b: Array) -> Array:
        """`(n, m)`: k between inputs `(n, p + 1)` and `(m, p + 1)`."""
        squared = _squared_distances(self.scaled(theta, a), self.scaled(theta, b))
        matern, _ = _matern(squared)
        matern *= np.exp(theta[-3])
        if (gaps := _gaps(a, b)) is not None:
            matern *= np.exp(gaps * -np.exp(-theta[-1]))
        return matern


def _squared_distances(a: Array, b: Array) -> Array:
    squared = a @ (-2 * b.T)
    squared += np.einsum("ij,ij->i", a, a)[:, None]
    squared += np.einsum("ij,ij->i", b, b)
    return np.maximum(squared, 0, out=squared)


def _matern(squared: Array) -> tuple[Array, Array]:
    """m of the squared distances, and -2·dm/d(d²) = 5/3·(1 + √5·d)·exp(-√5·d)."""
    scaled = np.sqrt(squared)
    scaled *= _SQRT5
    slope = np.exp(-scaled)
    scaled += 1
    slope *= scaled
    slope *= 5 / 3
    # exp·(1 + √5·d + 5/3·d²) = slope·3/5 + exp·5/3·d², where exp = slope·3/5 / (1 + √5·d)
    squared /= scaled
    squared *= 5 / 3
    squared += 1
    squared *= slope
    squared *= 3 / 5
    return squared, slope


def _gaps(a: Array, b: Array) -> Array | None:
    """`(n, m)`: |ln r - ln r'|; None where all are 0."""
    first = a[0, -1] if len(a) else 0.0
    if np.all(a[:, -1] == first) and np.all(b[:, -1] == first):
        return None
    return np.abs(a[:, -1][:, None] - b[:, -1])


def negative_log_posterior(kernel: Kernel, theta: Array, inputs: Array, targets: Array) -> tuple[float, Array]:
    """-ln p(y | θ) - ln p(θ), up to a constant, and its gradient in θ (Rasmussen & Williams 2006, equation 5.9).

    d ln p(y | θ) / dθ = ½ tr((αα' - K⁻¹) dK/dθ)    α = K⁻¹y
    """
    from scipy.linalg import blas, lapack

    n, n_scales = len(inputs), kernel.n_scales
    features = kernel.scaled(theta, inputs)
    squared = _squared_distances(features, features)
    np.fill_diagonal(squared, 0)
    matern, slope = _matern(squared)
    gaps = _gaps(inputs, inputs)
    scale, noise = np.exp(theta[-3]), np.exp(theta[-2])
    if gaps is not None:
        resource = np.exp(gaps * -np.exp(-theta[-1]))
        matern *= resource
        slope *= resource
    matern *= scale
    lower = _cholesky(matern, noise, scale)
    alpha = lapack.dpotrs(lower, targets, lower=1)[0]
    value = targets @ alpha / 2 + np.log(np.diagonal(lower)).sum()
    inverse = lapack.dpotri(lower, lower=1)[0].T  # symmetric; only the upper triangle is right, and read by dsymm
    norm, trace = alpha @ alpha, np.trace(inverse)
    gradient = np.zeros(n_scales + 3)
    gradient[-2] = noise * (norm - trace) / 2
    gradient[-3] = (targets @ alpha - n) / 2 - gradient[-2]  # tr((αα' - K⁻¹)(K - σ²I)) / 2
    weights = np.outer(alpha, alpha)
    weights -= inverse
    ones = np.ones((n, 1))
    if gaps is not None:
        matern *= weights
        matern *= gaps
        gradient[-1] = blas.dsymm(0.5, matern.T, ones, lower=1).sum() / np.exp(theta[-1])
    # Σ_ij E_ij (x_i - x_j)² = 2 Σ_i x_i² (E1)_i - 2 x'Ex for each feature, where half of it is asked for
    weights *= slope
    times = blas.dsymm(scale, weights.T, np.concatenate([features, ones], axis=1), lower=1)
    by_feature = (features**2).T @ times[:, -1] - np.einsum("ij,ij->j", features, times[:, :-1])
    gradient[:n_scales] = np.bincount(kernel.dimensions, by_feature, n_scales)
    mean, deviation = kernel.prior
    off = (theta - mean) / deviation
    return float(value + off @ off / 2), off / deviation - gradient


def fitted(kernel: Kernel, start: Array, inputs: Array, targets: Array, iterations: int) -> Array:
    """θ at the mode of its posterior, by L-BFGS-B from the best one of three.

    They are `start`, the centre of the prior, and that with targets of which a third is noise: from little noise
    the way to much of it leads over a ridge.
    """
    from scipy.optimize import fmin_l_bfgs_b

    def value(theta: Array) -> tuple[float, Array]:
        return negative_log_posterior(kernel, theta, inputs, targets)

    centre, noisy = kernel.prior[0], kernel.prior[0]
    noisy[-3:-1] = math.log(2 / 3), math.log(1 / 3)
    first = min((start, centre, noisy), key=lambda theta: value(theta)[0])
    bounds = list(zip(*kernel.bounds, strict=True))
    found: Array = fmin_l_bfgs_b(
        value, first, bounds=bounds, factr=1e11, pgtol=1e-3, maxiter=iterations, maxfun=iterations + 5
    )[0]
    return found


@dataclass(frozen=True, slots=True)
class Factor:
    """What a posterior needs of its inputs alone: the Cholesky factor of K + σ²I.

    Attributes:
        theta: hyperparameters.
        inputs: `(n, p + 1)`.
        lower: `(n, n)`, L with LL' = K + σ²I.
    """

    kernel: Kernel
    theta: Array
    inputs: Array
    lower: Array

    @staticmethod
    def of(kernel: Kernel, theta: Array, inputs: Array) -> Factor:
        matrix = kernel(theta, inputs, inputs)
        return Factor(kernel, theta, inputs, _cholesky(matrix, np.exp(theta[-2]), np.exp(theta[-3])))

    def extended(self, inputs: Array) -> Factor:
        """With further inputs `(m, p + 1)`: [[L, 0], [B', C]], B = L⁻¹ k(old, new), CC' = k(new, new) + σ²I - B'B."""
        n, m, scale, noise = len(self.inputs), len(inputs), np.exp(self.theta[-3]), np.exp(self.theta[-2])
        beside = _solved(self.lower, self.kernel(self.theta, self.inputs, inputs))
        lower = np.zeros((n + m, n + m), order="F")
        lower[:n, :n] = self.lower
        lower[n:, :n] = beside.T
        corner = self.kernel(self.theta, inputs, inputs) - beside.T @ beside
        lower[n:, n:] = _cholesky(corner, noise, scale)
        return Factor(self.kernel, self.theta, np.concatenate([self.inputs, inputs]), lower)


@dataclass(frozen=True, slots=True)
class Posterior:
    """f given targets; `weights` `(n,)` is (K + σ²I)⁻¹ y."""

    factor: Factor
    weights: Array

    @staticmethod
    def of(factor: Factor, targets: Array) -> Posterior:
        from scipy.linalg import lapack

        return Posterior(factor, lapack.dpotrs(factor.lower, targets, lower=1)[0])

    def mean(self, inputs: Array) -> Array:
        """`(m,)`."""
        factor = self.factor
        mean: Array = factor.kernel(factor.theta, inputs, factor.inputs) @ self.weights
        return mean

    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """Mean and standard deviation `(m,)` of f at inputs `(m, p + 1)`."""
        factor = self.factor
        between = factor.kernel(factor.theta, factor.inputs, inputs)
        mean = self.weights @ between
        beside = _solved(factor.lower, between)
        variance = np.exp(factor.theta[-3]) - np.einsum("ij,ij->j", beside, beside)
        return mean, np.sqrt(np.maximum(variance, 1e-12))

    def believing(self, inputs: Array) -> Posterior:
        """As if the means at `inputs` had been observed there: the mean stays, the variance shrinks.

        This is the "kriging believer" of Ginsbourger et al. 2010.
        """
        if not len(inputs):
            return self
        return Posterior(self.factor.extended(inputs), np.concatenate([self.weights, np.zeros(len(inputs))]))

    def cross_validated(self, folds: int) -> tuple[Array, Array]:
        """Each target's mean given the targets of the other folds, and the targets; both `(n,)`.

        Hyperparameters stay, so that no other factor is needed: y_I - ((K + σ²I)⁻¹)_II⁻¹ α_I for the fold I
        (Rasmussen & Williams 2006, equation 5.12, for several points at once). Target i is in fold i mod `folds`.
        """
        from scipy.linalg import lapack

        lower = self.factor.lower
        n, targets = len(lower), lower @ (lower.T @ self.weights)
        inverse = lapack.dpotri(lower, lower=1)[0]
        inverse += np.tril(inverse, -1).T
        predicted = np.empty(n)
        for fold in range(min(folds, n)):
            at = np.arange(fold, n, folds)
            predicted[at] = targets[at] - np.linalg.solve(inverse[np.ix_(at, at)], self.weights[at])
        return predicted, targets


def _solved(lower: Array, right: Array) -> Array:
    """L⁻¹ · `right`."""
    from scipy.linalg import lapack

    solved: Array = lapack.dtrtrs(lower, right, lower=1)[0]
    return solved


def _cholesky(matrix: Array, noise: float, scale: float) -> Array:
    """The lower factor of `matrix` + (noise + jitter)·I, with the least jitter that lets there be one."""
    from scipy.linalg import lapack

    size = len(matrix)
    for jitter in _JITTERS:
        shifted = np.array(matrix, order="F")
        shifted[np.diag_indices(size)] += noise + jitter * scale
        lower, info = lapack.dpotrf(shifted, lower=1, clean=1, overwrite_a=1)
        if info == 0:
            return np.asarray(lower)
    raise FloatingPointError(f"a matrix of {size} x {size} has no Cholesky factor, with {_JITTERS[-1]} added either")
