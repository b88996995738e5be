"""Requests to the API that the benchmarks make beside their load."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from devtools.bench._stack import Load, Platform
from devtools.ports import HOST

CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2031, "cvc": "123"}


def ask(
    running: Platform, method: str, path: str, key: str, body: Any = None, *, timeout_s: float = 60
) -> tuple[int, Any]:
    """One request to the API: status and `data` (or the error)."""
    request = urllib.request.Request(
        f"http://{HOST}:{running.port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(12),
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return answer.status, json.loads(answer.read())["data"]
    except urllib.error.HTTPError as error:
        return error.code, error.read()[:500]


def card_tokens(load: Load, *, port: int, merchant: Mapping[str, Any], count: int) -> list[str]:
    """Tokens of a card that succeeds, one for each payment of a demo merchant.

    They are made before the clock of a measurement starts.
    """
    outcome: dict[str, Any] = load.send(
        port=port,
        path="/v1/tokens",
        key=merchant["publishable_key_test"],
        clients=min(8, count),
        requests=count,
        bodies=[{"card": CARD}],
        replies=True,
    )
    return [reply["data"]["id"] for reply in outcome["replies"]]
