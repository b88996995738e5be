"""Serializer fields and base for input from strangers."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import unquote

from rest_framework import serializers

from core.errors import InvalidRequest
from core.ids import decode
from core.money import iso_currency, parse_amount
from core.pan import refuse_card_numbers
from core.web_address import web_origin

_MAX_METADATA_KEYS = 50
_MAX_METADATA_KEY = 40
_MAX_METADATA_VALUE = 500
_MAX_URL: Final = 500
#: ASCII with a letter in it; acquirers refuse the signs that are left out (< > \ ' " *).
_DESCRIPTOR: Final = re.compile(r"(?=.*[A-Za-z])[ !#-&(-)+-;=?-\[\]-~]{1,22}")


def place_of(field: serializers.Field[Any, Any, Any, Any]) -> str:
    """The path of a field in the body, as errors name it: `card.number`."""
    names: list[str] = []
    node: Any = field
    while node is not None:
        if node.field_name:
            names.append(node.field_name)
        node = node.parent
    return ".".join(reversed(names))


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses parameters that it does not know: a typo must not silently mean nothing."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping):
            for name in data:
                if name not in self.fields:
                    place = ".".join(filter(None, (place_of(self), str(name)[:64])))
                    raise InvalidRequest(
                        f"Unknown parameter {place!r}.", code="parameter_unknown", param=place
                    )
        result: dict[str, Any] = super().to_internal_value(data)
        return result

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """The fields; one that takes a few values names them where another one comes."""
        fields = super().get_fields()
        for field in fields.values():
            if isinstance(field, serializers.ChoiceField):
                choices = ", ".join(str(choice) for choice in field.choices)
                field.error_messages["invalid_choice"] = f"This takes one of: {choices}."
        return fields

    @classmethod
    def parse(cls, data: Any) -> dict[str, Any]:
        """The validated values; DRF's ValidationError becomes the first fault, named.

        One instance serves all requests: validating changes nothing in it, and building the fields
        each time costs more than the validation.
        """
        values: dict[str, Any] = _shared(cls).run_validation(data)
        return values


@functools.cache
def _shared(serializer: type[StrictSerializer]) -> StrictSerializer:
    return serializer()


class AmountField(serializers.IntegerField):
    """A JSON integer in minor units of the currency beside it; nothing else."""

    def to_internal_value(self, data: Any) -> int:
        return parse_amount(data, param=place_of(self))


class CurrencyField(serializers.CharField):
    """An ISO 4217 code in any case; comes out in upper case. Crypto assets are none."""

    def to_internal_value(self, data: Any) -> str:
        return iso_currency(data, param=place_of(self)).code


class StrictBooleanField(serializers.BooleanField):
    """A JSON boolean, and only one: "no" must not mean yes, nor "yes" anything."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise InvalidRequest(
                "Send true or false, without quotes.",
                code="parameter_invalid",
                param=place_of(self),
            )
        return data


class TextField(serializers.CharField):
    """A string, and only a string, that holds no card number and no control characters.

    Every text that strangers write is one of these; a plain CharField would take a card number.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("allow_blank", True)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        text = super().to_internal_value(data)
        # Lines and tabs are text; the rest of the controls garbles logs, receipts and exports.
        if any(unicodedata.category(char) == "Cc" and char not in "\t\n\r" for char in text):
            raise InvalidRequest(
                "This text holds control characters. Send letters, digits, signs, tabs and line "
                "breaks alone.",
                code="parameter_invalid",
                param=place_of(self),
            )
        refuse_card_numbers(text, place_of(self))
        return text


class StatementDescriptorField(TextField):
    """What the payer's bank prints: up to 22 Latin characters with a letter among them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=22, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if len(text) <= 22 and not _DESCRIPTOR.fullmatch(text):
            raise InvalidRequest(
                "A statement descriptor is up to 22 Latin letters, digits and signs with at least "
                "one letter, and none of < > \\ ' \" *.",
                code="parameter_invalid",
                param=place_of(self),
            )
        return text


class IdField(serializers.CharField):
    """A public id with its prefix; comes out as a UUID. A malformed one is a 404 of its own."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prefix = prefix

    def to_internal_value(self, data: Any) -> Any:
        return decode(self.prefix, data, param=place_of(self))


class GuardedEmailField(serializers.EmailField):
    """An e-mail address that holds no card number."""

    def to_internal_value(self, data: Any) -> str:
        address: str = super().to_internal_value(data)
        refuse_card_numbers(address, place_of(self))
        return address


class HttpUrlField(serializers.CharField):
    """An absolute http(s) URL that a browser can open, without a card number in it."""

    def __init__(self, *, max_length: int = _MAX_URL, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        try:
            if not isinstance(data, str):
                raise ValueError("Give an absolute URL that begins with https:// or http://.")
            if self.max_length is not None and len(data) > self.max_length:
                raise ValueError(f"A URL has at most {self.max_length} characters.")
            web_origin(data)
        except ValueError as error:
            raise InvalidRequest(str(error), code="url_invalid", param=place_of(self)) from error
        refuse_card_numbers(unquote(data), place_of(self))
        return data


class MetadataField(serializers.DictField):
    """Up to 50 short string pairs for the merchant's own use; card numbers are refused."""

    takes_null: ClassVar[bool] = False
    #: How many pairs one request may name.
    max_pairs: ClassVar[int] = _MAX_METADATA_KEYS

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        name = place_of(self)
        if not isinstance(data, dict) or len(data) > self.max_pairs:
            raise _too_many_pairs(name)
        for key, value in data.items():
            if value is None and self.takes_null and 1 <= len(key) <= _MAX_METADATA_KEY:
                continue
            if (
                not isinstance(value, str)
                or not 1 <= len(key) <= _MAX_METADATA_KEY
                or len(value) > _MAX_METADATA_VALUE
            ):
                raise InvalidRequest(
                    f"metadata holds strings: keys of 1 to {_MAX_METADATA_KEY} characters, values "
                    f"of up to {_MAX_METADATA_VALUE}.",
                    code="metadata_invalid",
                    param=f"{name}.{key[:_MAX_METADATA_KEY]}" if key else name,
                )
        refuse_card_numbers(data, name)
        return data


class MetadataChangesField(MetadataField):
    """Changes to the pairs of an object: a key that is left out stays, null deletes one.

    `merged_metadata` applies them, and holds the limit of 50 where the pairs before are known.
    """

    takes_null: ClassVar[bool] = True
    # All pairs deleted, and as many set.
    max_pairs: ClassVar[int] = 2 * _MAX_METADATA_KEYS


def merged_metadata(
    before: Mapping[str, str], changes: Mapping[str, str | None], param: str = "metadata"
) -> dict[str, str]:
    """The pairs after the changes; the row that holds `before` must be locked.

    Raises:
        InvalidRequest: more than 50 pairs would be left.
    """
    merged = {**before, **changes}
    left = {key: value for key, value in merged.items() if value is not None}
    if len(left) > _MAX_METADATA_KEYS:
        raise _too_many_pairs(param)
    return left


def _too_many_pairs(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"metadata is an object of at most {_MAX_METADATA_KEYS} string values.",
        code="metadata_invalid",
        param=name,
    )
