"""Logs: one line for each event, with its facts as fields, written by a thread so that nobody waits for a terminal.

    log = get_logger(__name__)
    log.info("worker ready", engine="standard", worker=0, pid=4711)

is `12:00:01.123 info    worker ready engine=standard worker=0 pid=4711` as text. Events are constant words, for
searching; what varies is a field. The text that users send is never logged.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final

import orjson

Value = str | int | float | bool | None

_FIELDS: Final = "tts_fields"  # where a record carries them
_WAITING_LINES: Final = 10_000
"""Lines that may wait for a slow reader: some seconds of the busiest log, a few MB. More are dropped, and counted."""
_GATHER_S: Final = 0.01
"""What a line waits for others to be written with it: to wake for each would take the event loop's time."""
_GATHERED: Final = 256
_LAST_WORDS_S: Final = 2.0
"""How long the end of the process waits for the lines that are left: the reader may have gone."""
_PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # syslog's, for the journal


class _Event(logging.LogRecord):
    """A record without what nobody reads: to find out its file, line, thread and process takes longer than the rest."""

    _BLANK: Final = dict(vars(logging.LogRecord("", logging.NOTSET, "", 0, "", None, None)))

    def __init__(
        self,
        name: str,
        level: int,
        event: str,
        error: tuple[type[BaseException], BaseException, types.TracebackType | None] | None,
        fields: dict[str, Value],
    ) -> None:
        vars(self).update(self._BLANK)
        self.name, self.msg = name, event
        self.levelno, self.levelname = level, logging.getLevelName(level)
        self.exc_info = error
        self.created = now_s = time.time()
        self.msecs = now_s % 1 * 1000
        self.tts_fields = fields


class Logger:
    """Logs events of one module."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **fields: Value) -> None:
        """For who works on the server."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: Value) -> None:
        """What a day is told by."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: Value) -> None:
        """Something is amiss that the server deals with."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, /, *, exc_info: BaseException | None = None, **fields: Value) -> None:
        """Something failed; `exc_info` adds where."""
        self._log(logging.ERROR, event, fields, exc_info)

    def _log(self, level: int, event: str, fields: dict[str, Value], exc_info: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            error = (type(exc_info), exc_info, exc_info.__traceback__) if exc_info else None
            self._logger.handle(_Event(self._logger.name, level, event, error, fields))


def get_logger(name: str) -> Logger:
    """The logger of a module: `get_logger(__name__)`."""
    return Logger(logging.getLogger(name))


@contextmanager
def logging_to(fd: int, level: str, log_format: str, environ: Mapping[str, str]) -> Iterator[None]:
    """Write what is logged, by whomever in this process, to the file descriptor. `log_format` is text, json or auto."""
    journal = _is_journal(fd, environ.get("JOURNAL_STREAM", ""))
    if log_format == "auto":
        log_format = "text" if journal or os.isatty(fd) else "json"
    # What records of others would note of their thread and process, nobody reads.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    lines = _Lines()
    writer = _Writer(fd, TextFormatter(journal=journal) if log_format == "text" else JsonFormatter(), lines)
    root = logging.getLogger()
    before = root.level
    root.setLevel(level.upper())
    root.addHandler(lines)
    writer.start()
    try:
        yield
    finally:
        root.removeHandler(lines)
        root.setLevel(before)
        lines.end()
        writer.join(_LAST_WORDS_S)


class TextFormatter(logging.Formatter):
    """For people: time, level, event, fields. In systemd's journal, which knows the time, `<priority>` instead."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """A line, and one for each line of a traceback."""
        level = record.levelname.lower()
        fields = "".join(f" {name}={_plain(value)}" for name, value in _fields(record).items())
        where = "" if hasattr(record, _FIELDS) else f" logger={record.name}"
        line = f"{_one_line(record.getMessage())}{fields}{where}"
        traceback = self.formatException(record.exc_info).splitlines() if record.exc_info else []
        if self._journal:  # an entry for each line, so each needs the priority
            return "\n".join(f"<{_PRIORITIES.get(level, 5)}>{part}" for part in (line, *traceback))
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        return "\n".join((f"{clock} {level:7} {line}", *traceback))


class JsonFormatter(logging.Formatter):
    """For programs: one object to a line."""

    def __init__(self) -> None:
        super().__init__()
        self._second, self._clock = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        """A line."""
        line = {
            "time": self._time(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(_fields(record) | line, default=str).decode()

    def _time(self, now_s: float) -> str:
        """As `datetime.isoformat` writes it, which is asked once a second."""
        second, millisecond = divmod(int(now_s * 1000), 1000)
        if second != self._second:
            self._second, self._clock = second, datetime.fromtimestamp(second, UTC).isoformat()[: -len("+00:00")]
        return f"{self._clock}.{millisecond:03}+00:00"


class _Lines(logging.Handler):
    """Records on their way to the writer."""

    def __init__(self) -> None:
        super().__init__()
        self._records: queue.SimpleQueue[logging.LogRecord | None] = queue.SimpleQueue()
        self.dropped = 0

    def createLock(self) -> None:  # noqa: N802  (logging's name)
        self.lock = None  # the queue has its own, which even a finaliser may take that runs in the middle of a put

    def handle(self, record: logging.LogRecord) -> bool:
        """As logging's own, which from Python 3.13 on insists on the lock."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        if self._records.qsize() < _WAITING_LINES:
            self._records.put(record)
        else:
            self.dropped += 1  # waiting instead would stop the event loop

    def end(self) -> None:
        """Nothing comes after what is there."""
        self._records.put(None)

    def take(self) -> list[logging.LogRecord | None]:
        """The next records; waits for the first, and a moment for others. None is the end."""
        records = [self._records.get()]
        if records[0] is not None:
            time.sleep(_GATHER_S)
            with suppress(queue.Empty):
                while records[-1] is not None and len(records) < _GATHERED:
                    records.append(self._records.get_nowait())
        return records


class _Writer(threading.Thread):
    """Writes lines to a file descriptor. Past sys.stderr: at exit, its lock would be waited for if this is stuck."""

    def __init__(self, fd: int, formatter: logging.Formatter, lines: _Lines) -> None:
        super().__init__(name="logs", daemon=True)
        self._fd = fd
        self._formatter = formatter
        self._lines = lines

    def run(self) -> None:
        told = 0
        ended = False
        while not ended:
            records = self._lines.take()
            ended = records[-1] is None
            lines = [self._line(record) for record in records if record is not None]
            dropped = self._lines.dropped
            if dropped > told:
                lost = _Event(__name__, logging.WARNING, "log lines dropped", None, {"lines": dropped - told})
                told = dropped
                lines.append(self._line(lost))
            self._write("".join(lines))

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return f"{self._formatter.format(record)}\n"
        except Exception as error:  # noqa: BLE001  (one bad record of some library must not end all logs)
            return f"a log record of {record.name} cannot be written: {error!r}\n"

    def _write(self, lines: str) -> None:
        left = memoryview(lines.encode(errors="backslashreplace"))
        with suppress(OSError):  # where logs went may not be there any more, and there is nobody to tell
            while left:
                left = left[os.write(self._fd, left) :]


def _fields(record: logging.LogRecord) -> dict[str, Value]:
    fields: dict[str, Value] = getattr(record, _FIELDS, {})
    return fields


def _plain(value: Value) -> str:
    """A value as it is, if one can see where it ends; else in quotes."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if text.isprintable() and text and not set(text) & set(' "=') else orjson.dumps(text).decode()


def _one_line(text: str) -> str:
    return text if text.isprintable() else orjson.dumps(text).decode()[1:-1]


def _is_journal(fd: int, stream: str) -> bool:
    """Whether the descriptor is the stream that systemd connected to its journal (sd-journal, $JOURNAL_STREAM)."""
    status = os.fstat(fd)
    return stream == f"{status.st_dev}:{status.st_ino}"
