"""The ledger for the platform's staff: read-only; a correction takes two people."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.decorators import action

from core.admin import ReadOnlyAdmin, actor_of, allowed, display, staff_action
from core.admin_forms import ReasonForm, staff_form
from core.money import format_money
from ledger import corrections, selectors
from ledger.chart import mode
from ledger.flags import AccountFlags, TransferFlags
from ledger.forms import CorrectionForm, ids_in
from ledger.models import (
    Account,
    AccountCode,
    CorrectionProposal,
    FailedTransfer,
    FxConversion,
    IntegrityRun,
    Transfer,
)
from ledger.serializers import code_name
from ledger.status import BY_NUMBER
from ledger.trial_balance import books_by_currency

_STATES: dict[str, str] = {"proposed": "info", "booked": "success", "rejected": "warning"}
_SECOND_PERSON = "A second person must confirm it before the transfer is booked."
_RUNS: dict[str, str] = {"sound": "success", "off": "danger"}


class _MoneyAdmin(ReadOnlyAdmin):
    """Pages from which finance moves money, by two people."""

    def has_money_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Finance alone."""
        return allowed(request, corrections.PERMISSION)


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    """Accounts with their balances."""

    list_display = ("name", "shown_type", "shown_balance", "shown_pending", "closed", "livemode")
    list_filter = ("livemode", "currency", "code")
    search_fields = ("name", "=id", "=merchant_id", "=reseller_id")
    ordering = ("-id",)
    readonly_fields = ("shown_flags",)
    actions_list: ClassVar[tuple[str, ...]] = ("trial_balance",)

    @action(  # type: ignore[untyped-decorator]
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

    @display(description="Type")
    def shown_type(self, row: Account) -> str:
        """The line of the chart."""
        return selectors.account_title(row)

    @display(description="Balance")
    def shown_balance(self, row: Account) -> str:
        """Posted, positive on the account's normal side."""
        net = row.credits_posted - row.debits_posted
        side = selectors.normal_side(row.code)
        return format_money(net if side == "credit" else -net, row.currency)

    @display(description="Pending")
    def shown_pending(self, row: Account) -> str:
        """Reserved debits and credits."""
        debits = format_money(row.debits_pending, row.currency)
        return f"− {debits} / + {format_money(row.credits_pending, row.currency)}"

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
    list_filter = ("code", "ledger")
    search_fields = ("id",)
    search_help_text = "The whole id of a transfer, an account or a document"
    ordering = ("-id",)
    readonly_fields = ("shown_flags", "shown_amount")
    list_select_related = ("debit_account", "credit_account")
    actions_detail = ("propose_reversal",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Transfer], search_term: str
    ) -> tuple[QuerySet[Transfer], bool]:
        """By whole ids, each of which an index finds; text in ids would read the whole journal."""
        if not search_term.strip():
            return queryset, False
        wanted = ids_in(search_term.strip())
        return queryset.filter(
            Q(id__in=wanted)
            | Q(document_id__in=wanted)
            | Q(debit_account_id__in=wanted)
            | Q(credit_account_id__in=wanted)
        ), False

    def get_queryset(self, request: HttpRequest) -> Any:
        """With its accounts; newest first by id, which the primary key serves."""
        return super().get_queryset(request).select_related("debit_account", "credit_account")

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
    search_fields = ("=id",)
    ordering = ("-id",)
    fields = ("id", "shown_status", "failed_at")
    readonly_fields = ("shown_status",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[FailedTransfer], search_term: str
    ) -> tuple[QuerySet[FailedTransfer], bool]:
        """By the whole id, as a UUID or as the transfer's public id would be."""
        if not search_term.strip():
            return queryset, False
        return queryset.filter(id__in=ids_in(search_term.strip())), False

    @display(description="Why")
    def shown_status(self, row: FailedTransfer) -> str:
        """What was answered, in words."""
        return BY_NUMBER[row.status].words


@admin.register(CorrectionProposal)
class CorrectionProposalAdmin(_MoneyAdmin):
    """Corrections that wait for a second person, and those that were decided."""

    list_display = ("public_id", "shown_state", "shown_amount", "reason", "created_at")
    list_filter = ("state",)
    search_fields = ("=id", "reason")
    ordering = ("-created_at",)
    actions_list: ClassVar[tuple[str, ...]] = ("propose",)
    actions_detail = ("confirm", "reject")

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
        """Book it; only somebody else than its author may."""
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

    @display(description="Amount")
    def shown_amount(self, row: CorrectionProposal) -> str:
        """With its currency."""
        return format_money(row.amount_minor, selectors.currency_of(row.ledger))


@admin.register(FxConversion)
class FxConversionAdmin(ReadOnlyAdmin):
    """Conversions with the rates at which they were booked."""

    list_display = ("public_id", "shown_sold", "shown_bought", "rate", "booked_at")
    search_fields = ("=id", "=merchant_id")
    ordering = ("-id",)

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

    @display(description="Books", label=_RUNS)
    def shown_outcome(self, row: IntegrityRun) -> str:
        """Sound, or off."""
        return "sound" if row.sound else "off"
