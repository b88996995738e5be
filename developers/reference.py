"""The API reference as a page needs it, read out of the OpenAPI document."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace
from typing import Any, Final

from django.utils.safestring import SafeString

from core.api.schema import ERRORS
from developers.document import document
from developers.prose import inline, json_html, paragraphs

_MAX_DEPTH: Final = 3
_VERBS: Final = {
    "list": "List",
    "create": "Create",
    "retrieve": "Retrieve",
    "update": "Update",
    "delete": "Delete",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter or a property; `fields` are those of an object inside it."""

    name: str
    kind: str
    text: SafeString
    required: bool = False
    choices: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address, ready to be drawn."""

    id: str
    label: str
    method: str
    path: str
    title: SafeString
    text: SafeString
    parameters: tuple[tuple[str, tuple[Field, ...]], ...]
    body: tuple[Field, ...]
    answer: tuple[Field, ...]
    status: str
    curl: str
    request_json: SafeString | None
    response_json: SafeString | None
    response_text: str
    errors: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The operations of one tag."""

    id: str
    title: str
    text: SafeString
    operations: tuple[Operation, ...]


@functools.lru_cache(maxsize=1)
def sections() -> tuple[Section, ...]:
    """The whole reference, in the order of the document's tags."""
    found: dict[str, list[Operation]] = {}
    for path, operations in document()["paths"].items():
        for method, raw in operations.items():
            found.setdefault(raw["tags"][0], []).append(_operation(path, method, raw))
    return tuple(
        Section(
            id=tag["name"].lower().replace(" ", "-"),
            title=tag["name"],
            text=inline(tag["description"]),
            operations=tuple(sorted(_told_apart(found[tag["name"]]), key=_order)),
        )
        for tag in document()["tags"]
    )


def _told_apart(operations: list[Operation]) -> list[Operation]:
    """Where a section holds several resources, "Create" alone would stand there twice."""
    kinds = {operation.id.rpartition("_")[0] for operation in operations}
    if len(kinds) < 2:
        return operations
    return [
        replace(each, label=f"{each.label} {each.id.rpartition('_')[0].replace('_', ' ')}")
        for each in operations
    ]


def _order(operation: Operation) -> tuple[int, str]:
    """Create before list before the rest: the order in which one meets them."""
    deep = operation.path.count("/")
    return (deep * 10 + ("post", "get", "patch", "delete").index(operation.method), operation.path)


def _operation(path: str, method: str, raw: dict[str, Any]) -> Operation:
    status, response = next(
        (code, body) for code, body in raw["responses"].items() if code.startswith("2")
    )
    request_media = _media(raw.get("requestBody", {}))
    response_media = _media(response)
    request_example, response_example = _example(request_media), _example(response_media)
    data = response_media.get("schema", {}).get("properties", {}).get("data", {})
    places = (("path", "Path"), ("query", "Query"), ("header", "Headers"))
    given = {
        title: tuple(
            _field(each["name"], each["schema"], each)
            for each in raw.get("parameters", [])
            if each["in"] == place
        )
        for place, title in places
    }
    return Operation(
        id=raw["operationId"],
        label=_label(raw),
        method=method,
        path=path,
        title=inline(raw.get("summary", "")),
        text=paragraphs(raw.get("description", "")),
        parameters=tuple((title, fields) for title, fields in given.items() if fields),
        body=_fields(request_media.get("schema", {})),
        answer=_fields(data),
        status=status,
        curl=_curl(path, method, raw, request_example),
        request_json=None if request_example is None else json_html(request_example),
        response_json=None if response_example is None else json_html(response_example),
        response_text=json.dumps(response_example, indent=2, ensure_ascii=False),
        errors=tuple((code, ERRORS[code][1]) for code in raw["responses"] if code in ERRORS),
    )


def _label(raw: dict[str, Any]) -> str:
    verb: str = raw["operationId"].rpartition("_")[2]
    return _VERBS.get(verb, verb.capitalize())


def _media(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body.get("content", {}).get("application/json", {})
    return found


def _example(media: dict[str, Any]) -> Any:
    for example in media.get("examples", {}).values():
        return example["value"]
    return None


def _resolve(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None and len(schema.get("oneOf", schema.get("allOf", []))) >= 1:
        inner = next(each for each in schema.get("oneOf", schema.get("allOf", [])))
        return {**_resolve(inner), **{k: v for k, v in schema.items() if k == "description"}}
    if reference is None:
        return schema
    name = reference.rpartition("/")[2]
    found: dict[str, Any] = document()["components"]["schemas"][name]
    return {**found, **{key: value for key, value in schema.items() if key == "description"}}


def _fields(schema: dict[str, Any], depth: int = 0) -> tuple[Field, ...]:
    schema = _resolve(schema)
    if schema.get("type") == "array":
        schema = _resolve(schema.get("items", {}))
    if depth >= _MAX_DEPTH:
        return ()
    required = set(schema.get("required", []))
    return tuple(
        _field(name, inner, {"required": name in required}, depth)
        for name, inner in schema.get("properties", {}).items()
    )


def _field(name: str, schema: dict[str, Any], about: dict[str, Any], depth: int = 0) -> Field:
    text = about.get("description") or schema.get("description", "")
    full = _resolve(schema)
    notes = [text.replace("\n", " ").strip()] if text else []
    if "default" in full and full["default"] not in ("", [], {}):
        notes.append(f"Default: `{json.dumps(full['default'])}`.")
    if "maxLength" in full and full.get("type") == "string" and "pattern" not in full:
        notes.append(f"Up to {full['maxLength']} characters.")
    choices = full.get("enum", ())
    return Field(
        name=name,
        kind=_kind(full),
        text=inline(" ".join(notes)),
        required=bool(about.get("required")),
        choices=tuple(str(choice) for choice in choices if choice not in (None, "")),
        fields=_fields(full, depth + 1),
    )


def _kind(schema: dict[str, Any]) -> str:
    kinds = schema.get("type", "object")
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    nullable = "null" in names
    base = next((name for name in names if name != "null"), "any")
    if base == "array":
        base = f"list of {_kind(_resolve(schema.get('items', {})))}"
    elif schema.get("format") == "date-time":
        base = "time"
    return f"{base} or null" if nullable else base


def _curl(path: str, method: str, raw: dict[str, Any], example: Any) -> str:
    for parameter in raw.get("parameters", []):
        if parameter["in"] == "path" and "example" in parameter:
            path = path.replace("{" + parameter["name"] + "}", parameter["example"])
    lines = [f"curl $BASE{path}"]
    if method not in ("get", "post"):
        lines[0] = f"curl -X {method.upper()} $BASE{path}"
    doors = {name for door in raw.get("security", []) for name in door}
    if "apiKey" in doors:
        lines.append('-H "Authorization: Bearer $KEY"')
    elif "signature" in doors:
        lines += [f'-H "X-Merchantry-{name}: …"' for name in ("Key-Id", "Timestamp", "Nonce")]
        lines.append('-H "X-Merchantry-Signature: v1=…"')
    if any(each["name"] == "Idempotency-Key" for each in raw.get("parameters", [])):
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    if example is not None:
        lines.append("--json '" + json.dumps(example, indent=2, ensure_ascii=False) + "'")
    elif method == "post":
        lines.append("-X POST")
    return " \\\n  ".join(lines)
