"""report.html: what it shows of studies of all kinds."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from commands import FREE, hpo, run
from written_journal import Written

from hpo_pipeline.errors import StudyError
from hpo_pipeline.report.page.material import Material
from hpo_pipeline.report.page.page import page as page_of
from hpo_pipeline.report.page.page import write_report

CONFIG = """\
choices: {model: mlp, dataset: digits, scheduler: asha, searcher: tree}
search_space:
  lr: {type: float, low: 1.0e-4, high: 1.0, log: true}
  act: {type: choice, choices: [relu, tanh]}
"""


def written(study: Written, config: str = CONFIG) -> Path:
    """The page of a study."""
    path = study.save("study", config) / "report.html"
    path.write_text(page_of(Material.of(Path("study"))))
    return path


def data_of(page: Path) -> dict[str, Any]:
    """What its scripts are given."""
    packed = re.search(r'<script type="text/plain" id="data">([^<]*)</script>', page.read_text())
    assert packed is not None
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return found


def sentences(page: Path) -> str:
    """Its text, without what is between tags."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page.read_text(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def sections(page: Path) -> list[str]:
    return re.findall(r'<section id="(\w+)">', page.read_text())


def asha(n: int = 30, mode: str = "min") -> Written:
    """Trials of which the better half climbs from epoch 1 to 2 and 4; lr decides, act does nothing."""
    study, sign = Written(mode), 1 if mode == "min" else -1
    for i in range(n):
        config = {"lr": 10 ** (-4 * i / (n - 1)), "act": "relu" if i % 2 else "tanh"}
        for rung in range(3):
            study.job(i, 2**rung, rung, config)
            for epoch in range(2**rung // 2 + 1, 2**rung + 1):
                study.report(i, epoch, sign * (i + 1 + 1 / epoch), rung if epoch == 2**rung else None)
            if i >= n / 2 ** (rung + 1) or rung == 2:
                break
        study.done(i, "COMPLETED" if rung == 2 else "STOPPED", f"rung {rung}: rank {i} of {n}, kept 1")
    study.add("end", state="completed", reason="n_trials")
    return study


def test_a_whole_study_has_every_section_each_with_what_one_sees_and_how_sure_it_is():
    page = write_report(asha().save("study", CONFIG))
    assert page == Path("study/report.html")
    assert sections(page) == [
        *("best", "curves", "rungs", "stopping", "importance", "parallel", "slices", "pairs"),
        *("trials", "workers", "settings"),
    ]
    assert re.findall(r'class="(says|sure)">\s*<', page.read_text()) == []
    text = sentences(page)
    assert "2 hyperparameters of mlp on digits, to minimise loss; scheduler asha, searcher tree" in text
    assert "3 rungs at epochs 1, 2, 4" in text
    assert "loss 1.250, by trial 0 at epoch 4" in text
    assert page.stat().st_size < 1_500_000
    assert sorted(path.name for path in Path("study/plots").iterdir()) == ["importance.png", "rungs.png", "slices.png"]


def test_the_same_journal_makes_the_same_page():
    page = written(asha())
    assert page_of(Material.of(Path("study"))) == page.read_text()


def test_the_best_line_improves_at_the_total_resource_and_seconds_where_a_report_was_better():
    study = Written()
    study.trial(0, [0.5, 0.3], {"lr": 0.1})
    study.trial(1, [0.4, 0.2], {"lr": 0.2})
    study.job(2, 1)
    study.report(2, 1, 0.1)
    study.fail(2)  # never the best
    best = data_of(written(study))["sections"]["best"]["best"]
    assert [point[1:] for point in best] == [[1, 0.5, 0], [2, 0.3, 0], [4, 0.2, 1]]
    assert [point[0] for point in best] == [4, 5, 12]


def test_the_best_of_a_maximised_metric_is_the_highest():
    best = data_of(written(asha(mode="max")))["sections"]["best"]["best"]
    assert [value for _, _, value, _ in best] == [-2, -1.5, -1.3333, -1.25]
    assert data_of(Path("study/report.html"))["trials"]["rows"][0][0] == 0


def test_the_rung_scatter_has_a_panel_a_bracket_with_the_counts_of_its_rungs():
    (panel,) = data_of(written(asha()))["sections"]["rungs"]["panels"]
    assert panel["rungs"] == [[1, 30], [2, 15], [4, 8]]
    assert panel["trials"][0] == [0, 1, 2, 2, 1.5, 4, 1.25]


def test_a_row_of_the_table_says_what_became_of_the_trial():
    trials = data_of(written(asha()))["trials"]
    first, last = trials["rows"][0], trials["rows"][-1]
    assert first[:6] == [0, 2, [1.25], 4, 4, 0]
    assert last[8] == "stopped at rung 0 (epoch 1): rank 29 of 30, 1 kept"
    assert (trials["paths"], last[11]) == (["lr", "act"], [0.0001, "relu"])
    assert trials["overrides"]["0"] == "lr=1.0 act=tanh trial=0 resource=4"


def test_axes_come_in_the_order_of_their_importance():
    data = data_of(written(asha()))
    assert [axis["name"] for axis in data["axes"]] == ["lr", "act"]
    importance = data["sections"]["importance"]
    assert importance["ped"][0][0] > 0.9
    assert importance["forest"][0][0] > importance["forest"][1][0]


def test_finalists_with_seeds_are_told_with_their_means():
    study = asha(12)
    study.records.pop()
    for k, value in enumerate([1.2, 1.4]):
        study.add("suggested", trial=50 + k, config={"lr": 1.0, "act": "tanh"}, repeats=0)
        study.trial(50 + k, [value], {})
    text = sentences(written(study))
    assert "Trained with 3 seeds it comes to 1.283 ± 0.06 (3)" in text


def test_the_front_of_several_metrics_is_drawn_with_its_members():
    study = Written(metrics={"loss": "min", "score": "max"})
    study.records[0]["constraints"] = [{"name": "loss", "min": None, "max": 3.0}]
    study.view.apply(study.records[0])
    for i in range(4):
        study.job(i, 1, config={"lr": 0.1 * (i + 1)})
        study.report(i, 1, float(i + 1), 0, score=float(10 * i))
        study.done(i)
    page = written(study)
    front = data_of(page)["sections"]["front"]
    assert front["front"] == [[1, 0, 0, 1], [2, 10, 1, 1], [3, 20, 2, 1]]
    assert [row[-1] for row in front["reports"]] == [1, 1, 1, 0]
    assert "A front of 3 members; the best of each metric on it: loss 1.000, score 20.00." in sentences(page)


def one(study: Written) -> None:
    study.trial(0, [0.5], {"lr": 0.1})


def all_failed(study: Written) -> None:
    for i in range(12):
        study.job(i, 1, config={"lr": 0.01 * (i + 1)})
        study.fail(i)


def never_finite(study: Written) -> None:
    for i in range(12):
        study.trial(i, [math.nan, math.inf], {"lr": 0.01 * (i + 1)}, "STOPPED")


def choices_alone(study: Written) -> None:
    for i in range(24):
        study.trial(i, [float(i % 2)], {"act": "relu" if i % 2 else "tanh"})


def equally_good(study: Written) -> None:
    for i in range(24):
        study.trial(i, [0.5], {"lr": 0.01 * (i + 1)})


def population(study: Written) -> None:
    for i in range(3):
        study.job(i, 1, config={"lr": 0.1 * (i + 1)})
        study.report(i, 1, 0.5 - 0.1 * i, 0)
    source = {"source": [2, 1], "config": {"lr": 0.36}}
    study.add("submitted", trial=0, resource=2, rung=1, bracket=0, **source)
    study.report(0, 2, 0.1, 1)


@pytest.mark.parametrize(
    ("make", "told", "there"),
    [
        (lambda study: None, "No trial was started yet.", ["trials", "settings"]),
        (lambda study: study.job(0, 1), "No trial has a usable loss yet.", ["trials", "workers", "settings"]),
        (one, "It is a single trial", ["best", "importance", "parallel", "slices", "trials", "workers", "settings"]),
        (all_failed, "All 12 trials failed; the last error: ValueError: no", ["importance", "trials", "workers"]),
        (never_finite, "can't be told from 12 evaluated trials", ["importance", "trials", "workers", "settings"]),
        (choices_alone, "loss 0.000, by trial 0", ["best", "importance", "parallel", "slices", "trials"]),
        (equally_good, "can't be told from 24 evaluated trials", ["best", "importance", "parallel", "slices"]),
        (
            population,
            "Hyperparameters changed on the way",
            ["best", "curves", "rungs", "importance", "parallel", "slices"],
        ),
    ],
    ids=["nothing", "begun", "one", "all failed", "never finite", "choices alone", "equally good", "population"],
)
def test_a_small_or_odd_study_has_a_sensible_page(make: Callable[[Written], None], told: str, there: list[str]):
    study = Written()
    make(study)
    page = written(study)
    assert told in sentences(page)
    assert [key for key in sections(page) if key in there] == there
    assert set(sections(page)) <= {*there, "trials", "workers", "settings"}
    data_of(page)  # JSON, whatever isn't finite


def test_a_study_without_a_config_is_read_from_its_journal_alone():
    assert "2 hyperparameters of an objective, to minimise loss" in sentences(written(asha(), "a: [unclosed"))


def test_the_commands_of_the_journal_are_on_the_page():
    study = asha()
    study.records[0]["commands"] = {"train": "python train.py model=mlp", "resume": "python tune.py resume=true"}
    text = sentences(written(study))
    assert "python train.py model=mlp lr=1.0 act=tanh trial=0 resource=4" in text
    assert "python tune.py resume=true" in text


def test_a_study_ends_with_its_page_and_the_command_writes_it_again():
    ended = run(*FREE, "n_trials=3", "name=s", drawn=True)
    assert "report.html" in ended.out
    page = Path("runs/s/report.html")
    command = next(line.strip() for line in ended.out.splitlines() if " resource=" in line)
    assert command in sentences(page)
    page.unlink()
    assert hpo("report", "runs/s").out == "runs/s/report.html\n"
    assert command in sentences(page)


def test_a_page_that_can_not_be_written_keeps_nothing_else_from_its_place():
    Path("runs/s/report.html").mkdir(parents=True)
    ended = run(*FREE, "n_trials=3", "name=s", drawn=True)
    assert (ended.code, Path("runs/s/leaderboard.csv").is_file()) == (3, True)
    assert "runs/s/report.html can't be written" in ended.out


def test_what_is_no_study_is_refused():
    with pytest.raises(StudyError, match="nowhere"):
        write_report("nowhere")


def test_the_drawing_library_is_the_published_file():
    # Of the package echarts 6.1.0 on npm, dist/echarts.min.js.
    content = (resources.files("hpo_pipeline.report.page") / "echarts.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == "b66b25aeb4df84e33199dc21694014d336d222cbd9deb0e5a7c14bd6aa0d0fd0"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium isn't installed (Debian's package)")
def test_a_browser_draws_every_chart_and_lets_nothing_else_run():
    evil = '</script><script>document.title="run"</script><img src=x onerror=document.title="run">'
    study = asha()
    for record in study.records:
        if record["event"] == "suggested":
            record["config"] = {**record["config"], f"p.{evil}": evil + str(record["trial"] % 3)}
    study.records[0]["name"] = study.records[0]["metrics"][0]["name"] = "loss"
    page = written(study, CONFIG + f"note: {json.dumps(evil)}\n")
    ended = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"),
            page.resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    dom = ended.stdout
    assert 'data-drawn="all"' in dom
    assert dom.count("<canvas") == len(re.findall(r'class="chart"', page.read_text()))
    assert "<title>loss</title>" in dom
    assert "<img" not in re.sub(r"<script\b.*?</script>", "", dom, flags=re.DOTALL)
    assert dom.count("stopped at rung 0") > 10  # the table
