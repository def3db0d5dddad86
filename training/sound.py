"""Chapters on the wave: how fast it is made, how near the teacher's it is, that nothing in it clicks or clips."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import numpy as np

from inference.frontend.reading import read
from inference.voice import Voice
from training import data, measures, speech
from training.chapter import Chapter, Figure, Subject, by_group, groups, section, table
from training.held_out import KIND_NAMES, KINDS, TEXTS, Kind, in_speech
from training.teacher import SPEAKERS

SPEED_GOAL: Final = {"standard": 300.0, "light": 550.0}
SPECTRAL_GOAL: Final[dict[Kind, tuple[float, float]]] = {"zh": (0.173, 1.44), "en": (0.211, 1.65)}
"""Log-mel L1 and MCD of copy synthesis by a plain mel vocoder, the best of an earlier study of the same teacher."""
_WINDOWS, _WINDOW_S = 12, 1.5
_SPEED_SENTENCES_S: Final = (2.0, 8.0)


def speed(pack: Path, every: int) -> Chapter:
    """One thread on one pinned core, whole sentences one after another, phones to wave."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if cores:
        os.sched_setaffinity(0, cores[-1:])
    try:
        voice = Voice.load(pack)
        lines = TEXTS.read_text(encoding="utf-8").splitlines()[::every]
        sentences = [sentence.phones for row in lines for sentence in read(row.split("\t")[1]).sentences]
        speaker = voice.pack.speakers[0].name
        seconds = [voice.speak(phones, speaker=speaker).seconds for phones in sentences]  # warms up as well
        low, high = _SPEED_SENTENCES_S
        chosen = [phones for phones, length in zip(sentences, seconds, strict=True) if low <= length <= high]
        rounds, speeds = 0, []
        for _ in range(_WINDOWS):
            made, start = 0.0, time.perf_counter()
            while (elapsed := time.perf_counter() - start) < _WINDOW_S:
                made += voice.speak(chosen[rounds % len(chosen)], speaker=speaker).seconds
                rounds += 1
            speeds.append(made / elapsed)
    finally:
        if cores:
            os.sched_setaffinity(0, cores)
    speed, goal = float(np.median(speeds)), SPEED_GOAL.get(pack.name, 300.0)
    load = os.getloadavg()[0]
    text = (
        f"{rounds} sentences of {low:g}–{high:g} s on one pinned core, one at a time, phones to wave, in {_WINDOWS} "
        f"windows of {_WINDOW_S:g} s: {speed:.0f} × in the median, {max(speeds):.0f} × in the fastest, "
        f"{min(speeds):.0f} × in the slowest. The host is shared, and others slow it down; the figure above is the "
        f"median (load of this machine while measuring: {load:.1f} of {os.cpu_count()} cores)."
    )
    figure = Figure("speed, int8, one core", f"{goal:.0f} × real time", f"{speed:.0f} ×", speed >= goal)
    return Chapter([figure], section("Speed", text), {"speed": speed})


def spectra(subject: Subject) -> Chapter:
    """How near the net comes to the teacher when it is given the teacher's durations and pitch."""
    rows: list[list[float]] = []
    for one, real in zip(subject.samples, subject.teacher, strict=True):
        made, again = speech.say_as(subject.net, one.teacher), speech.say_as(subject.net, one.teacher, start=200)
        a, b, c = measures.log_mel(made), measures.log_mel(real), measures.log_mel(again)
        loud = in_speech(one.teacher.ids, one.teacher.durations)
        log_f0, voiced = data.pitch_of(made.astype(np.float64), SPEAKERS[one.speaker].gender)
        pitch = measures.compare_pitch(log_f0, voiced, one.teacher.log_f0, one.teacher.voiced)
        rows.append(
            [measures.mel_distance(a, b), measures.cepstral_distortion(a, b),
             measures.mel_distance(a[:, loud], b[:, loud]), measures.cepstral_distortion(a[:, loud], b[:, loud]),
             measures.mel_distance(a, c), measures.cepstral_distortion(a, c), pitch.rmse_hz, 100 * pitch.voicing_error]
        )  # fmt: skip
    cells, by_kind = by_group(
        subject, rows, ["{:.3f}", "{:.2f}", "{:.3f}", "{:.2f}", "{:.3f}", "{:.2f}", "{:.2f}", "{:.1f} %"]
    )
    figures = []
    for kind, (mel_goal, mcd_goal) in SPECTRAL_GOAL.items():
        mel, mcd = by_kind[kind][:2]
        name = f"log-mel L1 and mel-cepstral distortion, {KIND_NAMES[kind]}, teacher's durations and pitch given"
        met = mel <= mel_goal and mcd <= mcd_goal
        figures.append(Figure(name, f"{mel_goal} and {mcd_goal} dB", f"{mel:.3f} and {mcd:.2f} dB", met))
    header = ["", "log-mel L1", "MCD dB", "L1, speech alone", "MCD, speech alone", "L1, noise floor"]
    header += ["MCD, noise floor", "F0 RMSE Hz", "voicing errors"]
    text = (
        "The net of the checkpoint (float32) is given the teacher's durations and pitch. Log-mel: 80 HTK bands, "
        "1024-point FFT, hop 256, natural log of magnitudes with a floor of −100 dB. MCD: 10/ln 10 · √(2 Σ (c − c′)²) "
        "over c₁…c₁₃, cepstra (2/80) Σ log-mel · cos, mean over frames. All frames count, silence too, where the "
        "teacher is digitally silent; *speech alone* leaves the pauses out. *Noise floor*: the net against itself "
        "with other noise. F0: WORLD's reading of the net's wave against the pitch it was given.\n\n"
        "The goals are what copy synthesis, a vocoder that hears the spectrum itself instead of phones, reached in an "
        "earlier study of the same teacher (another test set). Its net, given the same as ours, came to 0.197 / "
        "1.62 dB in Mandarin and 0.240 / 1.97 in English; its noise floor was 0.095 / 0.87.\n\n" + table(header, cells)
    )
    numbers = {
        f"{what}_{kind}": by_kind[kind][place] for kind in KINDS for place, what in enumerate(("log_mel_l1", "mcd_db"))
    }
    return Chapter(figures, section("Spectra", text), numbers)


def waves(subject: Subject) -> Chapter:
    """Clicks, loudness and peaks of what the pack says."""
    jump_rows: list[list[str]] = []
    beyond, pulses = 0.0, np.zeros(2, np.int64)
    for speaker, who in enumerate(SPEAKERS):
        chosen = [number for number, one in enumerate(subject.samples) if one.speaker == speaker]
        real = [subject.teacher[number] for number in chosen]
        made = [subject.voice[number].audio for number in chosen]
        real_jumps, made_jumps = (np.concatenate([measures.jumps(one) for one in audio]) for audio in (real, made))
        limit, own = float(np.quantile(real_jumps, 0.9999)), float(np.quantile(made_jumps, 0.9999))
        share = float((made_jumps > limit).mean())
        counts = np.array([sum(measures.clicks(one) for one in audio) for audio in (real, made)])
        beyond, pulses = max(beyond, share), pulses + counts
        values = [limit, own, float(real_jumps.max()), float(made_jumps.max())]
        jump_rows.append([who.name, *(f"{value:.3f}" for value in values), f"{share:.4%}", *map(str, counts)])
    loudness_rows: list[list[str]] = []
    levels: list[float] = []
    for kind, speaker, chosen in groups(subject):
        real_level = measures.loudness_lufs(np.concatenate([subject.teacher[number] for number in chosen]))
        level = measures.loudness_lufs(np.concatenate([subject.voice[number].audio for number in chosen]))
        loudness_rows.append([f"{KIND_NAMES[kind]}, {SPEAKERS[speaker].name}", f"{real_level:.1f}", f"{level:.1f}"])
        levels += [level] if kind != "mixed" else []
    spread = max(levels) - min(levels)
    peaks = [measures.true_peak_db(said.audio) for said in subject.voice]
    finite = all(np.isfinite(said.audio).all() for said in subject.voice)
    header = ["", "99.99th percentile, teacher", "voice", "largest, teacher", "voice"]
    header += ["voice beyond the teacher's percentile", "lone pulses, teacher", "voice"]
    text = (
        "Sample jumps |x[n] − x[n−1]| of all sentences. By definition 0.01 % of the teacher's own jumps lie beyond "
        "its 99.99th percentile, so the goal is read as: no more than that of the voice's. *Lone pulses* is a click "
        "detector: a peak of the second difference in a bin of 1 ms that is 6 times all that lies within 25 ms before "
        "and as well within 25 ms after; glottal pulses have their like nearby. What it finds in the teacher are "
        "bursts of plosives.\n\n"
        + table(header, jump_rows)
        + "\n\nLoudness (ITU-R BS.1770), LUFS:\n\n"
        + table(["", "teacher", "voice"], loudness_rows)
        + f"\n\nTrue peak (4 × oversampled): {max(peaks):.2f} dB at most, {np.median(peaks):.2f} dB in the median."
    )
    figures = [
        Figure(
            "no clicks: sample jumps beyond the teacher's 99.99th percentile",
            "no larger share than the teacher's (0.01 %)",
            f"{beyond:.4%} (the worse speaker)",
            beyond <= 1e-4,
        ),
        Figure(
            "no clicks: lone pulses",
            f"not more than the teacher ({pulses[0]})",
            str(pulses[1]),
            bool(pulses[1] <= pulses[0]),
        ),
        Figure("no NaN", "none", "none" if finite else "some", finite),
        Figure("loudness of all speakers and languages", "within 2 LU", f"within {spread:.1f} LU", spread <= 2),
        Figure("true peak", "under −1 dB", f"{max(peaks):.2f} dB", max(peaks) < -1),
    ]
    numbers = {"jumps_beyond": beyond, "lone_pulses": float(pulses[1]), "loudness_spread_lu": spread}
    return Chapter(figures, section("Waves", text), numbers | {"true_peak_db": max(peaks)})


def precision(subject: Subject) -> Chapter:
    """The size of the files, and what int8 changes."""
    graphs = sorted(subject.pack.glob("*.onnx"))
    size = sum(file.stat().st_size for file in graphs)
    rows: list[list[float]] = []
    same = 0
    for one, real, quantised in zip(subject.samples, subject.teacher, subject.voice, strict=True):
        full = speech.say(subject.net, one.phones, one.speaker)
        same += np.array_equal(full.durations, quantised.durations)
        exact, rounded, teacher = (measures.log_mel(wave) for wave in (full.audio, quantised.audio, real))
        matched = exact[:, measures.matching_frames(quantised.durations, full.durations)]
        length = 100 * abs(float(quantised.durations.sum() / full.durations.sum()) - 1)
        off = [
            measures.mel_distance(teacher, mel[:, measures.matching_frames(one.teacher.durations, durations)])
            for mel, durations in ((exact, full.durations), (rounded, quantised.durations))
        ]
        apart = [measures.mel_distance(matched, rounded), measures.cepstral_distortion(matched, rounded)]
        rows.append([length, *apart, *off])
    cells, by_kind = by_group(subject, rows, ["{:.2f} %", "{:.3f}", "{:.2f}", "{:.3f}", "{:.3f}"])
    worst = max(row[0] for row in rows)
    files = ", ".join(f"{file.name} {file.stat().st_size / 1e6:.2f} MB" for file in graphs)
    header = ["", "total length", "log-mel L1", "MCD dB", "float32 to the teacher, L1", "int8 to the teacher, L1"]
    text = (
        f"{files}. The int8 graphs (with the pack's limiter) against the float32 net of the checkpoint, each with its "
        f"own durations and pitch; frames are matched by their place within a phone. The lengths of all phones are "
        f"equal in {same} of {len(rows)} sentences; the largest difference of a sentence's length is {worst:.2f} %. "
        f"The last two columns say whether int8 is any farther from the teacher.\n\n" + table(header, cells)
    )
    figures = [
        Figure("model files, int8", "under 8 MB", f"{size / 1e6:.2f} MB", size < 8e6),
        Figure("float32 and int8 agree: total length", "within 1 %", f"{worst:.2f} % at most", worst < 1),
    ]
    numbers = {"megabytes": size / 1e6, "int8_length_percent": worst}
    numbers["int8_log_mel_l1"] = float(np.mean([by_kind[kind][1] for kind in by_kind]))
    return Chapter(figures, section("Files and precision", text), numbers)
