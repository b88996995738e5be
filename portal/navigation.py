"""The shell around a signed-in page: the sidebar and the bar above the page.

Entries are offered by permission (tenants/policies.py): none leads to a page that would refuse.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from core.requests import ACTOR, RequestKey
from portal.theme import theme_of
from tenants.models import Level
from tenants.portal.base import PAGES, PageSpec, Place
from tenants.requests import SEAT
from tenants.seats import Seat, seats_of

View = Callable[..., HttpResponseBase]

#: The accounts that fit into the menu; with more, it links to a page that lists all.
MENU_SEATS: Final = 8

#: The address of the page whose form this request is.
PAGE_URL: Final = RequestKey[str]("page_url", set_by="form_of")
#: The first of the person's seats.
OFFERED_SEATS: Final = RequestKey[list[Seat]]("offered_seats", set_by="know_seats")

#: The groups of the sidebar in their order; the first has no title.
GROUPS: Final = ("", "Developers", "Account")


@dataclass(frozen=True, slots=True)
class Entry:
    """A link of the sidebar."""

    label: str
    icon: str
    url: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Entries under one title."""

    title: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class TenantChoice:
    """A seat as the switcher offers it; `value` is what it posts."""

    name: str
    sub: str
    value: str
    current: bool


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in."""

    name: str
    email: str
    role: str


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything that templates/base/portal.html draws beside the page itself."""

    theme: str
    here: str
    query: str = ""
    livemode: bool = False
    may_switch: bool = False
    band: bool = False
    groups: tuple[Group, ...] = ()
    foot: tuple[Entry, ...] = ()
    tenant: TenantChoice | None = None
    tenants: tuple[TenantChoice, ...] = ()
    more_tenants: bool = False
    user: Person | None = None
    may_search: bool = False
    page_url: str = ""


def frame_for(request: HttpRequest) -> Frame:
    """The shell for this request; without a seat it holds only the theme and the sign-out."""
    seat, page_url = SEAT.find(request), PAGE_URL.find(request) or ""
    theme, here = theme_of(request), page_url or request.get_full_path()
    if not request.user.is_authenticated:
        return Frame(theme=theme, here=here)
    role = seat.role.capitalize() if seat is not None else ""
    person = Person(name=request.user.get_full_name(), email=request.user.email, role=role)
    if seat is None:
        return Frame(theme=theme, here=here, user=person)
    scopes = ACTOR.of(request).scopes
    offered = _offered(request)
    choices = tuple(seat_choice(row, seat) for row in offered[:MENU_SEATS])
    return Frame(
        theme=theme,
        here=here,
        query=request.GET.get("q", ""),
        livemode=seat.livemode,
        may_switch=seat.may_use_live_mode,
        band=seat.level != Level.PLATFORM,
        groups=_groups(seat, scopes, request.path),
        foot=(Entry("API reference", "book-open", "/docs/api"),),
        tenant=seat_choice(seat, seat),
        tenants=choices,
        more_tenants=len(offered) > MENU_SEATS,
        user=person,
        may_search="payments.read" in scopes,
        page_url=page_url,
    )


def form_of(page: str, view: View, *names: str) -> View:
    """A view that answers the form of a page; a GET of its address redirects to that page.

    The answer carries the page's address (`frame.page_url`), so that reloading it, updating it or
    returning to it requests the page, which the form's own address cannot show. `names` are the
    parts that both addresses have.
    """

    @wraps(view)
    def on_page(request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponseBase:
        address = reverse(f"portal:{page}", kwargs={name: kwargs[name] for name in names})
        if request.method in ("GET", "HEAD"):
            return redirect(address)
        PAGE_URL.set(request, address)
        return view(request, *args, **kwargs)

    return on_page


def live_parts(request: HttpRequest) -> frozenset[str] | None:
    """The parts of itself that a page fetches again (static/js/live.js); None is the whole page."""
    named = request.headers.get("X-Live-Parts")
    return None if named is None else frozenset(named.split())


def know_seats(view: View) -> View:
    """Look up the person's seats before the view opens its scope, which cannot list them."""

    @wraps(view)
    def page(request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated and live_parts(request) is None:
            offered = seats_of(user_id=request.user.pk, limit=MENU_SEATS + 1)
            OFFERED_SEATS.set(request, offered)
        return view(request, *args, **kwargs)

    return page


def _offered(request: HttpRequest) -> list[Seat]:
    known = OFFERED_SEATS.find(request)
    if known is not None or request.user.pk is None:
        return known or []
    return seats_of(user_id=request.user.pk, limit=MENU_SEATS + 1)


def seat_choice(seat: Seat, current: Seat) -> TenantChoice:
    """A seat as the switcher offers it to a person in the seat `current`."""
    return TenantChoice(
        name=seat.tenant_name,
        sub=f"{Level(seat.level).label} · {seat.role.capitalize()}",
        value=seat.key,
        current=seat.key == current.key,
    )


@cache
def _places() -> dict[str, list[tuple[PageSpec, Place]]]:
    """Group → the pages in it, in order."""
    found: dict[str, list[tuple[PageSpec, Place]]] = {group: [] for group in GROUPS}
    for page in PAGES.values():
        if page.spec.place is not None:
            found[page.spec.place.group].append((page.spec, page.spec.place))
    for pages in found.values():
        pages.sort(key=lambda each: each[1].order)
    return found


def _groups(seat: Seat, scopes: frozenset[str], path: str) -> tuple[Group, ...]:
    groups = []
    for title, pages in _places().items():
        entries = tuple(
            Entry(place.label, place.icon, f"/{spec.at}", _is_current(spec.at, path))
            for spec, place in pages
            if seat.level in spec.levels and (spec.permission is None or spec.permission in scopes)
        )
        if entries:
            groups.append(Group(title, entries))
    return tuple(groups)


def _is_current(at: str, path: str) -> bool:
    return path == f"/{at}" or (at != "" and path.startswith(f"/{at}/"))
