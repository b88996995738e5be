"""Signatures of Standard Webhooks, and what a receiver refuses."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from notifications import signing
from notifications.signing import SignatureInvalid

NOW_S = 1_800_000_000
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
BODY = b'{"a":1}'


def signed(*secrets: str, timestamp_s: int = NOW_S) -> dict[str, str]:
    return signing.sign_headers(
        secrets_live=secrets or (SECRET,), message_id="msg_1", timestamp_s=timestamp_s, body=BODY
    )


def test_the_id_the_time_and_the_body_are_signed_with_the_decoded_secret() -> None:
    mac = hmac.new(b"k" * 32, b"msg_1.1800000000." + BODY, hashlib.sha256).digest()
    assert signed() == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1800000000",
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def test_the_specifications_own_example() -> None:
    headers = signing.sign_headers(
        secrets_live=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp_s=1_614_265_330,
        body=b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_rotated_each_signs() -> None:
    both = signed(OTHER, SECRET)
    one, other = signed(OTHER)["webhook-signature"], signed(SECRET)["webhook-signature"]
    assert both["webhook-signature"] == f"{one} {other}"
    for secret in (OTHER, SECRET):
        signing.verify(secret=secret, headers=both, body=BODY, now_s=NOW_S)


def test_a_new_secret_is_32_random_bytes() -> None:
    first, second = signing.new_secret(), signing.new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32


@pytest.mark.parametrize(("away_s", "late"), [(-301, 1), (-300, 0), (0, 0), (300, 0), (301, 1)])
def test_five_minutes_apart_is_too_far(away_s: int, late: int) -> None:
    headers = signed(timestamp_s=NOW_S + away_s)
    if late:
        with pytest.raises(SignatureInvalid, match="too far away"):
            signing.verify(secret=SECRET, headers=headers, body=BODY, now_s=NOW_S)
    else:
        signing.verify(secret=SECRET, headers=headers, body=BODY, now_s=NOW_S)


def test_the_clock_is_the_receivers_own_unless_it_gives_one() -> None:
    with pytest.raises(SignatureInvalid, match="too far away"):
        signing.verify(secret=SECRET, headers=signed(timestamp_s=0), body=BODY)
    signing.verify(secret=SECRET, headers=signed(timestamp_s=0), body=BODY, now_s=0)


def test_header_names_have_no_case() -> None:
    headers = {name.upper(): value for name, value in signed().items()}
    signing.verify(secret=SECRET, headers=headers, body=BODY, now_s=NOW_S)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(missing: str) -> None:
    headers = {name: value for name, value in signed().items() if name != missing}
    with pytest.raises(SignatureInvalid, match="missing or malformed"):
        signing.verify(secret=SECRET, headers=headers, body=BODY, now_s=NOW_S)


@pytest.mark.parametrize(
    ("header", "value", "message"),
    [
        ("webhook-id", "msg_2", "no signature matches"),
        ("webhook-timestamp", "1800000001", "no signature matches"),
        ("webhook-timestamp", "soon", "missing or malformed"),
        ("webhook-signature", "", "no signature matches"),
        ("webhook-signature", "v1,\u00e9", "no signature matches"),
    ],
)
def test_a_changed_header_is_refused(header: str, value: str, message: str) -> None:
    headers = {**signed(), header: value}
    with pytest.raises(SignatureInvalid, match=message):
        signing.verify(secret=SECRET, headers=headers, body=BODY, now_s=NOW_S)


def test_another_body_or_secret_is_refused() -> None:
    for secret, body in ((SECRET, BODY + b" "), (OTHER, BODY)):
        with pytest.raises(SignatureInvalid, match="no signature matches"):
            signing.verify(secret=secret, headers=signed(), body=body, now_s=NOW_S)


def test_a_secret_is_base64() -> None:
    with pytest.raises(SignatureInvalid, match="not whsec_ and base64"):
        signing.verify(secret="whsec_!", headers=signed(), body=BODY, now_s=NOW_S)
