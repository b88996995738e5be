"""A browser of the test client that posts a portal form as the page has drawn it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.test import Client

from tenants.portal.base import SEAT_FIELD
from tenants.seats import resolve_seat


class Visitor(Client):
    """Sends the seat of its session with every POST that names none, as `{% seat_field %}` does."""

    def post(self, path: str, data: Any = None, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        given = {} if data is None else data
        if isinstance(given, dict) and SEAT_FIELD not in given and SESSION_KEY in self.session:
            given = {SEAT_FIELD: self.seat_mark(), **given}
        return super().post(path, given, *args, **kwargs)

    def seat_mark(self) -> str:
        """What a page that this browser opened now would put into its forms."""
        session = self.session
        seat = resolve_seat(user_id=UUID(session[SESSION_KEY]), session=session)
        return "" if seat is None else seat.mark
