"""The store: SQLite or PostgreSQL behind the ports of the record stage."""
