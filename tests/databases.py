"""What the fixture `own_database` (tests/conftest.py) hands to a test."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """The database of one test, with the addresses of the roles that may log in to it."""

    name: str
    #: A superuser: sees every row.
    admin_dsn: str
    owner_dsn: str
