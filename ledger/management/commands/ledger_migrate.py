"""`manage.py ledger_migrate`: replay the journal onto a TigerBeetle cluster (docs/ledger.md)."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import Unavailable
from ledger.backends import get_ledger
from ledger.backends.postgres import PostgresLedger
from ledger.replay import ReplayRefused, finish, replay


class Command(BaseCommand):
    help = (
        "Replays the journal onto the cluster that LEDGER_BACKEND=tigerbeetle names. May be cut"
        " short and run again: what is there already is left alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--after", type=int, default=0, help="the timestamp up to which an earlier run came"
        )
        parser.add_argument(
            "--final",
            action="store_true",
            help="posting has stopped: replay the open reservations too and compare all accounts",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            target = get_ledger()
        except ValueError as error:
            raise CommandError(str(error)) from error
        if isinstance(target, PostgresLedger):
            raise CommandError(
                "There is no cluster to replay onto. Set LEDGER_BACKEND=tigerbeetle,"
                " LEDGER_CLUSTER_BESIDE=1 and TIGERBEETLE_ADDRESSES."
            )
        run = finish if options["final"] else replay
        try:
            up_to = run(target, after=options["after"], progress=self.stdout.write)
        except ReplayRefused as error:
            raise CommandError(error.message) from error
        except Unavailable as error:
            raise CommandError(
                f"{error.message} For this command: run it again, with the last number that it"
                " came to as --after."
            ) from error
        self.stdout.write(
            self.style.SUCCESS(f"Replayed up to {up_to}: go on with --after {up_to}.")
        )
