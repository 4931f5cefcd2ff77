"""The share of predictions that are near enough, as a metric of torchmetrics: it adds up over batches."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class Within(Metric):
    """At most `tolerance` away from the target; 1 is best."""

    higher_is_better = True

    def __init__(self, tolerance: float = 0.5) -> None:
        super().__init__()
        self.tolerance = tolerance
        self.add_state("near", default=torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("total", default=torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        self.near += ((preds - target).abs() <= self.tolerance).sum()
        self.total += target.numel()

    def compute(self) -> Tensor:
        return self.near / self.total
