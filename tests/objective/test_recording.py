"""Tables of recorded curves: what is read from CSV and npz files, and what is refused."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.objective.recording import Recording, read_table


def csv(text: str) -> Recording:
    Path("t.csv").write_text(text)
    return read_table(Path("t.csv"), "epoch", 1)


def npz(first: int = 1, **arrays: object) -> Recording:
    np.savez("t.npz", **arrays)
    return read_table(Path("t.npz"), "epoch", first)


def test_a_row_of_a_csv_file_goes_on_while_its_resource_grows():
    found = csv("lr,name,epoch,error\n0.1,a,1,0.5\n0.1,a,2,0.25\n0.1,b,1,0.75\n")
    assert found.columns["lr"] == [0.1, 0.1]
    assert found.columns["name"] == ["a", "b"]
    assert found.lengths.tolist() == [2, 1]
    assert found.curves["error"][0].tolist() == [0.5, 0.25]
    assert found.curves["error"][1, 0] == 0.75
    assert math.isnan(found.curves["error"][1, 1])


def test_a_column_trial_tells_rows_apart_whose_lines_are_mixed():
    found = csv("trial,lr,epoch,error\n7,0.1,1,1\n9,0.1,1,2\n7,0.1,2,3\n9,0.1,2,4\n")
    assert found.ids.tolist() == [7, 9]
    assert found.curves["error"].tolist() == [[1, 3], [2, 4]]


def test_between_recorded_resources_the_value_of_the_lower_one_holds():
    found = csv("lr,epoch,error\n0.1,2,0.5\n0.1,4,nan\n")
    assert [repr(x) for x in found.curves["error"][0].tolist()] == ["nan", "0.5", "0.5", "nan"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr,epochs,error\n1,1,1\n", "no column 'epoch' with the resource.*did you mean 'epochs'"),
        ("lr,epoch,error\n1,1.5,1\n", "line 2: the resource must be an integer"),
        ("lr,epoch,error\n1,1,1\n1,-1,1\n", "line 3: the resource"),
        ("lr,epoch,error\n1,1\n", "line 2 has not 3 values"),
        ("lr,epoch,error\n1,1,1,1\n", "line 2 has not 3 values"),
        ("lr,epoch,error\n", "no learning curve"),
        ("", "no column 'epoch'"),
        ("lr,epoch,error\n1,9999999,1\n" + "1,1,1\n" * 20, "count the resource in larger units"),
    ],
)
def test_a_csv_file_that_is_none_of_curves_is_refused_by_line(text: str, said: str):
    with pytest.raises(ConfigError, match=rf"file: t.csv: .*{said}"):
        csv(text)


def test_an_npz_file_holds_config_with_names_and_a_curve_for_each_metric():
    curves = np.arange(6.0).reshape(2, 3)
    found = npz(config=np.array([[1.0, 0.9], [2.0, 0.5]]), names=np.array(["lr", "beta"]), valid=curves, cost=[5, 6])
    assert found.column("params.lr") == [1.0, 2.0]
    assert found.column("params.x", "1 - beta") == [pytest.approx(0.1), 0.5]
    assert found.column("cost") == [5, 6]
    assert found.curves["valid"].tolist() == curves.tolist()
    assert found.lengths.tolist() == [3, 3]


@pytest.mark.parametrize(("first", "expected"), [(0, [1.0, 2.0]), (1, [0.0, 1.0, 2.0]), (2, [math.nan, 0.0, 1.0, 2.0])])
def test_the_first_value_of_an_npz_curve_is_at_the_resource_that_was_named(first: int, expected: list[float]):
    found = npz(first, lr=[1.0], error=[[0.0, 1.0, 2.0]]).curves["error"][0].tolist()
    assert list(map(repr, found)) == list(map(repr, expected))


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("ran"),)


def test_an_npz_file_with_objects_in_it_is_refused_and_nothing_of_it_runs():
    with pytest.raises(ConfigError, match="no npz file of plain arrays"):
        npz(error=np.array([[Bomb()]], dtype=object))
    Path("u.npz").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ConfigError, match="no npz file of plain arrays"):
        read_table(Path("u.npz"), "epoch", 1)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"lr": [1.0], "error": [[1.0], [2.0]]}, "unlike numbers of rows: lr 1, error 2"),
        ({"a": [[1.0]], "b": [[1.0, 2.0]]}, "unlike length"),
        ({"config": [[1.0]], "names": ["a", "b"], "error": [[1.0]]}, r"\(n, k\) and \(k,\) are needed"),
        ({"lr": [1.0]}, "no learning curve"),
    ],
)
def test_an_npz_file_whose_arrays_do_not_go_together_is_refused(arrays: dict[str, object], said: str):
    with pytest.raises(ConfigError, match=said):
        npz(**arrays)


@pytest.mark.parametrize(("name", "said"), [("no.csv", "can't be read"), ("x.txt", r"must end in .csv or .npz")])
def test_a_file_that_is_not_there_or_of_another_kind_is_refused(name: str, said: str):
    with pytest.raises(ConfigError, match=said):
        read_table(Path(name), "epoch", 1)


def test_a_column_that_is_not_there_is_told_with_the_nearest_name():
    found = npz(learning_rate=[1.0], error=[[1.0]])
    with pytest.raises(ConfigError, match=r"columns.params.lr: .*'learning_rat'.*did you mean 'learning_rate'"):
        found.column("params.lr", "learning_rat")
    with pytest.raises(ConfigError, match=r"nothing is recorded for params.learningrate.*did you mean 'learning_rate'"):
        found.column("params.learningrate")
