"""Websockets over the real channel layer: who gets in, what is pushed, and when it ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection
from django_otp import DEVICE_ID_SESSION_KEY
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from structlog.testing import capture_logs

from config.asgi import application
from core.context import Actor
from notifications import consumers, realtime, socket_limits
from tenants.middleware import SESSION_SEEN, SESSION_STARTED
from tenants.models import TotpDevice, User
from tenants.sessions_backend import SessionStore
from tests.core.support import drain, emit, eventually
from tests.factories import Tenants, make_tenants
from tests.threads import no_more_threads

ORIGIN = django_settings.BASE_URL


@pytest.fixture(autouse=True)
def _payments_of_their_merchant(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pay_<merchant's hex>` belongs to that merchant (the real look-up is payments' own)."""

    def checker(actor: Actor, public_id: str) -> bool:
        return actor.merchant_id is not None and public_id == payment_of(actor.merchant_id)

    monkeypatch.setitem(realtime._checkers, "pay", checker)


def payment_of(merchant_id: Any) -> str:
    return f"pay_{merchant_id.hex}"


def log_in(user: User, **extra: Any) -> SessionStore:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session[SESSION_STARTED] = session[SESSION_SEEN] = int(time.time())
    session.update(extra)
    session.save()
    return session


@asynccontextmanager
async def socket(
    path: str, session: SessionStore | None, *, origin: str | None = ORIGIN
) -> AsyncIterator[WebsocketCommunicator]:
    headers = [(b"host", b"127.0.0.1:8001")]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    if session is not None:
        cookie = f"{django_settings.SESSION_COOKIE_NAME}={session.session_key}"
        headers.append((b"cookie", cookie.encode()))
    communicator = WebsocketCommunicator(application, path, headers=headers)
    yield communicator
    await communicator.disconnect()


async def closed_with(communicator: WebsocketCommunicator, *, timeout_s: float = 30) -> int:
    message = await communicator.receive_output(timeout=timeout_s)
    assert message["type"] == "websocket.close"
    return int(message["code"])


def happen(tenants: Tenants, event_type: str, aggregate: str, **payload: Any) -> None:
    emit(tenants, event_type, aggregate=aggregate, **payload)
    drain()


in_thread: Callable[..., Any] = sync_to_async


@pytest.fixture
def tenants() -> Tenants:
    return make_tenants()


async def test_a_payments_page_hears_of_its_payment_and_no_other(tenants: Tenants) -> None:
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    payment = payment_of(tenants.merchant.id)
    async with socket(f"/ws/payments/{payment}", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        await in_thread(happen)(tenants, "payment.created", "pay_other")
        await in_thread(happen)(
            tenants, "payment.completed", payment, status="completed", amount=5, email="a@b.c"
        )
        pushed = await page.receive_json_from(timeout=30)
        assert await page.receive_nothing(timeout=0.2)

    assert (pushed["type"], pushed["object"]) == ("payment.completed", payment)
    assert pushed["status"] == "completed"
    assert set(pushed) == {"id", "type", "object", "status", "created_at"}


async def test_activity_is_of_the_own_tenant_and_mode(tenants: Tenants) -> None:
    session = await in_thread(log_in)(tenants.users["merchant.developer"])
    stranger = await in_thread(make_tenants)()
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        await in_thread(happen)(stranger, "payment.created", "pay_foreign")
        await in_thread(happen)(tenants, "payment.created", "pay_own")
        pushed = await page.receive_json_from(timeout=30)
        assert await page.receive_nothing(timeout=0.2)
    assert pushed["object"] == "pay_own"


async def test_what_is_internal_reaches_no_page(tenants: Tenants) -> None:
    session = await in_thread(log_in)(tenants.users["merchant.developer"])
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        await in_thread(happen)(tenants, "user.password_reset_requested", "usr_own")
        await in_thread(happen)(tenants, "merchant.status_changed", "mer_own")
        pushed = await page.receive_json_from(timeout=30)
    assert pushed["type"] == "merchant.status_changed"


async def test_a_reseller_hears_of_its_merchants(tenants: Tenants) -> None:
    session = await in_thread(log_in)(tenants.users["reseller.viewer"])
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        await in_thread(happen)(tenants, "payment.created", "pay_own")
        assert (await page.receive_json_from(timeout=30))["object"] == "pay_own"


@pytest.mark.parametrize(
    "origin", [None, "", "null", "https://evil.example", ORIGIN + ".evil.example"]
)
async def test_a_foreign_page_gets_no_socket(tenants: Tenants, origin: str | None) -> None:
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    async with socket("/ws/activity", session, origin=origin) as page:
        assert (await page.connect(timeout=30))[0] is False


async def test_a_foreign_page_is_turned_away_before_the_session_is_read(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    looked: list[str] = []

    def load(self: SessionStore) -> dict[str, Any]:
        looked.append(str(self.session_key))
        return {}

    monkeypatch.setattr(SessionStore, "load", load)
    async with socket("/ws/activity", session, origin="https://evil.example") as page:
        assert (await page.connect(timeout=30))[0] is False
    assert looked == []


#: Both limits of a session: seconds since it was last used, and since it began.
LIMITS = pytest.mark.parametrize(
    ("mark", "limit"),
    [(SESSION_SEEN, "SESSION_IDLE_TIMEOUT_S"), (SESSION_STARTED, "SESSION_COOKIE_AGE")],
)


@LIMITS
async def test_a_session_that_has_ended_gets_no_socket(
    tenants: Tenants, mark: str, limit: str
) -> None:
    too_long_ago = int(time.time()) - getattr(django_settings, limit) - 1
    viewer = tenants.users["merchant.viewer"]
    session = await in_thread(log_in)(viewer, **{mark: too_long_ago})
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        assert await closed_with(page) == consumers.CLOSE_NOT_LOGGED_IN


@LIMITS
async def test_a_session_that_ends_ends_its_open_sockets(
    tenants: Tenants, mark: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_S", 0.1)
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        assert await page.receive_nothing(timeout=0.3)
        session[mark] = int(time.time()) - getattr(django_settings, limit) - 1
        await in_thread(session.save)()
        assert await closed_with(page) == consumers.CLOSE_NOT_LOGGED_IN


async def test_without_a_session_there_is_no_socket(tenants: Tenants) -> None:
    forged = SessionStore(session_key="x" * 32)
    for session in (None, forged):
        async with socket("/ws/activity", session) as page:
            assert (await page.connect(timeout=30))[0] is True
            assert await closed_with(page) == consumers.CLOSE_NOT_LOGGED_IN


async def test_who_needs_a_second_factor_needs_it_here_too() -> None:
    tenants = await in_thread(make_tenants)(totp=True)
    owner, viewer = tenants.users["merchant.owner"], tenants.users["merchant.viewer"]
    devices = {
        user.id: (await TotpDevice.objects.aget(user=user)).persistent_id
        for user in (owner, viewer)
    }
    for extra in (
        {},
        {DEVICE_ID_SESSION_KEY: "tenants.totpdevice/0"},
        {DEVICE_ID_SESSION_KEY: "nonsense"},
        {DEVICE_ID_SESSION_KEY: devices[viewer.id]},
    ):
        session = await in_thread(log_in)(owner, **extra)
        async with socket("/ws/activity", session) as page:
            await page.connect(timeout=30)
            assert await closed_with(page) == consumers.CLOSE_NOT_LOGGED_IN, extra
    session = await in_thread(log_in)(owner, **{DEVICE_ID_SESSION_KEY: devices[owner.id]})
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        assert await page.receive_nothing(timeout=0.2)


async def test_another_tenants_payment_does_not_exist(tenants: Tenants) -> None:
    stranger = await in_thread(make_tenants)()
    session = await in_thread(log_in)(stranger.users["merchant.viewer"])
    for path in (
        f"/ws/payments/{payment_of(tenants.merchant.id)}",
        "/ws/payments/pay_unknown",
        "/ws/payments/ref_1",
        "/ws/payments/pay_..%00",
    ):
        async with socket(path, session) as page:
            await page.connect(timeout=30)
            assert await closed_with(page) == consumers.CLOSE_NOT_FOUND, path


async def test_a_logout_ends_open_sockets(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_S", 0.1)
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        await asyncio.sleep(0.3)
        await in_thread(session.flush)()
        assert await closed_with(page) == consumers.CLOSE_NOT_LOGGED_IN


async def test_a_lost_right_ends_open_sockets(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_S", 0.1)
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    async with socket(f"/ws/payments/{payment_of(tenants.merchant.id)}", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        monkeypatch.setitem(realtime._checkers, "pay", lambda *_: False)
        assert await closed_with(page) == consumers.CLOSE_NOT_FOUND


@asynccontextmanager
async def outage(admin_dsn: str) -> AsyncIterator[None]:
    """The thread that checks sessions loses its connection and gets no other."""
    pid = await database_sync_to_async(lambda: connection.connection.info.backend_pid)()
    name = sql.Identifier(str(conninfo_to_dict(admin_dsn)["dbname"]))
    # A database cannot be closed from within.
    elsewhere = make_conninfo(admin_dsn, dbname="postgres")
    admin = await psycopg.AsyncConnection.connect(elsewhere, autocommit=True)
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    async with admin:
        await admin.execute(allow.format(name, sql.Literal(False)))
        try:
            await admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
            yield
        finally:
            await admin.execute(allow.format(name, sql.Literal(True)))


async def test_sessions_are_checked_again_after_an_outage_of_the_database(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch, admin_dsn: str
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_S", 0.1)
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        with capture_logs() as logs:
            async with outage(admin_dsn):
                await asyncio.to_thread(
                    eventually,
                    lambda: sum(line["event"] == "websocket.not_checked" for line in logs) > 1,
                )
        assert await page.receive_nothing(timeout=0.3)
        await database_sync_to_async(session.flush)()
        assert await closed_with(page) == consumers.CLOSE_NOT_LOGGED_IN


async def test_a_socket_that_cannot_be_checked_for_long_is_closed(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch, admin_dsn: str
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_S", 0.1)
    monkeypatch.setattr(consumers, "UNCHECKED_MAX_S", 0.5)
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        async with outage(admin_dsn):
            assert await closed_with(page) == consumers.CLOSE_NOT_CHECKED


async def test_a_check_that_hangs_ends_the_socket_too(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_S", 0.1)
    monkeypatch.setattr(consumers, "UNCHECKED_MAX_S", 0.5)
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    let_go = threading.Event()
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        # What holds the one thread that all checks share.
        holding = asyncio.create_task(in_thread(let_go.wait)(60))
        try:
            assert await closed_with(page) == consumers.CLOSE_NOT_CHECKED
        finally:
            let_go.set()
            await holding


async def test_what_a_page_sends_means_nothing(tenants: Tenants) -> None:
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    async with socket("/ws/activity", session) as page:
        await page.connect(timeout=30)
        await page.send_to(text_data="{not json")
        await page.send_to(bytes_data=b"\x00")
        await in_thread(happen)(tenants, "payment.created", "pay_own")
        assert (await page.receive_json_from(timeout=30))["object"] == "pay_own"


@pytest.mark.parametrize("path", ["/", "/ws/", "/ws/nothing", "/ws/activity/more", "/ws/payments/"])
async def test_an_address_that_there_is_not_closes_with_4404(path: str) -> None:
    async with socket(path, None) as page:
        assert (await page.connect(timeout=30))[0] is True
        assert await closed_with(page) == consumers.CLOSE_NOT_FOUND


def test_pushes_go_on_after_the_end_of_their_thread() -> None:
    loop = realtime._PushLoop()
    ran: list[str] = []

    async def note() -> None:
        ran.append(threading.current_thread().name)

    loop.run(note(), timeout_s=30)
    first = _stopped(loop)
    loop.run(note(), timeout_s=30)
    assert ran == ["realtime-push"] * 2
    assert first.is_closed()
    _stopped(loop).close()


def _stopped(loop: realtime._PushLoop) -> asyncio.AbstractEventLoop:
    assert loop._loop is not None
    assert loop._thread is not None
    loop._loop.call_soon_threadsafe(loop._loop.stop)
    loop._thread.join(30)
    return loop._loop


async def test_a_burst_of_events_is_few_messages_and_the_newest_is_told(
    tenants: Tenants,
) -> None:
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    seen: list[str] = []
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        layer = get_channel_layer()
        assert layer is not None
        group = realtime.activity_group(tenants.merchant.id, livemode=False)
        for number in range(200):
            await layer.group_send(group, {"type": "event.push", "event": {"id": f"evt_{number}"}})
        while "evt_199" not in seen:
            seen.append((await page.receive_json_from(timeout=30))["id"])
    assert seen[0] == "evt_0"
    assert len(seen) <= 10


async def test_a_person_holds_so_many_sockets_and_no_more(tenants: Tenants, settings: Any) -> None:
    settings.WS_PER_PERSON = 2
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    other = await in_thread(log_in)(tenants.users["merchant.developer"])
    async with AsyncExitStack() as stack:
        for _ in range(2):
            page = await stack.enter_async_context(socket("/ws/activity", session))
            assert (await page.connect(timeout=30))[0] is True
            assert await page.receive_nothing(timeout=0.2)
        refused = await stack.enter_async_context(socket("/ws/activity", session))
        await refused.connect(timeout=30)
        assert await closed_with(refused) == socket_limits.CLOSE_TOO_MANY
        colleague = await stack.enter_async_context(socket("/ws/activity", other))
        assert (await colleague.connect(timeout=30))[0] is True
        assert await colleague.receive_nothing(timeout=0.2)
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        assert await page.receive_nothing(timeout=0.2), "a closed socket gives its place back"


@pytest.mark.parametrize("limit", ["WS_PER_ADDRESS", "WS_PER_PROCESS"])
async def test_sockets_too_many_are_refused_before_the_session_is_read(
    tenants: Tenants, settings: Any, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    setattr(settings, limit, 1)
    async with socket("/ws/activity", session) as page:
        assert (await page.connect(timeout=30))[0] is True
        assert await page.receive_nothing(timeout=0.2)
        monkeypatch.setattr(consumers, "current_listener", None)
        async with socket("/ws/activity", session) as refused:
            await refused.connect(timeout=30)
            assert await closed_with(refused) == socket_limits.CLOSE_TOO_MANY


async def test_who_keeps_sending_is_let_go(tenants: Tenants) -> None:
    session = await in_thread(log_in)(tenants.users["merchant.viewer"])
    async with socket("/ws/activity", session) as page:
        await page.connect(timeout=30)
        for _ in range(consumers.MAX_RECEIVED):
            await page.send_to(text_data="x")
        assert await closed_with(page) == socket_limits.CLOSE_TOO_MANY


async def test_plain_http_is_answered_without_its_body() -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    for path in ("/", "/v1/payments", "/ws/activity", "/admin/"):
        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [],
            "client": None,
        }
        sent.clear()
        await application(scope, receive, send)
        assert [message.get("status") for message in sent] == [421, None]


def test_pushes_go_on_after_their_loop_got_no_thread() -> None:
    loop, done = realtime._PushLoop(), []

    async def work() -> None:
        done.append("pushed")

    failed = work()
    with no_more_threads(), pytest.raises(RuntimeError):
        loop.run(failed, timeout_s=30)
    failed.close()
    loop.run(work(), timeout_s=30)
    assert done == ["pushed"]
