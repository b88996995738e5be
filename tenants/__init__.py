"""Who may do what: tenants, people, memberships, credentials and permission questions."""
