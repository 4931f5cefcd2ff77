"""Which devices this process may compute on."""

from __future__ import annotations

import os

import torch

from hpo_pipeline.errors import ConfigError


def visible_devices() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them (numbers or UUIDs); [] without GPUs.

    Each may be put into the CUDA_VISIBLE_DEVICES of a child process. No CUDA context is created here.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None and not named.strip():
        return []
    count = torch.cuda.device_count()  # asks the driver's management library, and stops at the first invalid name
    if named is None:
        return [str(index) for index in range(count)]
    return [name.strip() for name in named.split(",")][:count]


def resolve(device: str) -> torch.device:
    """`auto` is the first visible GPU, or the CPU where there is none. Nothing is started on it.

    Raises:
        ConfigError: torch knows no such device, or it isn't there.
    """
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.device_count() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise ConfigError(f"device: unknown device {device!r}; use auto, cpu, cuda or cuda:0") from None
    if found.type == "cuda" and (found.index or 0) >= (count := torch.cuda.device_count()):
        raise ConfigError(f"device: {device!r} is not among the {count} GPUs that are visible; use auto or cpu")
    return found
