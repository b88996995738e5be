"""Channels: the ways over which money can move.

A new way to pay is one new file here: a class with `authorize`, `settle`, `void` and `query`,
registered under a name.
"""

from payments.intents.channels.base import (
    Channel,
    ChannelAnswer,
    Outcome,
    channel_named,
    register_channel,
)
from payments.intents.channels.gateway import GatewayPayment
from payments.intents.channels.gateway_refund import GatewayRefund

register_channel(GatewayPayment())
register_channel(GatewayRefund())

__all__ = ["Channel", "ChannelAnswer", "Outcome", "channel_named", "register_channel"]
