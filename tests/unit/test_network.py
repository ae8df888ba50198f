"""Unit tests cannot reach the network."""

import asyncio
import socket

import pytest
from pytest_socket import SocketBlockedError


def test_a_connection_is_refused_before_it_is_tried() -> None:
    with pytest.raises(SocketBlockedError):
        socket.create_connection(("127.0.0.1", 9))


async def test_an_event_loop_works_all_the_same() -> None:
    await asyncio.sleep(0)
