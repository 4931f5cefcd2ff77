"""What a study ran with: the git commit of the working folder, and the versions of the main packages.

Kept in runs/<name>/environment.yaml, one entry for each session that had something else than the one before. Nothing of
the environment's variables, the user or the machine's network is in it.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpo_pipeline import __version__
from hpo_pipeline.atomic import write_text

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "mlflow", "hydra-core", "omegaconf")
_FARTHEST = 5
"""References that refer to references."""
_MOST = 1 << 20
"""Characters of a file of git's."""


def environment(folder: Path | None = None) -> dict[str, Any]:
    """Of this process, as it may be shown to anybody; `folder` is where the code is, the working folder if None."""
    return {
        "hpo_pipeline": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "git_commit": git_commit(folder or Path()),
        **{name: version for name in PACKAGES if (version := _version(name))},
    }


def keep_environment(folder: Path) -> None:
    """Adds this session's environment to the study's, if it is another than that of the session before."""
    entry = "\n".join(f"  {key}: {json.dumps(value)}" for key, value in environment().items())
    path, text = folder / "environment.yaml", f"- {entry.lstrip()}\n"
    before = _text(path) if path.is_file() else ""
    if not before.endswith(text):
        write_text(path, before + text)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_commit(folder: Path) -> str | None:
    """The commit that is checked out in the repository around a folder; None where there is none.

    git's files are read here: git itself runs programs that a repository names, which may be a stranger's.
    """
    try:
        found = next((above / ".git" for above in _upwards(folder) if (above / ".git").exists()), None)
        if found is None:
            return None
        git = found
        if found.is_file():  # of a worktree or a submodule: gitdir: /path
            git = found.parent / _text(found).removeprefix("gitdir:").strip()
        shared = git / "commondir"
        return _commit(git, git / _text(shared).strip() if shared.is_file() else git, "HEAD", _FARTHEST)
    except (OSError, ValueError):
        return None


def _upwards(folder: Path) -> Iterator[Path]:
    whole = folder.absolute()
    yield from (whole, *whole.parents)


def _commit(git: Path, shared: Path, name: str, left: int) -> str | None:
    """What a reference comes to: HEAD -> refs/heads/main -> a commit."""
    if not left or not re.fullmatch(r"HEAD|refs/[\w./-]+", name) or ".." in name:
        return None
    for path in dict.fromkeys((git / name, shared / name)):
        if path.is_file():
            text = _text(path).strip()
            if text.startswith("ref:"):
                return _commit(git, shared, text.removeprefix("ref:").strip(), left - 1)
            return text if _is_commit(text) else None
    packed = shared / "packed-refs"
    lines = _text(packed).splitlines() if packed.is_file() else []
    found = next((line.partition(" ")[0] for line in lines if line.partition(" ")[2] == name), "")
    return found if _is_commit(found) else None


def _is_commit(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None


def _text(path: Path) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read(_MOST)
