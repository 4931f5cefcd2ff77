"""report.html of a folder that may be anybody's."""

from __future__ import annotations

from pathlib import Path

import pytest
from safe_page import assert_no_text_became_markup, assert_only_its_own_scripts_run
from written_journal import Written

from hpo_pipeline.report.page import write_report

EVIL = '</script><script>alert("evil")</script><img src=x onerror=alert("evil")>{{7*7}}{% raw %}$x^2$'


@pytest.fixture
def folder() -> Path:
    """A study of which every text is an attack."""
    study = Written(name=EVIL, metrics={"loss": "min", EVIL: "max"})
    study.records[0] |= {"unit": EVIL, "commands": {"train": EVIL, "resume": EVIL}}
    study.view.apply(study.records[0])
    for i in range(24):
        study.job(i, 1, config={f"a.{EVIL}": f"{EVIL}{i % 3}", "b": i})
        study.report(i, 1, float(i), 0, **{EVIL: float(-i)})
        study.done(i, "STOPPED", EVIL)
    study.job(24, 1)
    study.fail(24, EVIL)
    study.add("end", state=EVIL, reason=EVIL)
    place = study.save("study", f"note: '{EVIL}'\nchoices: {{model: '{EVIL}', dataset: '{EVIL}'}}\n")
    (place / "overrides.yaml").write_text(f"- '{EVIL}'\n")
    return place


def test_no_text_becomes_markup(folder: Path):
    assert_no_text_became_markup(write_report(folder).read_text())


def test_the_policy_of_the_page_lets_its_own_scripts_run_and_nothing_be_loaded(folder: Path):
    assert_only_its_own_scripts_run(write_report(folder).read_text())


def test_links_are_neither_read_nor_followed(folder: Path, tmp_path: Path):
    secret, elsewhere = tmp_path / "secret.yaml", tmp_path / "elsewhere"
    secret.write_text("password: hunter2")
    elsewhere.mkdir()
    for name in ("config.yaml", "overrides.yaml"):
        (folder / name).unlink()
        (folder / name).symlink_to(secret)
    (folder / "report.html").symlink_to(secret)
    (folder / "plots").symlink_to(elsewhere)
    assert "hunter2" not in write_report(folder).read_text()
    assert secret.read_text() == "password: hunter2"
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "config", ["a: &a [*a]", "[" * 10_000, "search_space: {x: {type: float, low: nan, high: 1}}", "x: \x00", "\n" * 9]
)
def test_a_config_that_is_none_leaves_the_journals_part(folder: Path, config: str):
    (folder / "config.yaml").write_text(config)
    assert write_report(folder).stat().st_size > 1_000_000
