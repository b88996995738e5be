"""Serve pages and the API: `python -m config.server --host HOST --port PORT --workers N`.

uvicorn with the settings that this application wants; `config/web.py` is the application, the
limits for connections are in `core/serving/protocol.py`. Which address a request comes from is the
application's own question (`core/proxies.py`), so uvicorn does not answer it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

import uvicorn

#: Longer than the entry keeps a connection to us, so that none is closed while it sends.
KEEP_ALIVE_S: Final = 75
#: What runs when the process is asked to stop may end; `WebGate` waits for its threads as long.
STOP_WITHIN_S: Final = 15


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m config.server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1, help="processes; one core each at most")
    options = parser.parse_args(arguments)
    uvicorn.run(
        "config.web:application",
        host=options.host,
        port=options.port,
        workers=options.workers,
        loop="uvloop",
        http="core.serving.protocol:BoundedProtocol",
        ws="none",
        lifespan="on",
        backlog=4_096,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
