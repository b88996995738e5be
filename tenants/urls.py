"""Addresses of the tenants room: ``api`` below /v1/, ``pages`` at the root."""

from __future__ import annotations

from django.urls import path

from tenants import api as views
from tenants import oauth
from tenants.portal import sign_in

api = [
    path("auth/login", views.LoginView.as_view(), name="auth-login"),
    path("auth/refresh", views.RefreshView.as_view(), name="auth-refresh"),
    path("auth/logout", views.LogoutView.as_view(), name="auth-logout"),
    path("client/session", views.ClientSessionView.as_view(), name="client-session"),
    path("api_keys", views.ApiKeysView.as_view(), name="api-keys"),
    path("api_keys/<str:key_id>", views.ApiKeyView.as_view(), name="api-key"),
    path("api_keys/<str:key_id>/rotate", views.ApiKeyRotateView.as_view(), name="api-key-rotate"),
    path("api_keys/<str:key_id>/revoke", views.ApiKeyRevokeView.as_view(), name="api-key-revoke"),
    path("team", views.TeamView.as_view(), name="team-api"),
    path("team/invitations", views.InvitationsView.as_view(), name="invitations-api"),
    path(
        "team/invitations/<str:invitation_id>/resend",
        views.InvitationResendView.as_view(),
        name="invitation-resend",
    ),
    path(
        "team/invitations/<str:invitation_id>",
        views.InvitationView.as_view(),
        name="invitation-api",
    ),
    path("team/<str:member_id>", views.MemberView.as_view(), name="member-api"),
    path("merchants", views.MerchantsView.as_view(), name="merchants-api"),
    path("merchants/<str:merchant_id>", views.MerchantView.as_view(), name="merchant-api"),
]

pages = [
    # For libraries that speak OAuth 2.0: forms in, flat answers out.
    path("auth/token", oauth.TokenView.as_view(), name="auth-token"),
    path("login", sign_in.login_page, name="login"),
    path("login/verify", sign_in.verify_page, name="login-verify"),
    path("login/link", sign_in.link_page, name="login-link"),
    path("login/link/<str:token>", sign_in.link_use_page, name="login-link-use"),
    path("login/setup", sign_in.setup_page, name="login-setup"),
    path("logout", sign_in.logout_page, name="logout"),
    path("password/reset", sign_in.reset_page, name="password-reset"),
    path(
        "password/reset/<str:user_id>/<str:token>",
        sign_in.reset_confirm_page,
        name="password-reset-confirm",
    ),
    path("invitations/<str:token>", sign_in.invitation_page, name="invitation"),
]
