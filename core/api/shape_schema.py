"""OpenAPI components of public objects, read from their declarations (`core/shapes.py`)."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, is_typeddict

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.plumbing import (
    append_meta,
    build_array_type,
    build_object_type,
    resolve_type_hint,
)

from core.shapes import component_name, fields


class ShapeExtension(OpenApiSerializerExtension):
    """Lets `responses={200: PaymentOut}` name a shape, whose component is `Payment`."""

    @classmethod
    def _matches(cls, target: Any) -> bool:
        return is_typeddict(target)

    def get_name(self, auto_schema: Any, direction: Any) -> str:
        return component_name(self.target)

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        found = fields(self.target)
        schema: dict[str, Any] = build_object_type(
            properties={name: _schema(hint, auto_schema) for name, hint in found.items()},
            required=sorted(n for n, hint in found.items() if get_origin(hint) is not NotRequired),
            description=" ".join((self.target.__doc__ or "").split()),
        )
        return schema


def _schema(hint: Any, auto_schema: Any) -> dict[str, Any]:
    """The schema of a field; another shape is referred to."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is NotRequired:
        return _schema(arguments[0], auto_schema)
    schema: dict[str, Any]
    if is_typeddict(hint):
        schema = auto_schema.resolve_serializer(hint, "response").ref
    elif origin is Annotated:
        schema = _schema(arguments[0], auto_schema)
        for mark in hint.__metadata__:
            schema = append_meta(schema, {key: _now(word) for key, word in mark.schema.items()})
    elif origin in (Union, types.UnionType):
        [inner] = [each for each in arguments if each is not type(None)]
        schema = append_meta(_schema(inner, auto_schema), {"nullable": True})
    elif origin is list:
        schema = build_array_type(_schema(arguments[0], auto_schema))
    elif origin is Literal and len(arguments) == 1:
        schema = {**resolve_type_hint(type(arguments[0])), "const": arguments[0]}
    else:
        schema = resolve_type_hint(hint)
    if "enum" in schema and "null" in schema["type"] and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    return schema


def _now(word: Any) -> Any:
    """A keyword's value; a list that grows while rooms load is made now."""
    return list(word()) if callable(word) else word
