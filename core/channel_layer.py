"""The channel layer on Valkey, whose name look-ups take no thread of asyncio's executor.

asyncio looks names up in its default executor. A look-up that hangs keeps its thread there when the
wait for it ends, and a few of them stop whatever else uses the executor.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from channels_redis.pubsub import RedisPubSubChannelLayer
from redis.asyncio import connection

from core import names

#: What is pushed is lost rather than waited for (notifications/realtime.py).
CONNECT_WITHIN_S: Final = 1.0
#: Reading has its own limit in the layer, which asks in turns of 0.1 s.
ANSWER_WITHIN_S: Final = 5.0


class Connection(connection.Connection):
    """A connection to the first address of its host that takes it.

    `socket_connect_timeout` is for looking the name up, and for each address.
    """

    _address = ""

    async def _connect(self) -> None:
        async with asyncio.timeout(self.socket_connect_timeout):
            addresses = await names.addresses_in_loop(self.host)
        failure: OSError | None = None
        for self._address in addresses:
            try:
                await super()._connect()  # type: ignore[no-untyped-call]  # redis types no internals
            except OSError as error:
                failure = error
            else:
                return
        assert failure is not None
        raise failure

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "host": self._address}


class TlsConnection(connection.SSLConnection, Connection):
    """The same with TLS, which compares the certificate with the name."""

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "server_hostname": self.host}


class ChannelLayer(RedisPubSubChannelLayer):
    """Channels' layer for the server that `url` names; channels begin with `prefix`."""

    def __init__(self, *, url: str, prefix: str) -> None:
        super().__init__(hosts=[options_of(url)], prefix=prefix)


def options_of(url: str) -> dict[str, Any]:
    """What redis-py's asyncio pool makes connections with; a Unix socket is connected as ever."""
    options: dict[str, Any] = {
        **connection.parse_url(url),
        "socket_connect_timeout": CONNECT_WITHIN_S,
        "socket_timeout": ANSWER_WITHIN_S,
    }
    ours = {None: Connection, connection.SSLConnection: TlsConnection}
    made_by = ours.get(options.get("connection_class"))
    return {**options, "connection_class": made_by} if made_by else options
