"""The shape of the API's root."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from core.shapes import shown


class RootOut(TypedDict):
    """Where things are."""

    object: Literal["api"]
    name: Annotated[str, shown(example="Merchantry API")]
    version: Annotated[
        str, shown("Version of this document (semantic versioning).", example="1.0.0")
    ]
    documentation: Annotated[str, shown(example="https://merchantry.example/docs", format="uri")]
    openapi: Annotated[
        str, shown(example="https://merchantry.example/v1/openapi.json", format="uri")
    ]
    resources: Annotated[
        dict[str, str],
        shown(
            "Name of a collection → its path.",
            example={"payments": "/v1/payments", "refunds": "/v1/refunds"},
        ),
    ]
