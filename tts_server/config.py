"""What can be set, what it may be, and why it is what it is when nobody says otherwise.

Where the values come from is `config_sources.py`; how people are told of them, `config_listing.py`.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from inference.pack import VOICES
from tts_server.caller import TIERS, Tier, over_the_defaults

KEYS = "Keys and limits"
LISTENING, ENGINES, QUEUE, PROCESS = "Listening", "Engines and workers", "The queue and its bounds", "The process"
CACHE = "The cache"
JOBS: Final = "Long jobs"
SWITCH: Final = "true or false"
MOST_CORES: Final = 4096
"""More than Linux is built for anywhere; it bounds what a range such as 0-999999999 may unfold to."""


def _setting(  # noqa: PLR0913  (each of them is a column of the table in the docs)
    group: str,
    default: Any,  # noqa: ANN401  (as pydantic's own Field, which this is)
    what: str,
    why: str,
    *,
    takes: str = "",
    shown: str = "",
    ge: float | None = None,
    le: float | None = None,
) -> Any:  # noqa: ANN401
    more: dict[str, JsonValue] = {"group": group, "why": why, "takes": takes, "shown": shown}
    return Field(default, description=what, json_schema_extra=more, ge=ge, le=le)


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _names(value: object) -> object:
    return () if value == "none" else _split(value)


def _auto(value: object) -> object:
    return None if value == "auto" else value


def _core_numbers(value: object) -> object:
    """`0,2-4` as [0, 2, 3, 4]; anything else is left to the check of its type."""
    if not isinstance(value, str):
        return value
    cores: list[int] = []
    for part in value.split(","):
        found = re.fullmatch(r"\s*(\d{1,4})(?:\s*-\s*(\d{1,4}))?\s*", part)
        if not found:
            raise ValueError(f"{part.strip()!r} is neither a core nor a range of cores")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise ValueError(f"the range {part.strip()!r} runs backwards")
        cores.extend(range(first, last + 1))
    return cores


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{twice[0]!r} is there twice")
    return values


def _home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError("there is no home folder for `~`") from error


Folder = Annotated[Path, AfterValidator(_home)]
Name = Annotated[str, Field(min_length=1)]
Engines = Annotated[tuple[Name, ...], BeforeValidator(_split), AfterValidator(_each_once), Field(min_length=1)]
Core = Annotated[int, Field(ge=0, lt=MOST_CORES)]
Cores = Annotated[tuple[Core, ...], BeforeValidator(_core_numbers), AfterValidator(_each_once), Field(min_length=1)]


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        ip_network(value)  # ValueError says what is wrong with it
    return values


def _within(share: str) -> str:
    number, instances = map(int, share.split("/"))
    if number > instances:
        raise ValueError(f"there is no number {number} of {instances}")
    return share


ShareOfCores = Annotated[str, Field(pattern=r"^[1-9]\d{0,3}/[1-9]\d{0,3}$"), AfterValidator(_within)]
Networks = Annotated[tuple[Name, ...], BeforeValidator(_names), AfterValidator(_each_once), AfterValidator(_networks)]
RedisUrl = Annotated[str, Field(pattern=r"^(redis|rediss|unix)://.")]
TierName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Tiers = Annotated[dict[TierName, Tier], BeforeValidator(over_the_defaults)]


class Settings(BaseModel):
    """The settings of one server: checked, and never changed. `config_sources.load` finds them out."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    host: Name = _setting(
        LISTENING,
        "127.0.0.1",
        "address or name to listen at; 0.0.0.0 is every IPv4 address",
        "nothing but this machine until somebody decides otherwise; any other needs keys, or allow_anonymous",
        takes="an address or a name",
    )
    port: int = _setting(
        LISTENING, 8000, "TCP port; 0 takes any free one and says which", "what the examples use", ge=0, le=65535
    )
    reuse_port: bool = _setting(
        LISTENING,
        False,  # noqa: FBT003
        "whether other instances may listen at the same port, among which the kernel divides connections; as a flag it "
        "needs no value",
        "a second server started by mistake would take half of the requests, and nobody would be told",
        takes=SWITCH,
    )
    keepalive_s: float = _setting(
        LISTENING,
        75.0,
        "how long a connection may stay open between two requests",
        "longer than the 60 s of common proxies: who closes first must be the proxy, or it meets a closed connection",
        ge=0,
        le=3600,
    )
    write_timeout_s: float = _setting(
        LISTENING,
        30.0,
        "how long a client may take no byte before its connection is cut",
        "a player's buffer is seconds long; a client that takes nothing for longer has gone",
        ge=1,
        le=3600,
    )
    max_body_bytes: int = _setting(
        LISTENING,
        1_048_576,
        "largest request body",
        "the longest text with every character escaped is less than a tenth of it",
        ge=1024,
        le=1_073_741_824,
    )

    header_timeout_s: float = _setting(
        LISTENING,
        15.0,
        "how long the headers of a request may take, from their first byte, or from the connection's beginning",
        "they fit into a packet or two; a connection that sends them by the byte does so to be held open",
        ge=1,
        le=600,
    )
    max_connections_per_address: int = _setting(
        LISTENING,
        256,
        "most connections from one address; this machine and trusted_proxies may have any number",
        "an office behind one address has fewer; a single machine could otherwise take all open files",
        ge=1,
        le=1_000_000,
    )
    admin_port: Annotated[int | None, BeforeValidator(_auto)] = _setting(
        LISTENING,
        None,
        "a port of their own for probes and /metrics, without keys; only /healthz stays on the other; auto: none",
        "one port is simpler, as long as whoever reads metrics can have a key",
        ge=0,
        le=65535,
    )
    admin_host: Name = _setting(
        LISTENING,
        "127.0.0.1",
        "address or name for admin_port",
        "who can reach it needs no key",
        takes="an address or a name",
    )
    trusted_proxies: Networks = _setting(
        LISTENING,
        (),
        "proxies whose X-Forwarded-For tells who the caller is",
        "anybody else could write there what he likes, and be counted as somebody new each time",
        takes="addresses and networks such as 127.0.0.1,10.0.0.0/8, or none",
    )

    keys_file: Annotated[Folder | None, BeforeValidator(_auto)] = _setting(
        KEYS,
        None,
        "file of the keys that `tts-server keys` makes; auto: keys.json in the state folder",
        "beside what else must outlive a restart; name it where several servers share one",
        takes="a file",
    )
    allow_anonymous: bool = _setting(
        KEYS,
        False,  # noqa: FBT003  (each setting has its default in this place)
        "whether callers without a key are let in, as tier anonymous; as a flag it needs no value",
        "nobody is let in by mistake",
        takes=SWITCH,
    )
    redis_url: Annotated[RedisUrl | None, BeforeValidator(_auto)] = _setting(
        KEYS,
        None,
        "a Redis that several instances share, for what they count and keep in common; auto: none",
        "one instance needs none",
        takes="a URL such as redis://host:6379/0, rediss://… or unix://…",
    )
    tiers: Tiers = _setting(
        KEYS,
        dict(TIERS),
        "what the callers of each tier may take: priority, requests_per_s, burst, characters_per_min, concurrent",
        "docs/security.md has them, and how to change one",
        takes="tables [tiers.NAME], or JSON",
        shown="vip,standard,anonymous",
    )

    engines: Engines = _setting(
        ENGINES,
        ("standard", "light"),
        "voice packs to serve; the first speaks when a request names no engine",
        "the two that are shipped; they share the cores, so one that is not asked costs memory only",
        takes="names or folders of voice packs, separated by commas",
    )
    voices_dir: Folder = _setting(
        ENGINES,
        VOICES,
        "folder where packs are looked for by name",
        "where the shipped ones are",
        shown="those shipped",
    )
    workers: Annotated[int | None, BeforeValidator(_auto)] = _setting(
        ENGINES,
        None,
        "worker processes of each engine; auto: one for each usable core of its share",
        "a worker computes on one core; more of them than cores only wait for one another",
        ge=1,
        le=256,
    )
    cores: Annotated[Cores | None, BeforeValidator(_auto)] = _setting(
        ENGINES,
        None,
        "cores to pin workers to, of which share takes a part; auto: all that this process may use",
        "name them where other programs need theirs",
        takes="core numbers and ranges such as 0,2-5",
    )
    share: ShareOfCores = _setting(
        ENGINES,
        "1/1",
        "this instance's share of the cores, where several on one machine divide them: 2/3 is the second of three",
        "one instance has all",
        takes="this instance's number and how many there are, such as 2/3",
    )
    worker_nice: int = _setting(
        ENGINES,
        10,
        "niceness of workers, 0 to 19",
        "the event loop shares a core with a worker and must go first: probes and audio already made wait for it",
        ge=0,
        le=19,
    )
    start_timeout_s: float = _setting(
        ENGINES,
        60.0,
        "how long a worker may take until it has spoken for the first time",
        "the first start also prepares the models, perhaps from a slow disk",
        ge=1,
        le=3600,
    )
    hang_s: float = _setting(
        ENGINES,
        3.0,
        "how long a worker with work may show no life before it is replaced",
        "one step makes one sentence, far faster than it is heard, even on a slow core that others share",
        ge=0.1,
        le=600,
    )
    worker_max_rss_mib: int = _setting(
        ENGINES,
        1024,
        "memory at which a worker finishes what it holds and is replaced",
        "far above what the shipped voices need, so that only a leak gets there",
        ge=64,
        le=1_048_576,
    )

    max_batch_size: int = _setting(
        QUEUE, 8, "most sentences sent to a worker at once", "beyond it nothing is gained, and others wait", ge=1, le=64
    )
    max_batch_wait_ms: float = _setting(
        QUEUE,
        50.0,
        "longest that a sentence waits for others to share its batch, while every worker is busy",
        "less than anybody hears; with an idle worker nothing waits",
        ge=0,
        le=1000,
    )
    max_batch_audio_s: float = _setting(
        QUEUE,
        4.0,
        "a batch is closed when it holds so much speech",
        "about one long sentence: a short one behind it must not wait for two",
        ge=0.1,
        le=60,
    )
    max_queue_s: float = _setting(
        QUEUE,
        10.0,
        "a request that would be taken up later than this is refused at once (503)",
        "nobody listens for longer; a balancer can still send it elsewhere",
        ge=0.1,
        le=600,
    )
    max_queued: int = _setting(
        QUEUE,
        4000,
        "most requests held at once, whatever their length; more are refused (503)",
        "bounds memory, should the estimate of time be wrong",
        ge=1,
        le=100_000,
    )
    max_text_chars: int = _setting(
        QUEUE,
        5000,
        "longest text of a request, in characters",
        "up to a quarter of an hour of speech; longer work is not for one connection",
        ge=1,
        le=50_000,
    )
    deadline_s: float = _setting(
        QUEUE,
        60.0,
        "a request not answered by then fails (504), unless it asks for less by X-Deadline-Ms",
        "what HTTP clients and proxies commonly wait",
        ge=0.1,
        le=3600,
    )
    run_ahead: int = _setting(
        QUEUE,
        4,
        "sentences of one request that may be spoken or wait to be heard, beyond the one being sent",
        "keeps a few cores busy for one listener, and a book from starving a greeting",
        ge=0,
        le=64,
    )

    cache_bytes: int = _setting(
        CACHE,
        256 << 20,
        "memory for what was said before: lines, scripts and whole answers; 0: none",
        "an hour and a half of speech at 24 kHz, less than half of what two workers take",
        ge=0,
        le=10**12,
    )
    cache_ttl_s: float = _setting(
        CACHE,
        7 * 86_400.0,
        "how long redis_url keeps what was said before",
        "entries never go out of date; those of a former release should not stay for ever",
        ge=1,
        le=10 * 365 * 86_400,
    )

    jobs_at_once: int = _setting(
        JOBS,
        2,
        "jobs that are spoken at once, behind all other requests",
        "one keeps the workers busy while the other's audio goes to the disk",
        ge=1,
        le=64,
    )
    jobs_max_text_chars: int = _setting(
        JOBS,
        200_000,
        "longest text of a job, in characters",
        "a book of twelve hours: 2 GB of wav, and some minutes of work on two cores",
        ge=1,
        le=2_000_000,
    )
    jobs_queued: int = _setting(
        JOBS, 10_000, "most unfinished jobs; more are refused (503)", "bounds the store", ge=1, le=1_000_000
    )
    jobs_queued_per_caller: int = _setting(
        JOBS,
        1_000,
        "most unfinished jobs of one caller; more are refused (429)",
        "callers take turns, so this bounds how long his own last one waits",
        ge=1,
        le=1_000_000,
    )
    job_ttl_s: float = _setting(
        JOBS,
        86_400.0,
        "how long a result is kept after its end, and how long a job that nobody can speak is tried",
        "a day: whoever was away for a night still finds it",
        ge=1,
        le=31_536_000,
    )
    jobs_disk_reserve_mib: int = _setting(
        JOBS,
        512,
        "room on the state folder's disk that jobs leave to others; a job that might need it is refused (507)",
        "logs and the system itself need some",
        ge=0,
        le=1_048_576,
    )
    callback_private: bool = _setting(
        JOBS,
        False,  # noqa: FBT003
        "whether jobs may call back to private addresses; as a flag it needs no value",
        "else whoever may order a job could reach what only this machine can",
        takes=SWITCH,
    )

    drain_s: float = _setting(
        PROCESS,
        30.0,
        "on SIGTERM: how long accepted requests may go on before they are cancelled",
        "the grace that Kubernetes gives is 30 s: set it some seconds lower there, or the grace higher",
        ge=0,
        le=3600,
    )
    encoder_threads: int = _setting(
        PROCESS,
        2,
        "threads that encode audio",
        "one that is busy with a long answer must not hold up a short one",
        ge=1,
        le=64,
    )
    state_dir: Folder = _setting(
        PROCESS,
        Path("~/.local/state/tts-server"),
        "folder for what must outlive a restart; tts-server.toml is looked for in it",
        "by the XDG rules, or the one that systemd gives ($STATE_DIRECTORY)",
        shown="$XDG_STATE_HOME/tts-server",
    )
    cache_dir: Folder = _setting(
        PROCESS,
        Path("~/.cache/tts-server"),
        "folder for prepared models; may be emptied while the server is down",
        "by the XDG rules, or systemd's ($CACHE_DIRECTORY); `cache` in the state folder where that one is set",
        shown="$XDG_CACHE_HOME/tts-server",
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        PROCESS, "info", "least level that is logged, to standard error", "a line for each event that a person acts on"
    )
    log_format: Literal["auto", "text", "json"] = _setting(
        PROCESS, "auto", "how; auto: text on a terminal and in systemd's journal, else json", "each reader its own"
    )

    @property
    def instance(self) -> tuple[int, int]:
        """The number of this instance on its machine, from 1, and how many there are."""
        number, instances = map(int, self.share.split("/"))
        return number, instances

    @property
    def keys_path(self) -> Path:
        """Where the keys are."""
        return self.keys_file or self.state_dir / "keys.json"
