"""The kernel of all money: one intent is one attempt to move it over one channel.

- `bookings`: what the ledger books for an intent
- `channels`: the ways to move money, by name
- `documents`: how a document's room learns what became of its intent
- `failures`: what payers and merchants read of a failure
- `progress`: what a channel's answer means for an intent
- `returns`: the address of ours that a payer comes back to from a challenge
- `provider_events`: inbound events of providers, matched with their intent
"""
