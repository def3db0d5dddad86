"""`python -m bench engine …` is `tts-server bench engine …`, and so for the others."""

import sys

from tts_server.cli import main

if __name__ == "__main__":  # measuring processes are spawned and import this file again
    raise SystemExit(main(["bench", *sys.argv[1:]]))
