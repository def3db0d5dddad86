"""Which engine speaks, by engines that do as they are told; test_fallback.py has real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tts_server import breaker, routed, router
from tts_server.batcher import PRIORITY_STEP_S
from tts_server.breaker import BreakerState
from tts_server.config import Settings
from tts_server.degradation import Level
from tts_server.errors import (
    POISONOUS,
    DeadlineExceeded,
    EngineFailed,
    EngineUnavailable,
    InvalidRequest,
    Overloaded,
    QueueFull,
    ShuttingDown,
    TTSError,
)
from tts_server.metrics import OUTCOMES, Metrics
from tts_server.pool import StartError
from tts_server.router import BEHIND, Router
from tts_server.speech import Pcm, Reuse, Speech, SpeechRequest, SpokenWord, Timings, Voice

ENGINES: Final = ("first", "second", "third")
VOICES = {
    name: Voice("female", name, "female", ("zh", "en"), "", 24_000 + number) for number, name in enumerate(ENGINES)
}
PIECES = 3


@dataclass
class Plan:
    """What an engine does with one request."""

    refusal: BaseException | None = None
    failure: BaseException | None = None
    fails_at: int = 0
    hangs_at: int | None = None
    waits: bool = False
    """Whether it waits for its turn while it hangs."""


@dataclass
class FakeSpeech:
    voice: Voice
    plan: Plan
    backend: FakeBackend
    timings: Timings = field(default_factory=Timings)
    unspoken: tuple[str, ...] = ()
    reuse: Reuse = "MISS"
    words: tuple[SpokenWord, ...] = ()

    async def __aiter__(self) -> AsyncIterator[Pcm]:
        value = ENGINES.index(self.voice.engine) + 1
        for number in range(PIECES):
            if self.plan.hangs_at == number:
                self.timings.waiting = self.plan.waits
                self.backend.hanging.set()
                await self.backend.release.wait()
                self.timings.waiting = False
            if self.plan.failure is not None and self.plan.fails_at == number:
                raise self.plan.failure
            yield np.full(number + 1, value, np.int16)


class FakeBackend:
    """One engine, or several."""

    cache = None

    def __init__(self, *engines: str) -> None:
        self.engines = engines
        self.plan: Callable[[SpeechRequest], Plan] = lambda _request: Plan()
        self.asked: list[SpeechRequest] = []
        self.live = 0
        self.is_ready = True
        self.draining = False
        self.wait_s = 0.0
        self.depth = 0
        self.hanging = asyncio.Event()
        self.release = asyncio.Event()
        self.started = self.stopped = False

    async def start(self) -> None:
        self.started = True

    async def stop(self) -> None:
        self.stopped = True

    async def drain(self, timeout_s: float) -> int:
        assert timeout_s == 0
        self.draining = True
        return self.live

    def voices(self) -> tuple[Voice, ...]:
        return tuple(VOICES[name] for name in self.engines)

    def ready(self) -> dict[str, bool]:
        return dict.fromkeys(self.engines, self.is_ready)

    @asynccontextmanager
    async def speak(self, request: SpeechRequest) -> AsyncIterator[Speech]:
        assert request.voice.engine in self.engines
        self.asked.append(request)
        plan = self.plan(request)
        if plan.refusal is not None:
            raise plan.refusal
        self.live += 1
        try:
            yield FakeSpeech(request.voice, plan, self)
        finally:
            self.live -= 1


class House:
    """A router with its engines, each behind a door of its own."""

    def __init__(self, router: Router, doors: Sequence[FakeBackend], metrics: Metrics) -> None:
        self.router = router
        self.first, self.second, self.third = doors
        self.doors = doors
        self.metrics = metrics

    def count(self, name: str, **labels: str) -> int:
        return int(self.metrics.registry.get_sample_value(f"tts_{name}", labels) or 0)

    def state(self, engine: str) -> BreakerState:
        return self.router._engines[engine].breaker.state

    def open(self, *engines: str) -> None:
        for engine in engines:
            self.router._engines[engine].breaker.trip(asyncio.get_running_loop().time(), "a test")

    @property
    def ends(self) -> dict[str, int]:
        found = {name: self.count("jobs_total", outcome=name) for name in OUTCOMES}
        assert self.count("jobs_accepted_total") == sum(found.values()) - found["rejected"]
        return {name: count for name, count in found.items() if count}


@asynccontextmanager
async def house(**changes: Any) -> AsyncIterator[House]:
    doors = [FakeBackend(name) for name in ENGINES]
    metrics = Metrics()
    router = Router(
        Settings(**changes),
        metrics,
        doors[0],
        doors[1:],
        cpu_share=lambda: 0.0,
    )
    await router.start()
    try:
        yield House(router, doors, metrics)
        assert [door.live for door in doors] == [0, 0, 0]
        assert router._live == 0
    finally:
        await router.stop()


def ask(*engines: str, **changes: Any) -> SpeechRequest:
    voice, *others = [VOICES[name] for name in engines or ENGINES]
    return SpeechRequest("r", "好", voice, others=tuple(others), **changes)


async def hear(router: Router, request: SpeechRequest) -> str:
    """Which engine is heard, from the first piece to the last."""
    async with router.speak(request) as speech:
        heard = [pcm async for pcm in speech]
        assert [len(pcm) for pcm in heard] == [1, 2, 3]
        (value,) = {int(sample) for pcm in heard for sample in pcm}
        assert speech.voice is VOICES[ENGINES[value - 1]]
        return speech.voice.engine


def always(plan: Plan) -> Callable[[SpeechRequest], Plan]:
    return lambda _request: plan


MOVING = [EngineFailed("broken"), EngineUnavailable("nobody"), QueueFull("full")]
STAYING = [
    InvalidRequest("wrong"),
    DeadlineExceeded("too late"),
    ShuttingDown("going"),
    EngineFailed("deadly", code=POISONOUS),
    ZeroDivisionError("a bug"),
]


def named(error: BaseException) -> str:
    return getattr(error, "code", type(error).__name__)


async def test_the_first_choice_speaks_when_all_is_well() -> None:
    async with house() as at:
        assert await hear(at.router, request := ask()) == "first"
        assert at.first.asked == [request]
        assert at.second.asked == at.third.asked == []
        assert at.ends == {"done": 1}


@pytest.mark.parametrize("when", ["at the door", "before its audio"])
@pytest.mark.parametrize("error", MOVING, ids=named)
async def test_another_speaks_where_one_cannot(error: TTSError, when: str) -> None:
    async with house() as at:
        at.first.plan = always(Plan(refusal=error) if when == "at the door" else Plan(failure=error))
        assert await hear(at.router, ask()) == "second"
        assert at.count("fallbacks_total", **{"from": "first", "to": "second", "reason": error.code}) == 1
        assert at.ends == {"done": 1}


@pytest.mark.parametrize("error", MOVING, ids=named)
async def test_once_there_was_audio_nobody_else_goes_on(error: TTSError) -> None:
    async with house() as at:
        at.first.plan = always(Plan(failure=error, fails_at=1))
        async with at.router.speak(ask()) as speech:
            pieces = aiter(speech)
            assert int((await anext(pieces))[0]) == 1
            with pytest.raises(type(error)):
                await anext(pieces)
        assert at.second.asked == []
        assert at.ends == {"failed": 1}


@pytest.mark.parametrize("error", STAYING, ids=named)
async def test_what_is_not_the_engines_fault_goes_to_nobody_else_and_is_not_held_against_it(
    error: Exception,
) -> None:
    async with house() as at:
        at.first.plan = always(Plan(failure=error))
        for _ in range(30):
            with pytest.raises(type(error)) as caught:
                await hear(at.router, ask())
            assert caught.value is error
        assert at.second.asked == []
        assert at.state("first") is BreakerState.CLOSED
        assert at.ends == {"expired" if isinstance(error, DeadlineExceeded) else "failed": 30}


async def test_who_names_an_engine_gets_that_one_or_its_error() -> None:
    async with house() as at:
        at.first.plan = always(Plan(failure=EngineFailed("broken")))
        for _ in range(30):  # though its breaker is open by now
            with pytest.raises(EngineFailed, match="broken"):
                await hear(at.router, ask("first"))
        assert len(at.first.asked) == 30
        assert at.second.asked == []


async def test_when_nobody_takes_it_the_first_choices_error_is_told() -> None:
    async with house() as at:
        for door, error in zip(at.doors, (QueueFull("1"), EngineUnavailable("2"), QueueFull("3")), strict=True):
            door.plan = always(Plan(refusal=error))
        with pytest.raises(QueueFull, match="1"):
            await hear(at.router, ask())
        assert [len(door.asked) for door in at.doors] == [1, 1, 1]
        at.first.plan = always(Plan(failure=EngineFailed("4")))
        with pytest.raises(EngineFailed, match="4"):
            await hear(at.router, ask())
        assert at.ends == {"rejected": 1, "failed": 1}


async def test_what_a_stand_in_cannot_speak_is_not_the_callers_fault() -> None:
    async with house() as at:
        at.first.plan = always(Plan(refusal=QueueFull("full")))
        at.second.plan = always(Plan(refusal=InvalidRequest("no pitch here")))
        assert await hear(at.router, ask()) == "third"
        with pytest.raises(QueueFull):
            await hear(at.router, ask("first", "second"))
        with pytest.raises(InvalidRequest):
            await hear(at.router, ask("second", "third"))


async def test_the_next_engine_is_given_what_is_left_of_the_deadline() -> None:
    async with house() as at:
        at.first.plan = always(Plan(hangs_at=0, failure=EngineFailed("broken")))
        hearing = asyncio.create_task(hear(at.router, ask(deadline_s=30.0)))
        await at.first.hanging.wait()
        at.first.release.set()
        assert await hearing == "second"
        assert 29 < at.second.asked[0].deadline_s < 30


# --- lateness -------------------------------------------------------------------------------------------------------


async def test_who_is_late_is_left_for_another() -> None:
    async with house(breaker_late_s=0.05) as at:
        at.first.plan = always(Plan(hangs_at=0))
        assert await hear(at.router, ask()) == "second"
        assert at.first.live == 0
        assert at.count("fallbacks_total", **{"from": "first", "to": "second", "reason": "late"}) == 1


@pytest.mark.parametrize("others", [["second"], []], ids=["with another", "with none"])
@pytest.mark.parametrize("trouble", ["waits for its turn", "nobody else is well"])
async def test_who_cannot_be_helped_elsewhere_is_waited_for(trouble: str, others: list[str]) -> None:
    async with house(breaker_late_s=0.05) as at:
        at.first.plan = always(Plan(hangs_at=0, waits=trouble == "waits for its turn"))
        if trouble == "nobody else is well":
            at.open("second")
        hearing = asyncio.create_task(hear(at.router, ask("first", *others)))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(hearing), 0.2)  # four times as long as late is
        at.first.release.set()
        assert await hearing == "first"
        assert at.second.asked == []


async def test_of_a_short_deadline_half_is_left_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routed, "LEAST_LATE_S", 0.01)
    async with house(breaker_late_s=60.0) as at:
        at.first.plan = always(Plan(hangs_at=0))
        assert await hear(at.router, ask(deadline_s=0.2)) == "second"
        at.first.release.set()


async def test_a_deadline_that_passes_in_an_engines_hands_counts_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routed, "LEAST_LATE_S", 0.0)
    async with house(breaker_min_requests=2) as at:
        at.first.plan = always(Plan(failure=DeadlineExceeded("too late")))
        for _ in range(2):
            with pytest.raises(DeadlineExceeded):
                await hear(at.router, ask("first", deadline_s=0.0))
        assert at.state("first") is BreakerState.OPEN


async def test_an_engine_that_went_away_is_noticed_though_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "ABSENT_S", 0.01)
    monkeypatch.setattr(breaker, "ABSENT_S", 0.01)
    async with house() as at, asyncio.timeout(10):
        at.first.is_ready = False
        while at.state("first") is not BreakerState.OPEN:  # noqa: ASYNC110  (a breaker has no event)
            await asyncio.sleep(0.001)


async def test_who_is_late_goes_on_if_nobody_else_takes_it() -> None:
    async with house(breaker_late_s=0.05) as at:
        at.first.plan = always(Plan(hangs_at=0))
        at.second.plan = always(Plan(refusal=QueueFull("full")))
        hearing = asyncio.create_task(hear(at.router, ask("first", "second")))
        while len(at.first.asked) < 2:  # noqa: ASYNC110  (it is asked again)
            await asyncio.sleep(0.01)
        at.first.release.set()
        assert await hearing == "first"
        assert [len(door.asked) for door in at.doors] == [2, 1, 0]


async def test_each_engine_is_late_once() -> None:
    async with house(breaker_late_s=0.05) as at:
        at.first.plan = at.second.plan = always(Plan(hangs_at=0))
        hearing = asyncio.create_task(hear(at.router, ask("first", "second")))
        await at.second.hanging.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(hearing), 0.2)
        at.second.release.set()
        assert await hearing == "second"
        assert [len(door.asked) for door in at.doors] == [1, 1, 0]


async def test_late_audio_counts_against_an_engine_though_it_comes() -> None:
    async with house(breaker_late_s=0.05, breaker_min_requests=2) as at:
        at.first.plan = always(Plan(hangs_at=0))
        hearing = [asyncio.create_task(hear(at.router, ask("first"))) for _ in range(2)]
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(hearing[0]), 0.1)
        at.first.release.set()
        assert await asyncio.gather(*hearing) == ["first"] * 2
        assert at.state("first") is BreakerState.OPEN


async def test_an_engines_own_timeout_is_not_taken_for_ours() -> None:
    async with house() as at:
        at.first.plan = always(Plan(failure=TimeoutError("its own")))
        with pytest.raises(TimeoutError, match="its own"):
            await hear(at.router, ask())
        assert at.ends == {"failed": 1}


# --- breakers -------------------------------------------------------------------------------------------------------


async def test_an_engine_that_fails_is_left_alone_and_tried_by_one_request_that_may_still_move() -> None:
    async with house(breaker_open_s=0.05) as at:
        at.first.plan = always(Plan(failure=EngineFailed("broken")))
        for _ in range(10):
            assert await hear(at.router, ask()) == "second"
        assert (len(at.first.asked), at.state("first")) == (10, BreakerState.OPEN)
        assert at.count("breaker_state", engine="first") == 2
        assert await hear(at.router, ask()) == "second"
        assert len(at.first.asked) == 10
        assert at.count("fallbacks_total", **{"from": "first", "to": "second", "reason": "breaker_open"}) == 1
        await asyncio.sleep(0.05)
        assert await hear(at.router, ask()) == "second"  # the probe fails, and its caller does not notice
        assert (len(at.first.asked), at.state("first")) == (11, BreakerState.OPEN)
        at.first.plan = always(Plan())
        await asyncio.sleep(0.1)  # twice as long
        assert await hear(at.router, ask()) == "first"
        assert at.state("first") is BreakerState.CLOSED
        assert at.count("breaker_state", engine="first") == 0


async def test_while_one_request_tries_it_the_others_go_elsewhere() -> None:
    async with house(breaker_open_s=0.05) as at:
        at.open("first")
        await asyncio.sleep(0.05)
        at.first.plan = always(Plan(hangs_at=0))
        probe = asyncio.create_task(hear(at.router, ask()))
        await at.first.hanging.wait()
        assert await asyncio.gather(*(hear(at.router, ask()) for _ in range(20))) == ["second"] * 20
        probe.cancel()
        await asyncio.wait({probe})
        at.first.release.set()
        assert await hear(at.router, ask()) == "first", "whose caller leaves makes room for another probe"


async def test_a_breaker_makes_no_outage_of_its_own() -> None:
    async with house() as at:
        at.open(*ENGINES)
        assert await hear(at.router, ask()) == "first"
        at.first.plan = always(Plan(refusal=QueueFull("full")))
        assert await hear(at.router, ask()) == "second"
        assert await hear(at.router, ask("third")) == "third"


async def test_an_engine_without_anybody_is_left_alone_unless_it_was_there_a_moment_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with house() as at:
        at.first.is_ready = False
        assert await hear(at.router, ask()) == "first", "whose workers have died has others soon"
        monkeypatch.setattr(breaker, "ABSENT_S", 0.0)
        assert await hear(at.router, ask()) == "second"
        assert len(at.first.asked) == 1
        assert at.state("first") is BreakerState.OPEN
        assert await hear(at.router, ask("first")) == "first", "who named it waits for it"


async def test_callers_in_a_hurry_do_not_close_an_engine_for_others() -> None:
    async with house(max_queue_s=10.0) as at:
        at.first.plan = always(Plan(refusal=QueueFull("it would take a second")))
        for _ in range(50):
            with pytest.raises(QueueFull):
                await hear(at.router, ask("first", deadline_s=0.5))
        assert at.state("first") is BreakerState.CLOSED
        for _ in range(10):
            with pytest.raises(QueueFull):
                await hear(at.router, ask("first", deadline_s=60.0))
        assert at.state("first") is BreakerState.OPEN


# --- too much to do -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("priority", [0, 1, 9])
async def test_what_each_level_does_to_whom(level: Level, priority: int) -> None:
    async with house() as at:
        at.router.overload.level, at.first.wait_s = level, 9.0
        request = ask(priority=priority)
        if priority and level is Level.REFUSE:
            with pytest.raises(Overloaded) as caught:
                await hear(at.router, request)
            assert (caught.value.status, caught.value.code) == (503, "overloaded")
            assert caught.value.headers()["Retry-After"]
            assert at.ends == {"rejected": 1}
            return
        elsewhere = bool(priority) and level >= Level.FALLBACK
        assert await hear(at.router, request) == ("second" if elsewhere else "first")
        (asked,) = at.second.asked if elsewhere else at.first.asked
        assert asked.priority == priority + (BEHIND if priority and level >= Level.VIP_FIRST else 0)
        assert at.count("fallbacks_total", **{"from": "first", "to": "second", "reason": "overload"}) == elsewhere


async def test_what_was_promised_is_neither_refused_nor_moved() -> None:
    async with house() as at:
        at.router.overload.level, at.first.wait_s = Level.REFUSE, 9.0
        assert await hear(at.router, ask(priority=1, promised=True)) == "first"


async def test_who_comes_when_nobody_waits_is_let_in_or_the_cores_would_stand_idle() -> None:
    async with house() as at:
        at.router.overload.level, at.first.wait_s = Level.REFUSE, 0.9
        assert await hear(at.router, ask(priority=1)) == "second"


async def test_the_first_choice_is_the_last_resort_of_who_was_to_go_elsewhere() -> None:
    async with house() as at:
        at.router.overload.level = Level.FALLBACK
        at.second.plan = always(Plan(refusal=QueueFull("full")))
        at.third.plan = always(Plan(failure=EngineFailed("broken")))
        assert await hear(at.router, ask(priority=1)) == "first"
        assert await hear(at.router, ask("first", priority=1)) == "first", "who named it has no other"


def test_those_who_wait_behind_are_served_as_if_they_had_come_seconds_later() -> None:
    assert BEHIND * PRIORITY_STEP_S == 6.0


# --- its life -------------------------------------------------------------------------------------------------------


async def test_all_engines_are_one_gateway() -> None:
    async with house() as at:
        assert at.router.voices() == tuple(VOICES.values())
        assert at.router.ready() == {"first": True}, "others' engines are nothing to wait for"
        assert all(door.started for door in at.doors)
        assert at.router.status()["breakers"] == dict.fromkeys(ENGINES, "closed")
    assert all(door.stopped for door in at.doors)


async def test_two_engines_of_one_name_are_a_mistake() -> None:
    router = Router(Settings(), Metrics(), FakeBackend("first"), [FakeBackend("second", "first")])
    with pytest.raises(StartError, match="first"):
        await router.start()
    await router.stop()


async def test_draining_waits_for_those_who_move_as_well() -> None:
    async with house() as at:
        at.first.plan = always(Plan(hangs_at=0, failure=EngineFailed("broken")))
        at.second.plan = always(Plan(hangs_at=0))
        hearing = asyncio.create_task(hear(at.router, ask()))
        await at.first.hanging.wait()
        draining = asyncio.create_task(at.router.drain(60))
        await asyncio.sleep(0)
        assert at.router.draining
        with pytest.raises(ShuttingDown):
            await hear(at.router, ask())
        at.first.release.set()
        await at.second.hanging.wait()
        assert not draining.done()
        assert await hear(at.router, ask("third", promised=True)) == "third"
        at.second.release.set()
        assert (await hearing, await draining) == ("second", 0)
        assert at.ends == {"done": 2, "rejected": 1}


async def test_what_does_not_end_in_time_is_counted() -> None:
    async with house() as at:
        at.first.plan = always(Plan(hangs_at=0))
        hearing = asyncio.create_task(hear(at.router, ask()))
        await at.first.hanging.wait()
        assert await at.router.drain(0.01) == 1
        at.first.release.set()
        await hearing


# --- whatever happens -----------------------------------------------------------------------------------------------

Errors = st.sampled_from([*MOVING, *STAYING])
Plans = st.builds(
    Plan,
    refusal=st.none() | st.none() | Errors,
    failure=st.none() | st.none() | Errors,
    fails_at=st.integers(0, PIECES - 1),
)
Choices = st.permutations(ENGINES).flatmap(lambda names: st.integers(1, 3).map(lambda count: names[:count]))


@st.composite
def visits(draw: st.DrawFn) -> tuple[SpeechRequest, dict[str, Plan], int | None]:
    """A request, what each engine does with it, and after how many pieces its caller leaves."""
    request = replace(ask(*draw(Choices)), priority=draw(st.integers(0, 2)), promised=draw(st.booleans()))
    plans = {name: draw(Plans) for name in ENGINES}
    return request, plans, draw(st.none() | st.integers(0, PIECES))


async def _visit(at: House, number: int, request: SpeechRequest, leaves_after: int | None) -> str:
    request = replace(request, id=str(number))
    heard: list[int] = []
    end = "cancelled"
    entered = False
    try:
        async with at.router.speak(request) as speech:
            entered = True
            pieces = aiter(speech)
            while leaves_after is None or len(heard) < leaves_after:
                try:
                    heard.append(int((await anext(pieces))[0]))
                except StopAsyncIteration:
                    end = "done"
                    break
            assert heard == [ENGINES.index(speech.voice.engine) + 1] * len(heard), "one engine speaks it all"
            assert speech.voice in (request.voice, *request.others)
    except DeadlineExceeded:
        end = "expired"
    except (TTSError, ZeroDivisionError):
        end = "failed"
    asked = [[one.id for one in door.asked].count(request.id) for door in at.doors]
    assert max(asked) <= 1
    assert all(count == 0 or VOICES[name] in (request.voice, *request.others) for count, name in zip(asked, ENGINES))  # noqa: B905
    return end if entered else "rejected"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(visits(), min_size=1, max_size=30), st.lists(st.sampled_from(Level), min_size=1, max_size=5))
def test_each_request_ends_once_however_many_engines_it_visits(
    visitors: list[tuple[SpeechRequest, dict[str, Plan], int | None]], levels: list[Level]
) -> None:
    async def all_of_them() -> None:
        async with house(breaker_min_requests=3, breaker_open_s=0.05) as at:
            plans = {str(number): plans for number, (_, plans, _) in enumerate(visitors)}
            for name, door in zip(ENGINES, at.doors, strict=True):
                door.plan = lambda request, name=name: plans[request.id][name]  # type: ignore[misc]
            ends = []
            for number, (request, _, leaves_after) in enumerate(visitors):
                at.router.overload.level = levels[number % len(levels)]
                ends.append(await _visit(at, number, request, leaves_after))
            assert at.ends == {end: ends.count(end) for end in {*ends}}
            for name in ENGINES:  # no probe was forgotten
                assert not at.router._engines[name].breaker._probing

    asyncio.run(all_of_them())
