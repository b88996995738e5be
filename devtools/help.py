"""The text of `./dev help`."""

from __future__ import annotations

HELP = """\
Merchantry: the back office and merchant portal of a payment business.

  ./dev up [--port N] [--detach] [--tls]
                                   start everything: PostgreSQL and Valkey (their own, unless
                                   DATABASE_URL or REDIS_URL name others), migrations, demo
                                   tenants, entry, web, console, websockets, workers, beat, relay
  ./dev demo                       take one payment end to end and show each step
  ./dev down                       stop everything
  ./dev reset [--yes]              stop everything and forget all data
  ./dev manage ...                 manage.py in that environment
  ./dev test [pytest arguments]    the test suite, with a database and a cache of its own
  ./dev test --since REF           only the tests that the changes since REF (main) concern
  ./dev check [--fix]              format, lint, types, imports, house rules, migrations,
                                   SQL functions, OpenAPI, templates
  ./dev bench NAME                 a benchmark: a table, then one line of JSON
  ./dev help                       this text

State lies in .dev/: logs in .dev/log/, addresses and demo logins in .dev/demo.json.
"""
