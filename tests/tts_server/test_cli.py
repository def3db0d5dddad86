"""The commands as a user types them, in this process: what they write, say and return."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.tiny_pack import RATE_HZ, write_tiny_pack
from tts_server import player
from tts_server.cli import main

ROOT = Path(__file__).resolve().parents[2]


def _say(voices_dir: Path, *args: str | Path) -> int:
    return main(["say", "--voices-dir", str(voices_dir), *map(str, args)])


def test_say_writes_the_file_it_is_told(voices_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    assert _say(voices_dir, "你好，世界。Hello, world.", "-o", out) == 0
    info = soundfile.info(out)
    assert (info.samplerate, info.channels, info.subtype) == (RATE_HZ, 1, "PCM_16")
    assert info.duration > 0.5
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("a.flac", [], "FLAC"),
        ("a.MP3", [], "MP3"),
        ("a.bin", ["--format", "flac"], "FLAC"),
        ("a.wav", ["--format", "mp3"], "MP3"),
    ],
)
def test_the_format_is_asked_for_or_in_the_name(
    voices_dir: Path, tmp_path: Path, name: str, args: list[str], expected: str
) -> None:
    assert _say(voices_dir, "你好。", "-o", tmp_path / name, *args) == 0
    assert soundfile.info(tmp_path / name).format == expected


def test_say_reads_files_and_standard_input(voices_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\ufeff你好。今天好。", encoding="utf-8")
    assert _say(voices_dir, "-f", text, "-o", tmp_path / "file.wav") == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("你好。今天好。".encode())))
    assert _say(voices_dir, "-f", "-", "-o", tmp_path / "stdin.wav") == 0
    assert (tmp_path / "file.wav").read_bytes() == (tmp_path / "stdin.wav").read_bytes()


def test_manner_is_obeyed(voices_dir: Path, tmp_path: Path) -> None:
    seconds = {}
    for speed in ("0.5", "1", "2"):
        out = tmp_path / f"{speed}.wav"
        assert _say(voices_dir, "你好。", "-o", out, "--speed", speed, "--voice", "male", "--pitch", "-3") == 0
        seconds[speed] = soundfile.info(out).duration
    assert seconds["0.5"] > 1.8 * seconds["1"]
    assert seconds["2"] < 0.6 * seconds["1"]


def test_a_pack_may_be_a_folder(tiny_pack: Path, tmp_path: Path) -> None:
    assert main(["say", "你好。", "--pack", str(tiny_pack), "-o", str(tmp_path / "a.wav")]) == 0


def test_what_is_left_out_is_said(voices_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _say(voices_dir, "你好☃。", "-o", tmp_path / "a.wav") == 0
    assert "left out, no reading: ☃" in capsys.readouterr().err


MISUSES = {
    "no text": ([], "one of the arguments TEXT -f/--file is required"),
    "empty text": ([" \n"], "the text is empty"),
    "nothing to say": (["。，！"], ""),
    "text and file": (["你好", "-f", "x"], "not allowed with"),
    "no such file": (["-f", "{tmp}/none.txt"], "none.txt cannot be read: No such file"),
    "a folder for a text": (["-f", "{tmp}"], "cannot be read: Is a directory"),
    "not UTF-8": (["-f", "{tmp}/gbk.txt"], "iconv -f GB18030"),
    "broken bytes typed": (["\udcff"], "not valid UTF-8"),
    "unknown voice": (["你好。", "--voice", "alto"], "'alto' is not in the pack 'standard'; it has: female, male"),
    "unknown pack": (["你好。", "--pack", "huge"], "there is no voice pack 'huge'"),
    "too fast": (["你好。", "--speed", "5"], "speed is 5; it must be from 0.25 to 4"),
    "not a number": (["你好。", "--pitch", "high"], "invalid float value"),
    "NaN": (["你好。", "--pitch", "nan"], "pitch is nan"),
    "too loud": (["你好。", "--energy", "13"], "energy is 13; it must be from -12 to 12"),
    "unknown format": (["你好。", "--format", "ogg"], "invalid choice"),
    "unknown ending": (["你好。", "-o", "{tmp}/a.ogg"], "end it in one of .wav, .flac, .mp3"),
    "output is a folder": (["你好。", "--format", "wav", "-o", "{tmp}"], "is a folder"),
    "no such folder": (["你好。", "-o", "{tmp}/none/a.wav"], "there is no folder"),
}


@pytest.mark.parametrize("name", MISUSES)
def test_misuse_is_answered_with_2_and_advice(
    name: str, voices_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args, message = MISUSES[name]
    (tmp_path / "gbk.txt").write_bytes("你好".encode("gb18030"))
    before = sorted(tmp_path.iterdir())
    args = [arg.replace("{tmp}", str(tmp_path)) for arg in args]
    if "-o" not in args:
        args += ["-o", str(tmp_path / "out.wav")]
    assert _say(voices_dir, *args) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "tts-server" in said
    assert "Traceback" not in said
    assert sorted(tmp_path.iterdir()) == before


def test_a_broken_pack_is_our_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack = write_tiny_pack(tmp_path / "standard")
    (pack / "decoder.onnx").unlink()
    assert _say(tmp_path, "你好。", "-o", tmp_path / "a.wav") == 1
    assert "$.graphs.decoder.file: no such file" in capsys.readouterr().err
    assert main(["voices", "--voices-dir", str(tmp_path)]) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_a_failure(voices_dir: Path, tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert _say(voices_dir, "你好。", "-o", tmp_path / "a.wav") == 1


def test_without_a_player_the_user_is_told_how_to_write_a_file(
    voices_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert _say(voices_dir, "你好。") == 1
    assert "write a file instead: -o out.wav" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("commands", "code"), [(["test -s"], 0), (["false", "test -s"], 0), (["false"], 1), (["test -d", "false"], 1)]
)
def test_without_output_the_player_plays(
    voices_dir: Path, monkeypatch: pytest.MonkeyPatch, commands: list[str], code: int
) -> None:
    monkeypatch.setattr(player, "PLAYERS", tuple(tuple(command.split()) for command in commands))
    assert _say(voices_dir, "你好。") == code


def test_voices_are_listed(voices_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["voices", "--voices-dir", str(voices_dir)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["standard", "female", "female"], ["standard", "male", "male"]]
    assert main(["voices", "--json", "--voices-dir", str(voices_dir)]) == 0
    (pack,) = json.loads(capsys.readouterr().out)
    assert [voice["name"] for voice in pack["voices"]] == ["female", "male"]


def test_no_voices_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["voices", "--voices-dir", str(tmp_path)]) == 1
    assert "there are no voices in" in capsys.readouterr().err


def test_phones_are_shown_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phones", "--json", "你好 hello"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert set(shown) == {"normalized", "words", "changes", "unspoken", "phones"}
    assert [word["lang"] for word in shown["words"]] == ["zh", "en"]
    assert all(set(word) == {"text", "lang", "readings", "spoken", "break", "rule"} for word in shown["words"])
    assert {word["break"] for word in shown["words"]} <= {"none", "word", "phrase", "clause", "sentence"}
    assert shown["phones"][0] == {"phone": "^", "tone": "none", "position": "none", "break": "none"}


def test_phones_are_shown_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phones", "你好 hello"]) == 0
    shown = capsys.readouterr().out
    assert "你好" in shown
    assert "phones  ^ " in shown
    assert main(["phones", "。。。"]) == 2


def test_phones_tell_rule_by_rule_what_became_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lexicon = tmp_path / "lexicon.json"
    lexicon.write_text('{"重庆": "zhong4 qing4", "SQL": "sequel"}', encoding="utf-8")
    text = "不去重庆，3:20用SQL看<行|xing2>"
    assert main(["phones", "--json", "--lexicon", str(lexicon), text]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {"rule": "user lexicon", "before": "SQL", "after": "sequel"} in shown["changes"]
    assert ("3:20", "三点二十分") in [(change["before"], change["after"]) for change in shown["changes"]]
    rules = {word["text"]: word["rule"] for word in shown["words"]}
    assert (rules["重庆"], rules["行"]) == ("user lexicon", "override")
    assert all(rules.values())
    assert main(["phones", "--lexicon", str(lexicon), text]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["SQL", "sequel", "user", "lexicon"] in table
    assert ["重庆", "zh", "zhong4", "qing4", "user", "lexicon", "clause"] in table


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("不去", "不 sandhi"),
        ("一个", "一 sandhi"),
        ("你好", "third-tone sandhi"),
        ("I like the sea", "weak form"),
    ],
)
def test_phones_tell_why_a_word_is_said_otherwise(text: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phones", text]) == 0
    assert reason in capsys.readouterr().out


def test_say_takes_a_lexicon(voices_dir: Path, tmp_path: Path) -> None:
    lexicon = tmp_path / "lexicon.json"
    lexicon.write_text('{"Nguyen": "W IH1 N"}', encoding="utf-8")
    assert _say(voices_dir, "Nguyen", "--lexicon", lexicon, "-o", tmp_path / "a.wav") == 0
    assert _say(voices_dir, "<Nguyen|W IH1 N>", "-o", tmp_path / "b.wav") == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize(
    ("lexicon", "text", "message"),
    [
        ('{"重庆": "chong2 qing9"}', "你好。", "lexicon entry '重庆': syllable 2, 'qing9' at offset 7 of the reading"),
        ("{", "你好。", "is not JSON"),
        (None, "你好。", "none.json cannot be read: No such file"),
        ("{}", "你好。\n\n他<行|hang9>", "at offset 6 of the text: <行|hang9>"),
    ],
)
def test_a_wrong_reading_of_the_users_is_misuse(
    lexicon: str | None, text: str, message: str, voices_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "none.json"
    if lexicon is not None:
        file = tmp_path / "lexicon.json"
        file.write_text(lexicon, encoding="utf-8")
    assert _say(voices_dir, text, "--lexicon", file, "-o", tmp_path / "a.wav") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.wav").exists()
    assert main(["phones", "--lexicon", str(file), text]) == 2
    assert message in capsys.readouterr().err


def test_the_door_opens_from_a_shell(voices_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.wav"
    command = [sys.executable, "run.py", "say", "你好。", "--voices-dir", str(voices_dir), "-o", str(out)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert soundfile.info(out).frames > 0


def test_a_closed_pipe_is_no_traceback(voices_dir: Path) -> None:
    command = f"{sys.executable} run.py voices --voices-dir {voices_dir} | true"
    result = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stderr == ""


def test_sound_may_be_piped_on(voices_dir: Path) -> None:
    args = f"say 你好。 --voices-dir {voices_dir} --format wav -o /dev/stdout"
    result = subprocess.run(
        f"{sys.executable} run.py {args} | cat", shell=True, cwd=ROOT, capture_output=True, check=False
    )
    assert (result.stdout[:4], result.stderr) == (b"RIFF", b"")


def test_long_text_shows_progress_on_a_terminal_only(voices_dir: Path, tmp_path: Path) -> None:
    script = tmp_path / "on_a_terminal.py"
    script.write_text(
        "import sys, tts_server.cli\nsys.stderr.isatty = lambda: True\nsys.exit(tts_server.cli.main(sys.argv[1:]))",
        encoding="utf-8",
    )
    args = ["say", "一。" * 8, "--voices-dir", str(voices_dir), "-o", str(tmp_path / "a.wav")]
    for door, shown in ((str(script), True), ("run.py", False)):
        result = subprocess.run(
            [sys.executable, door, *args],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0
        assert ("sentence" in result.stderr) is shown
