"""The page as people meet it: in a real browser, from a real server. What is heard is compared sample by sample."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from tests.test_service import ROOT, Server, serving

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; on Debian: apt-get install chromium")

Pcm = npt.NDArray[np.int16]
Open = Callable[..., Any]
expect = sync_api.expect
TEXT = "早上好！现在是8:30。Don't worry, there is plenty of time."
LONG = "".join(f"第{number}句话说完了，还有下一句要说。" for number in range(280))
PATIENT_MS = 30_000
LISTEN = """
window.heard = [];
window.loudest = 0;
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, ...rest) {
  const samples = Array.from(this.buffer.getChannelData(0), (value) => Math.round(value * 32768));
  heard.push({ when, samples, rate: this.buffer.sampleRate });
  const meter = this.context.createAnalyser();
  this.connect(meter);
  const wave = new Float32Array(meter.fftSize);
  setInterval(() => (meter.getFloatTimeDomainData(wave), loudest = Math.max(loudest, ...wave)), 50);
  return start.call(this, when, ...rest);
};
"""
"""Notes what is given to the loudspeaker, and how loud it really gets there."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []  # chromium has no sandbox for root
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=as_root)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(voices_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # However busy the machine is with other things, this server does not step back from it, nor takes a worker that a
    # test has stopped for one that hangs.
    with serving(voices_dir, tmp_path_factory.mktemp("server"), "--degrade-cpu", "1", "--hang-s", "60") as server:
        yield server


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Open]:
    """Open the page in a browser of its own. What it logs as an error, and is not expected, fails the test."""
    contexts, errors, expected = [], [], []

    def open_page(url: str = server.url, *, errors_of: str = "", **options: Any) -> Any:
        context = browser.new_context(**{"locale": "en-GB", **options})
        context.set_default_timeout(PATIENT_MS)
        contexts.append(context)
        expected.append(errors_of)
        page = context.new_page()
        page.add_init_script(LISTEN)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(url)
        return page

    expect.set_options(timeout=PATIENT_MS)
    yield open_page
    for context in contexts:
        context.close()
    assert [error for error in errors if not any(known and re.search(known, error) for known in expected)] == []


@pytest.fixture
def page(visit: Open) -> Any:
    return visit()


def type_in(page: Any, text: str) -> None:
    expect(page.locator("#speak")).to_be_enabled()
    page.locator("#text").fill(text)


def speak(page: Any, text: str = TEXT) -> None:
    """Type, press, and wait until all of it has come."""
    type_in(page, text)
    page.locator("#speak").click()
    expect(page.locator("#live")).to_have_text(re.compile("^(Done|完成)"))


def heard(page: Any) -> Pcm:
    return np.concatenate([np.array(part["samples"], np.int16) for part in page.evaluate("() => heard")])


def fetch(url: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  (a server of ours)
    with urllib.request.urlopen(request) as response:  # noqa: S310
        return bytes(response.read())


def answer(server: Server, body: dict[str, Any]) -> bytes:
    """What a program is given for the same."""
    return fetch(f"{server.url}/api/tts", json.dumps(body).encode())


def samples_of(wav: bytes) -> Pcm:
    samples, _ = soundfile.read(io.BytesIO(wav), dtype="int16")
    return np.asarray(samples, np.int16)


def counted(server: Server, name: str) -> float:
    lines = fetch(f"{server.url}/metrics").decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def until(happens: Callable[[], bool]) -> None:
    for _ in range(600):
        if happens():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_what_is_typed_is_heard_sample_by_sample(page: Any, server: Server) -> None:
    speak(page)
    expect(page.locator("#toggle")).to_have_accessible_name("Play")  # it has been heard to its end
    assert np.array_equal(heard(page), samples_of(answer(server, {"text": TEXT})))
    parts = page.evaluate("() => heard.map(({ when, samples, rate }) => [when, samples.length / rate])")
    assert len(parts) > 1, "it is heard as it comes, not when all of it is there"
    for (when, lasts), (following, _) in itertools.pairwise(parts):
        assert following >= when + lasts - 1e-6, "no part sounds over another"
    assert page.evaluate("() => loudest") > 0.05, "the loudspeaker has been given sound"
    expect(page.locator("#fact-first")).to_have_text(re.compile(r"^[\d,.]+ ms$"))
    expect(page.locator("#fact-duration")).to_have_text(f"{len(heard(page)) / 24_000:.2f} s")
    expect(page.locator("#fact-engine")).to_have_text("standard")
    expect(page.locator("#fact-cache")).to_have_text("miss")
    page.locator("#speak").click()
    expect(page.locator("#fact-cache")).to_have_text("hit")


def test_words_light_up_as_they_are_spoken(page: Any) -> None:
    text = "😀 好！现在是8:30。Let's go, 走吧。"
    type_in(page, text)
    page.evaluate("""() => {
      window.lit = [];
      const transcript = document.getElementById("transcript");
      const look = () => {
        const now = transcript.querySelector(".now");
        if (now && now !== lit.at(-1)) lit.push(now);
      };
      new MutationObserver(look).observe(transcript, { subtree: true, attributes: true, attributeFilter: ["class"] });
    }""")
    page.locator("#speak").click()
    expect(page.locator("#transcript .word")).to_have_text(["好", "现在", "是", "8:30", "Let's", "go", "走", "吧"])
    expect(page.locator("#transcript")).to_have_text(text)
    expect(page.locator("#toggle")).to_have_accessible_name("Play")  # it has been heard to its end
    lit = page.evaluate("() => lit.map((word) => word.textContent)")
    words = page.locator("#transcript .word").all_text_contents()
    assert lit == [word for word in words if word in lit], "in the order in which they are said"
    assert len(lit) > len(words) / 2
    page.locator("#transcript .word").nth(3).click()
    expect(page.locator("#transcript .now")).to_have_text("8:30")


def test_the_wish_is_what_is_asked(page: Any, server: Server) -> None:
    type_in(page, TEXT)
    page.locator("#voice").select_option("male")
    page.locator("#speed").fill("1.5")
    speak(page)
    expected = samples_of(answer(server, {"text": TEXT, "voice": "male", "speed": 1.5}))
    assert np.array_equal(heard(page), expected[: len(heard(page))])
    expect(page.locator("#fact-duration")).to_have_text(f"{len(expected) / 24_000:.2f} s")


def test_escape_stops_the_work_on_the_server(page: Any, server: Server) -> None:
    before = counted(server, 'tts_jobs_total{outcome="cancelled"}')
    type_in(page, LONG)
    page.locator("#text").press("Control+Enter")
    expect(page.locator("#fact-first")).not_to_have_text("–")
    for worker in server.workers():
        worker.suspend()  # what is being said cannot come to its end by itself
    try:
        page.keyboard.press("Escape")
        expect(page.locator("#live")).to_have_text("Stopped")
        until(lambda: counted(server, 'tts_jobs_total{outcome="cancelled"}') == before + 1)
    finally:
        for worker in server.workers():
            worker.resume()
    expect(page.locator("#stop")).to_be_disabled()
    speak(page, "Again.")


def test_another_text_takes_the_place_of_one_that_is_spoken(page: Any, server: Server) -> None:
    type_in(page, LONG)
    page.locator("#speak").click()
    expect(page.locator("#fact-first")).not_to_have_text("–")
    for worker in server.workers():
        worker.suspend()  # neither this nor the next is at its end when another takes its place
    for text in ("Never mind.", "Listen to this."):
        page.locator("#text").fill(text)
        page.locator("#text").press("Control+Enter")
    page.evaluate("() => void (heard = [])")
    for worker in server.workers():
        worker.resume()
    expect(page.locator("#live")).to_have_text(re.compile("^Done"))
    expect(page.locator("#toggle")).to_have_accessible_name("Play")
    expected = samples_of(answer(server, {"text": "Listen to this."}))
    assert np.array_equal(heard(page), expected)
    expect(page.locator("#transcript")).to_have_text("Listen to this.")
    expect(page.locator("#fact-duration")).to_have_text(f"{len(expected) / 24_000:.2f} s")


def test_what_was_heard_is_heard_again_from_where_one_points(page: Any) -> None:
    speak(page, TEXT * 3)
    page.locator("#toggle").click()
    expect(page.locator("#toggle")).to_have_accessible_name("Play")
    wave = page.locator("#wave")
    wave.press("Home")
    expect(wave).to_have_attribute("aria-valuenow", "0.0")
    wave.press("ArrowRight")
    expect(wave).to_have_attribute("aria-valuenow", "1.0")
    box = wave.bounding_box()
    wave.click(position={"x": box["width"] / 2, "y": 10})
    total = float(wave.get_attribute("aria-valuemax"))
    assert float(wave.get_attribute("aria-valuenow")) == pytest.approx(total / 2, abs=0.2)
    page.evaluate("() => void (heard = [])")
    wave.press("Space")
    expect(page.locator("#toggle")).to_have_accessible_name("Pause")
    page.keyboard.press("Escape")
    assert len(heard(page)) <= (total / 2 + 0.3) * 24_000


@pytest.mark.parametrize("kind", ["wav", "mp3", "pcm"])
def test_it_can_be_kept_as_a_file(page: Any, server: Server, kind: str) -> None:
    type_in(page, TEXT)
    page.locator("#format").select_option(kind)
    speak(page)
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == {"wav": "speech.wav", "mp3": "speech.mp3", "pcm": "speech.raw"}[kind]
    assert download.value.path().read_bytes() == answer(server, {"text": TEXT, "format": kind})


@pytest.mark.parametrize(
    ("tab", "command"), [("curl", ["bash"]), ("Python", [sys.executable]), ("JavaScript", ["node"])]
)
def test_the_same_call_does_the_same(page: Any, server: Server, tmp_path: Path, tab: str, command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} to run it")
    text = 'It\'s "8:30"。\n$HOME `id` \\n 好 💡'
    type_in(page, text)
    page.get_by_role("tab", name=tab).click()
    program = tmp_path / "program.mjs"
    program.write_text(page.locator("#snippet").inner_text(), encoding="utf-8")
    subprocess.run([*command, str(program)], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "speech.wav").read_bytes() == answer(server, {"text": text})


def test_recent_texts_stay_in_the_browser(page: Any) -> None:
    speak(page, "First.")
    speak(page, "Second.")
    page.reload()
    items = page.locator("#recent .item")
    expect(items).to_have_count(2)
    expect(items.nth(0)).to_contain_text("Second.")
    expect(page.locator("#text")).to_have_value("Second.")
    items.nth(1).click()
    expect(page.locator("#text")).to_have_value("First.")
    expect(page.locator("#live")).to_have_text(re.compile("^Done"))
    expect(items.nth(0)).to_contain_text("First.")
    page.locator("#forget").click()
    expect(items).to_have_count(0)


def test_voices_are_heard_one_after_another(page: Any, server: Server) -> None:
    type_in(page, "One.")
    page.get_by_role("tab", name="Voices").click()
    expect(page.locator("#voices li")).to_have_count(2)
    page.locator("#speak-all").click()
    for row in range(2):
        expect(page.locator("#voices small").nth(row)).to_have_text(re.compile(r"^\d+ ms · [\d.]+ s$"))
    expect(page.locator("#toggle")).to_have_accessible_name("Play")
    both = [samples_of(answer(server, {"text": "One.", "voice": voice})) for voice in ("female", "male")]
    assert np.array_equal(heard(page), np.concatenate(both))


def test_a_long_text_is_spoken_in_the_background(page: Any) -> None:
    type_in(page, LONG * 2)
    expect(page.locator("#count")).to_have_class(re.compile("warn"))
    page.locator("#speak").click()
    expect(page.locator("#notice")).to_contain_text("The text is too long.")
    page.locator("#order").click()
    job = page.locator("#jobs .job").first
    expect(job).to_contain_text("done · 100 %")
    expect(job).to_contain_text(LONG[:30])
    with page.expect_download() as download:
        job.get_by_role("button", name="Download").click()
    assert len(samples_of(download.value.path().read_bytes())) > 2 * 24_000
    job.get_by_role("button", name="Remove").click()
    expect(page.locator("#jobs")).to_contain_text("No jobs yet.")


def test_the_strip_tells_how_the_server_is(visit: Open, voices_dir: Path, tmp_path: Path) -> None:
    with serving(voices_dir, tmp_path, "--degrade-cpu", "1") as server:
        page = visit(server.url, errors_of="Failed to load resource|ERR_")
        expect(page.locator("#level-name")).to_have_text("normal")
        expect(page.locator("#queue")).to_have_text("0")
        speak(page)
        expect(page.locator("#p95")).to_have_text(re.compile(r"^[\d,.]+ ms$"))
        server.process.send_signal(signal.SIGKILL)
        expect(page.locator("#level-name")).to_have_text("not reached")
        page.locator("#text").fill("New.")
        page.locator("#speak").click()
        expect(page.locator("#notice")).to_contain_text("The server cannot be reached.")


def test_audio_that_breaks_off_is_told_of(visit: Open, voices_dir: Path, tmp_path: Path) -> None:
    with serving(voices_dir, tmp_path, "--degrade-cpu", "1") as server:
        page = visit(server.url, errors_of="Failed to load resource|ERR_")
        type_in(page, LONG)
        page.locator("#speak").click()
        expect(page.locator("#fact-first")).not_to_have_text("–")
        server.process.send_signal(signal.SIGKILL)
        expect(page.locator("#notice")).to_contain_text("The audio ended too early.")


def test_a_busy_server_has_the_preview_off(visit: Open, voices_dir: Path, tmp_path: Path) -> None:
    busy = ("--degrade-cpu", "0.01", "--degrade-recover-cpu", "0", "--degrade-after-s", "0.05")
    with serving(voices_dir, tmp_path, *busy) as server:
        page = visit(server.url, errors_of="Failed to load resource|ERR_")
        page.route("**/api/tts/status/events", lambda route: route.abort())  # else it would know before it asks
        until(lambda: b'"preview":false' in fetch(f"{server.url}/api/tts/status"))
        page.reload()
        type_in(page, TEXT)
        page.locator("#speak").click()
        expect(page.locator("#notice")).to_contain_text("The preview is off: this machine has no CPU to spare.")
        expect(page.locator("#notice")).to_contain_text("Try again in")
        page.unroute("**/api/tts/status/events")
        page.reload()
        expect(page.locator("#notice")).to_contain_text("The preview is off: this machine has no CPU to spare.")
        expect(page.locator("#speak")).to_be_disabled()


def test_a_key_is_asked_for_and_kept_as_long_as_was_said(visit: Open, voices_dir: Path, tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "run.py", "keys", "add", "ann", "--keys-file", str(tmp_path / "keys.json")],
        cwd=ROOT,
        env={**os.environ, "TTS_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    secret = made.stdout.strip().splitlines()[-1]
    with serving(voices_dir, tmp_path, "--degrade-cpu", "1") as server:
        page = visit(server.url, errors_of="Failed to load resource|ERR_")
        for given, remember in (("wrong", False), (secret, False)):
            expect(page.locator("#key-dialog")).to_be_visible()
            page.locator("#key-input").fill(given)
            page.locator("#key-remember").set_checked(remember)
            page.locator("#key-input").press("Enter")
        speak(page)
        assert len(heard(page)) > 0
        kept = "() => [localStorage, sessionStorage].map((kept) => JSON.stringify(kept))"
        for_ever, for_now = page.evaluate(kept)
        assert (secret in for_ever, secret in for_now) == (False, True)
        assert secret not in page.locator("#snippet").inner_text()
        assert "$TTS_KEY" in page.locator("#snippet").inner_text()
        page.reload()
        expect(page.locator("#speak")).to_be_enabled()  # the tab still has it
        page.locator("#key").click()
        page.locator("#key-input").fill(secret)
        page.locator("#key-remember").check()
        page.locator("#key-input").press("Enter")
        expect(page.locator("#key-dialog")).to_be_hidden()
        assert secret in page.evaluate(kept)[0]
        page.locator("#key").click()
        page.locator("#key-forget").click()
        assert secret not in "".join(page.evaluate(kept))


def test_it_speaks_the_browsers_language_until_another_is_chosen(visit: Open) -> None:
    page = visit(locale="zh-CN")
    title = page.locator("h1")
    expect(title).to_have_text("输入文字，马上听见")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("#voice")).to_contain_text("女声")
    expect(page.locator("#text")).to_have_accessible_name("要朗读的文字")
    speak(page)
    expect(page.locator("#fact-cache")).to_have_text(re.compile("命中|未命中"))
    page.locator("#language").click()
    expect(title).to_have_text("Type, and listen")
    page.reload()
    expect(title).to_have_text("Type, and listen")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_it_is_dark_where_that_is_wished(visit: Open) -> None:
    background = "() => getComputedStyle(document.body).backgroundColor"
    light, dark = (visit(color_scheme=scheme).evaluate(background) for scheme in ("light", "dark"))
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (light, dark)]
    assert brightness[0] > 600
    assert brightness[1] < 150


@pytest.mark.parametrize("width", [320, 375, 768])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_nothing_is_wider_than_a_phone(visit: Open, width: int, locale: str) -> None:
    page = visit(viewport={"width": width, "height": 700}, locale=locale)
    speak(page, "Supercalifragilisticexpialidocious-" * 5 + "。" + TEXT)
    for tab in ("#tab-voices", "#tab-jobs", "#tab-recent", "#code-python", "#code-javascript"):
        page.locator(tab).click()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, tab


def test_the_keyboard_is_enough(page: Any) -> None:
    type_in(page, "Hello.")
    page.locator("#code-curl").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#code-python")).to_be_focused()
    expect(page.locator("#snippet")).to_contain_text("import json")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#snippet")).to_contain_text("fetch(")
    page.locator("#text").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#live")).to_have_text(re.compile("^Done"))


def test_everything_that_can_be_pressed_has_a_name(page: Any) -> None:
    speak(page)
    for tab in ("#tab-recent", "#tab-voices", "#tab-jobs"):
        page.locator(tab).click()
        for role in ("button", "combobox", "slider", "textbox", "tab", "link"):
            for one in page.get_by_role(role).all():
                expect(one).to_have_accessible_name(re.compile(r"\S"))
