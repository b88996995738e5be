"""A correction takes two people."""

from __future__ import annotations

import pytest

from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import Conflict, PermissionDenied
from core.ids import new_id
from ledger.chart import MerchantBook, TransferCode
from ledger.models import CorrectionProposal, Transfer
from ledger.services import TransferSpec, post_or_raise
from ledger.services.corrections import (
    correction_confirm,
    correction_propose,
    correction_reject,
    reversal_propose,
)
from tests.ledger.test_post import a_book, held
from tests.ledger.test_races import at_once


def finance(label: str, *scopes: str) -> Actor:
    return Actor(
        kind="user",
        id=f"usr_{label}_{new_id().hex[:8]}",
        label=label,
        merchant_id=None,
        reseller_id=None,
        livemode=False,
        scopes=frozenset(scopes or {"platform.money.write"}),
        ip=None,
    )


def a_wrong_fee() -> tuple[MerchantBook, TransferSpec]:
    book = a_book()
    spec = TransferSpec(
        id=new_id(),
        debit=book.pending,
        credit=book.platform_fee,
        amount_minor=30,
        code=TransferCode.PLATFORM_FEE,
    )
    with tenant_atomic(Scope.merchant(book.merchant_id)):
        post_or_raise([spec])
    return book, spec


def test_a_second_person_books_the_reversal() -> None:
    book, spec = a_wrong_fee()
    author, second = finance("ada"), finance("bo")
    with tenant_atomic(Scope.staff()):
        proposal = reversal_propose(actor=author, transfer_id=spec.id, reason="charged twice")
    with tenant_atomic(Scope.staff()):
        booked = correction_confirm(actor=second, proposal_id=proposal.id)
        assert booked.transfer_id is not None
        transfer = Transfer.objects.get(id=booked.transfer_id)

    assert transfer.corrects_id == spec.id
    assert transfer.code == TransferCode.CORRECTION
    assert held(book, "platform_fee") == (0, 0)
    with tenant_atomic(Scope.staff()), pytest.raises(Conflict):
        correction_confirm(actor=second, proposal_id=proposal.id)


def test_nobody_confirms_their_own() -> None:
    book, spec = a_wrong_fee()
    author = finance("ada")
    with tenant_atomic(Scope.staff()):
        proposal = reversal_propose(actor=author, transfer_id=spec.id, reason="charged twice")
    with tenant_atomic(Scope.staff()), pytest.raises(PermissionDenied):
        correction_confirm(actor=author, proposal_id=proposal.id)
    with tenant_atomic(Scope.staff()):
        assert CorrectionProposal.objects.get(id=proposal.id).state == "proposed"
    assert held(book, "platform_fee") == (30, 0)


def test_a_transfer_is_reversed_once() -> None:
    book, spec = a_wrong_fee()
    author, second = finance("ada"), finance("bo")
    with tenant_atomic(Scope.staff()):
        first = reversal_propose(actor=author, transfer_id=spec.id, reason="charged twice")
    # The double click, while the first waits.
    with tenant_atomic(Scope.staff()), pytest.raises(Conflict, match=first.public_id):
        reversal_propose(actor=author, transfer_id=spec.id, reason="charged twice")
    with tenant_atomic(Scope.staff()):
        correction_confirm(actor=second, proposal_id=first.id)
    # And once it is booked, by the same road or by the one for any correction.
    with tenant_atomic(Scope.staff()), pytest.raises(Conflict, match="already"):
        reversal_propose(actor=author, transfer_id=spec.id, reason="charged twice")
    with tenant_atomic(Scope.staff()), pytest.raises(Conflict, match="already"):
        correction_propose(
            actor=author,
            debit_account_id=book.platform_fee.id,
            credit_account_id=book.pending.id,
            amount_minor=30,
            reason="charged twice",
            corrects=spec.id,
        )
    assert held(book, "platform_fee") == (0, 0)

    # The correction itself may be corrected, once.
    with tenant_atomic(Scope.staff()):
        booked = CorrectionProposal.objects.get(id=first.id).transfer_id
        assert booked is not None
        back = reversal_propose(actor=author, transfer_id=booked, reason="it was right")
    with tenant_atomic(Scope.staff()):
        correction_confirm(actor=second, proposal_id=back.id)
    assert held(book, "platform_fee") == (30, 0)


def test_a_proposal_that_was_turned_down_may_be_made_again() -> None:
    book, spec = a_wrong_fee()
    author, second = finance("ada"), finance("bo")
    with tenant_atomic(Scope.staff()):
        first = reversal_propose(actor=author, transfer_id=spec.id, reason="charged twice")
        correction_reject(actor=second, proposal_id=first.id)
    with tenant_atomic(Scope.staff()):
        again = reversal_propose(actor=author, transfer_id=spec.id, reason="charged twice")
    with tenant_atomic(Scope.staff()):
        correction_confirm(actor=second, proposal_id=again.id)
    assert held(book, "platform_fee") == (0, 0)


def test_of_reversals_proposed_at_once_one_stands() -> None:
    book, spec = a_wrong_fee()
    second = finance("bo")

    def propose(number: int) -> CorrectionProposal:
        with tenant_atomic(Scope.staff()):
            return reversal_propose(
                actor=finance(f"p{number}"), transfer_id=spec.id, reason="charged twice"
            )

    answers = at_once(6, propose)

    made = [a for a in answers if isinstance(a, CorrectionProposal)]
    assert [type(a) for a in answers if a not in made] == [Conflict] * 5
    confirmed = at_once(4, lambda _: confirm(second, made[0]))
    assert [type(a) for a in confirmed].count(CorrectionProposal) == 1
    assert all(isinstance(a, Conflict | CorrectionProposal) for a in confirmed)
    assert held(book, "platform_fee") == (0, 0)


def confirm(actor: Actor, proposal: CorrectionProposal) -> CorrectionProposal:
    with tenant_atomic(Scope.staff()):
        return correction_confirm(actor=actor, proposal_id=proposal.id)
