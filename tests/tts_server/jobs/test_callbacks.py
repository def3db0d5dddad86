"""Callers are told of the end of their jobs: signed, until they listen, and nobody is called who should not be."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.tts_server.http.fakes import FakeGateway
from tests.tts_server.jobs.conftest import JobMeter, Serve, ended, in_both_stores, order, show
from tts_server.errors import EngineFailed
from tts_server.jobs import callbacks
from tts_server.jobs.addresses import PrivateAddress, is_public, public_socket
from tts_server.jobs.callbacks import Secrets


class Receiver:
    """Somebody who is called; answers with these statuses, and then with 204."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.calls: list[tuple[bytes, Any]] = []
        self.called = asyncio.Condition()

    async def hear(self, request: web.Request) -> web.Response:
        async with self.called:
            self.calls.append((await request.read(), request.headers))
            self.called.notify_all()
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})

    async def after(self, calls: int) -> None:
        async with self.called:
            await self.called.wait_for(lambda: len(self.calls) >= calls)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    app = web.Application()
    app.router.add_post("/hook", found.hear)
    async with TestServer(app) as server:
        found.url = str(server.make_url("/hook"))  # type: ignore[attr-defined]
        yield found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "WAITS_S", (0.01, 0.02, 0.03))


def verify(body: bytes, headers: Any, secret: str) -> None:
    """As standardwebhooks.com has it, and its libraries do it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    want = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{want}"
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 60


async def callback_of(client: Any, job_id: str, state: str, attempts: int = 0) -> dict[str, Any]:
    """What has become of it, once it is in that state after so many attempts."""
    while True:
        found: dict[str, Any] = (await show(client, job_id))["callback"]
        if found["state"] == state and found["attempts"] >= attempts:
            return found
        await asyncio.sleep(0.01)


@in_both_stores
@pytest.mark.parametrize("fails", [False, True])
async def test_the_caller_is_told_and_can_be_sure_who_tells(
    serve: Serve, gateway: FakeGateway, receiver: Any, meter: JobMeter, fails: bool
) -> None:
    gateway.failure = EngineFailed("broke") if fails else None
    async with serve(callback_private=True) as client:
        wanted = {"text": "你好。", "callback_url": receiver.url}
        async with client.post("/api/tts/jobs", json=wanted) as answer:
            told = await answer.json()
        await receiver.after(1)
        body, headers = receiver.calls[0]
        verify(body, headers, told["callback_secret"])
        assert headers["webhook-id"] == told["job_id"]
        content = json.loads(body)
        assert (content["job_id"], content["status"]) == (told["job_id"], "failed" if fails else "done")
        assert (await callback_of(client, told["job_id"], "delivered"))["attempts"] == 1
    assert meter.callbacks == ["delivered"]


@in_both_stores
@pytest.mark.parametrize(
    ("statuses", "state", "attempts"),
    [([500, 302], "delivered", 3), ([404] * 9, "failed", 4), ([410], "failed", 1)],
)
async def test_who_does_not_listen_is_told_again_but_not_for_ever(
    serve: Serve, receiver: Any, statuses: list[int], state: str, attempts: int
) -> None:
    receiver.statuses = list(statuses)
    async with serve(callback_private=True) as client:
        job_id = await order(client, callback_url=receiver.url)
        assert (await callback_of(client, job_id, state))["attempts"] == attempts
        assert (await show(client, job_id))["status"] == "done", "the job itself is done whoever listens"
    assert len(receiver.calls) == attempts
    assert len({json.loads(body)["job_id"] for body, _ in receiver.calls}) == 1


@in_both_stores
async def test_a_restart_forgets_nobody(serve: Serve, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "WAITS_S", (0.5,))
    receiver.statuses = [500]
    async with serve(callback_private=True) as client:
        job_id = await order(client, callback_url=receiver.url)
        await receiver.after(1)
        await callback_of(client, job_id, "waiting", attempts=1)
    async with serve(callback_private=True) as client:
        await receiver.after(2)
        await callback_of(client, job_id, "delivered")


@in_both_stores
async def test_of_servers_that_share_a_folder_one_tells(serve: Serve, receiver: Any) -> None:
    receiver.statuses = [500]
    async with serve(callback_private=True) as first, serve(callback_private=True) as second:
        job_id = await order(second, callback_url=receiver.url)
        for client in (first, second):
            assert (await callback_of(client, job_id, "delivered"))["attempts"] == 2
    assert len(receiver.calls) == 2


@in_both_stores
async def test_who_cancels_is_not_told(serve: Serve, gateway: FakeGateway, receiver: Any) -> None:
    gateway.holds_at = 0
    async with serve(callback_private=True) as client:
        job_id = await order(client, callback_url=receiver.url)
        await client.delete(f"/api/tts/jobs/{job_id}")
        await ended(client, job_id)
        gateway.holds_at = None
        second = await order(client, callback_url=receiver.url)
        await callback_of(client, second, "delivered")
    assert [json.loads(body)["job_id"] for body, _ in receiver.calls] == [second]


async def test_a_name_that_leads_to_a_private_address_is_not_called(
    serve: Serve, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is harmless when it is ordered; what counts is where the connection would go."""

    async def resolve(_self: object, host: str, port: int = 0, **_: object) -> list[dict[str, Any]]:
        assert host == "hook.example.com"
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)
    url = receiver.url.replace("127.0.0.1", "hook.example.com")
    async with serve() as client:
        job_id = await order(client, callback_url=url)
        assert (await callback_of(client, job_id, "failed"))["attempts"] == 1, "it is not tried again"
    assert receiver.calls == []
    async with serve(callback_private=True) as client:
        await callback_of(client, await order(client, callback_url=url), "delivered")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # where clouds keep a machine's credentials
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    info = (family, socket.SOCK_STREAM, 0, "", (address, 80))
    if public:
        public_socket(info).close()
    else:
        with pytest.raises(PrivateAddress):
            public_socket(info)


def test_each_owner_has_a_secret_that_outlives_the_server(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    first = Secrets(path)
    assert path.stat().st_mode & 0o077 == 0
    assert Secrets(path).of("key:a") == first.of("key:a") != first.of("key:b")
    path.write_bytes(b"half")
    with pytest.raises(OSError, match="remove it"):
        Secrets(path)
