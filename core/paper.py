"""Documents on paper: a template of `templates/paper` and data become a tagged PDF (PDF/UA-1).

`typst` sets the pages (ADR 0032). It runs in a process of its own (`core/paper_press.py`), because
a thread in it can be neither stopped nor kept from taking memory. The data travels as JSON and is
never part of the template's source.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

from core import deadline
from core.errors import Unavailable

log = structlog.get_logger(__name__)

TEMPLATES: Final = Path(__file__).resolve().parent.parent / "templates" / "paper"
#: 5,000 lines of a statement take 4 s of processor time; the rest is for a machine that is busy.
TIME_LIMIT_S: Final = 45
#: 5,000 lines take 600 MB. What needs more is ended by the kernel.
MEMORY_LIMIT_BYTES: Final = 2 << 30
#: How many papers a process makes at once: each may take that much memory.
AT_ONCE: Final = 2

_PRESS: Final = Path(__file__).resolve().parent / "paper_press.py"
_presses: Final = threading.BoundedSemaphore(AT_ONCE)
#: All that the press knows of the world. typst would download packages that a template imports; no
#: template does, and with a proxy that is not there none could.
_ENVIRONMENT: Final = {
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "RAYON_NUM_THREADS": "1",
}


class PaperNotMade(Unavailable):
    """The time that a paper may take was over before it was done."""

    default_code = "paper_not_made"


class PaperBroken(Exception):
    """A template does not compile with the data that it was given: a mistake of ours."""


def paper_pdf(template: str, data: Mapping[str, object]) -> bytes:
    """The PDF of `templates/paper/<template>.typ` filled with `data`.

    The same data gives the same bytes. A string appears as it is written, in any script that the
    fonts have (docs/adr/0032); where they lack a character, an empty box is shown in its place and
    the document claims to be tagged but not to be PDF/UA.

    Args:
        data: what the template's first comment asks for, as JSON knows it.

    Raises:
        PaperNotMade: not done within TIME_LIMIT_S, or what is left of the deadline.
        PaperBroken: the template refuses the data.
    """
    limit_s = deadline.cap_s(TIME_LIMIT_S)
    if not _presses.acquire(timeout=limit_s):
        raise _not_made()
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and script
            [
                sys.executable, "-I", str(_PRESS), str(TEMPLATES), template,
                str(TIME_LIMIT_S), str(MEMORY_LIMIT_BYTES),
            ],
            input=json.dumps(data, ensure_ascii=False).encode(),
            capture_output=True,
            timeout=deadline.cap_s(TIME_LIMIT_S),
            env=_ENVIRONMENT,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise _not_made() from error
    finally:
        _presses.release()
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode or not done.stdout:
        raise PaperBroken(f"{template}: {said or f'ended with {done.returncode}'}")
    if said:
        log.warning("paper.characters_without_font", reason=template)
    return done.stdout


def _not_made() -> PaperNotMade:
    return PaperNotMade(
        "The document could not be made in time. Try again in a minute; if it is long, ask for "
        "fewer days."
    )
