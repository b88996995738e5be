"""Where the ledger is kept: PostgreSQL by default, a TigerBeetle cluster by choice."""

from __future__ import annotations

import functools
import os

from ledger.backends.base import Ledger


@functools.cache
def get_ledger() -> Ledger:
    """The process's ledger, for whoever posts batches outside a transaction of their own.

    `LEDGER_BACKEND` is `postgres` (the default) or `tigerbeetle`, which needs
    `TIGERBEETLE_ADDRESSES` and takes `TIGERBEETLE_CLUSTER_ID` and `TIGERBEETLE_TIMEOUT_S`.

    Raises:
        ValueError: another backend, or no addresses.
    """
    backend = os.environ.get("LEDGER_BACKEND", "postgres")
    if backend == "postgres":
        from ledger.backends.postgres import PostgresLedger

        return PostgresLedger()
    if backend != "tigerbeetle":
        raise ValueError(f"LEDGER_BACKEND is {backend!r}; it must be postgres or tigerbeetle.")
    addresses = os.environ.get("TIGERBEETLE_ADDRESSES", "")
    if not addresses:
        raise ValueError("LEDGER_BACKEND=tigerbeetle needs TIGERBEETLE_ADDRESSES.")
    from ledger.backends.tigerbeetle import TigerBeetleLedger

    return TigerBeetleLedger(
        addresses,
        cluster_id=int(os.environ.get("TIGERBEETLE_CLUSTER_ID", "0")),
        timeout_s=float(os.environ.get("TIGERBEETLE_TIMEOUT_S", "10")),
    )
