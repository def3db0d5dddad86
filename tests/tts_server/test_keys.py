"""Keys: made and revoked by the command, stored as hashes, seen by a running server."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tts_server import keys as keys_module
from tts_server.caller import TIERS
from tts_server.cli import main
from tts_server.keys import Key, KeysError, KeyStore, changing, digest, make_secret, read_keys

Run = Callable[..., tuple[int, str, str]]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys.json"


@pytest.fixture
def run(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`tts-server keys …` on that file: its exit code, and what it wrote."""
    monkeypatch.setenv("TTS_KEYS_FILE", str(file))

    def run_it(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["keys", *args])
        return code, *capsys.readouterr()

    return run_it


@pytest.fixture
def store(file: Path) -> KeyStore:
    return KeyStore(file, TIERS)


def _add(file: Path, name: str, **more: object) -> str:
    secret = make_secret()
    given = {"name": name, "sha256": digest(secret), "tier": "standard", "created": NOW, **more}
    with changing(file) as keys:
        keys.append(Key.model_validate(given))
    return secret


def test_add_prints_the_new_key_once_and_nothing_else_on_standard_output(run: Run, file: Path) -> None:
    code, out, err = run("add", "ann", "--tier", "vip")
    assert code == 0
    (secret,) = out.splitlines()
    assert secret.startswith("tts_")
    assert len(secret) == 47
    assert "ann" in err
    assert secret not in err + file.read_text() + run("list")[1] + run("list", "--json")[1]


def test_two_keys_are_never_alike() -> None:
    assert len({make_secret() for _ in range(100)}) == 100


def test_a_key_opens_as_what_it_was_made(run: Run, store: KeyStore) -> None:
    options = [
        "--tier",
        "vip",
        "--voices",
        "male, female",
        "--engines",
        "light",
        "--burst",
        "3",
        "--concurrent",
        "none",
    ]
    _, out, _ = run("add", "ann", "--expires", "2100-01-01", *options)
    store.load()
    caller = store.find(out.strip())
    assert caller is not None
    assert (caller.id, caller.tier) == ("key:ann", "vip")
    assert (caller.voices, caller.engines) == (frozenset({"male", "female"}), frozenset({"light"}))
    assert (caller.may.burst, caller.may.concurrent) == (3, None)
    assert caller.may.characters_per_min == TIERS["vip"].characters_per_min, "what it does not say is its tier's"


def test_a_name_that_is_given_again_is_somebody_else(file: Path, store: KeyStore) -> None:
    first = _add(file, "ann")
    store.load()
    before = store.find(first)
    with changing(file) as keys:
        keys.clear()
    second = _add(file, "ann")
    store.load()
    after = store.find(second)
    assert before is not None
    assert after is not None
    assert (before.id, before.owner) != (after.id, after.owner)
    assert before.id == after.id == "key:ann", "in the log and for limits he is the same"


@pytest.mark.parametrize("wrong", ["", "tts_", "x" * 47, "ключ", "\udcff", "tts_" + "A" * 43, "a" * 1_000_000])
def test_what_is_no_key_opens_nothing(file: Path, store: KeyStore, wrong: str) -> None:
    secret = _add(file, "ann")
    store.load()
    assert store.find(secret) is not None
    assert store.find(wrong) is None
    assert store.find(secret[:-1]) is None
    assert store.find(digest(secret)) is None, "who reads the file has no key"


def test_a_key_ends_when_it_expires(file: Path, store: KeyStore) -> None:
    over, good = _add(file, "over", expires=NOW), _add(file, "good", expires=datetime(2100, 1, 1, tzinfo=UTC))
    store.load()
    assert store.find(over) is None
    assert store.find(good) is not None


def test_a_date_without_a_time_is_its_beginning_in_utc(run: Run, file: Path) -> None:
    run("add", "a", "--expires", "2100-01-01")
    run("add", "b", "--expires", "2100-01-01T00:00+08:00")
    assert [key.expires for key in read_keys(file)] == [
        datetime(2100, 1, 1, tzinfo=UTC),
        datetime(2099, 12, 31, 16, tzinfo=UTC),
    ]


def test_list_shows_all_but_what_opens(run: Run) -> None:
    assert run("list", "--json")[1] == '{\n  "keys": []\n}\n'
    run("add", "ann", "--tier", "vip", "--burst", "3")
    run("add", "bob", "--voices", "male")
    listing = json.loads(run("list", "--json")[1])["keys"]
    assert [(key["name"], key["tier"], key["voices"]) for key in listing] == [
        ("ann", "vip", None),
        ("bob", "standard", ["male"]),
    ]
    heading, ann, bob = run("list")[1].splitlines()
    assert heading.split() == ["NAME", "TIER", "VOICES", "ENGINES", "OWN", "LIMITS", "CREATED", "EXPIRES"]
    assert ann.split()[:5] == ["ann", "vip", "all", "all", "burst=3"]
    assert bob.split()[:5] == ["bob", "standard", "male", "all", "-"]


def test_a_revoked_key_is_gone_and_its_name_is_free(run: Run, store: KeyStore) -> None:
    old = run("add", "ann")[1].strip()
    assert run("revoke", "ann") == (0, "", "")
    new = run("add", "ann")[1].strip()
    store.load()
    assert store.find(old) is None
    assert store.find(new) is not None


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["add", "ann"], "there is a key ann already; revoke it first"),
        (["add", "b c"], "name 'b c' will not do"),
        (["add", "b", "--tier", "gold"], "key b is of tier gold, and there are: vip, standard, anonymous"),
        (["add", "b", "--burst", "many"], "limits are numbers, or none"),
        (["add", "b", "--burst", "0"], "key b: burst: Input should be greater than or equal to 1"),
        (["add", "b", "--expires", "tomorrow"], "'tomorrow' is no date such as 2027-01-01"),
        (["add", "b", "--expires", "2020-01-01"], "2020-01-01 is over already"),
        (["add", "b", "--voices", ","], "name some, separated by commas"),
        (["revoke", "bob"], "there is no key bob; there are: ann"),
    ],
)
def test_what_is_asked_wrongly_is_told_and_changes_nothing(run: Run, file: Path, args: list[str], told: str) -> None:
    run("add", "ann")
    before = file.read_bytes()
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert told in err
    assert file.read_bytes() == before


def test_a_tier_of_ones_own_is_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_TIERS", '{"gold": {"priority": 0, "burst": 7}}')
    assert run("add", "ann", "--tier", "gold")[0] == 0


def test_a_file_that_cannot_be_read_or_written_is_told(run: Run, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("{")
    for args in (["list"], ["add", "ann"], ["revoke", "ann"]):
        code, _, err = run(*args)
        assert code == 1
        assert "is not a file of keys" in err
    file.unlink()
    file.mkdir()
    assert run("list")[0] == 1
    file.rmdir()
    file.parent.rmdir()
    file.parent.write_text("no folder")
    code, out, err = run("add", "ann")
    assert (code, out) == (1, "")
    assert f"{file} cannot be written" in err


def test_only_its_owner_can_read_the_file_and_nothing_is_left_beside_it(run: Run, file: Path) -> None:
    run("add", "ann")
    file.chmod(0o644)
    run("add", "bob")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _add(file, "ann")
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        _add(file, "bob")
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_many_that_add_at_once_lose_none(file: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: _add(file, f"key-{number}"), range(40)))
    assert {key.name for key in read_keys(file)} == {f"key-{number}" for number in range(40)}


GOOD = {"name": "ann", "sha256": "0" * 64, "tier": "standard", "created": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "it: Invalid JSON"),
        ("[]", "it: Input should be an object"),
        (json.dumps({"keys": [GOOD | {"sha256": "tts_secret"}]}), "keys.0.sha256"),
        (json.dumps({"keys": [GOOD | {"color": "red"}]}), "keys.0.color"),
        (json.dumps({"keys": [GOOD | {"created": "2026-01-01T00:00:00"}]}), "keys.0.created"),
        (json.dumps({"keys": [GOOD, GOOD | {"sha256": "1" * 64}]}), "two keys of the same name"),
        (json.dumps({"keys": [GOOD, GOOD | {"name": "bob"}]}), "two keys of the same hash"),
    ],
)
def test_a_broken_file_is_told_and_leaves_the_keys_that_were_there(
    file: Path, store: KeyStore, content: str, told: str
) -> None:
    secret = _add(file, "before")
    store.load()
    file.write_text(content)
    with pytest.raises(KeysError, match=told):
        store.load()
    with pytest.raises(KeysError, match=told):  # and is looked at again: it may be mended without a trace
        store.load()
    assert store.find(secret) is not None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (json.dumps({"keys": [GOOD | {"tier": "gold"}]}), "of tier gold"),
        (json.dumps({"keys": [GOOD | {"limits": {"burst": -1}}]}), "key ann: burst"),
        (json.dumps({"keys": [GOOD | {"limits": {"bursts": 1}}]}), "key ann: bursts"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_at_the_start_and_later_opens_nothing(
    file: Path, store: KeyStore, content: str, told: str
) -> None:
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(KeysError, match=told):
        store.load()
    file.unlink()
    kept, leaked = _add(file, "kept"), _add(file, "leaked")
    store.load()
    assert store.find(leaked) is not None
    keys = [key for key in json.loads(file.read_bytes())["keys"] if key["name"] == "kept"]
    file.write_text(json.dumps({"keys": [*keys, *json.loads(content)["keys"]]}))
    store.load()
    assert store.find(kept) is not None
    assert store.find(leaked) is None


def test_keys_that_could_not_be_read_for_a_moment_are_read_the_next_time(
    file: Path, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = _add(file, "leaked")
    store.load()
    _revoke(file, "leaked")
    with monkeypatch.context() as broken:
        broken.setattr(keys_module, "read_keys", _too_many_files)
        with pytest.raises(KeysError):
            store.load()
    store.load()
    assert store.find(secret) is None


def _too_many_files(_: Path) -> tuple[Key, ...]:
    raise KeysError("too many open files")


def _revoke(file: Path, name: str) -> None:
    with changing(file) as keys:
        keys[:] = [key for key in keys if key.name != name]


def test_a_file_that_goes_away_does_not_open_the_door(file: Path, store: KeyStore) -> None:
    store.load()
    before = store.needed
    assert not before
    secret = _add(file, "ann")
    store.load()
    file.unlink()
    with pytest.raises(KeysError, match="has gone"):
        store.load()
    store.load()
    assert store.needed
    assert store.find(secret) is not None


def test_the_last_key_revoked_does_not_open_the_door(run: Run, store: KeyStore) -> None:
    run("add", "ann")
    run("revoke", "ann")
    store.load()
    assert store.needed
    assert len(store) == 0


async def test_a_running_server_sees_what_changes(
    file: Path, store: KeyStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys_module, "_LOOK_EVERY_S", 0.001)
    loop, looked, load = asyncio.get_running_loop(), asyncio.Event(), store.load

    def load_and_tell() -> None:
        try:
            load()
        finally:
            loop.call_soon_threadsafe(looked.set)

    async def next_look() -> None:
        for _ in range(2):  # one may be under way
            looked.clear()
            await looked.wait()

    monkeypatch.setattr(store, "load", load_and_tell)
    watching = asyncio.create_task(store.watch())
    ann = _add(file, "ann")
    await next_look()
    assert store.find(ann) is not None
    await asyncio.to_thread(file.write_text, "broken")
    await next_look()
    assert store.find(ann) is not None
    # more than once, if it was looked at while it was being written
    assert {record.message for record in caplog.records} == {"keys not read again, the old ones stay"}
    await asyncio.to_thread(file.unlink)
    _add(file, "bob")
    await next_look()
    assert store.find(ann) is None
    watching.cancel()
    await asyncio.wait({watching})


def test_a_file_that_others_may_write_is_warned_of(
    file: Path, store: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    _add(file, "ann")
    file.chmod(0o620)
    store.load()
    assert "others may write the keys" in [record.message for record in caplog.records]
