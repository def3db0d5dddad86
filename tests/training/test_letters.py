"""How English words sound that the letter-to-sound model has not learnt."""

from __future__ import annotations

from training.letters import accuracy


def test_seven_of_ten_words_held_out_are_right_to_the_last_stress() -> None:
    with_stress, without = accuracy()
    assert with_stress.words > 0.712
    assert with_stress.phones > 0.924
    assert without.words > with_stress.words
    assert without.phones > with_stress.phones
