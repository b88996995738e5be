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
from ledger.models import Account, Transfer


class CorrectionForm(ReasonForm):
    """A transfer to propose, in the words of whoever reads the books."""

    debit_account = forms.CharField(help_text="An account's id or its whole name.")
    credit_account = forms.CharField(help_text="Of the same currency and mode.")
    amount = forms.DecimalField(
        min_value=Decimal(0),
        help_text="In major units, such as 12.50.",
    )
    effective_on = forms.DateField(
        required=False,
        help_text="The day it counts for; empty for the day it is booked.",
    )
    corrects = forms.CharField(
        required=False,
        help_text="The id of the transfer that was wrong, if there is one.",
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
        account, amount = given.get("debit_account"), given.get("amount")
        if account is not None and amount is not None:
            exponent = currency(account.currency).exponent
            minor = amount.scaleb(exponent)
            if minor != minor.to_integral_value():
                self.add_error("amount", f"{account.currency} has {exponent} decimals.")
            elif minor > AMOUNT_MAX:
                self.add_error("amount", "That is more than an account can hold.")
            else:
                given["amount_minor"] = int(minor)
        return given


def _account(text: str) -> Account:
    wanted = pasted(Account.PREFIX, text.strip())
    found = Account.objects.filter(id=wanted).first() if wanted else None
    found = found or Account.objects.filter(name=text.strip()).first()
    if found is None:
        raise forms.ValidationError("There is no such account. Enter its whole id or name.")
    return found
