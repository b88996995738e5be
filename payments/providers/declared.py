"""What an adapter declares beside its calls: harmless errors, and the amounts it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmless:
    """An error that proves that a request had no effect.

    ``proves`` recognises it, ``why`` says what the proof is, ``code`` and ``message`` are those of
    the `NotTaken` that it becomes.
    """

    code: str
    message: str
    why: str
    proves: Callable[[BaseException], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountRule:
    """The amounts of one currency that a provider charges, in our minor units.

    Captures and refunds keep the step; the minimum is a charge's alone.
    """

    step_minor: int = 1
    minimum_minor: int = 1
    maximum_minor: int | None = None
