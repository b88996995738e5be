"""Values that our code lets a request carry."""

from __future__ import annotations

from typing import Final

import pytest
from django.test import RequestFactory

from core.requests import RequestKey

COUNT: Final = RequestKey[int]("count", set_by="the counter")


def test_a_value_that_was_set_is_read() -> None:
    request = RequestFactory().get("/")
    COUNT.set(request, 0)
    assert (COUNT.of(request), COUNT.find(request)) == (0, 0)


def test_a_value_that_nothing_set_is_an_error_that_names_it_and_what_sets_it() -> None:
    request = RequestFactory().get("/")
    with pytest.raises(LookupError, match=r"no 'count': the counter sets it\."):
        COUNT.of(request)
    assert COUNT.find(request) is None
