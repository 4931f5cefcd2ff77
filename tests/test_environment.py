"""What a study ran with: git's commit, read without running git; versions; nothing that is nobody's business."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from hpo_pipeline.environment import environment, git_commit, keep_environment

IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"} | {
    f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


def git(*words: str, folder: str = ".") -> str:
    done = subprocess.run(
        ["git", "-C", folder, *words], capture_output=True, text=True, check=True, env={**os.environ, **IDENTITY}
    )
    return done.stdout.strip()


def test_the_commit_is_what_git_says_on_a_branch_packed_detached_and_in_a_worktree():
    git("init", "-q", "repository")
    for number in range(2):
        git("commit", "-q", "--allow-empty", "-m", f"{number}", folder="repository")
    Path("repository/below/deep").mkdir(parents=True)
    assert git_commit(Path("repository/below/deep")) == git("rev-parse", "HEAD", folder="repository")
    git("pack-refs", "--all", folder="repository")
    assert git_commit(Path("repository")) == git("rev-parse", "HEAD", folder="repository")
    git("worktree", "add", "-q", "../other", "HEAD~1", folder="repository")
    assert git_commit(Path("other")) == git("rev-parse", "HEAD~1", folder="repository")
    git("checkout", "-q", "--detach", "HEAD~1", folder="repository")
    assert git_commit(Path("repository")) == git("rev-parse", "HEAD", folder="repository")


@pytest.mark.parametrize(
    "head", ["", "ref: refs/../../secret", "ref: /etc/passwd", "ref: HEAD", "x" * 40, "\0", "ref:"]
)
def test_a_strangers_repository_leads_nowhere(head):
    Path(".git").mkdir()
    Path(".git/HEAD").write_text(head)
    Path("secret").write_text("0" * 40)
    assert git_commit(Path()) is None


def test_the_file_has_an_entry_for_each_session_that_had_something_else(monkeypatch):
    Path("study").mkdir()
    keep_environment(Path("study"))
    keep_environment(Path("study"))
    (entry,) = yaml.safe_load(Path("study/environment.yaml").read_text())
    assert entry == environment()
    assert {"hpo_pipeline", "python", "torch", "numpy", "mlflow"} <= entry.keys()
    monkeypatch.setattr("platform.python_version", lambda: "9.9")
    keep_environment(Path("study"))
    assert [entry["python"] for entry in yaml.safe_load(Path("study/environment.yaml").read_text())][1:] == ["9.9"]


def test_no_environment_variable_is_in_it(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "tell-nobody")
    assert "tell-nobody" not in str(environment())
    assert str(Path.home()) not in str(environment())
