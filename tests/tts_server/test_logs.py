"""Lines of the log: their two forms, and that nobody waits for whoever reads them."""

from __future__ import annotations

import json
import logging
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tts_server.logs import get_logger, logging_to

log = get_logger("tts_server.some")


@pytest.fixture
def out(tmp_path: Path) -> Iterator[BinaryIO]:
    with (tmp_path / "log").open("w+b") as file:
        yield file


def _lines(out: BinaryIO) -> list[str]:
    out.seek(0)
    return out.read().decode().splitlines()


def _caught() -> KeyError:
    with pytest.raises(KeyError) as caught:
        raise KeyError("lost")
    return caught.value


def _events() -> None:
    log.info("worker ready", engine="standard", worker=0, load_s=0.123456789)
    log.warning("odd", path="/a b", empty="", sign="a=b", lines="a\nb", none=None, yes=True, word="你好")
    log.debug("not told")
    logging.getLogger("aiohttp.server").error("of a %s\nwith two lines", "library")


def test_text_is_for_people(out: BinaryIO) -> None:
    with logging_to(out.fileno(), "info", "text", {}):
        _events()
    stamped = [re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} (.*)", line) for line in _lines(out)]
    assert [found[1] if found else None for found in stamped] == [
        "info    worker ready engine=standard worker=0 load_s=0.123457",
        r'warning odd path="/a b" empty="" sign="a=b" lines="a\nb" none=None yes=True word=你好',
        r"error   of a library\nwith two lines logger=aiohttp.server",
    ]


def test_json_is_for_programs(out: BinaryIO) -> None:
    with logging_to(out.fileno(), "debug", "json", {}):
        log.info("worker ready", worker=0, path="/a b", event="mine")
        logging.getLogger("aiohttp.server").debug("told")
    first, second = map(json.loads, _lines(out))
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "event": "worker ready",
        "logger": "tts_server.some",
        "worker": 0,
        "path": "/a b",
    }
    assert (second["event"], second["logger"]) == ("told", "aiohttp.server")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_error_tells_where(out: BinaryIO, log_format: str) -> None:
    with logging_to(out.fileno(), "info", log_format, {}):
        log.error("job failed", exc_info=_caught(), job=3)
    text = "\n".join(_lines(out))
    assert "job failed" in text
    assert "in _caught" in text
    assert "KeyError: 'lost'" in text


def test_the_journal_gets_priorities_and_no_time(out: BinaryIO) -> None:
    status = os.fstat(out.fileno())
    environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    with logging_to(out.fileno(), "debug", "auto", environ):
        log.info("fine")
        log.debug("finer")
        log.error("bad", exc_info=_caught())
    lines = _lines(out)
    assert lines[:3] == ["<6>fine", "<7>finer", "<3>bad"]
    assert all(line.startswith("<3>") for line in lines[3:])


def test_auto_is_json_unless_a_person_or_the_journal_reads(out: BinaryIO) -> None:
    with logging_to(out.fileno(), "info", "auto", {"JOURNAL_STREAM": "1:2"}):
        log.info("fine")
    assert json.loads(_lines(out)[0])["event"] == "fine"
    ours, theirs = os.openpty()
    with logging_to(theirs, "info", "auto", {}):
        log.info("fine")
    assert os.read(ours, 100).split()[1:] == [b"info", b"fine"]
    os.close(ours)
    os.close(theirs)


def test_logging_is_as_before_afterwards(out: BinaryIO) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    with logging_to(out.fileno(), "error", "text", {}):
        log.warning("not told")
    log.error("not told here")
    assert (root.level, list(root.handlers)) == before
    assert _lines(out) == []


def test_lines_that_nobody_takes_are_dropped_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line fills the pipe and stops the writer; more lines than may wait do not stop who logs them."""
    monkeypatch.setattr("tts_server.logs._WAITING_LINES", 10)
    reader, writer = os.pipe()
    with logging_to(writer, "info", "json", {}):
        log.info("long", filler="x" * 2**20)
        select.select([reader], [], [])  # the writer has taken it and is stuck: nothing else is taken
        for number in range(50):
            log.info("short", number=number)
        with os.fdopen(reader, "rb") as lines:  # the reader wakes up
            assert json.loads(lines.readline())["event"] == "long"
            shorts: list[int] = []
            dropped = 0
            while len(shorts) + dropped < 50:
                line = json.loads(lines.readline())
                if line["event"] == "short":
                    shorts.append(line["number"])
                else:
                    assert line["event"] == "log lines dropped"
                    dropped += line["lines"]
            os.close(writer)
    assert shorts == list(range(10))


_STUCK = """
import os
from tts_server import logs
logs._LAST_WORDS_S = 0.1
reader, writer = os.pipe()
with logs.logging_to(writer, "info", "json", {}):
    logs.get_logger("x").info("long", filler="x" * 2**20)
"""


def test_a_reader_that_sleeps_does_not_keep_the_process_from_ending() -> None:
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", _STUCK], cwd=root, timeout=60, check=False).returncode == 0


def test_a_reader_that_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with logging_to(writer, "info", "json", {}):
        log.info("to nobody")
    os.close(writer)
