"""All or nothing, whether or not the caller has begun a transaction already."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def atomically(connection: sqlite3.Connection) -> Iterator[None]:
    """Within it, what is written is committed together; inside of a transaction, together with that.

    Args:
        connection: In autocommit mode (``isolation_level=None``).
    """
    nested = connection.in_transaction
    # A transaction that only turns out to be one of writing fails at once if another process wrote meanwhile.
    connection.execute("SAVEPOINT inner" if nested else "BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK TO inner" if nested else "ROLLBACK")
        raise
    connection.execute("RELEASE inner" if nested else "COMMIT")
