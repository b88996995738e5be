"""Files that take a while to make, one at a time for a person and a few for a tenant.

A response that reads from the database while it is sent keeps its transaction, snapshot and all,
for as long as the reader likes. `download` therefore reads all rows to a temporary file within a
deadline: the transaction ends with the view, and the reader, however slow, holds nothing but the
file. `stream` sends at once what is made in short transactions of its own, without an end in sight.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from typing import IO, Final, Protocol

from django.db import OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from core import deadline, errors
from core.db import current_scope
from core.liveness import Turn, take_turn
from core.requests import ACTOR

#: How long the reading of the rows may take.
DEADLINE_S: Final = 60
#: Up to here the file stays in memory.
_MEMORY_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 16
#: How many files of one tenant are made or sent at once: each holds a thread that others need.
TENANT_SHARE: Final = 2
_OWN_LAST: Final = (
    "Your last export is still being made or downloaded. Wait until it is done, or cancel its "
    "download, and export again."
)
_COLLEAGUES: Final = (
    "Other people of this account are exporting just now. Wait until one of their exports is done, "
    "and export again."
)


class _Closes(Protocol):
    def close(self) -> object: ...


class _TooSlow(Exception):
    """The file was not written within the deadline."""


class _Place:
    """One file at a time for a person, and a few for a tenant; given back with the process too."""

    def __init__(self, request: HttpRequest) -> None:
        actor = ACTOR.of(request)
        self._person = request.user.pk
        self._tenant = actor.merchant_id or actor.reseller_id
        self._turns: list[Turn] = []

    def take(self) -> str:
        """Why it is not this request's turn; empty when it is."""
        wanted = [(f"download/person/{self._person}", 1, _OWN_LAST)]
        if self._tenant is not None:
            wanted.append((f"download/tenant/{self._tenant}", TENANT_SHARE, _COLLEAGUES))
        for name, share, why_not in wanted:
            turn = take_turn(name, share=share)
            if turn is None:
                self.give_back()
                return why_not
            self._turns.append(turn)
        return ""

    def give_back(self) -> None:
        """Let the next file begin."""
        for turn in self._turns:
            turn.give_back()


class _Sending(Iterator[bytes]):
    """The pieces; the turn ends when they were sent, or when the reader is gone."""

    def __init__(self, pieces: Iterator[bytes], source: _Closes, turn: _Place) -> None:
        self._pieces, self._source, self._turn = pieces, source, turn
        self._open = True

    def __next__(self) -> bytes:
        # The request, and its deadline, are over when the first piece is asked for.
        with deadline.within(DEADLINE_S):
            piece = next(self._pieces, b"") if self._open else b""
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        """Called by the response, read or not."""
        if self._open:
            self._open = False
            self._source.close()
            self._turn.give_back()


def download(
    request: HttpRequest, pieces: Iterable[str | bytes], *, filename: str, content_type: str
) -> HttpResponseBase:
    """A file made of `pieces`, or the page that says why there is none.

    Call it inside the scope that `pieces` read in: they are read to their end here. Answers 429
    while the person's last file is still being made or sent, or the tenant's share is taken, 503
    past the deadline.
    """
    turn = _Place(request)
    if why_not := turn.take():
        return _not_yet(request, why_not)
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115 - the response closes it
    try:
        size = _write(file, pieces)
    except BaseException as error:
        file.close()
        turn.give_back()
        if isinstance(error, errors.PayloadTooLarge | errors.Unavailable):
            return _refused(request, error.status, "Nothing was exported", error.message)
        if not isinstance(error, _TooSlow):
            raise
        return _refused(
            request,
            503,
            "This export is too large",
            f"It could not be written within {DEADLINE_S} seconds, so nothing was exported. Narrow "
            "the filter, for example to fewer days, and export the rest after it.",
        )
    file.seek(0)
    response = _attached(
        _Sending(iter(lambda: file.read(_CHUNK_BYTES), b""), file, turn), filename, content_type
    )
    response["Content-Length"] = str(size)
    return response


def stream(
    request: HttpRequest, pieces: Generator[bytes], *, filename: str, content_type: str
) -> HttpResponseBase:
    """A file that is sent while it is made, or the page that says why there is none.

    `pieces` hold no transaction while they wait for the reader. Answers 429 as `download` does.
    """
    turn = _Place(request)
    if why_not := turn.take():
        return _not_yet(request, why_not)
    return _attached(_Sending(pieces, pieces, turn), filename, content_type)


def _attached(pieces: _Sending, filename: str, content_type: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        pieces,
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )


def _write(file: IO[bytes], pieces: Iterable[str | bytes]) -> int:
    """Write all pieces and return how many bytes they are. Raises _TooSlow."""
    ends_at = time.monotonic() + DEADLINE_S
    if current_scope() is not None:
        with connection.cursor() as cursor:
            # A single read must not outlast the deadline either.
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{DEADLINE_S}s"])
    size = 0
    try:
        # The person asked for a long file: its own deadline counts, not the page's.
        with deadline.at_least(DEADLINE_S):
            for piece in pieces:
                size += file.write(piece.encode() if isinstance(piece, str) else piece)
                if time.monotonic() > ends_at:
                    raise _TooSlow
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "57014":  # query_canceled
            raise
        transaction.set_rollback(True)
        raise _TooSlow from error
    return size


def _not_yet(request: HttpRequest, why: str) -> HttpResponse:
    return _refused(request, 429, "One export at a time", why)


def _refused(request: HttpRequest, status: int, heading: str, text: str) -> HttpResponse:
    context = {"status": status, "heading": heading, "text": text}
    response = render(request, "base/refused.html", context, status=status)
    response["Retry-After"] = "30"
    return response
