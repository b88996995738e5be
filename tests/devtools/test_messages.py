"""What goes wrong is said in a sentence, with a non-zero exit and nothing damaged."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest

from devtools import bootstrap, chromium, say, secrets_file, stack, up
from devtools.home import ROOT, Home
from devtools.ports import HOST, free_port
from devtools.say import Stop
from devtools.stack import Servers
from devtools.supervisor import interruptible


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_an_old_python_is_named(tmp_path: Path) -> None:
    for name in ("python3", "python", *(f"python3.{minor}" for minor in (11, 12, 13, 14))):
        _program(tmp_path / name, 'test "$1" = --version && echo Python 3.9.2 && exit 0; exit 1')
    for name in ("dirname", "sh"):
        (tmp_path / name).symlink_to(Path("/usr/bin") / name)

    ran = subprocess.run(
        [ROOT / "dev", "up"], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )

    assert ran.returncode == 1
    assert "needs Python 3.11 or newer, and this machine offers Python 3.9.2" in ran.stderr


def test_a_missing_venv_module_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    with pytest.raises(bootstrap.BootstrapError, match="apt-get install python3-venv"):
        bootstrap._ensure_venv()

    assert not (tmp_path / ".venv").exists()


def test_packages_are_installed_again_when_an_included_file_changes(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("a==1\n")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\nb==1\n")
    before = bootstrap.requirements_hash(tmp_path, "requirements-dev.txt")

    (tmp_path / "requirements.txt").write_text("a==2\n")

    assert bootstrap.requirements_hash(tmp_path, "requirements-dev.txt") != before


def test_a_full_disk_is_named() -> None:
    said = say.explain_os_error(OSError(errno.ENOSPC, "No space left on device", "/data/x"))
    assert said.startswith("There is no space left on the disk (/data/x).")


def test_too_little_space_stops_before_anything_is_begun(home: Home) -> None:
    with pytest.raises(Stop, match="nothing was changed"):
        home.ensure_space(10**18)


def test_a_busy_port_ends_the_start_before_any_process(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        with interruptible():  # which gives the signals back to pytest afterwards
            code = up._run(home, f"http://{HOST}:{listener.getsockname()[1]}", detached=False)

    assert code == 1
    assert "cannot be had" in capsys.readouterr().err
    assert not home.postgres.exists()
    assert not home.state_file.exists()


@pytest.mark.parametrize("address", ["mysql://localhost/x", "sqlite:///x.db", "localhost"])
def test_a_database_that_is_not_postgresql_is_refused(address: str) -> None:
    with pytest.raises(Stop, match="PostgreSQL alone"):
        stack._external(address)


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    port = free_port()
    with pytest.raises(Stop, match="cannot be reached") as stopped:
        stack._external(f"postgresql://admin:topsecret@{HOST}:{port}/postgres")
    assert "topsecret" not in str(stopped.value)


def test_a_cache_that_does_not_answer_is_named() -> None:
    with pytest.raises(Stop, match="REDIS_URL names a server that does not answer"):
        stack._external_cache(f"redis://{HOST}:{free_port()}/0")


@pytest.mark.parametrize(
    ("path", "database"),
    [("", "merchantry"), ("/postgres", "merchantry"), ("/payments", "payments")],
)
def test_the_database_of_the_address_is_used_unless_every_server_has_it(
    path: str, database: str
) -> None:
    servers = Servers(f"postgresql://admin@{HOST}:5432{path}", "", external_database=True)
    assert stack._database_name(servers) == database


def test_secrets_are_made_once_and_are_private(home: Home) -> None:
    first = secrets_file.read_or_make(home)

    assert secrets_file.read_or_make(home) == first
    assert stat.S_IMODE(home.env_file.stat().st_mode) == 0o600


def test_a_new_secret_is_added_without_changing_the_others(home: Home) -> None:
    first = secrets_file.read_or_make(home)
    lines = home.env_file.read_text().splitlines()
    home.env_file.write_text("\n".join(line for line in lines if "JWT_KEYS" not in line) + "\n")

    second = secrets_file.read_or_make(home)

    assert second["JWT_KEYS"] != first["JWT_KEYS"]
    assert {**second, "JWT_KEYS": ""} == {**first, "JWT_KEYS": ""}


def test_passwords_of_roles_made_elsewhere_come_from_the_environment(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = secrets_file.read_or_make(home)
    monkeypatch.setenv("DATABASE_LOGIN_PASSWORD", "of-another-checkout")

    found = stack.read_secrets(home)

    assert found == {**first, "DATABASE_LOGIN_PASSWORD": "of-another-checkout"}
    assert secrets_file.read_or_make(home) == first


@pytest.mark.parametrize("external", [True, False])
def test_reset_keeps_the_passwords_of_roles_that_it_cannot_forget(
    home: Home, external: bool
) -> None:
    secrets_file.read_or_make(home)
    address = f"postgresql://admin:topsecret@{HOST}:5432/postgres"
    stack.remember_external(home, Servers(address, "", external_database=external))

    up._forget(home)

    assert home.env_file.exists() is external
    assert "topsecret" not in (home.external_file.read_text() if external else "")


def test_a_damaged_secrets_file_is_not_overwritten(home: Home) -> None:
    home.env_file.write_text("SECRET_KEY=abc\nnonsense\n")

    with pytest.raises(Stop, match=r"Line 2 of .* is not KEY=VALUE"):
        secrets_file.read_or_make(home)

    assert home.env_file.read_text() == "SECRET_KEY=abc\nnonsense\n"


def test_the_browser_is_wanted_only_by_files_that_drive_it(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text("def test_a(): ...\n")
    assert not chromium.wants_browser([], tests=tmp_path)

    driving = tmp_path / "test_pages.py"
    driving.write_text("import pytest\npytestmark = pytest.mark.browser\n")

    assert chromium.wants_browser(["-q"], tests=tmp_path)
    assert chromium.wants_browser([f"{driving}::test_pay"], tests=tmp_path)
    assert not chromium.wants_browser([str(tmp_path / "test_plain.py")], tests=tmp_path)


def test_a_chromium_path_that_is_no_program_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CHROMIUM_PATH", str(tmp_path / "missing"))
    with pytest.raises(Stop, match="no program that can be run"):
        chromium._present()


def test_reset_without_a_terminal_wants_to_be_sure(home: Home) -> None:
    home.env_file.write_text("SECRET_KEY=kept")

    ran = subprocess.run(
        [ROOT / "dev", "reset"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "MERCHANTRY_HOME": str(home.path)},
    )
    assert ran.returncode == 1
    assert "./dev reset --yes" in ran.stderr
    assert home.env_file.read_text() == "SECRET_KEY=kept"
