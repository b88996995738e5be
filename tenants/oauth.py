"""``POST /auth/token``: the token endpoint as OAuth 2.0 clients speak to it (RFC 6749).

A form gets the flat answer of section 5.1 and the errors of section 5.2, with the client's
credentials in the form or in HTTP Basic (section 2.3.1). A JSON body is answered in our own
envelope, as at ``/v1/client/session``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import IO, Any, Final
from urllib.parse import parse_qsl, unquote_plus

import orjson
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.parsers import StrictJSONParser, read_limited
from core.errors import AuthenticationFailed, InvalidRequest
from tenants.api import ClientSessionView
from tenants.places import place_of
from tenants.services import sessions

FORM: Final = "application/x-www-form-urlencoded"
MAX_FIELDS: Final = 20
#: Our codes as section 5.2 calls them; every other one is an ``invalid_request``.
ERRORS: Final = {
    "client_invalid": "invalid_client",
    "grant_type_unsupported": "unsupported_grant_type",
    "scope_unknown": "invalid_scope",
    "rate_limited": "temporarily_unavailable",
    "database_unavailable": "temporarily_unavailable",
}


class FormParser(BaseParser):
    """Parses a form into a dict; a repeated parameter is refused (RFC 6749, 3.2)."""

    media_type = FORM

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Raises InvalidRequest: no form, a NUL, or a parameter twice."""
        raw = read_limited(stream, (parser_context or {}).get("request"))
        try:
            pairs = parse_qsl(
                raw.decode("utf-8"),
                keep_blank_values=True,
                max_num_fields=MAX_FIELDS,
                errors="strict",
            )
        except ValueError as error:
            raise InvalidRequest("The body is not a form.", code="parameter_invalid") from error
        found = dict(pairs)
        if len(found) != len(pairs) or any("\x00" in text for pair in pairs for text in pair):
            raise InvalidRequest(
                "A parameter appears twice in the form, or contains a NUL.",
                code="parameter_invalid",
            )
        return found


class TokenView(ClientSessionView):
    """The address that OAuth clients are given."""

    def get_parsers(self) -> list[BaseParser]:
        """The form's for a form, else the strict one for JSON."""
        return [FormParser() if _is_form(self.request) else StrictJSONParser()]

    @extend_schema(exclude=True)
    def post(self, request: Request) -> Response:
        """Client credentials in, an access token of five minutes out."""
        if not _is_form(request):
            return super().post(request)
        # Parameters that we do not know are ignored, as section 3.2 asks.
        given = self.body
        if given.get("grant_type") != "client_credentials":
            raise InvalidRequest(
                "grant_type is client_credentials.",
                code="grant_type_unsupported" if given.get("grant_type") else "parameter_missing",
                param="grant_type",
            )
        client_id, client_secret = _credentials(request, given)
        pair = sessions.machine_session(
            client_id=client_id,
            client_secret=client_secret,
            place=place_of(request._request),
            scopes=given.get("scope", "").split(),
        )
        return _flat(
            {
                "access_token": pair.access_token,
                "token_type": "Bearer",
                "expires_in": pair.expires_in_s,
                "scope": " ".join(pair.scopes),
            },
            status=200,
        )

    def handle_exception(self, exc: Exception) -> Response:
        """Answer a form with flat errors too."""
        response: Response = super().handle_exception(exc)
        if not _is_form(self.request) or not isinstance(response.data, dict):
            return response
        error = response.data["error"]
        flat = _flat(
            {
                "error": ERRORS.get(error["code"], "invalid_request"),
                "error_description": error["message"],
            },
            status=response.status_code,
        )
        if "Retry-After" in response:
            flat["Retry-After"] = response["Retry-After"]
        if response.status_code == 401:
            # RFC 6749, 5.2: the scheme that the client used.
            flat["WWW-Authenticate"] = 'Basic realm="merchantry"'
        return flat


def _flat(answer: dict[str, Any], *, status: int) -> Response:
    """An answer without our envelope: the renderer sends bytes as they are."""
    response = Response(orjson.dumps(answer), status=status)
    response["Pragma"] = "no-cache"
    return response


def _is_form(request: Request) -> bool:
    return (request.content_type or "").partition(";")[0].strip().lower() == FORM


def _credentials(request: Request, given: dict[str, str]) -> tuple[str, str]:
    """Client id and secret, from HTTP Basic where it is there, else from the form.

    Raises AuthenticationFailed (``client_invalid``): Basic that cannot be read, or no credentials.
    """
    scheme, _, encoded = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(encoded.strip(), validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        name, _, secret = text.partition(":")
        found = unquote_plus(name), unquote_plus(secret)
    else:
        found = given.get("client_id", ""), given.get("client_secret", "")
    if not all(found) or any("\x00" in text for text in found):
        raise AuthenticationFailed(
            "Send client_id and client_secret, in the form or as HTTP Basic.", code="client_invalid"
        )
    return found
