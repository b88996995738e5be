from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import replace
from typing import Any, cast

import pytest

from core import hmac_auth
from core.errors import AuthenticationFailed
from core.hmac_auth import SignedRequest, from_headers, sign_headers, signature, use_nonce, verify
from core.ids import new_id

SECRET = b"s" * 32
URL = "https://api.example.com/v1/intents?b=2&a=1%2F"
BODY = b'{"amount": 100}'


def signed() -> tuple[SignedRequest, str]:
    headers = sign_headers(
        key_id="svc_1", secret=SECRET, method="POST", url=URL, body=BODY, idempotency_key="k-1"
    )
    return from_headers(
        headers,
        method="POST",
        host="api.example.com",
        path="/v1/intents",
        query="b=2&a=1%2F",
        body=BODY,
    )


def test_signs_the_documented_string() -> None:
    request, given = signed()
    text = "\n".join(
        [
            "v1",
            "svc_1",
            request.timestamp,
            request.nonce,
            "POST",
            "api.example.com",
            "/v1/intents",
            "b=2&a=1%2F",
            "application/json",
            "k-1",
            hashlib.sha256(BODY).hexdigest(),
        ]
    )
    assert given == "v1=" + hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()
    verify(secret=SECRET, request=request, given=given)


@pytest.mark.parametrize(
    "change",
    [
        {"key_id": "svc_2"},
        {"nonce": "0" * 24},
        {"method": "GET"},
        {"host": "evil.example.com"},
        {"path": "/v1/intents/"},
        {"query": "a=1%2F&b=2"},
        {"query": ""},
        {"content_type": "text/plain"},
        {"idempotency_key": "k-2"},
        {"body": BODY + b" "},
        # Ten seconds before; a time of its own would be too old when the suite has come so far.
        {"timestamp": -10},
    ],
)
def test_any_change_breaks_the_signature(change: dict[str, Any]) -> None:
    request, given = signed()
    if "timestamp" in change:
        change = {"timestamp": str(int(request.timestamp) + change["timestamp"])}
    with pytest.raises(AuthenticationFailed) as refused:
        verify(secret=SECRET, request=replace(request, **change), given=given)
    assert refused.value.code == "signature_invalid"


@pytest.mark.parametrize("offset_s", [-301, 301])
def test_an_old_or_future_request_is_refused(offset_s: int) -> None:
    request, given = signed()
    with pytest.raises(AuthenticationFailed) as refused:
        verify(secret=SECRET, request=request, given=given, now_s=time.time() + offset_s)
    assert refused.value.code == "signature_expired"
    verify(secret=SECRET, request=request, given=given, now_s=time.time() + offset_s * 0.99)


@pytest.mark.parametrize("offset_s", [-300, 300])
def test_a_request_is_good_for_five_minutes_to_the_second(offset_s: int) -> None:
    request, given = signed()
    verify(secret=SECRET, request=request, given=given, now_s=int(request.timestamp) + offset_s)


@pytest.mark.parametrize("length", [16, 64])
def test_a_nonce_has_sixteen_to_sixty_four_characters(length: int) -> None:
    request = replace(signed()[0], nonce="n" * length)
    verify(secret=SECRET, request=request, given=signature(SECRET, request))


@pytest.mark.parametrize("length", [15, 65])
def test_a_nonce_of_another_length_is_refused(length: int) -> None:
    request = replace(signed()[0], nonce="n" * length)
    with pytest.raises(AuthenticationFailed) as refused:
        verify(secret=SECRET, request=request, given=signature(SECRET, request))
    assert refused.value.code == "signature_malformed"


@pytest.mark.parametrize("timestamp", ["", "-1", "1e9", "１２３", "9" * 400, "12.5", "nan"])
def test_a_timestamp_is_digits(timestamp: str) -> None:
    request, _ = signed()
    changed = replace(request, timestamp=timestamp)
    with pytest.raises(AuthenticationFailed):
        verify(secret=SECRET, request=changed, given=signature(SECRET, changed))


@pytest.mark.parametrize("line_break", ["\n", "\r"])
def test_a_line_break_cannot_move_the_fields(line_break: str) -> None:
    request, _ = signed()
    text = f"a{line_break}b"
    for name in ("path", "query", "content_type", "idempotency_key", "host"):
        with pytest.raises(AuthenticationFailed, match="line break"):
            signature(SECRET, replace(request, **cast("dict[str, Any]", {name: text})))


def test_wrong_secret_missing_headers_short_nonce() -> None:
    request, given = signed()
    with pytest.raises(AuthenticationFailed):
        verify(secret=b"t" * 32, request=request, given=given)
    with pytest.raises(AuthenticationFailed, match="Signature missing"):
        from_headers(
            {
                hmac_auth.HEADER_KEY_ID: "a",
                hmac_auth.HEADER_NONCE: "b",
                hmac_auth.HEADER_TIMESTAMP: "1",
            },
            method="GET",
            host="h",
            path="/",
            query="",
            body=b"",
        )
    short = replace(request, nonce="abc")
    with pytest.raises(AuthenticationFailed, match="characters"):
        verify(secret=SECRET, request=short, given=signature(SECRET, short))


@pytest.mark.parametrize(
    ("decoded", "canonical"),
    [
        ("/v1/intents", "/v1/intents"),
        ("/a b/ü", "/a%20b/%C3%BC"),
        ("/100%/~x-._", "/100%25/~x-._"),
        ("/:@!$&'()*+,;=", "/:@!$&'()*+,;="),
        ("/a?b#c[d]", "/a%3Fb%23c%5Bd%5D"),
    ],
)
def test_a_path_has_one_spelling(decoded: str, canonical: str) -> None:
    assert hmac_auth.canonical_path(decoded) == canonical
    headers = sign_headers(
        key_id="svc_1", secret=SECRET, method="GET", url=f"https://h{canonical}", body=b""
    )
    request, given = from_headers(headers, method="GET", host="h", path=decoded, query="", body=b"")
    assert request.path == canonical
    verify(secret=SECRET, request=request, given=given)


def test_a_nonce_is_good_once_for_each_key() -> None:
    nonce, key_id = new_id().hex, f"svc_{new_id().hex}"
    use_nonce(key_id=key_id, nonce=nonce)
    with pytest.raises(AuthenticationFailed) as refused:
        use_nonce(key_id=key_id, nonce=nonce)
    assert refused.value.code == "signature_replayed"
    use_nonce(key_id=f"{key_id}x", nonce=nonce)
