"""Every request header that the code reads, and whose word it is.

A server that hands headers over as a WSGI environment merges `X-Forwarded-For` and
`X_Forwarded_For` into one name, and the last one counts. What a caller says of itself may come in
any spelling: it could have sent the other one. What a proxy of ours says must not, so a header of
that kind is read in one known place and stripped at the entry. What an adapter reads is the word of
its provider, a caller too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from devtools.home import ROOT

#: The caller's own word: who it is, what it proves by a secret, what it would like to have.
OF_THE_CALLER: Final = frozenset(
    {
        "Accept",
        "Authorization",
        "Content-Encoding",
        "Idempotency-Key",
        "Referer",
        "Transfer-Encoding",
        "X-Live-Parts",
        "X-Merchantry-Key-Id",
        "X-Request-Id",
    }
)
#: A proxy's word about the caller, and the only files that may take it.
OF_A_PROXY: Final = {
    "X-Forwarded-For": {"core/proxies.py", "core/health.py"},
    "X-Forwarded-Proto": {"config/settings/base.py"},
}
#: Here and below a provider's webhooks are read, so no header there needs a line above.
_ADAPTERS: Final = "payments/providers/adapters/"
_ROOMS: Final = ("config", "core", "developers", "ledger", "notifications", "payments", "portal",
                 "tenants")  # fmt: skip
_LITERAL: Final = re.compile(r'headers(?:\.get\(|\[)\s*"([A-Za-z][A-Za-z-]+)"')
_META: Final = re.compile(r'"HTTP_([A-Z_]+)"')
_CONSTANT: Final = re.compile(r"(?:headers\.get\(|header\(headers, )([A-Z][A-Z_]+)\)")
#: Of other servers' answers, or written by us and read by receivers of our webhooks.
_NOT_READ: Final = frozenset(
    {"Cache-Control", "Retry-After", "Webhook-Id", "Webhook-Signature", "Webhook-Timestamp"}
)


def _sources() -> Iterator[tuple[str, str]]:
    for room in _ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def _value_of(name: str, source: str) -> str:
    """A constant's text, from its own module or the one that it is imported from."""
    found = re.search(rf'^{name}(?:: Final)? = "([^"]+)"', source, re.MULTILINE)
    if found is None:
        module = re.search(rf"^from (payments[\w.]*) import [^\n]*\b{name}\b", source, re.MULTILINE)
        assert module is not None, f"{name} is no constant that this test finds"
        file = Path(ROOT, *module[1].split(".")).with_suffix(".py")
        return _value_of(name, file.read_text(encoding="utf-8"))
    return found[1]


def _read() -> dict[str, set[str]]:
    """Header → the files that read it."""
    found: dict[str, set[str]] = {}
    for path, source in _sources():
        names = {name.title() for name in _LITERAL.findall(source)}
        names |= {name.replace("_", "-").title() for name in _META.findall(source)}
        names |= {_value_of(name, source) for name in _CONSTANT.findall(source)}
        for name in names - _NOT_READ:
            found.setdefault(name, set()).add(path)
    return found


def _of_a_provider(read: dict[str, set[str]]) -> set[str]:
    """The headers that adapters read and no other file does."""
    return {
        name for name, files in read.items() if all(file.startswith(_ADAPTERS) for file in files)
    }


def test_every_header_that_is_read_is_known_to_be_the_callers_or_a_proxys() -> None:
    read = _read()
    of_a_provider = _of_a_provider(read)
    assert {"Sandbox-Signature", "Stripe-Signature"} <= of_a_provider
    assert set(read) - of_a_provider == OF_THE_CALLER | set(OF_A_PROXY)


def test_what_a_proxy_says_is_no_providers_word() -> None:
    read = {"X-Forwarded-For": {f"{_ADAPTERS}one/adapter.py", "core/proxies.py"}}
    assert _of_a_provider(read) == set()
    assert _of_a_provider(_read()).isdisjoint(OF_A_PROXY)
    assert not [name for name in _of_a_provider(_read()) if name.startswith("X-Forwarded-")]


def test_what_a_proxy_says_is_read_in_one_place() -> None:
    assert {name: _read()[name] for name in OF_A_PROXY} == OF_A_PROXY
