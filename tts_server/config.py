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
OVERLOAD: Final = "Engines that fail, and overload"
REMOTE: Final = "Remote voices: DashScope"
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


def _rate(value: object) -> object:
    return None if value == "auto" else int(value) if isinstance(value, str) and value.isdecimal() else value


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


def _each_voice_once(values: tuple[str, ...]) -> tuple[str, ...]:
    _each_once(tuple(value.partition("=")[0] for value in values))
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
RemoteModel = Annotated[
    str, Field(pattern=r"^(sambert-[a-z0-9-]+|cosyvoice-[a-z0-9.-]+/[A-Za-z0-9_-]+)(=(female|male|neutral))?$")
]
RemoteModels = Annotated[tuple[RemoteModel, ...], BeforeValidator(_names), AfterValidator(_each_voice_once)]
RemoteUrl = Annotated[str, Field(pattern=r"^(wss://.|ws://(127\.0\.0\.1|localhost)[:/])")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/?#]")]
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
        "most connections from one address, of IPv6 from one /64; this machine and trusted_proxies may have any number",
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
        15,
        "niceness of workers, 0 to 19; express ones are not nice",
        "the event loop shares a core with a worker and must go first: probes and audio already made wait for it; of a "
        "core that a VIP wants too, others keep a thirtieth",
        ge=0,
        le=19,
    )
    express_workers: Annotated[int | None, BeforeValidator(_auto)] = _setting(
        ENGINES,
        None,
        "further workers of each engine, for callers of priority 0 alone, which are not nice. auto: as many as there "
        "are workers if the file of keys exists at the start, else none",
        "who goes first need not wait until others' sentence is made; each takes some 30 MiB, and time only when asked",
        ge=0,
        le=256,
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
        24.0,
        "a batch is closed when it holds so much speech",
        "four sentences of 6 s: read and planned together they cost less, and are made in 25 to 60 ms",
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

    breaker_ratio: float = _setting(
        OVERLOAD,
        0.5,
        "an engine is left alone when this part of its last requests failed, were refused or had their audio late",
        "an engine that serves most of its requests is better than a lesser one",
        ge=0.01,
        le=1,
    )
    breaker_min_requests: int = _setting(
        OVERLOAD, 10, "fewer requests than that say nothing", "three bad ones in a row may be chance", ge=1, le=10_000
    )
    breaker_window_s: float = _setting(
        OVERLOAD, 10.0, "how long requests are remembered for it", "what was before says little", ge=0.1, le=3600
    )
    breaker_late_s: float = _setting(
        OVERLOAD,
        5.0,
        "first audio is late so long after the engine took the request up; another one may then be asked",
        "a hundred times what it takes when all is well, and about what a listener bears",
        ge=0.05,
        le=600,
    )
    breaker_open_s: float = _setting(
        OVERLOAD,
        5.0,
        "for how long it is left alone, before one request tries it; twice as long each time that fails, up to 60 s",
        "a worker is replaced in less",
        ge=0.05,
        le=60,
    )
    degrade_cpu: float = _setting(
        OVERLOAD,
        0.9,
        "the server steps back when more than this part of its CPU is used, of its container's quota if it has one",
        "at full use nothing is left for what comes next",
        ge=0.01,
        le=1,
    )
    degrade_after_s: float = _setting(
        OVERLOAD, 10.0, "when that lasts so long", "a burst passes in less", ge=0.05, le=3600
    )
    degrade_fallback_wait_s: float = _setting(
        OVERLOAD,
        1.0,
        "and new requests would wait so long: ordinary ones go to another engine first",
        "a busy CPU alone keeps nobody waiting",
        ge=0,
        le=600,
    )
    degrade_refuse_wait_s: float = _setting(
        OVERLOAD,
        5.0,
        "and so long, at least degrade_fallback_wait_s: ordinary ones are refused (503) until waits are short again",
        "half of max_queue_s, so that room is left for who comes first",
        ge=0,
        le=600,
    )
    degrade_recover_cpu: float = _setting(
        OVERLOAD,
        0.8,
        "it steps forward when less than this part is used; nobody is refused either once waits are below half of "
        "degrade_fallback_wait_s",
        "well below what made it step back, or it would do so again at once",
        ge=0,
        le=1,
    )
    degrade_recover_s: float = _setting(
        OVERLOAD, 10.0, "when that lasts so long, by one step at a time", "as for stepping back", ge=0.05, le=3600
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

    jobs_dir: Annotated[Folder | None, BeforeValidator(_auto)] = _setting(
        JOBS,
        None,
        "folder of the jobs' texts and audio; auto: jobs in the state folder",
        "beside what else must outlive a restart; instances that share jobs on several machines need a network file "
        "system that all of them see",
        takes="a folder",
    )
    jobs_shared: bool = _setting(
        JOBS,
        True,  # noqa: FBT003
        "with redis_url: whether jobs are shared with all instances of that Redis, which then must see one jobs_dir",
        "an accepted job is gone on with though its instance is gone; false: each folder has its own",
        takes=SWITCH,
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
        "room on the disk of jobs_dir that jobs leave to others; a job that might need it is refused (507), "
        "one that does after all waits, and then fails",
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

    dashscope_models: RemoteModels = _setting(
        REMOTE,
        (),
        "voices of Alibaba's DashScope to serve, each with its gender if it may stand in for others; the key is "
        "DASHSCOPE_API_KEY in the environment",
        "texts leave this machine, and cost money: for whoever decides so",
        takes="names such as sambert-zhichu-v1=male,cosyvoice-v2/longxiaochun_v2, or none",
    )
    dashscope_url: RemoteUrl = _setting(
        REMOTE,
        "wss://dashscope.aliyuncs.com/api-ws/v1/inference",
        "where the service is",
        "the one that its own SDK has; workspaces may have theirs",
        takes="a wss:// URL, or ws:// on this machine",
    )
    dashscope_sample_rate_hz: Annotated[
        Literal[8000, 16000, 22050, 24000, 44100, 48000] | None, BeforeValidator(_rate)
    ] = _setting(
        REMOTE,
        None,
        "sample rate asked of the service, if the voices have it; auto: 16000 for Sambert, 22050 for CosyVoice",
        "the service's own defaults, which every voice has",
        takes="8000, 16000, 22050, 24000, 44100 or 48000",
    )
    dashscope_connect_s: float = _setting(
        REMOTE, 5.0, "how long connecting may take", "a few round trips across the world", ge=0.1, le=60
    )
    dashscope_first_audio_s: float = _setting(
        REMOTE,
        8.0,
        "how long a text's first audio may take, once connected",
        "many times what it takes when all is well; then another engine may be faster",
        ge=0.1,
        le=60,
    )
    dashscope_silence_s: float = _setting(
        REMOTE,
        5.0,
        "how long the service may be silent in the middle of a text",
        "audio comes faster than it is heard, so a listener has some left, though not much",
        ge=0.1,
        le=60,
    )
    dashscope_concurrency: int = _setting(
        REMOTE,
        4,
        "most texts that the service speaks at once",
        "the service bounds what an account may begin in a second; more would be throttled",
        ge=1,
        le=1000,
    )
    dashscope_wait_s: float = _setting(
        REMOTE,
        0.5,
        "how long a text waits for its turn among them; then it is refused (503)",
        "less than a listener takes for a fault, and enough for short texts to take turns",
        ge=0,
        le=60,
    )
    dashscope_chars_per_day: Annotated[int | None, BeforeValidator(_auto)] = _setting(
        REMOTE,
        100_000,
        "most characters sent to the service in a day, as it counts them (a Chinese one is two); more are refused "
        "(503); auto: no limit",
        "three hours of speech; a mistake must not cost a fortune",
        ge=1,
        le=10**12,
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

    otlp_endpoint: Annotated[HttpUrl | None, BeforeValidator(_auto)] = _setting(
        PROCESS,
        None,
        "collector that OpenTelemetry traces go to, by OTLP over HTTP; needs the extra otel; auto: what "
        "OTEL_EXPORTER_OTLP_ENDPOINT says, else none",
        "traces need somebody who collects them",
        takes="a URL such as http://127.0.0.1:4318",
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

    @property
    def jobs_path(self) -> Path:
        """Where the jobs are."""
        return self.jobs_dir or self.state_dir / "jobs"

    @property
    def shares_jobs(self) -> bool:
        """Whether jobs are those of all instances that have this Redis."""
        return self.redis_url is not None and self.jobs_shared
