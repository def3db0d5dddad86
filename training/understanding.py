"""Chapters on what is said: pitch and lengths, Mandarin tones read back, phones and words understood by machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training import data, measures, recogniser, speech
from training.chapter import Chapter, Figure, Floats, Subject, groups, section, table
from training.espeak import SAMPLE_RATE_HZ
from training.held_out import KIND_NAMES, KINDS, in_speech
from training.prosody import PACE, taught
from training.sphinx import Sphinx, words_of
from training.teacher import SPEAKERS
from training.tones import TONES, Curve, ToneReader, accuracy, syllables_of

FRAME_MS: Final = 1000 * data.HOP / SAMPLE_RATE_HZ


def prosody(subject: Subject) -> Chapter:
    """The heads' own pitch, voicing and lengths against what they were taught."""
    rows: list[list[str]] = []
    correlations, voicings = [], []
    for kind, speaker, chosen in groups(subject):
        made, curve, made_voiced, voiced, inside = [], [], [], [], []
        lengths, predicted, totals = [], [], []
        for number in chosen:
            one = subject.samples[number].teacher
            prediction = speech.predict(subject.net, one)
            asked, bent = taught(one.ids, one.durations, one.log_f0, one.voiced)
            made.append(prediction.log_f0)
            made_voiced.append(prediction.voiced)
            curve.append(bent)
            voiced.append(one.voiced)
            inside.append(in_speech(one.ids, one.durations))
            lengths.append(asked)
            predicted.append(prediction.lengths)
            totals.append(float(prediction.lengths.sum() / asked.sum()) - 1)
        speaking = np.concatenate(inside)
        curves = [np.concatenate(made), np.concatenate(curve)]
        voicing = [np.concatenate(made_voiced), np.concatenate(voiced)]
        every = measures.compare_pitch(curves[0], voicing[0], curves[1], voicing[1])
        pitch = measures.compare_pitch(
            curves[0][speaking], voicing[0][speaking], curves[1][speaking], voicing[1][speaking]
        )
        off = FRAME_MS * float(np.abs(np.concatenate(predicted) - np.concatenate(lengths)).mean())
        if kind != "mixed":
            correlations.append(pitch.correlation)
            voicings.append(pitch.voicing_error)
        rows.append(
            [f"{KIND_NAMES[kind]}, {SPEAKERS[speaker].name}", f"{pitch.correlation:.3f}", f"{pitch.rmse_hz:.1f}",
             f"{pitch.voicing_error:.1%}", f"{every.voicing_error:.1%}", f"{off:.1f}",
             f"{np.abs(totals).mean():.1%}", f"{np.mean(totals):+.1%}"]
        )  # fmt: skip
    header = ["", "correlation", "F0 RMSE Hz", "voicing errors in speech", "with pauses", "duration error ms",
              "total length", "of it bias"]  # fmt: skip
    text = (
        "The heads' own pitch and lengths against what they were taught (the teacher's, bent by "
        "`training/prosody.py`), on the teacher's durations. Correlation of log F0 within one speaker and language, "
        "in frames that are voiced in both; voicing errors as a share of the frames of speech. The figure above is "
        "the worst of the Mandarin and "
        "English rows.\n\n" + table(header, rows)
    )
    worst, wrong = min(correlations), max(voicings)
    figures = [
        Figure(
            "pitch: correlation in voiced frames, own prediction", "0.95", f"{worst:.3f} (worst group)", worst >= 0.95
        ),
        Figure("pitch: voicing errors, own prediction", "under 5 %", f"{wrong:.1%} (worst group)", wrong < 0.05),
    ]
    return Chapter(figures, section("Pitch and durations", text), {"pitch_correlation": worst, "voicing_errors": wrong})


def tones(subject: Subject, readers: Sequence[ToneReader]) -> Chapter:
    """Mandarin tones, read back from the pitch of the audio."""
    samples = [one for one in subject.samples if one.kind != "en"]
    said = [said for one, said in zip(subject.samples, subject.voice, strict=True) if one.kind != "en"]

    def read(curves: Iterable[Curve]) -> NDArray[np.int64]:
        syllables = syllables_of(curves)
        return np.asarray(sum(reader.confusion(syllables) for reader in readers))

    teacher = read(curve_of(one.teacher) for one in samples)
    brisk = read(curve_of(one.brisk) for one in samples)
    bent = read(_taught_curve(one.brisk) for one in samples)
    voice = read(
        Curve(one.teacher.ids, own.durations, *_pitch_of(own.audio, one.speaker))
        for one, own in zip(samples, said, strict=True)
    )
    names = [f"tone {tone.value}" for tone in TONES[:4]] + ["neutral"]
    share = [
        [
            name,
            str(int(teacher[row].sum()) // len(readers)),
            *(f"{counts[row, row] / counts[row].sum():.1%}" for counts in (teacher, brisk, bent, voice)),
        ]
        for row, name in enumerate(names)
    ]
    total = [accuracy(counts) for counts in (teacher, brisk, bent, voice)]
    share.append(["all", str(int(teacher.sum()) // len(readers)), *(f"{value:.1%}" for value in total)])
    text = (
        f"A small classifier reads the tone of a syllable from WORLD's pitch of the audio: ten points of log F0 over "
        f"the rime, the clause's level and slope taken away, with the ends of its neighbours and its length. It was "
        f"built on {recogniser.SENTENCES} random sentences of the teacher, each at its own pace and at the voice's. "
        f"{len(readers)} that began otherwise differ by half a point: shares are their mean, counts their sum. "
        f"The voice speaks with its own durations and pitch. What its pace costs, Mandarin at {PACE:g} times the "
        f"teacher's, *teacher, as fast* shows; *as taught* is that teacher's pitch bent by `training/prosody.py`, "
        f"before any learning: what that costs is not the net's doing either.\n\n"
        + table(["", "syllables", "teacher", "teacher, as fast", "as taught", "voice"], share)
        + "\n\nTeacher, tones said (rows) and read (columns):\n\n"
        + _confusion(names, teacher)
        + "\n\nVoice:\n\n"
        + _confusion(names, voice)
    )
    worst = min(
        voice[row, row] / voice[row].sum() - teacher[row, row] / teacher[row].sum() for row in range(len(names))
    )
    figure = Figure(
        "Mandarin tones read back from the pitch",
        f"within 2 points of the teacher ({total[0]:.1%})",
        f"{total[-1]:.1%} ({100 * (total[-1] - total[0]):+.1f} points; worst tone {100 * worst:+.1f})",
        total[-1] >= total[0] - 0.02,
    )
    return Chapter([figure], section("Mandarin tones", text), {"tones_teacher": total[0], "tones_voice": total[-1]})


def _confusion(names: list[str], counts: NDArray[np.int64]) -> str:
    return table(["", *names], [[name, *map(str, row)] for name, row in zip(names, counts, strict=True)])


def phones(subject: Subject, listeners: Sequence[recogniser.Recogniser]) -> Chapter:
    """Phone errors of the recognisers on the teacher and on the voice, their mean."""
    rows: list[list[str]] = []
    figures: list[Figure] = []
    numbers: dict[str, float] = {}
    brisk = [one.brisk.wave for one in subject.samples]
    for kind in KINDS:
        chosen = [number for number, one in enumerate(subject.samples) if one.kind == kind]
        rates, count = [], 0
        for waves in (subject.teacher, brisk, [said.audio for said in subject.voice]):
            pairs = [
                recogniser.errors(subject.samples[n].teacher.ids, listener.hear(waves[n]))
                for listener in listeners
                for n in chosen
            ]
            count = sum(phones for _, phones in pairs)
            rates.append(sum(edits for edits, _ in pairs) / count)
        teacher, fast, voice = rates
        ratio = voice / teacher
        rows.append(
            [KIND_NAMES[kind], str(count // len(listeners)), *(f"{rate:.2%}" for rate in rates),
             f"{ratio:.2f}", f"{voice / fast:.2f}"]
        )  # fmt: skip
        numbers |= {f"phone_errors_teacher_{kind}": teacher, f"phone_errors_voice_{kind}": voice}
        if kind != "mixed":
            name = f"phone errors of a recogniser that knows the teacher alone, {KIND_NAMES[kind]}"
            goal = f"at most 1.15 × the teacher's ({1.15 * teacher:.1%})"
            figures.append(Figure(name, goal, f"{voice:.1%}, {ratio:.2f} ×", ratio <= 1.15))
    text = (
        "Log-mel frames → five dilated convolutions (width 128) → phone of each frame → best path, each change at a "
        f"fixed price. {len(listeners)} such recognisers that began otherwise, for one alone may err by a tenth more "
        f"or less; rates are their mean. Taught on {recogniser.SENTENCES} random sentences of the teacher (about half "
        "an hour, both speakers, a third at other rates and pitches), each at its own pace and at the voice's, with "
        "levels, tilts, noise and masked bands varied; no voice of ours was heard. Both languages' phones compete at "
        "all times; tones, stress and pauses do not count. The voice speaks with its own durations and pitch. Slow "
        "vowels are easily heard twice: *teacher, as fast* says what of the difference is the pace's doing, Mandarin "
        f"at {PACE:g} times the teacher's.\n\n"
        + table(["", "phones", "teacher", "teacher, as fast", "voice", "÷ teacher", "÷ as fast"], rows)
    )
    return Chapter(figures, section("Phones understood", text), numbers)


def sphinx(subject: Subject) -> Chapter:
    """English sentences and words that pocketsphinx understands."""
    chosen = [number for number, one in enumerate(subject.samples) if one.kind == "en"]
    listener = Sphinx(list(dict.fromkeys(subject.samples[number].text for number in chosen)))
    rows: list[list[str]] = []
    scores: dict[str, list[float]] = {}
    for name, waves in (("teacher", subject.teacher), ("voice", [said.audio for said in subject.voice])):
        right, edits, words = 0, 0, 0
        for number in chosen:
            asked = words_of(subject.samples[number].text)
            right += listener.sentence(waves[number]) == asked
            edits += measures.edit_distance(asked, listener.words(subject.samples[number].text, waves[number]))
            words += len(asked)
        scores[name] = [right / len(chosen), 1 - edits / words]
        rows.append([name, f"{scores[name][0]:.1%}", f"{scores[name][1]:.1%}"])
    text = (
        f"CMU PocketSphinx {version('pocketsphinx')} with its own US English model (BSD) and closed grammars, 16 kHz, "
        f"noise at −70 dB added (it is deaf in digital silence). *Sentences*: which of the "
        f"{len(chosen) // len(SPEAKERS)} sentences it is, all words right. *Words*: each word of the sentence out of "
        f"four that sound alike, 1 − word error "
        "rate.\n\n" + table(["", "sentences", "words"], rows)
    )
    made, real = scores["voice"], scores["teacher"]
    figure = Figure(
        "English understood by pocketsphinx, closed grammars (sentences, words)",
        f"not worse than the teacher ({real[0]:.1%}, {real[1]:.1%})",
        f"{made[0]:.1%}, {made[1]:.1%}",
        made[0] >= real[0] and made[1] >= real[1],
    )
    numbers = {"sphinx_sentences": made[0], "sphinx_words": made[1]}
    numbers |= {"sphinx_sentences_teacher": real[0], "sphinx_words_teacher": real[1]}
    return Chapter([figure], section("English understood by pocketsphinx", text), numbers)


def curve_of(one: data.Utterance) -> Curve:
    """The teacher's own pitch."""
    return Curve(one.ids, one.durations, one.log_f0, one.voiced)


def _taught_curve(one: data.Utterance) -> Curve:
    _, bent = taught(one.ids, one.durations, one.log_f0, one.voiced)
    return Curve(one.ids, one.durations, bent, one.voiced)


def _pitch_of(audio: Floats, speaker: int) -> tuple[Floats, NDArray[np.bool_]]:
    return data.pitch_of(audio.astype(np.float64), SPEAKERS[speaker].gender)
