"""Mails of the development platform: readable, with links that work."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import send_mail

from devtools.home import Home
from devtools.stack import platform_env

LINK = "http://127.0.0.1:8000/invitations/eyJhbGciOi-token_4"


@pytest.fixture
def file(settings: LazySettings, tmp_path: Path) -> Path:
    settings.EMAIL_BACKEND = "core.mail_file.MailFileBackend"
    settings.MAIL_FILE = str(tmp_path / "log" / "mail.log")
    return Path(settings.MAIL_FILE)


def test_mails_are_appended_as_they_are(file: Path) -> None:
    send_mail("First ü", f"Open {LINK} to join.\n", None, ["bob@shop.example", "al@shop.example"])
    send_mail("Second", "Text", None, ["bob@shop.example"])

    mails = file.read_text(encoding="utf-8").split("-" * 72 + "\n")
    assert len(mails) == 3
    assert "To: bob@shop.example, al@shop.example\nSubject: First ü\n" in mails[0]
    assert f"\n\nOpen {LINK} to join.\n" in mails[0]
    assert "Subject: Second\n\nText\n" in mails[1]
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_a_file_nothing_is_sent_and_the_reason_is_said(settings: LazySettings) -> None:
    settings.EMAIL_BACKEND = "core.mail_file.MailFileBackend"
    assert settings.MAIL_FILE == ""
    with pytest.raises(ImproperlyConfigured, match="needs MAIL_FILE"):
        send_mail("Subject", "Text", None, ["bob@shop.example"])


def test_the_development_platform_writes_them_beside_its_logs(tmp_path: Path) -> None:
    secrets = dict.fromkeys(("SECRET_KEY", "FIELD_KEYS", "API_KEY_PEPPERS", "JWT_KEYS"), "x")
    env = platform_env(Home(tmp_path), secrets, base_url="http://127.0.0.1:8000")
    assert env["EMAIL_BACKEND"] == "core.mail_file.MailFileBackend"
    assert env["MAIL_FILE"] == str(tmp_path / "log" / "mail.log")
    assert env["AUDIT_ANCHOR"] == f"file:{tmp_path / 'audit-anchor.jsonl'}"
