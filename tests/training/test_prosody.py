"""The rules that bend the teacher's flat speech do what phonetics says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from inference.frontend.phones import Break, Phone, Position, Tone
from training.prosody import PACE_INITIAL, PACE_PAUSE, PACE_RIME, PHRASE_LENGTHENING, SEMITONE, taught

FRAMES_OF_PHONE = 12
Curve = np.ndarray


def clause(mark: str, *, english: bool = False, syllables: int = 6) -> list[Phone]:
    if english:
        return [Phone("^"), *[Phone("AA", Tone.PRIMARY, Position.SINGLE)] * syllables, Phone(mark)]
    return [Phone("^"), *[Phone("a", Tone.T1, Position.SINGLE)] * syllables, Phone(mark)]


def bent(phones: list[Phone], level: float = 5.0) -> Curve:
    """What a flat curve becomes, in semitones from where it was, inside the clause."""
    ids = np.array([phone.ids for phone in phones])
    durations = np.full(len(phones), FRAMES_OF_PHONE)
    count = int(durations.sum())
    voiced = np.ones(count, bool)
    voiced[:FRAMES_OF_PHONE] = voiced[-FRAMES_OF_PHONE:] = False
    _, curve = taught(ids, durations, np.full(count, level, np.float32), voiced)
    return (curve[FRAMES_OF_PHONE:-FRAMES_OF_PHONE] - level) / SEMITONE


def test_a_statement_falls_and_its_last_syllable_falls_most() -> None:
    curve = bent(clause("."))
    assert curve[0] > 0 > curve[-1]
    assert np.all(np.diff(curve) < 1e-4)
    assert curve[-FRAMES_OF_PHONE] - curve[-1] > curve[0] - curve[FRAMES_OF_PHONE - 1]


def test_a_question_is_higher_than_a_statement_and_rises_at_the_end() -> None:
    question, statement = bent(clause("?")), bent(clause("."))
    assert np.all(question > statement)
    assert question[-1] > question[: len(question) // 3].max() + 1


def test_each_clause_starts_anew() -> None:
    first, second = clause(","), clause(".")
    both = bent([*first, *second[1:]])
    start_of_second = FRAMES_OF_PHONE * len(first) - FRAMES_OF_PHONE
    assert both[start_of_second] > both[start_of_second - FRAMES_OF_PHONE - 1]


@pytest.mark.parametrize("mark", list(",.?!"))
def test_english_keeps_the_teachers_intonation(mark: str) -> None:
    assert not bent(clause(mark, english=True)).any()


def test_a_tone_reaches_its_target_late() -> None:
    phones = clause(",")
    ids = np.array([phone.ids for phone in phones])
    durations = np.full(len(phones), FRAMES_OF_PHONE)
    step = np.full(int(durations.sum()), 5.0, np.float32)
    step[len(step) // 2 :] = 5.5
    _, curve = taught(ids, durations, step, np.ones(len(step), bool))
    middle = len(step) // 2
    assert curve[middle] < 5.4
    assert curve[middle + 5] - curve[middle - 1] == pytest.approx(0.5, abs=0.1)


def test_only_the_rime_before_a_phrase_boundary_is_longer() -> None:
    phones = [
        Phone("^"),
        Phone("b", Tone.T1, Position.SINGLE, Break.PHRASE),
        Phone("a", Tone.T1, Position.SINGLE, Break.PHRASE),
        Phone("b", Tone.T1, Position.SINGLE, Break.WORD),
        Phone("a", Tone.T1, Position.SINGLE, Break.WORD),
        Phone("."),
    ]
    ids = np.array([phone.ids for phone in phones])
    durations = np.full(len(phones), 10)
    lengths, _ = taught(ids, durations, np.full(60, 5.0, np.float32), np.ones(60, bool))
    initial, rime, pause = 10 / PACE_INITIAL, 10 / PACE_RIME, 10 / PACE_PAUSE
    assert lengths.tolist() == pytest.approx([10, initial, rime * PHRASE_LENGTHENING, initial, rime, pause])


def test_mandarin_is_brisker_than_the_teacher_and_english_is_not() -> None:
    def lengths(phones: list[Phone]) -> list[float]:
        count = 10 * len(phones)
        given = np.array([phone.ids for phone in phones]), np.full(len(phones), 10)
        learnt, _ = taught(*given, np.full(count, 5.0, np.float32), np.ones(count, bool))
        return [float(length) for length in learnt]

    assert lengths(clause(".", english=True)) == [10] * 8, "nor are its pauses"
    rhotic = [Phone("^"), Phone("d"), Phone("ia", Tone.T3), Phone("rr"), Phone("."), *clause(",", english=True)]
    paces = [10 / length for length in lengths(rhotic)]
    assert paces == pytest.approx([1, PACE_INITIAL, PACE_RIME, PACE_RIME, PACE_PAUSE, *[1] * 8])


def test_whispered_clauses_are_left_alone() -> None:
    phones = clause("?")
    ids = np.array([phone.ids for phone in phones])
    durations = np.full(len(phones), 5)
    flat = np.full(int(durations.sum()), 5.0, np.float32)
    _, curve = taught(ids, durations, flat, np.zeros(len(flat), bool))
    assert curve.tolist() == flat.tolist()
