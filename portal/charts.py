"""Charts as geometry: figures in, coordinates out; templates/components/chart.html draws them.

Everything is computed in whole numbers. Coordinates are tenths of a pixel on the way and are
written as decimals at the end, so that an amount in minor units is never turned into a float.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from core.money import currency as known_currency
from core.money import format_money

Kind = Literal["line", "bar"]

# Three drawings of each chart: type in an SVG grows and shrinks with it, so each width has its own.
SIZES = {"wide": (880, 236, 7), "mid": (520, 210, 5), "narrow": (340, 190, 3)}
TOP_PX = 12
BOTTOM_PX = 26
RIGHT_PX = 8
CHAR_PX = 7
TIP_HEIGHT_PX = 40


_NO_CENTS = re.compile(r"\.0+(?!\d)")


@dataclass(frozen=True, slots=True)
class Bucket:
    """One place on the time axis: a value in minor units (or a count), and how people write it."""

    label: str
    value: int
    text: str
    previous: int | None = None
    previous_text: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: `at` is its place, `text_at` the baseline of its label."""

    at: str
    label: str
    text_at: str = ""
    anchor: str = "middle"
    zero: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """One bucket as drawn, with the box that shows its figure when the pointer is over it."""

    x: str
    y: str
    label: str
    text: str
    hit_x: str
    hit_width: str
    tip_x: str
    tip_y: str
    tip_width: int
    tip_text_x: str
    tip_label_y: str
    tip_value_y: str
    bar_x: str = ""
    bar_width: str = ""
    bar_height: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """One drawing of a chart at one size."""

    name: str
    width: int
    height: int
    left: str
    right: str
    top: int
    bottom: int
    plot_height: int
    tick_x: str
    x_text_at: int
    gradient_id: str
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    points: tuple[Mark, ...]
    line_path: str = ""
    area_path: str = ""
    previous_path: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with everything that its template needs, the table beside it included."""

    title: str
    summary: str
    label_name: str
    series_name: str
    previous_name: str
    rows: tuple[Bucket, ...]
    plots: tuple[Plot, ...]


def nice_ceiling(value: int) -> tuple[int, int]:
    """The axis for figures up to `value`: (top, step), a round step taken two to five times.

    Both are at least 1, so that a chart of nothing still has an axis.
    """
    if value <= 0:
        return 4, 1
    scale = 10 ** max(len(str(value)) - 2, 0)
    candidates = [scale * factor // 2 or 1 for factor in (1, 2, 4, 5, 10, 20, 40, 50, 100)]
    step = next((step for step in candidates if value <= step * 4), candidates[-1])
    steps = -(-value // step)
    return step * max(steps, 2), step


def line_chart(
    buckets: Sequence[Bucket],
    *,
    title: str,
    series_name: str,
    axis_text: Callable[[int], str],
    label_name: str = "Day",
    previous_name: str = "",
) -> Chart:
    """A line over time with its area; with `previous_name` also the period before, dashed."""
    return _chart("line", buckets, title, series_name, axis_text, label_name, previous_name)


def money_line(
    buckets: Sequence[Bucket],
    currency: str,
    *,
    title: str,
    series_name: str,
    previous_name: str = "",
) -> Chart:
    """A line of amounts in minor units. All labels of an axis have decimals, or none has."""
    unit = 10 ** known_currency(currency).exponent
    values = [value for row in buckets for value in (row.value, row.previous or 0)]
    _, step = nice_ceiling(max(map(abs, values), default=0))
    whole = not any(values) or step % unit == 0

    def axis_text(amount_minor: int) -> str:
        text = format_money(amount_minor, currency).replace("-", "−")
        return _NO_CENTS.sub("", text) if whole else text

    return line_chart(
        buckets,
        title=title,
        series_name=series_name,
        axis_text=axis_text,
        previous_name=previous_name,
    )


def bar_chart(
    buckets: Sequence[Bucket],
    *,
    title: str,
    series_name: str,
    axis_text: Callable[[int], str],
    label_name: str = "Day",
) -> Chart:
    """One bar for each bucket."""
    return _chart("bar", buckets, title, series_name, axis_text, label_name, "")


def _chart(
    kind: Kind,
    buckets: Sequence[Bucket],
    title: str,
    series_name: str,
    axis_text: Callable[[int], str],
    label_name: str,
    previous_name: str,
) -> Chart:
    if kind == "bar" and any(bucket.value < 0 for bucket in buckets):
        raise ValueError("bars are drawn from zero upwards; show a negative balance as a line")
    rows = tuple(buckets)
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return Chart(
        title=title,
        summary=_summary(rows),
        label_name=label_name,
        series_name=series_name,
        previous_name=previous_name,
        rows=rows,
        plots=tuple(
            _plot(kind, name, rows, axis_text, f"{slug}-{name}", compare=bool(previous_name))
            for name in SIZES
        ),
    )


def _summary(rows: tuple[Bucket, ...]) -> str:
    """What a chart says, in one sentence, for those who hear it."""
    if not any(row.value for row in rows):
        return "No figures yet."
    top = max(rows, key=lambda bucket: bucket.value)
    return f"{rows[0].label} to {rows[-1].label}; highest on {top.label} with {top.text}."


def _px(tenths: int) -> str:
    """Tenths of a pixel as an SVG number."""
    sign = "-" if tenths < 0 else ""
    whole, rest = divmod(abs(tenths), 10)
    return f"{sign}{whole}.{rest}" if rest else f"{sign}{whole}"


def _plot(
    kind: Kind,
    name: str,
    rows: tuple[Bucket, ...],
    axis_text: Callable[[int], str],
    slug: str,
    *,
    compare: bool,
) -> Plot:
    width, height, max_x_ticks = SIZES[name]
    floor_value, top_value, step = _span(rows)
    empty = not any(row.value or row.previous for row in rows)
    marks = [0] if empty else list(range(floor_value, top_value + 1, step))
    labels = [axis_text(value) for value in marks]
    left = 10 * (max(len(label) for label in labels) * CHAR_PX + 10)
    right = 10 * (width - RIGHT_PX)
    bottom = 10 * (height - BOTTOM_PX)
    plot_height = bottom - 10 * TOP_PX

    def y_of(value: int) -> int:
        return bottom - (value - floor_value) * plot_height // (top_value - floor_value)

    slot = (right - left) // max(len(rows), 1)
    centres = [left + slot * index + slot // 2 for index in range(len(rows))]
    line = [(x, y_of(row.value)) for x, row in zip(centres, rows, strict=True)]
    before = [
        (x, y_of(row.previous))
        for x, row in zip(centres, rows, strict=True)
        if row.previous is not None
    ]
    line_path = _path(line) if kind == "line" else ""
    return Plot(
        name=name,
        width=width,
        height=height,
        left=_px(left),
        right=_px(right),
        top=TOP_PX,
        bottom=height - BOTTOM_PX,
        plot_height=height - BOTTOM_PX - TOP_PX,
        tick_x=_px(left - 80),
        x_text_at=height - 6,
        gradient_id=f"fill-{slug}",
        y_ticks=tuple(
            Tick(
                at=_px(y_of(value)),
                text_at=_px(y_of(value) + 38),
                label=label,
                zero=value == 0,
            )
            for value, label in zip(marks, labels, strict=True)
        ),
        x_ticks=_x_ticks(rows, centres, max_x_ticks),
        points=tuple(
            _mark(kind, row, x, y, slot, bottom, (left, right))
            for row, (x, y) in zip(rows, line, strict=True)
        ),
        line_path=line_path,
        area_path=(f"{line_path}V{_px(y_of(0))}H{_px(line[0][0])}Z" if line_path and line else ""),
        previous_path=_path(before) if kind == "line" and compare else "",
    )


def _span(rows: tuple[Bucket, ...]) -> tuple[int, int, int]:
    """The value axis: (floor, top, step); the floor is zero unless a figure is below it."""
    values = [value for row in rows for value in (row.value, row.previous or 0)]
    highest, lowest = max(values, default=0), min(values, default=0)
    top_value, step = nice_ceiling(max(highest, -lowest))
    if lowest >= 0:
        return 0, top_value, step
    return lowest // step * step, max(-(-highest // step), 0) * step, step


def _path(points: Sequence[tuple[int, int]]) -> str:
    return "".join(
        f"{'L' if index else 'M'}{_px(x)} {_px(y)}" for index, (x, y) in enumerate(points)
    )


def _x_ticks(rows: tuple[Bucket, ...], centres: Sequence[int], limit: int) -> tuple[Tick, ...]:
    """Evenly spaced labels, counted back from the newest, which is the one people look for."""
    every = -(-len(rows) // limit) if rows else 1
    chosen = range(len(rows) - 1, -1, -every)
    return tuple(
        Tick(
            at=_px(centres[index]),
            label=rows[index].label,
            anchor="end" if index == len(rows) - 1 and len(rows) > limit else "middle",
        )
        for index in reversed(chosen)
    )


def _mark(
    kind: Kind, row: Bucket, x: int, y: int, slot: int, bottom: int, sides: tuple[int, int]
) -> Mark:
    tip_width = max(len(row.label), len(row.text)) * CHAR_PX + 20
    left, right = sides
    tip_x = min(max(x - 5 * tip_width, left), right - 10 * tip_width)
    tip_y = max(y - 10 * (TIP_HEIGHT_PX + 10), 0)
    bar_width = min(max(slot * 62 // 100, 20), 420)
    is_bar = kind == "bar" and row.value > 0
    return Mark(
        x=_px(x),
        y=_px(y),
        label=row.label,
        text=row.text,
        hit_x=_px(x - slot // 2),
        hit_width=_px(slot),
        tip_x=_px(tip_x),
        tip_y=_px(tip_y),
        tip_width=tip_width,
        tip_text_x=_px(tip_x + 100),
        tip_label_y=_px(tip_y + 160),
        tip_value_y=_px(tip_y + 310),
        bar_x=_px(x - bar_width // 2) if is_bar else "",
        bar_width=_px(bar_width) if is_bar else "",
        bar_height=_px(max(bottom - y, 10)) if is_bar else "",
    )
