"""Names of accounts and corrections as the admin's pages show them.

An account is read with the rows that name it (`words_of`), so that a list asks once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Case, OuterRef, Subquery, When
from django.db.models.functions import Coalesce, JSONObject
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.ids import decode_or_none
from core.money import format_money
from ledger.chart import BY_CODE, mode
from ledger.models import Account, CorrectionProposal, Transfer
from ledger.selectors import currency_of, normal_side
from tenants.models import Merchant, Reseller, User

Words = Mapping[str, Any]


def words_of(account: str) -> Subquery:
    """Names of the account whose id is in the column `account` (`Words`; null without one).

    The platform's accounts are kept per merchant (`scope_id`): the merchant's name distinguishes
    them. A reseller is named where the account is the reseller's own.
    """
    merchant = Merchant.objects.filter(id=Coalesce(OuterRef("merchant_id"), OuterRef("scope_id")))
    reseller = Reseller.objects.filter(id=OuterRef("reseller_id"))
    found = Account.objects.filter(id=OuterRef(account)).annotate(
        of_merchant=Subquery(merchant.values("name")[:1]),
        of_reseller=Case(
            When(merchant_id__isnull=True, then=Subquery(reseller.values("name")[:1]))
        ),
    )
    told = JSONObject(
        id="id",
        name="name",
        code="code",
        currency="currency",
        livemode="livemode",
        debits="debits_posted",
        credits="credits_posted",
        of_merchant="of_merchant",
        of_reseller="of_reseller",
    )
    return Subquery(found.values(told=told)[:1])


def title_of(words: Words | None) -> str:
    """As "Platform's fees (Blue Bottle Books, test)"."""
    if words is None:
        return "an account that does not exist"
    line = BY_CODE.get(words["code"])
    about = [words["of_reseller"], words["of_merchant"], mode(words["livemode"])]
    return f"{line.title if line else words['name']} ({', '.join(part for part in about if part)})"


def account_link(words: Words | None, more: str = "") -> SafeString:
    """The title with its link, and `more`; the name in small print."""
    if words is None:
        return format_html("{}", title_of(words))
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>{}'
        '<br><span class="text-subtle text-xs wrap-any">{}</span>',
        reverse("admin:ledger_account_change", args=[words["id"]]),
        title_of(words),
        more,
        words["name"],
    )


def change_of(words: Words | None, *, side: str, amount_minor: int, open_: bool) -> str:
    """What a debit or a credit does to the account, and what it holds before one that is open."""
    if words is None:
        return ""
    code, currency = words["code"], words["currency"]
    rises = normal_side(code) == side
    said = f": {'rises' if rises else 'falls'} by {format_money(amount_minor, currency)}"
    if not open_:
        return said
    difference = words["credits"] - words["debits"]
    holds = difference if normal_side(code) == "credit" else -difference
    return f"{said}, holds {format_money(holds, currency)} now"


def move_sentence(amount_minor: int, ledger: int, debit: Words | None, credit: Words | None) -> str:
    """As "Move €1.50 from … to …": from the account that is debited to the one that is credited."""
    amount = format_money(amount_minor, currency_of(ledger))
    return f"Move {amount} from {title_of(debit)} to {title_of(credit)}."


def person(public_id: str) -> str:
    """The e-mail address of a person, or the id where there is none."""
    found = decode_or_none(User.PREFIX, public_id)
    email = found and User.objects.filter(id=found).values_list("email", flat=True).first()
    return email or public_id


def transfer_link(transfer_id: UUID | None) -> SafeString | None:
    """A transfer's id, amount and day, with its link; nothing for none."""
    if transfer_id is None:
        return None
    found = Transfer.objects.filter(id=transfer_id).first()
    if found is None:
        return format_html("{}", transfer_id)
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a> · {} · {}',
        reverse("admin:ledger_transfer_change", args=[transfer_id]),
        found.public_id,
        format_money(found.amount, currency_of(found.ledger)),
        f"{found.booked_at:%Y-%m-%d}",
    )


def proposal_about(
    row: CorrectionProposal, debit: Words | None, credit: Words | None
) -> SafeString:
    """All that the second person has to weigh, in a few sentences."""
    corrects = transfer_link(row.corrects_id)
    return format_html(
        "<p>{}</p><p>Proposed by {}: {}</p>{}{}",
        move_sentence(row.amount_minor, row.ledger, debit, credit),
        person(row.proposed_by),
        row.reason,
        format_html("<p>It corrects {}.</p>", corrects) if corrects else "",
        format_html("<p>It counts for {}.</p>", f"{row.effective_on:%Y-%m-%d}")
        if row.effective_on
        else "",
    )
