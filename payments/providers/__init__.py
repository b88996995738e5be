"""Payment providers: adapters, accounts, routing and inbound webhooks.

- `base`: what the platform asks of a provider, and what a provider answers
- `calls`: the one way to ask a provider: bounded in time and number
- `registry`: every provider by name
- `sandbox`: the provider of test mode
- `signing`: signatures of providers' webhooks
- `stripe`: Stripe
"""
