"""The staff's pages of tenants and people; importing this registers them.

- `tenants`: platforms, resellers, merchants, keys and callers
- `people`: people, memberships and what was changed about them
- `columns`: columns that pages of other rooms share
"""

from tenants.admin import people, tenants

__all__ = ["people", "tenants"]
