"""A card number brought to every door of every face is stored, logged and cached nowhere.

The number is the run's own, drawn at random, so that whatever is found of it came in here. The
doors are walked, not listed: operations and fields of the OpenAPI document, forms of the pages that
links lead to in the portal and in the admin.
"""

from __future__ import annotations

import functools
import io
import json
import logging
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import UUID

import psycopg
import pytest
import redis
import structlog
from django.conf import settings as configured
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import Resolver404, resolve, reverse
from psycopg import sql
from pytest_django.fixtures import Settings

from core import inbox
from core.api import request_log
from core.db import Scope, tenant_atomic
from core.logging import configure_logging
from core.pan import luhn_valid
from ledger.chart import TransferCode
from ledger.models import CorrectionProposal, Transfer
from payments.providers.adapters.sandbox.cards import TEST_CARDS
from tenants.services.mail import invitation_link
from tenants.services.team import invitation_create
from tests.api import Api
from tests.api_fuzz.world import World
from tests.core.support import drain
from tests.factories import Tenants, make_tenants
from tests.forms import Forms
from tests.notifications.receiver import running_receiver
from tests.notifications.support import attempts, deliveries, endpoint, happen, send
from tests.portal.support import signed_in, take_payment

#: The platform's own sandbox account, which the migrations make.
SANDBOX = UUID("01980000-0000-7000-8000-000000005a4d")
ROOT = Path(__file__).resolve().parent.parent


def _drawn() -> str:
    """A number that reads like a card's, which no other test writes."""
    body = "4" + "".join(secrets.choice("0123456789") for _ in range(14))
    return next(body + digit for digit in "0123456789" if luhn_valid(body + digit))


PLAIN = _drawn()
SPACED = " ".join(PLAIN[i : i + 4] for i in range(0, 16, 4))
DASHED = SPACED.replace(" ", "-")
SPELLINGS = (PLAIN, SPACED, DASHED)


# Every table is searched after each test, and so holds the rows of this module alone.
@pytest.fixture(scope="module", autouse=True)
def searched_database(another_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    with another_database() as name:
        yield name


@pytest.fixture(autouse=True)
def logged() -> Iterator[io.StringIO]:
    """Everything that the test logs; the number must not be in it."""
    stream = io.StringIO()
    configure_logging(stream=stream)
    yield stream
    configure_logging()
    assert not holds(stream.getvalue())


@pytest.fixture(autouse=True)
def nowhere(logged: io.StringIO, admin_dsn: str) -> Iterator[None]:
    """Search every table and every key of the cache once the test has knocked."""
    yield
    request_log.flush()
    drain()
    assert found_in_tables(admin_dsn, PLAIN) == []
    assert found_in_valkey(PLAIN) == []


def holds(text: str, number: str = PLAIN) -> bool:
    return number in re.sub(r"[^0-9]", "", text)


def found_in_tables(admin_dsn: str, number: str) -> list[str]:
    """Table and column of every place of the database that holds the number, however spelled."""
    found = []
    with psycopg.connect(admin_dsn) as admin:
        columns = admin.execute(
            "SELECT n.nspname, c.relname, a.attname, t.typname FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm')"
            " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_|^information_'"
            " JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem"
            " WHERE a.attnum > 0 AND NOT a.attisdropped AND (t.typcategory = 'S'"
            " OR t.typname IN ('json', 'jsonb', 'bytea', 'numeric', 'int8')"
            " OR e.typcategory = 'S' OR e.typname IN ('json', 'jsonb', 'bytea'))"
        ).fetchall()
        for schema, table, column, kind in columns:
            text = "encode({}, 'escape')" if kind == "bytea" else "{}::text"
            hit = admin.execute(
                sql.SQL(
                    "SELECT 1 FROM {} WHERE regexp_replace(" + text + ", '[^0-9]', '', 'g') LIKE %s"
                    " LIMIT 1"
                ).format(sql.Identifier(schema, table), sql.Identifier(column)),
                [f"%{number}%"],
            ).fetchone()
            if hit:
                found.append(f"{table}.{column}")
    assert len(columns) > 150
    sessions = [json.dumps(row.get_decoded(), default=str) for row in Session.objects.all()]
    return found + [f"a session: {text}" for text in sessions if holds(text, number)]


def found_in_valkey(number: str) -> list[str]:
    found: list[str] = []
    for url in (configured.REDIS_URL, configured.CACHE_URL):
        with redis.Redis.from_url(url) as client:
            entries = [(key, _read(client, key)) for key in client.scan_iter()]
        found += [repr(key) for key, value in entries if holds(repr((key, value)), number)]
    return found


def _read(client: redis.Redis, key: Any) -> Any:
    """What a key holds; streams are not used, and would be an error here."""
    reads: dict[Any, Callable[[], Any]] = {
        b"string": lambda: client.get(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"hash": lambda: client.hgetall(key),
        b"zset": lambda: client.zrange(key, 0, -1),
        b"none": lambda: None,
    }
    return reads[client.type(key)]()


# ---- the API --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(searched_database: str) -> World:
    return World()


@functools.cache
def _document() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text())
    return read


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in _document()["paths"].items():
        for method, operation in methods.items():
            if method in ("get", "post", "patch", "put", "delete"):
                yield method.upper(), path, operation


def bodies(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The number in each text field of a body in turn, and in an unknown one; nothing else."""
    properties = _resolved(schema).get("properties", {})
    for name, given in properties.items():
        for value in _values(_resolved(given)):
            yield {**_example(properties), name: value}
    yield {**_example(properties), PLAIN: PLAIN}
    yield dict.fromkeys(properties, PLAIN)


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    for part in schema.get("allOf", []) + schema.get("oneOf", []) + schema.get("anyOf", []):
        schema = {**schema, **_resolved(part)}
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _resolved(_document()["components"]["schemas"][name])
    return schema


def _values(schema: dict[str, Any]) -> Iterator[Any]:
    yield from SPELLINGS
    yield f"{PLAIN}@shop.example"
    yield f"https://shop.example/{PLAIN}"
    yield int(PLAIN)
    yield [DASHED]
    yield {"note": f"it is {SPACED}, 12/34"}
    yield {PLAIN: "x"}
    for name in schema.get("properties", {}):
        yield {name: SPACED}


def _example(properties: dict[str, Any]) -> dict[str, Any]:
    known = {"amount": 4890, "currency": "EUR", "country": "US", "default_currency": "USD",
             "name": "N", "role": "viewer", "events": ["*"], "email": "a@shop.example",
             "url": "https://93.184.216.34/"}  # fmt: skip
    return {name: known[name] for name in properties if name in known}


def test_every_field_of_every_operation(world: World) -> None:
    sent = 0
    for method, path, operation in operations():
        address = re.sub(r"\{(\w+)\}", lambda name: world.ids.get(name[1], "x"), path)
        headers = world.credential(operation.get("tags", [""])[0])
        given = operation.get("requestBody", {}).get("content", {}).get("application/json")
        for body in bodies(given["schema"]) if given else ():
            answer = _call(world.api, method, address, body, headers)
            sent += 1
            if not isinstance(body.get("card"), dict) or answer.status_code >= 400:
                _refused_without_an_echo(answer, body)
    assert sent > 500


def test_every_id_query_and_header_of_every_operation(world: World) -> None:
    for method, path, operation in operations():
        headers = world.credential(operation.get("tags", [""])[0])
        address = re.sub(r"\{(\w+)\}", PLAIN, path)
        names = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
        for query in [f"{name}={PLAIN}" for name in names] + [f"{PLAIN}={DASHED}"]:
            _without_an_echo(_call(world.api, method, f"{address}?{query}", {}, headers))
        marks = {
            "X-Request-Id": PLAIN,
            "User-Agent": f"shop {SPACED}",
            "Accept-Language": PLAIN,
            "Referer": f"https://shop.example/{PLAIN}",
            "Origin": f"https://{PLAIN}.example",
            "Idempotency-Key": DASHED,
        }
        for name, value in marks.items():
            _without_an_echo(_call(world.api, method, address, {}, {**headers, name: value}))


def _call(api: Api, method: str, address: str, body: Any, headers: dict[str, str]) -> Any:
    if "Idempotency-Key" not in headers:
        headers = {**headers, "Idempotency-Key": secrets.token_hex(16)}
    return api.client.generic(
        method, address, json.dumps(body), content_type="application/json", headers=headers
    )


def _without_an_echo(answer: Any) -> None:
    assert answer.status_code < 500, answer.content
    assert not holds(answer.content.decode(errors="replace")), answer.content
    assert not holds(repr(dict(answer.headers)))


def _refused_without_an_echo(answer: Any, body: Any) -> None:
    _without_an_echo(answer)
    assert answer.status_code >= 400 or not holds(answer.content.decode()), body


# ---- forms ----------------------------------------------------------------------------------


def knock(client: Client, start: str, *, limit: int, searched: set[Any]) -> int:
    """Send the number with every form of every kind of page that links lead to; how many kinds.

    A search is the same for each person: it is left out where `searched`, which grows, has it.
    """
    todo, seen, posted = [start], set[str](), set[Any]()
    while todo and len(seen) < limit:
        address = todo.pop(0)
        route = _route(address)
        if route is None or route in seen or route.startswith(("static", "logout", "docs")):
            continue
        seen.add(route)
        answer = client.get(address)
        assert answer.status_code < 500, (address, answer.status_code)
        _read_to_its_end(answer)
        if "html" not in answer.headers.get("Content-Type", "") or answer.streaming:
            continue
        page = Forms()
        page.feed(answer.content.decode())
        todo += page.links
        for form in page.forms:
            target = urljoin(address, form["action"]) if form["action"] else address
            kind = (_route(target), tuple(sorted(name for name, _ in form["texts"])))
            if not form["texts"] or kind in posted:
                continue
            posted.add(kind)
            if form["method"] != "post":
                if kind in searched:
                    continue
                searched.add(kind)
            _fill(client, target, form)
    return len(posted)


def _route(address: str) -> str | None:
    try:
        return str(resolve(urlsplit(address).path).route)
    except Resolver404:
        return None


def _fill(client: Client, target: str, form: dict[str, Any]) -> None:
    """Send a form with the number in each text field in turn, the others as they should be."""
    for name, kind in form["texts"]:
        for text in _texts(kind):
            data = {**form["fixed"], **form["drawn"], name: text}
            if form["method"] == "post":
                answer = client.post(target, data)
            else:
                answer = client.get(target.partition("?")[0], data)
            _read_to_its_end(answer)
            assert answer.status_code < 500, (target, name, text)
            if answer.status_code in (301, 302):
                assert not holds(answer.headers["Location"])


def _read_to_its_end(answer: Any) -> None:
    """A file is closed when it was read, and by nothing else here."""
    if answer.streaming:
        answer.getvalue()


def _texts(kind: str) -> tuple[str, ...]:
    if kind == "email":
        return (f"{PLAIN}@shop.example", f"{DASHED}@shop.example")
    if kind == "url":
        return (f"https://shop.example/{PLAIN}", f"https://shop.example/{DASHED}")
    # What a bank prints has a letter in it, and room for 22.
    return PLAIN, f"to {PLAIN}", DASHED


@pytest.fixture(scope="module")
def tenants(searched_database: str) -> Tenants:
    made = make_tenants(totp=True)
    take_payment(made)
    api = Api(made)
    assert api.post("/v1/customers", {"email": "ada@shop.example"}).status_code == 201
    wish = {"url": "https://93.184.216.34/", "events": ["*"]}
    assert api.post("/v1/webhook_endpoints", wish).status_code == 201
    return made


@pytest.mark.parametrize(("person", "least"), [("merchant.owner", 12), ("reseller.owner", 5)])
def test_every_form_of_the_portal(tenants: Tenants, person: str, least: int) -> None:
    assert knock(signed_in(tenants, person), "/", limit=60, searched=set()) >= least


def test_every_form_of_the_admin(tenants: Tenants) -> None:
    searched = set[Any]()
    for role in ("compliance", "finance", "support"):
        client = signed_in(tenants, f"platform.{role}")
        assert knock(client, "/admin/", limit=120, searched=searched) >= 8, role


def test_the_forms_of_strangers(tenants: Tenants) -> None:
    invited = invitation_create(
        actor=tenants.actor("owner"), email=f"{secrets.token_hex(6)}@shop.example", role="viewer"
    )
    joining = urlsplit(invitation_link(invited.id)).path
    for address in ("/login", "/password/reset", joining):
        page = Forms()
        client = Client()
        page.feed(client.get(address).content.decode())
        [form] = [form for form in page.forms if form["texts"]]
        _fill(client, address, form)


def test_a_joiners_name_is_refused_on_the_form(tenants: Tenants) -> None:
    invited = invitation_create(
        actor=tenants.actor("owner"), email=f"{secrets.token_hex(6)}@shop.example", role="viewer"
    )
    answer = Client().post(
        urlsplit(invitation_link(invited.id)).path,
        {"name": f"Bob {SPACED}", "password": "a long passphrase 42"},
    )
    assert answer.status_code == 422
    assert "Card numbers are never accepted here" in answer.content.decode()


def test_a_corrections_reason_is_refused_on_the_form(tenants: Tenants) -> None:
    with tenant_atomic(Scope.staff()):
        fees = Transfer.objects.filter(
            merchant_id=tenants.merchant.id, code=TransferCode.PLATFORM_FEE
        )
        transfer = fees.order_by("timestamp")[0]
    client = signed_in(tenants, "platform.finance")
    address = reverse("admin:ledger_transfer_propose_reversal", args=[transfer.id])
    answer = client.post(address, {"reason": f"paid with {DASHED}"})
    assert answer.status_code == 422
    assert "Card numbers are never accepted here" in answer.content.decode()
    with tenant_atomic(Scope.staff()):
        assert not CorrectionProposal.objects.filter(corrects_id=transfer.id).exists()


def test_a_descriptor_from_the_portal_is_refused_on_the_form(tenants: Tenants) -> None:
    client = signed_in(tenants, "reseller.owner")
    answer = client.post(
        f"/merchants/{tenants.merchant.public_id}/edit",
        {"name": tenants.merchant.name, "statement_descriptor": f"to {PLAIN}"},
    )
    assert answer.status_code in (400, 422)
    assert "Card numbers are never accepted here" in answer.content.decode()


# ---- what others send -----------------------------------------------------------------------


@pytest.mark.usefixtures("own_database")
def test_what_a_provider_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.providers.test_webhook_door import body
    from tests.providers.test_webhook_door import send as provider_sends

    stored: list[UUID] = []
    monkeypatch.setattr(inbox, "_enqueue", stored.append)
    taken = (
        {"note": f"paid with {SPACED}"},
        {"id": f"sbevt_{PLAIN}"},
        {"id": f"sbevt_{DASHED}"},
        {"data": {**body()["data"], "reference": SPACED, "note": [PLAIN, int(PLAIN)]}},
        {PLAIN: DASHED},
    )
    for changes in taken:
        answer = provider_sends(SANDBOX, body(**changes))
        assert answer.status_code == 200, answer.content
        _without_an_echo(answer)
    assert len(set(stored)) == len(taken)
    for message_id in stored:
        inbox.process(message_id)
    card = {**body()["data"], "card": {"number": PLAIN}}
    for refused in (body(data=card), body(type=f"payment.{PLAIN}")):
        _without_an_echo(provider_sends(SANDBOX, refused))
    for raw in (f'{{"id": "{PLAIN}"'.encode(), PLAIN.encode()):
        _without_an_echo(provider_sends(SANDBOX, None, raw=raw))


def test_what_a_receiver_answers(settings: Settings) -> None:
    settings.ALLOW_LOOPBACK_WEBHOOKS = True
    with running_receiver() as receiver:
        receiver.body = f"cannot read card {SPACED}, {PLAIN}".encode()
        receiver.answer_next(500, Retry_After=PLAIN)
        mine = make_tenants(users=False)
        target, _ = endpoint(mine, receiver.url)
        happen(mine)
        send()
    [row] = deliveries(target)
    [attempt] = attempts(row)
    assert attempt.response_excerpt == "cannot read card [card number], [card number]"


@pytest.mark.usefixtures("own_database")
def test_the_first_command(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"{secrets.token_hex(6)}@shop.example"
    for name, email in (
        (f"Acme {PLAIN}", address),
        ("Acme", f"{PLAIN}@shop.example"),
        ("Acme", f"{DASHED}@shop.example"),
    ):
        with pytest.raises(CommandError, match="Card numbers are never accepted"):
            call_command("create_platform", "--name", name, "--email", email)
    said = capsys.readouterr()
    assert not holds(said.out + said.err)


def test_what_is_logged(logged: io.StringIO) -> None:
    log = structlog.get_logger("door")
    said = "paid with " + SPACED
    log.info(said, reason=DASHED, error=PLAIN, count=int(PLAIN), body=PLAIN)
    logging.getLogger("library").error("card %s refused", PLAIN, extra={"reason": PLAIN})
    try:
        raise ValueError(f"bad card {SPACED}")
    except ValueError:
        log.exception("door.failed")
    written = logged.getvalue()
    assert written.count("[card number]") == 6
    assert "card [card number] refused" in written


@pytest.mark.usefixtures("own_database")
def test_the_vault_alone_receives_numbers_and_keeps_none(admin_dsn: str) -> None:
    number = max(TEST_CARDS)
    token = Api(make_tenants()).token(number)
    assert token.startswith("tok_")
    assert found_in_tables(admin_dsn, number) == []
    assert found_in_valkey(number) == []
