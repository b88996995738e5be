"""What the hourly purge and the rotation of keys do to logins and their secrets."""

from __future__ import annotations

import secrets
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.utils import timezone

from core import crypto, ids, rotation
from core.db import Scope, tenant_atomic
from core.retention import purge_expired
from tenants import callers, totp
from tenants.models import RefreshToken, ServiceCaller, TotpDevice
from tests.factories import make_tenants

NEW_KEY = "41:" + "Q" * 43 + "="


def test_every_sealed_column_is_reached_by_the_rotation() -> None:
    reached = {(entry.table, entry.column) for entry in rotation.sealed_columns()}
    sealed = {
        (model._meta.db_table, field.column)
        for model in apps.get_models()
        for field in model._meta.local_concrete_fields
        if str(field.column).endswith("_sealed")
    }
    assert len(sealed) >= 4
    assert sealed - reached == set()


@pytest.mark.usefixtures("own_database")
def test_authenticators_and_service_callers_outlive_the_old_master_key(settings: Any) -> None:
    t = make_tenants(totp=True, service_caller=True)
    user, old_keys = t.users["merchant.owner"], list(settings.FIELD_KEYS)
    settings.FIELD_KEYS = [NEW_KEY, *old_keys]
    crypto.forget_keys()
    assert rotation.rotate(older_than=timedelta(0)).resealed == len(t.users) + 1
    settings.FIELD_KEYS = [NEW_KEY]
    crypto.forget_keys()
    with tenant_atomic(Scope.auth()):
        device = TotpDevice.objects.get(user=user)
    opened = totp.open_secret(device.secret_sealed, user_id=user.id)
    with tenant_atomic(Scope.staff()):
        caller = ServiceCaller.objects.get(key_id=t.service_key_id)
    signing = crypto.open_sealed(
        caller.secret_sealed,
        tenant_id=crypto.PLATFORM_TENANT,
        table=callers.TABLE,
        column=callers.COLUMN,
        pk=caller.id,
    )
    assert opened == t.totp_secrets[user.id]
    assert signing == t.service_secret
    assert rotation.rotate().resealed == 0


@pytest.mark.usefixtures("own_database")
def test_refresh_tokens_go_once_their_family_has_ended() -> None:
    user = make_tenants().users["merchant.viewer"]

    def token(age_days: int, ends_in_days: int, *, used: bool = False) -> RefreshToken:
        moment = (
            ids.first_id(timezone.now() - timedelta(days=age_days)).int | 0x7000_8000_0000_0000_0000
        )
        return RefreshToken.objects.create(
            id=uuid.UUID(int=moment | secrets.randbits(40)),
            user=user,
            membership_id=ids.new_id(),
            family=ids.new_id(),
            token_digest=secrets.token_bytes(32),
            pepper_version=1,
            expires_at=timezone.now() + timedelta(days=ends_in_days),
            used_at=timezone.now() if used else None,
        )

    with tenant_atomic(Scope.auth()):
        gone = token(31, -1)
        kept = {token(31, 1, used=True).id, token(1, 29).id}
    assert purge_expired()["tenants_refreshtoken"] == 1
    with tenant_atomic(Scope.auth()):
        left = set(RefreshToken.objects.filter(user=user).values_list("id", flat=True))
    assert left == kept
    assert gone.id not in left


@pytest.mark.usefixtures("own_database")
def test_sessions_go_when_they_have_expired() -> None:
    now = timezone.now()
    gone, kept = (
        Session.objects.create(
            session_key=secrets.token_hex(16),
            session_data="x",
            expire_date=now + timedelta(hours=hours),
        )
        for hours in (-1, 1)
    )
    assert purge_expired()["django_session"] == 1
    left = set(Session.objects.values_list("session_key", flat=True))
    assert kept.session_key in left
    assert gone.session_key not in left
