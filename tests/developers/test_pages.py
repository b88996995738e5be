"""The public pages, the API's root and its document."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from django.test import Client

from core.events import public_events
from developers.errors import known_codes
from developers.guide import VERIFY_NODE, VERIFY_PYTHON
from notifications.signing import new_secret, sign_headers
from tests.api import new_api

PAGES = ("/docs", "/docs/api", "/docs/events")


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_nobody_and_loads_nothing_from_elsewhere(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    html = answer.content.decode()
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', html)
    assert [url for url in loaded if not url.startswith("/")] == []
    assert "<script>" not in html
    assert " style=" not in html
    assert "onclick" not in html
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", PAGES)
def test_every_link_of_a_page_leads_somewhere(client: Client, path: str) -> None:
    ids = {page: _ids(client.get(page).content.decode()) for page in PAGES}
    html = client.get(path).content.decode()
    assert len(ids[path]) == len(set(ids[path])), "an id stands twice"
    for link in set(re.findall(r'<a [^>]*href="([^"]+)"', html)):
        page, _, anchor = link.partition("#")
        if anchor:
            assert anchor in ids[page or path], link
        elif page != "/":
            assert client.get(page).status_code == 200, link


def _ids(html: str) -> list[str]:
    return re.findall(r'\bid="([^"]+)"', html)


def test_doc_url_leads_to_the_line_that_explains_the_code(database: str) -> None:
    error = new_api().get("/v1/payments?limit=0").json()["error"]
    page, _, anchor = error["doc_url"].partition("#")
    assert anchor == "error-parameter_invalid"
    path = re.sub(r"^https?://[^/]+", "", page)
    anchors = set(_ids(Client().get(path).content.decode()))
    assert anchor in anchors
    assert {f"error-{code}" for code in known_codes()} <= anchors


def test_every_operation_and_event_has_its_place(client: Client) -> None:
    reference = _ids(client.get("/docs/api").content.decode())
    document = client.get("/v1/openapi.json").json()
    operations = {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    assert operations <= set(reference)
    assert set(public_events()) <= set(_ids(client.get("/docs/events").content.decode()))


def test_the_document_is_public_and_cacheable(client: Client) -> None:
    answer = client.get("/v1/openapi.json")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"].startswith("public")
    assert answer.json()["openapi"] == "3.1.0"
    again = client.get("/v1/openapi.json", headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/v1/openapi.json", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200
    assert client.post("/v1/openapi.json").status_code == 405


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
def test_the_root_lists_the_resources(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert data["object"] == "api"
    assert data["resources"]["payments"] == "/v1/payments"
    assert data["openapi"].endswith("/v1/openapi.json")


# ---- the snippets of the guide work ---------------------------------------------------------

BODY = b'{"type": "payment.completed"}'


def _signed(secret: str, *, age_s: int = 0) -> dict[str, str]:
    return sign_headers(
        secrets_live=[new_secret(), secret],
        message_id="evt_1",
        timestamp_s=int(time.time()) - age_s,
        body=BODY,
    )


def test_the_python_snippet_verifies() -> None:
    scope: dict[str, object] = {}
    exec(VERIFY_PYTHON, scope)
    verify = scope["verify"]
    assert callable(verify)
    secret = new_secret()
    verify(secret, _signed(secret), BODY)
    for headers, body in (
        (_signed(secret), BODY + b" "),
        (_signed(new_secret()), BODY),
        (_signed(secret, age_s=301), BODY),
    ):
        with pytest.raises(ValueError, match=r"wrong signature|too old"):
            verify(secret, headers, body)


def test_the_node_snippet_verifies(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; the Python snippet is the same algorithm")
    (tmp_path / "verify.mjs").write_text(VERIFY_NODE)
    secret = new_secret()
    cases = [
        (_signed(secret), BODY.decode()),
        (_signed(secret), BODY.decode() + " "),
        (_signed(new_secret()), BODY.decode()),
        (_signed(secret, age_s=301), BODY.decode()),
    ]
    (tmp_path / "run.mjs").write_text(
        'import { verify } from "./verify.mjs";\n'
        f"for (const [headers, body] of {json.dumps(cases)}) {{\n"
        f"  try {{ verify({json.dumps(secret)}, headers, Buffer.from(body));"
        ' console.log("good"); } catch (error) { console.log(error.message); }\n}\n'
    )
    done = subprocess.run(
        [node, "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:4] == ["good", "wrong signature", "wrong signature", "too old"]
