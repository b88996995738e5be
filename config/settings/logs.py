"""Logs: one JSON object a line, fields by allowlist (`core.logging`)."""

from __future__ import annotations

from typing import Any

LOGGING_CONFIG = "core.logging.configure"
LOGGING: dict[str, Any] = {"level": "INFO"}
