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
    """`auto` is the first visible GPU, or the CPU where there is none.

    Raises:
        ConfigError: torch knows no such device, or it isn't there.
    """
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, TypeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"device: can't use {device!r} ({reason}); use auto, cpu, cuda or cuda:0") from None
    return found
