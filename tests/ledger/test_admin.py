"""The ledger in the admin: what is listed, the trial balance, a correction by two people."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core.db import Scope, tenant_atomic
from core.ids import decode, encode, new_id
from ledger.admin.forms import CorrectionForm
from ledger.chart import MerchantBook, TransferCode
from ledger.models import Account, CorrectionProposal, Transfer
from ledger.selectors import TrialLine
from ledger.selectors.books import books_by_currency, by_currency
from ledger.services import TransferSpec, TransferStatus, post
from ledger.services.integrity import verify
from tenants.models import Level, User
from tests.factories import Tenants, make_tenants
from tests.ledger.test_faces import book_of, fill
from tests.tenants.test_permission_table import browser_for


@pytest.fixture(scope="module")
def t() -> Tenants:
    found = make_tenants(totp=True)
    fill(found)
    return found


@pytest.fixture
def own() -> Tenants:
    """Books that the test changes."""
    found = make_tenants(totp=True)
    fill(found)
    return found


def staff(t: Tenants, role: str) -> Client:
    return browser_for(t, Level.PLATFORM, role)


def address(model: str, *args: Any, page: str = "changelist") -> str:
    return reverse(f"admin:ledger_{model}_{page}", args=args)


def shown(client: Client, path: str, **query: str) -> str:
    answer = client.get(path, query)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.content.decode()


def fee_of(t: Tenants) -> Transfer:
    with tenant_atomic(Scope.staff()):
        return Transfer.objects.get(debit_account_id=book_of(t).pending.id, amount=320)


def fees_taken(t: Tenants) -> int:
    with tenant_atomic(Scope.staff()):
        account = Account.objects.get(id=book_of(t).platform_fee.id)
    return account.credits_posted - account.debits_posted


def test_the_sidebar_leads_to_every_page_of_the_books(t: Tenants) -> None:
    page = shown(staff(t, "support"), "/admin/")
    for model in (
        "accountcode",
        "account",
        "transfer",
        "correctionproposal",
        "failedtransfer",
        "integrityrun",
    ):
        assert address(model) in page


def test_accounts_and_transfers_are_found_and_open(t: Tenants) -> None:
    client, account, fee = staff(t, "support"), book_of(t).pending, fee_of(t)
    listed = shown(client, address("account"), q=str(t.merchant.id))
    assert account.name in listed
    assert "$46.80" in listed
    assert account.name in shown(client, address("account", account.id, page="change"))
    listed = shown(client, address("transfer"), q=str(account.id))
    assert fee.public_id in listed
    assert "$3.20" in listed
    for wanted in (fee.public_id, str(fee.id), encode("acc", account.id)):
        assert fee.public_id in shown(client, address("transfer"), q=wanted)
    assert fee.public_id not in shown(client, address("transfer"), q="nonsense")
    assert "$3.20" in shown(client, address("transfer", fee.id, page="change"))
    assert "Merchant" in shown(client, address("accountcode"))


def test_the_journal_is_narrowed_by_currency_and_by_why(t: Tenants) -> None:
    client, fee = staff(t, "support"), fee_of(t)
    mine = {"q": encode("acc", book_of(t).pending.id)}
    for narrowed, there in (
        ({"ledger__in": "usd"}, True),
        ({"ledger__in": "EUR"}, False),
        ({"ledger__in": "nonsense"}, False),
        ({"code": str(fee.code)}, True),
        ({"code": "40"}, False),
        ({"code": "nonsense"}, False),
    ):
        listed = shown(client, address("transfer"), **mine, **narrowed)
        assert (fee.public_id in listed) == there, narrowed


@pytest.fixture
def alone(own_database: str) -> Tenants:
    """The only tenants of a database."""
    found = make_tenants(totp=True)
    fill(found)
    return found


def test_the_trial_balance_is_zero_and_names_the_last_verification(alone: Tenants) -> None:
    assert verify().fault == ""
    client = staff(alone, "finance")
    page = shown(client, reverse("admin:ledger_account_trial_balance"))
    assert "the books agree with the journal" in page
    assert "USD" in page
    assert "— off" not in page
    assert "sound" in shown(client, address("integrityrun")).lower()


def test_the_trial_balance_has_totals_and_says_of_each_mode_what_is_booked(
    alone: Tenants,
) -> None:
    client, path = staff(alone, "finance"), reverse("admin:ledger_account_trial_balance")
    page = shown(client, path)
    assert "Trial balance" in re.findall(r"<h1.*?</h1>", page, flags=re.S)[0]
    assert address("integrityrun") in page
    assert re.search(r'href="\?mode=test" aria-current="page">Test<', page)
    with tenant_atomic(Scope.staff()):
        for books in books_by_currency(livemode=False):
            assert books.balanced
            assert books.debits in page
            assert books.credits in page
    assert re.search(
        r'href="\?mode=live" aria-current="page">Live<', shown(client, path, mode="live")
    )


def test_books_that_are_off_say_so_by_currency_in_order() -> None:
    lines = [
        TrialLine(9780, 1010, 1, 0, 500, 0, 0),
        TrialLine(8400, 1010, 2, 0, 700, 0, 0),
        TrialLine(8400, 2010, 2, 0, 0, 0, 650),
        TrialLine(9780, 2010, 1, 0, 0, 0, 500),
    ]
    eur, usd = by_currency(lines)
    assert (eur.currency, eur.accounts, eur.balanced) == ("EUR", 2, True)
    assert (usd.debits, usd.credits, usd.difference) == ("$7.00", "$6.50", "$0.50")
    assert not usd.balanced
    assert [(row.code, row.title) for row in usd.rows] == [
        (1010, "Owed by a payment provider"),
        (2010, "Merchant, not yet available"),
    ]


def test_a_page_of_the_books_alone_is_marked_in_the_sidebar_and_has_an_icon(t: Tenants) -> None:
    page = shown(staff(t, "finance"), reverse("admin:ledger_account_trial_balance"))
    marked = [link for link in re.findall(r"<a [^>]*>", page) if re.search(r"\bactive\b", link)]
    assert len([link for link in marked if "trial-balance" in link]) == len(marked) == 1
    assert re.search(r'<link rel="icon" href="[^"]*mark[^"]*\.svg(\?v=\w+)?"', page)


def test_a_reversal_is_booked_by_a_second_person_alone(own: Tenants) -> None:
    before, fee = fees_taken(own), fee_of(own)
    finance = staff(own, "finance")
    # Asking changes nothing, and support is not even asked.
    propose = address("transfer", fee.id, page="propose_reversal")
    assert "A second person must confirm" in shown(finance, propose)
    assert staff(own, "support").post(propose).status_code == 403
    with tenant_atomic(Scope.staff()):
        assert not CorrectionProposal.objects.filter(corrects_id=fee.id).exists()
    # Without a reason nothing is proposed.
    assert "This field is required" in finance.post(propose).content.decode()
    with tenant_atomic(Scope.staff()):
        assert not CorrectionProposal.objects.filter(corrects_id=fee.id).exists()
    assert finance.post(propose, {"reason": "charged twice"}).status_code == 302
    with tenant_atomic(Scope.staff()):
        proposal = CorrectionProposal.objects.get(corrects_id=fee.id)
    assert proposal.reason == "charged twice"
    # A second click proposes nothing, and says what waits.
    twice = finance.post(propose, {"reason": "charged twice"})
    assert f"{proposal.public_id} proposes to correct" in twice.content.decode()
    with tenant_atomic(Scope.staff()):
        assert CorrectionProposal.objects.filter(corrects_id=fee.id).count() == 1
    assert proposal.public_id in shown(finance, address("correctionproposal"))
    assert fees_taken(own) == before

    confirm = address("correctionproposal", proposal.id, page="confirm")
    refused = finance.post(confirm, follow=True)
    assert "cannot confirm it" in refused.content.decode()
    assert staff(own, "support").post(confirm).status_code == 403
    reject = address("correctionproposal", proposal.id, page="reject")
    assert staff(own, "support").post(reject).status_code == 403
    assert fees_taken(own) == before
    with tenant_atomic(Scope.staff()):
        assert CorrectionProposal.objects.get(id=proposal.id).state == "proposed"

    second = staff(make_tenants(totp=True), "finance")
    assert "is booked" in second.post(confirm, follow=True).content.decode()
    assert fees_taken(own) == before - 320
    again = second.post(confirm, follow=True)
    assert "already" in again.content.decode()
    assert fees_taken(own) == before - 320
    # What is reversed is not reversed once more.
    once_more = finance.post(propose, {"reason": "charged twice"})
    assert "has corrected this transfer already" in once_more.content.decode()
    assert fees_taken(own) == before - 320


def test_a_correction_between_any_two_accounts_is_booked_by_a_second_person(own: Tenants) -> None:
    book, finance = book_of(own), staff(own, "finance")
    propose = reverse("admin:ledger_correctionproposal_propose")
    yen = MerchantBook(own.merchant.id, own.reseller.id, "JPY", False).pending
    in_yen = TransferSpec(
        id=new_id(),
        debit=MerchantBook(own.merchant.id, own.reseller.id, "JPY", False).provider_clearing(
            new_id()
        ),
        credit=yen,
        amount_minor=100,
        code=TransferCode.PAYMENT,
    )
    with tenant_atomic(Scope.merchant(own.merchant.id)):
        assert [r.status for r in post([in_yen])] == [TransferStatus.CREATED]
    typed = {
        "debit_account": book.platform_fee.name,
        "credit_account": encode("acc", book.pending.id),
        "amount": "1.25",
        "effective_on": "2026-01-31",
        "reason": "agreed with the merchant on the phone",
    }

    def proposals() -> list[CorrectionProposal]:
        with tenant_atomic(Scope.staff()):
            return list(CorrectionProposal.objects.filter(reason=typed["reason"]))

    assert "Propose correction" in shown(finance, address("correctionproposal"))
    assert 'name="debit_account"' in shown(finance, propose)
    assert staff(own, "support").post(propose, typed).status_code == 403
    for wrong, said in (
        ({"reason": ""}, "This field is required"),
        ({"amount": "0"}, "must be more than zero"),
        ({"amount": "1.255"}, "has 2 decimals"),
        ({"amount": "1e17"}, "more than an account can hold"),
        ({"debit_account": "no such"}, "There is no such account"),
        ({"amount": "1.255"}, "USD has 2 decimals, and 1.255 has more"),
        ({"amount": "0"}, "The amount in USD must be more than zero"),
        ({"debit_account": book.pending.name}, "two different accounts"),
        ({"credit_account": yen.name}, "is JPY in test mode, the debited one USD in test mode"),
        ({"corrects": str(new_id())}, "There is no such transfer"),
    ):
        answer = finance.post(propose, typed | wrong)
        assert said in answer.content.decode(), wrong
        # What was typed is kept.
        assert "2026-01-31" in answer.content.decode()
    assert proposals() == []

    assert finance.post(propose, typed).status_code == 302
    [proposal] = proposals()
    before = fees_taken(own)
    second = staff(make_tenants(totp=True), "finance")
    confirm = address("correctionproposal", proposal.id, page="confirm")
    assert "is booked" in second.post(confirm, follow=True).content.decode()

    assert fees_taken(own) == before - 125
    with tenant_atomic(Scope.staff()):
        [booked] = Transfer.objects.filter(document_id=proposal.id)
    assert (booked.amount, str(booked.effective_on)) == (125, "2026-01-31")


def proposed_by(client: Client, t: Tenants, reason: str) -> CorrectionProposal:
    book = book_of(t)
    typed = {
        "debit_account": book.platform_fee.name,
        "credit_account": book.pending.name,
        "amount": "1.50",
        "effective_on": "2026-01-31",
        "reason": reason,
    }
    assert client.post(reverse("admin:ledger_correctionproposal_propose"), typed).status_code == 302
    with tenant_atomic(Scope.staff()):
        return CorrectionProposal.objects.get(reason=reason)


def test_what_is_wrong_with_a_correction_stands_at_its_field(t: Tenants) -> None:
    book = book_of(t)
    typed = {
        "debit_account": book.pending.name,
        "credit_account": book.pending.name,
        "amount": "1.25",
        "reason": "twice the same",
    }
    form = CorrectionForm(typed)
    with tenant_atomic(Scope.staff()):
        assert not form.is_valid()
    assert form.errors == {"credit_account": ["Choose two different accounts."]}
    page = shown(staff(t, "finance"), reverse("admin:ledger_correctionproposal_propose"))
    assert re.search(r'<input type="date" name="effective_on"', page)


def test_the_second_person_sees_what_there_is_to_judge(own: Tenants) -> None:
    finance, reason = staff(own, "finance"), "the fee was rounded up"
    proposal = proposed_by(finance, own, reason)
    name = own.merchant.name
    sentence = (
        f"Move $1.50 from Platform&#x27;s fees ({name}, test)"
        f" to Merchant, not yet available ({name}, test)."
    )
    with tenant_atomic(Scope.staff()):
        author = User.objects.get(id=decode("usr", proposal.proposed_by)).email
    second = staff(make_tenants(totp=True), "finance")
    listed = shown(second, address("correctionproposal"))
    assert sentence in listed
    page = shown(second, address("correctionproposal", proposal.id, page="change"))
    for words in (sentence, reason, author, "falls by $1.50", "rises by $1.50"):
        assert words in page
    for account in (book_of(own).platform_fee, book_of(own).pending):
        assert address("account", account.id, page="change") in page
    asked = shown(second, address("correctionproposal", proposal.id, page="confirm"))
    for words in (sentence, f"Proposed by {author}: {reason}", "2026-01-31"):
        assert words in asked


def test_confirming_is_offered_to_the_second_person_alone_and_nothing_once_it_is_decided(
    own: Tenants,
) -> None:
    author = staff(own, "finance")
    proposal = proposed_by(author, own, "a fee of another day")
    page = address("correctionproposal", proposal.id, page="change")
    confirm, reject = (
        address("correctionproposal", proposal.id, page=name) for name in ("confirm", "reject")
    )
    authors = shown(author, page)
    assert confirm not in authors
    assert reject in authors
    assert "A second person from finance has to confirm" in authors
    second = staff(make_tenants(totp=True), "finance")
    others = shown(second, page)
    assert confirm in others
    assert reject in others
    assert confirm not in shown(staff(own, "support"), page)
    assert second.post(confirm).status_code == 302
    decided = shown(second, page)
    assert confirm not in decided
    assert reject not in decided
    assert "A second person from finance" not in decided


def test_a_reversal_says_on_both_pages_what_it_takes_back(t: Tenants) -> None:
    finance = staff(t, "finance")
    with tenant_atomic(Scope.staff()):
        held = Transfer.objects.get(debit_account_id=book_of(t).available.id, amount=500)
    asked = shown(finance, address("transfer", held.id, page="propose_reversal"))
    name = t.merchant.name
    moved = (
        f"Move $5.00 from Merchant, in reserve ({name}, test)"
        f" to Merchant, available ({name}, test)."
    )
    assert moved in asked
    path = address("transfer", held.id, page="propose_reversal")
    assert finance.post(path, {"reason": "held by mistake"}).status_code == 302
    with tenant_atomic(Scope.staff()):
        proposal = CorrectionProposal.objects.get(corrects_id=held.id)
    page = shown(finance, address("correctionproposal", proposal.id, page="change"))
    assert moved in page
    assert address("transfer", held.id, page="change") in page


def test_accounts_are_named_by_what_they_are_and_whose(t: Tenants) -> None:
    client, book, name = staff(t, "support"), book_of(t), t.merchant.name
    titles = {
        book.pending: f"Merchant, not yet available ({name}, test)",
        book.platform_fee: f"Platform&#x27;s fees ({name}, test)",
    }
    for account, title in titles.items():
        page = shown(client, address("account", account.id, page="change"))
        for words in (title, account.name, "Credits posted", "$"):
            assert words in page
    fee = shown(client, address("transfer", fee_of(t).id, page="change"))
    assert all(title in fee for title in titles.values())
    assert titles[book.pending] in shown(client, address("account"), q=str(t.merchant.id))


def test_an_integrity_run_says_how_far_it_went(alone: Tenants) -> None:
    verify(full=True)
    listed = shown(staff(alone, "finance"), address("integrityrun"))
    assert re.search(r">\s*all transfers\s*<", listed)
    assert 'material-symbols-outlined">check_small' not in listed


def test_ids_that_are_refused_say_why(own: Tenants) -> None:
    book = book_of(own)
    refused = TransferSpec(
        id=new_id(), debit=book.reserve, credit=book.pending, amount_minor=10**9, code=22
    )
    with tenant_atomic(Scope.merchant(own.merchant.id)):
        assert [r.status for r in post([refused])] == [TransferStatus.EXCEEDS_CREDITS]
    client = staff(own, "support")
    for wanted in (str(refused.id), encode("trf", refused.id)):
        listed = shown(client, address("failedtransfer"), q=wanted)
        assert TransferStatus.EXCEEDS_CREDITS.words in listed
    page = shown(client, address("failedtransfer", refused.id, page="change"))
    assert TransferStatus.EXCEEDS_CREDITS.words in page


def test_no_page_of_the_books_takes_a_change(t: Tenants) -> None:
    client, account = staff(t, "finance"), book_of(t).available
    answer = client.post(address("account", account.id, page="change"), {"credits_posted": "1"})
    assert answer.status_code == 403
    assert client.get(address("transfer", page="add")).status_code == 403
    assert client.get(address("account", new_id(), page="change")).status_code in (302, 404)
    with tenant_atomic(Scope.staff()):
        assert Account.objects.get(id=account.id).credits_posted == 5_000
