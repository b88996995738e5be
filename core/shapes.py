"""Public objects, each declared once: answers, payloads of events, API reference, examples.

A room declares its objects in `shapes.py`, each with its builder below it:

    class RefundOut(TypedDict):
        \"\"\"Money back.\"\"\"

        id: Annotated[str, an_id("ref")]
        amount: Amount
        reason: Annotated[str | None, shown(example="requested_by_customer")]

    def refund_out(refund: Refund) -> RefundOut:
        return {"id": refund.public_id, "amount": refund.amount_minor, …}

The builder returns a literal, so the type checker proves that it makes the declared object, at no
cost while serving. The OpenAPI component (`core/api/shape_schema.py`) and the documented example
(:func:`example`) are read from the declaration; the tests hold every answer of the API against it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    TypedDict,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from core.ids import TEXT_PATTERN

T = TypeVar("T")
_UNSET: Final = object()
#: Every id of the examples has this body, so that the examples belong together.
_ID: Final = "01kah8q3v5e0trz5b2m8x1c9dn"
LATER: Final = "2026-11-21T09:30:02.140Z"


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is said of a field beyond its type: JSON Schema keywords, and its value in examples."""

    schema: Mapping[str, Any]
    example: Any = _UNSET


def shown(text: str = "", *, example: Any = _UNSET, **schema: Any) -> Shown:
    """A field's description, its example and further keywords of JSON Schema."""
    return Shown({**schema, **({"description": text} if text else {})}, example)


def an_id(prefix: str, text: str = "") -> Shown:
    """A public id with this prefix."""
    return shown(text, example=example_id(prefix), pattern=f"^{prefix}_{TEXT_PATTERN}$")


def one_of(values: Iterable[str], text: str = "", *, example: str) -> Shown:
    """A text out of a closed list, such as the values of a `TextChoices`."""
    return shown(text, example=example, enum=[str(value) for value in values])


def open_list(
    values: Iterable[str] | Callable[[], Iterable[str]], text: str = "", *, example: str
) -> Shown:
    """A text out of a list that later versions may lengthen.

    `values` may be a function, which is called when the document is made.
    """
    given = values if callable(values) else tuple(values)
    return shown(text, example=example, **{"x-extensible-enum": given})


Amount = Annotated[int, shown("Minor units.", example=4890)]
Currency = Annotated[str, shown(example="EUR")]
#: ISO 8601 in UTC, as `core.times.iso` writes it.
Time = Annotated[str, shown(example="2026-11-21T09:30:00.000Z", format="date-time")]
#: The same, of something that follows two seconds later.
LaterTime = Annotated[Time, shown(example=LATER)]
Day = Annotated[str, shown(example="2026-11-21", format="date")]
Metadata = Annotated[dict[str, str], shown(example={})]
CaptureMethod = Literal["automatic", "manual"]


class PageOf(TypedDict):
    """The frame of a list; each resource names its own items."""

    has_more: bool
    next_cursor: str | None


def example_id(prefix: str) -> str:
    """The id that an object of this kind has in the examples."""
    return f"{prefix}_{_ID}"


def component_name(shape: type) -> str:
    """What the OpenAPI document calls it: `PaymentOut` is a `Payment` to the world."""
    return shape.__name__.removesuffix("Out")


def fields(shape: Any) -> dict[str, Any]:
    """A shape's fields in their order: name → type, with what is said of it."""
    return get_type_hints(shape, include_extras=True)


def example(shape: type[T], **changes: Any) -> T:
    """An object of this shape, made of its fields' examples, with changes.

    Optional fields are there only where a change gives them.

    Raises TypeError: a text has no example, or a change names no field.
    """
    hints = fields(shape)
    if changes.keys() - hints.keys():
        raise TypeError(f"{shape.__name__} has no {sorted(changes.keys() - hints.keys())}.")
    made = {
        name: changes[name] if name in changes else _example(hint, f"{shape.__name__}.{name}")
        for name, hint in hints.items()
        if name in changes or get_origin(hint) is not NotRequired
    }
    return cast(T, made)


def _example(hint: Any, name: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        examples = [mark.example for mark in hint.__metadata__ if mark.example is not _UNSET]
        return examples[-1] if examples else _example(arguments[0], name)
    if is_typeddict(hint):
        return example(hint)
    if origin in (Union, types.UnionType):
        [inner] = [each for each in arguments if each is not type(None)]
        has_example = get_origin(inner) is Annotated or is_typeddict(inner)
        return _example(inner, name) if has_example else None
    if origin is list:
        return [_example(arguments[0], name)]
    if origin is Literal:
        return arguments[0]
    if hint in (bool, int):
        return hint()
    raise TypeError(f"{name} needs an example: Annotated[…, shown(example=…)].")
