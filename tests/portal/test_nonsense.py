"""Whatever stands in a query, a page answers it, and nothing leads to another host."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import PASSWORD, Tenants, make_tenants
from tests.portal.every_address import pages
from tests.portal.support import signed_in

NONSENSE: Final = (
    "abc",
    "",
    "-1",
    "9" * 40,
    "//evil.example",
    "\\\\evil.example",
    "/\\evil.example/x",
    "https://evil.example/",
    "javascript:alert(1)",
    "a\x00b",
    "a\r\nX-Evil: 1",
    "ß漢字\u202e🦄",
    "%ff%fe",
    "2026-13-45T99:99",
    "x" * 5_000,
)
#: Where the page is the same refusal for each, and where another visitor has had the others.
SOME: Final = ("abc", "//evil.example", "9" * 40, "x" * 5_000)
#: Names that pages read without drawing a field for them.
NAMES: Final = frozenset(
    {"next", "return", "return_url", "return_to", "back", "redirect", "q", "page", "cursor"}
    | {"limit", "order", "o", "p", "e", "all", "period", "id", "ids", "day", "from", "to"}
    | {"since", "until", "status", "mode", "tab", "format", "kind", "_popup", "_to_field"}
    | {"_changelist_filters", "action", "id__exact", "created_at__gte"}
)
PERSONAS: Final = ("", "merchant.owner", "reseller.owner", "platform.finance")


@pytest.fixture(scope="module")
def tenants(database: str) -> Tenants:
    return make_tenants(totp=True)


def browser(t: Tenants, persona: str) -> Client:
    return signed_in(t, persona) if persona else Client(raise_request_exception=False)


def fields_of(page: Any) -> frozenset[str]:
    """The parameters that a page itself names, in its forms and its links."""
    if page.status_code != 200 or page.streaming:
        return frozenset()
    text = page.content.decode(errors="replace")
    named = re.findall(r'<(?:input|select)[^>]*\bname="([^"]+)"', text)
    linked = re.findall(r"[?&](?:amp;)?([a-z_]+)=", text)
    return frozenset({*named, *linked} - {"csrfmiddlewaretoken"})


def faults_of(client: Client, asked: str, seen: set[str]) -> list[str]:
    """What is wrong with an answer, and with the page that it leads to (once for each)."""
    answer, name = client.get(asked), asked[:200]
    answer.close()  # a download is not read
    if answer.status_code >= 500:
        return [f"{name}: {answer.status_code}"]
    if "X-Evil" in answer.headers:
        return [f"{name}: a header was written"]
    location = answer.headers.get("Location")
    if location is None:
        return []
    parts = urlsplit(location)
    if parts.netloc not in ("", "testserver") or not parts.path.startswith("/"):
        return [f"{name} → {location}"]
    if parts.path in seen:
        return []
    seen.add(parts.path)
    after = client.get(location)
    after.close()
    return [f"{name} → {location}: {after.status_code}"] if after.status_code >= 500 else []


def queries_for(page: Any, persona: str) -> list[dict[str, str]]:
    """All names at once, and but for resellers each of the page's own alone: the first refusal
    hides what the others do.
    """
    names, shown = fields_of(page), page.status_code == 200
    values = NONSENSE if shown and persona.startswith("merchant") else SOME
    together = [dict.fromkeys(NAMES | names, value) for value in values]
    alone: frozenset[str] = frozenset()
    if shown and persona.startswith("merchant"):
        alone = names | {"next"}
    elif shown and persona.startswith("platform"):
        alone = names - NAMES  # what all lists of the admin share is one view
    return together + [{name: "abc"} for name in sorted(alone)]


@pytest.mark.parametrize("persona", PERSONAS)
def test_no_query_breaks_a_page_or_leads_away(persona: str, tenants: Tenants) -> None:
    client, seen = browser(tenants, persona), set[str]()
    faults: list[str] = []
    for path in pages():
        if path == "/logout" or (path.startswith("/admin/") and persona.startswith("merchant")):
            continue  # the one only asks, and the others are one refusal
        page = client.get(path)
        page.close()
        for query in queries_for(page, persona):
            asked = f"{path}?{urlencode(query)}"
            faults += faults_of(client, asked, seen)
    assert faults == []


@pytest.mark.parametrize("given", NONSENSE)
def test_a_login_ends_on_a_page_of_ours(given: str, tenants: Tenants) -> None:
    user, client = tenants.users["merchant.viewer"], Client(raise_request_exception=False)
    form = {"email": user.email, "password": PASSWORD, "next": given}
    answer = client.post("/login", form)
    if "\x00" in given:
        assert answer.status_code == 400
        return
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login/verify")
    assert client.session["login_next"] == ""


@pytest.mark.parametrize("given", [value for value in NONSENSE if "\x00" not in value])
def test_a_switch_ends_on_a_page_of_ours(given: str, tenants: Tenants) -> None:
    client = signed_in(tenants, "merchant.owner")
    for name, form in (("theme", {"theme": "dark"}), ("mode", {"mode": "test"})):
        path = reverse(f"portal:{name}")
        answer = client.post(path, {**form, "next": given})
        assert (answer.status_code, answer.headers["Location"]) == (302, "/"), path


@pytest.mark.parametrize("referer", ["abc", "https://evil.example/admin/", "//evil.example"])
def test_a_refusal_in_the_admin_leads_to_a_page_of_ours(referer: str, tenants: Tenants) -> None:
    # There is no such person: the service refuses, and the reader is sent back.
    answer = signed_in(tenants, "platform.support").post(
        reverse("admin:tenants_user_reset_second_factor", args=[uuid.uuid4()]),
        {"confirm": "yes", "reason": "Lost phone"},
        headers={"Referer": referer},
    )
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/admin/"
