"""PostgreSQL refuses to run as root: the ordinary account that it runs under then."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.say import Stop


@dataclass(frozen=True, slots=True)
class Account:
    """An account of this machine that is not root."""

    name: str
    uid: int
    gid: int

    @property
    def popen(self) -> dict[str, Any]:
        """Arguments for subprocess, so that the child runs under this account alone."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account_for_database(checkout: Path) -> Account | None:
    """The account to switch to, or None for an ordinary user, who keeps their own.

    Root switches to the owner of the checkout (`sudo ./dev up` in a user's home), else to the
    account `nobody`: no account is made on the machine for a development server.

    Raises:
        Stop: root on a machine without such an account.
    """
    if os.geteuid() != 0:
        return None
    owner = checkout.stat().st_uid
    if owner:
        try:
            entry = pwd.getpwuid(owner)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
        except KeyError:
            pass  # a number without a name: PostgreSQL wants a name
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise Stop(
            "PostgreSQL does not run as root, and this machine has no account 'nobody' to run it "
            "under. Run ./dev as an ordinary user, or set DATABASE_URL to a server that runs."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def may(account: Account, path: Path, mode: int) -> bool:
    """Whether the account could use the path (os.R_OK, os.W_OK, os.X_OK), tried as that account."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            code = 0 if os.access(path, mode) else 1
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0
