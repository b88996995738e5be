"""The portal's components as template tags: `{% load ui %}`.

Attributes of the HTML element are given as keyword arguments with underscores for hyphens
(`aria_label`, `data_dialog_open`); True writes a bare attribute, None and False write none.
Larger pieces are templates under templates/components/, so that markup is edited as markup.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from django import template
from django.forms import BoundField
from django.forms.utils import flatatt
from django.template.loader import get_template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from core.money import currency as known_currency
from core.money import format_money
from portal.charts import Bucket, line_chart
from portal.icons import icon_svg
from portal.words import state_word

register = template.Library()


def _attrs(values: Mapping[str, Any]) -> SafeString:
    """Keyword arguments as HTML attributes, escaped; `_` at the end lets a Python word through."""
    named = {key.rstrip("_").replace("_", "-"): value for key, value in values.items()}
    return SafeString(flatatt(named))


def _render(name: str, context: dict[str, Any]) -> SafeString:
    return SafeString(get_template(f"components/{name}.html").render(context))


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
            '<a class="{}" href="{}"{}>{}</a>', " ".join(classes), href, _attrs(attrs), inner
        )
    attrs.setdefault("type", "button")
    return format_html('<button class="{}"{}>{}</button>', " ".join(classes), _attrs(attrs), inner)


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
def money(amount_minor: int, currency: str, *, code: bool = False) -> SafeString:
    """An amount in minor units, as people of the currency write it; `code` adds the ISO code."""
    shown = format_money(amount_minor, currency).replace("-", "−")
    suffix = format_html(' <span class="cur">{}</span>', currency.upper()) if code else ""
    return format_html('<span class="amount">{}{}</span>', shown, suffix)


BRAND_CHIPS = {
    "visa": ("VISA", "Visa"),
    "mastercard": ("MC", "Mastercard"),
    "amex": ("AMEX", "American Express"),
    "discover": ("DISC", "Discover"),
    "diners": ("DC", "Diners Club"),
    "jcb": ("JCB", "JCB"),
    "unionpay": ("UP", "UnionPay"),
}


@register.simple_tag
def card_art(brand: str, last4: str) -> SafeString:
    """A card as people tell it from others: its brand and its last four digits."""
    short, name = BRAND_CHIPS.get(str(brand or ""), ("CARD", "Card"))
    return format_html(
        '<span class="card-art" title="{0}"><span class="brand-chip" aria-hidden="true">{1}</span>'
        '<span class="sr-only">{0} ending in </span>'
        '<span class="tnum"><span aria-hidden="true">•••• </span>{2}</span></span>',
        name,
        short,
        last4,
    )


@register.simple_tag
def pay_label(amount_minor: int, currency: str) -> str:
    """The words on the payer's button."""
    return f"Pay {format_money(amount_minor, currency)}"


@register.simple_tag
def when(moment: datetime | None, style: str = "minute") -> SafeString:
    """A moment in the server's time zone (UTC). style: minute, second, date or long."""
    if moment is None:
        return mark_safe('<span class="muted">—</span>')
    local = timezone.localtime(moment)
    year = "" if local.year == timezone.localtime().year else f" {local.year}"
    day = f"{local.day} {local:%b}{year}"
    shown = {
        "date": day,
        "minute": f"{day}, {local:%H:%M}",
        "second": f"{day}, {local:%H:%M:%S}",
        "long": f"{local.day} {local:%B %Y, %H:%M:%S} {local.tzname()}",
    }[style]
    return format_html(
        '<time class="nowrap tnum" datetime="{}" title="{}">{}</time>',
        local.isoformat(timespec="seconds"),
        f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}",
        shown,
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
    """The initials of a person or a company; decoration, for the name always stands beside it."""
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


@register.filter
def get(mapping: Mapping[Any, Any], key: Any) -> Any:
    """The value under a key that is only known in the loop; empty when there is none."""
    return mapping.get(key, "")


@register.filter
def humanise(text: str) -> str:
    """`requested_by_customer` as people write it."""
    return str(text).replace("_", " ").strip().capitalize()


@register.filter
def percent(bps: int) -> str:
    """Hundredths of a percent as a percentage: 290 is "2.9 %"."""
    whole, rest = divmod(bps, 100)
    fraction = f".{rest:02}".rstrip("0") if rest else ""
    return f"{whole}{fraction} %"


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
    return _render(
        "card",
        {
            "content": content,
            "title": title,
            "sub": sub,
            "tools": tools,
            "foot": foot,
            "flush": flush,
            "tag": f"h{level}",
            "attrs": _attrs(attrs),
        },
    )


@register.simple_block_tag(end_name="enddialog")
def dialog(content: str, *, id: str, title: str, wide: bool = False, **attrs: Any) -> SafeString:  # noqa: A002
    """A native dialog, opened by any element with `data-dialog-open="<id>"`."""
    return _render(
        "dialog",
        {"content": content, "id": id, "title": title, "wide": wide, "attrs": _attrs(attrs)},
    )


@register.simple_block_tag(end_name="endbanner")
def banner(content: str, *, tone: str = "info", title: str = "", **attrs: Any) -> SafeString:
    """A notice inside the page. tone: info, ok, warn or bad."""
    icons = {"info": "info", "ok": "circle-check", "warn": "triangle-alert", "bad": "circle-alert"}
    return _render(
        "banner",
        {
            "content": content,
            "tone": tone,
            "title": title,
            "icon": icon_svg(icons[tone]),
            "role": "alert" if tone == "bad" else "note",
            "attrs": _attrs(attrs),
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
    """What stands where a list would: kind empty, filtered, denied or error; actions inside."""
    default_icon, tone = EMPTY_KINDS[kind]
    return _render(
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
    return _render(
        "kpi",
        {
            "label": label,
            "value": value,
            "unit": unit,
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
    return _render("code", {"text": text, "title": title})


@register.simple_tag
def chart(view: Any, **attrs: Any) -> SafeString:
    """A chart made by portal/charts.py, with its figures as a table under it."""
    return _render("chart", {"chart": view, "attrs": _attrs(attrs)})


@register.simple_tag
def money_chart(
    days: Iterable[tuple[date, int]], currency: str, *, title: str, series: str
) -> SafeString:
    """A line through what was there at the end of each day, in minor units; may go below zero."""
    buckets = [
        Bucket(f"{day.day} {day:%b}", value, format_money(value, currency).replace("-", "−"))
        for day, value in days
    ]

    def axis_text(amount_minor: int) -> str:
        text = format_money(amount_minor, currency).replace("-", "−")
        unit = 10 ** known_currency(currency).exponent
        return text.split(".")[0] if amount_minor % unit == 0 else text

    return chart(line_chart(buckets, title=title, series_name=series, axis_text=axis_text))


# ---- fields ---------------------------------------------------------------------------------


def _field(kind: str, name: str, label: str, options: dict[str, Any]) -> SafeString:
    """One labelled control; hint and error are tied to it by aria-describedby."""
    hint, error = options.pop("hint", ""), options.pop("error", "")
    field_id = options.pop("id", "") or f"id_{name}"
    described = [f"{field_id}_{part}" for part, text in (("hint", hint), ("error", error)) if text]
    context = {key: options.pop(key, "") for key in ("value", "optional", "choices", "currency")}
    attrs = {
        **options,
        "aria_describedby": " ".join(described) or None,
        "aria_invalid": "true" if error else None,
    }
    return _render(
        "field",
        {
            **context,
            "kind": kind,
            "name": name,
            "id": field_id,
            "label": label,
            "hint": hint,
            "error": error,
            "alert_icon": icon_svg("circle-alert"),
            "attrs": _attrs(attrs),
        },
    )


@register.simple_tag
def text_field(name: str, label: str, **options: Any) -> SafeString:
    """A text input. Options: value, hint, error, optional, type, id, any attribute of <input>."""
    options.setdefault("type", "text")
    return _field("input", name, label, options)


@register.simple_tag
def area_field(name: str, label: str, **options: Any) -> SafeString:
    """A field of several lines."""
    return _field("textarea", name, label, options)


@register.simple_tag
def select_field(
    name: str, label: str, choices: Iterable[tuple[str, str]], **options: Any
) -> SafeString:
    """A choice of one; `choices` are pairs of value and text."""
    options["choices"] = list(choices)
    return _field("select", name, label, options)


@register.simple_tag
def money_field(name: str, label: str, currency: str, **options: Any) -> SafeString:
    """An amount as a person writes it, in major units, with its currency beside it."""
    options.setdefault("inputmode", "decimal")
    options.setdefault("autocomplete", "off")
    return _field("money", name, label, {**options, "type": "text", "currency": currency})


@register.simple_tag
def check_field(
    name: str,
    label: str,
    *,
    value: str = "on",
    type: str = "checkbox",  # noqa: A002
    hint: str = "",
    **attrs: Any,
) -> SafeString:
    """A checkbox, or a radio button by type="radio", with its words."""
    return format_html(
        '<label class="check"><input type="{}" name="{}" value="{}"{}>'
        '<span class="check-text"><span>{}</span>{}</span></label>',
        type,
        name,
        value,
        _attrs(attrs),
        label,
        format_html('<span class="hint">{}</span>', hint) if hint else "",
    )


@register.simple_tag
def form_field(bound: BoundField, **attrs: Any) -> SafeString:
    """A field of a Django form with label, hint and error. Attributes go to the control."""
    widget = bound.field.widget
    kind = getattr(widget, "input_type", None) or type(widget).__name__.lower()
    css = {"select": "select", "textarea": "textarea", "checkbox": ""}.get(kind, "input")
    extra = {key.rstrip("_").replace("_", "-"): value for key, value in attrs.items()}
    extra["class"] = f"{css} {extra.get('class', '')} {widget.attrs.get('class', '')}".strip()
    return _render(
        "form_field",
        {
            "bound": bound,
            "control": bound.as_widget(attrs=extra),
            "checkbox": kind == "checkbox",
            "alert_icon": icon_svg("circle-alert"),
        },
    )
