"""Payment providers: adapters, accounts, routing and inbound webhooks.

- `adapters`: the providers, a folder each: Stripe, and the sandbox of test mode
- `base`: what the platform asks of a provider, and what a provider answers
- `calls`: the one way to ask a provider: bounded in time and number
- `registry`: every provider by name
- `signing`: signatures of providers' webhooks
"""
