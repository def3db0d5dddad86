"""The teacher says exactly the phones it is asked for, and every phone has its place in the audio."""

from __future__ import annotations

import numpy as np
import pytest

from inference.frontend.phones import FINALS, INITIALS, Phone, Position, Tone, split_syllable
from training import corpus
from training.data import HOP, teach, utterance
from training.espeak import SAMPLE_RATE_HZ
from training.teacher import PAUSE_S, SPEAKERS, Speaker, speak

GAINS = {speaker.name: {"zh": 0.0, "en": 0.0} for speaker in SPEAKERS}


def syllables(text: str) -> list[Phone]:
    phones: list[Phone] = []
    for syllable in text.split():
        names, tone = split_syllable(syllable)
        phones += [Phone(name, tone, Position.SINGLE) for name in names]
    return phones


def english(text: str) -> list[Phone]:
    names = text.split()
    tones = [Tone.UNSTRESSED if not name[-1].isdigit() else Tone(6 + int(name[-1])) for name in names]
    places = [Position.BEGIN, *[Position.MIDDLE] * (len(names) - 2), Position.END]
    return [Phone(n.rstrip("012"), t, p) for n, t, p in zip(names, tones, places, strict=True)]


@pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.name)
def test_every_mandarin_syllable_is_spoken_with_a_boundary_for_each_phone(speaker: Speaker) -> None:
    for initial in ("", *INITIALS):
        for final in FINALS:
            phones = [Phone("^"), *([Phone(initial, Tone.T1)] if initial else []), Phone(final, Tone.T1), Phone(".")]
            spoken = speak(phones, speaker)
            assert len(spoken.bounds) == len(phones) + 1
            assert np.all(np.diff(spoken.bounds) > 0), (initial, final)


@pytest.mark.parametrize(
    "phones",
    [
        pytest.param(syllables("wanr2 huar1 dianr3 shir4 kongr4 yuanr2"), id="erhua"),
        pytest.param(syllables("ng2 hng5 m2 hm5 yo5"), id="interjections"),
        pytest.param(syllables("ma1 ma5 ma2 ma5 ma3 ma5 ma4 ma5"), id="neutral tones"),
        pytest.param(english("B AA1 T EL0"), id="syllabic l"),
        pytest.param(english("R IH0 L AY1 AH0 B EL0"), id="two vowels in one of the teacher's"),
        pytest.param(english("S T AA1 R T"), id="vowel and r"),
        pytest.param([*syllables("wo3 yong4"), *english("P AY1 TH AA2 N"), *syllables("xie3")], id="mixed"),
    ],
)
def test_phones_keep_their_number_and_order(phones: list[Phone]) -> None:
    spoken = speak([Phone("^"), *phones, Phone(".")], SPEAKERS[0])
    assert len(spoken.bounds) == len(phones) + 3
    assert np.all(np.diff(spoken.bounds) > 0)
    assert spoken.bounds[-1] == len(spoken.audio)


@pytest.mark.parametrize("mark", sorted(PAUSE_S))
def test_a_pause_is_silent_and_as_long_as_its_mark_says(mark: str) -> None:
    phones = [Phone("^"), *syllables("ni3 hao3"), Phone(mark), *syllables("zai4 jian4"), Phone(".")]
    spoken = speak(phones, SPEAKERS[1])
    pause = spoken.audio[spoken.bounds[5] : spoken.bounds[6]]
    assert len(pause) == round(PAUSE_S[mark] * SAMPLE_RATE_HZ)
    assert not pause.any()


def test_a_run_that_goes_on_in_the_other_language_does_not_end_like_a_sentence() -> None:
    inside = speak([Phone("^"), *syllables("ni3 hao3"), *english("B AA1 B"), Phone(".")], SPEAKERS[0])
    alone = speak([Phone("^"), *syllables("ni3 hao3"), Phone(".")], SPEAKERS[0])
    assert np.diff(inside.bounds)[4] < 0.95 * np.diff(alone.bounds)[4]  # the last vowel is not drawn out


def test_a_number_always_gives_the_same_sentence_and_the_kinds_all_occur() -> None:
    lines = [corpus.line(number) for number in range(60)]
    assert lines == [corpus.line(number) for number in range(60)]
    assert {line.kind for line in lines} == set(corpus.KINDS)
    assert all(line.phones[0].name == "^" for line in lines)


def test_frames_and_phones_of_training_data_agree() -> None:
    one = teach(3, 0, GAINS)
    assert one is not None
    assert one.durations.sum() == len(one.log_f0) == len(one.voiced) == len(one.audio) // HOP
    assert one.durations.min() >= 1
    assert len(one.durations) == len(one.ids)
    assert one.voiced.mean() > 0.3


@pytest.mark.parametrize(("tone", "sign"), [(Tone.T2, 1), (Tone.T4, -1)])
def test_pitch_rises_in_the_second_tone_and_falls_in_the_fourth(tone: Tone, sign: int) -> None:
    phones = (Phone("^"), Phone("m", tone), Phone("a", tone), Phone("."))
    one = utterance(phones, 1, speak(phones, SPEAKERS[1]), plain=True, number=0)
    curve = one.log_f0[one.voiced]
    assert sign * (curve[-3:].mean() - curve[3:6].mean()) > 0.1


def test_what_was_said_before_changes_no_length() -> None:
    """espeak's flutter runs on from call to call; with it on, nothing could learn the pitch."""
    phones, other = corpus.line(6_000_001).phones, corpus.line(6_000_002).phones
    for speaker in SPEAKERS:
        first = speak(phones, speaker)
        speak(other, speaker)
        second = speak(phones, speaker)
        assert first.bounds.tolist() == second.bounds.tolist()


def test_the_corpus_says_small_words_weakly(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("we", "can", "see", "it")
    monkeypatch.setattr(corpus, "_words", lambda _, rng: [corpus._english_word(rng, word) for word in words])
    monkeypatch.setattr(corpus, "_marks", lambda *_: ["", "", "", "."])
    said = [(phone.name, phone.tone) for phone in corpus.line(0).phones]
    assert ("EN", Tone.UNSTRESSED) in said  # can, which alone is K AE1 N
    assert ("AE", Tone.PRIMARY) not in said
    assert ("IY", Tone.PRIMARY) in said  # see
