"""What differs between databases, behind one face: connecting, locking, and what errors mean."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol
from urllib.parse import unquote, urlsplit

from peewee import Database, PeeweeException

from stevie.adapters.store.tables import Table, Values
from stevie.database_url import without_password

ALLOWED = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME"
CHECKOUT = Path(__file__).resolve().parents[3]  # what a relative file is relative to

Synchronous = Literal["full", "normal"]


class StoreError(Exception):
    """The store cannot be used, and why, in words for its operator."""


class StoreLockedError(StoreError):
    """Another tree has this database."""


class Connection(Protocol):
    """What sqlite3's and psycopg's connections have in common."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Run one statement."""

    def cursor(self) -> Any:
        """A cursor, for executemany."""

    def close(self) -> None:
        """Close."""


class Claim(Protocol):
    """The right to be the one tree of a database, held until released."""

    def release(self) -> None:
        """Give it up."""


class Engine(ABC):
    """One database, by its URL. Connections are made and used by one thread each."""

    name: ClassVar[str]
    placeholder: ClassVar[str]
    begin: ClassVar[str] = "BEGIN"
    migration_lock: ClassVar[str | None] = None
    """What `Database.atomic` takes so that nobody reads a schema half way."""

    tables_sql: ClassVar[str]
    """What lists the names of the tables."""

    shown: str
    """The URL without its password."""
    errors: tuple[type[Exception], ...] = (PeeweeException, OSError)
    """What a database that does not work raises."""

    @abstractmethod
    def create(self) -> None:
        """Make the database if it can be made and is not there."""

    @abstractmethod
    def claim(self) -> Claim:
        """Become its one tree; StoreLockedError if there is one."""

    @abstractmethod
    def connect(self) -> Connection:
        """A connection for the writer, in autocommit."""

    @abstractmethod
    def snapshot(self) -> Connection:
        """A connection that reads all of the database as it is now, whatever is written."""

    @abstractmethod
    def stream(self, connection: Connection, sql: str) -> Iterator[Values]:
        """What a query finds, row by row: a table may be larger than memory."""

    @abstractmethod
    def as_bytes_sql(self, column: str) -> str:
        """A text as its bytes are stored, in UTF-8 or not."""

    @abstractmethod
    def database(self, *, is_reader: bool) -> Database:
        """Peewee's view of it, not connected yet."""

    def insert(self, cursor: Any, table: Table, values: Sequence[Values]) -> None:
        """Write rows of one table."""
        cursor.executemany(table.insert_sql(self.placeholder), values)

    @abstractmethod
    def still_there(self) -> None:
        """Raise an OSError if what was just committed went where nobody will find it."""

    @abstractmethod
    def reason(self, error: Exception) -> str:
        """Why something failed, in words: what kind of trouble, then the driver's."""

    @abstractmethod
    def is_lasting(self, error: Exception) -> bool:
        """Whether the rows were at fault, not the database."""

    @abstractmethod
    def database_bytes(self, connection: Connection) -> int:
        """How large it is."""

    @abstractmethod
    def keyed_rows(self, connection: Connection, table: str) -> int:
        """About how many rows a table has from which nothing is removed, at no cost."""


def engine_of(url: str, *, synchronous: Synchronous = "full", root: Path = CHECKOUT) -> Engine:
    """The engine of a URL; StoreError that says what is allowed."""
    # Here and not above: they build on this module, and psycopg is an extra.
    from stevie.adapters.store.postgres import PostgresEngine  # noqa: PLC0415
    from stevie.adapters.store.sqlite import SqliteEngine  # noqa: PLC0415

    parts = urlsplit(url)
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
        file = Path(unquote(parts.path[1:]))
        return SqliteEngine(root / file, synchronous=synchronous)
    if parts.scheme == "postgresql" and len(parts.path) > 1:
        return PostgresEngine(url, synchronous=synchronous)
    raise StoreError(f"store.url: {without_password(url)!r} is no database; allowed: {ALLOWED}")
