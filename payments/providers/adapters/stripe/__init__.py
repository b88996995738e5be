"""The Stripe adapter, through Stripe's own SDK."""
