"""The geometry of charts: whole numbers in, coordinates out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.charts import SIZES, Bucket, bar_chart, line_chart, money_line, nice_ceiling


def buckets(*values: int) -> list[Bucket]:
    return [Bucket(f"day {index}", value, f"€{value}") for index, value in enumerate(values)]


@given(st.integers(min_value=0, max_value=10**15))
def test_the_axis_covers_every_value_with_few_steps(value: int) -> None:
    top, step = nice_ceiling(value)
    assert top >= value
    assert step >= 1
    assert top % step == 0
    assert 2 <= top // step <= 5


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, (4, 1)), (1, (2, 1)), (4, (4, 1)), (99, (100, 25)), (110525, (150000, 50000))],
)
def test_the_axis_ends_on_round_figures(value: int, expected: tuple[int, int]) -> None:
    assert nice_ceiling(value) == expected


def test_the_highest_value_stands_highest_and_zero_on_the_axis() -> None:
    plot = line_chart(buckets(0, 50, 100), title="T", series_name="S", axis_text=str).plots[0]
    heights = [float(point.y) for point in plot.points]
    assert heights[0] == plot.bottom
    assert heights[0] > heights[1] > heights[2] == plot.top


def test_every_point_and_tip_stays_inside_the_drawing() -> None:
    chart = line_chart(buckets(*range(0, 9000, 97)), title="T", series_name="S", axis_text=str)
    for plot in chart.plots:
        for point in plot.points:
            assert 0 <= float(point.x) <= plot.width
            assert 0 <= float(point.y) <= plot.height
            assert float(point.tip_x) >= 0
            assert float(point.tip_x) + point.tip_width <= plot.width
            assert float(point.tip_y) >= 0


def test_the_line_has_one_place_for_each_bucket_and_the_area_closes_on_the_axis() -> None:
    plot = line_chart(buckets(1, 2, 3, 4), title="T", series_name="S", axis_text=str).plots[0]
    assert len(re.findall("[ML]", plot.line_path)) == 4
    assert plot.area_path.endswith("Z")
    assert f"V{plot.bottom}" in plot.area_path


def test_bars_reach_the_axis_and_nothing_has_no_bar() -> None:
    plot = bar_chart(buckets(0, 7), title="T", series_name="S", axis_text=str).plots[0]
    empty, full = plot.points
    assert empty.bar_height == ""
    assert float(full.y) + float(full.bar_height) == pytest.approx(plot.bottom, abs=0.11)


def test_a_chart_of_nothing_has_one_line_and_says_so() -> None:
    chart = line_chart([], title="T", series_name="S", axis_text=str)
    assert chart.summary == "No figures yet."
    for plot in chart.plots:
        assert [tick.label for tick in plot.y_ticks] == ["0"]
        assert plot.line_path == ""


def test_the_period_before_counts_for_the_axis() -> None:
    rows = [Bucket("a", 10, "10", previous=1000, previous_text="1000")]
    chart = line_chart(rows, title="T", series_name="S", axis_text=str, previous_name="before")
    assert chart.plots[0].y_ticks[-1].label == "1000"
    assert chart.plots[0].previous_path.startswith("M")


def test_there_is_a_drawing_for_each_width_with_ids_of_its_own() -> None:
    chart = line_chart(buckets(1), title="Gross volume", series_name="S", axis_text=str)
    assert [plot.name for plot in chart.plots] == list(SIZES)
    assert len({plot.gradient_id for plot in chart.plots}) == len(SIZES)


def test_a_line_below_zero_keeps_its_zero_in_sight() -> None:
    chart = line_chart(buckets(-150, 400), title="T", series_name="S", axis_text=str)
    plot = chart.plots[0]
    assert [tick.label for tick in plot.y_ticks] == [
        "-200",
        "-100",
        "0",
        "100",
        "200",
        "300",
        "400",
    ]
    zero = next(tick for tick in plot.y_ticks if tick.zero)
    assert plot.area_path.split("V")[1].startswith(zero.at + "H")
    assert float(plot.points[0].y) > float(zero.at) > float(plot.points[1].y)
    only = line_chart(buckets(-7, -3), title="T", series_name="S", axis_text=str).plots[0]
    assert only.y_ticks[-1].zero


def test_bars_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="from zero upwards"):
        bar_chart(buckets(-1), title="T", series_name="S", axis_text=str)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ((100, 200), ["$0.00", "$0.50", "$1.00", "$1.50", "$2.00"]),
        ((0, 40000), ["$0", "$100", "$200", "$300", "$400"]),
        ((0, 0), ["$0"]),
    ],
)
def test_the_labels_of_an_axis_are_written_alike(
    values: tuple[int, ...], labels: list[str]
) -> None:
    plot = money_line(buckets(*values), "USD", title="T", series_name="S").plots[0]
    assert [tick.label for tick in plot.y_ticks] == labels
