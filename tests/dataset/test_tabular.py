"""Tables: what is standardised, encoded, filled and refused, by hand counts."""

import numpy as np
import pandas as pd
import pytest
import torch

from hpo_pipeline.dataset import checks
from hpo_pipeline.dataset.tabular import Tabular
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError, StudyError


def houses(n=100):
    """Rows 0 … n-1: the price is the row's number."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "area": rng.normal(50, 10, n),
            "rooms": np.arange(n) % 4,
            "town": [("Ulm", "Bonn", "Graz")[i % 3] for i in range(n)],
            "garden": [i % 2 == 0 for i in range(n)],
            "flat": 7.0,
            "price": np.arange(n, dtype=float),
        }
    )


def written(folder, table, name="houses.csv"):
    path = folder / name
    table.to_parquet(path) if name.endswith("parquet") else table.to_csv(path, index=False)
    return str(path)


def test_numbers_are_standardised_by_the_training_rows_alone_and_categories_become_columns(tmp_path):
    table = houses()
    splits = checks.load(Tabular(written(tmp_path, table), "price", task="regression"))
    assert splits.task == Task("regression", 1)
    assert [len(part) for part in (splits.x_train, splits.x_validation)] == [70, 20]
    assert splits.y_train.shape == (70, 1)
    rows = splits.y_train[:, 0].long().numpy()  # the price is the row's number
    train = table.iloc[rows]
    numeric = train[["area", "rooms"]]
    expected = (numeric - numeric.mean()) / numeric.std(ddof=0)
    np.testing.assert_allclose(splits.x_train[:, :2], expected, atol=1e-5)
    assert torch.equal(splits.x_train[:, 2], torch.zeros(70))  # never varies
    held = table.iloc[splits.y_validation[:, 0].long().numpy()]
    expected = (held[["area", "rooms"]] - numeric.mean()) / numeric.std(ddof=0)
    np.testing.assert_allclose(splits.x_validation[:, :2], expected, atol=1e-5)
    towns = splits.x_validation[:, 3:6]  # Bonn, Graz, Ulm
    assert (towns.sum(1) == 1).all()
    assert [("Bonn", "Graz", "Ulm")[i] for i in towns.argmax(1)] == held["town"].tolist()
    gardens = splits.x_validation[:, 6:]  # False, True
    assert [bool(i) for i in gardens.argmax(1)] == held["garden"].tolist()
    assert splits.x_train.shape[1] == 8


def test_every_row_is_in_one_part_and_each_class_has_its_share(tmp_path):
    table = houses(200).assign(kind=lambda t: np.where(t["price"] < 40, "small", "large"))
    dataset = Tabular(written(tmp_path, table), "kind", validation=0.25, test=0.25, leave_out=["town"])
    splits = checks.load(dataset)
    x_test, y_test = checks.load_test(dataset, splits)
    assert splits.task == Task("classification", 2)
    parts = [splits.y_train, splits.y_validation, y_test]
    assert [len(y) for y in parts] == [100, 50, 50]
    assert [int((y == 1).sum()) for y in parts] == [20, 10, 10]  # "large" is 0, "small" 1
    assert x_test.shape[1] == splits.x_train.shape[1] == 4 + 2
    again = checks.load(Tabular(written(tmp_path, table), "kind", validation=0.25, test=0.25, leave_out=["town"]))
    assert torch.equal(again.x_train, splits.x_train)
    other = Tabular(written(tmp_path, table), "kind", validation=0.25, test=0.25, leave_out=["town"], split_seed=1)
    assert not torch.equal(checks.load(other).x_train, splits.x_train)


def test_parquet_is_read_as_csv_is(tmp_path):
    pytest.importorskip("pyarrow", reason="pandas reads Parquet with pyarrow, which is not installed")
    tables = [Tabular(written(tmp_path, houses(), f"t.{kind}"), "price", "regression") for kind in ("csv", "parquet")]
    assert torch.equal(*(table.load().x_train for table in tables))


def test_several_numbers_can_be_predicted_and_columns_chosen(tmp_path):
    path = written(tmp_path, houses())
    splits = Tabular(path, ["price", "area"], "regression", numeric=["flat"], categorical=["rooms"]).load()
    assert splits.task == Task("regression", 2)
    assert splits.y_train.shape == (70, 2)
    assert splits.x_train.shape == (70, 1 + 4)


def test_missing_values_are_told_dropped_or_filled(tmp_path):
    table = houses()
    table.loc[[3, 4], "area"] = np.nan
    table.loc[[4, 5], "town"] = None
    table.loc[6, "price"] = np.nan
    table.loc[7, "area"] = np.inf
    path = written(tmp_path, table)
    with pytest.raises(StudyError) as error:
        Tabular(path, "price", "regression").available()
    told = "houses.csv: values are missing in price (1), area (3), town (2); set dataset.missing to drop (leaves out"
    assert str(error.value).startswith(told)
    parts = Tabular(path, "price", "regression", missing="drop")._parts()[0]
    assert sum(len(y) for _, y in parts.values()) == 95
    parts = Tabular(path, "price", "regression", missing="fill")._parts()[0]
    x, y = (torch.cat([part[i] for part in parts.values()]) for i in (0, 1))
    assert len(y) == 99
    for row in (3, 4, 7):
        assert x[y[:, 0] == row][0, 0] == 0  # the mean
    for row in (4, 5):
        assert x[y[:, 0] == row][0, 3:6].sum() == 0  # none of the towns


def test_a_category_that_only_other_rows_have_is_none_of_those_known(tmp_path):
    table = houses().assign(town="Ulm")
    path = written(tmp_path, table)
    held = int(Tabular(path, "price", "regression").load().y_validation[0, 0])
    table.loc[held, "town"] = "Rome"
    splits = Tabular(written(tmp_path, table), "price", "regression").load()
    assert splits.x_train.shape[1] == 3 + 1 + 2
    row = splits.x_validation[splits.y_validation[:, 0] == held][0]
    assert row[3] == 0


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"target": "prize"}, "dataset.target: houses.csv has no column 'prize'; did you mean 'price'?"),
        (
            {"target": "price", "numeric": ["arae"]},
            "dataset.numeric: houses.csv has no column 'arae'; did you mean 'ar",
        ),
        ({"target": "price", "numeric": ["price"]}, "dataset.numeric: the column 'price' is named twice"),
        ({"target": "price", "numeric": ["town"]}, "dataset.numeric: the column 'town' holds no numbers"),
        ({"target": "town", "task": "regression"}, "dataset.target: the column 'town' holds no numbers"),
        ({"target": "price", "numeric": [], "categorical": []}, "dataset.numeric: there is no column left"),
    ],
)
def test_columns_that_are_wrong_are_said_by_name(tmp_path, arguments, what):
    with pytest.raises(ConfigError) as error:
        Tabular(written(tmp_path, houses()), **{"task": "regression", **arguments}).available()
    assert str(error.value.problems[0]).startswith(what)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"path": "x.xlsx"}, "path"),
        ({"path": "https://example.org/x"}, "path"),
        ({"task": "multilabel"}, "task"),
        ({"missing": "guess"}, "missing"),
        ({"validation": 0}, "validation"),
        ({"validation": 0.6, "test": 0.4}, "validation"),
        ({"target": ["a", "b"]}, "target"),
        ({"target": []}, "target"),
        ({"numeric": "area"}, "numeric"),
        ({"split_seed": -1}, "split_seed"),
    ],
)
def test_arguments_that_are_wrong_are_refused(arguments, path):
    with pytest.raises(ConfigError) as error:
        Tabular(**{"path": "x.csv", "target": "y", **arguments})
    assert [problem.path for problem in error.value.problems] == [path]


def test_files_that_are_no_tables_are_refused(tmp_path):
    for name, content in (("a.csv", b""), ("b.parquet", b"PAR"), ("c.csv", b'"a\n1,2\n')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StudyError, match=rf"{name}: can't be read as a table"):
            Tabular(str(tmp_path / name), "y").available()
    with pytest.raises(StudyError, match=r"no such file; set dataset\.path"):
        Tabular(str(tmp_path / "gone.csv"), "y").available()


def test_a_table_that_can_not_be_split_or_has_one_class_is_refused(tmp_path):
    table = houses(4)
    with pytest.raises(StudyError, match="4 rows are too few, none is left for test"):
        Tabular(written(tmp_path, table), "price", "regression").load()
    with pytest.raises(StudyError, match=r"all rows are of one class, flat = 7\.0"):
        Tabular(written(tmp_path, table), "flat").load()
    ids = pd.DataFrame({"id": [f"n{i}" for i in range(1500)], "y": np.arange(1500)})
    with pytest.raises(ConfigError, match="the column 'id' has 1500 categories; leave it out"):
        Tabular(written(tmp_path, ids), "y", "regression").load()
