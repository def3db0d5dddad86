"""The command line: `serve`, `config`, `openapi`, `doctor`, `keys`, `systemd`, `say`, `voices`, `phones`, `bench`.

Exit codes: 0 done, 1 failed, 2 asked for wrongly.

Each command loads what it needs when it runs, so that `--help` and a typing error answer at once.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inference.utterance import ENERGY_RANGE, PITCH_RANGE, SPEED_RANGE, Manner
from tts_server import keys_cli, systemd_cli
from tts_server.audio import FORMATS, AudioError, open_audio
from tts_server.bench_cli import add_benches
from tts_server.command import (
    DONE,
    FAILED,
    INTERRUPTED,
    MISUSED,
    Failure,
    UsageError,
    add_pack,
    add_voices_dir,
    check_output,
    checked,
    find_pack,
)
from tts_server.release import version

if TYPE_CHECKING:
    from inference.frontend.lexicon import Lexicon
    from tts_server.config_sources import Effective


_SERVE = """\
Serve speech over HTTP until told to stop. It listens when every worker has
spoken. The first SIGTERM or Ctrl-C lets it finish what it has accepted, the
second ends it at once.

  tts-server serve
  tts-server serve --host 0.0.0.0 --port 80 --workers 4 --cores 0-3
     (which wants a key first: tts-server keys add NAME)
  tts-server serve --engines light,standard --config /etc/tts-server.toml
  TTS_LOG_FORMAT=json tts-server serve

and then, from elsewhere:

  curl http://127.0.0.1:8000/api/tts -H 'Content-Type: application/json' \\
       -d '{"text": "Hello."}' -o hello.wav

Every setting is a flag, a variable (--max-queue-s is TTS_MAX_QUEUE_S) and a
key in a file (max_queue_s = 5). Flags outrank variables, and these the file;
`tts-server config` shows what comes out, docs/configuration.md tells why the
defaults are what they are."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Unicode shows escapes rather than an error
            stream.reconfigure(errors="backslashreplace")
    try:
        asked = sys.argv[1:] if argv is None else list(argv)
        args = _parser(asked[0] if asked else "").parse_args(asked)
        return _run(args)
    except SystemExit as exit_:  # argparse: help is 0, a usage error 2
        return exit_.code if isinstance(exit_.code, int) else MISUSED
    except UsageError as error:
        return _complain(str(error), MISUSED)
    except Failure as error:
        return _complain(str(error), FAILED)
    except BrokenPipeError:  # `… | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(args: argparse.Namespace) -> int:
    code: int = args.run(args)
    sys.stdout.flush()  # a closed pipe is met here rather than after main
    return code


def _complain(message: str, code: int) -> int:
    for line in message.splitlines():
        print(f"tts-server: {line}", file=sys.stderr)
    return code


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tts-server", description="Speaks Chinese and English on a CPU.")
    parser.add_argument("--version", action="version", version=f"tts-server {version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    serve = commands.add_parser(
        "serve",
        help="serve speech over HTTP",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_SERVE,
    )
    _add_settings(serve, given=command == "serve")
    serve.set_defaults(run=_serve)

    config = commands.add_parser(
        "config",
        help="show the settings that `serve` would have, and where each comes from",
        description="Show the settings that `serve` would have with the same flags, and where each comes from.",
    )
    form = config.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument(
        "--docs", action="store_true", help="instead, the tables of all settings in docs/configuration.md"
    )
    _add_settings(config, given=command == "config")
    config.set_defaults(run=_config)

    openapi = commands.add_parser(
        "openapi",
        help="print the description of the HTTP routes",
        description="Print the OpenAPI document of a server with its defaults, as GET /openapi.json gives it.",
    )
    openapi.add_argument("--markdown", action="store_true", help="instead, the reference in docs/http.md")
    openapi.set_defaults(run=_openapi)

    doctor = commands.add_parser(
        "doctor",
        help="look at this machine: what is well, what to change for `serve`, and why",
        description="Look at this machine as `serve` would meet it with the same flags. Each line is ok, warn (it will "
        "serve, but not as it could) or fail (it will not serve); the exit code is 1 if any is fail.",
    )
    doctor.add_argument("--json", action="store_true", help="for programs")
    _add_settings(doctor, given=command == "doctor")
    doctor.set_defaults(run=_doctor)

    keys_cli.add_parser(commands, lambda args: _settings(args).settings)
    systemd_cli.add_parser(commands)

    say = commands.add_parser("say", help="speak a text into a file, or aloud")
    _add_text(say)
    _add_lexicon(say)
    say.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write; without it the text is played")
    say.add_argument("--format", choices=FORMATS, help="of the file; otherwise by its extension")
    say.add_argument("--voice", default="female", help="which speaker (default: %(default)s); `voices` lists them")
    add_pack(say)
    say.add_argument("--speed", type=float, default=1.0, help=_range_help("times natural speed", SPEED_RANGE))
    say.add_argument("--pitch", type=float, default=0.0, help=_range_help("semitones higher or lower", PITCH_RANGE))
    say.add_argument("--energy", type=float, default=0.0, help=_range_help("decibels louder or softer", ENERGY_RANGE))
    say.set_defaults(run=_say)

    voices = commands.add_parser("voices", help="list the voices")
    voices.add_argument("--json", action="store_true", help="for programs")
    add_voices_dir(voices)
    voices.set_defaults(run=_voices)

    phones = commands.add_parser("phones", help="show how a text is read, and by which rules: readings, breaks, phones")
    _add_text(phones)
    _add_lexicon(phones)
    phones.add_argument("--json", action="store_true", help="for programs")
    phones.set_defaults(run=_phones)

    bench = commands.add_parser("bench", help="measure")
    add_benches(bench)
    return parser


def _add_settings(parser: argparse.ArgumentParser, *, given: bool) -> None:
    """The flags of all settings; if they are `given` a chance, for others need not wait until they are loaded."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings in TOML; without it $TTS_CONFIG, or tts-server.toml in the state folder if it is there",
    )
    if given:
        from tts_server.config_listing import add_flags

        add_flags(parser)


def _add_text(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("text", nargs="?", metavar="TEXT", help="what to say; after `--` if it begins with a dash")
    group.add_argument(
        "-f", "--file", metavar="FILE", help="read the text from a file in UTF-8, `-` from standard input"
    )


def _add_lexicon(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lexicon",
        type=Path,
        metavar="FILE",
        help='your own readings, as JSON: {"重庆": "chong2 qing4", "SQL": "sequel", "Nguyen": "W IH1 N"}; '
        "for one place in the text, write <行|hang2>",
    )


def _range_help(what: str, bounds: tuple[float, float]) -> str:
    return f"{what}, {bounds[0]:g} to {bounds[1]:g} (default: %(default)g)"


def _serve(args: argparse.Namespace) -> int:
    effective = _settings(args)

    from tts_server.server import run

    return run(effective.settings, effective.strange)


def _config(args: argparse.Namespace) -> int:
    from tts_server.config_listing import as_json, as_markdown, as_text

    if args.docs:
        print(as_markdown(), end="")
        return DONE
    effective = _settings(args)
    print(as_json(effective) if args.json else as_text(effective))
    for variable in effective.strange:
        _complain(f"no such setting: {variable}", DONE)
    return DONE


def _openapi(args: argparse.Namespace) -> int:
    import orjson

    from tts_server.http.openapi import build
    from tts_server.http.reference import as_markdown
    from tts_server.http.services import Limits

    document = build(Limits(), version())
    text = as_markdown(document) if args.markdown else orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    print(text.rstrip())
    return DONE


def _doctor(args: argparse.Namespace) -> int:
    from tts_server.doctor import as_json, as_text, worst
    from tts_server.doctor_facts import examine

    findings = list(examine(_settings(args)))
    print(as_json(findings) if args.json else as_text(findings))
    return FAILED if worst(findings) == "fail" else DONE


def _settings(args: argparse.Namespace) -> Effective:
    from tts_server.config import Settings
    from tts_server.config_sources import load

    flags = {name: value for name, value in vars(args).items() if name in Settings.model_fields}
    return checked(lambda: load(os.environ, flags, args.config))


def _say(args: argparse.Namespace) -> int:
    manner = checked(lambda: Manner(args.voice, args.speed, args.pitch, args.energy))
    audio_format = _format(args.output, args.format)
    pack_folder = find_pack(args)
    text, lexicon = _text(args), _lexicon(args)
    if args.output is not None:
        check_output(args.output)
        return _speak_to_file(text, lexicon, manner, pack_folder, args.output, audio_format)

    from tts_server.player import PlayError, find_players, play

    players = find_players()
    if not players:
        raise Failure("no audio player was found on this machine; write a file instead: -o out.wav")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "speech.wav")
        code = _speak_to_file(text, lexicon, manner, pack_folder, file, "wav")
        try:
            play(players, file)
        except PlayError as error:
            raise Failure(f"{error}; write a file instead: -o out.wav") from error
        return code


def _speak_to_file(
    text: str, lexicon: Lexicon | None, manner: Manner, pack_folder: Path, output: Path, audio_format: str
) -> int:
    from tqdm import tqdm

    from inference.frontend.reading import read
    from inference.pack import PackError
    from inference.script import write_script
    from inference.voice import Voice
    from tts_server.narration import narrate

    script = checked(lambda: write_script(text, lambda paragraph: read(paragraph, lexicon)))
    try:
        voice = Voice.load(pack_folder)
    except PackError as error:
        raise Failure(str(error)) from error
    checked(lambda: voice.speaker(manner.speaker))
    # Shown on a terminal only, and only where there is something to wait for.
    hide = None if len(script.lines) > 3 else True
    try:
        with (
            open_audio(output, audio_format, voice.pack.sample_rate_hz) as write,
            tqdm(total=len(script.lines), unit="sentence", disable=hide, leave=False) as progress,
        ):
            for sentence in narrate(script, voice, manner):
                write(sentence)
                progress.update()
    except AudioError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error.strerror or error}") from error
    if script.unspoken:
        print(f"tts-server: left out, no reading: {' '.join(script.unspoken[:40])}", file=sys.stderr)
    return DONE


def _voices(args: argparse.Namespace) -> int:
    from inference.pack import VOICES, PackError, find_packs, load_pack
    from tts_server.listing import voices_json, voices_table

    folder = args.voices_dir or VOICES
    packs, broken = [], []
    for pack_folder in find_packs(folder):
        try:
            packs.append(load_pack(pack_folder))
        except PackError as error:
            broken.append(error)
    if not packs and not broken:
        raise Failure(f"there are no voices in {folder}")
    print(voices_json(packs) if args.json else voices_table(packs))
    for problem in broken:
        _complain(str(problem), FAILED)
    return FAILED if broken else DONE


def _phones(args: argparse.Namespace) -> int:
    from inference.frontend.reading import read
    from tts_server.listing import reading_json, reading_table

    text, lexicon = _text(args), _lexicon(args)
    reading = checked(lambda: read(text, lexicon))
    print(reading_json(reading) if args.json else reading_table(reading))
    return DONE


def _text(args: argparse.Namespace) -> str:
    text = args.text if args.file is None else _read_file(args.file)
    if not text.strip():
        raise UsageError("the text is empty; give some TEXT, or -f FILE")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise UsageError("the text is not valid UTF-8; check the terminal's locale, or use -f with a file in UTF-8")
    return text


def _lexicon(args: argparse.Namespace) -> Lexicon | None:
    from inference.frontend.lexicon import read_lexicon

    file: Path | None = args.lexicon
    if file is None:
        return None
    try:
        return checked(lambda: read_lexicon(file))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


def _read_file(name: str) -> str:
    where = "standard input" if name == "-" else name
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{where} cannot be read: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        advice = "convert it first, for instance with `iconv -f GB18030 -t UTF-8`"
        raise UsageError(f"{where} is not text in UTF-8 (byte {error.start}); {advice}") from error


def _format(output: Path | None, asked: str | None) -> str:
    if output is None:
        if asked is not None:
            raise UsageError("--format is for files; name one with -o")
        return "wav"
    found = asked or output.suffix.lower().removeprefix(".")
    if found not in FORMATS:
        raise UsageError(f"{output} does not say its format; end it in one of .{', .'.join(FORMATS)}, or use --format")
    return found
