"""`.dev/env`: the secrets of one development platform, made once, readable by its owner alone."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable

from devtools.home import Home, write_private
from devtools.say import Stop


def read_or_make(home: Home) -> dict[str, str]:
    """The secrets; those that are missing are made and added, none is ever changed.

    Raises:
        Stop: the file holds a line that is no KEY=VALUE.
    """
    values = _read(home)
    made = {name: make() for name, make in _MAKERS.items() if name not in values}
    if made:
        values |= made
        lines = [
            "# Secrets of this development platform. The data in the database is encrypted and",
            "# hashed with them: without this file it cannot be read any more.",
            *(f"{name}={value}" for name, value in values.items()),
        ]
        write_private(home.env_file, "\n".join(lines) + "\n")
    return values


def _read(home: Home) -> dict[str, str]:
    if not home.env_file.exists():
        return {}
    values = {}
    for number, line in enumerate(home.env_file.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise Stop(f"Line {number} of {home.env_file} is not KEY=VALUE: correct or remove it.")
        values[name.strip()] = value.strip()
    return values


def _token() -> str:
    return secrets.token_urlsafe(48)


def _field_key() -> str:
    return "1:" + base64.b64encode(secrets.token_bytes(32)).decode()


_MAKERS: dict[str, Callable[[], str]] = {
    "SECRET_KEY": _token,
    "FIELD_KEYS": _field_key,
    "API_KEY_PEPPERS": lambda: f"1:{_token()}",
    "JWT_KEYS": lambda: f"1:{_token()}",
    "POSTGRES_PASSWORD": lambda: secrets.token_urlsafe(24),
    "DATABASE_OWNER_PASSWORD": lambda: secrets.token_urlsafe(24),
    "DATABASE_LOGIN_PASSWORD": lambda: secrets.token_urlsafe(24),
    "VALKEY_PASSWORD": lambda: secrets.token_urlsafe(24),
}
