"""A process that submits a payer's page and dies where CRASH_AT says. Run by the crash tests.

usage: crash_child.py PATH BODY KEY
"""

from __future__ import annotations

import sys

import django

django.setup()

from django.test import Client  # noqa: E402

path, body, key = sys.argv[1:]
# A client of its own without CSRF checks: what is tested is the charge, not the page's cookie.
answer = Client().post(
    path, body, content_type="application/json", headers={"Idempotency-Key": key}
)
sys.stdout.write(f"{answer.status_code} {answer.content.decode()}\n")
