"""MLflow's own UI, in headless Chromium, over its own server and a real study: what people see of it.

Selenium drives it: with Debian's chromium-driver that is half the weight of a library that brings its own driver.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import DIGITS, journal, start, wait_for
from heard import folded

from hpo_pipeline.view import StudyView

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
_PROGRAMS = [shutil.which("chromium"), shutil.which("chromedriver")]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(_PROGRAMS), reason="needs chromium and chromedriver (Debian: chromium-driver)"),
]
STUDY = (*DIGITS[:-2], "scheduler=successive_halving", "scheduler.bracket_size=6", "scheduler.eta=2", "max_resource=4")
WIDTH, HEIGHT = 1440, 900
_SECONDS = 90.0
_STILL = (  # what would lie over the page: an assistant that greets who comes for the first time
    "try { localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');"
    "localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false'); } catch {}"
)


@dataclass
class Page:
    """A browser on the server of one study."""

    driver: Any
    address: str
    told: str
    view: StudyView
    study: str

    def link(self, name: str) -> str:
        """What the study printed after `name`."""
        line = next(line for line in self.told.splitlines() if line.startswith(f"  {name} "))
        return line.split()[1].replace("http://127.0.0.1:5000", self.address)

    def open(self, address: str) -> None:
        self.driver.get("about:blank")  # where only what follows the hash differs, nothing would be loaded
        self.driver.get(address)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    @property
    def text(self) -> str:
        return str(self.driver.execute_script("return document.body.innerText"))

    def wait(self, what: str, condition: Callable[[], Any]) -> Any:
        """What the condition comes to, as soon as it holds; elements may be drawn anew while it looks."""
        from selenium.common.exceptions import StaleElementReferenceException

        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            try:
                if found := condition():
                    return found
            except StaleElementReferenceException:
                continue
            time.sleep(0.05)
        self.driver.save_screenshot("failed.png")
        seen = f"see {Path('failed.png').absolute()}\n{self.text}"
        raise AssertionError(f"{what}: not there after {_SECONDS:g} s; {seen}")

    def errors(self) -> list[str]:
        """What went wrong in the page's scripts, but for what goes wrong in MLflow's with no study at all."""
        # The last one: its axes, where it draws a chart before it knows the room for it.
        harmless = ("users/current", "ResizeObserver loop completed", " Expected number, ")
        found = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        return [message for message in found if not any(words in message for words in harmless)]


@pytest.fixture
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("browser")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ended = wait_for(start(*STUDY, "searcher=random", "name=shown"))  # nothing is left of other tests
        assert ended.code == 0, ended.err
        view = folded(journal("shown"))
        study = stored()
        server, address = serve(folder)
        driver = chromium()
        try:
            yield Page(driver, address, ended.out, view, study)
        finally:
            driver.quit()
            server.terminate()
            server.wait(timeout=30)


def stored() -> str:
    """Where the study's run is in MLflow's UI; read from the store itself, whatever this process has open."""
    asked = "SELECT experiment_id, run_uuid FROM runs NATURAL JOIN tags WHERE key = 'hpo.role' AND value = 'study'"
    with contextlib.closing(sqlite3.connect("mlflow.db")) as store:
        ((experiment, run_id),) = store.execute(asked).fetchall()
    return f"experiments/{experiment}/runs/{run_id}"


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """`mlflow ui` as a study prints it, at a free port; returns as soon as it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--port", str(port)]
    log = (folder / "server.log").open("wb")
    server = subprocess.Popen(
        [*command, "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"],
        stdout=log,
        stderr=log,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server, f"http://127.0.0.1:{port}"
        time.sleep(0.1)
    server.kill()
    raise AssertionError(f"mlflow ui does not come up:\n{(folder / 'server.log').read_text()}")


def chromium() -> Any:
    options = webdriver.ChromeOptions()
    options.binary_location = str(_PROGRAMS[0])
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(_PROGRAMS[1])))
    size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _STILL})
    return driver


CARD = "[data-testid='experiment-view-compare-runs-card']"
NAME = ".ag-row [col-id='attributes.`Run Name`']"


def the_charts_come_first_and_the_rungs_are_above_the_fold(page: Page) -> None:
    page.open(page.link("charts"))
    cards = page.wait("charts", lambda: [card for card in page.all(CARD) if "rung/validation_error" in card.text])
    box = cards[0].rect
    assert box["y"] + box["height"] <= HEIGHT
    assert box["x"] + box["width"] <= WIDTH
    text = page.text
    assert text.index("Study shown") < text.index("rung/validation_error") < text.index("Hyperparameters")
    assert "\nrung (1)" not in text  # the section that MLflow would add
    page.wait("lines", lambda: page.all(f"{CARD} .scatterlayer .trace"))
    assert page.errors() == []


def the_table_has_the_trials_best_first_with_what_became_of_them(page: Page) -> None:
    page.open(page.link("table"))
    best, *_ = page.view.ranking()
    others = [trial for trial in page.view.trials.values() if trial.best_score == best.best_score]
    names = page.wait("rows", lambda: len(found := page.all(f"{NAME} a")) >= 6 and [link.text for link in found])
    assert len(names) == len(page.view.trials)
    assert names[0] in [f"trial-{trial.id:04d}" for trial in others]
    page.wait("fates", lambda: "Stopped at rung 0 (epoch 1): rank 6 of 6, 3 kept" in page.text)
    for column in ("best.validation_error", "hpo.seconds", "Description", "optimizer.lr"):
        assert column in page.text
    assert page.errors() == []


def a_study_opens_to_its_trials(page: Page) -> None:
    page.open(f"{page.address}/#/{page.study.rpartition('/')[0]}?workflowType=machine_learning")
    expander = page.wait("the study", lambda: page.all(f"{NAME} button"))
    assert "trial-0000" not in page.text
    expander[0].click()
    page.wait("its trials", lambda: all(f"trial-{i:04d}" in page.text for i in range(6)))
    assert page.errors() == []


def trials_are_compared_by_parallel_coordinates(page: Page) -> None:
    page.open(page.link("table"))
    boxes = page.wait("rows", lambda: len(found := page.all(".ag-row .ag-checkbox-input")) >= 6 and found)
    for box in boxes[:3]:
        box.click()
    button = "[data-testid='runs-compare-button']"
    page.wait("the button", lambda: page.all(button) and page.all(button)[0].is_enabled())
    page.all(button)[0].click()
    page.wait("the comparison", lambda: "Comparing 3 Runs" in page.text)
    page.wait("parallel coordinates", lambda: page.all(".parcoords"))


def the_report_opens_among_the_artifacts(page: Page) -> None:
    page.open(f"{page.address}/#/{page.study}/artifacts/report.html?workflowType=machine_learning")
    frame = page.wait("the report", lambda: page.all("iframe"))
    page.driver.switch_to.frame(frame[0])
    page.wait("what is in it", lambda: "shown" in page.text)
    page.driver.switch_to.default_content()


def test_what_people_see(page: Page):
    # One test: of several, each worker that gets some would make a study and start a server and a browser of its own.
    the_charts_come_first_and_the_rungs_are_above_the_fold(page)
    the_table_has_the_trials_best_first_with_what_became_of_them(page)
    a_study_opens_to_its_trials(page)
    trials_are_compared_by_parallel_coordinates(page)
    the_report_opens_among_the_artifacts(page)
