"""The shape of the API's root."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class RootOut(serializers.Serializer[Any]):
    """Where things are."""

    object = serializers.CharField(default="api")
    name = serializers.CharField()
    version = serializers.CharField(help_text="Version of this document (semantic versioning).")
    documentation = serializers.URLField()
    openapi = serializers.URLField()
    resources = serializers.DictField(
        child=serializers.CharField(), help_text="Name of a collection → its path."
    )
