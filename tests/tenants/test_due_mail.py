"""Mails of the room are sent in the end, whatever is away when they are asked for."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core import mail as outbox
from django.core.mail.backends.smtp import EmailBackend
from django.db import connection

from core import mail as core_mail
from core.breaker import Breaker
from core.db import Scope, fetch_all, tenant_atomic
from core.ids import new_id
from core.mail import MailAway, mail_send
from core.models import OutboxEvent
from tenants import tasks
from tenants.models import DueMail, User
from tenants.services import mail
from tests.factories import make_tenants

#: A limit that only ends what hangs.
HANGS_S = 20.0


@contextmanager
def a_silent_server() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(autouse=True)
def _fresh_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_mail, "_breaker", Breaker("mail server", failures=2, open_s=600.0))


@pytest.fixture(autouse=True)
def _nothing_due(database: str) -> None:
    """What other tests have left is not looked at here."""
    with tenant_atomic(Scope.worker()):
        DueMail.objects.all().delete()


def _asked_for_reset(user: User) -> OutboxEvent:
    return OutboxEvent(
        id=new_id(), type="user.password_reset_requested", aggregate=user.public_id, payload={}
    )


def _rows() -> list[tuple[str, uuid.UUID, int]]:
    with tenant_atomic(Scope.worker()):
        return list(DueMail.objects.values_list("kind", "subject_id", "attempts"))


def _make_due() -> None:
    with tenant_atomic(Scope.worker()):
        fetch_all("UPDATE tenants_duemail SET due_at = clock_timestamp() RETURNING 1")


def test_a_mail_is_a_row_until_it_is_sent() -> None:
    user = make_tenants().users["merchant.viewer"]
    event = _asked_for_reset(user)
    tasks.on_password_reset_requested(event)
    tasks.on_password_reset_requested(event)
    assert _rows() == [("reset", user.id, 0)]
    outbox.outbox.clear()
    assert mail.mail_send_due() == 1
    assert [each.to for each in outbox.outbox] == [[user.email]]
    assert _rows() == []


def test_what_the_server_does_not_take_is_sent_later(settings) -> None:
    user = make_tenants().users["merchant.viewer"]
    tasks.on_password_reset_requested(_asked_for_reset(user))
    usual = settings.EMAIL_BACKEND
    with a_silent_server() as port:
        settings.EMAIL_BACKEND = f"{EmailBackend.__module__}.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.EMAIL_TIMEOUT = 0.2
        began = time.monotonic()
        assert mail.mail_send_due() == 0
        assert time.monotonic() - began < HANGS_S
    assert _rows() == [("reset", user.id, 1)]
    assert mail.mail_send_due() == 0, "it waits for its time"

    settings.EMAIL_BACKEND = usual
    _make_due()
    outbox.outbox.clear()
    assert mail.mail_send_due() == 1
    assert [each.to for each in outbox.outbox] == [[user.email]]


def test_what_is_too_late_is_given_up() -> None:
    user = make_tenants().users["merchant.viewer"]
    tasks.on_password_reset_requested(_asked_for_reset(user))
    with tenant_atomic(Scope.worker()):
        fetch_all("UPDATE tenants_duemail SET expires_at = clock_timestamp() RETURNING 1")
    outbox.outbox.clear()
    assert mail.mail_send_due() == 0
    assert outbox.outbox == []
    assert _rows() == []


def test_a_mail_that_raises_keeps_no_other_from_going_out(monkeypatch: pytest.MonkeyPatch) -> None:
    t = make_tenants()
    broken, fine = t.users["merchant.viewer"], t.users["merchant.owner"]
    tasks.on_password_reset_requested(_asked_for_reset(broken))
    tasks.on_password_reset_requested(_asked_for_reset(fine))
    real = mail.password_reset_mail

    def sending(*, user_id: uuid.UUID) -> bool:
        if user_id == broken.id:
            raise KeyError("a defect")
        return real(user_id=user_id)

    monkeypatch.setattr(mail, "password_reset_mail", sending)
    with pytest.raises(KeyError):
        mail.mail_send_due()
    assert mail.mail_send_due() == 1
    assert _rows() == [("reset", broken.id, 1)]


def test_two_workers_do_not_send_the_same() -> None:
    users = list(make_tenants().users.values())
    for user in users:
        tasks.on_password_reset_requested(_asked_for_reset(user))
    outbox.outbox.clear()
    sent: list[int] = []

    def work() -> None:
        try:
            sent.append(mail.mail_send_due())
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert sum(sent) == len(users)


def test_a_silent_mail_server_is_left_alone(settings) -> None:
    settings.EMAIL_BACKEND = f"{EmailBackend.__module__}.EmailBackend"
    settings.EMAIL_TIMEOUT = 0.2
    with a_silent_server() as port:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        for _ in range(2):
            with pytest.raises(OSError, match=r"timed out|Connection unexpectedly closed"):
                mail_send(to=["a@example.test"], subject="s", text="t")
        for _ in range(20):
            with pytest.raises(MailAway):
                mail_send(to=["a@example.test"], subject="s", text="t")
