#!/usr/bin/env python3
"""Django's command line; commands that change the schema speak as its owner."""

from __future__ import annotations

import os
import sys

#: These need the owner of the schema; everything else runs as the login role that RLS binds.
OWNER_COMMANDS = {"migrate", "showmigrations", "sqlmigrate"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
    owner_url = os.environ.get("DATABASE_OWNER_URL")
    if owner_url and len(sys.argv) > 1 and sys.argv[1] in OWNER_COMMANDS:
        os.environ["DATABASE_URL"] = owner_url
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
