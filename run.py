"""The door of a source checkout: `python run.py say …` is the console script `tts-server say …`."""

from tts_server.cli import main

if __name__ == "__main__":  # processes of the bench are spawned and import this file again
    raise SystemExit(main())
