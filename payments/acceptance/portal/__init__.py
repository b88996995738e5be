"""The web face of payments: the list with its filters and export, and the page of one payment."""
