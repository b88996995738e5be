"""Serializer fields and base for input from strangers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from rest_framework import serializers

from core.errors import InvalidRequest, NotFound
from core.ids import decode
from core.money import iso_currency, parse_amount
from core.pan import refuse_card_numbers

_MAX_METADATA_KEYS = 50
_MAX_METADATA_KEY = 40
_MAX_METADATA_VALUE = 500


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses parameters that it does not know: a typo must not silently mean nothing."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping):
            for name in data:
                if name not in self.fields:
                    raise InvalidRequest(
                        f"Unknown parameter {str(name)[:64]!r}.",
                        code="parameter_unknown",
                        param=str(name)[:64],
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
        anew each time costs more than the validation.
        """
        values: dict[str, Any] = _shared(cls).run_validation(data)
        return values


@functools.cache
def _shared(serializer: type[StrictSerializer]) -> StrictSerializer:
    return serializer()


class AmountField(serializers.IntegerField):
    """A JSON integer in minor units of the currency beside it; nothing else."""

    def to_internal_value(self, data: Any) -> int:
        return parse_amount(data, param=self.field_name or "amount")


class CurrencyField(serializers.CharField):
    """An ISO 4217 code in any case; comes out in upper case. Crypto assets are none."""

    def to_internal_value(self, data: Any) -> str:
        return iso_currency(data, param=self.field_name or "currency").code


class StrictBooleanField(serializers.BooleanField):
    """A JSON boolean, and only one: "no" must not mean yes, nor "yes" anything."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise InvalidRequest(
                "Send true or false, without quotes.",
                code="parameter_invalid",
                param=self.field_name,
            )
        return data


class TextField(serializers.CharField):
    """A string, and only a string; refuses card numbers when `guard` is set."""

    def __init__(self, *, guard: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault("allow_blank", True)
        kwargs.setdefault("trim_whitespace", True)
        super().__init__(**kwargs)
        self.guard = guard

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        text = super().to_internal_value(data)
        if self.guard:
            refuse_card_numbers(text, self.field_name or "text")
        return text


class IdField(serializers.CharField):
    """A public id with its prefix; comes out as a UUID. A malformed one is a 404 of its own."""

    def __init__(self, prefix: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prefix = prefix

    def to_internal_value(self, data: Any) -> Any:
        try:
            return decode(self.prefix, data)
        except NotFound as error:
            raise NotFound(error.message, param=self.field_name) from error


class GuardedEmailField(serializers.EmailField):
    """An e-mail address that holds no card number."""

    def to_internal_value(self, data: Any) -> str:
        address: str = super().to_internal_value(data)
        refuse_card_numbers(address, self.field_name or "email")
        return address


class HttpUrlField(serializers.CharField):
    """An absolute http(s) URL of at most 500 characters; refuses card numbers with `guard`."""

    def __init__(self, *, guard: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.guard = guard

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, str) and len(data) <= 500 and data.isprintable():
            try:
                parts = urlsplit(data)
                good = parts.scheme in ("http", "https") and bool(parts.hostname)
                parts.port  # noqa: B018 - raises for a port out of range
            except ValueError:
                good = False
            if good:
                if self.guard:
                    refuse_card_numbers(unquote(data), self.field_name or "url")
                return data
        raise InvalidRequest(
            "Give an absolute URL that begins with https://.",
            code="url_invalid",
            param=self.field_name,
        )


class MetadataField(serializers.DictField):
    """Up to 50 short string pairs for the merchant's own use; card numbers are refused."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        name = self.field_name or "metadata"
        if not isinstance(data, dict) or len(data) > _MAX_METADATA_KEYS:
            raise InvalidRequest(
                f"metadata is an object of at most {_MAX_METADATA_KEYS} string values.",
                code="metadata_invalid",
                param=name,
            )
        for key, value in data.items():
            if (
                not isinstance(value, str)
                or len(key) > _MAX_METADATA_KEY
                or len(value) > _MAX_METADATA_VALUE
            ):
                raise InvalidRequest(
                    f"metadata holds strings: keys up to {_MAX_METADATA_KEY} characters, values up "
                    f"to {_MAX_METADATA_VALUE}.",
                    code="metadata_invalid",
                    param=f"{name}.{key[:_MAX_METADATA_KEY]}",
                )
        refuse_card_numbers(data, name)
        return data
