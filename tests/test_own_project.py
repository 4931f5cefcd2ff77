"""examples/own_project: works where hpo_pipeline is installed, and nothing of the checkout is at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, undrawn

PROJECT = ROOT / "examples/own_project"
SMALL = ("executor=serial", "finalists.n=0", "max_resource=1", "n_trials=2", "tracker=none")

QUIET = ("-q", "-p", "no:cacheprovider")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """What `pip install` puts into site-packages: the files of a wheel."""
    from setuptools import Distribution

    lib = tmp_path_factory.mktemp("site-packages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        project = Distribution({"script_name": "setup.py"})
        project.parse_config_files()
        build = project.get_command_obj("build_py")
        build.build_lib = str(lib)
        build.ensure_finalized()
        build.run()
    return lib


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_a_wheel_has_every_file_of_the_package(installed):
    ours = {f"hpo_pipeline/{path}" for path in files(ROOT / "hpo_pipeline")}
    assert files(installed) == ours | {f"hpo_pipeline/conf/{path}" for path in files(ROOT / "conf")}
    assert {
        "hpo_pipeline/py.typed",
        "hpo_pipeline/conf/tune.yaml",
        "hpo_pipeline/conf/model/mlp.yaml",
        "hpo_pipeline/report/page/page.html",
        "hpo_pipeline/report/page/echarts.min.js",
    } <= files(installed)


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(PROJECT, folder / "project", ignore=shutil.ignore_patterns("__pycache__", "runs")))


def test_its_tests_pass_with_the_installed_package(installed, tmp_path):
    project = copied(tmp_path)
    libraries = [path for path in sys.path if Path(path).name == "site-packages"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *libraries])}
    where = "import hpo_pipeline, pytest, sys; print(hpo_pipeline.__file__); sys.exit(pytest.main(sys.argv[1:]))"
    # Without `site`: no .pth file, by which an editable installation would be found.
    ended = subprocess.run(
        [sys.executable, "-S", "-c", where, *QUIET, "tests/test_ratings.py"],
        cwd=project,
        env=environment,
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.startswith(str(installed / "hpo_pipeline/__init__.py"))
    assert "7 passed" in ended.stdout


def test_its_tests_that_need_torch_pass(tmp_path, monkeypatch):
    # In this process, which has imported torch.
    project = copied(tmp_path)
    monkeypatch.syspath_prepend(project)
    with undrawn():
        assert pytest.main([*QUIET, f"--rootdir={project}", str(project / "tests/test_forecast.py")]) == 0
