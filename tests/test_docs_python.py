"""Every line of docs/python.md runs as it stands, with less to train."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, unpainted
from matplotlib.figure import Figure

import hpo_pipeline

TINY = ("executor=serial", "tracker=none", "finalists.n=0", "max_resource=1", "n_trials=2")
TINY_TRAINING = ("tracker=none", "max_resource=1")


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(Figure, "savefig", unpainted)


def shortened(call: Callable[..., Any], less: tuple[str, ...]) -> Callable[..., Any]:
    return lambda *words, **named: call(*words, *less, **named)


def test_python_md(monkeypatch):
    for name, less in (("tune", TINY), ("train", TINY_TRAINING)):
        monkeypatch.setattr(hpo_pipeline, name, shortened(getattr(hpo_pipeline, name), less), raising=False)
    monkeypatch.syspath_prepend(Path.cwd())
    scope: dict[str, Any] = {}
    found = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.DOTALL)
    assert len(found) > 9
    for block in found:
        exec(compile(block, "python.md", "exec"), scope)
    training = scope["training"]
    assert training.is_training
    assert list(training.reports["resource"]) == [1]
    assert hpo_pipeline.load_model(training).training is False
    assert {path.name for path in Path("runs").iterdir()} == {"first", "second", "third", "once", "bowl"}
