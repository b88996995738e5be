"""Which column takes card numbers, and what happens to one: none takes them.

Every column that holds text is guarded, unless it is listed as exempt. The list is `CARD_NUMBERS`
of the column's model (for the models of libraries: below), and gives the reasons.

* refused (all that are not listed): the write raises `card_number_refused`, which names the field.
  For what people write.
* `MASK`: the number is stored as `[card number]`. For what others send us and for what records a
  thing that has happened, neither of which may fail for it.
* `Exempt`: stored as it is, for the reason given.

The ORM asks here through `core.postgres`, the unit of work (`core.unit`) by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.expressions import Expression

from core.pan import (
    contains_card_number,
    mask_card_numbers,
    mask_in,
    may_contain_card_number,
    refuse_card_numbers,
)


@dataclass(frozen=True, slots=True)
class Exempt:
    """A column that is stored as it is, and why a card number cannot get there."""

    reason: str


class Masked:
    """A column whose card numbers are masked."""


MASK: Final = Masked()
Treatment = Exempt | Masked
Check = Callable[[Any], Any]

#: The fewest digits of a number that people can read as a card.
_SHORTEST: Final = 13
_TEXT: Final = (
    models.CharField,
    models.TextField,
    models.JSONField,
    models.BinaryField,
    models.FileField,
)
_LIBRARIES: Final[Mapping[str, Mapping[str, Treatment]]] = {
    "admin.LogEntry": {"object_id": MASK, "object_repr": MASK, "change_message": MASK},
    "sessions.Session": {
        "session_key": Exempt("random, made by us"),
        "session_data": Exempt(
            "signed and compressed; holds ids, times and modes (tests/core/test_card_columns.py)"
        ),
    },
}


def text_fields(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """The columns of a model's own table that can hold a card number as text."""
    return [field for field in model._meta.local_concrete_fields if holds_text(field)]


def holds_text(field: models.Field[Any, Any]) -> bool:
    """Whether a column can hold thirteen digits of text."""
    if isinstance(field, ArrayField):
        return holds_text(field.base_field)
    if isinstance(field, models.GenericIPAddressField | models.UUIDField):
        return False
    if not isinstance(field, _TEXT):
        return False
    return field.max_length is None or field.max_length >= _SHORTEST


def treatment(field: models.Field[Any, Any]) -> Treatment | None:
    """What is stated for a column; None: card numbers are refused."""
    label = field.model._meta.label
    # A migration's models share only the names of the current models, not their attributes.
    model = apps.all_models[field.model._meta.app_label].get(field.model._meta.model_name or "")
    stated: Mapping[str, Treatment] = _LIBRARIES.get(label) or getattr(model, "CARD_NUMBERS", {})
    return stated.get(field.name)


@functools.cache
def check_of(field: models.Field[Any, Any]) -> Check | None:
    """What a value passes through before it is written to a column; None: it is written as it is.

    The check returns the value to write.

    Raises:
        InvalidRequest: the check refuses a card number (`card_number_refused`, `param` is the
            field's name).
    """
    if not holds_text(field):
        return None
    stated = treatment(field)
    if isinstance(stated, Exempt):
        return None
    if isinstance(stated, Masked):
        return _mask_bytes if isinstance(field, models.BinaryField) else _mask
    if isinstance(field, models.BinaryField):
        raise TypeError(f"{field.model._meta.label}.{field.name}: bytes are masked or exempt")
    return functools.partial(_refuse, field.name)


def checked(field: models.Field[Any, Any], value: Any) -> Any:
    """The value that may be written to a column.

    Raises:
        InvalidRequest: it holds a card number, and the column does not mask it. In an expression
            (`bulk_update` writes CASE WHEN … THEN value) none is masked.
    """
    if value is None:
        return value
    if isinstance(value, Expression):
        if holds_text(field) and not isinstance(treatment(field), Exempt):
            # What is computed from columns was looked at when it was written there.
            for node in value.flatten():
                if isinstance(node, models.Value):
                    _refuse(field.name, node.value)
        return value
    check = check_of(field)
    return value if check is None else check(value)


def _refuse(name: str, value: Any) -> Any:
    if isinstance(value, str):
        if len(value) >= _SHORTEST and contains_card_number(value):
            refuse_card_numbers(value, name)
    elif may_contain_card_number(encoded(value)):
        refuse_card_numbers(value, name)
    return value


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return mask_card_numbers(value)
    return mask_in(value) if may_contain_card_number(encoded(value)) else value


def _mask_bytes(value: Any) -> Any:
    raw = bytes(value)
    if not may_contain_card_number(raw):
        return value
    try:
        content = orjson.loads(raw)
    except orjson.JSONDecodeError:
        text = raw.decode("utf-8", "replace")
        masked = mask_card_numbers(text)
        return value if masked == text else masked.encode()
    hidden = mask_in(content, numbers=True)
    return value if hidden == content else orjson.dumps(hidden)


def encoded(value: Any) -> bytes:
    """A column's value as `may_contain_card_number` looks at it: text, bytes, or JSON."""
    if isinstance(value, str):
        return value.encode(errors="replace")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
