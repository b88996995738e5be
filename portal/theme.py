"""The colour theme: a cookie, because it must be known before the first byte of the page."""

from typing import Final

from django.http import HttpRequest

THEME_COOKIE: Final = "theme"
THEMES: Final = ("system", "light", "dark")
THEME_MAX_AGE_S: Final = 400 * 24 * 3600  # what browsers allow at most


def theme_of(request: HttpRequest | None) -> str:
    """The theme that the visitor chose; anything else in the cookie reads as system."""
    chosen = request.COOKIES.get(THEME_COOKIE, "") if request is not None else ""
    return chosen if chosen in THEMES else "system"
