"""Websockets of the portal: `/ws/payments/{id}` and `/ws/activity`.

A socket needs the same session as the pages, with the same limits, seat and second factor. Foreign
origins are refused before a consumer runs (config/asgi.py). While a socket is open, session, seat
and document are checked again every 20 s: a logout, 15 idle minutes or a lost membership closes it,
and so does a minute without a completed check. The number of sockets of a person is limited. At
most one push waits for a page that reads slowly: a push says only that something changed, so the
newest replaces those before it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import structlog
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.module_loading import import_string
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.models import Device

from core.context import Actor
from notifications.realtime import activity_group, document_group, may_listen
from notifications.socket_limits import CLOSE_TOO_MANY, people
from tenants.middleware import session_expired
from tenants.models import Level, User
from tenants.seats import resolve_seat, second_factor_due

log = structlog.get_logger(__name__)

RECHECK_S: Final = 20.0
#: How long a socket stays open after its last completed check: three failures end it.
UNCHECKED_MAX_S: Final = 60.0
CLOSE_NOT_LOGGED_IN: Final = 4401
CLOSE_NOT_FOUND: Final = 4404
#: Not 44xx, which pages take for a refusal: after this one they poll, and try again.
CLOSE_NOT_CHECKED: Final = 4503
#: The gap between two messages of a burst of pushes; a page fetches itself no more often anyway.
PUSH_GAP_S: Final = 0.5
#: A page sends nothing; a client that sends this many messages is not a page.
MAX_RECEIVED: Final = 100


@dataclass(frozen=True, slots=True)
class Listener:
    """The listening actor, as the session gives it now."""

    actor: Actor
    session_key: str


class PortalConsumer(AsyncJsonWebsocketConsumer):
    """Accepts a logged-in person from our own pages, and closes when the login ends."""

    permission: str = ""
    group: str | None = None
    _watch: asyncio.Task[None] | None = None
    _person: str | None = None
    _newest: dict[str, Any] | None = None
    _pushing: asyncio.Task[None] | None = None
    _received: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Whatever ended the socket, it no longer counts against the person's limit.
            if self._person is not None:
                people.give_back(self._person)

    async def connect(self) -> None:
        listener = await self._listener()
        if listener is None:
            await self._refuse(CLOSE_NOT_LOGGED_IN)
            return
        if not people.take(listener.actor.id, most=settings.WS_PER_PERSON):
            await self._refuse(CLOSE_TOO_MANY)
            return
        self._person = listener.actor.id
        group = await database_sync_to_async(self.group_for)(listener.actor)
        if group is None:
            await self._refuse(CLOSE_NOT_FOUND)
            return
        self.group = group
        await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()
        self._watch = asyncio.create_task(self._recheck())

    async def disconnect(self, code: int) -> None:
        for task in (self._watch, self._pushing):
            if task is not None:
                task.cancel()
        if self.group is not None:
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(self, text_data: Any = None, bytes_data: Any = None, **_: Any) -> None:
        """Read and drop what the client sends; close the socket at `MAX_RECEIVED` messages."""
        self._received += 1
        if self._received == MAX_RECEIVED:
            await self.close(code=CLOSE_TOO_MANY)

    async def event_push(self, message: dict[str, Any]) -> None:
        self._newest = message["event"]
        if self._pushing is None or self._pushing.done():
            self._pushing = asyncio.create_task(self._push())

    async def _push(self) -> None:
        """Send the newest event at once, and then the newest after each gap."""
        while self._newest is not None:
            event, self._newest = self._newest, None
            await self.send_json(event)
            await asyncio.sleep(PUSH_GAP_S)

    def group_for(self, actor: Actor) -> str | None:
        """The group that the actor may join, or None. Runs in a thread; may read the database."""
        raise NotImplementedError

    async def _listener(self) -> Listener | None:
        read = database_sync_to_async(current_listener)
        found: Listener | None = await read(self.scope, self.permission)
        return found

    async def _refuse(self, code: int) -> None:
        # A close code reaches the page only over an accepted socket; it then knows not to retry.
        await self.accept()
        await self.close(code=code)

    async def _recheck(self) -> None:
        """Close the socket when it may not be open any more, or when that cannot be checked."""
        clock = asyncio.get_running_loop().time
        checked_at = clock()
        while True:
            await asyncio.sleep(RECHECK_S)
            try:
                # The wait for a thread, which other checks may hold, counts too.
                async with asyncio.timeout_at(max(checked_at + UNCHECKED_MAX_S, clock())):
                    code = await self._why_to_close()
            except Exception as error:  # noqa: BLE001 - not awaited: the socket would stay
                log.warning("websocket.not_checked", error_type=type(error).__name__)
                if clock() < checked_at + UNCHECKED_MAX_S:
                    continue
                code = CLOSE_NOT_CHECKED
            if code is not None:
                await self.close(code=code)
                return
            checked_at = clock()

    async def _why_to_close(self) -> int | None:
        listener = await self._listener()
        if listener is None:
            return CLOSE_NOT_LOGGED_IN
        group = await database_sync_to_async(self.group_for)(listener.actor)
        return None if group == self.group else CLOSE_NOT_FOUND


class NothingHere(AsyncJsonWebsocketConsumer):
    """Any other address: closed with the code of a document that does not exist."""

    async def connect(self) -> None:
        await self.accept()
        await self.close(code=CLOSE_NOT_FOUND)


class PaymentConsumer(PortalConsumer):
    """Pushes when one payment changes."""

    permission = "payments.read"

    def group_for(self, actor: Actor) -> str | None:
        public_id = str(self.scope["url_route"]["kwargs"]["document_id"])
        if not public_id.startswith("pay_"):
            return None
        return document_group(public_id) if may_listen(actor, public_id) else None


class ActivityConsumer(PortalConsumer):
    """Pushes the events of the tenant and mode that the session has chosen."""

    permission = "payments.read"

    def group_for(self, actor: Actor) -> str | None:
        tenant_id = actor.merchant_id or actor.reseller_id
        return None if tenant_id is None else activity_group(tenant_id, livemode=actor.livemode)


def current_listener(scope: dict[str, Any], permission: str) -> Listener | None:
    """Read session, user and seat again; None when the socket must not be (or stay) open."""
    session_key = getattr(scope.get("session"), "session_key", None)
    if not session_key:
        return None
    request = HttpRequest()
    request.session = _session(session_key)
    if session_expired(request.session):
        return None
    # Checks the password's hash too: a changed password ends other sessions.
    user = get_user(request)
    if not isinstance(user, User) or not user.is_active:
        return None
    seat = resolve_seat(user_id=user.id, session=request.session)
    if seat is None or seat.level == Level.PLATFORM:
        return None
    verified = _second_factor_passed(request.session, user)
    if not verified and second_factor_due(user=user, seat=seat):
        return None
    actor = seat.actor(user=user, second_factor=verified, ip=(scope.get("client") or [None])[0])
    return Listener(actor, session_key) if permission in actor.scopes else None


def _second_factor_passed(session: SessionBase, user: User) -> bool:
    # As OTPMiddleware does: the device must still exist, be confirmed, and be this person's.
    persistent_id = session.get(DEVICE_ID_SESSION_KEY)
    device = Device.from_persistent_id(persistent_id) if persistent_id else None
    return device is not None and device.confirmed and device.user_id == user.pk


def _session(session_key: str) -> SessionBase:
    store: type[SessionBase] = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    return store(session_key)
