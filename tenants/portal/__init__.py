"""The portal's pages of tenants and people.

- `base`: the frame of every portal page, in every room
- `sign_in`: signing in and out, the second factor, invitations, passwords
- `keys`: API keys
- `merchants`: a reseller's merchants
- `team`: members and invitations
"""
