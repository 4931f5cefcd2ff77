"""comparison.html: what its drawings are given, and studies that may be anybody's."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from safe_page import assert_no_text_became_markup, assert_only_its_own_scripts_run
from written_journal import Written, of_method

from hpo_pipeline.comparison import compare

EVIL = '</script><script>alert("evil")</script><img src=x onerror=alert("evil")>{{7*7}}[bold]$x^2$'


def data_of(html: str) -> dict[str, Any]:
    packed = re.search(r'<script type="text/plain" id="data">([^<]*)</script>', html)
    assert packed is not None
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return found


def sections(html: str) -> list[str]:
    return re.findall(r'<section id="(\w+)">', html)


def test_a_page_has_curves_targets_ranks_studies_and_what_differs():
    for name, better in (("asha", 0.2), ("fifo", 0.0)):
        for seed in range(4):
            of_method(f"{name}{seed}", [0.9, 0.5 - better], seed=seed, choices={"scheduler": name, "searcher": "tpe"})
    found = compare(*(path.parent for path in Path().glob("*/journal.jsonl")))
    html = found.write("x.html").read_text()
    assert sections(html) == ["curves", "target", "ranks", "studies", "differences"]
    data = data_of(html)
    assert data["methods"] == ["asha", "fifo"]
    # spent, lower quartile, median, upper quartile; the study's end changes nothing
    assert data["sections"]["curves"]["methods"][0]["bands"]["resource"] == [[1, 0.9, 0.9, 0.9], [2, 0.3, 0.3, 0.3]]
    assert data["sections"]["curves"]["methods"][0]["bands"]["seconds"][-1] == [6, 0.3, 0.3, 0.3]
    assert data["sections"]["target"]["reached"][1] == {"resource": [2] * 4, "seconds": [5] * 4}
    half, whole = data["sections"]["ranks"]["ranks"][1:3]
    assert (half["amount"], half["average"], half["cliques"]) == (1, [1.5, 1.5], [[0, 1]])
    assert (whole["amount"], whole["average"], whole["cliques"]) == (2, [1, 2], [])
    assert 'data-method="1"></span>fifo</th>' in html
    assert Path("x.html").stat().st_size < 1_300_000


def test_what_there_is_too_little_for_is_left_out():
    of_method("a", [0.5], choices={})
    of_method("b", [float("nan")], choices={})
    assert sections(compare("a", "b").write("x.html").read_text()) == ["curves", "target", "studies"]
    of_method("c", [float("nan")], choices={})
    assert sections(compare("b", "c").write("x.html").read_text()) == ["studies"]


@pytest.fixture
def hostile() -> str:
    """A page of studies of which every text is an attack."""
    for i in range(8):
        study = Written(name=EVIL, metrics={EVIL: "min"}, seed=i // 2)
        study.records[0] |= {"unit": EVIL, "id": f"{EVIL}{i}"}
        study.view.apply(study.records[0])
        study.job(0, 1)
        study.report(0, 1, 0.1, **{EVIL: float(i)})
        study.add("end", state=EVIL if i == 7 else "completed", reason=EVIL)
        choices = f"choices: {{scheduler: '{EVIL}{i % 2}', model: '{EVIL}', dataset: '{EVIL}'}}"
        study.save(f"s{i}", f"name: '{EVIL}'\n{choices}\n'{EVIL}': {i % 2}\nn_trials: {i}\n")
    comparison = compare(*(f"s{i}" for i in range(8)))
    assert "<img" not in comparison._repr_html_()
    return comparison.write("x.html").read_text()


def test_no_text_becomes_markup(hostile: str):
    assert_no_text_became_markup(hostile)


def test_the_policy_of_the_page_lets_its_own_scripts_run_and_nothing_be_loaded(hostile: str):
    assert_only_its_own_scripts_run(hostile)


def test_a_notebook_shows_the_table_escaped():
    for name in ("asha", "<b>"):
        of_method(name.strip("<>"), [0.5], choices={"scheduler": f"'{name}'"})
    html = compare("asha", "b")._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<td" in html
    assert "2 methods by loss (min), 1 study each" in html
