"""What caches may keep of our answers: nothing, unless the view marks them as the same for all.

An answer depends on who asks, and mostly does so through a cookie or a key. A cache on the way, or
the back button of a shared computer, must not show it to the next person. `PrivateAnswers` says so
for every answer in one place; `same_for_all` is the way out for what all may read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Final, ParamSpec

from django.http import HttpRequest
from django.http.response import HttpResponseBase

P = ParamSpec("P")

PRIVATE: Final = "private, no-store"
#: Drawn the same for all but for the theme and the form's token: browsers keep it and ask first.
IN_THE_BROWSER: Final = "private, no-cache"
_MARK: Final = "same_for_all"

View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class PrivateAnswers:
    """Sets `Cache-Control: private, no-store` on every answer but those of `same_for_all`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not getattr(response, _MARK, False):
            response.headers["Cache-Control"] = PRIVATE
        return response


def same_for_all(cache_control: str) -> Callable[[View[P]], View[P]]:
    """Mark a view whose answer does not depend on who asks, with what caches may do with it."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def marked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            response = view(request, *args, **kwargs)
            response.headers["Cache-Control"] = cache_control
            setattr(response, _MARK, True)
            return response

        return marked

    return decorate
