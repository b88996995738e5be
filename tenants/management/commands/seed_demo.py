"""``manage.py seed_demo``: make the demo tenants, and print what a script needs as JSON."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tenants.services.demo import seed_demo


class Command(BaseCommand):
    """Idempotent: a second run changes nothing and prints the same."""

    help = "Make the demo tenants and print their logins and keys as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--out`` names a file to write (mode 0600) instead of standard output."""
        parser.add_argument("--out", help="Write the JSON to this file, readable by you alone.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed, then write."""
        text = json.dumps(seed_demo(), indent=2) + "\n"
        if not options["out"]:
            self.stdout.write(text, ending="")
            return
        _write_private(Path(options["out"]), text)
        self.stdout.write(f"Wrote {options['out']}")


def _write_private(path: Path, text: str) -> None:
    """Replace the file in one step, never half-written and readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(0o600)
    Path(name).replace(path)
