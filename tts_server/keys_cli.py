"""`tts-server keys`: make keys, list them, revoke them. What changes is in force within a second, without a restart."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tts_server.command import Failure, UsageError

if TYPE_CHECKING:
    from tts_server.config import Settings
    from tts_server.keys import Key

_OWN_LIMITS: Final = {
    "requests_per_s": "requests a second",
    "burst": "requests that may come at once after a pause",
    "characters_per_min": "characters spoken in a minute",
    "concurrent": "requests being served at once",
}


def add_parser(commands: Any, load: Callable[[argparse.Namespace], Settings]) -> None:  # noqa: ANN401  (argparse hides the type)
    """The command with its own three. `load` finds the settings, which say where keys are and what tiers there are."""
    keys = commands.add_parser(
        "keys",
        help="make, list and revoke the keys that callers need",
        description="Make, list and revoke keys. A running server sees the change within a second. As long as there "
        "is no key, the server listens to this machine alone, and lets everybody on it in.",
    )
    actions = keys.add_subparsers(metavar="ACTION", required=True)

    add = actions.add_parser("add", help="make a key and print it, this once")
    add.add_argument("name", metavar="NAME", help="what it is called in lists, logs and `keys revoke`")
    add.add_argument("--tier", default="standard", help="vip, standard, or one of your own (default: %(default)s)")
    add.add_argument("--voices", metavar="A,B", help="the only voices it may use")
    add.add_argument("--engines", metavar="A,B", help="the only engines it may use")
    add.add_argument("--expires", metavar="DATE", help="when it ends, as 2027-01-01 or 2027-01-01T12:00+08:00 (or UTC)")
    for limit, what in _OWN_LIMITS.items():
        add.add_argument(f"--{limit.replace('_', '-')}", metavar="N", help=f"{what}, or none; else as its tier")
    _finish(add, _add, load)

    listing = actions.add_parser("list", help="the keys, without what opens")
    listing.add_argument("--json", action="store_true", help="for programs")
    _finish(listing, _list, load)

    revoke = actions.add_parser("revoke", help="make a key useless")
    revoke.add_argument("name", metavar="NAME")
    _finish(revoke, _revoke, load)


def _finish(
    parser: argparse.ArgumentParser,
    action: Callable[[argparse.Namespace, Settings], None],
    load: Callable[[argparse.Namespace], Settings],
) -> None:
    parser.add_argument(
        "--keys-file", default=argparse.SUPPRESS, metavar="FILE", help="else as `serve` has it ($TTS_KEYS_FILE)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the settings that `serve` is given")

    def run(args: argparse.Namespace) -> int:
        from tts_server.keys import KeysError

        asked = {name: value for name, value in vars(args).items() if name in {"config", "keys_file"}}
        settings = load(argparse.Namespace(**asked))  # and not what the key is to have, such as its engines
        try:
            action(args, settings)
        except KeysError as error:
            raise Failure(str(error)) from error
        except OSError as error:
            raise Failure(f"{settings.keys_path} cannot be written: {error.strerror or error}") from error
        return 0

    parser.set_defaults(run=run)


def _add(args: argparse.Namespace, settings: Settings) -> None:
    from pydantic import ValidationError

    from tts_server.keys import Key, KeysError, changing, digest, make_secret

    secret, now = make_secret(), datetime.now(UTC).replace(microsecond=0)
    own = {limit: getattr(args, limit) for limit in _OWN_LIMITS if getattr(args, limit) is not None}
    try:
        key = Key(
            name=args.name,
            sha256=digest(secret),
            tier=args.tier,
            voices=_names(args.voices),
            engines=_names(args.engines),
            limits={limit: None if value == "none" else float(value) for limit, value in own.items()},
            created=now,
            expires=_moment(args.expires, now),
        )
        key.caller(settings.tiers)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))} {args.name!r} will not do: {first['msg']}") from error
    except ValueError as error:
        raise UsageError(f"{error}; limits are numbers, or none") from error
    except KeysError as error:
        raise UsageError(str(error)) from error
    with changing(settings.keys_path) as keys:
        if any(known.name == key.name for known in keys):
            raise UsageError(f"there is a key {key.name} already; revoke it first, or choose another name")
        keys.append(key)
    print(secret)
    print(f"tts-server: this is key {key.name}; it is not kept anywhere and cannot be shown again", file=sys.stderr)


def _revoke(args: argparse.Namespace, settings: Settings) -> None:
    from tts_server.keys import changing

    with changing(settings.keys_path) as keys:
        kept = [key for key in keys if key.name != args.name]
        if len(kept) == len(keys):
            names = ", ".join(key.name for key in keys) or "none"
            raise UsageError(f"there is no key {args.name}; there are: {names}")
        keys[:] = kept


def _list(args: argparse.Namespace, settings: Settings) -> None:
    from tts_server.keys import read_keys

    keys = read_keys(settings.keys_path)
    print(_as_json(keys) if args.json else _as_text(keys))


def _as_json(keys: Sequence[Key]) -> str:
    import orjson

    listing = [key.model_dump(mode="json", exclude={"sha256"}) for key in keys]
    return orjson.dumps({"keys": listing}, option=orjson.OPT_INDENT_2).decode()


def _as_text(keys: Sequence[Key]) -> str:
    rows = [("NAME", "TIER", "VOICES", "ENGINES", "OWN LIMITS", "CREATED", "EXPIRES")]
    now = datetime.now(UTC)
    for key in keys:
        limits = " ".join(f"{name}={'none' if value is None else f'{value:g}'}" for name, value in key.limits.items())
        expires = f"{key.expires:%Y-%m-%d %H:%M}" if key.expires is not None else "never"
        rows.append(
            (
                key.name,
                key.tier,
                ",".join(key.voices or ("all",)),
                ",".join(key.engines or ("all",)),
                limits or "-",
                f"{key.created:%Y-%m-%d}",
                f"{expires} (over)" if key.is_over(now) else expires,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _names(written: str | None) -> tuple[str, ...] | None:
    if written is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in written.split(",") if name.strip()))
    if not names:
        raise UsageError("a key that may use no voice or engine is of no use; name some, separated by commas")
    return names


def _moment(written: str | None, now: datetime) -> datetime | None:
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise UsageError(f"{written!r} is no date such as 2027-01-01") from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    if moment <= now:
        raise UsageError(f"{written} is over already")
    return moment
