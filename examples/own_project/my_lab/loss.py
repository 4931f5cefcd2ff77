"""The pinball loss (Koenker & Bassett 1978): what is least for a quantile, and not for the mean."""

from __future__ import annotations

from torch import Tensor, nn


class Pinball(nn.Module):
    """Too low costs `quantile` a unit, too high 1 - `quantile`."""

    def __init__(self, quantile: float = 0.5) -> None:
        super().__init__()
        self.quantile = quantile

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over all examples: one number."""
        missing = targets - outputs
        return (self.quantile * missing).maximum((self.quantile - 1) * missing).mean()
