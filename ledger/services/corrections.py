"""Manual corrections: one person proposes, a second one confirms, the ledger books a new transfer.

Nothing is ever changed or deleted: a correction is a transfer that names the one it corrects. A
transfer is corrected once; a wrong correction is itself corrected. Runs in the staff scope's open
transaction.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone

from core.context import Actor
from core.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from core.unit import Writes
from ledger.backends.base import AMOUNT_MAX, TransferSpec
from ledger.chart import TransferCode, account_id
from ledger.flags import TransferFlags
from ledger.models import Account, CorrectionProposal, Transfer
from ledger.services.posting import post_or_raise

_ONCE = "ledger_corrected_once"


def correction_propose(
    *,
    actor: Actor,
    debit_account_id: UUID,
    credit_account_id: UUID,
    amount_minor: int,
    reason: str,
    corrects: UUID | None = None,
    effective_on: date | None = None,
) -> CorrectionProposal:
    """Propose a transfer; nothing is booked.

    Raises:
        InvalidRequest: no reason, an amount that is not positive or beyond 64 bits, accounts of
            two ledgers.
        NotFound: no such account or transfer.
        Conflict: the transfer is corrected already, or another proposal would correct it.
    """
    accounts = {
        a.id: a for a in Account.objects.filter(id__in=[debit_account_id, credit_account_id])
    }
    if len(accounts) != 2:
        raise NotFound("A correction needs two different accounts that exist.")
    ledgers = {a.ledger for a in accounts.values()}
    if len(ledgers) != 1:
        raise InvalidRequest(
            "The accounts must be of one currency and mode.", code="ledgers_differ"
        )
    if not 0 < amount_minor <= AMOUNT_MAX:
        raise InvalidRequest("The amount must be more than zero and fit 64 bits.", param="amount")
    if not reason.strip():
        raise InvalidRequest("Give a reason; it is kept in the audit log.", param="reason")
    if corrects is not None:
        _require_uncorrected(corrects)
    proposal = CorrectionProposal(
        debit_account_id=debit_account_id,
        credit_account_id=credit_account_id,
        amount_minor=amount_minor,
        ledger=ledgers.pop(),
        corrects_id=corrects,
        effective_on=effective_on,
        reason=reason.strip()[:500],
        proposed_by=actor.id,
    )
    writes = Writes()
    writes.insert(proposal)
    writes.record(
        proposal,
        action="ledger.correction.proposed",
        event=None,
        actor=actor,
        after=_facts(proposal),
    )
    try:
        writes.flush()
    except IntegrityError as error:
        # The same proposal at the same moment: neither saw the other, and the index did.
        if _ONCE in str(error):
            raise Conflict(
                "A correction of this transfer has just been proposed. Look at the corrections."
            ) from error
        raise
    return proposal


def _require_uncorrected(transfer_id: UUID) -> None:
    """Refuse a transfer that does not exist, or that is corrected or about to be."""
    if not Transfer.objects.filter(id=transfer_id).exists():
        raise NotFound("There is no such transfer to correct.")
    other = (
        CorrectionProposal.objects.filter(corrects_id=transfer_id)
        .exclude(state=CorrectionProposal.State.REJECTED)
        .first()
    )
    if other is None:
        return
    if other.state == CorrectionProposal.State.BOOKED:
        raise Conflict(
            f"{other.public_id} has corrected this transfer already. If that was wrong, correct the"
            " transfer that it booked."
        )
    raise Conflict(
        f"{other.public_id} proposes to correct this transfer already. Confirm or reject that one."
    )


def reversal_propose(*, actor: Actor, transfer_id: UUID, reason: str) -> CorrectionProposal:
    """Propose the opposite of a booked transfer.

    Raises:
        NotFound: there is none.
        InvalidRequest: it is pending or releases one, so that there is nothing to take back.
        Conflict: it is corrected already, or another proposal would correct it.
    """
    found = Transfer.objects.filter(id=transfer_id).first()
    if found is None:
        raise NotFound("There is no such transfer.")
    if found.flags & (TransferFlags.PENDING | TransferFlags.VOID_PENDING | TransferFlags.EXPIRED):
        raise InvalidRequest("Only what was posted can be reversed.", code="not_posted")
    return correction_propose(
        actor=actor,
        debit_account_id=found.credit_account_id,
        credit_account_id=found.debit_account_id,
        amount_minor=found.amount,
        reason=reason,
        corrects=found.id,
    )


def correction_confirm(*, actor: Actor, proposal_id: UUID) -> CorrectionProposal:
    """Book a proposal that another person made.

    Raises:
        PermissionDenied: it is the actor's own.
        Conflict: it was decided before.
        LedgerRefused: the ledger does not book it; the proposal stays open.
    """
    proposal = _open(proposal_id)
    if proposal.proposed_by == actor.id:
        raise PermissionDenied(
            "You proposed this correction, so you cannot confirm it. Ask a second person.",
            code="second_person_required",
        )
    transfer_id = account_id(f"correction/{proposal.id}")
    post_or_raise(
        [
            TransferSpec(
                id=transfer_id,
                debit=proposal.debit_account_id,
                credit=proposal.credit_account_id,
                amount_minor=proposal.amount_minor,
                code=TransferCode.CORRECTION,
                ledger=proposal.ledger,
                corrects=proposal.corrects_id,
                effective_on=proposal.effective_on,
                document_id=proposal.id,
            )
        ]
    )
    proposal.transfer_id = transfer_id
    return _decide(proposal, CorrectionProposal.State.BOOKED, actor)


def correction_reject(*, actor: Actor, proposal_id: UUID) -> CorrectionProposal:
    """Turn a proposal down (its author may withdraw it the same way).

    Raises:
        Conflict: it was decided before.
    """
    return _decide(_open(proposal_id), CorrectionProposal.State.REJECTED, actor)


def _open(proposal_id: UUID) -> CorrectionProposal:
    found = CorrectionProposal.objects.filter(id=proposal_id).first()
    if found is None:
        raise NotFound("There is no such proposal.")
    if found.state != CorrectionProposal.State.PROPOSED:
        raise Conflict(f"The proposal is {found.state} already.", code="already_decided")
    return found


def _decide(
    proposal: CorrectionProposal, state: CorrectionProposal.State, actor: Actor
) -> CorrectionProposal:
    before = _facts(proposal)
    proposal.state = state
    proposal.decided_by = actor.id
    proposal.decided_at = timezone.now()
    writes = Writes()
    writes.update(
        proposal,
        "state",
        "decided_by",
        "decided_at",
        "transfer_id",
        expect={"state": CorrectionProposal.State.PROPOSED},
        what="The proposal",
    )
    writes.record(
        proposal,
        action=f"ledger.correction.{state}",
        event=None,
        actor=actor,
        before=before,
        after=_facts(proposal),
    )
    writes.flush()
    return proposal


def _facts(proposal: CorrectionProposal) -> dict[str, str | int | None]:
    return {
        "state": str(proposal.state),
        "debit_account": str(proposal.debit_account_id),
        "credit_account": str(proposal.credit_account_id),
        "amount": proposal.amount_minor,
        "corrects": str(proposal.corrects_id) if proposal.corrects_id else None,
        "reason": proposal.reason,
        "transfer": str(proposal.transfer_id) if proposal.transfer_id else None,
    }
