"""Every write of the tenants room."""
