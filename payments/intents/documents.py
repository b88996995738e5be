"""Handlers by which the saga reports an intent's outcome to its document's room.

Rooms above register a handler per document type when the process starts. The handler adds its own
changes to the same unit of work, so that document, intent, events and books move together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, cast
from uuid import UUID

from core.context import Actor
from core.unit import Writes
from payments.intents.channels.base import ChannelAnswer
from payments.intents.models import Intent, Operation


class Document(Protocol):
    """What the saga knows of a document: a payment, a refund, and the intent itself without one."""

    @property
    def id(self) -> UUID:
        """Its primary key."""


D = TypeVar("D", bound=Document)


class DocumentHandler(Protocol[D]):
    """Moves a document along with its intent."""

    def load(self, intent: Intent) -> D:
        """The document, locked for the open transaction."""

    def apply(
        self, writes: Writes, document: D, intent: Intent, answer: ChannelAnswer, actor: Actor
    ) -> None:
        """Add the document's own changes for the state that `intent` has now."""


#: Adds an intent's document to the unit of work and returns it; None where it has none.
WriteDocument = Callable[[Writes, Intent], Document | None]
#: Adds the document of an intent that a trusted service submitted to the unit of work.
OpenDocument = Callable[[Writes, Intent, Actor], None]

_handlers: dict[str, DocumentHandler[Document]] = {}
_service_documents: dict[str, tuple[str, OpenDocument]] = {}


def register_document(document_type: str, handler: DocumentHandler[D]) -> None:
    """Make a document type known; one handler each."""
    # An intent's `document_type` picks the handler, so it gets documents of its own type alone:
    # those that it loaded, or that its room submitted with the intent.
    _handlers[document_type] = cast("DocumentHandler[Document]", handler)


def register_service_document(
    operation: Operation, document_type: str, open_document: OpenDocument
) -> None:
    """Give intents that services submit a document, so that their money can be moved on.

    `open_document(writes, intent, actor)` runs in the transaction that reserves the funds, and
    names the document in the intent.
    """
    _service_documents[operation] = (document_type, open_document)


def service_document(operation: Operation) -> tuple[str, OpenDocument]:
    """The type of such a document, and what opens it."""
    return _service_documents[operation]


def handler_for(intent: Intent) -> DocumentHandler[Document] | None:
    """The handler of the intent's document; None for intents that stand alone."""
    return _handlers.get(intent.document_type)
