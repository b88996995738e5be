"""Payment providers: adapters, accounts, routing and inbound webhooks."""
