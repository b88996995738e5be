"""An access token counts for as long as the login behind it stands, and no request longer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from rest_framework.request import Request

from core import errors
from core.context import Actor
from core.db import Scope, tenant_atomic
from tenants import totp
from tenants.authentication import RequestAuthentication
from tenants.models import Merchant, Reseller
from tenants.policies import PersonAction
from tenants.services import api_keys, members, passwords, people, second_factor, sessions
from tenants.tokens import TokenPair
from tests.factories import PASSWORD, Tenants, make_merchant, make_tenants
from tests.places import make_place

WHO = "merchant.admin"


def log_in(t: Tenants, name: str = WHO, **more: Any) -> TokenPair:
    user = t.users[name]
    code = totp.code_at(t.totp_secrets[user.id]) if user.id in t.totp_secrets else ""
    return sessions.jwt_login(
        email=user.email,
        password=PASSWORD,
        otp=code,
        tenant=more.get("tenant", ""),
        livemode=False,
        place=make_place(),
    )


def answer_to(token: str) -> tuple[int, str | None]:
    """What the API says to a read with the token: status, and the code of an error."""
    answer = Client().get("/v1/team", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, (answer.json().get("error") or {}).get("code")


def actor_of(token: str) -> Actor:
    http = RequestFactory().get("/v1/team", headers={"Authorization": f"Bearer {token}"})
    found = RequestAuthentication().authenticate(Request(http))
    assert found is not None
    return found[1]


def _remove(t: Tenants, pair: TokenPair) -> None:
    members.membership_remove(actor=t.actor("owner"), membership_id=t.memberships[WHO].id)


def _new_password(t: Tenants, pair: TokenPair) -> None:
    user = t.users[WHO]
    passwords.password_set(
        user=user,
        token=passwords.reset_link_issue(user=user),
        password="another long password 91",
        place=make_place(),
    )


def _log_out(t: Tenants, pair: TokenPair) -> None:
    sessions.jwt_logout(refresh_token=pair.refresh_token)


def _reuse(t: Tenants, pair: TokenPair) -> None:
    sessions.jwt_refresh(refresh_token=pair.refresh_token, ip=None)
    with pytest.raises(errors.AuthenticationFailed):
        sessions.jwt_refresh(refresh_token=pair.refresh_token, ip=None)


def _change(t: Tenants, action: PersonAction) -> None:
    support = t.actor("support", level="platform")
    with tenant_atomic(Scope.staff()):
        people.person_change(
            actor=support, action=action, user_id=t.users[WHO].id, reason="lost the phone"
        )


def _deactivate(t: Tenants, pair: TokenPair) -> None:
    _change(t, PersonAction.DEACTIVATE)


def _reset_second_factor(t: Tenants, pair: TokenPair) -> None:
    _change(t, PersonAction.RESET_SECOND_FACTOR)


@pytest.mark.parametrize(
    "end", [_remove, _new_password, _log_out, _reuse, _deactivate, _reset_second_factor]
)
def test_what_ends_the_login_ends_its_access_token_with_the_next_request(
    end: Callable[[Tenants, TokenPair], None],
) -> None:
    t = make_tenants(totp=True)
    pair, other = log_in(t), t.access_token("merchant.viewer")
    assert answer_to(pair.access_token) == (200, None)
    end(t, pair)
    assert answer_to(pair.access_token) == (401, "token_revoked")
    assert answer_to(other) == (200, None)


def test_the_logins_of_a_lost_authenticator_stay_ended_when_a_new_one_is_enrolled() -> None:
    t = make_tenants(totp=True)
    pair = log_in(t)
    _reset_second_factor(t, pair)
    secret = totp.new_secret()
    second_factor.enrolment_confirm(
        user=t.users[WHO],
        secret=secret,
        code=totp.code_at(secret),
        actor=t.actor("admin"),
    )
    assert answer_to(pair.access_token) == (401, "token_revoked")
    with pytest.raises(errors.AuthenticationFailed) as caught:
        sessions.jwt_refresh(refresh_token=pair.refresh_token, ip=None)
    assert caught.value.code == "refresh_token_invalid"


def test_a_refreshed_login_keeps_the_access_token_that_is_out() -> None:
    t = make_tenants()
    pair = log_in(t)
    again = sessions.jwt_refresh(refresh_token=pair.refresh_token, ip=None)
    assert answer_to(pair.access_token) == answer_to(again.access_token) == (200, None)


def test_a_new_role_counts_with_the_next_request() -> None:
    t = make_tenants()
    token = log_in(t).access_token
    assert actor_of(token).role == "admin"
    members.membership_change_role(
        actor=t.actor("owner"), membership_id=t.memberships[WHO].id, role="viewer"
    )
    now = actor_of(token)
    assert now.role == "viewer"
    assert "keys.write" not in now.scopes


def test_an_agent_loses_a_merchant_with_the_next_request() -> None:
    t = make_tenants()
    member = t.memberships["reseller.viewer"]
    owner = t.actor("owner", level="reseller")
    members.agent_set(actor=owner, membership_id=member.id, merchant_ids=[t.merchant.id])
    token = log_in(t, "reseller.viewer", tenant=t.merchant.public_id).access_token
    assert actor_of(token).merchant_id == t.merchant.id
    other = make_merchant(t)
    members.agent_set(actor=owner, membership_id=member.id, merchant_ids=[other.merchant.id])
    assert answer_to(token) == (401, "token_revoked")


def test_a_revoked_machine_client_is_out_with_the_next_request() -> None:
    t = make_tenants()
    row, secret = api_keys.machine_client_create(
        actor=t.actor("owner"), name="Export", scopes=["team.read", "payments.read"]
    )
    pair = sessions.machine_session(
        client_id=row.client_id, client_secret=secret, place=make_place()
    )
    assert actor_of(pair.access_token).id == row.public_id
    api_keys.machine_client_revoke(actor=t.actor("owner"), client_id=row.id)
    assert answer_to(pair.access_token) == (401, "token_revoked")


@pytest.mark.parametrize("model", [Merchant, Reseller])
def test_a_closed_account_is_out_with_the_next_request(
    model: type[Merchant] | type[Reseller],
) -> None:
    t = make_tenants()
    token = log_in(t).access_token
    closed = t.merchant.id if model is Merchant else t.reseller.id
    with tenant_atomic(Scope.staff()):
        model.objects.filter(id=closed).update(status="closed")
    assert answer_to(token) == (401, "account_closed")


@pytest.mark.parametrize("name", ["merchant.viewer", "reseller.viewer"])
def test_a_token_is_judged_by_one_statement(name: str) -> None:
    token = make_tenants(totp=True).access_token(name)
    with CaptureQueriesContext(connection) as queries:
        actor_of(token)
    assert len(queries) == 1
