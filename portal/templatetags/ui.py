"""The portal's components as template tags: `{% load ui %}`.

Attributes of the HTML element are given as keyword arguments with underscores for hyphens
(`aria_label`, `data_dialog_open`); True writes a bare attribute, None and False write none.
Larger pieces are templates under templates/components/, so that markup is edited as markup.
Values (money, times, ids of cards) are in ui_values.py, the fields of forms in ui_fields.py; all of
them are loaded with this library.
"""

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from core.money import format_money
from portal.charts import Bucket, money_line
from portal.icons import icon_svg
from portal.markup import attributes, rendered
from portal.templatetags import ui_fields, ui_values
from portal.words import state_word

register = template.Library()
for part in (ui_values.register, ui_fields.register):
    register.tags.update(part.tags)
    register.filters.update(part.filters)


# ---- small things, written here because a page has hundreds of them ---------------------------


@register.simple_tag
def icon(name: str, css: str = "", label: str = "") -> SafeString:
    """One lucide icon, inline."""
    return icon_svg(name, css, label)


@register.simple_tag
def button(
    label: str,
    *,
    variant: str = "",
    icon: str = "",
    icon_end: str = "",
    href: str = "",
    size: str = "",
    block: bool = False,
    icon_only: bool = False,
    css: str = "",
    **attrs: Any,
) -> SafeString:
    """A button, or a link that looks like one when `href` is given.

    variant: primary, danger, danger-solid, ghost or empty; size: sm, lg or empty. With `icon_only`
    the label is read out but not shown.
    """
    classes = ["btn"]
    classes += [f"btn-{name}" for name in (variant, size) if name]
    classes += ["btn-block"] if block else []
    classes += ["btn-icon"] if icon_only else []
    classes += [css] if css else []
    text = format_html('<span class="{}">{}</span>', "sr-only" if icon_only else "btn-text", label)
    inner = format_html(
        "{}{}{}",
        icon_svg(icon) if icon else "",
        text,
        icon_svg(icon_end) if icon_end else "",
    )
    if icon_only:
        attrs.setdefault("title", label)
    if href:
        return format_html(
            '<a class="{}" href="{}"{}>{}</a>', " ".join(classes), href, attributes(attrs), inner
        )
    attrs.setdefault("type", "button")
    return format_html(
        '<button class="{}"{}>{}</button>', " ".join(classes), attributes(attrs), inner
    )


@register.simple_tag
def pill(state: str, label: str = "", tone: str | None = None, icon: str = "") -> SafeString:
    """A state as a word with its icon; the options override what portal/words.py says."""
    known = state_word(str(state))
    shown_tone = known.tone if tone is None else tone
    return format_html(
        '<span class="pill{}">{}{}</span>',
        f" pill-{shown_tone}" if shown_tone else "",
        icon_svg(icon or known.icon),
        label or known.word,
    )


@register.simple_tag
def tag(label: str, tone: str = "") -> SafeString:
    """A quiet label without an icon: a count, a role, an event name."""
    return format_html(
        '<span class="pill pill-plain{}">{}</span>', f" pill-{tone}" if tone else "", label
    )


@register.simple_tag
def http_status(status: int) -> SafeString:
    """An HTTP status with its tone by class; 0 is no answer at all."""
    return format_html('<span class="status-code s{}">{}</span>', status // 100, status or "none")


@register.simple_tag
def copy_button(text: str, what: str = "") -> SafeString:
    """A small button that copies `text`; `what` names it for those who cannot see it."""
    return format_html(
        '<button type="button" class="copy-btn" data-copy="{}" aria-label="{}" title="{}">'
        "{}{}</button>",
        text,
        f"Copy {what or text}",
        f"Copy {what}".strip(),
        icon_svg("copy", "idle"),
        icon_svg("check", "done"),
    )


@register.simple_tag
def copy_id(value: str, what: str = "ID") -> SafeString:
    """An id in mono type with a copy button."""
    if not value:
        return mark_safe('<span class="muted">—</span>')
    return format_html(
        '<span class="copy-id over"><code title="{}">{}</code>{}</span>',
        value,
        value,
        copy_button(value, what),
    )


@register.simple_tag
def avatar(name: str, css: str = "") -> SafeString:
    """The initials of a person or a company; decoration, for the name is always shown beside it."""
    words = [word for word in name.replace("@", " ").replace(".", " ").split() if word]
    initials = "".join(word[0] for word in words[:2]).upper() or "?"
    return format_html('<span class="avatar {}" aria-hidden="true">{}</span>', css, initials)


@register.simple_tag
def secret(value: str, what: str = "secret") -> SafeString:
    """A secret that is blurred until it is revealed; copying works either way."""
    return format_html(
        '<div class="secret" data-secret data-hidden><code>{}</code>'
        '<button type="button" class="copy-btn" data-reveal aria-pressed="false" '
        'aria-label="{}" title="Reveal">'
        "{}</button>{}</div>",
        value,
        f"Reveal {what}",
        icon_svg("eye"),
        copy_button(value, what),
    )


# ---- pieces with content --------------------------------------------------------------------


@register.simple_block_tag(end_name="endcard")
def card(
    content: str,
    *,
    title: str = "",
    sub: str = "",
    tools: str = "",
    foot: str = "",
    flush: bool = False,
    level: int = 2,
    **attrs: Any,
) -> SafeString:
    """A card; `flush` lets a table reach its edges. `tools` and `foot` take ready HTML."""
    return rendered(
        "card",
        {
            "content": content,
            "title": title,
            "sub": sub,
            "tools": tools,
            "foot": foot,
            "flush": flush,
            "tag": f"h{level}",
            "attrs": attributes(attrs),
        },
    )


@register.simple_block_tag(end_name="enddialog")
def dialog(
    content: str,
    *,
    id: str,  # noqa: A002 - the attribute's name in HTML
    title: str,
    wide: bool = False,
    **attrs: Any,
) -> SafeString:
    """A native dialog, opened by any element with `data-dialog-open="<id>"`."""
    return rendered(
        "dialog",
        {"content": content, "id": id, "title": title, "wide": wide, "attrs": attributes(attrs)},
    )


@register.simple_block_tag(end_name="endbanner")
def banner(content: str, *, tone: str = "info", title: str = "", **attrs: Any) -> SafeString:
    """A notice inside the page. tone: info, ok, warn or bad."""
    icons = {"info": "info", "ok": "circle-check", "warn": "triangle-alert", "bad": "circle-alert"}
    return rendered(
        "banner",
        {
            "content": content,
            "tone": tone,
            "title": title,
            "icon": icon_svg(icons[tone]),
            "role": "alert" if tone == "bad" else "note",
            "attrs": attributes(attrs),
        },
    )


EMPTY_KINDS = {
    "empty": ("inbox", ""),
    "filtered": ("funnel", "muted"),
    "denied": ("lock", "muted"),
    "error": ("triangle-alert", "bad"),
}


@register.simple_block_tag(end_name="endempty")
def empty(
    content: str, *, title: str, text: str = "", kind: str = "empty", icon: str = "", level: int = 2
) -> SafeString:
    """The placeholder of a list: kind empty, filtered, denied or error; actions inside."""
    default_icon, tone = EMPTY_KINDS[kind]
    return rendered(
        "empty",
        {
            "content": mark_safe(content.strip()),  # noqa: S308 - rendered and escaped
            "title": title,
            "text": text,
            "tone": tone,
            "icon": icon_svg(icon or default_icon, "icon-24"),
            "role": "alert" if kind == "error" else "",
            "tag": f"h{level}",
        },
    )


@register.simple_tag
def kpi(
    label: str,
    value: Any,
    *,
    unit: str = "",
    note: str = "",
    delta: str = "",
    direction: str = "",
    good: bool = True,
    icon: str = "",
    href: str = "",
) -> SafeString:
    """One figure; `unit` its currency, `delta` a ready text ("12.4 %"), `direction` up or down."""
    return rendered(
        "kpi",
        {
            "label": label,
            "value": value,
            "unit": "" if unit and unit in str(value) else unit,
            "note": note,
            "delta": delta,
            "direction": direction,
            "arrow": icon_svg("arrow-up-right" if direction == "up" else "arrow-down-right"),
            "good": good,
            "icon": icon_svg(icon) if icon else "",
            "href": href,
        },
    )


@register.simple_tag
def code_block(text: Any, *, title: str = "JSON") -> SafeString:
    """Text in a box with a copy button; anything that is not text is shown as indented JSON."""
    if not isinstance(text, str):
        text = json.dumps(text, indent=2, ensure_ascii=False, default=str)
    return rendered("code", {"text": text, "title": title})


@register.simple_tag
def chart(view: Any, **attrs: Any) -> SafeString:
    """A chart made by portal/charts.py, with its figures as a table under it."""
    return rendered("chart", {"chart": view, "attrs": attributes(attrs)})


@register.simple_tag
def money_chart(
    days: Iterable[tuple[date, int]], currency: str, *, title: str, series: str
) -> SafeString:
    """A line through what was there at the end of each day, in minor units; may go below zero."""
    buckets = [
        Bucket(f"{day.day} {day:%b}", value, format_money(value, currency).replace("-", "−"))
        for day, value in days
    ]
    return chart(money_line(buckets, currency, title=title, series_name=series))
