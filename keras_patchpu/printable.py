"""Text from strangers, as a terminal can show it."""

# They join letters, in Persian and in emoji, and nothing else.
_JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    """Escapes what would move the cursor, change colours or direction, or is no character."""
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or char in _JOINERS
        else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
