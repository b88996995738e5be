"""The servers that the platform needs, and the environment that its processes get."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from devtools import postgres, say, secrets_file, valkey
from devtools.home import ROOT, Home, write_private
from devtools.ports import HOST, free_port
from devtools.say import Stop
from devtools.supervisor import Service, Supervisor

DATABASE = "merchantry"
ROLE_PASSWORDS = ("DATABASE_LOGIN_PASSWORD", "DATABASE_OWNER_PASSWORD")


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses: the database as its administrator sees it, and Redis or Valkey."""

    admin_url: str
    redis_url: str
    external_database: bool


def start_servers(
    supervisor: Supervisor, secrets: dict[str, str], *, options: tuple[str, ...] = ()
) -> Servers:
    """Start PostgreSQL and Valkey, or take those that DATABASE_URL and REDIS_URL name."""
    admin_url = os.environ.get("DATABASE_URL", "").strip()
    redis_url = os.environ.get("REDIS_URL", "").strip()
    return Servers(
        admin_url=_external(admin_url)
        if admin_url
        else start_postgres(supervisor, secrets, options=options),
        redis_url=_external_cache(redis_url) if redis_url else start_valkey(supervisor, secrets),
        external_database=bool(admin_url),
    )


def start_postgres(
    supervisor: Supervisor, secrets: dict[str, str], *, options: tuple[str, ...] = ()
) -> str:
    """Start the embedded PostgreSQL; returns the superuser's address."""
    home = supervisor.home
    cluster = postgres.place_for(home, secrets["POSTGRES_PASSWORD"])
    cluster.options = options
    with say.timed("starting PostgreSQL", f"PostgreSQL {postgres.version()}") as remarks:
        if not (cluster.data / postgres.COMPLETE).exists():
            home.ensure_space(postgres.NEW_CLUSTER_BYTES)
        if cluster.prepare():
            remarks.append("with a new data folder")
        cluster.forget_stale_pid()
        port = _start_on_free_port(supervisor, cluster)
        supervisor.facts["postgres_port"] = port
        remarks.append(f"{' '.join(remarks)} on {HOST}:{port}".strip())
    return cluster.address(port)


def _start_on_free_port(supervisor: Supervisor, cluster: postgres.Cluster) -> int:
    """Start the server; once more on another port if the first was taken in between."""
    log = supervisor.log_of("postgres")
    for last in (False, False, True):
        port = free_port()
        log.unlink(missing_ok=True)
        process = supervisor.start(
            Service(
                name="postgres",
                command=cluster.command(port),
                env=_plain_env(),
                cwd=cluster.base,
                stop_signal=signal.SIGINT,
                stop_timeout_s=60,
                popen=cluster.account.popen if cluster.account else {},
            )
        )
        try:
            postgres.wait_until_ready(cluster.address(port), process, log)
        except postgres.PortTaken:
            if last:
                raise
        else:
            return port
    raise AssertionError("the loop ends by returning or raising")


def start_valkey(supervisor: Supervisor, secrets: dict[str, str]) -> str:
    """Start the embedded Valkey; returns its address."""
    cache = valkey.Cache(supervisor.home.valkey, secrets["VALKEY_PASSWORD"])
    with say.timed("starting Valkey", f"Valkey {valkey.version()}") as remarks:
        port = free_port()
        cache.prepare(port)
        process = supervisor.start(
            Service(name="valkey", command=cache.command(), env=_plain_env(), cwd=cache.base)
        )
        address = cache.address(port)
        valkey.wait_until_ready(address, process, supervisor.log_of("valkey"))
        remarks.append(f"on {HOST}:{port}")
    return address


def provision(home: Home, secrets: dict[str, str], servers: Servers) -> dict[str, str]:
    """Make roles and database, and return the environment's addresses of them.

    Raises:
        Stop: the account in DATABASE_URL may not; the sentence says what it lacks.
    """
    from core.roles import RolesNotPermitted, ensure_roles

    database = _database_name(servers)
    remember_external(home, servers)
    try:
        urls = ensure_roles(
            make_conninfo(servers.admin_url, dbname=_existing_database(servers.admin_url)),
            database=database,
            login_password=secrets["DATABASE_LOGIN_PASSWORD"],
            owner_password=secrets["DATABASE_OWNER_PASSWORD"],
        )
    except RolesNotPermitted as error:
        raise Stop(str(error)) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise Stop(
            f"The account in DATABASE_URL may not make the roles and the database {database!r}: "
            f"{str(error).strip()}\nIf another administrator made the roles merchantry_* and app_* "
            "on this server, use that account or a superuser."
        ) from None
    except psycopg.Error as error:
        raise Stop(f"The roles and the database {database!r} could not be made: {error}") from None
    return {
        "DATABASE_URL": urls.login_url,
        "DATABASE_OWNER_URL": urls.owner_url,
        **{
            f"DATABASE_{role.removeprefix('merchantry_').upper()}_URL": address
            for role, address in urls.process_urls.items()
        },
        "REDIS_URL": servers.redis_url,
    }


def platform_env(home: Home, secrets: dict[str, str], *, base_url: str) -> dict[str, str]:
    """The environment of every process, but for the addresses that `provision` returns."""
    return {
        **_plain_env(),
        "DJANGO_SETTINGS_MODULE": "config.settings.base",
        "BASE_URL": base_url,
        # The entry alone speaks to the other processes.
        "TRUSTED_PROXIES": HOST,
        "ALLOWED_HOSTS": f"{HOST},localhost",
        "ALLOW_LOOPBACK_WEBHOOKS": "1",
        "EMAIL_BACKEND": "core.mail_file.MailFileBackend",
        "MAIL_FILE": str(home.path / "log" / "mail.log"),
        "AUDIT_ANCHOR": f"file:{home.path / 'audit-anchor.jsonl'}",
        "STATIC_ROOT": str(home.path / "static"),
        "DEMO_FILE": str(home.demo_file),
        **{
            name: secrets[name]
            for name in ("SECRET_KEY", "FIELD_KEYS", "API_KEY_PEPPERS", "JWT_KEYS")
        },
    }


def run_manage(
    arguments: list[str], env: dict[str, str], *, quiet: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run manage.py to its end and return what it printed."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=quiet,
        text=True,
        check=False,
    )


def read_secrets(home: Home) -> dict[str, str]:
    """The secrets of `.dev/env`; the environment names the passwords of roles made elsewhere."""
    named = {name: os.environ[name] for name in ROLE_PASSWORDS if os.environ.get(name)}
    return secrets_file.read_or_make(home) | named


def remember_external(home: Home, servers: Servers) -> None:
    """Note that the secrets belong to an external server, which `./dev reset` leaves alone.

    The roles outlive a reset there, and with them the passwords that only this file knows.
    """
    if servers.external_database:
        write_private(home.external_file, f"{_without_password(servers.admin_url)}\n")


def _plain_env() -> dict[str, str]:
    """This process's environment without what would lead a child to another server."""
    hidden = {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "CACHE_URL"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**env, "PYTHONUNBUFFERED": "1"}


def _external(admin_url: str) -> str:
    """Check that the server in DATABASE_URL answers; returns the address."""
    scheme = urlsplit(admin_url).scheme
    if scheme not in ("postgresql", "postgres"):
        raise Stop(
            f"DATABASE_URL begins with {scheme or 'nothing'}://, and Merchantry runs on PostgreSQL "
            "alone: postgresql://user:password@host:5432/database"
        )
    try:
        with psycopg.connect(
            make_conninfo(admin_url, dbname=_existing_database(admin_url)), connect_timeout=10
        ) as connection:
            number = connection.info.server_version
    except psycopg.Error as error:
        raise Stop(
            f"DATABASE_URL names a server that cannot be reached: {str(error).strip()}\n"
            "Start it or correct the address; without DATABASE_URL ./dev starts its own PostgreSQL."
        ) from None
    if number < 150_000:
        raise Stop(
            f"The server in DATABASE_URL is PostgreSQL {number // 10_000}; Merchantry needs 15 or "
            "newer."
        )
    say.done(f"PostgreSQL {number // 10_000} at {_without_password(admin_url)}, from DATABASE_URL")
    return admin_url


def _external_cache(redis_url: str) -> str:
    valkey.require_external(redis_url)
    say.done(f"Redis at {_without_password(redis_url)}, from REDIS_URL")
    return redis_url


def _existing_database(admin_url: str) -> str:
    """A database to connect to: the named one may have to be made first."""
    named = str(conninfo_to_dict(admin_url).get("dbname") or "postgres")
    try:
        psycopg.connect(admin_url, connect_timeout=10).close()
    except psycopg.OperationalError as error:
        if f'database "{named}" does not exist' in str(error):
            return "postgres"
    return named


def _database_name(servers: Servers) -> str:
    """The database that the address names; `merchantry` if it names one that all servers have."""
    named = str(conninfo_to_dict(servers.admin_url).get("dbname") or "")
    return DATABASE if named in ("", "postgres", "template0", "template1") else named


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or 'localhost'}{port}{parts.path}"
