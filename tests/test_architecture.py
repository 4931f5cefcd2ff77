"""The house: who may import what. Imports point down only, and heavy libraries have one door each."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import subprocess
import sys
import tomllib
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from commands import ROOT

PACKAGE = ROOT / "hpo_pipeline"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = (
    {"errors", "trial", "seeding", "checks", "atomic", "over_seeds", "guardian", "plain_yaml", "environment", "tree"},
    {"garbage"},
    {"evaluation", "pareto"},
    {"ranking"},
    {"trust", "kinds", "build", "space", "space_tree", "report.command", "interrupt", "lease", "at_work"},
    {"config.hydra_keys", "config.hydra_errors", "config.log_levels", "config.several", "config.shortcuts"},
    {"config.command_line"},
    {"searcher"},
    {"journal", "records"},
    {"front", "trial_view"},
    {"view"},
    {"budget"},
    {"report"},
    {"saved_study"},
    {"analysis"},
    {"report.page", "report.comparison"},
    {"comparison"},
    {"scheduler"},
    {"objective", "model", "dataset", "tracker"},
    {"config.containment", "config.composed", "config.public", "config.search_space"},
    {"executor"},
    {"tuner", "history"},
    {"warm_start", "replay"},
    {"testing", "objective_contract", "simulation", "preflight", "metric_checks"},
    {"best_model", "closing", "dry_run"},
    {"study"},
    {"training_run"},
    {"config.schema", "config.metric_keys", "config.older"},
    {"config.layers", "config.composing", "config.multirun"},
    {"config.diagnosis", "config.options", "config.resuming", "config.around"},
    {"config"},
    {"python"},
    {"commands"},
)

DOORS = {
    "hydra": ("config/",),
    "mlflow": ("tracker/mlflow/",),
    "torch": ("objective/", "model/", "dataset/"),
    "torchmetrics": ("objective/",),
    "torchvision": ("dataset/", "model/", "objective/augment.py"),
    "sklearn": ("dataset/", "objective/curve_surrogate.py"),
    "lightning": ("objective/lightning",),
    "optuna": ("searcher/optuna.py",),
    "moocore": ("pareto.py",),
    "matplotlib": ("report/",),
    "pandas": ("report/", "dataset/tabular.py"),
    "rich": ("report/",),
    "ray": ("executor/ray_cluster.py",),
    "jinja2": ("report/page/",),
}


def name_of(path: Path) -> str:
    """`hpo_pipeline/scheduler/asha.py` -> `scheduler.asha`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def layer(module: str) -> int | None:
    """The most specific entry of LAYERS that `module` falls under."""
    while module:
        for i, names in enumerate(LAYERS):
            if module in names:
                return i
        module = module.rpartition(".")[0]
    return None


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def import_statements(path: Path) -> list[ast.Import | ast.ImportFrom]:
    """All of a file, within functions too, but not those for type checking alone."""
    found, waiting = [], deque([parsed(path)])
    while waiting:
        node = waiting.popleft()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting.extend(node.orelse)
        else:
            waiting.extend(child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))
    return found


def imports(path: Path) -> Iterator[str]:
    """The absolute names of what a file imports."""
    for node in import_statements(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_down_only(path):
    name = name_of(path)
    if not name:
        return
    own = layer(name)
    assert own is not None, f"{name} has no layer: add it to LAYERS"
    for imported in imports(path):
        if imported.startswith("hpo_pipeline."):
            other = layer(imported.removeprefix("hpo_pipeline."))
            assert other is not None, imported
            assert other <= own, f"{name} imports {imported}, which stands above it"


def test_no_file_needs_itself():
    """Within functions too: no circle of imports, of whatever length."""
    files = {f"hpo_pipeline.{name_of(path)}".rstrip("."): path for path in FILES}
    needs = {name: _imported_files(path, files) - {name} for name, path in files.items()}
    while leaves := {name for name, needed in needs.items() if not needed & needs.keys()}:
        needs = {name: needed for name, needed in needs.items() if name not in leaves}
    assert not needs, f"files that need each other, or those that do: {sorted(needs)}"


def _imported_files(path: Path, files: Mapping[str, Path]) -> set[str]:
    """The files behind a file's imports: `from package import name` is the module of that name, where there is one."""
    found = set()
    for node in import_statements(path):
        if isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {module if module in files else node.module or "" for module in modules}
    return found & files.keys()


@pytest.mark.parametrize("library", DOORS)
def test_a_heavy_library_has_one_door(library):
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if any(name == library or name.startswith(f"{library}.") for name in imports(path))
    }
    assert {user for user in users if not user.startswith(DOORS[library])} == set()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_longer_than_350_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_is_unpickled_or_evaluated(path):
    calls = [(ast.unparse(node.func), node) for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    forbidden = {"eval", "exec", "compile", "pickle.load", "pickle.loads", "np.load", "np.random.seed"}
    assert not forbidden & {called for called, _ in calls}
    assert "pickle" not in set(imports(path))
    for called, node in calls:
        assert called != "torch.load" or "weights_only=True" in ast.unparse(node)


def test_composing_imports_neither_torch_nor_mlflow_nor_scipy():
    code = (
        "import sys; sys.argv = ['tune.py', '--cfg', 'job']\n"
        "from hpo_pipeline.config import tune\n"
        "tune()\n"
        "heavy = ('torch', 'mlflow', 'scipy', 'pandas', 'matplotlib', 'rich', 'sklearn')\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "[]\n")
    assert "search_space:" in ended.stdout
    assert list(Path().iterdir()) == []


def test_the_commands_are_installed():
    scripts = {script.name: script.value for script in importlib.metadata.entry_points(group="console_scripts")}
    assert scripts["hpo-tune"] == "hpo_pipeline.config:tune"
    assert scripts["hpo-train"] == "hpo_pipeline.config:train"
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert declared["hpo"] == "hpo_pipeline.commands:main"


def test_every_package_of_the_project_is_installed():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {f"hpo_pipeline.{path.parent.relative_to(PACKAGE)}".replace("/", ".") for path in PACKAGE.rglob("*/*.py")}
    assert listed == {"hpo_pipeline", "hpo_pipeline.conf", *there}


@pytest.mark.parametrize("group", ["model", "dataset", "searcher", "scheduler", "executor", "objective", "tracker"])
def test_every_option_has_a_module_of_its_name_in_the_package_of_its_group(group):
    import yaml

    for path in (ROOT / "conf" / group).glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        target = (content.get(group, content) or {"_target_": ""})["_target_"]
        if target.startswith("hpo_pipeline."):
            assert target.startswith(f"hpo_pipeline.{group}."), path
