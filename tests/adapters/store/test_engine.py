from pathlib import Path

import pytest

from stevie.adapters.store.engine import ALLOWED, StoreError, engine_of
from stevie.database_url import without_password


def test_a_relative_file_lies_in_the_checkout_and_an_absolute_one_where_it_says(tmp_path):
    assert engine_of("sqlite:///var/stevie.db", root=tmp_path).path == tmp_path / "var/stevie.db"
    assert engine_of(f"sqlite:///{tmp_path}/a%20b.db").path == tmp_path / "a b.db"
    assert engine_of("sqlite:///var/stevie.db").path == Path(__file__).parents[3] / "var/stevie.db"


@pytest.mark.parametrize(
    "url",
    ["", "stevie.db", "sqlite://", "sqlite:///", "mysql://u:secret@h/n", "postgresql://u:secret@h"],
)
def test_a_url_of_no_database_is_refused_with_what_is_allowed_and_without_its_password(url):
    with pytest.raises(StoreError) as caught:
        engine_of(url)

    assert ALLOWED in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@h:5/n", "postgresql://u:***@h:5/n"),
        ("postgresql://u:se@cret@h/n", "postgresql://u:***@h/n"),
        ("postgresql://u@h/n?password=secret", "postgresql://u@h/n?..."),
        ("postgresql:///n", "postgresql:///n"),
        ("u:secret@h", "?"),
        ("secret", "?"),
    ],
)
def test_a_url_is_shown_without_its_password(url, shown):
    assert without_password(url) == shown


def test_a_server_that_is_not_there_is_named_without_its_password():
    with pytest.raises(
        StoreError, match=r"^postgresql://u:\*\*\*@127\.0\.0\.1:1/n: database gone: "
    ):
        engine_of("postgresql://u:secret@127.0.0.1:1/n").create()
