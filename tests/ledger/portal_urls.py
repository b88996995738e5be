"""The platform's addresses with the ledger's pages, until the portal mounts them."""

from __future__ import annotations

from django.urls import path

from config.urls import (  # noqa: F401 - handlers are read from the module
    handler400,
    handler403,
    handler404,
    handler500,
)
from config.urls import urlpatterns as platform
from ledger.portal import balance_page, statement_export, statement_page
from portal.navigation import know_seats

urlpatterns = [
    path("balance", know_seats(balance_page)),
    path("balance/accounts/<str:account_id>", know_seats(statement_page)),
    path("balance/accounts/<str:account_id>/statement.<str:kind>", know_seats(statement_export)),
    *platform,
]
