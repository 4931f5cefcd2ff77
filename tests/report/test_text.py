"""Values, metrics, durations and paths as they are shown."""

from __future__ import annotations

import pytest

from hpo_pipeline.report.text import duration, metric_text, short, short_names


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00312345, "0.00312"),
        (512.0, "512"),
        (1234.0, "1234"),
        (7, "7"),
        (True, "true"),
        ("relu", "relu"),
        (None, "–"),
    ],
)
def test_values_are_shown_with_three_significant_digits(value: object, text: str) -> None:
    assert short(value) == text  # type: ignore[arg-type]


def test_metrics_are_shown_with_four_digits_and_durations_as_clock_times() -> None:
    assert [metric_text(v) for v in (0.1, 1234.0, float("nan"), None)] == ["0.1000", "1234", "nan", "–"]
    assert [metric_text(v) for v in (-31249.6, 1e6, 2e9)] == ["-31250", "1000000", "2.000e+09"]
    assert [duration(v) for v in (7.25, 245, 7445)] == ["7.2 s", "4:05", "2:04:05"]


def test_paths_are_shortened_unless_two_would_look_alike() -> None:
    assert short_names(["optimizer.lr", "head.lr", "model.width"]) == {
        "optimizer.lr": "optimizer.lr",
        "head.lr": "head.lr",
        "model.width": "width",
    }
