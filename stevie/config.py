"""Config: what an operator may set, and where each value came from.

Later sources win: the default, `$PORT` (for `http.port` alone), the TOML file, the environment
(`STEVIE__SECTION__KEY`, lists separated by commas), flags. All errors are found before any is
raised, and each names the key, the value, its source and what is allowed.
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from stevie.database_url import without_password
from stevie.domain.market.instrument import compact_symbol

FILE_DEFAULT = "stevie.toml"
FILE_VARIABLE = "STEVIE_CONFIG"
PREFIX = "STEVIE__"
SYMBOLS_MAX = 100  # a venue: one socket of Binance carries 1024 streams, and each symbol takes two
VENUES = ("binance", "binance_usdm")
USDM_MARK = "-PERP"


class Secret:
    """A text that neither repr, str nor an error shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "***" if self._text else "(not set)"


class DatabaseUrl(Secret):
    """A URL whose password nothing shows."""

    def __repr__(self) -> str:
        return without_password(self.reveal())


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every section; each field's Meta says in words what is allowed."""


Port = Annotated[int, Meta(ge=1, le=65535, description="a port from 1 to 65535")]
HostName = Annotated[str, Meta(min_length=1, max_length=255, description="a host name or address")]
Seconds = Annotated[float, Meta(gt=0, le=86400, description="seconds above 0, at most 86400")]

Rate = Annotated[float, Meta(gt=0, le=1e6, description="requests a second above 0, at most 1e6")]


class HttpConfig(Section, frozen=True, kw_only=True):
    """The HTTP edge."""

    host: HostName = "127.0.0.1"
    port: Port = 5000
    admin_token: Annotated[Secret, Meta(description="printable ASCII without spaces")] = Secret()
    allowed_hosts: Annotated[
        tuple[HostName, ...],
        Meta(max_length=32, description="names that a Host header may have, loopback aside"),
    ] = ()
    body_bytes_max: Annotated[
        int, Meta(ge=1024, le=64 * 2**20, description="bytes from 1024 to 67108864")
    ] = 2**20
    requests_per_s: Rate = 1000.0
    changes_per_s: Rate = 100.0


class KernelConfig(Section, frozen=True, kw_only=True):
    """Which microstructure kernel serves."""

    mode: Literal["auto", "native", "python"] = "auto"


class SimulatorConfig(Section, frozen=True, kw_only=True):
    """The exchange simulator: where it is, and what it plays."""

    url: Annotated[str, Meta(pattern=r"^https?://[^/\s]+$", description="http://HOST:PORT")] = (
        "http://127.0.0.1:5100"
    )
    host: HostName = "127.0.0.1"
    port: Port = 5100
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1, description="an integer of at least 0")] = 1
    alpha: bool = True
    faults: Annotated[str, Meta(max_length=4096, description="KIND[:KEY=VALUE,...][;...]")] = ""
    truth: bool = False


class FeaturesConfig(Section, frozen=True, kw_only=True):
    """What the microstructure features look at."""

    obi_levels: Annotated[int, Meta(ge=1, le=200, description="levels from 1 to 200")] = 5
    window_s: Annotated[float, Meta(ge=0.1, le=600, description="seconds from 0.1 to 600")] = 10.0
    window_events: Annotated[int, Meta(ge=1, le=8192, description="events from 1 to 8192")] = 100


class FeedConfig(Section, frozen=True, kw_only=True):
    """The timing of a venue's connection."""

    probe_after_s: Seconds = 3.0
    probe_timeout_s: Seconds = 3.0
    connect_timeout_s: Seconds = 10.0
    rotate_after_s: Seconds = 82_800.0  # Binance ends a connection after 24 h: an hour before that


class StoreConfig(Section, frozen=True, kw_only=True):
    """The database, and how much of what is kept."""

    url: Annotated[
        DatabaseUrl,
        Meta(description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME"),
    ] = DatabaseUrl("sqlite:///var/stevie.db")
    synchronous: Literal["full", "normal"] = "full"
    l2_log_bytes_max: Annotated[
        int, Meta(ge=2**20, le=2**50, description="bytes from 1048576 to 1125899906842624")
    ] = 2 * 10**9
    quarantine_rows_max: Annotated[
        int, Meta(ge=100, le=10**9, description="rows from 100 to 1000000000")
    ] = 100_000


class LogConfig(Section, frozen=True, kw_only=True):
    """How the log is written."""

    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Section, frozen=True, kw_only=True):
    """Everything that can be set; `origins` tells by key path where a value came from."""

    profile: Literal["dev", "prod"] = "dev"
    market: Literal["simulated", "live"] = "simulated"
    venues: Annotated[
        tuple[Literal["binance", "binance_usdm"], ...],
        Meta(min_length=1, description=f"one or more of {', '.join(VENUES)}"),
    ] = ("binance",)
    symbols: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=40)], ...],
        Meta(
            min_length=1,
            max_length=SYMBOLS_MAX,
            description=f"1 to {SYMBOLS_MAX} spot symbols such as BTCUSDT or BTC/USDT",
        ),
    ] = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    http: HttpConfig = HttpConfig()
    kernel: KernelConfig = KernelConfig()
    simulator: SimulatorConfig = SimulatorConfig()
    features: FeaturesConfig = FeaturesConfig()
    feed: FeedConfig = FeedConfig()
    store: StoreConfig = StoreConfig()
    log: LogConfig = LogConfig()
    origins: Mapping[str, str] = {}

    def symbols_of(self, venue: str) -> tuple[str, ...]:
        """The compact symbols to follow at a venue: USD-M lists perpetuals, `BTCUSDT-PERP`."""
        mark = USDM_MARK if venue == "binance_usdm" else ""
        return tuple(symbol + mark for symbol in self.symbols)


class ConfigError(ValueError):
    """What is wrong with a configuration; `problems` has a line for each fault."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Setting(NamedTuple):
    """A raw value and where it came from; `is_text` for sources that know text alone."""

    value: object
    source: str
    is_text: bool = False


class Row(NamedTuple):
    """One line of `explain`."""

    key: str
    value: str
    source: str


def load(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Config:
    """Read all sources; ConfigError with every fault there is. A flag of None is not set."""
    problems: list[str] = []
    settings: dict[str, Setting] = {}
    environ = environ or {}
    for source in (
        _port_variable(environ),
        _file_settings(file, environ, problems),
        _environ_settings(environ, problems),
        _flag_settings(flags or {}),
    ):
        settings.update({key: each for key, each in source if each.value is not None})
    values = _values(settings, problems)
    if not problems:
        problems.extend(_conflicts(values, settings))
    if problems:
        raise ConfigError(tuple(problems))
    return _built(values, settings)


def explain(config: Config) -> tuple[Row, ...]:
    """Every key with its value and its source, secrets hidden."""
    return tuple(
        Row(key, _shown(_value(config, key)), config.origins.get(key, "default")) for key in LEAVES
    )


# -- the keys ------------------------------------------------------------------------------------


def _leaves(section: type[Section], prefix: str = "") -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(section, include_extras=True)
    for name in section.__struct_fields__:
        hint = hints[name]
        if name == "origins":
            continue
        if isinstance(hint, type) and issubclass(hint, Section):
            yield from _leaves(hint, f"{prefix}{name}.")
        else:
            yield prefix + name, hint


LEAVES: Mapping[str, Any] = dict(_leaves(Config))
SECTIONS = tuple(dict.fromkeys(key.split(".")[0] for key in LEAVES if "." in key))


def _value(config: Config, key: str) -> object:
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _unknown(key: str, source: str) -> str:
    section = key.partition(".")[0]
    prefix = f"{section}." if section in SECTIONS else ""
    allowed = [leaf for leaf in LEAVES if leaf.startswith(prefix)]
    if not prefix:
        allowed = [*dict.fromkeys(leaf.split(".")[0] for leaf in LEAVES)]
    near = difflib.get_close_matches(key, LEAVES, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"{key}: unknown key from {source}{hint}; allowed: {', '.join(allowed)}"


# -- the sources ---------------------------------------------------------------------------------


def _port_variable(environ: Mapping[str, str]) -> Iterator[tuple[str, Setting]]:
    # NOTE: below the file, since process runners set PORT whether anybody asked for it or not.
    if environ.get("PORT"):
        yield "http.port", Setting(environ["PORT"], "$PORT", is_text=True)


def _file_settings(
    file: Path | None, environ: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[str, Setting]]:
    named = file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    path = named or Path(FILE_DEFAULT)
    if named is None and not path.is_file():
        return
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror or error}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path}: is not TOML: {error}")
    else:
        yield from _table_settings(table, "", f"file {path}", problems)


def _table_settings(
    table: Mapping[str, object], prefix: str, source: str, problems: list[str]
) -> Iterator[tuple[str, Setting]]:
    for name, value in table.items():
        key = prefix + name
        if key in SECTIONS and isinstance(value, dict):
            yield from _table_settings(value, f"{key}.", source, problems)
        elif key in SECTIONS:
            problems.append(f"{key}: expected a table, was {value!r} from {source}")
        else:
            yield key, Setting(value, source)


def _environ_settings(
    environ: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[str, Setting]]:
    seen: dict[str, str] = {}
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX):
            continue
        key = name[len(PREFIX) :].lower().replace("__", ".")
        if key in seen:
            problems.append(f"{key}: set twice, by ${seen[key]} and ${name}; allowed: one of them")
        seen[key] = name
        yield key, Setting(environ[name], f"${name}", is_text=True)


def _flag_settings(flags: Mapping[str, object]) -> Iterator[tuple[str, Setting]]:
    for key, value in flags.items():
        yield key, Setting(value, f"flag {key}", is_text=isinstance(value, str))


# -- the values ----------------------------------------------------------------------------------


def _values(settings: Mapping[str, Setting], problems: list[str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, setting in settings.items():
        if key not in LEAVES:
            problems.append(_unknown(key, setting.source))
            continue
        try:
            values[key] = _converted(LEAVES[key], setting)
        except msgspec.ValidationError:
            problems.append(_fault(key, setting, allowed=_allowed(LEAVES[key])))
    return values


def _converted(hint: Any, setting: Setting) -> object:
    value = setting.value
    plain = _plain(hint)
    if _is_secret(plain):
        return plain(msgspec.convert(value, str))
    if setting.is_text and get_origin(plain) is tuple:
        value = [part.strip() for part in str(value).split(",") if part.strip()]
    return msgspec.convert(value, hint, strict=not setting.is_text)


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_secret(plain: Any) -> bool:
    return isinstance(plain, type) and issubclass(plain, Secret)


def _allowed(hint: Any) -> str:
    plain = _plain(hint)
    if plain is not hint:
        return str(hint.__metadata__[0].description)
    if get_origin(plain) is Literal:
        return ", ".join(get_args(plain))
    assert plain is bool, hint
    return "true, false"


def _fault(key: str, setting: Setting, *, allowed: str) -> str:
    value = "***" if _is_secret(_plain(LEAVES[key])) else repr(setting.value)
    return f"{key}: {value} from {setting.source} is not allowed; allowed: {allowed}"


def _built(values: Mapping[str, object], settings: Mapping[str, Setting]) -> Config:
    fields: dict[str, Any] = {key: value for key, value in values.items() if "." not in key}
    for name in SECTIONS:
        prefix = f"{name}."
        own = {key.removeprefix(prefix): v for key, v in values.items() if key.startswith(prefix)}
        fields[name] = msgspec.structs.replace(getattr(Config(), name), **own)
    if "symbols" in values:
        fields["symbols"] = _compact(values["symbols"])
    origins = {key: setting.source for key, setting in settings.items()}
    return Config(**fields, origins=origins)


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


# -- what values must be together ----------------------------------------------------------------

_SPOT_SYMBOL = re.compile(r"[A-Z0-9]{2,24}", re.ASCII)
Values = Mapping[str, object]


def _conflicts(values: Values, settings: Mapping[str, Setting]) -> Iterator[str]:
    """What no field can see by itself."""
    for key, rule in _RULES.items():
        allowed = rule(values)
        if allowed and key in settings:
            yield _fault(key, settings[key], allowed=allowed)


def _symbols_rule(values: Values) -> str:
    symbols = _compact(values.get("symbols", ()))
    if not all(map(_SPOT_SYMBOL.fullmatch, symbols)):
        return "spot symbols such as BTCUSDT (binance_usdm follows their perpetuals by itself)"
    return "each symbol once" if len(set(symbols)) < len(symbols) else ""


def _compact(symbols: object) -> tuple[str, ...]:
    assert isinstance(symbols, tuple), symbols
    return tuple(map(compact_symbol, symbols))


def _venues_rule(values: Values) -> str:
    venues = values.get("venues", ())
    assert isinstance(venues, tuple), venues
    return "each venue once" if len(set(venues)) < len(venues) else ""


def _host_rule(values: Values) -> str:
    if values.get("http.admin_token") or _is_loopback(str(values.get("http.host", "localhost"))):
        return ""
    return "a loopback address, or set http.admin_token as well"


def _database_rule(values: Values) -> str:
    url = values.get("store.url", DatabaseUrl("sqlite:///var/stevie.db"))
    assert isinstance(url, DatabaseUrl), url
    parts = urlsplit(url.reveal())
    is_file = parts.scheme == "sqlite" and not parts.netloc
    is_sound = (is_file or parts.scheme == "postgresql") and len(parts.path) > 1
    return "" if is_sound else _allowed(LEAVES["store.url"])


def _token_rule(values: Values) -> str:
    """What a header can carry: a line end from a secret's file would never match."""
    token = values.get("http.admin_token", Secret())
    assert isinstance(token, Secret), token
    text = token.reveal()
    is_sound = text.isascii() and text.isprintable() and " " not in text
    return "" if is_sound else _allowed(LEAVES["http.admin_token"])


def _url_rule(values: Values) -> str:
    parts = urlsplit(str(values.get("simulator.url", "http://localhost")))
    try:
        is_sound = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    return "" if is_sound else "http://HOST:PORT"


_RULES: Mapping[str, Callable[[Values], str]] = {
    "symbols": _symbols_rule,
    "venues": _venues_rule,
    "http.admin_token": _token_rule,
    "http.host": _host_rule,
    "simulator.url": _url_rule,
    "store.url": _database_rule,
}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
