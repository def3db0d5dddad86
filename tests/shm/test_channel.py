from __future__ import annotations

import select
from collections.abc import Iterator
from multiprocessing import get_context

import pytest

from shm.channel import Address, Channel
from shm.segment import SegmentError

RING = 4096


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    host, address = Channel.create(to_guest_bytes=RING, to_host_bytes=RING)
    guest = Channel.attach(address)
    yield host, guest
    guest.close()
    host.close()


def receive(channel: Channel) -> list[bytes]:
    records = channel.receive()
    taken = [bytes(record) for record in records]
    channel.release(len(taken))
    return taken


def test_records_go_both_ways_in_order(pair: tuple[Channel, Channel]) -> None:
    host, guest = pair
    for number in range(3):
        assert host.send(b"to guest %d" % number)
        assert guest.send(b"to host %d" % number)
    assert receive(guest) == [b"to guest 0", b"to guest 1", b"to guest 2"]
    assert receive(host) == [b"to host 0", b"to host 1", b"to host 2"]


def test_the_board_is_one(pair: tuple[Channel, Channel]) -> None:
    host, guest = pair
    guest.board[31] = 2**64 - 1
    assert host.board[31] == 2**64 - 1
    assert host.board[0] == 0


@pytest.mark.parametrize("size", [1000, 3 * RING])
def test_what_finds_no_room_waits_its_turn(pair: tuple[Channel, Channel], size: int) -> None:
    host, guest = pair
    sent = [bytes([number]) * size for number in range(20)]
    accepted = [host.send(record) for record in sent]
    assert not all(accepted)
    got: list[bytes] = []
    while len(got) < len(sent):
        got += receive(guest)
        host.flush()
    assert got == sent
    assert host.flush()


def rung(channel: Channel) -> bool:
    return bool(select.select([channel.bell], [], [], 0)[0])


def test_sending_rings(pair: tuple[Channel, Channel]) -> None:
    host, guest = pair
    host.send(b"x")
    assert rung(guest)
    receive(guest)
    assert not rung(host), "nobody waits for room: waking him would cost more than the record"


@pytest.mark.parametrize("size", [1, 100, 500, 1000, RING, 3 * RING])
def test_who_waits_for_room_is_told_of_it(pair: tuple[Channel, Channel], size: int) -> None:
    host, guest = pair
    sent = got = 0
    while got < 300:
        while host.send(b"x" * size):
            sent += 1
        sent += 1
        while not rung(host):
            got += len(receive(guest))
        assert host.bell.hear()
        while not host.flush():
            while not rung(host):
                got += len(receive(guest))
            assert host.bell.hear()
    assert sent >= got


def _guest(address: Address) -> None:
    channel = Channel.attach(address)
    channel.board[3] = 42
    channel.send(b"here")
    channel.bell.wait(None)


def test_a_spawned_guest_attaches_and_its_death_is_heard() -> None:
    host, address = Channel.create(to_guest_bytes=RING, to_host_bytes=RING)
    process = get_context("spawn").Process(target=_guest, args=(address,))
    process.start()
    address.bell.close()
    while not (got := receive(host)):
        assert host.bell.wait(30)
    assert got == [b"here"]
    assert host.board[3] == 42
    process.kill()
    while host.bell.wait(30):
        pass
    process.join()
    host.close()
    with pytest.raises(SegmentError):
        Channel.attach(address)
