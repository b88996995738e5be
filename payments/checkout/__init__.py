"""Checkout sessions: one thing to pay, on a page of ours.

- `following`: what the relay reports: a payment of a session has moved
"""
