"""The base of every API view: caller, permission, rate limit, idempotency, request log."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable
from typing import Any, ClassVar, Final, cast

import structlog
from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import connections, deadline
from core.api import request_log
from core.api.parsers import refuse_declared_length
from core.api.query import known
from core.api.renderers import dump, success
from core.context import Actor
from core.db import tenant_atomic
from core.errors import (
    AppError,
    AuthenticationFailed,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from core.idempotency import (
    Answer,
    Claim,
    canonical_body,
    check_key,
    in_flight,
    is_duplicate_claim,
)
from core.proxies import client_network
from core.ratelimit import Rate, check_rate

log = structlog.get_logger(__name__)


#: What reading the answer of a request may take whose time is over.
BROKEN_OFF_S: Final = 2.0


def default_rate() -> Rate:
    """What a key may send to an endpoint that names no rate of its own; ten seconds' worth at once.

    The size is API_RATE_PER_S.
    """
    return Rate(limit=settings.API_RATE_PER_S * 10, period_s=10)


class ApiView(APIView):
    """One resource or operation of the API.

    Attributes:
        permissions: the permission (tenants/policies.py) that each method needs. HEAD needs what
            GET needs, and a method that is not named is not served.
        rate: how many requests a key may send here; None is the platform's default.
        shared_rate: where a key is no secret, what all who hold it may send together; `rate` then
            counts each address of it.
        address_rate: how many requests one address may send to a public view; None is any number.
        max_body_bytes: the largest body that is taken; None is the platform's default.
        idempotency: whether POST needs a key ("required": it moves money), takes one ("optional"),
            or has no effect worth one ("none").
        seals_answers: True where an answer holds a secret: the one kept for repetitions is sealed,
            and given to the same caller alone.
        claim_type: what an Idempotency-Key becomes.
        filters: the parameters that the query string of a GET may hold.
        public: True for the few addresses without a caller (login, provider webhooks).
        takes_body: False where POST, PUT and PATCH need no body; other methods never take one.
    """

    permissions: ClassVar[dict[str, str]] = {}
    rate: ClassVar[Rate | None] = None
    shared_rate: ClassVar[Rate | None] = None
    address_rate: ClassVar[Rate | None] = None
    max_body_bytes: ClassVar[int | None] = None
    idempotency: ClassVar[str] = "optional"
    seals_answers: ClassVar[bool] = False
    claim_type: ClassVar[type[Claim]] = Claim
    filters: ClassVar[tuple[str, ...]] = ()
    public: ClassVar[bool] = False
    takes_body: ClassVar[bool] = True

    _rate_headers: dict[str, str] | None = None

    @property
    def actor(self) -> Actor:
        """Who calls.

        Raises:
            AuthenticationFailed: the request carries no valid credential.
        """
        actor = self.request.auth
        if not isinstance(actor, Actor):
            raise AuthenticationFailed(
                "Send an API key in the Authorization header: Bearer mk_sk_test_…"
            )
        return actor

    @property
    def query(self) -> dict[str, str]:
        """The query string: `filters` alone for a read, and nothing for what writes.

        Raises:
            InvalidRequest: a parameter that does not exist here, is empty or repeated, or a NUL
                character, which PostgreSQL cannot hold.
        """
        reads = self.request.method in ("GET", "HEAD")
        given = self.request.query_params
        found = known(given.dict(), *(self.filters if reads else ()))
        for name, values in given.lists():
            if values == [""]:
                raise InvalidRequest(
                    f"The parameter {name!r} is empty. Leave it out, or give it a value.",
                    code="parameter_invalid",
                    param=name,
                )
            if len(values) > 1:
                raise InvalidRequest(
                    f"The parameter {name!r} appears twice. Send it once: where it takes several "
                    "values, commas separate them.",
                    code="parameter_invalid",
                    param=name,
                )
            if "\x00" in values[0]:
                raise InvalidRequest(
                    f"The parameter {name!r} holds a NUL character.",
                    code="parameter_invalid",
                    param=name,
                )
        return found

    @property
    def body(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self.request.data)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self._started = time.perf_counter()
        # Before anything reads the body: checking a signature does.
        refuse_declared_length(request, self.max_body_bytes or settings.MAX_BODY_BYTES)
        if self.public and self.address_rate is not None:
            self.limit(key=client_network(request._request), rate=self.address_rate)
        self.perform_authentication(request)
        if self.public:
            return
        actor = self.actor
        needed = self._permission_of(request.method or "")
        if needed is not None and needed not in actor.scopes:
            raise PermissionDenied(
                f"This key or role lacks the permission {needed}.",
                code="permission_missing",
                details={"permission": needed},
            )
        self._limit_key(actor)
        # What it would ignore is refused, whether or not the view reads it.
        _ = self.query
        self._refuse_needless_body()

    def _refuse_needless_body(self) -> None:
        """Refuse fields where the operation takes none; an empty object says nothing, and passes.

        Raises:
            InvalidRequest: a body that would have been ignored.
        """
        wanted = self.takes_body and self.request.method in ("POST", "PUT", "PATCH")
        if not wanted and self.request._request.body:
            known(self.body)

    def _limit_key(self, actor: Actor) -> None:
        """Count this request against the key's allowance; by address where the key is shared.

        The address comes first: what is refused to one visitor takes nothing from all others.
        """
        rate = self.rate or default_rate()
        if self.shared_rate is None:
            self.limit(key=actor.id, rate=rate)
            return
        self.limit(key=f"{actor.id}:{client_network(self.request._request)}", rate=rate)
        own = self._rate_headers
        self.limit(key=actor.id, rate=self.shared_rate)
        self._rate_headers = own

    def limit(self, *, key: str, rate: Rate) -> None:
        """Count this request against what `key` may send here; the answer tells in its headers.

        Raises:
            RateLimited: the allowance is spent.
        """
        decision = check_rate(key=key, endpoint=type(self).__name__, rate=rate)
        self._rate_headers = dict(decision.headers())
        decision.enforce()

    def _permission_of(self, method: str) -> str | None:
        """The permission that a method needs; None for OPTIONS, which describes and shows nothing.

        Raises:
            MethodNotAllowed: the view names no permission for the method.
        """
        if method == "OPTIONS":
            return None
        # DRF answers HEAD with the handler of GET, whose length and status tell as much.
        needed = self.permissions.get("GET" if method == "HEAD" else method)
        if needed is None:
            raise MethodNotAllowed(method)
        return needed

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in (self._rate_headers or {}).items():
            response[name] = value
        auth = getattr(request, "_auth", None)
        if isinstance(auth, Actor):
            request_log.record(
                request=request._request,
                actor=auth,
                status=response.status_code,
                error_code=_error_code(response),
                started=getattr(self, "_started", time.perf_counter()),
            )
        return response

    def once(
        self,
        operation: Callable[[], Any],
        *,
        render: Callable[[Any], Any],
        status: int = 201,
    ) -> Response:
        """Run an operation that is one transaction, once per Idempotency-Key.

        `operation` runs inside the caller's `tenant_atomic`, so the stored answer commits with its
        effect; it must not call a provider.
        """
        claim = self.claim(lambda made: (status, dump(success(render(made)))))
        if claim is None:
            with tenant_atomic(self.actor.scope):
                return Response(render(operation()), status=status)
        previous = claim.previous()
        if isinstance(previous, Answer):
            return self.replay(previous)
        try:
            with tenant_atomic(self.actor.scope):
                return self.replay(claim.complete(operation()))
        except IntegrityError as error:
            return self.lost_race(claim, error)

    def once_outside(
        self,
        operation: Callable[[Claim | None], Any],
        *,
        resume: Callable[[uuid.UUID], Any],
        render: Callable[[Any], tuple[int, bytes]],
        advance: Callable[[uuid.UUID], bool] | None = None,
        actor: Actor | None = None,
    ) -> Response:
        """Run an operation that calls a provider, once per Idempotency-Key.

        The claim is made by the operation itself, together with its first effect, and finished
        with its last. A key that was used before fails there, or the operation fails because it
        has already been done: in both cases the first answer counts. Of a request that died
        half-way, `advance` brings what it had begun to its end, as far as that goes now (it answers
        whether something is still under way: 202), and `resume` reads the object; the operation is
        never run a second time.
        """
        claim = self.claim(render, actor=actor)
        try:
            made = operation(claim)
        except IntegrityError as error:
            if claim is None or not is_duplicate_claim(error):
                raise
            previous = claim.previous()
            if previous is None:
                return self.lost_race(claim, error)
            return self._earlier(claim, previous, advance, resume, render)
        except Exception as error:
            if claim is None:
                raise
            return self._failed(claim, error, advance, resume, render)
        if claim is not None and claim.answer is not None:
            return self.replay(claim.answer)
        status, body = render(made)
        return Response(body, status=status)

    def _failed(
        self,
        claim: Claim,
        error: Exception,
        advance: Callable[[uuid.UUID], bool] | None,
        resume: Callable[[uuid.UUID], Any],
        render: Callable[[Any], tuple[int, bytes]],
    ) -> Response:
        """The answer of an operation that raised, or the error again where that is the answer."""
        if isinstance(error, AppError):
            if claim.answer is not None:
                return self.replay(claim.answer)
            if claim.record is None:
                previous = claim.previous()
                if previous is None:
                    raise error
                # The first request has done it, or died: what it began makes this one fail.
                return self._earlier(claim, previous, advance, resume, render)
        if isinstance(error, AppError | OperationalError | InterfaceError) and claim.begun:
            return self._broken_off(claim, error, resume, render)
        self._let_go(claim)
        raise error

    def _earlier(
        self,
        claim: Claim,
        previous: Answer | uuid.UUID,
        advance: Callable[[uuid.UUID], bool] | None,
        resume: Callable[[uuid.UUID], Any],
        render: Callable[[Any], tuple[int, bytes]],
    ) -> Response:
        """The answer of an earlier request, or what became of what it had begun when it died."""
        if isinstance(previous, Answer):
            return self.replay(previous)
        try:
            under_way = advance is not None and advance(previous)
            status, body = render(resume(previous))
        except BaseException:
            self._let_go(claim)
            raise
        return self.replay(claim.keep(_accepted(status) if under_way else status, body))

    def _let_go(self, claim: Claim) -> None:
        """Leave a claim to the next retry, if the database can be reached."""
        with contextlib.suppress(OperationalError, InterfaceError, Unavailable):
            claim.let_go()

    def _broken_off(
        self,
        claim: Claim,
        error: Exception,
        resume: Callable[[uuid.UUID], Any],
        render: Callable[[Any], tuple[int, bytes]],
    ) -> Response:
        """The answer when the database, or the request's time, was gone after the first commit.

        What the request began is on record and is brought to its end by a retry or the poller.
        When it can be read it is the answer, as far as it has come; else 503: the same key may be
        sent again.
        """
        with deadline.at_least(BROKEN_OFF_S):
            try:
                if connections.is_lost(error):
                    connections.regain(error, ends_at=time.monotonic())
                claim.let_go()
                if claim.record is not None and claim.record.resource_id is not None:
                    status, body = render(resume(claim.record.resource_id))
                    return Response(body, status=_accepted(status))
            except (OperationalError, InterfaceError, NotFound) as also:
                log.warning("api.broken_off", error_type=type(also).__name__)
        raise error

    def claim(
        self, render: Callable[[Any], tuple[int, bytes]], *, actor: Actor | None = None
    ) -> Claim | None:
        """The claim that this request's Idempotency-Key makes, or None without one."""
        request = self.request
        key = check_key(
            request.headers.get("Idempotency-Key"), required=self.idempotency == "required"
        )
        if key is None:
            return None
        return self.claim_type(
            actor=actor or self.actor,
            key=key,
            request=(request.method or "", request.get_full_path(), canonical_body(self.body)),
            render=render,
            sealed=self.seals_answers,
        )

    def lost_race(self, claim: Claim, error: IntegrityError) -> Response:
        """Answer for a request that found its key taken at the moment of writing."""
        if not is_duplicate_claim(error):
            raise error
        previous = claim.previous()
        if isinstance(previous, Answer):
            return self.replay(previous)
        raise in_flight()

    def replay(self, answer: Answer) -> Response:
        """Send a stored answer, marked when it is not the first time."""
        response = Response(answer.body, status=answer.status)
        if answer.replayed:
            response["Idempotent-Replayed"] = "true"
        return response


def _accepted(status: int) -> int:
    """The status of an answer about something that is not at its end; a failure is one."""
    return 202 if status < 300 else status


def _error_code(response: Response) -> str:
    if response.status_code < 400:
        return ""
    data = response.data
    if isinstance(data, bytes):
        # What an Idempotency-Key keeps is the finished body: a decline, and its replays.
        data = json.loads(data)
    return str((data.get("error") or {}).get("code", "")) if isinstance(data, dict) else ""
