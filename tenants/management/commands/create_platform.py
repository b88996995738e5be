from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.errors import AppError
from tenants.models import Role
from tenants.models.people import PLATFORM_ROLES
from tenants.services.mail import invitation_link
from tenants.services.sign_up import platform_set_up


class Command(BaseCommand):
    help = (
        "Make the platform if there is none yet, and invite a member of its staff: the first step "
        "of a new installation, and later the way for every colleague. Prints the link, which is "
        "mailed too. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="", help="The platform's name, for the first time.")
        parser.add_argument("--email", required=True, help="Whom to invite.")
        parser.add_argument(
            "--role",
            choices=[str(role) for role in PLATFORM_ROLES],
            default=str(Role.COMPLIANCE),
            help="compliance (the default) signs up resellers and decides who may trade.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = platform_set_up(
                name=options["name"], email=options["email"], role=options["role"]
            )
        except AppError as error:
            raise CommandError(error.message) from error
        word = "made" if done.made else "was there already"
        self.stdout.write(f"Platform {done.platform.name} ({done.platform.public_id}) {word}.")
        if done.invitation is None:
            self.stdout.write(f"{options['email']} is a member already; nothing to do.")
            return
        self.stdout.write(
            f"Open this link as {done.invitation.email} to join as {done.invitation.role}, "
            f"within seven days:\n{invitation_link(done.invitation.id)}"
        )
