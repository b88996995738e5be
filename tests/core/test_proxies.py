"""Who calls, behind proxies: only what a proxy of ours says counts, and only the last it says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from structlog.testing import capture_logs

from core.proxies import (
    ClientAddresses,
    ClientAddressMiddleware,
    caller_address,
    client_ip,
    client_network,
)

PROXIES = ["10.0.0.0/8", "fd00::/8"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        # Not from a proxy of ours: the header is hearsay.
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        # The caller wrote the header too; each proxy appended what it saw.
        ("10.0.0.1", "1.1.1.1, 127.0.0.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        # A caller that pretends to be a proxy of ours gains nothing by it.
        ("10.0.0.1", "10.0.0.2, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("fd00::1", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        # From within: all hops are ours, the first of them asked.
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
        # What is no address says nothing, and hides what stands left of it.
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_caller_is_the_last_hop_that_is_no_proxy_of_ours(
    peer: str, forwarded: str, caller: str, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    assert caller_address(peer, forwarded) == caller


def test_by_default_nobody_is_believed(settings: Any) -> None:
    assert settings.TRUSTED_PROXIES == []
    assert caller_address("127.0.0.1", "198.51.100.1") == "127.0.0.1"


def test_a_forgotten_proxy_is_told_once(settings: Any) -> None:
    with capture_logs() as lines:
        settings.TRUSTED_PROXIES = PROXIES
        caller_address("203.0.113.9", "198.51.100.1")
        settings.TRUSTED_PROXIES = []
        caller_address("10.0.0.1", "")
        assert lines == []
        for _ in range(3):
            caller_address("10.0.0.1", "198.51.100.1")
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("proxies.none_trusted", "warning")
    ]
    assert "TRUSTED_PROXIES is empty" in lines[0]["reason"]


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.1", "::ffff:198.51.100.1"),
        ("", ""),
    ],
)
def test_a_limit_counts_a_line_and_not_each_of_its_addresses(address: str, counted: str) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=address)
    assert client_ip(request) == (address or None)
    assert client_network(request) == counted


def test_a_page_sees_the_caller_as_its_peer(settings: Any) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    request = RequestFactory().get(
        "/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": "1.1.1.1, 198.51.100.1"}
    )
    ClientAddressMiddleware(lambda seen: seen)(request)  # type: ignore[arg-type, return-value]
    assert request.META["REMOTE_ADDR"] == "198.51.100.1"


def test_a_websocket_sees_the_caller_as_its_client(settings: Any) -> None:
    settings.TRUSTED_PROXIES = PROXIES
    seen: list[Any] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope["client"])

    scope = {
        "type": "websocket",
        "client": ["10.0.0.1", 5555],
        # As two header lines, which count like one list.
        "headers": [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"198.51.100.1")],
    }
    asyncio.run(ClientAddresses(app)(scope, None, None))
    assert seen == [["198.51.100.1", 5555]]
    assert scope["client"] == ["10.0.0.1", 5555]


def test_the_websockets_stand_behind_it() -> None:
    from config.asgi import application

    assert isinstance(application, ClientAddresses)


def test_a_wrong_network_stops_the_start_with_a_sentence(settings: Any) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.1/8"]
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES takes addresses and networks"):
        ClientAddressMiddleware(lambda seen: seen)  # type: ignore[arg-type, return-value]
