"""How the saga tells a document's room what became of its intent.

Rooms above register a handler per document type when the process starts. The handler adds its own
changes to the same unit of work, so that document, intent, events and books move together.
"""

from __future__ import annotations

from typing import Any, Protocol

from core.context import Actor
from core.unit import Writes
from payments.intents.channels.base import ChannelAnswer
from payments.intents.models import Intent


class DocumentHandler(Protocol):
    """Moves a document along with its intent."""

    def load(self, intent: Intent) -> Any:
        """The document, locked for the open transaction."""

    def apply(
        self, writes: Writes, document: Any, intent: Intent, answer: ChannelAnswer, actor: Actor
    ) -> None:
        """Add the document's own changes for the state that `intent` has now."""


_handlers: dict[str, DocumentHandler] = {}


def register_document(document_type: str, handler: DocumentHandler) -> None:
    """Make a document type known; one handler each."""
    _handlers[document_type] = handler


def handler_for(intent: Intent) -> DocumentHandler | None:
    """The handler of the intent's document; None for intents that stand alone."""
    return _handlers.get(intent.document_type)
