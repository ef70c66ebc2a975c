"""A text that no repr, log or error shows."""

from __future__ import annotations

from typing import Any

HIDDEN = "***"


class Secret:
    """A secret text; only `reveal` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled")


def hidden(value: Any) -> Any:
    """What stands for a secret in data that is shown."""
    if isinstance(value, Secret):
        return HIDDEN
    raise NotImplementedError
