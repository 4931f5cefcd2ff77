"""Tracking URIs: what may be shown of them, and nothing else."""

from __future__ import annotations

import pytest

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.tracker.mlflow import MLflowTracker
from hpo_pipeline.tracker.mlflow import uri as uris
from hpo_pipeline.tracker.mlflow.links import how_to_look


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://user:secret@host/db", "postgresql://user:***@host/db"),
        ("postgresql+psycopg2://user:secret@host:5432/db", "postgresql+psycopg2://user:***@host:5432/db"),
        ("postgresql://user:se%40cr%2Fet@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:secret@secret@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:secret/secret@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:secret?secret@host/db", "postgresql://user:***@host/db"),
        ("postgresql://user:secret@host/db?sslmode=require", "postgresql://user:***@host/db?sslmode=require"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        ("postgresql:///db?user=me&password=secret", "postgresql:///db?user=***&password=***"),
        ("mysql+pymysql://host/db?ssl_key=secret&charset=utf8", "mysql+pymysql://host/db?ssl_key=***&charset=utf8"),
        ("mssql+pyodbc:///?odbc_connect=PWD%3Dsecret", "mssql+pyodbc:///?odbc_connect=***"),
        ("https://user:secret@host/mlflow", "https://***@host/mlflow"),
        ("https://secret@host", "https://***@host"),
        ("https://host/?token=secret", "https://host/?token=***"),
        ("https://host:5000/a@b", "https://host:5000/a@b"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("postgresql:///db?user=me&password=se@cret", "postgresql:///db?user=***&password=***"),
        ("postgresql://host/db?password=se@cret", "postgresql://host/db?password=***"),
        ("user:secret@host/db", "user:***@host/db"),
        ("mlflow.db", "mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_passwords_and_tokens_are_masked_wherever_they_stand(uri: str, shown: str):
    assert uris.shown(uri) == shown
    assert uris.shown(shown) == shown


@pytest.mark.parametrize("password", ["s3cret", "s3cr@t", "s3/cret:x", "p%40ss%2Fword", "s3cret?x=y", "pä ss+word"])
@pytest.mark.parametrize("start", ["postgresql://user", "https://user"])
def test_no_form_of_a_password_is_left_in_an_error(start: str, password: str):
    from urllib.parse import quote, quote_plus, unquote

    uri = f"{start}:{password}@host/db"
    plain = unquote(password)
    for form in (uri, password, plain, quote(plain, safe=""), quote_plus(plain, safe="")):
        told = uris.masked(f'could not open "{form}": refused', uri)
        assert form not in told
        assert plain not in told
        assert told.startswith('could not open "')


def test_what_a_driver_takes_for_the_host_is_masked_too():
    told = uris.masked('could not translate host name "word@host"', "postgresql://user:pass@word@host/db")
    assert "word" not in told


def test_credentials_of_the_environment_are_masked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken-of-mine")
    assert uris.masked("Bearer t0ken-of-mine", "https://host") == "Bearer ***"


def test_a_short_password_spoils_no_other_words():
    assert uris.masked("as it was: a", "postgresql://user:a@host/db") == "as it was: ***"


def test_a_masked_uri_is_completed_from_the_environment_or_refused(monkeypatch: pytest.MonkeyPatch):
    masked = "postgresql://user:***@host/db"
    with pytest.raises(ConfigError, match=r"^uri: .*lacks its password.*MLFLOW_TRACKING_URI"):
        MLflowTracker(masked)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://other:pw@host/db")
    with pytest.raises(ConfigError, match="lacks its password"):
        MLflowTracker(masked)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:secret@host/db")
    assert MLflowTracker(masked).uri == "postgresql://user:secret@host/db"


@pytest.mark.parametrize("uri", ["user:secret@host/db", "postgres://user:secret@host/db", "//user:secret@host/db"])
def test_a_wrong_uri_is_refused_without_its_password(uri: str):
    with pytest.raises(ConfigError) as error:
        MLflowTracker(uri)
    assert "secret" not in str(error.value)


def test_how_to_look_runs_as_printed_and_tells_no_secret():
    routes = {"table": "#/x", "charts": "#/y"}
    told = how_to_look("https://user:secret@host/", "e", routes)
    assert told == "MLflow:\n  table   https://host/#/x\n  charts  https://host/#/y"
    told = how_to_look("postgresql://user:secret@host/db", "e", routes)
    assert '--backend-store-uri "$MLFLOW_TRACKING_URI"' in told
    assert "secret" not in told
