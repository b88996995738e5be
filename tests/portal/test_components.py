"""Components draw what they promise, and escape what they are given."""

from __future__ import annotations

import datetime as dt

import pytest
from django.template import Context, Template
from django.test import Client, override_settings
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import strip_tags

from payments.acceptance.states import PaymentStatus, RefundStatus
from payments.intents.states import IntentState
from portal.icons import icon_svg
from portal.templatetags import ui, ui_values
from portal.words import STATES, state_word

EVIL = '"><script>alert(1)</script>'


def draw(source: str, **context: object) -> str:
    return Template("{% load ui %}" + source).render(Context(context))


@pytest.mark.parametrize("state", sorted(STATES))
def test_a_state_has_a_word_and_an_icon_beside_its_colour(state: str) -> None:
    html = ui.pill(state)
    assert state_word(state).word in html
    assert "<svg" in html
    assert 'aria-hidden="true"' in html


@pytest.mark.parametrize(
    "state", [*PaymentStatus.values, *RefundStatus.values, *IntentState.values]
)
def test_every_state_of_the_kernel_has_a_word(state: str) -> None:
    assert state.lower() in STATES


def test_an_unknown_state_is_shown_by_its_own_name() -> None:
    assert "Under review" in ui.pill("under_review")


def test_everything_that_components_are_given_is_escaped() -> None:
    drawn = [
        draw("{% button label href=label %}", label=EVIL),
        draw("{% button label data_x=label %}", label=EVIL),
        draw("{% pill label %}", label=EVIL),
        draw("{% tag label %}", label=EVIL),
        draw("{% copy_id label %}", label=EVIL),
        draw("{% secret label %}", label=EVIL),
        draw("{% code_block label title=label %}", label=EVIL),
        draw("{% code_block rows %}", rows={"a": EVIL}),
        draw("{% text_field 'n' label value=label hint=label error=label %}", label=EVIL),
        draw("{% card title=label %}{{ label }}{% endcard %}", label=EVIL),
        draw("{% empty title=label text=label %}{{ label }}{% endempty %}", label=EVIL),
        draw("{% banner title=label %}{{ label }}{% endbanner %}", label=EVIL),
        draw("{% dialog id='d' title=label %}{{ label }}{% enddialog %}", label=EVIL),
        draw("{% kpi label label note=label delta=label direction='up' %}", label=EVIL),
        draw("{% card_art label label %}", label=EVIL),
        draw("{% avatar label %}", label=EVIL),
    ]
    for html in drawn:
        assert "<script>" not in html
        assert 'x=""><script' not in html


def test_a_field_ties_its_hint_and_its_error_to_the_control() -> None:
    html = draw("{% text_field 'email' 'E-mail' hint='H' error='Wrong.' %}")
    assert 'for="id_email"' in html
    assert 'aria-describedby="id_email_hint id_email_error"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_email_error"' in html


def test_a_field_without_an_error_is_not_invalid() -> None:
    assert "aria-invalid" not in draw("{% text_field 'email' 'E-mail' %}")


@pytest.mark.parametrize(
    ("amount_minor", "currency", "shown"),
    [(4890, "EUR", "€48.90"), (980000, "JPY", "¥980,000"), (-150, "USD", "−$1.50")],
)
def test_money_is_written_as_its_currency_is(amount_minor: int, currency: str, shown: str) -> None:
    assert shown in ui_values.money(amount_minor, currency)


def test_a_moment_says_its_zone_and_none_is_a_dash() -> None:
    moment = dt.datetime(2024, 2, 29, 9, 7, 31, tzinfo=dt.UTC)
    html = ui_values.when(moment, "second")
    assert strip_tags(html) == "29 Feb 2024, 09:07:31 UTC"
    assert strip_tags(ui_values.when(moment)) == "29 Feb 2024, 09:07 UTC"
    assert 'title="2024-02-29 09:07:31 UTC"' in html
    assert "—" in ui_values.when(None)


def test_a_moment_in_the_admin_says_its_zone_too() -> None:
    moment = dt.datetime(2024, 2, 29, 9, 7, 31, tzinfo=dt.UTC)
    assert localize(timezone.localtime(moment)) == "29 Feb 2024, 09:07 UTC"


@pytest.mark.parametrize(
    ("bps", "shown"), [(290, "2.9 %"), (300, "3 %"), (25, "0.25 %"), (0, "0 %")]
)
def test_basis_points_read_as_a_percentage(bps: int, shown: str) -> None:
    assert ui_values.percent(bps) == shown


def test_an_icon_that_is_not_vendored_is_an_error() -> None:
    with pytest.raises(LookupError, match="vendor it first"):
        icon_svg("no-such-icon")


def test_the_style_page_draws_every_component_in_development_alone() -> None:
    with override_settings(DEBUG=True):
        response = Client().get("/styleguide")
    assert response.status_code == 200
    assert "style=" not in response.content.decode()
    assert Client().get("/styleguide").status_code == 404


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_error_pages_need_no_request(status: int) -> None:
    from django.template.loader import render_to_string

    html = render_to_string(f"{status}.html")
    assert str(status) in html
    assert 'data-theme="system"' in html


def test_a_currency_written_with_letters_is_named_once() -> None:
    assert strip_tags(ui_values.money(976, "BHD", code=True)) == "BHD\u00a00.976"
    assert strip_tags(ui_values.money(976, "USD", code=True)) == "$9.76 USD"
    assert "BHD" not in strip_tags(ui.kpi("Volume", "BHD\u00a00.976", unit="BHD")).replace(
        "BHD\u00a00.976", ""
    )
