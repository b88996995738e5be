"""Money in, in the merchant's terms: customers, methods, payments, refunds, disputes."""
