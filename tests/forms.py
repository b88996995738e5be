"""The forms of a page, read as a browser would."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class Forms(HTMLParser):
    """The forms of a page that are posted, with what they would send, and the page's links."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[dict[str, Any]] = []
        self._form: dict[str, Any] | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and given.get("href", "").startswith("/"):
            self.links.append(given["href"])
        elif tag == "form":
            self._form = {"action": given.get("action", ""), "fixed": {}, "drawn": {}, "texts": [],
                          "method": given.get("method", "get").lower()}  # fmt: skip
            self.forms.append(self._form)
        elif self._form is None or not given.get("name"):
            if tag == "option" and self._form is not None and self._select:
                chosen = "selected" in given or self._select not in self._form["fixed"]
                if chosen and given.get("value"):
                    self._form["fixed"][self._select] = given["value"]
        elif tag == "select":
            self._select = given["name"]
        elif tag == "textarea" or given.get("type", "text") in _TEXTS:
            kind = given.get("type", "text")
            self._form["texts"].append((given["name"], kind))
            self._form["drawn"][given["name"]] = given.get("value") or _SAMPLE.get(kind, "x")
        elif given.get("type") in ("hidden", "checkbox", "radio", "submit"):
            checked = "checked" in given or given["type"] in ("hidden", "submit")
            if checked or given["name"] not in self._form["fixed"]:
                self._form["fixed"][given["name"]] = given.get("value", "on")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""


_TEXTS = ("text", "search", "email", "url", "password", "tel", "number", "date", "time")


_SAMPLE = {"email": "new@shop.example", "url": "https://shop.example/", "number": "1",
           "date": "2026-01-01", "time": "00:00", "password": "a long passphrase 42"}  # fmt: skip
