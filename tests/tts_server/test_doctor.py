"""Doctor: every check as a table of facts, the facts from files made for it, and the command on this machine."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.tts_server.redis_server import needs_redis, redis_server
from tts_server import doctor, doctor_facts
from tts_server.cli import main
from tts_server.doctor import Clock, Finding, Redis
from tts_server.keys import digest

GOOD = Clock(2026, 1e-9, "tsc", synchronised=True)
WELL = Redis(0.3, "7.2.4", 1 << 30, "allkeys-lru", appendonly=False)


@pytest.mark.parametrize(
    ("finding", "level", "says"),
    [
        (doctor.check_cores(8, 8, math.inf, 8, 1), "ok", "8 of 8 usable; 8 to each engine"),
        (doctor.check_cores(2, 8, 1.5, 1, 1), "ok", "time for 1.5 of them"),
        (doctor.check_cores(8, 8, 0.5, 1, 1), "warn", "a whole core or more"),
        (doctor.check_cores(4, 4, math.inf, 9, 1), "warn", "or to 4"),
        (doctor.check_cores(4, 4, 2.0, 4, 1), "warn", "or to 2"),
        (doctor.check_cores(9, 9, math.inf, 3, 3), "ok", "3 to each engine"),
        (doctor.check_cores(9, 9, math.inf, 9, 3), "warn", "or to 3"),
        (doctor.check_cores(1, 1, math.inf, 1, 3), "ok", "1 of 1"),
        (doctor.check_processor("Xeon", "x86_64", {"avx2", "avx512f", "avx512_vnni"}), "ok", "AVX-512 VNNI"),
        (doctor.check_processor("Core", "x86_64", {"avx2", "avx_vnni"}), "ok", "AVX-VNNI"),
        (doctor.check_processor("Old Xeon", "x86_64", {"avx2", "avx512f"}), "warn", "AVX-512, no VNNI"),
        (doctor.check_processor("Zen 2", "x86_64", {"avx2"}), "warn", "AVX2, no VNNI"),
        (doctor.check_processor("qemu64", "x86_64", {"sse2"}), "warn", "cpu type `host`"),
        (doctor.check_processor("Graviton", "aarch64", {"asimddp"}), "ok", "dot products"),
        (doctor.check_processor("A53", "aarch64", set()), "warn", "ARMv8.2"),
        (doctor.check_processor("C910", "riscv64", set()), "warn", "bench engine"),
        (doctor.check_memory(4096, math.inf, 4, 256), "ok", "4096 MiB available, 1152 wanted"),
        (doctor.check_memory(1000, 1024, 4, 256), "warn", "(limit 1024)"),
        (doctor.check_memory(500, 512, 4, 256), "fail", "again and again"),
        (doctor.check_shared_memory(64 << 20, 20 << 20), "ok", "64 MiB free, 20 are needed"),
        (doctor.check_shared_memory(64 << 20, 80 << 20), "fail", "--shm-size 160m"),
        (doctor.check_shared_memory(64 << 20, 40 << 20, 20 << 20), "ok", "64 MiB free, 60 are needed"),
        (doctor.check_shared_memory(64 << 20, 40 << 20, 40 << 20), "warn", "no workers of their own"),
        (doctor.check_shared_memory(64 << 20, 80 << 20, 80 << 20), "fail", "--shm-size 320m"),
        (doctor.check_voice("light", "", 700.0), "ok", "700 times"),
        (doctor.check_voice("light", "", 7.0), "warn", "what else runs"),
        (doctor.check_voice("light", "it is damaged", 0.0), "fail", "it is damaged"),
        (doctor.check_redis(None), "ok", "none configured"),
        (doctor.check_redis("Connection refused"), "warn", "counts and caches for itself"),
        (doctor.check_redis(WELL), "ok", "maxmemory 1024 MiB, allkeys-lru"),
        (doctor.check_redis(Redis(9.0, "7", 1, "allkeys-lru", appendonly=False)), "warn", "put it nearer"),
        (doctor.check_redis(Redis(0.3, "7", 0, "volatile-lru", appendonly=False)), "warn", "set maxmemory:"),
        (doctor.check_redis(Redis(0.3, "7", 1, "noeviction", appendonly=False)), "warn", "allkeys-lru"),
        (doctor.check_redis(Redis(0.3, "7", 1, "allkeys-lfu", appendonly=True)), "warn", "appendonly no"),
        (doctor.check_traces(None, "", installed=True), "ok", "no collector is named"),
        (doctor.check_traces("http://c:4318", "", installed=True), "ok", "go to http://c:4318"),
        (doctor.check_traces("http://c:4318", "", installed=False), "warn", "tts-server[otel]"),
        (doctor.check_traces("http://c:4317", "Connection refused", installed=True), "warn", "port 4318"),
        (doctor.check_port("h:1", "", answered=False), "ok", "h:1 is free"),
        (doctor.check_port("h:1", "port 1 is in use", answered=True), "ok", "a tts-server that answers"),
        (doctor.check_port("h:1", "port 1 is in use", answered=False), "fail", "port 1 is in use"),
        (doctor.check_door("", 0, local=True, anonymous=False), "ok", "let in without"),
        (doctor.check_door("", 3, local=False, anonymous=False), "ok", "keys: 3"),
        (doctor.check_door("", 0, local=False, anonymous=True), "ok", "strangers"),
        (doctor.check_door("", 0, local=False, anonymous=False), "fail", "keys add"),
        (doctor.check_door("not a file of keys", 0, local=True, anonymous=False), "fail", "not a file of keys"),
        (doctor.check_clock(GOOD), "ok", "synchronised; source tsc"),
        (doctor.check_clock(Clock(2026, 1e-9, "", synchronised=None)), "ok", "nobody says"),
        (doctor.check_clock(Clock(2026, 1e-9, "tsc", synchronised=False)), "warn", "chrony"),
        (doctor.check_clock(Clock(2026, 1e-9, "hpet", synchronised=True)), "warn", "clocksource=tsc"),
        (doctor.check_clock(Clock(2026, 0.004, "tsc", synchronised=True)), "warn", "high resolution"),
        (doctor.check_clock(Clock(1970, 1e-9, "tsc", synchronised=True)), "fail", "the year 1970"),
        (doctor.check_open_files(math.inf, 4000), "ok", "up to inf"),
        (doctor.check_open_files(1024, 4000), "warn", "4512 or more"),
        (doctor.check_open_files(256, 4000), "fail", "4512 or more"),
        (doctor.check_state_folder("/s", "", 9000.0, 512), "ok", "9000 MiB free"),
        (doctor.check_state_folder("/s", "", 500.0, 512), "warn", "no job is accepted"),
        (doctor.check_state_folder("/s", "Read-only file system", 0.0, 512), "fail", "--state-dir"),
        (doctor.check_cache_folder("/c", ""), "ok", "/c"),
        (doctor.check_cache_folder("/c", "Permission denied"), "warn", "Permission denied"),
        (doctor.check_ffmpeg("/usr/bin/ffmpeg"), "ok", "/usr/bin/ffmpeg"),
        (doctor.check_ffmpeg(None), "ok", "aac is refused"),
        (doctor.check_variables(()), "ok", "known"),
        (doctor.check_variables(("TTS_PROT; did you mean TTS_PORT?",)), "warn", "did you mean TTS_PORT"),
    ],
)
def test_what_the_facts_come_to(finding: Finding, level: str, says: str) -> None:
    assert finding.level == level
    assert says in f"{finding.found}; {finding.advice}"
    assert bool(finding.advice) == (level != "ok"), "who is told that something is wrong is told what to do"


@pytest.mark.parametrize(
    ("levels", "all_together"), [(["ok"], "ok"), (["ok", "warn"], "warn"), (["warn", "fail", "ok"], "fail"), ([], "ok")]
)
def test_the_worst_counts(levels: list[doctor.Level], all_together: str) -> None:
    assert doctor.worst([Finding("x", level, "y") for level in levels]) == all_together


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "limit_mib", "available_mib"),
    [
        ({}, math.inf, None),
        ({"sys/fs/cgroup/memory.max": "max\n"}, math.inf, None),
        ({"sys/fs/cgroup/a/memory.max": "104857600", "sys/fs/cgroup/a/memory.current": "52428800"}, 100, 50),
        ({"sys/fs/cgroup/memory.max": "1048576", "sys/fs/cgroup/a/memory.max": "max"}, 1, 1),
        ({"sys/fs/cgroup/a/memory.max": "1048576", "sys/fs/cgroup/a/memory.current": "9999999"}, 1, 0),
    ],
)
def test_a_containers_memory_is_what_it_may_have(
    tmp_path: Path, files: dict[str, str], limit_mib: float, available_mib: float | None
) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/a\n", **files})
    available, limit = doctor_facts.memory_mib(root)
    assert limit == limit_mib
    assert available == available_mib if available_mib is not None else available > 0


def test_the_same_with_version_1_of_control_groups(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory/b"
    files = {f"{group}/memory.limit_in_bytes": "2097152", f"{group}/memory.usage_in_bytes": "1048576"}
    above = {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}
    root = write(tmp_path, {"proc/self/cgroup": "4:memory:/b\n", **files, **above})
    assert doctor_facts.memory_mib(root) == (1, 2)


def test_the_processor_is_as_the_kernel_lists_it(tmp_path: Path) -> None:
    listed = "processor : 0\nmodel name : Zen 4\nflags : sse avx2 avx512_vnni\n\nprocessor : 1\nmodel name : other\n"
    name, _, flags = doctor_facts.processor(write(tmp_path, {"cpuinfo": listed}) / "cpuinfo")
    assert name == "Zen 4"
    assert flags == frozenset({"sse", "avx2", "avx512_vnni"})
    assert doctor_facts.processor(tmp_path / "nothing")[2] == frozenset()


def test_this_machine_has_a_clock() -> None:
    clock = doctor_facts.clock()
    assert clock.year >= 2025
    assert 0 < clock.resolution_s < 1


def findings(capsys: pytest.CaptureFixture[str], *options: str | Path) -> tuple[int, dict[str, dict[str, str]]]:
    code = main(["doctor", "--json", *map(str, options)])
    told = json.loads(capsys.readouterr().out)
    assert (code == 1) == (told["level"] == "fail")
    return code, {finding["name"]: finding for finding in told["findings"]}


@pytest.fixture
def here(voices_dir: Path, tmp_path: Path) -> tuple[str | Path, ...]:
    options = ("--voices-dir", voices_dir, "--engines", "standard", "--port", "0", "--workers", "1")
    return (*options, "--state-dir", tmp_path / "state", "--cache-bytes", "0")


def test_this_machine_is_looked_at(here: tuple[str | Path, ...], capsys: pytest.CaptureFixture[str]) -> None:
    _, found = findings(capsys, *here)
    assert list(found) == [
        *("settings", "cores", "processor", "memory", "shared memory", "open files", "clock", "state folder"),
        *("cache folder", "door", "port", "redis", "ffmpeg", "traces", "voice standard"),
    ]
    for name in ("cores", "state folder", "cache folder", "door", "port", "redis"):
        assert found[name]["level"] == "ok", found[name]
    assert "times as fast" in found["voice standard"]["found"]
    assert not (Path(here[-3])).exists(), "looking makes nothing"


@pytest.mark.parametrize(
    ("keys", "asked", "workers"), [(False, (), 1), (True, (), 2), (True, (3,), 4), (True, (0,), 1)]
)
def test_express_workers_count(
    here: tuple[str | Path, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    keys: bool,
    asked: tuple[int, ...],
    workers: int,
) -> None:
    file = tmp_path / "keys.json"
    if keys:
        file.write_text("{}")
    options = [option for count in asked for option in ("--express-workers", str(count))]
    _, found = findings(capsys, *here, "--keys-file", file, *options)
    assert f"wanted for {workers} workers" in found["memory"]["found"]
    assert f"{5 * workers} are needed" in found["shared memory"]["found"]


@pytest.mark.parametrize("there", [True, False])
def test_a_collector_is_looked_for(
    here: tuple[str | Path, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as collector:
        url = f"http://127.0.0.1:{collector.getsockname()[1]}"
        if not there:
            collector.close()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        _, found = findings(capsys, *here)
    assert found["traces"]["found"] == (f"go to {url}" if there else f"{url} is not reached: Connection refused")


def test_as_text_advice_stands_below(here: tuple[str | Path, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *map(str, here), "--host", "0.0.0.0"]) == 1  # noqa: S104
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("fail  door"))
    assert "-> make one with `tts-server keys add NAME`" in lines[at + 1]
    assert lines[-1] == "it will not serve as it is"


def test_what_is_wrong_is_all_told_at_once(
    here: tuple[str | Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_PROT", "1")
    keys = tmp_path / "keys.json"
    keys.write_text("{}")
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = ("--port", str(taken.getsockname()[1]), "--keys-file", keys, "--state-dir", tmp_path / "file/state")
        redis = ("--redis-url", "redis://127.0.0.1:1/0", "--cores", "4095", "--engines", "nobody")
        code, found = findings(capsys, *here, *wrong, *redis)
    assert code == 1
    assert {name for name, finding in found.items() if finding["level"] == "fail"} == {
        *("cores", "state folder", "door", "port", "voice nobody"),
    }
    assert found["settings"]["level"] == found["redis"]["level"] == "warn", "without them it serves all the same"
    assert "TTS_PORT" in found["settings"]["found"]


def test_a_cache_that_others_can_write_is_not_used(
    here: tuple[str | Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    _, found = findings(capsys, *here, "--cache-dir", cache)
    assert found["cache folder"]["level"] == "warn"


def test_keys_are_counted(here: tuple[str | Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = {"name": "alice", "sha256": digest("secret"), "tier": "vip", "created": "2026-01-01T00:00:00Z"}
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [key]}))
    _, found = findings(capsys, *here, "--keys-file", tmp_path / "keys.json", "--host", "0.0.0.0")  # noqa: S104
    assert found["door"] == {"name": "door", "level": "ok", "found": "keys: 1", "advice": ""}


class _Alive(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"live":true}')

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def alive() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Alive) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_port_that_a_server_of_ours_holds_is_no_trouble(
    alive: int, here: tuple[str | Path, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = findings(capsys, *here, "--port", str(alive))
    assert found["port"]["found"] == f"127.0.0.1:{alive} is held by a tts-server that answers"


@needs_redis
@pytest.mark.parametrize(
    ("options", "level"),
    [
        (("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"), "ok"),
        (("--appendonly", "yes"), "warn"),
    ],
)
def test_redis_is_asked_how_it_is(
    options: tuple[str, ...],
    level: str,
    here: tuple[str | Path, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with redis_server(tmp_path, *options) as redis:
        _, found = findings(capsys, *here, "--redis-url", redis.url)
    assert found["redis"]["level"] == level, found["redis"]
    assert (level == "warn") == ("appendonly no" in found["redis"]["advice"])


def test_a_folder_that_cannot_be_made_is_told(here: tuple[str | Path, ...], capsys: pytest.CaptureFixture[str]) -> None:
    _, found = findings(capsys, *here, "--state-dir", "/proc/state")
    assert found["state folder"]["level"] == "fail"
