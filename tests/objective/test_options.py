"""Every shipped option of the groups model, dataset and optimizer fits every other."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_pipeline import conf
from hpo_pipeline.build import build
from hpo_pipeline.objective.training import Training

(ROOT,) = map(Path, conf.__path__)
GROUPS = ("model", "dataset", "optimizer")
OPTIONS = list(
    itertools.product(
        *(sorted(path for path in (ROOT / group).glob("*.yaml") if path.stem != "none") for group in GROUPS)
    )
)


def node(path: Path) -> dict[str, Any]:
    written: dict[str, Any] = yaml.safe_load(path.read_text())
    return written.get(path.parent.name, written)  # a model that chooses its optimizer is written from the root


@pytest.mark.parametrize("options", OPTIONS, ids=lambda paths: "-".join(p.stem for p in paths))
def test_options_of_different_groups_have_no_problems_together(options: tuple[Path, ...]):
    config = {"seed": 0, **dict(zip(GROUPS, map(node, options), strict=True))}
    assert Training(device="cpu").problems(config) == []


@pytest.mark.parametrize("path", sorted((ROOT / "objective").glob("*.yaml")), ids=lambda path: path.stem)
def test_objectives_can_be_built_from_their_files(path: Path):
    assert build(node(path), "objective").unit in {"epoch", "step"}
