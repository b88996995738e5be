"""Where the ledger is kept: in PostgreSQL; a TigerBeetle cluster can stand beside it.

The platform's services book inside their PostgreSQL transactions (`ledger.services`), whatever
`LEDGER_BACKEND` says. What posts through `get_ledger()` reaches the cluster.
"""

from __future__ import annotations

import functools
import os

from django.core.exceptions import ImproperlyConfigured

from ledger.backends.base import Ledger


def require_honest_backend() -> None:
    """Refuse to start where the settings suggest that payments are booked on the cluster.

    `LEDGER_CLUSTER_BESIDE=1` says that it is meant beside PostgreSQL: for an import, for the shadow
    of a migration (docs/ledger.md), and for the worker and beat that sweep its notes. Asked when
    Django is set up and not as a system check, which web servers do not run.

    Raises:
        ImproperlyConfigured: a backend that there is not, or a cluster without that word.
    """
    backend = os.environ.get("LEDGER_BACKEND", "postgres")
    if backend == "postgres":
        return
    if backend != "tigerbeetle":
        raise ImproperlyConfigured(
            f"LEDGER_BACKEND is {backend!r}; it must be postgres or tigerbeetle."
        )
    if os.environ.get("LEDGER_CLUSTER_BESIDE") != "1":
        raise ImproperlyConfigured(
            "LEDGER_BACKEND=tigerbeetle does not move the platform's bookings: payments, payouts"
            " and wallets book inside PostgreSQL transactions. Unset it, or set"
            " LEDGER_CLUSTER_BESIDE=1 where the cluster is meant beside PostgreSQL"
            " (docs/ledger.md)."
        )


@functools.cache
def get_ledger() -> Ledger:
    """The process's ledger, for callers that post batches outside a transaction of their own.

    `LEDGER_BACKEND` is `postgres` (the default) or `tigerbeetle`, which needs
    `TIGERBEETLE_ADDRESSES` and takes `TIGERBEETLE_CLUSTER_ID` and `TIGERBEETLE_TIMEOUT_S`.

    Raises:
        ValueError: another backend, no addresses or bad ones, or its client is not installed.
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

    try:
        return TigerBeetleLedger(
            addresses,
            cluster_id=int(os.environ.get("TIGERBEETLE_CLUSTER_ID", "0")),
            timeout_s=float(os.environ.get("TIGERBEETLE_TIMEOUT_S", "10")),
        )
    except ModuleNotFoundError as error:
        raise ValueError(
            "LEDGER_BACKEND=tigerbeetle needs its client: pip install -r"
            " requirements-tigerbeetle.txt."
        ) from error
