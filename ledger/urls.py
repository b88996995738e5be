from __future__ import annotations

from django.urls import path

from ledger import api as views

api = [
    path("balance", views.BalanceView.as_view(), name="balance"),
    path("ledger/accounts", views.AccountsView.as_view(), name="ledger-accounts"),
    path("ledger/accounts/<str:account_id>", views.AccountView.as_view(), name="ledger-account"),
    path(
        "ledger/accounts/<str:account_id>/statement",
        views.StatementView.as_view(),
        name="ledger-statement",
    ),
    path("ledger/transfers", views.TransfersView.as_view(), name="ledger-transfers"),
    path(
        "ledger/transfers/<str:transfer_id>", views.TransferView.as_view(), name="ledger-transfer"
    ),
]
