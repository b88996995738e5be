"""HTTP servers of tests, on loopback in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from typing import Final

#: How long the end of a test waits for the server's loop to look up; Python's own is half a second.
_LOOK_UP_S: Final = 0.01


@contextmanager
def listening(server: HTTPServer) -> Iterator[str]:
    """Serve in the block; yields the address, without a slash at its end."""
    thread = threading.Thread(target=server.serve_forever, args=[_LOOK_UP_S], daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
