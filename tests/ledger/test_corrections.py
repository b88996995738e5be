"""A correction takes two people."""

from __future__ import annotations

import pytest

from core.context import Actor
from core.db import Scope, tenant_atomic
from core.errors import Conflict, PermissionDenied
from core.ids import new_id
from ledger.chart import TransferCode
from ledger.corrections import PERMISSION, correction_confirm, correction_reject, reversal_propose
from ledger.models import CorrectionProposal, Transfer
from ledger.services import TransferSpec, post_or_raise
from tests.ledger.test_post import a_book, held


def finance(label: str, *scopes: str) -> Actor:
    return Actor(
        kind="user",
        id=f"usr_{label}_{new_id().hex[:8]}",
        label=label,
        merchant_id=None,
        reseller_id=None,
        livemode=False,
        scopes=frozenset(scopes or {PERMISSION}),
        ip=None,
    )


def a_wrong_fee() -> tuple[object, TransferSpec]:
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
    assert held(book, "platform_fee") == (0, 0)  # type: ignore[arg-type]
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
    assert held(book, "platform_fee") == (30, 0)  # type: ignore[arg-type]


def test_other_staff_may_neither_propose_nor_decide() -> None:
    book, spec = a_wrong_fee()
    support = finance("sue", "platform.staff")
    with tenant_atomic(Scope.staff()), pytest.raises(PermissionDenied):
        reversal_propose(actor=support, transfer_id=spec.id, reason="because")
    with tenant_atomic(Scope.staff()):
        proposal = reversal_propose(actor=finance("ada"), transfer_id=spec.id, reason="x")
    with tenant_atomic(Scope.staff()), pytest.raises(PermissionDenied):
        correction_reject(actor=support, proposal_id=proposal.id)
    with tenant_atomic(Scope.staff()):
        assert CorrectionProposal.objects.get(id=proposal.id).state == "proposed"
    assert held(book, "platform_fee") == (30, 0)  # type: ignore[arg-type]
