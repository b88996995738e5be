"""kombu's transport for Redis and Valkey, with our connections and one repair.

A worker takes as many messages as it has processes (prefetch 1) and takes the next one when one has
been acknowledged. When the broker does not answer an acknowledgement, kombu raises before it frees
the place, and Celery logs that ("Couldn't ack") and goes on: the worker of one process then takes
nothing any more until it is started again (celery/celery#2415). Here the place is free either way.
What was not acknowledged comes again after the visibility time, as all work may (acks_late).

The connections are those of `core.valkey`: the server's name is looked up within a limit.
"""

from __future__ import annotations

from kombu.transport import redis, virtual

from core import valkey


class QoS(redis.QoS):
    """The messages that a channel has taken and not acknowledged yet."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message; its place is free even if the broker does not answer."""
        try:
            super().ack(delivery_tag)
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give a message up or back; its place is free even if the broker does not answer."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        finally:
            virtual.QoS.ack(self, delivery_tag)


class Channel(redis.Channel):
    """A channel that counts with `QoS`, over our connections."""

    QoS = QoS
    connection_class = valkey.Connection
    connection_class_ssl = valkey.TlsConnection


class Transport(redis.Transport):
    """What redis:// and rediss:// mean (config/celery.py)."""

    Channel = Channel
