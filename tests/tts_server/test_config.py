"""Settings: where they come from, what they may be, and what people are told of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from tts_server.cli import main
from tts_server.config import Settings
from tts_server.config_listing import as_markdown, as_text, catalogue
from tts_server.config_sources import ConfigError, load

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    file = tmp_path / "some.toml"
    file.write_text('port = 1\nworkers = 1\nhost = "file"\n', encoding="utf-8")
    return file


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with nothing in it, and no variable of ours."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("TTS_CONFIG", "XDG_STATE_HOME", "XDG_CACHE_HOME", "STATE_DIRECTORY", "CACHE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    for setting in catalogue():
        monkeypatch.delenv(setting.variable, raising=False)
    return tmp_path


@pytest.mark.usefixtures("at_home")
def test_nothing_has_to_be_set() -> None:
    effective = load({}, {})
    assert effective.settings == Settings()
    assert set(effective.sources.values()) == {"default"}


def test_flags_outrank_variables_and_these_the_file(toml: Path) -> None:
    effective = load({"TTS_PORT": "2", "TTS_WORKERS": "2"}, {"port": "3"}, toml)
    assert (effective.settings.port, effective.settings.workers, effective.settings.host) == (3, 2, "file")
    assert [effective.sources[name] for name in ("port", "workers", "host", "drain_s")] == [
        "--port",
        "TTS_WORKERS",
        str(toml),
        "default",
    ]


def test_auto_undoes_what_a_file_has_set_and_an_empty_variable_sets_nothing(toml: Path) -> None:
    assert load({"TTS_WORKERS": "auto", "TTS_PORT": ""}, {}, toml).settings.workers is None
    assert load({"TTS_PORT": ""}, {}, toml).settings.port == 1


def test_the_file_is_named_or_lies_in_the_state_folder(toml: Path, tmp_path: Path) -> None:
    (tmp_path / "tts-server.toml").write_text("port = 5")
    state = {"TTS_STATE_DIR": str(tmp_path)}
    assert load(state, {}).settings.port == 5
    assert load({"STATE_DIRECTORY": str(tmp_path)}, {}).settings.port == 5
    assert load(state | {"TTS_CONFIG": str(toml)}, {}).settings.port == 1
    assert load({"TTS_CONFIG": "/nowhere"}, {}, toml).settings.port == 1


@pytest.mark.parametrize(
    ("environ", "state", "cache"),
    [
        ({}, "{home}/.local/state/tts-server", "{home}/.cache/tts-server"),
        ({"XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"}, "/s/tts-server", "/c/tts-server"),
        ({"XDG_STATE_HOME": "relative"}, "{home}/.local/state/tts-server", "{home}/.cache/tts-server"),
        ({"STATE_DIRECTORY": "/s", "CACHE_DIRECTORY": "/c", "XDG_STATE_HOME": "/x"}, "/s", "/c"),
        ({"STATE_DIRECTORY": "/s:/other"}, "/s", "/s/cache"),
        ({"TTS_STATE_DIR": "/s", "XDG_CACHE_HOME": "/x"}, "/s", "/s/cache"),
        ({"TTS_STATE_DIR": "~/s", "TTS_CACHE_DIR": "/c"}, "{home}/s", "/c"),
        ({"TTS_STATE_DIR": "/s", "CACHE_DIRECTORY": "/c"}, "/s", "/c"),
    ],
)
def test_folders_are_by_hand_by_systemd_or_by_xdg(
    at_home: Path, environ: dict[str, str], state: str, cache: str
) -> None:
    settings = load(environ, {}).settings
    assert settings.state_dir == Path(state.format(home=at_home))
    assert settings.cache_dir == Path(cache.format(home=at_home))


@pytest.mark.parametrize(
    ("written", "cores"),
    [("0", (0,)), ("0,2-4", (0, 2, 3, 4)), (" 1 , 3 - 4 ", (1, 3, 4)), ([5, 1], (5, 1)), ("auto", None)],
)
def test_cores_are_numbers_and_ranges(written: object, cores: tuple[int, ...] | None) -> None:
    assert Settings.model_validate({"cores": written}).cores == cores


@pytest.mark.parametrize(("written", "engines"), [("a", ("a",)), ("a, ./b ,", ("a", "./b")), (["x y"], ("x y",))])
def test_engines_are_names_separated_by_commas(written: object, engines: tuple[str, ...]) -> None:
    assert Settings.model_validate({"engines": written}).engines == engines


WRONG = {
    "port": ["-1", "65536", "http", "8000.5", "tcp://10.0.0.1:8000"],
    "host": [""],
    "workers": ["0", "257", "many"],
    "cores": ["", "1-", "3-1", "0,0", "-1", "x", "1-99999", "4096"],
    "engines": ["", ",", "a,a"],
    "worker_nice": ["-1", "20"],
    "deadline_s": ["0", "nan", "inf", "1h"],
    "max_batch_wait_ms": ["-1", "1001"],
    "log_level": ["INFO", "verbose"],
    "log_format": ["xml"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_told_with_its_source_and_what_would_do(name: str, value: str) -> None:
    takes = {setting.name: setting.takes for setting in catalogue()}[name]
    with pytest.raises(ConfigError) as caught:
        load({}, {name: value})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"--{name.replace('_', '-')}: {name} cannot be {value!r}")
    assert line.endswith(f"it takes {takes}")


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("prot = 1\nworkers = [2]\n[server]\nport = 1")
    with pytest.raises(ConfigError) as caught:
        load({"TTS_PORT": "x"}, {"drain_s": "-1"}, file)
    assert sorted(str(caught.value).splitlines()) == sorted(
        [
            f"{file}: there is no setting 'prot'; did you mean port?",
            f"{file}: there is no setting 'server'",
            f"{file}: workers cannot be [2]; it takes a whole number from 1 to 256, or auto",
            "TTS_PORT: port cannot be 'x'; it takes a whole number from 0 to 65535",
            "--drain-s: drain_s cannot be '-1'; it takes a number from 0 to 3600",
        ]
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file"), (b"port =", "is not TOML"), (b"port = '\xff'", "is not TOML")],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "x.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load({"TTS_CONFIG": str(file)}, {})


def test_variables_that_look_like_settings_are_told_and_do_no_harm() -> None:
    environ = {"TTS_PROT": "1", "TTS_SERVICE_FOO": "1", "TTS_PORT": "2", "HOME": "/"}
    assert load(environ, {}).strange == ("TTS_PROT; did you mean TTS_PORT?", "TTS_SERVICE_FOO")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


@pytest.mark.usefixtures("at_home")
def test_config_shows_what_serve_would_have(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_WORKERS", "3")
    assert main(["config", "--port", "1234", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["port"] == {"value": 1234, "from": "--port"}
    assert shown["workers"] == {"value": 3, "from": "TTS_WORKERS"}
    assert list(shown) == list(Settings.model_fields)
    assert main(["config", "--cores", "0-1"]) == 0
    assert ["cores", "0,1", "--cores"] in [line.split() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("command", ["serve", "config"])
def test_a_wrong_setting_ends_the_command_before_anything_starts(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--port", "x", "--workers", "0"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[:2] for line in lines] == [["tts-server", " --port"], ["tts-server", " --workers"]]


def test_every_setting_has_a_flag_that_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("-\n", "-").split())
    for setting in catalogue():
        assert setting.flag in told
        assert f"(default: {setting.default})" in told
    assert "curl" in told


@pytest.mark.usefixtures("at_home")
def test_every_default_is_one_that_it_takes() -> None:
    shown = [line.split()[:2] for line in as_text(load({}, {})).splitlines()]
    flags = {name: value for name, value in shown if name not in {"voices_dir", "state_dir", "cache_dir"}}
    assert load({}, flags).settings == Settings()


def test_the_docs_are_those_of_the_code() -> None:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert page.endswith(as_markdown()), "paste the output of `python run.py config --docs` at its end"
