"""What reaches Django: whole requests, headers that mean one thing, in the tenant's turn."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler

from core import deadline
from core.serving import web
from core.serving.callers import note_tenant
from core.serving.web import MAX_BODY_BYTES, WebGate
from tests.api import Api, new_api
from tests.core.support import eventually
from tests.serving.asgi import Exchange, post

LIMIT_S = 60


class Echo:
    """A WSGI application that answers with what it was given, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.calls += 1
        shown = {key: value for key, value in environ.items() if isinstance(value, str)}
        shown["body"] = environ["wsgi.input"].read().decode()
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(shown).encode()]


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def gate(echo: Echo) -> WebGate:
    return WebGate(echo, slots=2, body_within_s=0.05)


# --- bodies


async def test_a_body_that_does_not_arrive_takes_no_thread(gate: WebGate, echo: Echo) -> None:
    slow = [
        Exchange("POST", "/v1/auth/login", [(b"content-length", b"1000")], (b"{",), ends=False)
        for _ in range(20)
    ]

    await asyncio.gather(*(each.through(gate) for each in slow))

    assert {each.status for each in slow} == {408}
    assert slow[0].json["error"]["code"] == "body_timeout"
    assert slow[0].header("connection") == "close"
    assert echo.calls == 0
    assert gate.pool.figures()["threads"] == 0
    assert gate._held_bytes == 0


async def test_others_are_answered_while_bodies_do_not_arrive(echo: Echo) -> None:
    gate = WebGate(echo, slots=1, body_within_s=LIMIT_S)
    slow = [
        asyncio.create_task(
            Exchange("POST", "/x", [(b"content-length", b"9")], (b"{",), ends=False).through(gate)
        )
        for _ in range(50)
    ]
    await asyncio.sleep(0)

    answered = await Exchange().through(gate)

    assert answered.status == 200
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert gate._held_bytes == 0


async def test_a_body_longer_than_any_is_refused_before_it_is_read(gate: WebGate) -> None:
    length = str(MAX_BODY_BYTES + 1).encode()
    refused = await Exchange("POST", "/v1/payments", [(b"content-length", length)], ()).through(
        gate
    )
    assert (refused.status, refused.json["error"]["code"]) == (413, "payload_too_large")


async def test_an_endless_body_in_chunks_is_refused_at_the_limit(gate: WebGate, echo: Echo) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 65_536 + 1):
            yield b"a" * 65_536

    refused = await Exchange(
        "POST", "/v1/payments", [(b"transfer-encoding", b"chunked")], endless(), ends=False
    ).through(gate)

    assert (refused.status, echo.calls, gate._held_bytes) == (413, 0, 0)


async def test_a_body_in_chunks_has_its_length_for_the_application(gate: WebGate) -> None:
    sent = await Exchange(
        "POST", "/x", [(b"transfer-encoding", b"chunked")], (b'{"a"', b": 1}")
    ).through(gate)
    assert sent.json["body"] == '{"a": 1}'
    assert sent.json["CONTENT_LENGTH"] == "8"
    assert "HTTP_TRANSFER_ENCODING" not in sent.json


async def test_too_much_held_for_others_is_busy_and_not_out_of_memory(
    gate: WebGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAX_HELD_BYTES", 10)
    refused = await post("/v1/payments", b"12345678901").through(gate)
    assert (refused.status, refused.json["error"]["code"]) == (503, "busy")
    assert refused.header("retry-after") == "1"
    assert gate._held_bytes == 0


# --- headers


async def test_a_name_with_an_underscore_does_not_pass_for_another(gate: WebGate) -> None:
    lines = [(b"X_Forwarded_For", b"198.51.100.1"), (b"X-Forwarded-For", b"203.0.113.9")]
    seen = (await Exchange(headers=lines).through(gate)).json
    assert seen["HTTP_X_FORWARDED_FOR"] == "203.0.113.9"
    only = (await Exchange(headers=lines[:1]).through(gate)).json
    assert "HTTP_X_FORWARDED_FOR" not in only


@pytest.mark.parametrize(
    "name", ["Authorization", "Host", "Idempotency-Key", "X-Merchantry-Nonce", "Stripe-Signature"]
)
async def test_a_header_with_one_value_comes_once(gate: WebGate, echo: Echo, name: str) -> None:
    lines = [(name.lower().encode(), b"a"), (name.encode(), b"b")]
    refused = await Exchange(target="/v1/payments", headers=lines).through(gate)
    assert (refused.status, refused.json["error"]["code"]) == (400, "header_repeated")
    assert name.lower() in refused.json["error"]["message"]
    assert echo.calls == 0


async def test_lists_are_joined_in_their_order(gate: WebGate) -> None:
    lines = [
        (b"x-forwarded-for", b"1.1.1.1"),
        (b"cookie", b"a=1"),
        (b"x-forwarded-for", b"2.2.2.2"),
        (b"cookie", b"b=2"),
    ]
    seen = (await Exchange(headers=lines).through(gate)).json
    assert seen["HTTP_X_FORWARDED_FOR"] == "1.1.1.1, 2.2.2.2"
    assert seen["HTTP_COOKIE"] == "a=1; b=2"


async def test_the_target_is_kept_as_it_was_on_the_wire(gate: WebGate) -> None:
    seen = (await Exchange(target="/v1/%69ntents/%C3%BC?x=%41").through(gate)).json
    assert seen["RAW_URI"] == "/v1/%69ntents/%C3%BC?x=%41"
    # WSGI's way to carry bytes (PEP 3333).
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/v1/intents/ü"
    assert seen["QUERY_STRING"] == "x=%41"


async def test_a_head_has_no_body(gate: WebGate) -> None:
    assert (await Exchange("HEAD").through(gate)).body == b""


# --- turns


class Held:
    """An application whose requests stay until they are let go; it knows each key's tenant."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.changed = threading.Condition()
        self.open = False

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        tenant = environ.get("HTTP_AUTHORIZATION", "").partition(":")[0]
        if tenant:
            note_tenant(tenant)
        with self.changed:
            self.inside.append(path)
            self.changed.notify_all()
            if path == "/stay":
                assert self.changed.wait_for(lambda: self.open, LIMIT_S)
        start("200 OK", [])
        return [b""]

    def let_go(self) -> None:
        with self.changed:
            self.open = True
            self.changed.notify_all()


def by(credential: str, target: str, address: str = "127.0.0.1") -> Exchange:
    return Exchange(
        target=target, headers=[(b"authorization", credential.encode())], client=(address, 1)
    )


async def until(app: Held, holds: Callable[[], bool]) -> None:
    """Wait, without the loop, for what threads do."""

    def wait() -> bool:
        with app.changed:
            return app.changed.wait_for(holds, LIMIT_S)

    assert await asyncio.to_thread(wait)


async def test_all_keys_of_a_tenant_share_its_slots() -> None:
    app = Held()
    gate = WebGate(app, slots=4)
    # Each of the keys is known from an earlier request.
    for number in range(8):
        await by(f"greedy:{number}", "/once").through(gate)
    stays = [asyncio.create_task(by(f"greedy:{n}", "/stay").through(gate)) for n in range(8)]
    await until(app, lambda: app.inside.count("/stay") == 4)

    answered = await by("other:1", "/once").through(gate)

    assert answered.status == 200
    assert app.inside.count("/stay") == 4
    app.let_go()
    assert {exchange.status for exchange in await asyncio.gather(*stays)} == {200}


async def test_invented_credentials_share_the_slots_of_their_address() -> None:
    app = Held()
    gate = WebGate(app, slots=4)
    stays = [
        asyncio.create_task(
            Exchange(target="/stay", headers=[(b"x-merchantry-key-id", b"%d" % n)]).through(gate)
        )
        for n in range(12)
    ]
    await until(app, lambda: app.inside.count("/stay") == 4)

    answered = await Exchange(target="/once", client=("198.51.100.7", 1)).through(gate)

    assert answered.status == 200
    assert app.inside.count("/stay") == 4
    app.let_go()
    await asyncio.gather(*stays)


async def test_health_answers_while_every_slot_is_taken() -> None:
    app = Held()
    gate = WebGate(app, slots=1)
    stay = asyncio.create_task(Exchange(target="/stay").through(gate))
    await until(app, lambda: "/stay" in app.inside)

    assert (await Exchange(target="/health/live").through(gate)).status == 200

    app.let_go()
    await stay


async def test_a_request_that_waited_too_long_is_not_begun(settings: Any) -> None:
    settings.REQUEST_DEADLINE_S = 0.0
    app = Held()
    refused = await Exchange(target="/v1/payments").through(WebGate(app, slots=1))
    assert (refused.status, refused.json["error"]["code"]) == (503, "busy")
    assert app.inside == []


# --- answers


class Pieces:
    """A streaming answer of Django's kind."""

    streaming = True

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces, self.closed = pieces, False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def close(self) -> None:
        self.closed = True


async def test_a_stream_is_sent_piece_by_piece_and_closed() -> None:
    stream = Pieces([b"a" * 10, b"b" * 10])

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", "text/csv")])
        return stream

    sent = await Exchange().through(WebGate(app, slots=1))

    assert [message.get("body") for message in sent.sent[1:]] == [b"a" * 10, b"b" * 10, b""]
    assert sent.header("content-type") == "text/csv"
    # The thread closes it after its last piece.
    eventually(lambda: stream.closed)


async def test_a_stream_outlasts_the_requests_deadline() -> None:
    """A statement may take longer to send than any answer may take to begin."""
    left: list[float | None] = []

    def pieces() -> Iterator[bytes]:
        left.append(deadline.remaining_s())
        yield b"first"

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        left.append(deadline.remaining_s())
        start("200 OK", [])
        return Pieces(pieces())

    await Exchange().through(WebGate(app, slots=1))
    assert left[0] is not None
    assert left[1] is None


async def test_one_whose_turn_never_comes_is_answered(settings: Any) -> None:
    settings.REQUEST_DEADLINE_S = 0.2
    app = Held()
    gate = WebGate(app, slots=1)
    stay = asyncio.create_task(Exchange(target="/stay").through(gate))
    await until(app, lambda: "/stay" in app.inside)

    waited = await Exchange(target="/v1/payments").through(gate)

    assert (waited.status, waited.json["error"]["code"]) == (503, "busy")
    app.let_go()
    await stay
    assert "/v1/payments" not in app.inside


async def test_a_stream_that_breaks_breaks_the_connection() -> None:
    def broken() -> Iterator[bytes]:
        yield b"first"
        raise ValueError("planned")

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        return Pieces(broken())

    exchange = Exchange()
    with pytest.raises(ConnectionAbortedError):
        await exchange.through(WebGate(app, slots=1))
    assert exchange.sent[-1]["more_body"] is True


@pytest.mark.parametrize("error", [ValueError("planned"), SystemExit(1)])
async def test_a_handler_that_fails_is_answered_with_500(error: BaseException) -> None:
    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        raise error

    failed = await Exchange(target="/v1/payments").through(WebGate(app, slots=1))
    assert (failed.status, failed.json["error"]["code"]) == (500, "internal_error")


# --- with Django behind it


def ask(api: Api, path: str, body: bytes, *pieces: bytes) -> Exchange:
    headers = {
        "host": "testserver",
        "content-type": "application/json",
        "authorization": f"Bearer {api.tenants.secret_key_test}",
        "idempotency-key": secrets.token_hex(16),
    }
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    exchange = Exchange(
        "POST", path, [*lines, (b"transfer-encoding", b"chunked")], pieces or (body,)
    )
    asyncio.run(exchange.through(WebGate(WSGIHandler(), slots=1)))
    return exchange


def test_a_part_sent_in_chunks_captures_that_part_and_not_everything(database: str) -> None:
    api = new_api()
    held = api.pay(amount=1_000, capture_method="manual").json()["data"]
    captured = ask(api, f"/v1/payments/{held['id']}/capture", b"", b'{"amount"', b": 400}")
    assert captured.status == 200, captured.body
    assert captured.json["data"]["amount_captured"] == 400


def test_a_body_above_the_limit_of_the_api_is_named(database: str) -> None:
    refused = ask(new_api(), "/v1/payments", b"a" * 300_000)
    assert (refused.status, refused.json["error"]["code"]) == (413, "payload_too_large")
