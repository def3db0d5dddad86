"""The units, judged by systemd's own tools; their limits on system calls, lived under; their installation."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.deploy.confined import directives
from tests.test_service import ROOT, serving
from tts_server import server, systemd_cli
from tts_server.cli import main
from tts_server.command import Failure
from tts_server.config import Settings
from tts_server.encoding import FORMATS, available
from tts_server.systemd_cli import Run, Write, carry_out, plan, units_dir

SERVICE, USER_SERVICE, SOCKET = (units_dir() / f"tts-server.{kind}" for kind in ("service", "user.service", "socket"))
COMMAND = ("/bin/true",)

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def units(folder: Path, *, user: bool) -> list[Path]:
    """As an installation would write them, in that folder."""
    steps = [step for step in plan(COMMAND, user=user, socket=True, environ={"HOME": "/h"}) if isinstance(step, Write)]
    written = [Write(folder / step.path.name, step.content) for step in steps]
    for step in written:
        carry_out(step)
    return [step.path for step in written if step.path.suffix != ".env"]


@needs_systemd
@pytest.mark.parametrize("user", [False, True], ids=["system", "user"])
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path, user: bool) -> None:
    command = ["systemd-analyze", "verify", "--man=no", *(["--user"] if user else [])]
    environ = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    told = subprocess.run(
        [*command, *units(tmp_path, user=user)], capture_output=True, text=True, check=False, env=environ
    )
    ours = [line for line in told.stderr.splitlines() if "tts-server" in line]
    assert (told.returncode, ours) == (0, [])


@needs_systemd
def test_its_exposure_is_low_and_what_remains_is_explained() -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", str(SERVICE)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout
    against = re.findall(r"^✗ (\w+)=", told.stdout, re.MULTILINE)
    reasons = SERVICE.read_text(encoding="utf-8").partition("still counts against it")[2]
    assert against
    assert [name for name in against if name not in reasons] == []


def is_confined(pid: int) -> bool:
    return "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")


@needs_systemd
async def test_it_speaks_in_every_format_with_no_more_system_calls_than_the_unit_allows(
    voices_dir: Path, tmp_path: Path
) -> None:
    confined = (sys.executable, "-m", "tests.deploy.confined", str(SERVICE))
    with serving(voices_dir, tmp_path, before=confined) as running:
        assert is_confined(running.process.pid)
        nice = [worker for worker in running.workers() if worker.nice() == Settings().worker_nice]
        assert [len(worker.cpu_affinity()) for worker in nice] == [1, 1], "two workers, each on a core"
        async with aiohttp.ClientSession(running.url) as session:
            for audio_format in FORMATS:
                if available(audio_format):
                    continue
                async with session.post("/api/tts", json={"text": "你好。Hello.", "format": audio_format}) as answer:
                    content = await answer.read()
                    assert answer.status == 200, content
            async with session.get("/metrics") as answer:
                assert 'kind="pss"' in await answer.text(), "it may not look at its own workers"
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait() == 0


@needs_systemd
def test_short_slices_may_be_asked_for() -> None:
    tried = "from inference import slices; print(slices.length_ns() == 0 or slices.shorten())"
    command = [sys.executable, "-m", "tests.deploy.confined", str(SERVICE), sys.executable, "-c", tried]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "True\n"


@needs_systemd
def test_the_filter_does_refuse() -> None:
    tried = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
    command = [sys.executable, "-m", "tests.deploy.confined", str(SERVICE), sys.executable, "-c", tried]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "PermissionError" in told.stderr
    tried = "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"
    told = subprocess.run([*command[:-1], tried], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "PermissionError" in told.stderr


@pytest.mark.parametrize("unit", [SERVICE, USER_SERVICE], ids=["system", "user"])
def test_systemd_is_more_patient_than_the_server(unit: Path) -> None:
    told, settings = dict(directives(unit)), Settings()
    assert float(told["TimeoutStopSec"]) > settings.drain_s + server._CLOSE_S + server._STOP_S
    assert float(told["TimeoutStartSec"]) > settings.start_timeout_s
    assert float(told["WatchdogSec"]) > 2 * settings.hang_s, "a hung worker is the server's to replace"
    assert told["KillMode"] == "mixed", "else workers are told to stop while the server still needs them"


def test_both_services_allow_the_same_calls() -> None:
    def filters(unit: Path) -> list[tuple[str, str]]:
        return [line for line in directives(unit) if line[0].startswith(("SystemCall", "Restrict"))]

    system = [line for line in filters(SERVICE) if line in filters(USER_SERVICE)]
    assert system == filters(USER_SERVICE) == filters(SERVICE)


def test_the_socket_is_where_the_server_would_listen() -> None:
    assert dict(directives(SOCKET))["ListenStream"] == f"{Settings().host}:{Settings().port}"


@pytest.mark.parametrize(
    ("user", "socket", "files", "runs"),
    [
        (
            False,
            False,
            ["/etc/tts-server/tts-server.env", "/etc/systemd/system/tts-server.service"],
            ["daemon-reload", "enable tts-server.service", "restart tts-server.service"],
        ),
        (
            True,
            True,
            [
                "/h/.config/tts-server/tts-server.env",
                "/h/.config/systemd/user/tts-server.service",
                "/h/.config/systemd/user/tts-server.socket",
            ],
            [
                "--user daemon-reload",
                "--user enable tts-server.socket tts-server.service",
                "--user stop tts-server.service",
                "--user restart tts-server.socket",
                "--user restart tts-server.service",
            ],
        ),
    ],
)
def test_an_installation_is_a_list_of_steps(user: bool, socket: bool, files: list[str], runs: list[str]) -> None:
    steps = plan(("/opt/my venv/tts", "100%"), user=user, socket=socket, environ={"HOME": "/h"})
    assert [str(step.path) for step in steps if isinstance(step, Write)] == files
    assert [" ".join(step.command) for step in steps if isinstance(step, Run)] == [f"systemctl {run}" for run in runs]
    service = next(step for step in steps if isinstance(step, Write) and step.path.suffix == ".service")
    assert '\nExecStart="/opt/my venv/tts" 100%% serve\n' in service.content


def test_the_users_own_folder_is_obeyed() -> None:
    first = plan(COMMAND, user=True, socket=False, environ={"HOME": "/h", "XDG_CONFIG_HOME": "/c"})[0]
    assert isinstance(first, Write)
    assert str(first.path) == "/c/tts-server/tts-server.env"


def test_settings_of_the_administrator_stay(tmp_path: Path) -> None:
    file = tmp_path / "new/tts-server.env"
    carry_out(Write(file, "first", keep=True))
    carry_out(Write(file, "second", keep=True))
    assert file.read_text() == "first"
    carry_out(Write(file, "third"))
    assert file.read_text() == "third"


def test_what_cannot_be_done_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="cannot be written"):
        carry_out(Write(tmp_path / "file/unit", ""))
    with pytest.raises(Failure, match="false did not work"):
        carry_out(Run(("false",)))
    with pytest.raises(Failure, match="nowhere-to-be-found did not work"):
        carry_out(Run(("nowhere-to-be-found",)))


def test_a_dry_run_shows_it_all_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["systemd", "install", "--user", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert f"write {tmp_path}/systemd/user/tts-server.service" in shown
    assert "    Type=notify" in shown
    assert "run   systemctl --user restart tts-server.service" in shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["/home/me/tts", "/root/venv/bin/tts-server", "/tmp/x/run.py"])  # noqa: S108
def test_a_program_that_the_service_would_not_see_is_not_installed(
    place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(systemd_cli, "_this_command", lambda: (place,))
    assert main(["systemd", "install"]) == 1
    told = capsys.readouterr().err
    assert f"{place} is in" in told
    assert "--user" in told
