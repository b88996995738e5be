"""The one place where intents are locked or leased; short, and by primary key."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Final

from core.db import fetch_all
from payments.intents.models import Intent

# The merchants take turns: each gives the one that waits longest, then each its second, and so on.
# What a process held that has died is due, whenever its time would have come.
_LEASE_SQL: Final = """
WITH RECURSIVE lane AS (
  (SELECT merchant_id, next_check_at AS first_at FROM intents_intent
    WHERE next_check_at IS NOT NULL ORDER BY merchant_id, next_check_at LIMIT 1)
  UNION ALL
  SELECT following.merchant_id, following.first_at FROM lane CROSS JOIN LATERAL (
    SELECT merchant_id, next_check_at AS first_at FROM intents_intent
     WHERE next_check_at IS NOT NULL AND merchant_id > lane.merchant_id
     ORDER BY merchant_id, next_check_at LIMIT 1) AS following),
due AS (
  SELECT each.id, each.next_check_at,
         row_number() OVER (PARTITION BY lane.merchant_id ORDER BY each.next_check_at) AS place
    FROM lane CROSS JOIN LATERAL (
      SELECT id, next_check_at FROM intents_intent
       WHERE merchant_id = lane.merchant_id AND next_check_at <= %(later)s
         AND (next_check_at <= %(now)s OR core_holder_died(holder))
       ORDER BY next_check_at LIMIT %(limit)s) AS each
   WHERE lane.first_at <= %(later)s),
chosen AS (SELECT id FROM due ORDER BY place, next_check_at LIMIT %(limit)s),
locked AS (
  SELECT id FROM intents_intent WHERE id IN (SELECT id FROM chosen)
     AND (next_check_at <= %(now)s OR core_holder_died(holder)) FOR UPDATE SKIP LOCKED),
leased AS (
  UPDATE intents_intent SET next_check_at = %(later)s, holder = NULL
   WHERE id IN (SELECT id FROM locked) RETURNING id)
SELECT due.id FROM leased JOIN due USING (id) ORDER BY due.place, due.next_check_at
"""


def lock_intent(intent_id: uuid.UUID) -> Intent:
    """The intent, locked until the open transaction ends."""
    return Intent.objects.select_for_update(no_key=True).get(pk=intent_id)


def lease_due_intents(*, now: dt.datetime, until: dt.datetime, limit: int) -> list[uuid.UUID]:
    """Lease the intents that are due `now` until `until`, in the order in which to look at them."""
    return [row[0] for row in fetch_all(_LEASE_SQL, {"now": now, "later": until, "limit": limit})]
