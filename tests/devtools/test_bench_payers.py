"""The client of `./dev bench faults` repeats what broke under one key until it has an end."""

from __future__ import annotations

import contextlib
import http.server
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devtools.bench import _payers
from devtools.bench.faults import _beyond_first, _gap_s
from devtools.ports import HOST
from tests.listening import listening

_Say = Callable[[http.server.BaseHTTPRequestHandler], None]


class Platform(http.server.ThreadingHTTPServer):
    """Answers each request with the next of its answers and keeps what was asked."""

    daemon_threads = True

    def __init__(self, *answers: _Say) -> None:
        super().__init__((HOST, 0), _Handler)
        self.answers = list(answers)
        self.asked: list[tuple[str, str | None]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Platform

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((f"{self.command} {self.path}", self.headers["Idempotency-Key"]))
        self.server.answers.pop(0)(self)

    do_GET = do_POST  # noqa: N815 - the base class names it

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _answer(status: int, body: dict[str, Any], retry_after: str = "") -> _Say:
    def say(handler: http.server.BaseHTTPRequestHandler) -> None:
        content = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        if retry_after:
            handler.send_header("Retry-After", retry_after)
        handler.end_headers()
        handler.wfile.write(content)

    return say


def _payment(http_status: int, status: str) -> _Say:
    return _answer(http_status, {"data": {"id": "pay_1", "status": status}})


def _refusal(http_status: int, code: str) -> _Say:
    return _answer(http_status, {"error": {"code": code}}, retry_after="0")


def _hang_up(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


@pytest.fixture
def serve() -> Iterator[Callable[..., Platform]]:
    with contextlib.ExitStack() as stack:

        def start(*answers: _Say) -> Platform:
            server = Platform(*answers)
            stack.enter_context(listening(server))
            return server

        yield start


def _pay(server: Platform, *, give_up_s: float = 60) -> dict[str, Any]:
    return _payers.run(
        {
            "port": server.server_address[1],
            "key": "mk_sk_test_1",
            "per_s": 20,
            "clients": 1,
            "give_up_s": give_up_s,
            "bodies": [{"amount": 5, "reference": "order-1"}],
        }
    )


def test_what_broke_or_was_refused_for_now_is_repeated_under_the_same_key(
    serve: Callable[..., Platform],
) -> None:
    server = serve(
        _hang_up,
        _refusal(503, "database_unavailable"),
        _refusal(409, "idempotency_key_in_flight"),
        _payment(201, "completed"),
    )

    outcome = _pay(server)

    (paid,) = outcome["payments"]
    assert server.asked == [("POST /v1/payments", "order-1")] * 4
    assert paid["seen"] == [
        "ConnectionError",
        "503 database_unavailable",
        "409 idempotency_key_in_flight",
    ]
    assert (paid["id"], paid["status"]) == ("pay_1", "completed")
    assert outcome["answers"] == [pytest.approx(paid["ended"], abs=1)]


def test_a_payment_under_way_is_looked_up_until_it_has_an_end(
    serve: Callable[..., Platform],
) -> None:
    server = serve(_payment(202, "processing"), _payment(200, "completed"))

    outcome = _pay(server)

    (paid,) = outcome["payments"]
    assert server.asked == [("POST /v1/payments", "order-1"), ("GET /v1/payments/pay_1", None)]
    assert (paid["status"], paid["seen"]) == ("completed", ["202 processing"])
    assert len(outcome["answers"]) == 1


def test_a_refusal_for_good_ends_a_payment(serve: Callable[..., Platform]) -> None:
    (paid,) = _pay(serve(_refusal(402, "card_declined")))["payments"]

    assert (paid["id"], paid["status"]) == (None, "card_declined")
    assert paid["ended"] is not None


def test_a_payment_without_an_answer_is_given_up(serve: Callable[..., Platform]) -> None:
    (paid,) = _pay(serve(*[_hang_up] * 50), give_up_s=1)["payments"]

    assert (paid["id"], paid["ended"]) == (None, None)


def test_the_gap_is_the_longest_time_between_answers_but_for_the_pace() -> None:
    assert _gap_s({"began": 10.0, "ended": 20.0, "answers": [10.05, 10.1, 12.15, 12.2]}) == 2.0


def test_without_any_answer_the_gap_is_the_whole_time() -> None:
    assert _gap_s({"began": 10.0, "ended": 20.0, "answers": []}) == 10.0


def test_what_exists_more_than_once_is_counted_beyond_the_first() -> None:
    assert _beyond_first(["a", "b", "a", "a"]) == 2
