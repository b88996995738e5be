"""The one place where provider accounts are locked."""

from __future__ import annotations

from uuid import UUID

from core.errors import NotFound
from payments.providers.models import ProviderAccount


def lock_account(account_id: UUID) -> ProviderAccount:
    """The account, locked. Raises NotFound."""
    found = ProviderAccount.objects.select_for_update().filter(id=account_id).first()
    if found is None:
        raise NotFound("No provider account has this id.", code="resource_missing")
    return found
