"""Where rules from phonetics sound better than the teacher's flat speech, durations and pitch are taught with them.

espeak says every Mandarin clause at one level, questions and statements alike, and knows no phrase smaller than a
comma. These rules bend its pitch and lengths before the net learns them; the decoder still hears the teacher's own.

- Declination: Mandarin clauses fall by some semitones and are reset at the next (Shih 2000, in Botinis (ed.),
Intonation;
  Yuan & Liberman 2014, Speech Communication 65).
- Questions without a fall: the whole curve is higher and rises towards the end (Yuan, Shih & Kochanski 2002, Speech
  Prosody); exclamations: wider range.
- Final lowering of statements (Liberman & Pierrehumbert 1984).
- Tone coarticulation is mostly carry-over: a tone starts where the last one ended and reaches its target late (Xu 1997,
  Journal of Phonetics 25; Xu & Wang 2001, target approximation).
- The syllable before a phrase boundary is longer (Wightman et al. 1992, JASA 91).
- Mandarin is read at some five syllables a second without its pauses (Pellegrino, Coupé & Marsico 2011, Language 87);
  espeak says 3.3 with them, and driven faster its tones suffer more than ours do. Who speaks faster shortens vowels and
  pauses before consonants (Klatt 1976, JASA 59).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.frontend.phones import FINALS, INITIALS, PAUSES, PHONES, RHOTIC, Break, Tone

SEMITONE: Final = float(np.log(2.0) / 12.0)
FALL: Final = 2.4 * SEMITONE  # of a clause of a second or more
QUESTION_RISE: Final = 3.0 * SEMITONE
QUESTION_LIFT: Final = 1.0 * SEMITONE
EXCLAMATION_RANGE: Final = 1.2
FINAL_LOWERING: Final = 0.7 * SEMITONE
CARRY_OVER_S: Final = 0.008  # time constant of the approach to a tone's target; 0.018 cost two of a hundred tones
PHRASE_LENGTHENING: Final = 1.18
PACE_INITIAL, PACE_RIME, PACE_PAUSE = 1.1, 1.3, 1.25  # Mandarin's, times the teacher's
PACE: Final = 1.24  # what they come to: four syllables a second, pauses and all
FRAME_S: Final = 256 / 22_050

_PAUSES: Final = np.isin(np.arange(len(PHONES)), [PHONES.index(name) for name in PAUSES])
_FINALS: Final = np.isin(np.arange(len(PHONES)), [PHONES.index(name) for name in FINALS])
_INITIALS: Final = np.isin(np.arange(len(PHONES)), [PHONES.index(name) for name in INITIALS])
_RHOTIC: Final = PHONES.index(RHOTIC)
_QUESTION, _EXCLAMATION, _STOP = (PHONES.index(name) for name in "?!.")
_LAST_SYLLABLES: Final = 4


def taught(
    ids: NDArray[np.int64], durations: NDArray[np.int64], log_f0: NDArray[np.float32], voiced: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the heads shall learn: lengths of the phones (N,) in frames, log F0 (T,) on the teacher's own frames."""
    lengths = (durations / _pace(ids)).astype(np.float32)
    rime = _FINALS[ids[:, 0]] & (ids[:, 3] == Break.PHRASE)
    lengths[rime] *= PHRASE_LENGTHENING
    bent = log_f0.astype(np.float64)
    ends = np.cumsum(durations)
    first = 0
    for index in np.flatnonzero(_PAUSES[ids[:, 0]]):
        if index > first:
            clause = slice(first, int(index))
            if np.all(ids[clause, 1] <= Tone.T5):  # Mandarin; espeak gives English an intonation of its own
                frames = slice(int(ends[first] - durations[first]), int(ends[index - 1]))
                starts = ends[clause][_FINALS[ids[clause, 0]]] - frames.start
                bent[frames] = _bend(bent[frames], voiced[frames], starts, int(ids[index, 0]))
        first = int(index) + 1
    return lengths, bent.astype(np.float32)


def _pace(ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """How many times as fast as the teacher's each phone is to be, (N,). A pause goes with what is before it."""
    phone = ids[:, 0]
    pace = np.ones(len(phone), np.float32)
    pace[_INITIALS[phone]] = PACE_INITIAL
    pace[_FINALS[phone] | (phone == _RHOTIC)] = PACE_RIME
    after_rime = np.flatnonzero(_PAUSES[phone[1:]] & (pace[:-1] == PACE_RIME)) + 1
    pace[after_rime] = PACE_PAUSE
    return pace


def _bend(
    curve: NDArray[np.float64], voiced: NDArray[np.bool_], syllable_ends: NDArray[np.int64], mark: int
) -> NDArray[np.float64]:
    """One Mandarin clause. syllable_ends are frames within it; mark is the pause that closes it."""
    if not voiced.any():
        return curve
    time = np.arange(len(curve))
    fall = FALL * min(1.0, len(curve) * FRAME_S)
    level = float(curve[voiced].mean())
    if mark == _EXCLAMATION:
        curve = level + EXCLAMATION_RANGE * (curve - level) + 0.5 * SEMITONE
    if mark == _QUESTION:
        last = syllable_ends[-_LAST_SYLLABLES - 1] if len(syllable_ends) > _LAST_SYLLABLES else 0
        curve = curve + QUESTION_LIFT + QUESTION_RISE * np.clip((time - last) / max(1, len(curve) - last), 0, 1)
        fall *= 0.3
    curve = curve + fall * (0.4 - time / len(curve))
    if mark == _STOP and len(syllable_ends) > 1:
        curve = curve - FINAL_LOWERING * np.clip(
            (time - syllable_ends[-2]) / max(1, len(curve) - syllable_ends[-2]), 0, 1
        )
    return _carry_over(curve, voiced)


def _carry_over(curve: NDArray[np.float64], voiced: NDArray[np.bool_]) -> NDArray[np.float64]:
    """First-order approach to the curve inside each voiced stretch."""
    keep = float(np.exp(-FRAME_S / CARRY_OVER_S))
    out = curve.copy()
    for t in range(1, len(curve)):
        if voiced[t] and voiced[t - 1]:
            out[t] = keep * out[t - 1] + (1 - keep) * curve[t]
    return out
