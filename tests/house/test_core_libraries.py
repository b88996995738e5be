"""The table of docs/architecture.md that says of each kernel module why it is not a library."""

from __future__ import annotations

import re

from devtools.home import ROOT

_TITLE = "## The kernel's modules, and the libraries beside them"


def test_every_module_of_the_kernel_has_its_row() -> None:
    section = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split(_TITLE)[1]
    rows = re.findall(r"^\| (`[^|]+`) \|", section.split("\n## ")[0], re.MULTILINE)
    listed = sorted(name for row in rows for name in re.findall(r"`([^`]+)`", row))
    core = ROOT / "core"
    modules = sorted(
        path.relative_to(core).with_suffix("").as_posix()
        for path in core.rglob("*.py")
        if path.name != "__init__.py" and not {"migrations", "management"} & set(path.parts)
    )
    assert listed == modules
