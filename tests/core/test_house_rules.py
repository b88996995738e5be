"""Standing tests over all models and settings (docs/house-rules.md)."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from typing import Any, Final

import pytest
from django.apps import apps
from django.db.models import Model

from core.logging import ALLOWED_FIELDS
from devtools.home import ROOT

#: From the top down; apps of one line are siblings, which do not know each other.
ROOMS: Final = (
    ("portal", "developers"),
    ("onboarding",),
    ("payouts", "wallets"),
    (
        "payments.checkout",
        "payments.subscriptions",
        "payments.pos",
        "payments.qr",
    ),
    ("payments.acceptance",),
    ("payments.intents",),
    ("payments.rules", "payments.providers"),
    ("ledger", "kyc", "notifications"),
    ("tenants",),
    ("core",),
)
LEVELS: Final = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}

#: `env.int("NAME", …)` of the settings; `os.environ["NAME"]`, `os.environ.get("NAME")`.
_ENV_READ: Final = re.compile(
    r"""(?:\benv(?:\.\w+)?\(|\bos\.environ(?:\.\w+\(|\[)|\bos\.getenv\()\s*["']([A-Z][A-Z0-9_]+)"""
)


def _room(model: type[Model]) -> str:
    return str(apps.get_app_config(model._meta.app_label).name)


def _goes_down(source: str, target: str) -> bool:
    # Frameworks lie below everything; a room may name itself.
    if target not in LEVELS or source == target:
        return True
    return LEVELS[source] < LEVELS[target]


def test_every_app_of_ours_has_its_place() -> None:
    ours = {
        config.name
        for config in apps.get_app_configs()
        if (ROOT / config.name.replace(".", "/")).is_dir()
    }
    assert ours - set(LEVELS) == set()


def test_foreign_keys_go_down_only() -> None:
    """import-linter sees imports; a key that names its target by a string is none."""
    wrong, seen = [], 0
    for model in apps.get_models(include_auto_created=True):
        source = _room(model)
        if source not in LEVELS:
            continue
        for field in model._meta.get_fields():
            target = field.related_model
            if not field.concrete or not isinstance(target, type):
                continue
            seen += 1
            if not _goes_down(source, _room(target)):
                wrong.append(f"{model.__name__}.{field.name} → {target.__name__}")
    assert seen > 10
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("tenants", "core", True),
        ("core", "tenants", False),
        ("payments.intents", "payments.acceptance", False),
        ("payments.acceptance", "payments.intents", True),
        ("ledger", "notifications", False),
        ("ledger", "django.contrib.auth", True),
    ],
)
def test_what_down_means(source: str, target: str, allowed: bool) -> None:
    assert _goes_down(source, target) is allowed


def _settings(**env: str) -> dict[str, Any]:
    names = (
        "EMAIL_BACKEND", "EMAIL_HOST", "EMAIL_PORT", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD",
        "EMAIL_USE_TLS", "EMAIL_USE_SSL", "EMAIL_TIMEOUT", "TRUSTED_PROXIES", "API_RATE_PER_S",
    )  # fmt: skip
    code = (
        "import json; from config.settings import base;"
        f"print(json.dumps({{name: getattr(base, name) for name in {names!r}}}))"
    )
    hidden = {"EMAIL_BACKEND", "EMAIL_URL", "EMAIL_TIMEOUT", "TRUSTED_PROXIES", "API_RATE_PER_S"}
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**clean, **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def test_the_mail_server_is_one_address() -> None:
    found = _settings(
        EMAIL_URL="smtp+tls://mail%40shop.example:p%2Fw@mail.internal:587", EMAIL_TIMEOUT="7"
    )
    assert found["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend"
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"]) == ("mail.internal", 587)
    assert found["EMAIL_HOST_USER"] == "mail@shop.example"
    assert found["EMAIL_HOST_PASSWORD"] == "p/w"
    assert (found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"], found["EMAIL_TIMEOUT"]) == (
        True,
        False,
        7,
    )


def test_what_is_not_set_has_a_safe_value() -> None:
    found = _settings()
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"], found["EMAIL_TIMEOUT"]) == (
        "localhost",
        25,
        10,
    )
    assert (found["TRUSTED_PROXIES"], found["API_RATE_PER_S"]) == ([], 100)
    console = "django.core.mail.backends.console.EmailBackend"
    assert _settings(EMAIL_BACKEND=console)["EMAIL_BACKEND"] == console


def test_ci_is_told_that_it_is_ci() -> None:
    """What a desk may skip with a remark is a failure there."""
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines.index("export CI=true") < lines.index("./dev check || status=1")


def test_every_variable_that_is_read_is_named_in_the_documents() -> None:
    """What nobody can find is set by nobody."""
    rooms = ["config", *(room.partition(".")[0] for room in LEVELS)]
    sources = [path for room in set(rooms) for path in (ROOT / room).rglob("*.py")]
    read = {
        name for path in sources for name in _ENV_READ.findall(path.read_text(encoding="utf-8"))
    }
    assert {"SECRET_KEY", "WS_PER_PERSON", "TIGERBEETLE_TIMEOUT_S"} <= read
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        name
        for path in documents
        for name in re.findall(r"[A-Z][A-Z0-9_]+", path.read_text(encoding="utf-8"))
    }
    # Not for whoever runs the platform: each process sets it for itself.
    assert read - named - {"DJANGO_SETTINGS_MODULE"} == set()


_LOGGED: Final = {"debug", "info", "warning", "error", "exception", "critical"}


def _unlogged(source: str) -> list[str]:
    """The fields of log calls that no line would show, or that a call may not have."""
    return [
        f"{call.lineno}: {keyword.arg}"
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in _LOGGED
        and ast.unparse(call.func.value) == "log"
        for keyword in call.keywords
        # The message is `event` already, so a second one is a TypeError where it is logged.
        if keyword.arg not in (ALLOWED_FIELDS | {"exc_info"}) - {"event"}
    ]


def test_every_field_that_is_logged_is_shown() -> None:
    rooms = {room.partition(".")[0] for room in LEVELS} | {"config"}
    found = {
        str(path.relative_to(ROOT)): unlogged
        for room in sorted(rooms)
        for path in sorted((ROOT / room).rglob("*.py"))
        if (unlogged := _unlogged(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_a_field_that_no_line_shows_is_found() -> None:
    assert _unlogged('log.info("a", event="b")\nlog.error("c", intent=1, count=2)') == [
        "1: event",
        "2: intent",
    ]
