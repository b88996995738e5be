"""Whose queue a request waits in: its tenant's only for what a stranger cannot show."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from core.serving.callers import Caller, caller_of, current, note_tenant
from core.serving.web import WebGate
from tests.serving.asgi import Exchange

SECRET, PUBLISHABLE = b"Bearer mk_sk_test_abc", b"Bearer mk_pk_test_abc"
ELSEWHERE = "198.51.100.7"


def caller(header: str = "", value: bytes = b"", *, address: str = "192.0.2.1") -> Caller:
    return caller_of({"client": (address, 1)}, {header.encode(): value} if header else {})


def accepted(found: Caller, tenant: str = "one") -> None:
    """As authentication, once it has found the tenant."""
    token = current.set(found)
    try:
        note_tenant(tenant)
    finally:
        current.reset(token)


def test_a_secret_leads_to_its_tenants_queue_from_anywhere() -> None:
    assert caller("authorization", SECRET).queue() == "address:192.0.2.1"
    accepted(caller("authorization", SECRET))
    assert caller("authorization", SECRET, address=ELSEWHERE).queue() == "tenant:one"


@pytest.mark.parametrize(
    "shown",
    [("authorization", PUBLISHABLE), ("x-merchantry-key-id", b"svc_one")],
    ids=["publishable key", "name of a signing key"],
)
def test_what_anyone_may_show_leads_to_a_queue_of_its_address(shown: tuple[str, bytes]) -> None:
    accepted(caller(*shown))
    assert caller(*shown).queue() == "tenant:one@192.0.2.1"
    assert caller(*shown, address=ELSEWHERE).queue() == f"address:{ELSEWHERE}"


def test_a_payer_without_a_credential_counts_to_shop_and_address() -> None:
    payer = caller()
    assert payer.queue_of("one") == "tenant:one@192.0.2.1"
    accepted(payer)
    assert caller().queue() == "address:192.0.2.1"


def test_a_credential_is_one_however_it_is_spaced() -> None:
    accepted(caller("authorization", SECRET))
    assert caller("authorization", b"  bearer \t mk_sk_test_abc ").queue() == "tenant:one"


async def test_what_is_refused_leads_to_no_tenants_queue() -> None:
    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("401 Unauthorized", [])
        return [b""]

    accepted(caller("authorization", SECRET))
    await Exchange(headers=[(b"authorization", SECRET)]).through(WebGate(app, slots=1))
    assert caller("authorization", SECRET).queue() == "address:192.0.2.1"
