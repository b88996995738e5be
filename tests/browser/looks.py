"""A page as people see it: themes, widths, and what WCAG 2.2 asks of them at level A and AA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Page

Theme = Literal["light", "dark"]

THEMES: Final[tuple[Theme, Theme]] = ("light", "dark")
#: Of a desk, a tablet and a phone.
WIDE, MIDDLE, NARROW = 1360, 768, 390
_HEIGHT = 900
_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
#: What a theme can break; no other rule looks at colours.
_COLOURS: Final = ["color-contrast", "link-in-text-block"]

# An element whose parts have each occurred in an earlier one, with the same tags and classes on the
# way to them, has the colours of those.
_TAKE_OUT_REPEATS: Final = """
(selector) => {
  const known = new Set();
  for (const node of document.querySelectorAll(selector)) {
    const kinds = [...node.querySelectorAll("*")].map((part) => {
      const way = [];
      for (let at = part; at; at = at.parentElement) {
        way.push(at.tagName + "." + at.getAttribute("class"));
      }
      return way.join(" ");
    });
    if (kinds.every((kind) => known.has(kind))) node.remove();
    kinds.forEach((kind) => known.add(kind));
  }
}
"""
_ASK: Final = """
async (options) => {
  const found = await axe.run(document, options);
  return { violations: found.violations, examined: found.passes.length };
}
"""
_IS_DARK: Final = "matchMedia('(prefers-color-scheme: dark)').matches"
# Listeners of media queries run before the next frame; colours change by transitions, which are
# ended here.
_DRAWN: Final = """
async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame();
  await frame();
  for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish();
}
"""


def assert_accessible(page: Page) -> None:
    """No violation on the page as it is shown now."""
    _assert_structure(page)
    _assert_colours(page)


def assert_sound(page: Page) -> None:
    """No violation in either theme and no sideways scroll, in a window of this width."""
    scheme = _theme(page)
    assert_no_horizontal_scroll(page)
    _assert_structure(page)
    for theme in THEMES:
        _prefer(page, theme)
        _assert_colours(page)
    _prefer(page, scheme)


def assert_sound_in_every_look(page: Page, *, alike: Sequence[str] = ()) -> None:
    """No violation and no sideways scroll, in both themes on a desk and a phone.

    At a tablet's width, no sideways scroll. The page is one load that is resized, and shown as it
    was before afterwards.

    Args:
        alike: selectors, inner ones first, of the many parts of a long page that come from one
            template. Those that bring no element of a new kind are taken out before the colours are
            looked at, for computing the contrast of each text takes most of the time.
    """
    before, scheme = page.viewport_size, _theme(page)
    for width in (WIDE, MIDDLE, NARROW):
        _resize(page, width)
        assert_no_horizontal_scroll(page)
        if width != MIDDLE:
            _assert_structure(page)
    for selector in alike:
        page.evaluate(_TAKE_OUT_REPEATS, selector)
    for width in (NARROW, WIDE):
        _resize(page, width)
        for theme in THEMES:
            _prefer(page, theme)
            _assert_colours(page)
    _resize(page, before["width"] if before else WIDE)
    _prefer(page, scheme)


def _resize(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": _HEIGHT})
    page.evaluate(_DRAWN)


def _theme(page: Page) -> Theme:
    return "dark" if page.evaluate(_IS_DARK) else "light"


def _prefer(page: Page, theme: Theme) -> None:
    page.emulate_media(color_scheme=theme)
    page.evaluate(_DRAWN)


def assert_no_horizontal_scroll(page: Page) -> None:
    """The page is no wider than the window."""
    widths = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert widths[0] <= widths[1], f"the page is {widths[0]} px wide in a window of {widths[1]} px"


def _assert_structure(page: Page) -> None:
    without = {rule: {"enabled": False} for rule in _COLOURS}
    _ask(page, {"runOnly": {"type": "tag", "values": _TAGS}, "rules": without})


def _assert_colours(page: Page) -> None:
    _ask(page, {"runOnly": {"type": "rule", "values": _COLOURS}})


def _ask(page: Page, options: dict[str, Any]) -> None:
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE_SCRIPT)
    # Nothing here is played, and frames do not have the script.
    options |= {"resultTypes": ["violations"], "preload": False, "iframes": False}
    found = page.evaluate(_ASK, options)
    look = f"{page.url} at {page.viewport_size}, {_theme(page)}\n"
    assert not found["violations"], look + AxeResults(found).generate_report()
    assert found["examined"] > 0, look + "axe found nothing that it could look at"
