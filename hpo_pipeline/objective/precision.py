"""Automatic mixed precision: the network computes in 16 bits where that is safe, its weights stay in 32.

bf16 has float32's range and works on every device; fp16 has more digits and a small range, so its losses are scaled up
before the gradients are computed (Micikevicius et al. 2018, "Mixed precision training"), which torch does on GPUs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hpo_pipeline.checks import option_problems
from hpo_pipeline.errors import Problem

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Forward = Callable[[Tensor], Tensor]


def problems(precision: Any, device: torch.device) -> list[Problem]:
    """Why the training can't compute so on this device."""
    found = option_problems(PRECISIONS, precision=precision)
    if not found and precision == "fp16" and device.type != "cuda":
        found = [Problem("precision", "fp16 needs a GPU, and this is trained on the CPU; take bf16 or float32")]
    return found


def in_precision(forward: Forward, precision: str, device: torch.device) -> Forward:
    """The network as a function that computes in this precision; its outputs are float32, so the loss is too."""
    if precision == "float32":
        return forward

    def lower(x: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=PRECISIONS[precision]):
            outputs = forward(x)
        return outputs.float()

    return lower


def scaler(precision: str, device: torch.device) -> torch.amp.GradScaler | None:
    """What scales the losses; None where the range of gradients needs none."""
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None
