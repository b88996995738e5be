"""Who may do what: tenants, people, memberships, credentials and permission questions.

- `authentication`: the credentials of the API, each ending in an actor
- `callers`: trusted services that sign their requests
- `fees`: what a merchant pays before staff have set its fees
- `keys`: API keys and other bearer secrets: made, recognised, digested
- `middleware`: what every page of the portal and the admin goes through
- `oauth`: the token endpoint (RFC 6749)
- `places`: where a person logs in from
- `policies`: every permission question
- `requests`: the request of a person who has taken a seat
- `seats`: one person in one tenant in one mode
- `sessions_backend`: sessions found by the digest of their key
- `tokens`: access tokens (RFC 7519, RFC 9068)
- `totp`: codes of authenticator apps
"""
