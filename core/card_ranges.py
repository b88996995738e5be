"""Issuer ranges of payment cards: the beginnings that schemes issue, and the lengths with each.

ISO/IEC 7812-1 gives every number an issuer's beginning and a Luhn digit, and leaves the length to
the scheme. The ranges are those of two lists that are kept up, `credit-card-type` 10.3 and
`bin-cc` 2.3, and of the test numbers that providers publish (`tests/core/published_cards.py`).
Where the sources differ, the range is the wider one, because a card that is missed is stored.
Three lengths are narrower, because more references than cards have them: 12 digits (Maestro; none
is known to be issued), 18 (Visa), and 13 to 15, 17 and 18 of Maestro outside its own beginnings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CardRange:
    """What a scheme issues.

    Attributes:
        beginnings: first and last four digits of each range, both included.
        lengths: how many digits a number has, the check digit included.
    """

    scheme: str
    beginnings: tuple[tuple[int, int], ...]
    lengths: tuple[int, ...]


# fmt: off
RANGES: Final = (
    CardRange("Visa, with Dankort, Cartes Bancaires, V PAY", ((4000, 4999),), (13, 16, 19)),
    CardRange("Mastercard, with Cartes Bancaires", ((5100, 5599), (2221, 2720)), (16,)),
    CardRange("American Express", ((3400, 3499), (3700, 3799)), (15,)),
    CardRange(
        "Diners Club, with Hipercard's 3841",
        ((3000, 3059), (3095, 3095), (3600, 3699), (3800, 3999)),
        (14, 16, 19),
    ),
    CardRange("JCB, with LankaPay and RuPay's 353 and 356", ((3528, 3589),), (16, 17, 18, 19)),
    CardRange(
        "JCB before 3528",
        ((3088, 3094), (3096, 3102), (3112, 3120), (3158, 3159), (3337, 3349)),
        (16,),
    ),
    CardRange("JCB of 15 digits", ((1800, 1800), (2131, 2131)), (15,)),
    # Discover, Elo, Hiper, Hipercard, RuPay, Verve, Troy, Cabal, Interpayment, Instapayment,
    # UkrCard, GPN and Maestro issue most of 50, 56 to 59 and 6, so the rest is not left out.
    CardRange(
        "Maestro, Discover, Elo, Hipercard, RuPay, Verve and others",
        ((5000, 5099), (5600, 5999), (6000, 6999)),
        (16, 19),
    ),
    CardRange(
        "Maestro, with Laser and Bancontact",
        ((5018, 5018), (5020, 5020), (5033, 5033), (5038, 5038), (5868, 5868), (5893, 5893),
         (6304, 6304), (6700, 6799)),
        (13, 14, 15, 17, 18),
    ),
    CardRange(
        "Switch and Solo",
        ((4903, 4903), (4905, 4905), (4911, 4911), (4936, 4936), (5641, 5641), (6331, 6331),
         (6333, 6334)),
        (18,),
    ),
    CardRange("Opayo's test number of Maestro", ((3000, 3000),), (18,)),
    CardRange("Verve of 18 digits", ((5060, 5061), (5078, 5079), (6500, 6500)), (18,)),
    CardRange("UnionPay", ((6200, 6299), (8100, 8171)), (16, 17, 18, 19)),
    CardRange("RuPay", ((8100, 8299),), (16,)),
    CardRange("Mir", ((2200, 2204),), (16, 17, 18, 19)),
    CardRange("BORICA", ((2205, 2205),), (16,)),
    CardRange("UATP", ((1000, 1999),), (15,)),
    CardRange("GPN", ((1946, 1946),), (16,)),
    CardRange("UzCard", ((8600, 8600),), (16,)),
    # 9 and the country's number in ISO 3166: Armenia, Belarus, Korea and Kyrgyzstan, Saudi Arabia,
    # Vietnam, Turkey, Uzbekistan.
    CardRange(
        "ArCa, BelKart, BC Card and Elcard, mada, NAPAS, Troy, Humo",
        ((9051, 9051), (9112, 9112), (9400, 9499), (9682, 9682), (9704, 9704), (9792, 9792),
         (9860, 9860)),
        (16,),
    ),
    CardRange("NAPAS of 19 digits", ((9704, 9704),), (19,)),
)
# fmt: on


def _lengths_of(beginning: int) -> tuple[int, ...]:
    found: set[int] = set()
    for each in RANGES:
        if any(first <= beginning <= last for first, last in each.beginnings):
            found.update(each.lengths)
    return tuple(sorted(found))


_LENGTHS: Final = {
    f"{beginning:04}": lengths
    for beginning in range(1000, 10_000)
    if (lengths := _lengths_of(beginning))
}


def card_lengths(digits: str) -> tuple[int, ...]:
    """The lengths of the card numbers that begin as `digits` does; none where no scheme issues any.

    Args:
        digits: ASCII digits, four or more.
    """
    return _LENGTHS.get(digits[:4], ())
