"""`tts-server systemd install`: the unit of deploy/systemd with this installation's command in it, written and enabled.

What is to be done is a list of steps first, so that `--dry-run` shows exactly what would happen.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tts_server.command import DONE, Failure

UNIT: Final = "tts-server"
ENVIRONMENT_FILE: Final = Path("/etc/tts-server/tts-server.env")
_COMMAND: Final = "/opt/tts-server/bin/tts-server"
"""What stands for the command in the units as they are in the repository; it is also where their advice puts it."""
_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  (where the unit must not be)
"""What a hardened unit does not see: ProtectHome and PrivateTmp."""
_PATIENCE_S: Final = 300
"""For systemctl, which waits until the server has spoken: TimeoutStartSec, and some more."""

_ENVIRONMENT: Final = """\
# Settings of tts-server as systemd starts it: TTS_… for each one that `tts-server config` lists.
# In force after: systemctl restart tts-server
#TTS_HOST=0.0.0.0
#TTS_REDIS_URL=redis://127.0.0.1:6379/0
#TTS_ADMIN_PORT=8009
"""


@dataclass(frozen=True, slots=True)
class Write:
    """A file to write; `keep`: unless it is there, for then it is the administrator's."""

    path: Path
    content: str
    keep: bool = False

    def __str__(self) -> str:
        return f"write {self.path}"


@dataclass(frozen=True, slots=True)
class Run:
    """A program to run."""

    command: tuple[str, ...]

    def __str__(self) -> str:
        return f"run   {' '.join(self.command)}"


def add_parser(commands: Any) -> None:  # noqa: ANN401  (argparse hides the type)
    """The command with its one action."""
    systemd = commands.add_parser("systemd", help="have systemd run `serve`", description="Have systemd run `serve`.")
    actions = systemd.add_subparsers(metavar="ACTION", required=True)
    install = actions.add_parser(
        "install",
        help="write, enable and start the unit",
        description="Write the unit for this installation, enable it and start it; told step by step.",
    )
    install.add_argument("--user", action="store_true", help="for you alone, by your own systemd, without root")
    install.add_argument(
        "--socket",
        action="store_true",
        help="let systemd hold 127.0.0.1:8000, so that callers wait during a restart instead of being refused",
    )
    install.add_argument("--dry-run", action="store_true", help="show the steps and the unit, and do nothing")
    install.set_defaults(run=_install)


def _install(args: argparse.Namespace) -> int:
    command = _this_command()
    if not args.user:
        _check_visible(command)
    steps = plan(command, user=args.user, socket=args.socket, environ=os.environ)
    if args.dry_run:
        for step in steps:
            print(step)
            if isinstance(step, Write):
                print("".join(f"    {line}\n" for line in step.content.splitlines()), end="")
        return DONE
    if not args.user and os.geteuid() != 0:
        raise Failure("the system's units are root's to write: use sudo, or --user for a unit of your own")
    if shutil.which("systemctl") is None:
        raise Failure("there is no systemctl here; run `tts-server serve` by what starts services on this machine")
    for step in steps:
        print(step, flush=True)
        carry_out(step)
    scope = "--user " if args.user else ""
    print(f"it serves; systemctl {scope}status {UNIT} shows how it is, journalctl {scope}-u {UNIT} what it says")
    return DONE


def plan(command: Sequence[str], *, user: bool, socket: bool, environ: Mapping[str, str]) -> list[Write | Run]:
    """The steps of an installation that `command` starts."""
    systemctl = ("systemctl", "--user") if user else ("systemctl",)
    if user:
        config = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".config")
        folder, environment = config / "systemd/user", config / "tts-server/tts-server.env"
    else:
        folder, environment = Path("/etc/systemd/system"), ENVIRONMENT_FILE
    steps: list[Write | Run] = [
        Write(environment, _ENVIRONMENT, keep=True),
        Write(folder / f"{UNIT}.service", _unit("user.service" if user else "service", command)),
    ]
    units = [f"{UNIT}.service"]
    if socket:
        steps.append(Write(folder / f"{UNIT}.socket", _unit("socket", command)))
        units.insert(0, f"{UNIT}.socket")
    steps += [Run((*systemctl, "daemon-reload")), Run((*systemctl, "enable", *units))]
    if socket:
        steps.append(Run((*systemctl, "stop", units[-1])))  # a socket cannot start under a server that runs without it
    # not `enable --now`: a server that runs already must be replaced by what was installed now
    return [*steps, *(Run((*systemctl, "restart", unit)) for unit in units)]


def carry_out(step: Write | Run) -> None:
    """Do it; Failure says why that was not possible."""
    if isinstance(step, Run):
        try:
            subprocess.run(step.command, check=True, timeout=_PATIENCE_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise Failure(
                f"{' '.join(step.command)} did not work ({error}); journalctl -u {UNIT} may tell why"
            ) from error
        return
    if step.keep and step.path.exists():
        return
    try:
        step.path.parent.mkdir(parents=True, exist_ok=True)
        step.path.write_text(step.content, encoding="utf-8")
    except OSError as error:
        raise Failure(f"{step.path} cannot be written: {error.strerror}") from error


def units_dir() -> Path:
    """Where the units are: within an installed package, or in a checkout."""
    here = Path(__file__).resolve().parent
    return next(folder for folder in (here / "units", here.parent / "deploy/systemd") if folder.is_dir())


def _unit(kind: str, command: Sequence[str]) -> str:
    text = (units_dir() / f"{UNIT}.{kind}").read_text(encoding="utf-8")
    return text.replace(f"ExecStart={_COMMAND}", f"ExecStart={' '.join(map(_quoted, command))}")


def _quoted(word: str) -> str:
    """As systemd.service(5) reads it."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if set(word) & set(" '\";") else word


def _this_command() -> tuple[str, ...]:
    """What starts this very program: the console script beside the interpreter, else the checkout's run.py."""
    script = Path(sys.executable).parent / "tts-server"
    if script.exists():
        return (str(script),)
    return (sys.executable, str(Path(__file__).resolve().parent.parent / "run.py"))


def _check_visible(command: Sequence[str]) -> None:
    needed = [*map(Path, command), Path(sys.executable).resolve(), Path(__file__).resolve()]
    for path in needed:
        if hidden := next((folder for folder in _HIDDEN if path.is_relative_to(folder)), None):
            raise Failure(
                f"{path} is in {hidden}, which the service cannot see: it runs as a user of its own, without a "
                "home. Install it for all (python3 -m venv /opt/tts-server; /opt/tts-server/bin/pip install .; "
                "/opt/tts-server/bin/tts-server systemd install), or use --user"
            )
