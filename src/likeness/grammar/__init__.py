"""Attributes to English and back.

describe(attributes, style, seed) -> text    forensic paragraph, one sentence, or comma tags
parse(text) -> Parsed                        the attributes, and the words that were not understood
mirror(text) -> text                         left and right swapped, for a picture that is flipped
vocabulary() -> words                        every word that the grammar writes or reads
"""

from .describe import describe
from .mirror import mirror
from .parse import Parsed, parse
from .words import vocabulary

__all__ = ["Parsed", "describe", "mirror", "parse", "vocabulary"]
