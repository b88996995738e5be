"""What the saga asks of a channel, and the registry of those that exist."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from payments.intents.models import Intent

#: What may be known about a card, as `providers.base.CardDetails` holds it: never its number.
Card = Mapping[str, str | int]


class Outcome(StrEnum):
    """A channel's answer. `UNKNOWN` is never a failure: the effect may have happened."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAnswer:
    """What the channel knows about an intent. Amounts are in the intent's minor units.

    `captured_minor` above zero says that the money has moved; success without it is an
    authorisation. `found` is false when the channel has never heard of the intent.
    `refused` marks a request that the channel refused with nothing changed (a capture of an
    expired hold), as opposed to a payment that failed. `occurred_at` is the channel's own time of
    an event that it sent; an answer to a question has none, it says what is true now.
    """

    outcome: Outcome
    external_id: str = ""
    captured_minor: int = 0
    failure_code: str = ""
    failure_message: str = ""
    next_action_url: str = ""
    canceled: bool = False
    found: bool = True
    refused: bool = False
    occurred_at: dt.datetime | None = None
    card: Card = field(default_factory=dict)


class Channel(Protocol):
    """One way to move money. Called with no transaction open; must not raise for declines.

    Every call carries an idempotency key derived from the intent, so that repeating it is safe.
    """

    name: str

    def authorize(self, intent: Intent) -> ChannelAnswer:
        """Reserve the money or, unless capture is manual, move it."""

    def settle(self, intent: Intent) -> ChannelAnswer:
        """Move `intent.settle_amount_minor` of what was reserved; the rest is released."""

    def void(self, intent: Intent) -> ChannelAnswer:
        """Release the reservation."""

    def query(self, intent: Intent) -> ChannelAnswer:
        """The truth about the intent, asked with our own reference."""


_channels: dict[str, Channel] = {}


def register_channel(channel: Channel) -> None:
    """Make a channel known under its name."""
    _channels[channel.name] = channel


def channel_named(name: str) -> Channel:
    """The channel of that name (an unknown one is a defect of ours, hence KeyError)."""
    return _channels[name]
