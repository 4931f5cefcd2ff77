"""Which devices this process may compute on, and what room they have."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from hpo_pipeline.errors import ConfigError, Problem


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
        what = f"unknown device {device!r}; use auto, cpu, cuda or cuda:0"
        raise ConfigError(Problem("device", what)) from None
    if found.type == "cuda" and (found.index or 0) >= (count := torch.cuda.device_count()):
        what = f"{device!r} is not among the {count} GPUs that are visible; use auto or cpu"
        raise ConfigError(Problem("device", what))
    return found


def free_memory(device: torch.device) -> int:
    """Bytes that this process can still take on the device; on the CPU, within its container's limit."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    meminfo = _numbers(Path("/proc/meminfo"))
    if "MemAvailable:" in meminfo:  # kilobytes
        limits.append(1024 * meminfo["MemAvailable:"])
    group = Path("/sys/fs/cgroup")
    if (group / "memory.max").is_file() and (most := (group / "memory.max").read_text().strip()).isdecimal():
        used = int((group / "memory.current").read_text())
        limits.append(int(most) - used + _numbers(group / "memory.stat").get("inactive_file", 0))
    return max(0, min(limits))


def _numbers(path: Path) -> dict[str, int]:
    """The first number of each line of a file of the kernel's, by the word before it."""
    if not path.is_file():
        return {}
    words = [line.split() for line in path.read_text().splitlines()]
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdecimal()}
