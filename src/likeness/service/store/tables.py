"""The newest tables as SQLAlchemy sees them. `migrations` makes them; a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, Table, Text

metadata = MetaData()

# A picture whose file exists or is about to. `loose`: when (ms) to look whether any row names it; NULL: one did.
pictures = Table(
    "pictures", metadata,
    Column("digest", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("loose", BigInteger),
)  # fmt: skip

entries = Table(
    "entries", metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("created", BigInteger, nullable=False),  # every time here is in milliseconds since 1970, UTC
    Column("kind", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("folded", Text, nullable=False),  # the prompt as search compares it
    Column("negative", Text, key="negative_prompt", nullable=False),
    Column("request", Text, nullable=False),  # JSON, as text: JSONB refuses some of what JSON allows
    Column("seed", Text),  # up to 2**64 - 1: more than a column of integers holds
    Column("digest", Text),
    Column("width", Integer),
    Column("height", Integer),
    Column("model", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("attributes", Text),
    Column("parent", Text),
    Column("seconds", Float, nullable=False),
    Column("favourite", Boolean, nullable=False),
)  # fmt: skip

cache = Table(
    "cache", metadata,
    Column("kind", Text, primary_key=True),  # image or caption
    Column("key", Text, primary_key=True),
    Column("text", Text),
    Column("bytes", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
)  # fmt: skip

cache_pictures = Table(
    "cache_pictures", metadata,
    Column("key", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("seed", Text),
    Column("facts", Text, nullable=False),
)  # fmt: skip

keys = Table(
    "keys", metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret", Text, nullable=False),  # SHA-256 in hex
    Column("rate_per_minute", Integer),
    Column("admin", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
)  # fmt: skip
