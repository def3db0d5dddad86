"""`run.py serve` as a page has it, for as long as it takes to begin: its flags are right, and it serves."""

from __future__ import annotations

import signal
import subprocess
import sys


def main() -> int:
    """Start it at a free port; when it serves, end it as systemd does. Its exit code."""
    command = [sys.executable, *sys.argv[1:]]
    if "--help" not in command:
        command += ["--port", "0", "--log-format", "text", "--start-timeout-s", "120"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            print(line, end="", file=sys.stderr)
            if "serving url=" in line:
                process.send_signal(signal.SIGTERM)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
