"""The staff's pages of the ledger; importing this registers them.

- `pages`: accounts, transfers, corrections, conversions, verifications
- `words`: how they name accounts, transfers and people
- `forms`: what staff fill in
"""

from ledger.admin import pages

__all__ = ["pages"]
