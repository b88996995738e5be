"""The child process of `core/paper.py`: sets one paper and ends.

Called by its path, with the folder of templates, the template's name and its limits (processor
seconds, bytes of memory); data comes as JSON on standard input, the PDF leaves on standard output.
It writes no file and reads none but the templates' and the fonts'.
"""

from __future__ import annotations

import resource
import sys
from importlib.resources import files
from typing import Final

import typst

#: Noto for all scripts but Arabic, which IBM Plex draws in letters that can be copied whole.
_FONT_PACKAGES: Final = ("manimgx_fonts", "manimgx_fonts_cjk", "fontpkg_ibm_plex_sans_arabic")
#: How typst refuses PDF/UA for a text that none of the fonts can show.
_NO_FONT: Final = "could not be displayed with font"


def main(folder: str, template: str, processor_s: int, memory_bytes: int) -> None:
    """Set the paper within the limits; one line on standard error says that a box was drawn."""
    for limit, value in (
        (resource.RLIMIT_CPU, processor_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    if sys.platform == "linux":  # macOS knows the limit and refuses to set it
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    data = sys.stdin.buffer.read().decode()
    try:
        pdf = _set(folder, template, data, ["ua-1"])
    except typst.TypstError as error:
        if _NO_FONT not in str(error):
            raise
        pdf = _set(folder, template, data, [])
        print("characters without a font", file=sys.stderr)  # noqa: T201 - read by the process that made this one
    sys.stdout.buffer.write(pdf)


def _set(folder: str, template: str, data: str, standards: list[typst.PDFStandard]) -> bytes:
    return typst.compile(
        f"{folder}/{template}.typ",
        root=folder,
        font_paths=typst.Fonts(
            include_system_fonts=False,
            include_embedded_fonts=True,
            font_paths=[str(files(package)) for package in _FONT_PACKAGES],
        ),
        sys_inputs={"data": data},
        pdf_standards=list(standards),
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
