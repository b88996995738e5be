"""What the platform's staff type in the admin to correct the books."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms

from core.admin_forms import ReasonForm
from core.ids import pasted
from core.money import currency
from ledger.backends.base import AMOUNT_MAX
from ledger.chart import mode
from ledger.models import Account, Transfer


class CorrectionForm(ReasonForm):
    """A transfer to propose; accounts and amounts are entered as the books show them."""

    debit_account = forms.CharField(
        help_text="Where the money comes from: an id (acc_…) or a whole name, copied from the page "
        "of the account under Books, Accounts.",
    )
    credit_account = forms.CharField(
        help_text="Where the money goes: another account of the same currency and mode.",
    )
    amount = forms.DecimalField(
        min_value=Decimal(0),
        help_text="In major units of the accounts' currency, such as 12.50.",
    )
    effective_on = forms.DateField(
        required=False,
        help_text="The day it counts for; empty for the day it is booked.",
    )
    corrects = forms.CharField(
        required=False,
        help_text="The id (trf_…) of the transfer that was wrong, if there is one, copied from its "
        "page under Books, Transfers.",
    )
    field_order = ("debit_account", "credit_account", "amount", "effective_on", "corrects")

    def clean_debit_account(self) -> Account:
        return _account(self.cleaned_data["debit_account"])

    def clean_credit_account(self) -> Account:
        return _account(self.cleaned_data["credit_account"])

    def clean_corrects(self) -> UUID | None:
        text = self.cleaned_data["corrects"].strip()
        if not text:
            return None
        wanted = pasted(Transfer.PREFIX, text)
        if wanted is None or not Transfer.objects.filter(id=wanted).exists():
            raise forms.ValidationError("There is no such transfer. Enter its whole id.")
        return wanted

    def clean(self) -> dict[str, Any]:
        """The amount in minor units too, once the account has said of which currency."""
        given = self.cleaned_data
        debit, credit = given.get("debit_account"), given.get("credit_account")
        if debit is not None and credit is not None:
            if debit.id == credit.id:
                self.add_error("credit_account", "Choose two different accounts.")
            elif debit.ledger != credit.ledger:
                self.add_error(
                    "credit_account",
                    f"This account is {_kind(credit)}, the debited one {_kind(debit)}. Both must "
                    "be of one currency and mode.",
                )
        if debit is not None and given.get("amount") is not None:
            self._clean_minor(given["amount"], debit.currency)
        return given

    def _clean_minor(self, amount: Decimal, code: str) -> None:
        exponent = currency(code).exponent
        minor = amount.scaleb(exponent)
        if minor <= 0:
            self.add_error("amount", f"The amount in {code} must be more than zero.")
        elif minor != minor.to_integral_value():
            self.add_error("amount", f"{code} has {exponent} decimals, and {amount} has more.")
        elif minor > AMOUNT_MAX:
            self.add_error("amount", f"{amount} {code} is more than an account can hold.")
        else:
            self.cleaned_data["amount_minor"] = int(minor)


def _kind(account: Account) -> str:
    return f"{account.currency} in {mode(account.livemode)} mode"


def _account(text: str) -> Account:
    wanted = pasted(Account.PREFIX, text.strip())
    found = Account.objects.filter(id=wanted).first() if wanted else None
    found = found or Account.objects.filter(name=text.strip()).first()
    if found is None:
        raise forms.ValidationError(
            "There is no such account. Copy its whole id or name from its page under Books, "
            "Accounts."
        )
    return found
