"""What a merchant pays before staff have set its fees."""

from __future__ import annotations

from typing import Final

#: The fixed part of the fee on a payment, in minor units of the merchant's own currency: about what
#: card processors publish for it (about 0.30 USD elsewhere), rounded as people of the country do.
FIXED_FEE_MINOR: Final = {
    "AED": 100, "AUD": 30, "BGN": 50, "BHD": 100, "BRL": 50, "CAD": 30, "CHF": 30, "CLP": 280,
    "COP": 90_000, "CRC": 15_000, "CZK": 650, "DKK": 180, "EGP": 300, "EUR": 25, "GBP": 20,
    "GHS": 200, "HKD": 235, "HUF": 8_500, "IDR": 500_000, "ILS": 120, "INR": 300, "ISK": 40,
    "JOD": 200, "JPY": 40, "KES": 3_000, "KRW": 400, "KWD": 90, "MAD": 300, "MXN": 300,
    "MYR": 100, "NGN": 10_000, "NOK": 200, "NZD": 30, "OMR": 100, "PEN": 100, "PHP": 1_500,
    "PKR": 8_000, "PLN": 100, "QAR": 100, "RON": 100, "SAR": 100, "SEK": 180, "SGD": 50,
    "THB": 1_000, "TND": 900, "TRY": 1_000, "TWD": 1_000, "UAH": 1_200, "UGX": 1_000, "USD": 30,
    "VND": 7_000, "ZAR": 200,
}  # fmt: skip


def fixed_fee_minor(currency: str) -> int:
    """The fixed part for a merchant of this currency; 0 where none is known.

    A number that fits one currency would be nothing, or a fortune, in another.
    """
    return FIXED_FEE_MINOR.get(currency, 0)
