"""Shapes of public objects: what an example and a component are made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry

from core.api.shape_schema import ShapeExtension
from core.shapes import Amount, Time, an_id, example, one_of, open_list, shown

ID = "01kah8q3v5e0trz5b2m8x1c9dn"
later_names = ["first"]


class PartOut(TypedDict):
    """A part."""

    name: Annotated[str, shown(example="left")]


class WholeOut(TypedDict):
    """A whole,
    of parts."""

    id: Annotated[str, an_id("who", "Its id.")]
    object: Literal["whole"]
    amount: Annotated[Amount, shown(example=12)]
    state: Annotated[str | None, one_of(["open", "shut"], example="shut")]
    kind: Annotated[str, open_list(lambda: later_names, example="first")]
    note: str | None
    made_at: Time
    ended_at: Time | None
    part: PartOut | None
    parts: list[PartOut]
    closed: bool
    extra: NotRequired[dict[str, str]]


EXAMPLE = {
    "id": f"who_{ID}",
    "object": "whole",
    "amount": 12,
    "state": "shut",
    "kind": "first",
    "note": None,
    "made_at": "2026-11-21T09:30:00.000Z",
    "ended_at": "2026-11-21T09:30:00.000Z",
    "part": {"name": "left"},
    "parts": [{"name": "left"}],
    "closed": False,
}


def component(shape: Any) -> dict[str, Any]:
    schema = AutoSchema()
    schema.registry = ComponentRegistry()
    extension: Any = ShapeExtension
    found: dict[str, Any] = extension(shape).map_serializer(schema, "response")
    return found


def test_an_example_is_made_of_the_fields_examples() -> None:
    assert example(WholeOut) == EXAMPLE


def test_a_change_replaces_a_field_and_adds_an_optional_one() -> None:
    assert example(WholeOut, note="Fragile", extra={"a": "b"}) == {
        **EXAMPLE,
        "note": "Fragile",
        "extra": {"a": "b"},
    }


def test_a_change_of_no_field_is_refused() -> None:
    with pytest.raises(TypeError, match=r"WholeOut has no \['nota'\]"):
        example(WholeOut, nota="Fragile")


def test_a_text_without_an_example_is_refused() -> None:
    class Bare(TypedDict):
        name: str

    with pytest.raises(TypeError, match=r"Bare\.name needs an example"):
        example(Bare)


def test_the_component_says_what_the_shape_says() -> None:
    later_names.append("second")
    part = {"$ref": "#/components/schemas/Part"}
    assert component(WholeOut) == {
        "type": "object",
        "description": "A whole, of parts.",
        "properties": {
            "id": {
                "type": "string",
                "description": "Its id.",
                "pattern": "^who_[0-9a-hjkmnp-tv-z]{26}$",
            },
            "object": {"type": "string", "const": "whole"},
            "amount": {"type": "integer", "description": "Minor units."},
            "state": {"type": ["string", "null"], "enum": ["open", "shut", None]},
            "kind": {"type": "string", "x-extensible-enum": ["first", "second"]},
            "note": {"type": ["string", "null"]},
            "made_at": {"type": "string", "format": "date-time"},
            "ended_at": {"type": ["string", "null"], "format": "date-time"},
            "part": {"oneOf": [part, {"type": "null"}]},
            "parts": {"type": "array", "items": part},
            "closed": {"type": "boolean"},
            "extra": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": sorted(EXAMPLE),
    }
