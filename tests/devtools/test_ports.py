from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from devtools import ports
from devtools.say import Stop


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((ports.HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_with_a_listener_is_not_free(busy_port: int) -> None:
    assert not ports.is_free(busy_port)


def test_a_port_is_free_again_at_once_when_its_listener_has_gone(busy_port: int) -> None:
    client = socket.create_connection((ports.HOST, busy_port))
    client.close()
    with socket.socket() as listener:
        listener.bind((ports.HOST, 0))
        listener.listen()
        port = listener.getsockname()[1]
    assert ports.is_free(port)


def test_the_preferred_port_is_taken_only_when_it_is_free(busy_port: int) -> None:
    free = ports.free_port()
    assert ports.free_port(preferred=free) == free
    assert ports.free_port(preferred=busy_port) != busy_port


def test_a_busy_port_is_named_together_with_a_way_out(busy_port: int) -> None:
    with pytest.raises(Stop) as stopped:
        ports.require_free(busy_port)

    assert f"Port {busy_port}" in str(stopped.value)
    assert "./dev up --port " in str(stopped.value)


@pytest.mark.parametrize("port", [0, -1, 65_536, 70_000])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(Stop, match="is not a port that can be used"):
        ports.require_free(port)


def test_the_suggested_pair_is_free(busy_port: int) -> None:
    suggested = ports.next_free(busy_port)
    assert ports.is_free(suggested)
    assert ports.is_free(suggested + 1)
