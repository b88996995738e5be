"""Who may act on whom, in words of its own, so that a slip in tenants/policies.py is a red test.

By the actor's level and the action, then by the other's role: who does it alone, who proposes it
and who confirms it, by initials (c compliance, f finance, s support; o owner, a admin).
"""

from __future__ import annotations

from typing import Final

_BELOW_OWNERS: Final = ("admin", "developer", "viewer")
_OF_TENANTS: Final = ("owner", *_BELOW_OWNERS)
_STAFF: Final = ("support", "finance", "compliance")
_TEAM: Final = {"owner": "o | - | -", **dict.fromkeys(_BELOW_OWNERS, "oa | - | -")}
_GUARDED: Final = {
    **dict.fromkeys(_OF_TENANTS, "cs | - | -"),
    "support": "c | s | cs",
    "finance": "- | cs | cf",
    "compliance": "- | cs | cf",
}

PEOPLE: Final[dict[tuple[str, str], dict[str, str]]] = {
    ("merchant", "invite"): _TEAM,
    ("merchant", "change_role"): _TEAM,
    ("merchant", "remove"): _TEAM,
    ("reseller", "invite"): _TEAM,
    ("reseller", "change_role"): _TEAM,
    ("reseller", "remove"): _TEAM,
    ("reseller", "bind_agent"): dict.fromkeys(_BELOW_OWNERS, "oa | - | -"),
    ("platform", "send_reset"): dict.fromkeys((*_OF_TENANTS, *_STAFF), "cs | - | -"),
    ("platform", "deactivate"): _GUARDED,
    ("platform", "activate"): _GUARDED,
    ("platform", "reset_second_factor"): _GUARDED,
    ("platform", "change_role"): dict.fromkeys(_STAFF, "- | cs | cf"),
}
