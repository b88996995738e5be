"""Invitations into a tenant: made, withdrawn, accepted."""

from __future__ import annotations

import base64
import math
from datetime import timedelta
from typing import Final, TypedDict
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils import timezone

from core import errors, ids
from core.card_columns import checked
from core.context import Actor
from core.db import Scope, fetch_one, tenant_atomic
from core.unit import Writes
from tenants import events, keys, policies, selectors
from tenants.lock_objects import lock_invitation, lock_invitations, lock_tenant
from tenants.models import (
    Invitation,
    Level,
    Membership,
    Role,
    User,
)
from tenants.models.people import PLATFORM_ROLES, TENANT_ROLES, normalise_email
from tenants.policies import PersonAction
from tenants.services import mail_limits
from tenants.services.passwords import check_password_strength
from tenants.services.sessions import person_exists, user_actor

INVITATION_PURPOSE: Final = "invitation"
INVITATION_LIFETIME: Final = timedelta(days=7)
#: How soon a tenant may write to the same address again.
INVITATION_INTERVAL: Final = timedelta(days=1)
MAX_OPEN_INVITATIONS: Final = 100


def invitation_token(invitation_id: UUID) -> str:
    """The secret of an invitation's link, derived so that the mail task needs only the id."""
    derived = keys.digest(str(invitation_id), purpose="invitation_token").value
    return base64.urlsafe_b64encode(derived).decode().rstrip("=")


def invitation_create(
    *,
    actor: Actor,
    email: str,
    role: str,
    merchant_id: UUID | None = None,
) -> Invitation:
    """Invite a member into the actor's tenant; a reseller may name one of its merchants.

    A second invitation to the same address replaces the first, a day later at the earliest: each
    one is a mail to a person who did not ask for it. The mail goes out after the commit.

    Raises:
        PermissionDenied: only owners invite owners, except a merchant's
            first one, whom its reseller may invite.
        NotFound: a foreign merchant. InvalidRequest: bad address or role.
        Conflict: the person is a member already, or a first owner is invited already.
        RateLimited: the address was invited within a day (``invited_already``), or often by others.
    """
    place = _place(actor, merchant_id)
    own = merchant_id in (None, actor.merchant_id)
    check_role(actor, PersonAction.INVITE, role, level=place["level"], own=own)
    address = clean_email(email)
    with tenant_atomic(actor.scope):
        tenant = lock_tenant(merchant_id=place["merchant_id"], reseller_id=place["reseller_id"])
        if not policies.owns(actor, tenant):
            raise errors.NotFound("There is no such merchant.", param="merchant")
        if role == Role.OWNER and not own:
            refuse_second_owner(place, email=address)
        return invite(actor=actor, email=address, role=role, place=place)


class TenantPlace(TypedDict):
    """The tenant that an invitation leads into: its level, and the columns that name it."""

    level: str
    platform_id: UUID | None
    reseller_id: UUID | None
    merchant_id: UUID | None


def invite(*, actor: Actor, email: str, role: str, place: TenantPlace) -> Invitation:
    """Store an invitation into the tenant that ``place`` names, inside the open transaction.

    The caller has asked what the actor may do, and holds the tenant's lock: two at once would
    break the rule of one open invitation per address.

    Raises Conflict: too many are open, or the person is a member already. RateLimited: the address
    was invited within a day, or often by others.
    """
    row_id = ids.new_id()
    stored = keys.digest(invitation_token(row_id), purpose=INVITATION_PURPOSE)
    invitation = Invitation(
        id=row_id,
        email=email,
        role=role,
        token_digest=stored.value,
        pepper_version=stored.pepper_version,
        invited_by_id=actor.user_id,
        expires_at=timezone.now() + INVITATION_LIFETIME,
        **place,
    )
    open_ones = _not_answered(place)
    if open_ones.count() >= MAX_OPEN_INVITATIONS:
        raise errors.Conflict(
            f"There are {MAX_OPEN_INVITATIONS} open invitations; revoke some first.",
            code="too_many_invitations",
        )
    if Membership.objects.filter(user__email=email, **_tenant_of(place)).exists():
        raise errors.Conflict(f"{email} is a member already.", code="already_member")
    if actor.kind != "system":
        # The machine's operator is no stranger, and has no other way to correct a role.
        _refuse_repeated_mail(place, email=email)
    writes = Writes()
    for replaced in lock_invitations(open_ones.filter(email=email)):
        _withdraw(writes, replaced, actor=actor)
    # By itself: an address has one open invitation, and a statement has no order inside.
    writes.flush()
    writes.insert(invitation)
    writes.record(
        invitation,
        action="invitation.created",
        event=events.INVITATION_CREATED,
        actor=actor,
        after={"email": email, "role": role, "level": place["level"]},
    )
    writes.flush()
    return invitation


def _refuse_repeated_mail(place: TenantPlace, *, email: str) -> None:
    """One invitation per address and day from each tenant, and a few a day from all together."""
    now = timezone.now()
    latest = (
        Invitation.objects.filter(
            email=email, created_at__gt=now - INVITATION_INTERVAL, **_tenant_of(place)
        )
        .order_by("-created_at")
        .first()
    )
    if latest is None:
        mail_limits.invitation_take(email=email)
        return
    wait_s = math.ceil((latest.created_at + INVITATION_INTERVAL - now).total_seconds())
    is_open = latest.revoked_at is None and latest.accepted_at is None
    raise errors.RateLimited(
        f"{email} was invited within the last day"
        f"{', and the link in that mail is still good' if is_open else ''}. Another invitation can "
        f"be sent {mail_limits.in_words(wait_s)}.",
        retry_after_s=wait_s,
        code="invited_already",
    )


def refuse_second_owner(place: TenantPlace, *, email: str) -> None:
    """Refuse a second owner from a level above: the first one names all others.

    Raises PermissionDenied where there is an owner, Conflict where another one is invited.
    """
    if Membership.objects.filter(
        level=place["level"], role=Role.OWNER, **_tenant_of(place)
    ).exists():
        raise errors.PermissionDenied(
            "There is an owner already, and only an owner makes owners.", code="owner_required"
        )
    asked = _not_answered(place).filter(role=Role.OWNER, expires_at__gt=timezone.now())
    if asked.exclude(email=email).exists():
        raise errors.Conflict(
            "Another person is invited as owner. Withdraw that invitation first.",
            code="owner_invited",
        )


def invitation_revoke(*, actor: Actor, invitation_id: UUID) -> Invitation:
    """Withdraw an open invitation; its link stops working.

    A reseller withdraws its own and what its people sent into a merchant. Raises NotFound for every
    other one.
    """
    with tenant_atomic(actor.scope):
        row = _unanswered(actor, invitation_id)
        if row.revoked_at is None:
            writes = Writes()
            _withdraw(writes, row, actor=actor)
            writes.flush()
    return row


def invitation_resend(*, actor: Actor, invitation_id: UUID) -> Invitation:
    """Send an invitation again: a new link, good for seven days; the earlier one stops working.

    As `invitation_create` for the same address and role, also in what it raises. Raises NotFound
    for one that the actor could not withdraw, Conflict for one that was accepted or withdrawn.
    """
    with tenant_atomic(actor.scope):
        found = selectors.invitations(actor=actor).filter(id=invitation_id).first()
        # The tenant before the invitation, in the order in which `invitation_create` locks.
        if found is not None:
            lock_tenant(merchant_id=found.merchant_id, reseller_id=found.reseller_id)
        row = _unanswered(actor, invitation_id)
        if row.revoked_at is not None:
            raise errors.Conflict(
                "The invitation was withdrawn. Invite the person again.", code="invitation_invalid"
            )
        place: TenantPlace = {
            "level": row.level,
            "platform_id": row.platform_id,
            "reseller_id": row.reseller_id,
            "merchant_id": row.merchant_id,
        }
        own = row.level == policies.level_of(actor)
        check_role(actor, PersonAction.INVITE, row.role, level=row.level, own=own)
        if not own:
            refuse_second_owner(place, email=row.email)
        return invite(actor=actor, email=row.email, role=row.role, place=place)


def _unanswered(actor: Actor, invitation_id: UUID) -> Invitation:
    """The invitation, locked, one of those that the actor may change.

    Raises NotFound for every other one, Conflict for one that was accepted.
    """
    row = lock_invitation(selectors.invitations(actor=actor), invitation_id)
    if not policies.owns(actor, row):
        raise errors.NotFound("There is no such invitation.")
    if row.accepted_at is not None:
        raise errors.Conflict("The invitation was accepted already.", code="accepted_already")
    return row


def _withdraw(writes: Writes, row: Invitation, *, actor: Actor) -> None:
    row.revoked_at = timezone.now()
    writes.update(row, "revoked_at")
    writes.record(row, action="invitation.revoked", event=None, actor=actor)


def invitation_find(*, token: str) -> Invitation:
    """The open invitation behind a link. Raises NotFound for an old, used or withdrawn one."""
    with tenant_atomic(Scope.auth()):
        # The digests prove who was invited, so this scope looks one up and reads none.
        found = fetch_one("SELECT tenants_invitation_find(%s)", [_digests(token)])
        row = (
            Invitation.objects.select_related("platform", "reseller", "merchant")
            .defer("token_digest")
            .filter(id=found[0])
            .first()
            if found and found[0]
            else None
        )
    if row is None:
        raise errors.NotFound(
            "This invitation was used, withdrawn or is older than seven days. Ask for a new one.",
            code="invitation_invalid",
        )
    return row


def invitation_accept(
    *, token: str, name: str, password: str, ip: str | None, user: User | None = None
) -> User:
    """Turn an invitation into a membership.

    ``user`` is the logged-in person, whose address must be the invited one; without it a new person
    is made with ``name`` and ``password``. The link proves that the address receives mail.

    Raises:
        NotFound: the link is not good any more. InvalidRequest: the password is too weak.
        Conflict: a person with this address exists and must log in first (``login_required``),
            another person is logged in (``wrong_account``), the person is a member already
            (``already_member``), or should join the platform with a tenant's account
            (``staff_account_needed``).
    """
    invitation = invitation_find(token=token)
    _check_invited(invitation, user)
    person = user or _new_person(invitation, name=name, password=password)
    try:
        with tenant_atomic(Scope.auth()):
            # It locks, which decides a race of two tabs: the second one finds no open invitation.
            if not _accept(token, person, is_new=user is None):
                raise errors.NotFound(
                    "This invitation was used already.", code="invitation_invalid"
                )
            writes = Writes()
            writes.record(
                invitation,
                action="invitation.accepted",
                event=None,
                actor=user_actor(person, ip=ip),
                after={"role": invitation.role, "level": invitation.level},
            )
            writes.flush()
            return User.objects.get(id=person.id)
    except IntegrityError as error:
        taken = _taken(error)
        if taken is None:
            raise
        raise taken from error


def clean_email(email: str) -> str:
    """The address in the spelling under which it is stored. Raises InvalidRequest."""
    address = normalise_email(email)
    try:
        validate_email(address)
    except ValidationError as error:
        raise errors.InvalidRequest(
            "This is not an e-mail address.", code="email_invalid", param="email"
        ) from error
    return address


def _place(actor: Actor, merchant_id: UUID | None) -> TenantPlace:
    """Level and tenant columns of a new invitation."""
    if actor.merchant_id is not None:
        if merchant_id not in (None, actor.merchant_id):
            raise errors.NotFound("There is no such merchant.", param="merchant")
        merchant_id = actor.merchant_id
    if actor.reseller_id is None:
        raise errors.PermissionDenied(
            "Invite people from a merchant's or reseller's seat.", code="tenant_required"
        )
    return {
        "level": Level.MERCHANT if merchant_id else Level.RESELLER,
        "platform_id": None,
        "reseller_id": actor.reseller_id,
        "merchant_id": merchant_id,
    }


def check_role(actor: Actor, action: PersonAction, role: str, *, level: str, own: bool) -> None:
    """Refuse a role that the actor may not give; a reseller's managers may name a merchant's
    first owner.

    Raises InvalidRequest: not a role of this level. PermissionDenied: only owners make owners.
    """
    allowed = PLATFORM_ROLES if level == Level.PLATFORM else TENANT_ROLES
    if role not in allowed:
        raise errors.InvalidRequest(
            f"role is one of {', '.join(allowed)}.", code="role_unknown", param="role"
        )
    if own and not policies.may_act(actor, action, role):
        raise errors.PermissionDenied("Only an owner makes owners.", code="owner_required")


def _not_answered(place: TenantPlace) -> QuerySet[Invitation]:
    """The invitations into a tenant that were neither accepted nor withdrawn."""
    return Invitation.objects.filter(
        accepted_at__isnull=True, revoked_at__isnull=True, **_tenant_of(place)
    )


def _tenant_of(place: TenantPlace) -> dict[str, UUID | None]:
    """The tenant columns of a place, each of which must match."""
    return {
        "platform_id": place["platform_id"],
        "reseller_id": place["reseller_id"],
        "merchant_id": place["merchant_id"],
    }


def _check_invited(invitation: Invitation, user: User | None) -> None:
    """Refuse a person who is logged in to another account, or must log in first."""
    if user is not None and user.email != invitation.email:
        raise errors.Conflict(
            f"This invitation is for {invitation.email}. Log out and open the link again.",
            code="wrong_account",
        )
    if user is not None and invitation.level == Level.PLATFORM and not user.is_staff:
        raise staff_account_needed(invitation.email)
    if user is None and person_exists(email=invitation.email):
        raise errors.Conflict(
            "You have an account already. Log in, then open the link again.", code="login_required"
        )


def _digests(token: str) -> list[bytes]:
    return keys.digests(token, purpose=INVITATION_PURPOSE)


def _accept(token: str, person: User, *, is_new: bool) -> bool:
    """Use the invitation up for a membership, and store the person where new.

    A database function with rights of its own does it: the web process itself may create neither
    people nor members, least of all the platform's. False: the invitation is not open any more.
    """
    account = (person.name, person.password, person.login_stamp) if is_new else (None, None, None)
    done = fetch_one(
        "SELECT tenants_invitation_accept(%s, %s, %s, %s, %s, %s)",
        [_digests(token), person.id, ids.new_id(), *account],
    )
    return done == (True,)


def staff_account_needed(email: str) -> errors.Conflict:
    """The refusal of an account in a tenant as an account of the platform's staff."""
    return errors.Conflict(
        f"{email} has an account outside the staff. Staff need one of their own: use "
        "another address.",
        code="staff_account_needed",
    )


def _taken(error: IntegrityError) -> errors.Conflict | None:
    """The refusal of a person who lost a race for a row that may exist once."""
    constraint = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
    if constraint == "tenants_membership_once":
        return errors.Conflict("You are a member here already.", code="already_member")
    if constraint == "tenants_user_email_key":
        return errors.Conflict(
            "You have an account already. Log in, then open the link again.", code="login_required"
        )
    return None


def _new_person(invitation: Invitation, *, name: str, password: str) -> User:
    cleaned = " ".join(name.split())[:120]
    if not cleaned:
        raise errors.InvalidRequest("Enter your name.", code="name_missing", param="name")
    person = User(email=invitation.email, name=checked(User._meta.get_field("name"), cleaned))
    check_password_strength(password, user=person)
    person.set_password(password)
    return person
