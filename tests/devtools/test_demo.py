"""The demo believes only what is signed, and answers the bank's page as a browser would."""

from __future__ import annotations

import pytest

from devtools.demo import _Form, verified
from devtools.say import Stop

# The example of the Standard Webhooks reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
TIME_S = 1614265330
HEADERS = {
    "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "Webhook-Timestamp": str(TIME_S),
    "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def test_a_genuine_delivery_is_believed() -> None:
    assert verified(SECRET, HEADERS, BODY, now_s=TIME_S + 10)


def test_one_good_signature_among_several_is_enough() -> None:
    rotated = {**HEADERS, "Webhook-Signature": "v1,AAAA " + HEADERS["Webhook-Signature"]}
    assert verified(SECRET, rotated, BODY, now_s=TIME_S)


@pytest.mark.parametrize(
    ("headers", "body", "now_s"),
    [
        (HEADERS, BODY + b" ", TIME_S),
        (HEADERS, BODY, TIME_S + 301),
        (HEADERS, BODY, TIME_S - 301),
        ({**HEADERS, "Webhook-Id": "msg_other"}, BODY, TIME_S),
        ({**HEADERS, "Webhook-Timestamp": "soon"}, BODY, TIME_S),
        ({**HEADERS, "Webhook-Signature": ""}, BODY, TIME_S),
        ({}, BODY, TIME_S),
    ],
)
def test_what_is_changed_old_or_unsigned_is_not_believed(
    headers: dict[str, str], body: bytes, now_s: float
) -> None:
    assert not verified(SECRET, headers, body, now_s=now_s)


def test_the_form_of_the_challenge_is_read_with_its_hidden_fields() -> None:
    form = _Form.of(
        '<form method="get"><input type="hidden" name="q" value="no"></form>'
        '<form method="post" action="/answer"><input type="hidden" name="token" value="a&amp;b">'
        '<button name="answer" value="complete">Complete</button></form>'
        '<input type="hidden" name="outside" value="no">'
    )
    assert (form.action, form.hidden) == ("/answer", {"token": "a&b"})


def test_a_page_without_a_form_is_an_error() -> None:
    with pytest.raises(Stop, match="no form"):
        _Form.of("<p>This payment has been answered</p>")
