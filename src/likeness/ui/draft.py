"""A description that is written by the form until somebody edits it: then it is theirs, and nothing overwrites it."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Draft:
    """`text` stands in the field, `written` is what the form last put there, `fresh` what it would put there now."""

    text: str = ""
    written: str = ""
    fresh: str = ""
    declined: str = ""

    @property
    def edited(self) -> bool:
        return self.text.strip() != self.written.strip() and bool(self.text.strip())

    @property
    def offer(self) -> str:
        """The form's new description, if it would replace an edited one; "" if there is nothing to decide."""
        new = self.edited and self.fresh not in {self.text, self.written, self.declined}
        return self.fresh if new else ""

    def typed(self, text: str) -> Draft:
        return replace(self, text=text)

    def follow(self, fresh: str) -> Draft:
        """The form says something new: it is taken at once, unless the text is edited."""
        if self.edited:
            return replace(self, fresh=fresh)
        return Draft(text=fresh, written=fresh, fresh=fresh)

    def take(self) -> Draft:
        return Draft(text=self.fresh, written=self.fresh, fresh=self.fresh)

    def keep(self) -> Draft:
        return replace(self, declined=self.fresh)
