"""Payment providers: adapters, accounts, routing and inbound webhooks.

- `adapters`: the providers, a folder each: Stripe, and the sandbox of test mode
- `amounts`: amounts that a provider cannot take, refused before anything is stored or sent
- `base`: what the platform asks of a provider, and what a provider answers
- `calls`: the one way to ask a provider: bounded in time and number
- `declared`: what an adapter declares: harmless errors, and the amounts it takes
- `registry`: every provider by name
- `signing`: signatures of providers' webhooks
"""
