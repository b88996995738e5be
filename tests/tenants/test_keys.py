"""The text of API keys: shape, checksum, digest."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from tenants import keys


@pytest.mark.parametrize("kind", ["sk", "rk", "pk"])
@pytest.mark.parametrize("livemode", [True, False])
def test_a_generated_key_parses_back(kind: str, livemode: bool) -> None:
    made = keys.generate(kind=kind, livemode=livemode)
    mode = "live" if livemode else "test"
    assert made.text.startswith(f"mk_{kind}_{mode}_")
    assert len(made.text) == len(f"mk_{kind}_{mode}_") + 8 + 43 + 6
    assert keys.parse(made.text) == made


def test_every_single_typo_is_refused_without_a_query() -> None:
    text = keys.generate(kind="sk", livemode=False).text
    for place in range(11, len(text)):
        for letter in "0Az":
            if text[place] != letter:
                assert keys.parse(text[:place] + letter + text[place + 1 :]) is None


def test_swapped_neighbours_are_refused() -> None:
    text = keys.generate(kind="sk", livemode=False).text
    for place in range(11, len(text) - 1):
        if text[place] != text[place + 1]:
            swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
            assert keys.parse(swapped) is None


@pytest.mark.parametrize(
    "text",
    ["", "mk_", "sk_test_abc", "mk_sk_test_", "mk_sk_prod_" + "a" * 57, "mk_sk_test_" + "é" * 57],
)
def test_other_text_is_not_a_key(text: str) -> None:
    assert keys.parse(text) is None


def test_a_seed_makes_the_same_key_again() -> None:
    seed = bytes(range(48))
    first = keys.generate(kind="sk", livemode=False, seed=seed)
    assert keys.generate(kind="sk", livemode=False, seed=seed) == first
    assert keys.generate(kind="sk", livemode=False, seed=seed[::-1]) != first


def test_a_digest_holds_for_its_purpose_alone() -> None:
    stored = keys.digest("secret", purpose="api_key")
    assert keys.matches("secret", purpose="api_key", stored=stored.value, pepper_version=1)
    assert not keys.matches("secret", purpose="refresh", stored=stored.value, pepper_version=1)
    assert not keys.matches("Secret", purpose="api_key", stored=stored.value, pepper_version=1)


def test_an_older_pepper_still_verifies_and_the_newest_signs() -> None:
    with override_settings(API_KEY_PEPPERS=["1:old"]):
        stored = keys.digest("secret", purpose="api_key")
    with override_settings(API_KEY_PEPPERS=["2:new", "1:old"]):
        assert keys.matches("secret", purpose="api_key", stored=stored.value, pepper_version=1)
        assert keys.digest("secret", purpose="api_key").pepper_version == 2
        assert stored.value in keys.digests("secret", purpose="api_key")
    with override_settings(API_KEY_PEPPERS=["2:new"]):
        assert not keys.matches("secret", purpose="api_key", stored=stored.value, pepper_version=1)


def test_a_seed_makes_the_key_that_demo_data_has_always_had() -> None:
    made = keys.generate(kind="sk", livemode=False, seed=bytes(range(1, 49)))
    lookup, secret = bytes(range(1, 9)), bytes(range(9, 49))
    assert made.lookup_id == keys._base62(int.from_bytes(lookup, "big"), 8)
    assert made.text[19:62] == keys._base62(int.from_bytes(secret, "big"), 43)
    longer = keys.generate(kind="sk", livemode=False, seed=bytes(range(1, 60)))
    assert longer == made


def test_a_bearer_secret_has_256_bits() -> None:
    assert len(keys.random_token()) == 43


@pytest.mark.parametrize("entry", ["x:secret", "1", "1:", ":secret", ""])
def test_a_pepper_without_number_or_secret_is_refused(entry: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        keys.versioned([entry], setting="API_KEY_PEPPERS")
