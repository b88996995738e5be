"""Money in, as a merchant speaks of it: customers, methods, payments, refunds, disputes."""
