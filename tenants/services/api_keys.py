"""API keys, machine clients and service callers: made, rotated, revoked."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from core import errors, ids
from core.context import Actor
from core.db import fetch_one, tenant_atomic
from core.pan import refuse_card_numbers
from core.times import iso
from core.unit import Writes
from tenants import callers, keys, policies
from tenants.lock_objects import lock_api_key
from tenants.models import ApiKey, MachineClient, ServiceCaller

API_KEY_PURPOSE: Final = "api_key"
MACHINE_PURPOSE: Final = "machine_client"
MAX_OVERLAP: Final = timedelta(days=7)
MAX_NAME: Final = 120


def api_key_create(
    *,
    actor: Actor,
    name: str,
    kind: str = "sk",
    scopes: Sequence[str] = (),
    ip_allowlist: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key of the actor's merchant and mode; the text is returned here and never again.

    Raises:
        PermissionDenied: a key would hand out more than it has: a
            permission, a later end, or addresses outside its own allowlist.
        InvalidRequest: unknown kind or scope, bad network, expiry in the past.
    """
    if kind not in ("sk", "rk", "pk"):
        raise errors.InvalidRequest("kind is sk, rk or pk.", code="kind_unknown", param="kind")
    cleaned = policies.check_scopes(scopes, kind=kind)
    if kind == "rk" and not cleaned:
        raise errors.InvalidRequest(
            "A restricted key needs at least one scope.", code="scopes_missing", param="scopes"
        )
    text = keys.generate(kind=kind, livemode=actor.livemode)
    row = _key_row(
        actor=actor,
        text=text,
        name=_clean_name(name),
        scopes=cleaned,
        ip_allowlist=_clean_networks(ip_allowlist),
        expires_at=_future(expires_at),
    )
    writes = Writes()
    writes.insert(row)
    writes.record(
        row,
        action="api_key.created",
        event=None,
        actor=actor,
        after={"name": row.name, "kind": kind, "scopes": cleaned, "hint": row.hint},
    )
    with tenant_atomic(actor.scope):
        _refuse_escalation(actor, row)
        writes.flush()
    return row, text.text


def api_key_rotate(
    *, actor: Actor, key_id: UUID, overlap: timedelta = timedelta(hours=24)
) -> tuple[ApiKey, str]:
    """Make a successor with the same rights and end; the old key works on for ``overlap``.

    Raises NotFound for a foreign key, Conflict for one that is revoked, expired or rotated,
    PermissionDenied where a key would make a successor that outdoes itself.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise errors.InvalidRequest(
            f"The overlap is between 0 and {int(MAX_OVERLAP.total_seconds())} seconds.",
            code="overlap_out_of_range",
            param="overlap_seconds",
        )
    with tenant_atomic(actor.scope):
        old = _own_key(actor, key_id)
        now = timezone.now()
        if old.revoked_at or old.replaced_by_id or (old.expires_at and old.expires_at <= now):
            raise errors.Conflict(
                "Only a key that is in use can be rotated.", code="api_key_not_active"
            )
        text = keys.generate(kind=old.kind, livemode=old.livemode)
        new = _key_row(
            actor=actor,
            text=text,
            name=old.name,
            scopes=old.scopes,
            ip_allowlist=old.ip_allowlist,
            expires_at=old.expires_at,
        )
        _refuse_escalation(actor, new)
        ends_at = now + overlap
        old.expires_at = min(old.expires_at, ends_at) if old.expires_at else ends_at
        old.replaced_by_id = new.id
        writes = Writes()
        writes.insert(new)
        writes.update(old, "expires_at", "replaced_by_id")
        writes.record(
            old,
            action="api_key.rotated",
            event=None,
            actor=actor,
            after={"replaced_by": new.public_id, "expires_at": old.expires_at.isoformat()},
            also=(new,),
        )
        writes.flush()
    return new, text.text


def api_key_revoke(*, actor: Actor, key_id: UUID) -> ApiKey:
    """End a key at once; ending it twice changes nothing. Raises NotFound for a foreign key."""
    with tenant_atomic(actor.scope):
        key = _own_key(actor, key_id)
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            writes = Writes()
            writes.update(key, "revoked_at")
            writes.record(key, action="api_key.revoked", event=None, actor=actor)
            writes.flush()
    return key


def machine_client_create(
    *, actor: Actor, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> tuple[MachineClient, str]:
    """Make a client for ``POST /v1/client/session``; its secret is returned here only."""
    if actor.merchant_id is None or actor.reseller_id is None:
        raise errors.PermissionDenied("Only a merchant has clients.", code="merchant_required")
    cleaned = policies.check_scopes(scopes, kind="rk")
    if not cleaned:
        raise errors.InvalidRequest(
            "A machine client needs at least one scope.", code="scopes_missing", param="scopes"
        )
    secret = keys.random_token()
    stored = keys.digest(secret, purpose=MACHINE_PURPOSE)
    row = MachineClient(
        merchant_id=actor.merchant_id,
        reseller_id=actor.reseller_id,
        livemode=actor.livemode,
        name=_clean_name(name),
        client_id=f"mc_{secrets.token_hex(12)}",
        digest=stored.value,
        pepper_version=stored.pepper_version,
        scopes=cleaned,
        expires_at=_future(expires_at),
    )
    writes = Writes()
    writes.insert(row)
    writes.record(
        row,
        action="machine_client.created",
        event=None,
        actor=actor,
        after={"name": row.name, "scopes": cleaned},
    )
    with tenant_atomic(actor.scope):
        _refuse_escalation(actor, row)
        writes.flush()
    return row, secret


def machine_client_revoke(*, actor: Actor, client_id: UUID) -> MachineClient:
    """End a machine client; a token that it holds is refused from the next request on."""
    with tenant_atomic(actor.scope):
        row = MachineClient.objects.filter(
            id=client_id, merchant_id=policies.merchant_of(actor)
        ).first()
        if row is None:
            raise errors.NotFound("There is no such machine client.")
        policies.require_own(actor, row)
        if row.revoked_at is None:
            row.revoked_at = timezone.now()
            writes = Writes()
            writes.update(row, "revoked_at")
            writes.record(row, action="machine_client.revoked", event=None, actor=actor)
            writes.flush()
    return row


def service_caller_create(
    *,
    actor: Actor,
    name: str,
    scopes: Sequence[str] = ("intents.create", "intents.read"),
    livemode: bool = False,
    merchant_id: UUID | None = None,
) -> tuple[ServiceCaller, str]:
    """Give a trusted service a signing secret (platform staff); returned here and never again."""
    unknown = sorted(set(scopes) - policies.SERVICE_SCOPES)
    if unknown:
        raise errors.InvalidRequest(
            f"A service caller cannot hold {unknown[0]}.", code="scope_unknown", param="scopes"
        )
    text = secrets.token_urlsafe(32)
    row_id = ids.new_id()
    with tenant_atomic(actor.scope):
        reseller_id = None
        if merchant_id is not None:
            found = fetch_one(
                "SELECT reseller_id FROM tenants_merchant WHERE id = %s", [merchant_id]
            )
            if found is None:
                raise errors.NotFound("There is no such merchant.")
            reseller_id = found[0]
        row = ServiceCaller(
            id=row_id,
            name=_clean_name(name),
            key_id=f"svc_{secrets.token_hex(8)}",
            secret_sealed=callers.seal_secret(text, caller_id=row_id),
            scopes=sorted(set(scopes)),
            merchant_id=merchant_id,
            reseller_id=reseller_id,
            livemode=livemode,
        )
        writes = Writes()
        writes.insert(row)
        writes.record(
            row,
            action="service_caller.created",
            event=None,
            actor=actor,
            after={"name": row.name, "key_id": row.key_id},
        )
        writes.flush()
    return row, text


def service_caller_revoke(*, actor: Actor, caller_id: UUID) -> None:
    """End a service caller with its next request (platform staff); ending it twice is no change."""
    with tenant_atomic(actor.scope):
        caller = ServiceCaller.objects.filter(id=caller_id).first()
        if caller is None:
            raise errors.NotFound("There is no such service caller.")
        if caller.revoked_at is None:
            caller.revoked_at = timezone.now()
            writes = Writes()
            writes.update(caller, "revoked_at")
            writes.record(caller, action="service_caller.revoked", event=None, actor=actor)
            writes.flush()


def _own_key(actor: Actor, key_id: UUID) -> ApiKey:
    """The key, locked; another merchant's or mode's does not exist."""
    key = lock_api_key(merchant_id=policies.merchant_of(actor), key_id=key_id)
    policies.require_own(actor, key)
    return key


def _key_row(
    *,
    actor: Actor,
    text: keys.KeyText,
    name: str,
    scopes: Sequence[str],
    ip_allowlist: Sequence[str],
    expires_at: datetime | None,
) -> ApiKey:
    stored = keys.digest(text.text, purpose=API_KEY_PURPOSE)
    if actor.reseller_id is None:
        raise errors.PermissionDenied("Only a merchant has API keys.", code="merchant_required")
    return ApiKey(
        merchant_id=policies.merchant_of(actor),
        reseller_id=actor.reseller_id,
        livemode=text.livemode,
        kind=text.kind,
        name=name,
        lookup_id=text.lookup_id,
        digest=stored.value,
        pepper_version=stored.pepper_version,
        hint=text.hint,
        publishable_text=text.text if text.kind == "pk" else "",
        scopes=list(scopes),
        ip_allowlist=list(ip_allowlist),
        expires_at=expires_at,
        created_by=actor.id,
    )


def _refuse_escalation(actor: Actor, made: ApiKey | MachineClient) -> None:
    """A program never makes a credential that may do more than its own: no other permission, no
    later end, no further address. Needs the actor's open scope."""
    if actor.kind != "api_key":
        return
    kind = made.kind if isinstance(made, ApiKey) else "rk"
    missing = policies.key_permissions(kind=kind, scopes=made.scopes) - actor.scopes
    if missing:
        raise errors.PermissionDenied(
            f"This key cannot hand out {min(missing)}, which it does not have.",
            code="scope_escalation",
        )
    ends_at, networks = _bounds(actor)
    if ends_at is not None and (made.expires_at is None or made.expires_at > ends_at):
        raise errors.PermissionDenied(
            f"This key ends at {iso(ends_at)}. What it makes cannot last longer: give an"
            " expires_at that is no later.",
            code="expiry_escalation",
            param="expires_at",
        )
    allowed = made.ip_allowlist if isinstance(made, ApiKey) else []
    if networks and not (allowed and all(_within(entry, networks) for entry in allowed)):
        raise errors.PermissionDenied(
            f"This key works from {', '.join(networks)} alone. What it makes needs an ip_allowlist"
            " within that.",
            code="network_escalation",
            param="ip_allowlist",
        )


def _bounds(actor: Actor) -> tuple[datetime | None, list[str]]:
    """When the acting credential ends, and where it may be used from (empty: anywhere)."""
    if actor.id.startswith(f"{MachineClient.PREFIX}_"):
        client = MachineClient.objects.get(id=ids.decode(MachineClient.PREFIX, actor.id))
        return client.expires_at, []
    key = ApiKey.objects.get(id=ids.decode(ApiKey.PREFIX, actor.id))
    return key.expires_at, key.ip_allowlist


def _within(entry: str, networks: Sequence[str]) -> bool:
    """Whether every address of ``entry`` lies in one of ``networks``."""
    inner = ipaddress.ip_network(entry, strict=False)
    for network in networks:
        outer = ipaddress.ip_network(network, strict=False)
        if inner.version == outer.version and inner.subnet_of(outer):  # type: ignore[arg-type]  # one version, one class
            return True
    return False


def _clean_name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not 1 <= len(cleaned) <= MAX_NAME:
        raise errors.InvalidRequest(
            f"Give a name of 1 to {MAX_NAME} characters.", code="name_invalid", param="name"
        )
    refuse_card_numbers(cleaned, "name")
    return cleaned


def _clean_networks(entries: Sequence[str]) -> list[str]:
    """Addresses and networks in their canonical spelling."""
    cleaned = []
    for entry in entries:
        try:
            cleaned.append(str(ipaddress.ip_network(entry.strip(), strict=False)))
        except ValueError as error:
            raise errors.InvalidRequest(
                f"{entry!r} is neither an address nor a network such as 203.0.113.0/24.",
                code="network_invalid",
                param="ip_allowlist",
            ) from error
    return sorted(set(cleaned))


def _future(moment: datetime | None) -> datetime | None:
    if moment is not None and moment <= timezone.now():
        raise errors.InvalidRequest(
            "expires_at lies in the past.", code="expiry_past", param="expires_at"
        )
    return moment
