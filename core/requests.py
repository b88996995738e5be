"""What our code adds to Django's request: typed, set in one place, checked where it is read.

Django's request has no room for values of ours, and an attribute hung on it has no type: a misspelt
name, or a reader that runs where nothing set it, is found by the visitor.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from django.http import HttpRequest

from core.context import Actor

T = TypeVar("T")


class RequestKey(Generic[T]):
    """A value that a request carries from the code that knows it to the code that needs it.

    Args:
        name: the attribute under which templates find it.
        set_by: who sets it; said in the error of a reader that runs where it was not set.
    """

    __slots__ = ("_name", "_set_by")

    def __init__(self, name: str, *, set_by: str) -> None:
        self._name, self._set_by = name, set_by

    def set(self, request: HttpRequest, value: T) -> None:
        """Let the request carry `value`."""
        request.__dict__[self._name] = value

    def of(self, request: HttpRequest) -> T:
        """The value.

        Raises:
            LookupError: nothing has set it for this request.
        """
        try:
            found: T = request.__dict__[self._name]
        except KeyError:
            raise LookupError(
                f"The request carries no {self._name!r}: {self._set_by} sets it."
            ) from None
        return found

    def find(self, request: HttpRequest) -> T | None:
        """The value, or None where nothing has set it."""
        found: T | None = request.__dict__.get(self._name)
        return found


#: Who asks for a page of the portal or of the admin. An API view has its own (`ApiView.actor`).
ACTOR: Final = RequestKey[Actor]("actor", set_by="portal_view or AdminScopeMiddleware")
