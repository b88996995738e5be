"""``manage.py print_access``: who may act on whom, as the table of docs/access.md."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.management.base import BaseCommand

from tenants import policies
from tenants.models import Role


class Command(BaseCommand):
    """Prints the table in Markdown."""

    help = "Print who may act on whom (tenants/policies.py), as docs/access.md holds it."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the table."""
        self.stdout.write(access_table())


def access_table() -> str:
    """One line for each level, action and rule, with the roles that it is about."""
    lines = [
        "| level | action | on | alone | proposes | confirms |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (level, action), row in policies.PEOPLE.items():
        by_rule: dict[policies.Acts, list[Role]] = {}
        for role, acts in row.items():
            by_rule.setdefault(acts, []).append(role)
        for acts, roles in by_rule.items():
            cells = [
                level.value,
                action.value.replace("_", " "),
                _named(roles),
                _named(acts.alone),
                _named(acts.proposes),
                _named(acts.confirms),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _named(roles: Collection[Role]) -> str:
    order = list(Role)
    return ", ".join(role.value for role in sorted(roles, key=order.index)) or "no one"
