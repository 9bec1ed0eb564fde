from pathlib import Path

import pytest

from stevie.config import LEAVES, SYMBOLS_MAX, Config, ConfigError, Secret, explain, load


def problems(file: Path | None = None, environ=None, flags=None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(file, environ or {}, flags or {})
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def problem(**sources) -> str:
    (only,) = problems(**sources)
    return only


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def toml(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "its.toml"
        path.write_text(text)
        return path

    return write


def test_with_no_source_at_all_everything_has_its_default():
    config = load()

    assert config == Config()
    assert (config.profile, config.market, config.http.host) == ("dev", "simulated", "127.0.0.1")
    assert config.symbols == ("BTCUSDT", "ETHUSDT", "SOLUSDT")


def test_a_flag_beats_the_environment_which_beats_the_file(toml):
    file = toml('[http]\nport = 1\n[log]\nlevel = "error"\n[features]\nwindow_s = 5\n')
    environ = {"STEVIE__HTTP__PORT": "2", "STEVIE__LOG__LEVEL": "debug"}

    config = load(file, environ, {"http.port": 3, "log.format": None})

    assert config.http.port == 3
    assert config.log.level == "debug"
    assert config.features.window_s == 5.0
    assert config.log.format == "console"


def test_the_port_variable_beats_the_default_alone(toml):
    assert load(environ={"PORT": "8080"}).http.port == 8080
    assert load(toml("[http]\nport = 6000"), {"PORT": "8080"}).http.port == 6000
    assert load(environ={"PORT": "8080", "STEVIE__HTTP__PORT": "7000"}).http.port == 7000


def test_environment_names_are_read_whatever_their_case():
    config = load(environ={"stevie__Kernel__mode": "python", "Stevie__Profile": "prod"})

    assert (config.kernel.mode, config.profile) == ("python", "prod")


def test_a_list_in_the_environment_is_separated_by_commas_and_aliases_are_understood():
    config = load(environ={"STEVIE__SYMBOLS": "btc/usdt, XBT-USDC,ETHUSDT,"})

    assert config.symbols == ("BTCUSDT", "BTCUSDC", "ETHUSDT")


def test_usdm_follows_the_perpetuals_of_the_same_symbols():
    config = load(flags={"venues": "binance,binance_usdm", "symbols": "BTCUSDT,ETHUSDT"})

    assert config.symbols_of("binance") == ("BTCUSDT", "ETHUSDT")
    assert config.symbols_of("binance_usdm") == ("BTCUSDT-PERP", "ETHUSDT-PERP")


def test_a_file_is_found_by_variable_or_by_its_usual_name(toml):
    named = toml('profile = "prod"')
    Path("stevie.toml").write_text('market = "live"')

    assert load(environ={"STEVIE_CONFIG": str(named)}).profile == "prod"
    assert load().market == "live"


@pytest.mark.parametrize(
    ("environ", "key", "value", "allowed"),
    [
        ({"STEVIE__HTTP__PORT": "0"}, "http.port", "'0'", "1 to 65535"),
        ({"STEVIE__HTTP__PORT": "many"}, "http.port", "'many'", "1 to 65535"),
        ({"STEVIE__HTTP__PORT": ""}, "http.port", "''", "1 to 65535"),
        ({"STEVIE__KERNEL__MODE": "rust"}, "kernel.mode", "'rust'", "auto, native, python"),
        ({"STEVIE__SIMULATOR__ALPHA": "maybe"}, "simulator.alpha", "'maybe'", "true, false"),
        ({"STEVIE__SIMULATOR__SEED": "9" * 30}, "simulator.seed", "9" * 30, "at least 0"),
        ({"STEVIE__SIMULATOR__URL": "ftp://x"}, "simulator.url", "'ftp://x'", "http://HOST:PORT"),
        (
            {"STEVIE__SIMULATOR__URL": "http://x:99999"},
            "simulator.url",
            "99999",
            "http://HOST:PORT",
        ),
        ({"STEVIE__FEATURES__WINDOW_S": "nan"}, "features.window_s", "'nan'", "0.1 to 600"),
        ({"STEVIE__FEED__PROBE_AFTER_S": "inf"}, "feed.probe_after_s", "'inf'", "above 0"),
        ({"STEVIE__VENUES": "binance,kraken"}, "venues", "kraken", "binance, binance_usdm"),
        ({"STEVIE__VENUES": ""}, "venues", "''", "one or more"),
        ({"STEVIE__VENUES": "binance,binance"}, "venues", "binance", "each venue once"),
        ({"STEVIE__SYMBOLS": "BTCUSDT,BTC-USDT"}, "symbols", "BTC-USDT", "each symbol once"),
        ({"STEVIE__SYMBOLS": "BTCUSDT-PERP"}, "symbols", "BTCUSDT-PERP", "spot symbols"),
        ({"STEVIE__SYMBOLS": "BTC$USDT"}, "symbols", "BTC$USDT", "spot symbols"),
        ({"STEVIE__HTTP__HOST": ""}, "http.host", "''", "host name"),
    ],
)
def test_a_bad_value_is_named_with_its_key_its_source_and_what_is_allowed(
    environ, key, value, allowed
):
    text = problem(environ=environ)

    assert text.startswith(f"{key}: ")
    for part in (value, f"${next(iter(environ))}", allowed):
        assert part in text


def test_more_symbols_than_a_venue_carries_are_refused():
    symbols = ",".join(f"A{number}USDT" for number in range(SYMBOLS_MAX + 1))

    assert f"1 to {SYMBOLS_MAX}" in problem(environ={"STEVIE__SYMBOLS": symbols})


def test_a_value_of_the_wrong_type_in_the_file_is_not_guessed_at(toml):
    file = toml('[http]\nport = "5000"\n[simulator]\nalpha = 1\n')

    found = problems(file=file)

    assert found[0] == (
        f"http.port: '5000' from file {file} is not allowed; allowed: a port from 1 to 65535"
    )
    assert found[1].startswith("simulator.alpha: 1 from file")


def test_all_faults_are_listed_at_once(toml):
    file = toml("[http]\nprot = 1\n[log]\nlevel = 3\n")

    found = problems(
        file=file,
        environ={"STEVIE__KERNEL__MODE": "rust", "STEVIE__NOTHING": "1"},
        flags={"profile": "test"},
    )

    assert [text.split(":")[0] for text in found] == [
        "http.prot",
        "log.level",
        "kernel.mode",
        "nothing",
        "profile",
    ]


def test_an_unknown_key_is_answered_with_the_known_ones(toml):
    text = problem(file=toml("[http]\nprot = 1"))

    assert "did you mean http.port?" in text
    assert "http.host" in text
    assert "kernel.mode" not in text


def test_an_unknown_section_is_answered_with_the_sections(toml):
    text = problem(file=toml("[htttp]\nport = 1"))

    assert text.startswith("htttp: unknown key from file")
    assert "http, kernel, simulator" in text


def test_a_section_that_is_no_table_is_a_fault(toml):
    assert problem(file=toml("http = 3")).startswith("http: expected a table, was 3 from file")


def test_malformed_toml_is_told_with_its_line(toml):
    text = problem(file=toml("profile = 'dev'\nmarket = \n"))

    assert "its.toml: is not TOML" in text
    assert "line 2" in text


def test_a_file_that_is_not_text_is_a_fault(tmp_path):
    (tmp_path / "its.toml").write_bytes(b"\xff\xfe")

    assert "is not TOML" in problem(file=tmp_path / "its.toml")


def test_a_named_file_that_is_missing_is_a_fault():
    assert "gone.toml: cannot be read" in problem(environ={"STEVIE_CONFIG": "gone.toml"})


def test_two_spellings_of_one_variable_are_a_fault():
    text = problem(environ={"STEVIE__PROFILE": "dev", "stevie__profile": "prod"})

    assert "set twice" in text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "stevie.example"])
def test_beyond_loopback_needs_a_token(host):
    text = problem(flags={"http.host": host})

    assert text.startswith(f"http.host: '{host}' from flag http.host")
    assert "http.admin_token" in text
    assert load(flags={"http.host": host, "http.admin_token": "t"}).http.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_loopback_needs_none(host):
    assert load(flags={"http.host": host}).http.host == host


def test_a_token_is_shown_nowhere(toml):
    config = load(environ={"STEVIE__HTTP__ADMIN_TOKEN": "hush"})

    assert config.http.admin_token.reveal() == "hush"
    assert "hush" not in repr(config)
    assert "hush" not in f"{config.http.admin_token}"
    assert not any("hush" in row.value for row in explain(config))
    assert "1234" not in problem(file=toml("[http]\nadmin_token = 1234"))


@pytest.mark.parametrize("token", ["two words", "with a line end\n", "caf\u00e9", "hush\t"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(token):
    said = problem(flags={"http.admin_token": token})

    assert "printable ASCII without spaces" in said
    assert token.strip() not in said


@pytest.mark.parametrize(
    "url", ["mysql://localhost/x", "sqlite:///", "stevie.db", "postgresql://h"]
)
def test_a_url_that_is_no_database_of_ours_is_refused(url):
    assert "sqlite:///FILE or postgresql://" in problem(flags={"store.url": url})


def test_the_password_of_a_database_is_shown_nowhere():
    config = load(flags={"store.url": "postgresql://stevie:hush@db:5432/stevie"})

    rows = {row.key: row for row in explain(config)}
    assert rows["store.url"].value == "postgresql://stevie:***@db:5432/stevie"
    assert "hush" not in repr(config)


def test_no_token_is_false():
    assert not Secret()
    assert Secret("x")


def test_explain_tells_of_every_key_what_it_is_and_where_that_came_from(toml):
    config = load(toml("[http]\nport = 6000"), {"STEVIE__SYMBOLS": "BTCUSDT,ETHUSDT"})

    rows = {row.key: row for row in explain(config)}

    assert list(rows) == list(LEAVES)
    assert rows["http.port"].value == "6000"
    assert rows["http.port"].source.startswith("file ")
    assert rows["symbols"][1:] == ("BTCUSDT, ETHUSDT", "$STEVIE__SYMBOLS")
    assert rows["kernel.mode"][1:] == ("auto", "default")
    assert rows["http.admin_token"].value == "(not set)"


def test_a_config_cannot_be_changed():
    with pytest.raises(AttributeError):
        load().profile = "prod"
