"""The REST face: logging in, API keys, the team, a reseller's merchants."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import ids
from core.api.query import PAGE
from core.api.views import ApiView
from core.db import tenant_atomic
from core.errors import InvalidRequest
from core.pagination import PageRequest, paginate
from core.proxies import client_ip
from core.ratelimit import Rate
from tenants import selectors, serializers, shapes
from tenants.models import ApiKey, Invitation, Membership, Merchant, TenantStatus
from tenants.places import place_of
from tenants.services import api_keys, members, merchants, sessions, team

#: For endpoints that need no caller; a whole office may share one address.
ADDRESS_RATE: Final = Rate(limit=300, period_s=60)


class LoginView(ApiView):
    """Log a person in."""

    public = True
    authentication_classes = []
    idempotency = "none"

    @extend_schema(
        operation_id="auth_login",
        tags=["Authentication"],
        request=serializers.Login,
        responses={200: shapes.AccessTokenOut},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Exchange e-mail, password and one-time code for tokens.

        The access token lives five minutes, the refresh token works once. Errors:
        `credentials_invalid`, `otp_required`, `otp_invalid` (401), `rate_limited` (429).
        """
        given = serializers.Login.parse(self.body)
        return Response(
            shapes.access_token_out(sessions.jwt_login(place=place_of(request._request), **given))
        )


class RefreshView(ApiView):
    """Rotate a refresh token."""

    public = True
    authentication_classes = []
    idempotency = "none"
    address_rate: ClassVar[Rate] = ADDRESS_RATE

    @extend_schema(
        operation_id="auth_refresh",
        tags=["Authentication"],
        request=serializers.Refresh,
        responses={200: shapes.AccessTokenOut},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair.

        Using one twice revokes every refresh token of that login (`refresh_token_reused`), and
        its access token ends with them.
        """
        given = serializers.Refresh.parse(self.body)
        pair = sessions.jwt_refresh(
            refresh_token=given["refresh_token"], ip=client_ip(request._request)
        )
        return Response(shapes.access_token_out(pair))


class LogoutView(ApiView):
    """End a login."""

    public = True
    authentication_classes = []
    idempotency = "none"
    address_rate: ClassVar[Rate] = ADDRESS_RATE

    @extend_schema(
        operation_id="auth_logout",
        tags=["Authentication"],
        request=serializers.Refresh,
        responses={200: shapes.LoggedOutOut},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Revoke every refresh token of the login that this one belongs to.

        Its access token ends with them.
        """
        given = serializers.Refresh.parse(self.body)
        sessions.jwt_logout(refresh_token=given["refresh_token"])
        return Response(shapes.LoggedOutOut(logged_out=True))


class ClientSessionView(ApiView):
    """Machine clients."""

    public = True
    authentication_classes = []
    idempotency = "none"
    address_rate: ClassVar[Rate] = ADDRESS_RATE

    @extend_schema(
        operation_id="client_session_create",
        tags=["Authentication"],
        request=serializers.ClientSession,
        responses={200: shapes.AccessTokenOut},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Exchange client id and secret for an access token of five minutes."""
        given = serializers.ClientSession.parse(self.body)
        pair = sessions.machine_session(
            client_id=given["client_id"],
            client_secret=given["client_secret"],
            place=place_of(request._request),
            scopes=given["scope"].split(),
        )
        return Response(shapes.access_token_out(pair))


def _new_key_data(made: tuple[ApiKey, str]) -> shapes.ApiKeyOut:
    key, text = made
    return shapes.api_key_out(key, text=text)


class ApiKeysView(ApiView):
    """API keys of a merchant."""

    seals_answers = True

    permissions: ClassVar[dict[str, str]] = {"GET": "keys.read", "POST": "keys.write"}
    filters: ClassVar[tuple[str, ...]] = ("limit", "cursor")
    rate: ClassVar[Rate] = Rate(limit=600, period_s=60)

    @extend_schema(
        operation_id="api_keys_list",
        tags=["API keys"],
        parameters=PAGE,
        responses={200: shapes.ApiKeyPage},
    )
    def get(self, request: Request) -> Response:
        """List the keys of your merchant in the mode of the caller, newest first."""
        wanted = PageRequest.from_query(self.query)
        with tenant_atomic(self.actor.scope):
            page = paginate(selectors.api_keys(actor=self.actor), wanted)
        return Response(page.render(shapes.api_key_out))

    @extend_schema(
        operation_id="api_keys_create",
        tags=["API keys"],
        request=serializers.ApiKeyCreate,
        responses={201: shapes.ApiKeyOut},
    )
    def post(self, request: Request) -> Response:
        """Make a key. Its text is in this answer as `key`, and nowhere else.

        Shown once: only the very same request, repeated under its Idempotency-Key within 30 days,
        is given the same answer again.
        """
        given = serializers.ApiKeyCreate.parse(self.body)
        return self.once(
            lambda: api_keys.api_key_create(actor=self.actor, **given), render=_new_key_data
        )


class ApiKeyView(ApiView):
    """One API key."""

    permissions: ClassVar[dict[str, str]] = {"GET": "keys.read"}

    @extend_schema(
        operation_id="api_keys_retrieve",
        tags=["API keys"],
        responses={200: shapes.ApiKeyOut},
    )
    def get(self, request: Request, key_id: str) -> Response:
        """Read a key, without its secret."""
        wanted = ids.decode(ApiKey.PREFIX, key_id)
        with tenant_atomic(self.actor.scope):
            row = selectors.api_key_get(actor=self.actor, key_id=wanted)
        return Response(shapes.api_key_out(row))


class ApiKeyRotateView(ApiView):
    """Rotation."""

    seals_answers = True

    permissions: ClassVar[dict[str, str]] = {"POST": "keys.write"}

    @extend_schema(
        operation_id="api_keys_rotate",
        tags=["API keys"],
        request=serializers.Rotate,
        responses={201: shapes.ApiKeyOut},
    )
    def post(self, request: Request, key_id: str) -> Response:
        """Make a successor; the old key ends after `overlap_seconds` (a day by default).

        The successor's text is shown once, as when a key is made.
        """
        given = serializers.Rotate.parse(self.body)
        wanted = ids.decode(ApiKey.PREFIX, key_id)
        overlap = timedelta(seconds=given["overlap_seconds"])
        return self.once(
            lambda: api_keys.api_key_rotate(actor=self.actor, key_id=wanted, overlap=overlap),
            render=_new_key_data,
        )


class ApiKeyRevokeView(ApiView):
    """Revocation."""

    permissions: ClassVar[dict[str, str]] = {"POST": "keys.write"}
    takes_body = False

    @extend_schema(
        operation_id="api_keys_revoke",
        tags=["API keys"],
        request=None,
        responses={200: shapes.ApiKeyOut},
    )
    def post(self, request: Request, key_id: str) -> Response:
        """End a key at once. Ending it again changes nothing."""
        wanted = ids.decode(ApiKey.PREFIX, key_id)
        return self.once(
            lambda: api_keys.api_key_revoke(actor=self.actor, key_id=wanted),
            render=shapes.api_key_out,
            status=200,
        )


class TeamView(ApiView):
    """The people of the caller's tenant."""

    permissions: ClassVar[dict[str, str]] = {"GET": "team.read"}

    @extend_schema(operation_id="team_list", tags=["Team"], responses={200: shapes.Team})
    def get(self, request: Request) -> Response:
        """List the members, owners first."""
        with tenant_atomic(self.actor.scope):
            rows = selectors.members(actor=self.actor)
        items = [shapes.member_out(row) for row in rows]
        return Response(shapes.Team(items=items, has_more=False, next_cursor=None))


class MemberView(ApiView):
    """One member."""

    permissions: ClassVar[dict[str, str]] = {"PATCH": "team.write", "DELETE": "team.write"}

    @extend_schema(
        operation_id="team_update",
        tags=["Team"],
        request=serializers.MemberUpdate,
        responses={200: shapes.MemberOut},
    )
    def patch(self, request: Request, member_id: str) -> Response:
        """Give a member another role. Only owners make or change owners (403); the last one
        stays (409 `last_owner`)."""
        given = serializers.MemberUpdate.parse(self.body)
        row = members.membership_change_role(
            actor=self.actor,
            membership_id=ids.decode(Membership.PREFIX, member_id),
            role=given["role"],
        )
        return Response(shapes.member_out(selectors.member_of(row)))

    @extend_schema(operation_id="team_remove", tags=["Team"], responses={200: shapes.DeletedOut})
    def delete(self, request: Request, member_id: str) -> Response:
        """End a membership."""
        wanted = ids.decode(Membership.PREFIX, member_id)
        members.membership_remove(actor=self.actor, membership_id=wanted)
        return Response(shapes.DeletedOut(id=member_id, object="membership", deleted=True))


class InvitationsView(ApiView):
    """Invitations into the caller's tenant."""

    permissions: ClassVar[dict[str, str]] = {"GET": "team.read", "POST": "team.write"}
    filters: ClassVar[tuple[str, ...]] = ("limit", "cursor", "status")

    @extend_schema(
        operation_id="invitations_list",
        tags=["Team"],
        parameters=[
            *PAGE,
            OpenApiParameter("status", str, enum=[*selectors.INVITATION_STATES, "all"]),
        ],
        responses={200: shapes.InvitationPage},
    )
    def get(self, request: Request) -> Response:
        """List the invitations that can be accepted, newest first; `status` chooses others.

        A reseller also sees those that its people sent into a merchant.
        """
        state = self.query.get("status", "sent")
        if state not in (*selectors.INVITATION_STATES, "all"):
            raise InvalidRequest(
                f"status takes {', '.join(selectors.INVITATION_STATES)} or all.",
                code="parameter_invalid",
                param="status",
            )
        wanted = PageRequest.from_query(self.query)
        with tenant_atomic(self.actor.scope):
            rows = selectors.invitations(actor=self.actor, state="" if state == "all" else state)
            page = paginate(rows, wanted)
        return Response(page.render(shapes.invitation_out))

    @extend_schema(
        operation_id="invitations_create",
        tags=["Team"],
        request=serializers.InvitationCreate,
        responses={201: shapes.InvitationOut},
    )
    def post(self, request: Request) -> Response:
        """Invite a member by e-mail; the link is good for seven days.

        One invitation per address and day (429 `invited_already`, with `Retry-After`).
        """
        given = serializers.InvitationCreate.parse(self.body)
        merchant = ids.decode(Merchant.PREFIX, given["merchant"]) if given["merchant"] else None
        return self.once(
            lambda: team.invitation_create(
                actor=self.actor, email=given["email"], role=given["role"], merchant_id=merchant
            ),
            render=shapes.invitation_out,
        )


class InvitationView(ApiView):
    """One invitation."""

    permissions: ClassVar[dict[str, str]] = {"DELETE": "team.write"}

    @extend_schema(
        operation_id="invitations_revoke", tags=["Team"], responses={200: shapes.DeletedOut}
    )
    def delete(self, request: Request, invitation_id: str) -> Response:
        """Withdraw an invitation; its link stops working."""
        wanted = ids.decode(Invitation.PREFIX, invitation_id)
        team.invitation_revoke(actor=self.actor, invitation_id=wanted)
        return Response(shapes.DeletedOut(id=invitation_id, object="invitation", deleted=True))


class InvitationResendView(ApiView):
    """An invitation that is sent again."""

    permissions: ClassVar[dict[str, str]] = {"POST": "team.write"}
    takes_body = False

    @extend_schema(
        operation_id="invitations_resend",
        tags=["Team"],
        request=None,
        responses={201: shapes.InvitationOut},
    )
    def post(self, request: Request, invitation_id: str) -> Response:
        """Send an invitation again, as a new one; the link of the earlier one stops working.

        One invitation per address and day (429 `invited_already`, with `Retry-After`).
        """
        wanted = ids.decode(Invitation.PREFIX, invitation_id)
        return self.once(
            lambda: team.invitation_resend(actor=self.actor, invitation_id=wanted),
            render=shapes.invitation_out,
        )


class MerchantsView(ApiView):
    """A reseller's merchants."""

    permissions: ClassVar[dict[str, str]] = {"GET": "merchants.read", "POST": "merchants.write"}
    filters: ClassVar[tuple[str, ...]] = ("limit", "cursor", "status", "search")

    @extend_schema(
        operation_id="merchants_list",
        tags=["Merchants"],
        parameters=[
            *PAGE,
            OpenApiParameter("status", str, enum=["pending", "active", "suspended", "closed"]),
            OpenApiParameter("search", str, description="Part of the name."),
        ],
        responses={200: shapes.MerchantPage},
    )
    def get(self, request: Request) -> Response:
        """List the merchants that you may see, newest first."""
        query = self.query
        status = query.get("status", "")
        if status and status not in TenantStatus.values:
            raise InvalidRequest(
                f"status takes {', '.join(TenantStatus.values)}.",
                code="parameter_invalid",
                param="status",
            )
        with tenant_atomic(self.actor.scope):
            rows = selectors.merchants(
                actor=self.actor, status=status, search=query.get("search", "")
            )
            page = paginate(rows, PageRequest.from_query(query))
        return Response(page.render(lambda row: shapes.merchant_out(row, actor=self.actor)))

    @extend_schema(
        operation_id="merchants_create",
        tags=["Merchants"],
        request=serializers.MerchantCreate,
        responses={201: shapes.MerchantOut},
    )
    def post(self, request: Request) -> Response:
        """Sign up a merchant; it starts pending and can work in test mode at once."""
        given = serializers.MerchantCreate.parse(self.body)
        return self.once(
            lambda: merchants.merchant_create(actor=self.actor, **given),
            render=lambda row: shapes.merchant_out(row, actor=self.actor),
        )


class MerchantView(ApiView):
    """One merchant."""

    permissions: ClassVar[dict[str, str]] = {"GET": "merchants.read"}

    @extend_schema(
        operation_id="merchants_retrieve",
        tags=["Merchants"],
        responses={200: shapes.MerchantOut},
    )
    def get(self, request: Request, merchant_id: str) -> Response:
        """Read a merchant."""
        wanted = ids.decode(Merchant.PREFIX, merchant_id)
        with tenant_atomic(self.actor.scope):
            row = selectors.merchant_get(actor=self.actor, merchant_id=wanted)
        return Response(shapes.merchant_out(row, actor=self.actor))
