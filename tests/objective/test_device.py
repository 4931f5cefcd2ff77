"""Which GPUs a process may use."""

from __future__ import annotations

import pytest
import torch

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.objective.device import resolve, visible_devices


@pytest.mark.parametrize(
    ("named", "count", "expected"),
    [
        (None, 0, []),
        (None, 2, ["0", "1"]),
        ("", 2, []),
        ("3, 1", 2, ["3", "1"]),
        ("GPU-8a56,GPU-11f0", 2, ["GPU-8a56", "GPU-11f0"]),
        ("2,-1,0", 1, ["2"]),
        ("-1", 0, []),
    ],
)
def test_devices_bear_the_names_that_the_environment_gives_them(
    monkeypatch: pytest.MonkeyPatch, named: str | None, count: int, expected: list[str]
):
    if named is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert visible_devices() == expected


@pytest.mark.parametrize("device", ["gpu", "cuda:2", 3.5])
def test_a_device_that_is_not_there_is_a_wrong_config(monkeypatch: pytest.MonkeyPatch, device: str):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=r"^device: "):
        resolve(device)


@pytest.mark.parametrize(("count", "expected"), [(0, "cpu"), (2, "cuda:0")])
def test_auto_is_the_first_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch, count: int, expected: str):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert resolve("auto") == torch.device(expected)


def test_looking_for_devices_starts_nothing_on_them():
    visible_devices()
    assert not torch.cuda.is_initialized()
