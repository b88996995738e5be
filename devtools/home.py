"""Where the state of one running platform lies: `.dev/`, or a folder of a benchmark's own."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from devtools.say import Stop

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Home:
    """The paths under one state folder."""

    path: Path

    @classmethod
    def default(cls) -> Home:
        """`.dev/` of this checkout, or the folder that MERCHANTRY_HOME names."""
        return cls(Path(os.environ.get("MERCHANTRY_HOME") or ROOT / ".dev").absolute())

    @property
    def env_file(self) -> Path:
        return self.path / "env"

    @property
    def demo_file(self) -> Path:
        return self.path / "demo.json"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def state_file(self) -> Path:
        return self.run / "state.json"

    @property
    def lock_file(self) -> Path:
        return self.run / "lock"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def postgres_location(self) -> Path:
        """Names the folder of the database when it could not lie in `postgres`."""
        return self.path / "postgres.location"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def external_file(self) -> Path:
        """Names the external database that the secrets in `env` belong to."""
        return self.path / "external"

    def make(self) -> None:
        for folder in (self.path, self.log, self.run, self.path / "static"):
            folder.mkdir(parents=True, exist_ok=True)
        # Mails are printed to the log, with the links that they carry.
        self.log.chmod(0o700)

    def log_of(self, name: str) -> Path:
        return self.log / f"{name}.log"

    def ensure_space(self, wanted_bytes: int) -> None:
        """Refuse to begin what a full disk would leave half-done.

        Raises:
            Stop: less than `wanted_bytes` are free.
        """
        free = shutil.disk_usage(self.path).free
        if free < wanted_bytes:
            raise Stop(
                f"There is not enough disk space: {free // 1_000_000} MB are free at {self.path}, "
                f"at least {wanted_bytes // 1_000_000} MB are needed. Free some, then run the same "
                "command again; nothing was changed."
            )

    def try_lock(self) -> TextIO | None:
        """Take the lock that a running platform holds as long as it lives; None if it is taken.

        The kernel lets go of it when its holder dies, however it dies, so it is never stale.
        """
        handle = self.lock_file.open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return None
        return handle

    def read_state(self) -> dict[str, Any]:
        """What the last supervisor wrote down; empty if none ran or the file is damaged."""
        return read_json(self.state_file)

    def write_state(self, state: dict[str, Any]) -> None:
        write_private(self.state_file, json.dumps(state, indent=1))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty if there is none or it cannot be read as one."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read (mode 0600), whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as handle:
            handle.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
