"""The staff's pages of tenants and people; importing this registers them.

- `tenants`: platforms, resellers, merchants, keys and callers
- `people`: people, memberships and what was changed about them
- `changes`: statuses of tenants that wait for a second person
- `columns`: columns that pages of other rooms share
"""

from tenants.admin import changes, people, tenants

__all__ = ["changes", "people", "tenants"]
