"""`/v1/`: the root of the API, and `/v1/openapi.json`: its description."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.views import ApiView
from core.caching import same_for_all
from developers import shapes
from developers.document import document, document_bytes, document_etag, resources

_CACHE_S = 300


class RootView(ApiView):
    """The root."""

    tag = "Platform"
    public = True
    anonymous = True
    authentication_classes: list[Any] = []
    idempotency = "none"

    @extend_schema(operation_id="root_retrieve", responses={200: shapes.RootOut}, auth=[])
    def get(self, request: Request) -> Response:
        """List the resources and the version of the API. Needs no key."""
        info = document()["info"]
        root: shapes.RootOut = {
            "object": "api",
            "name": info["title"],
            "version": info["version"],
            "documentation": f"{settings.BASE_URL}/docs",
            "openapi": f"{settings.BASE_URL}/v1/openapi.json",
            "resources": resources(),
        }
        return Response(root)


@same_for_all(f"public, max-age={_CACHE_S}")
@require_safe
def openapi_json(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document, public and cacheable; `If-None-Match` is answered with 304."""
    etag = document_etag()
    answer = HttpResponse(document_bytes(), content_type="application/json")
    answer["ETag"] = etag
    # Tools in a browser read it from anywhere; it holds nothing secret.
    answer["Access-Control-Allow-Origin"] = "*"
    return get_conditional_response(request, etag=etag, response=answer) or answer
