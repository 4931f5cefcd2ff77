"""What comes from the environment, and passwords, are in no file, no printed line and nothing that MLflow gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import FREE, FUNCTION, Ended, compose, run

from hpo_pipeline.config.public import mask

SECRET = "s3cr3t-value"
QUICK = (*FREE, "n_trials=1", "name=s")


def nowhere(ended: Ended) -> None:
    assert SECRET not in ended.out + ended.err
    for path in Path().rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    "override",
    [
        "dataset.root=${oc.env:TOKEN}",
        "dataset.root=/data/${oc.env:TOKEN}/x",
        "+dataset.nested={a: [1, '${oc.env:TOKEN}']}",
        "dataset.root='${oc.decode:${oc.env:TOKEN}}'",
        "dataset.root='${oc.env:UNSET,${oc.env:TOKEN}}'",
        "tracker.uri=postgresql://me:${oc.env:TOKEN}@host/db",
        f"tracker.uri=postgresql://me:{SECRET}@host/db",
        f"dataset.root=https://{SECRET}-{SECRET}@host/x",
    ],
)
def test_a_secret_is_used_and_shown_nowhere(override, monkeypatch):
    monkeypatch.setenv("TOKEN", SECRET)
    assert SECRET in str(compose(*FREE, override).config)
    assert SECRET not in str(compose(*FREE, override).public)
    ended = run(*QUICK, override)
    assert ended.code == 0, ended.err
    nowhere(ended)
    refused = run(*QUICK, override, "n_trails=3")
    assert refused.code == 2
    assert SECRET not in refused.err


def test_what_refers_to_a_secret_is_one_too(monkeypatch):
    monkeypatch.setenv("TOKEN", SECRET)
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/e.yaml").write_text(
        "# @package _global_\ndataset: {root: '${oc.env:TOKEN}'}\nmodel: {activation: '${dataset.root}'}\n"
    )
    composed = compose("hydra.searchpath=[file://mine]", "experiment=e")
    assert composed.config["model"]["activation"] == SECRET
    assert composed.public["model"]["activation"] == "${dataset.root}"


def test_a_saved_config_asks_the_environment_again(monkeypatch):
    monkeypatch.setenv("RATE", "0.25")
    study = (*QUICK, "optimizer.eps='${oc.decode:${oc.env:RATE}}'")
    assert run(*study).code == 0
    assert "eps: ${oc.decode:${oc.env:RATE}}" in Path("runs/s/config.yaml").read_text()
    assert "${oc.decode:${oc.env:RATE}}" in run(*study, "resume=true", "n_trials=2").out
    monkeypatch.delenv("RATE")
    ended = run("name=s", "resume=true", "n_trials=3")
    assert ended.code == 2
    assert ended.err.splitlines()[1].startswith("  optimizer.eps: the environment variable RATE is not set; ")


@pytest.mark.parametrize("program", ["tune", "train"])
def test_a_variable_that_is_not_set_is_one_line(program):
    words = FREE if program == "tune" else (*FUNCTION, "tracker=none")
    ended = run(*words, "dataset.root=${oc.env:NOT_SET_AT_ALL}", program=program)
    assert ended.code == 2
    assert ended.err.splitlines() == [
        "1 problem in the configuration:",
        "  dataset.root: the environment variable NOT_SET_AT_ALL is not set; set it, or write a default: "
        "${oc.env:NOT_SET_AT_ALL,…}",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:pw@host/db", "postgresql://me:${oc.env:HPO_PASSWORD}@host/db"),
        ("a http://u:p%40w@h:80/x and mysql+pymysql://a:b@c", None),
        ("postgresql://me:${oc.env:PW}@host/db", "postgresql://me:${oc.env:PW}@host/db"),
        ("sqlite:///runs/a:b@c.db", "sqlite:///runs/a:b@c.db"),
        ("http://host:5000", "http://host:5000"),
        ("http://host/db?user=me&password=pw&x=1", "http://host/db?user=me&password=${oc.env:HPO_PASSWORD}&x=1"),
    ],
)
def test_passwords_in_uris_are_masked(text, expected):
    if expected is None:
        assert "p%40w" not in mask(text)
        assert ":b@" not in mask(text)
    else:
        assert mask(text) == expected
