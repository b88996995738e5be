"""Sessions: the table holds digests of keys, and data that is good in its own row alone."""

from __future__ import annotations

import re
from datetime import timedelta

import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from tenants.sessions_backend import SessionStore, stored_key
from tests.factories import make_tenants
from tests.tenants.test_permission_table import browser_for


@pytest.fixture
def session() -> SessionStore:
    made = SessionStore()
    made["word"] = "tomato"
    made.save()
    return made


def key_of(session: SessionStore) -> str:
    assert session.session_key is not None
    return session.session_key


def test_a_session_is_found_by_its_key_and_the_table_does_not_hold_it(
    session: SessionStore, admin_dsn: str
) -> None:
    key = key_of(session)
    assert SessionStore(key)["word"] == "tomato"
    with psycopg.connect(admin_dsn) as conn:
        rows = conn.execute("SELECT session_key, session_data FROM django_session").fetchall()
    assert stored_key(key) in {row[0] for row in rows}
    assert not [row for row in rows if key in row[0] or key in row[1]]
    assert all(re.fullmatch(r"[0-9a-f]{40}", row[0]) for row in rows if len(row[0]) == 40)


def test_what_the_table_says_is_no_key(session: SessionStore) -> None:
    assert SessionStore(stored_key(key_of(session))).load() == {}


def test_the_browser_of_a_person_is_nobody_with_the_stored_key() -> None:
    t = make_tenants(totp=True)
    client = browser_for(t, "merchant", "viewer")
    assert client.get("/").status_code == 200
    thief = Client()
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    thief.cookies[settings.SESSION_COOKIE_NAME] = stored_key(cookie)
    assert thief.get("/").headers["Location"].startswith("/login")
    thief.cookies[settings.SESSION_COOKIE_NAME] = cookie
    assert thief.get("/").status_code == 200


def test_the_data_of_another_row_opens_nothing(session: SessionStore) -> None:
    other = SessionStore()
    other.save()
    data = Session.objects.get(session_key=stored_key(key_of(session))).session_data
    Session.objects.filter(session_key=stored_key(key_of(other))).update(session_data=data)
    assert SessionStore(key_of(other)).load() == {}
    assert SessionStore(key_of(session)).load() == {"word": "tomato"}


def test_a_made_up_key_becomes_no_session() -> None:
    invented = SessionStore("x" * 32)
    assert invented.load() == {}
    assert invented.session_key is None


def test_an_expired_session_is_none(session: SessionStore) -> None:
    Session.objects.filter(session_key=stored_key(key_of(session))).update(
        expire_date=timezone.now() - timedelta(seconds=1)
    )
    assert SessionStore(key_of(session)).load() == {}


def test_a_new_key_keeps_the_data_and_ends_the_old_one(session: SessionStore) -> None:
    old = key_of(session)
    session.cycle_key()
    session.save()
    assert SessionStore(old).load() == {}
    assert SessionStore(key_of(session))["word"] == "tomato"


def test_a_deleted_session_is_gone(session: SessionStore) -> None:
    key = key_of(session)
    assert session.exists(key)
    session.delete()
    assert not session.exists(key)
    session.delete("never-there")


def test_asynchronous_code_reads_and_writes_the_same_rows() -> None:
    async def work() -> tuple[str | None, bool, dict[str, object], bool]:
        made = SessionStore()
        await made.aset("word", "leek")
        await made.asave()
        key = made.session_key or ""
        found = await made.aexists(key), await SessionStore(key).aload()
        await made.adelete()
        return key, *found, await made.aexists(key)

    key, existed, held, exists = async_to_sync(work)()
    assert (existed, held, exists) == (True, {"word": "leek"}, False)
    assert key
