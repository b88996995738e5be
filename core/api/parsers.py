"""JSON from strangers: one meaning or none.

Refused with a clear 400 or 413: bodies above the limit, duplicate keys, NaN and Infinity, NUL
characters, nesting deeper than 16 levels, anything that is not an object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.parsers import BaseParser

from core.errors import InvalidRequest, PayloadTooLarge

_MAX_DEPTH = 16
_MAX_KEY = 256


class StrictJSONParser(BaseParser):
    """Parses `application/json` into a dict."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        request = (parser_context or {}).get("request")
        return parse_json_object(read_limited(stream, request))


def read_limited(stream: IO[bytes], request: Any) -> bytes:
    """The raw body, read no further than the limit.

    Raises:
        PayloadTooLarge: the body is larger than MAX_BODY_BYTES.
    """
    limit: int = settings.MAX_BODY_BYTES
    raw: bytes = request.body if request is not None else stream.read(limit + 1)
    if len(raw) > limit:
        raise _too_large(limit)
    return raw


def refuse_declared_length(request: Any, limit: int) -> None:
    """Refuse a body by its Content-Length, before a byte of it is read.

    Raises:
        PayloadTooLarge: more than `limit` bytes are announced.
    """
    declared = request.META.get("CONTENT_LENGTH") or ""
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)


def parse_json_object(raw: bytes) -> dict[str, Any]:
    """Parse one JSON object under the strict rules above; an empty body is an empty object.

    Raises:
        InvalidRequest: not such an object; the message says where it goes wrong.
    """
    if not raw.strip():
        return {}
    if raw.count(b"[") + raw.count(b"{") > _MAX_DEPTH:
        _check_depth(raw)
    try:
        # json.loads would guess UTF-16 from bytes, and let halves of surrogate pairs through.
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise _invalid("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise _invalid(
            f"The body is not valid JSON (line {error.lineno}, column {error.colno})."
        ) from error
    except (RecursionError, ValueError) as error:
        raise _invalid("The body holds a number or a nesting beyond reason.") from error
    if not isinstance(value, dict):
        raise _invalid("The body must be a JSON object.")
    if b"\x00" in raw or (b"\\u0000" in raw and _holds_nul(value)):
        raise _invalid("The body holds a NUL character.")
    if b"\\ud" in raw.lower():
        _refuse_lone_surrogates(value)
    return value


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than {limit // 1024} KiB.")


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="json_invalid")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidRequest(
                    f"The key {key[:64]!r} appears twice in one object.",
                    code="json_duplicate_key",
                    param=key[:_MAX_KEY],
                )
            seen.add(key)
    return result


def _no_constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is not JSON.")


def _check_depth(raw: bytes) -> None:
    """Count nesting outside strings before the parser recurses into it."""
    depth = 0
    in_string = escaped = False
    for byte in raw:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise _invalid(f"The body is nested deeper than {_MAX_DEPTH} levels.")
        elif byte in b"]}":
            depth -= 1


def _holds_nul(value: Any) -> bool:
    """Whether a text or key is NUL: an escaped backslash before `u0000` spells none."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(each) for key, each in value.items())
    return isinstance(value, list) and any(_holds_nul(each) for each in value)


def _refuse_lone_surrogates(value: Any) -> None:
    # PostgreSQL refuses half a surrogate pair; the caller should hear it from us, as a 400.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _invalid("The body holds half of a UTF-16 surrogate pair.") from error
