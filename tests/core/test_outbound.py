"""Outbound requests to customers' addresses: what is refused, and that nothing leads it on."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import pytest

from core import deadline
from core.errors import InvalidRequest
from core.outbound import (
    OutboundFailedError,
    OutboundRefusedError,
    address_denied,
    check_public_url,
    guarded_request,
)

DENIED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2620:4f:8000::1",
]
ALLOWED = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "192.169.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("text", DENIED)
def test_denies_private_and_special_addresses(text: str) -> None:
    assert address_denied(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ALLOWED)
def test_allows_public_addresses(text: str) -> None:
    assert not address_denied(ipaddress.ip_address(text))


def test_loopback_is_the_only_thing_that_a_development_stand_adds() -> None:
    for text in DENIED:
        loopback = text in ("127.0.0.1", "127.255.255.254", "::1")
        denied = address_denied(ipaddress.ip_address(text), allow_loopback=True)
        assert denied is not loopback, text


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "//example.com",
        "example.com",
        "",
        "https://",
        "https:///path",
        "https://user:pw@example.com/",
        "https://example.com/#x",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https://localhost/",
        "https://localhost./",
        "https://db.internal/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://postgres/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[fe80::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1:8443/",
        "https://example.com:99999/",
        "https://example.com/" + "x" * 2048,
    ],
)
def test_refuses_urls_that_point_inside_or_are_none(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_public_url(url)
    assert refused.value.code == "url_not_allowed"
    assert refused.value.param == "url"
    with pytest.raises((OutboundRefusedError, OutboundFailedError)):
        guarded_request("POST", url, headers={}, timeout_s=20)


@contextmanager
def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> Iterator[list[str]]:
    """A DNS that gives each look-up the next answer, and then the last one for ever."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def fake(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if not str(host).endswith(".test"):
            return real(host, port, *args, **more)
        answer = answers[min(len(asked), len(answers) - 1)]
        asked.append(str(host))
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port))
            for a in answer
        ]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", fake)
        yield asked


def test_a_public_name_with_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:10.0.0.1"], ["2002:a00:1::"]):
        with resolving(monkeypatch, answer), pytest.raises(OutboundRefusedError, match="private"):
            guarded_request("POST", "https://shop.test/", headers={}, timeout_s=20)


def test_checking_a_url_asks_no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It happens in a request, and a slow name server would hold its slot."""
    real, asked = socket.getaddrinfo, []

    def look_up(host: Any, *args: Any, **more: Any) -> Any:
        if not more.get("flags", 0) & socket.AI_NUMERICHOST:
            asked.append(host)
        return real(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    check_public_url("https://hooks.example.com/")
    check_public_url("https://8.8.8.8/")
    assert asked == []


def test_a_call_takes_no_longer_than_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        answered.wait(30)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", hang)
        began = time.monotonic()
        with deadline.within(0.2), pytest.raises(OutboundFailedError, match="in time"):
            guarded_request("POST", "https://hangs.example.com/", headers={}, timeout_s=25)
        assert time.monotonic() - began < 15
        answered.set()


def test_a_name_that_does_not_resolve_yet_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", fail)
        check_public_url("https://not-yet.example.com/")
        with pytest.raises(OutboundFailedError) as failed:
            guarded_request("POST", "https://not-yet.example.com/", headers={})
    assert failed.value.reason == "dns"


def test_a_name_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        answered.wait(10)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", hang)
        with pytest.raises(OutboundFailedError, match="in time") as failed:
            guarded_request("POST", "https://hangs.example.com/", headers={}, timeout_s=0.2)
        assert not answered.is_set()
        answered.set()
    assert failed.value.reason == "dns"


def test_a_second_dns_answer_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """DNS rebinding: the connection goes to the address that was judged."""
    settings.ALLOW_LOOPBACK_WEBHOOKS = False
    connected: list[str] = []

    def connect(self: Any, host: str, port: int, **_: Any) -> Any:
        connected.append(host)
        raise httpcore.ConnectError("stop here")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    with resolving(monkeypatch, ["93.184.216.34"], ["127.0.0.1"]) as asked:
        with pytest.raises(OutboundFailedError):
            guarded_request("POST", "https://rebind.test/", headers={})
        assert asked == ["rebind.test"]
        with pytest.raises(OutboundRefusedError):
            guarded_request("POST", "https://rebind.test/", headers={})

    assert connected == ["93.184.216.34"]


def _whole_request(conn: socket.socket) -> bytes:
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += conn.recv(65536) or b"\r\n\r\n"
    head, _, body = raw.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
    while len(body) < length:
        body += conn.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def raw_server(answer: bytes, *, drip_s: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """A server that sends `answer`, a byte at a time when `drip_s` is set."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            with conn:
                seen.append(_whole_request(conn))
                try:
                    if not drip_s:
                        conn.sendall(answer)
                    for index in range(len(answer) if drip_s else 0):
                        conn.sendall(answer[index : index + 1])
                        time.sleep(drip_s)
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x?y=1", seen
    finally:
        listener.close()


@pytest.fixture
def _loopback(settings: Any) -> None:
    settings.ALLOW_LOOPBACK_WEBHOOKS = True


@pytest.mark.usefixtures("_loopback")
def test_sends_host_path_and_body_as_given() -> None:
    with raw_server(b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n") as (url, seen):
        response = guarded_request("POST", url, headers={"X-One": "1"}, content=b"hello")

    assert response.status == 204
    assert response.headers["x-a"] == "b"
    assert response.address == "127.0.0.1"
    assert seen[0].startswith(b"POST /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert seen[0].endswith(b"hello")


@pytest.mark.usefixtures("_loopback")
def test_does_not_follow_redirects() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    with raw_server(answer) as (url, seen):
        assert guarded_request("POST", url, headers={}).status == 302
    assert len(seen) == 1


@pytest.mark.usefixtures("_loopback")
def test_an_endless_answer_is_cut() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 500_000
    with raw_server(answer) as (url, _):
        response = guarded_request("POST", url, headers={}, max_response_bytes=1000)
    assert len(response.body) == 1000
    assert response.truncated


@pytest.mark.usefixtures("_loopback")
def test_a_byte_a_moment_does_not_stretch_the_deadline() -> None:
    # The whole answer would take 40 seconds.
    answer = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 800
    started = time.monotonic()
    with raw_server(answer, drip_s=0.05) as (url, _), pytest.raises(OutboundFailedError) as failed:
        guarded_request("POST", url, headers={}, timeout_s=0.5)
    assert failed.value.reason == "timeout"
    assert time.monotonic() - started < 20


@pytest.mark.usefixtures("_loopback")
def test_rubbish_is_an_error_with_a_name() -> None:
    with raw_server(b"rubbish\r\n\r\n") as (url, _), pytest.raises(OutboundFailedError) as failed:
        guarded_request("POST", url, headers={}, timeout_s=20)
    assert failed.value.reason == "protocol"
    with pytest.raises(OutboundFailedError) as refused:
        guarded_request("POST", "http://127.0.0.1:1/", headers={}, timeout_s=20)
    assert refused.value.reason == "connect"


@pytest.mark.usefixtures("_loopback")
def test_plain_http_stays_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        resolving(monkeypatch, ["93.184.216.34"]),
        pytest.raises(InvalidRequest, match="https"),
    ):
        check_public_url("http://shop.test/")
    check_public_url("http://localhost:8000/")
    check_public_url("http://127.0.0.1:8000/")
