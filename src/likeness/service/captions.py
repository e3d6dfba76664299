"""`Captions`: a rough sentence becomes a detailed description, by the grammar and the labels of real faces."""

from __future__ import annotations

import asyncio


class Captions:
    """A `TextEngine` of this machine, in milliseconds and without a model. The same words give the same description."""

    async def describe(self, text: str) -> str:
        """What was said stays, what was left open is filled in. Raises `UsageError` for an empty text."""
        from ..caption.expand import expand

        return (await asyncio.to_thread(expand, text)).text
