"""What the service remembers: history, favourites, cache and keys in a database, pictures as files under their hash."""

from ...errors import MissingExtra

try:
    import sqlalchemy as _sqlalchemy  # noqa: F401
except ModuleNotFoundError:
    raise MissingExtra("the service is not installed: pip install 'likeness[service]'") from None

from .cache import Cached, cache_key
from .database import StoreError
from .history import Entry, NewEntry, Page
from .loose import PictureGone
from .store import Purged, Store

__all__ = ["Cached", "Entry", "NewEntry", "Page", "PictureGone", "Purged", "Store", "StoreError", "cache_key"]
