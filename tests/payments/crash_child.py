"""A process that makes one API call and dies where CRASH_AT says. Run by the crash tests.

usage: crash_child.py METHOD PATH BODY SECRET_KEY IDEMPOTENCY_KEY
"""

from __future__ import annotations

import sys

import django

django.setup()

from django.test import Client  # noqa: E402

method, path, body, secret, key = sys.argv[1:]
answer = Client().generic(
    method,
    path,
    body.encode(),
    content_type="application/json",
    headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": key},
)
sys.stdout.write(f"{answer.status_code} {answer.content.decode()}\n")
