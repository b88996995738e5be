"""Which content security policy an answer has."""

from __future__ import annotations

from typing import Any

from csp.decorators import csp_exempt, csp_update
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from core.csp import PolicyMiddleware

HEADER = "Content-Security-Policy"


def _answer(view: Any) -> HttpResponse:
    found = PolicyMiddleware(view)(RequestFactory().get("/"))
    assert isinstance(found, HttpResponse)
    return found


def _page(_: HttpRequest) -> HttpResponse:
    return HttpResponse()


def test_an_answer_has_the_policy_of_the_settings() -> None:
    policy = _answer(_page)[HEADER]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert _answer(_page)[HEADER] == policy


def test_an_answer_that_asks_for_more_gets_it() -> None:
    asks = csp_update({"img-src": ["https://pictures.example"]})(_page)
    assert "https://pictures.example" in _answer(asks)[HEADER]
    assert "https://pictures.example" not in _answer(_page)[HEADER]


def test_an_answer_that_asks_for_none_has_none() -> None:
    assert HEADER not in _answer(csp_exempt()(_page))


def test_a_page_that_read_its_nonce_keeps_it() -> None:
    def reads(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(request.csp_nonce))  # type: ignore[attr-defined]

    asks = csp_update({"script-src": ["'nonce-x'"]})(reads)
    assert "'nonce-x'" in _answer(asks)[HEADER]
    assert _answer(reads)[HEADER] == _answer(_page)[HEADER]


def test_a_policy_that_a_view_set_is_kept() -> None:
    def own(_: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={HEADER: "default-src 'self'"})

    assert _answer(own)[HEADER] == "default-src 'self'"
