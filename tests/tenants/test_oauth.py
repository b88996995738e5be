"""``POST /auth/token`` as libraries for OAuth 2.0 speak to it (RFC 6749)."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.test import Client

from tenants.services import api_keys
from tests.factories import make_tenants
from tests.tenants.test_api import call

FORM = "application/x-www-form-urlencoded"
GRANT = "grant_type=client_credentials"


def post(body: str, **headers: str) -> Any:
    return Client().post("/auth/token", body, content_type=FORM, headers=headers)


def machine() -> tuple[str, str]:
    row, secret = api_keys.machine_client_create(
        actor=make_tenants().actor("owner"), name="Export", scopes=["keys.read", "team.read"]
    )
    return row.client_id, secret


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


@pytest.mark.parametrize("how", ["form", "basic"])
def test_a_form_gets_a_flat_answer_that_works(how: str) -> None:
    client_id, secret = machine()
    if how == "form":
        answer = post(f"{GRANT}&client_id={client_id}&client_secret={secret}&audience=x")
    else:
        answer = post(GRANT, Authorization=basic(client_id, secret))
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == (
        "Bearer",
        300,
        "keys.read team.read",
    )
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "private, no-store"
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert call("GET", "/v1/api_keys", headers=headers)[0] == 200


def test_a_token_may_be_asked_for_less_and_is_good_for_no_more() -> None:
    client_id, secret = machine()
    asked = f"{GRANT}&client_id={client_id}&client_secret={secret}&scope="

    less = post(asked + "team.read").json()

    assert less["scope"] == "team.read"
    headers = {"Authorization": f"Bearer {less['access_token']}"}
    assert call("GET", "/v1/team", headers=headers)[0] == 200
    assert call("GET", "/v1/api_keys", headers=headers)[0] == 403
    assert post(asked).json()["scope"] == "keys.read team.read"
    for more in ("team.read+keys.write", "nothing", "%00"):
        refused = post(asked + more)
        assert (refused.status_code, refused.json()["error"]) == (
            400,
            "invalid_request" if more == "%00" else "invalid_scope",
        )


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (f"{GRANT}&client_id=mc_x&client_secret=y", 401, "invalid_client"),
        (GRANT, 401, "invalid_client"),
        (f"{GRANT}&client_id=%00&client_secret=y", 400, "invalid_request"),
        ("grant_type=password&username=a", 400, "unsupported_grant_type"),
        ("client_id=mc_x&client_secret=y", 400, "invalid_request"),
        (f"{GRANT}&{GRANT}", 400, "invalid_request"),
        ("%ff=%ff", 400, "invalid_request"),
        ("&".join(f"p{n}=x" for n in range(30)), 400, "invalid_request"),
    ],
)
def test_a_form_that_is_wrong_gets_a_flat_error(body: str, status: int, error: str) -> None:
    answer = post(body)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]
    assert (answer.headers.get("WWW-Authenticate", "").startswith("Basic")) is (status == 401)


@pytest.mark.parametrize("header", ["Basic ", "Basic %%%", "Basic " + "w6k6w6k=", "Basic bm9uZQ=="])
def test_basic_that_cannot_be_read_is_no_client(header: str) -> None:
    answer = post(GRANT, Authorization=header)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
