"""The ledger for the platform's staff: read-only; a correction takes two people."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action

from core.admin import (
    ReadOnlyAdmin,
    SelectedActions,
    actor_of,
    allowed,
    display,
    staff_action,
)
from core.admin_filters import by_currency, one_of, typed
from core.admin_forms import ReasonForm, staff_form
from core.money import format_money
from ledger import selectors
from ledger.admin.forms import CorrectionForm
from ledger.admin.words import (
    Words,
    account_link,
    change_of,
    move_sentence,
    person,
    proposal_about,
    title_of,
    transfer_link,
    words_of,
)
from ledger.chart import CHART, TransferCode, ledger_number, mode
from ledger.flags import AccountFlags, TransferFlags
from ledger.models import (
    Account,
    AccountCode,
    CorrectionProposal,
    FailedTransfer,
    FxConversion,
    IntegrityRun,
    Transfer,
)
from ledger.selectors.books import books_by_currency
from ledger.services import corrections
from ledger.shapes import code_name
from ledger.status import BY_NUMBER

_STATES: dict[str, str] = {"proposed": "info", "booked": "success", "rejected": "warning"}
_SECOND_PERSON = "A second person must confirm it before the transfer is booked."
_ACCOUNTS = ("debit_account_id", "credit_account_id")
_RUNS: dict[str, str] = {"sound": "success", "off": "danger"}


def _ledgers(currency: str) -> list[int]:
    """The ledgers of a currency, of both modes. Raises InvalidRequest where there is none."""
    return [ledger_number(currency.upper(), livemode) for livemode in (False, True)]


class _MoneyAdmin(ReadOnlyAdmin):
    """Pages from which finance moves money, by two people."""

    def has_money_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Finance alone."""
        return allowed(request, "platform.money.write")


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """Accounts with their balances."""

    list_display = ("name", "shown_type", "shown_balance", "shown_pending", "closed", "livemode")
    list_filter = (
        "livemode",
        by_currency,
        one_of("code", {line.code: line.title for line in CHART}),
    )
    id_columns: ClassVar = {"acc": "pk", "mer": "merchant_id", "res": "reseller_id"}
    uuid_columns = ("pk", "merchant_id", "reseller_id")
    search_help_text = "An account's id (acc_…), how its name begins, or whose it is (mer_…, res_…)"
    ordering = ("-id",)
    fields = (
        "shown_account",
        "public_id",
        "shown_balance",
        "debits_posted",
        "credits_posted",
        "debits_pending",
        "credits_pending",
        "livemode",
        "closed",
        "shown_flags",
        "opened_at",
        "last_booked_at",
        "merchant_id",
        "reseller_id",
        "scope_id",
        "user_data",
    )
    actions_list: ClassVar[tuple[str, ...]] = ("trial_balance",)
    shown_as: ClassVar = {
        "name": "shown_account",
        "closed": "shown_closed",
        # The account's title says it.
        "shown_type": "",
    }
    money: ClassVar = frozenset(
        {"debits_pending", "debits_posted", "credits_pending", "credits_posted"}
    )

    def matching(
        self, request: HttpRequest, queryset: QuerySet[Account], text: str
    ) -> QuerySet[Account]:
        """By how its name begins, which its index knows."""
        return queryset.filter(name__startswith=text)

    @action(  # type: ignore[untyped-decorator]  # unfold types no decorator
        description="Trial balance", url_path="trial-balance", icon="balance"
    )
    def trial_balance(self, request: HttpRequest) -> HttpResponse:
        """Sums by ledger and account code: debits equal credits in each ledger."""
        livemode = request.GET.get("mode") == "live"
        context = {
            **self.admin_site.each_context(request),
            "title": "Trial balance",
            # In place of "opts", with which unfold would call the page as the list is called.
            "model_admin": self,
            "ledgers": books_by_currency(livemode=livemode),
            "mode": mode(livemode),
            "modes": (("test", "Test"), ("live", "Live")),
            "last_run": IntegrityRun.objects.order_by("-started_at").first(),
        }
        return TemplateResponse(request, "ledger/admin_trial_balance.html", context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        """With whose they are."""
        found: QuerySet[Account] = super().get_queryset(request)
        return found.annotate(words=words_of("pk"))

    @display(description="Account")
    def shown_account(self, row: Any) -> SafeString:
        """What it is and whose, with its name in small print."""
        return format_html(
            '{}<br><span class="font-normal text-subtle text-xs wrap-any">{}</span>',
            title_of(row.words),
            row.name,
        )

    @display(description="Type")
    def shown_type(self, row: Account) -> str:
        """The line of the chart."""
        return selectors.account_title(row)

    @display(description="Balance")
    def shown_balance(self, row: Account) -> str:
        """Posted, positive on the account's normal side."""
        difference = row.credits_posted - row.debits_posted
        side = selectors.normal_side(row.code)
        return format_money(difference if side == "credit" else -difference, row.currency)

    @display(description="Pending")
    def shown_pending(self, row: Account) -> str:
        """Reserved debits and credits."""
        debits = format_money(row.debits_pending, row.currency)
        return f"− {debits} / + {format_money(row.credits_pending, row.currency)}"

    @display(description="Closed")
    def shown_closed(self, row: Account) -> str:
        """Whether the account refuses new transfers."""
        return "Yes" if row.closed else "No"

    @display(description="Flags")
    def shown_flags(self, row: Account) -> str:
        """The flags in words."""
        return ", ".join(
            f.name.replace("_", " ").lower() for f in AccountFlags(row.flags) if f.name
        )


@admin.register(AccountCode)
class AccountCodeAdmin(ReadOnlyAdmin):
    """The chart of accounts."""

    list_display = ("code", "title", "kind", "normal_side")
    ordering = ("code",)


@admin.register(Transfer)
class TransferAdmin(_MoneyAdmin):
    """The journal."""

    list_display = ("shown_id", "shown_code", "shown_amount", "shown_flags", "booked_at")
    list_filter = (
        one_of("code", {code.value: code_name(code).replace("_", " ") for code in TransferCode}),
        typed("ledger__in", read=_ledgers, title="currency"),
    )
    id_columns: ClassVar = {
        "trf": "pk",
        "acc": _ACCOUNTS,
        **dict.fromkeys(("pay", "ref", "fx", "cor"), "document_id"),
    }
    uuid_columns = ("pk", "document_id", *_ACCOUNTS)
    search_help_text = (
        "The id of a transfer (trf_…), an account (acc_…) or a document (pay_…, ref_…, fx_…, cor_…)"
    )
    ordering = ("-id",)
    readonly_fields = ("shown_flags",)
    shown_as: ClassVar = {
        "debit_account": "shown_debit",
        "credit_account": "shown_credit",
        "code": "shown_code",
        # The accounts' titles and the amounts say these.
        **dict.fromkeys(("ledger", "merchant_id", "reseller_id", "flags"), ""),
    }
    money: ClassVar = frozenset(
        {"amount"}
        | {
            f"{side}_{what}_{state}"
            for side in ("debit", "credit")
            for what in ("debits", "credits")
            for state in ("pending", "posted")
        }
    )
    list_select_related = ("debit_account", "credit_account")
    actions_detail = ("propose_reversal",)

    def get_queryset(self, request: HttpRequest) -> Any:
        """With its accounts; newest first by id, which the primary key serves."""
        found = super().get_queryset(request).select_related("debit_account", "credit_account")
        return found.annotate(
            debit_words=words_of("debit_account_id"), credit_words=words_of("credit_account_id")
        )

    def about(self, row: Any) -> str:
        """What it moved."""
        moved = move_sentence(row.amount, row.ledger, row.credit_words, row.debit_words)
        return f"The reversal of {row.public_id}. {moved}"

    def currency_for(self, row: Transfer, name: str) -> str:
        """That of its ledger."""
        return selectors.currency_of(row.ledger)

    @display(description="Debited account")
    def shown_debit(self, row: Any) -> SafeString:
        """What it is and whose."""
        return account_link(row.debit_words)

    @display(description="Credited account")
    def shown_credit(self, row: Any) -> SafeString:
        """What it is and whose."""
        return account_link(row.credit_words)

    @staff_form(
        "Propose reversal", permission="money", form=ReasonForm, text=_SECOND_PERSON, icon="undo"
    )
    def propose_reversal(
        self, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        """Propose the opposite transfer, and say why."""
        proposal = corrections.reversal_propose(
            actor=actor_of(request), transfer_id=UUID(object_id), reason=given["reason"]
        )
        return self.done(request, object_id, f"{proposal.public_id} waits for a second person.")

    @display(description="Transfer")
    def shown_id(self, row: Transfer) -> str:
        """The public id."""
        return row.public_id

    @display(description="Why")
    def shown_code(self, row: Transfer) -> str:
        """The transfer's code in words."""
        return code_name(row.code).replace("_", " ")

    @display(description="Amount")
    def shown_amount(self, row: Transfer) -> str:
        """With its currency."""
        return format_money(row.amount, selectors.currency_of(row.ledger))

    @display(description="How")
    def shown_flags(self, row: Transfer) -> str:
        """The flags in words."""
        names = [f.name.replace("_", " ").lower() for f in TransferFlags(row.flags) if f.name]
        return ", ".join(names) or "posted"


@admin.register(FailedTransfer)
class FailedTransferAdmin(ReadOnlyAdmin):
    """Ids that failed for a reason that may pass, and are refused for ever."""

    list_display = ("id", "shown_status", "failed_at")
    id_columns: ClassVar = {"trf": "pk"}
    search_help_text = "The id of a transfer (trf_…) that was refused"
    ordering = ("-id",)
    fields = ("id", "shown_status", "failed_at")
    readonly_fields = ("shown_status",)

    @display(description="Why")
    def shown_status(self, row: FailedTransfer) -> str:
        """What was answered, in words."""
        return BY_NUMBER[row.status].words


@admin.register(CorrectionProposal)
class CorrectionProposalAdmin(SelectedActions, _MoneyAdmin):
    """Corrections that wait for a second person, and those that were decided."""

    list_display = ("public_id", "shown_state", "shown_move", "reason", "created_at")
    list_filter = ("state",)
    id_columns: ClassVar = {
        "cor": "pk",
        "trf": ("corrects_id", "transfer_id"),
        "acc": ("debit_account_id", "credit_account_id"),
    }
    # Staff make proposals manually: a few thousand rows, few enough to search for a word.
    search_fields = ("reason",)
    search_help_text = "The id of a proposal (cor_…), a transfer, an account, or words of a reason"
    ordering = ("-created_at",)
    actions_list: ClassVar[tuple[str, ...]] = ("propose",)
    actions_detail = ("confirm", "reject")
    fields = (
        "shown_move",
        "reason",
        "shown_state",
        "shown_author",
        "created_at",
        "shown_debit",
        "shown_credit",
        "shown_corrects",
        "effective_on",
        "shown_decision",
        "shown_booked",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[CorrectionProposal]:
        """With the accounts."""
        found: QuerySet[CorrectionProposal] = super().get_queryset(request)
        return found.annotate(
            debit_words=words_of("debit_account_id"), credit_words=words_of("credit_account_id")
        )

    def offered(self, request: HttpRequest, row: Any) -> Collection[str]:
        """Actions, on undecided proposals only; the author may reject but not confirm it."""
        if row.state != CorrectionProposal.State.PROPOSED:
            return ()
        own = row.proposed_by == actor_of(request).id
        return [name for name in self.actions_detail if not (own and name == "confirm")]

    def about(self, row: Any) -> SafeString:
        """All that the second person has to weigh."""
        return proposal_about(row, row.debit_words, row.credit_words)

    @staff_form(
        "Propose correction",
        permission="money",
        form=CorrectionForm,
        text=_SECOND_PERSON,
        icon="add",
    )
    def propose(
        self, request: HttpRequest, given: dict[str, Any], object_id: str | None
    ) -> HttpResponse:
        """Propose any transfer between two accounts of one currency and mode, and say why."""
        proposal = corrections.correction_propose(
            actor=actor_of(request),
            debit_account_id=given["debit_account"].id,
            credit_account_id=given["credit_account"].id,
            amount_minor=given["amount_minor"],
            reason=given["reason"],
            corrects=given["corrects"],
            effective_on=given["effective_on"],
        )
        return self.done(request, proposal.pk, f"{proposal.public_id} waits for a second person.")

    @staff_action(
        "Confirm",
        permission="money",
        question="The correction is booked at once and cannot be taken back but by another one.",
        icon="check",
    )
    def confirm(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Book the proposal; its author is refused."""
        found = corrections.correction_confirm(actor=actor_of(request), proposal_id=UUID(object_id))
        return self.done(request, object_id, f"{found.public_id} is booked.")

    @staff_action(
        "Reject", permission="money", question="The proposal is closed without a booking."
    )
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Close it without a booking."""
        found = corrections.correction_reject(actor=actor_of(request), proposal_id=UUID(object_id))
        return self.done(request, object_id, f"{found.public_id} is rejected.")

    @display(description="State", label=_STATES)
    def shown_state(self, row: CorrectionProposal) -> str:
        """The state as a coloured word."""
        return row.state

    @display(description="Correction")
    def shown_move(self, row: Any) -> str:
        """What is moved, from where and where to."""
        return move_sentence(row.amount_minor, row.ledger, row.debit_words, row.credit_words)

    @display(description="Proposed by")
    def shown_author(self, row: CorrectionProposal) -> str:
        """A person; of an open one, who is asked for now."""
        who = person(row.proposed_by)
        if row.state != CorrectionProposal.State.PROPOSED:
            return who
        return f"{who}. A second person from finance has to confirm or reject it."

    @display(description="Debited account")
    def shown_debit(self, row: Any) -> SafeString:
        """What happens to it."""
        return account_link(row.debit_words, self._change(row, row.debit_words, "debit"))

    @display(description="Credited account")
    def shown_credit(self, row: Any) -> SafeString:
        """What happens to it."""
        return account_link(row.credit_words, self._change(row, row.credit_words, "credit"))

    def _change(self, row: CorrectionProposal, words: Words | None, side: str) -> str:
        open_ = row.state == CorrectionProposal.State.PROPOSED
        return change_of(words, side=side, amount_minor=row.amount_minor, open_=open_)

    @display(description="Corrects")
    def shown_corrects(self, row: CorrectionProposal) -> SafeString | None:
        """The transfer that was wrong."""
        return transfer_link(row.corrects_id)

    @display(description="Decided by")
    def shown_decision(self, row: CorrectionProposal) -> str | None:
        """The second person, and when."""
        if row.decided_at is None:
            return None
        return f"{person(row.decided_by)}, {row.decided_at:%Y-%m-%d %H:%M} UTC"

    @display(description="Booked as")
    def shown_booked(self, row: CorrectionProposal) -> SafeString | None:
        """The transfer that it became."""
        return transfer_link(row.transfer_id)


@admin.register(FxConversion)
class FxConversionAdmin(ReadOnlyAdmin):
    """Conversions with the rates at which they were booked."""

    list_display = ("public_id", "shown_sold", "shown_bought", "rate", "booked_at")
    id_columns: ClassVar = {"fx": "pk", "mer": "merchant_id", "res": "reseller_id"}
    search_help_text = "The id of a conversion (fx_…), a merchant (mer_…) or a reseller (res_…)"
    ordering = ("-id",)

    money: ClassVar = frozenset({"sold_minor", "bought_minor", "residual_minor"})

    def currency_for(self, row: FxConversion, name: str) -> str:
        """The residual is of what was bought."""
        return selectors.currency_of(row.sold_ledger if name == "sold_minor" else row.bought_ledger)

    @display(description="Sold")
    def shown_sold(self, row: FxConversion) -> str:
        """With its currency."""
        return format_money(row.sold_minor, selectors.currency_of(row.sold_ledger))

    @display(description="Bought")
    def shown_bought(self, row: FxConversion) -> str:
        """With its currency."""
        return format_money(row.bought_minor, selectors.currency_of(row.bought_ledger))


@admin.register(IntegrityRun)
class IntegrityRunAdmin(ReadOnlyAdmin):
    """Verifications of the books against the journal."""

    list_display = ("started_at", "shown_outcome", "full", "transfers", "accounts", "fault")
    list_filter = ("full",)
    ordering = ("-started_at",)
    shown_as: ClassVar = {"full": "shown_extent"}

    @display(description="Extent")
    def shown_extent(self, row: IntegrityRun) -> str:
        """All transfers, or those since a checkpoint and a sample of those before it."""
        return row.coverage

    @display(description="Books", label=_RUNS)
    def shown_outcome(self, row: IntegrityRun) -> str:
        """Sound, or off."""
        return "sound" if row.sound else "off"
