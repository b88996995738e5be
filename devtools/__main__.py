"""The command line behind `./dev`."""

from __future__ import annotations

import argparse
import sys

from devtools import say
from devtools.help import HELP
from devtools.supervisor import Interrupted


def main(argv: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    command, rest = (argv[0], argv[1:]) if argv else ("help", [])
    try:
        return _dispatch(command, rest)
    except say.Stop as stop:
        say.problem(str(stop))
        return 1
    except OSError as error:
        say.problem(say.explain_os_error(error))
        return 1
    except (KeyboardInterrupt, Interrupted):
        say.problem("Stopped.")
        return 130


def _dispatch(command: str, rest: list[str]) -> int:
    # Imported where they are used: `up` need not load what only `bench` needs.
    match command:
        case "help" | "-h" | "--help":
            say.line(HELP)
            return 0
        case "up":
            from devtools.up import up

            parser = _parser("up")
            parser.add_argument("--port", type=int)
            parser.add_argument("--detach", action="store_true")
            parser.add_argument("--tls", action="store_true", help="https, with a local authority")
            options = parser.parse_args(rest)
            return up(port=options.port, detach=options.detach, tls=options.tls)
        case "down":
            from devtools.up import down

            _parser("down").parse_args(rest)
            return down()
        case "reset":
            from devtools.up import reset

            parser = _parser("reset")
            parser.add_argument("--yes", action="store_true", help="do not ask")
            return reset(sure=parser.parse_args(rest).yes)
        case "manage":
            from devtools.manage import manage

            return manage(rest)
        case "test":
            from devtools.testing import test

            return test(rest)
        case "check":
            from devtools.check import check

            parser = _parser("check")
            parser.add_argument("--fix", action="store_true", help="format and repair first")
            return check(fix=parser.parse_args(rest).fix)
        case "bench":
            from devtools.bench import bench

            return bench(rest)
        case "demo":
            from devtools.demo import demo

            _parser("demo").parse_args(rest)
            return demo()
        case _:
            say.problem(f"./dev knows no {command!r}.\n\n{HELP}")
            return 2


def _parser(command: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"./dev {command}", allow_abbrev=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
