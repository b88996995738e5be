"""Signatures of the form t=…,v1=…, by example and by property."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from payments.providers import signing
from payments.providers.base import SignatureExpired, SignatureInvalid

NOW_S = 1_800_000_000


def verify(signature: str, raw_body: bytes, *secrets: str, now_s: int = NOW_S) -> None:
    signing.verify(signature=signature, raw_body=raw_body, secrets=secrets, now_s=now_s)


@given(body=st.binary(max_size=200), secret=st.text(min_size=1, max_size=40))
def test_what_was_signed_is_accepted(body: bytes, secret: str) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    verify(signing.sign(raw_body=body, secret=secret, timestamp_s=NOW_S), body, "old", secret)


@given(body=st.binary(max_size=50), other=st.binary(max_size=50))
def test_another_body_is_refused(body: bytes, other: bytes) -> None:
    signature = signing.sign(raw_body=body, secret="s", timestamp_s=NOW_S)
    if other != body:
        with pytest.raises(SignatureInvalid):
            verify(signature, other, "s")


@given(signature=st.text(max_size=200))
def test_any_text_is_refused_without_an_accident(signature: str) -> None:
    with pytest.raises(SignatureInvalid):
        verify(signature, b"{}", "s")


@pytest.mark.parametrize("away_s", [-301, 301])
def test_age_counts_in_both_directions(away_s: int) -> None:
    signature = signing.sign(raw_body=b"{}", secret="s", timestamp_s=NOW_S + away_s)
    with pytest.raises(SignatureExpired):
        verify(signature, b"{}", "s")
    verify(signature, b"{}", "s", now_s=NOW_S + away_s - 300)


def test_a_wrong_secret_is_told_before_the_age() -> None:
    signature = signing.sign(raw_body=b"{}", secret="other", timestamp_s=0)
    with pytest.raises(SignatureInvalid):
        verify(signature, b"{}", "s")


@pytest.mark.parametrize("secrets", [("old", "new"), ("new", "old"), ("", "old")])
def test_any_secret_of_the_account_will_do(secrets: tuple[str, str]) -> None:
    verify(signing.sign(raw_body=b"{}", secret="old", timestamp_s=NOW_S), b"{}", *secrets)


def test_one_of_several_signatures_will_do() -> None:
    right = signing.sign(raw_body=b"{}", secret="s", timestamp_s=NOW_S)
    verify(f"{right},v1={'0' * 64}", b"{}", "s")
    verify(right.replace("v1=", f"v1={'0' * 64},v1="), b"{}", "s")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda right: right.replace("v1=", "v0="), "must read"),
        (lambda right: f"{right},t={NOW_S}", "must read"),
        (lambda right: right.partition(",")[2], "must read"),
        (lambda right: right + ",v1=" + "0" * 2_000, "longer than any provider sends"),
        (lambda right: "", "is missing"),
    ],
    ids=["another scheme", "two times", "no time", "too long", "nothing"],
)
def test_a_right_signature_in_a_wrong_header_is_refused(
    change: Callable[[str], str], message: str
) -> None:
    right = signing.sign(raw_body=b"{}", secret="s", timestamp_s=NOW_S)
    with pytest.raises(SignatureInvalid, match=message):
        verify(change(right), b"{}", "s")


@pytest.mark.parametrize(("length", "long"), [(2_000, False), (2_001, True)])
def test_a_header_of_two_thousand_characters_is_read(length: int, long: bool) -> None:
    right = signing.sign(raw_body=b"{}", secret="s", timestamp_s=NOW_S)
    header = f"{right},v0=".ljust(length, "0")
    if long:
        with pytest.raises(SignatureInvalid, match="longer than any provider sends"):
            verify(header, b"{}", "s")
    else:
        verify(header, b"{}", "s")


@pytest.mark.parametrize("figures", [12, 13])
def test_a_time_has_at_most_twelve_figures(figures: int) -> None:
    late_s = int("9" * figures)
    right = signing.sign(raw_body=b"{}", secret="s", timestamp_s=late_s)
    if figures == 12:
        verify(right, b"{}", "s", now_s=late_s)
    else:
        with pytest.raises(SignatureInvalid, match="must read"):
            verify(right, b"{}", "s", now_s=late_s)


@pytest.mark.parametrize("figures", ["\u0661\u0668", "\u00b2", "-1", "1.5", ""])
def test_a_time_is_written_in_ascii_figures(figures: str) -> None:
    with pytest.raises(SignatureInvalid, match="must read"):
        verify(f"t={figures},v1={'0' * 64}", b"{}", "s", now_s=18)


def test_a_signature_that_is_not_ascii_counts_for_none() -> None:
    right = signing.sign(raw_body=b"{}", secret="s", timestamp_s=NOW_S)
    verify(f"{right},v1=\u00e9", b"{}", "s")
    with pytest.raises(SignatureInvalid, match="must read"):
        verify(f"t={NOW_S},v1=\u00e9", b"{}", "s")


def test_without_a_secret_nothing_is_accepted() -> None:
    signature = signing.sign(raw_body=b"{}", secret="", timestamp_s=NOW_S)
    for secrets in ((), ("",)):
        with pytest.raises(SignatureInvalid, match="has no webhook secret"):
            verify(signature, b"{}", *secrets)


def test_the_scheme_is_stripes() -> None:
    theirs = stripe.WebhookSignature.generate_signature_header('{"a":1}', "s", NOW_S)
    assert theirs == signing.sign(raw_body=b'{"a":1}', secret="s", timestamp_s=NOW_S)
