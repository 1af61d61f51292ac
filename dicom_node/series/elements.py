"""Lenient reading of one data set: what cannot be used becomes None and a sentence that a person understands."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from pydicom.dataset import Dataset


class Elements:
    """The data elements of one data set, read one by one.

    Attributes
    ----------
    problems : list of str
        One sentence for each element that a restoration needs and that is missing or unusable. Values are named only
        where they cannot hold patient data.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.problems: list[str] = []

    def values(self, keyword: str) -> list[Any]:
        """All values of an element; empty where it is absent, empty or undecodable."""
        try:
            value = self.dataset.get(keyword)
        except Exception:  # noqa: BLE001  pydicom raises whatever a hostile value provokes
            return []
        if value is None or value == "":
            return []
        return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]

    def text(self, keyword: str) -> str:
        """The first value as stripped text, or an empty string."""
        values = self.values(keyword)
        return str(values[0]).strip() if values else ""

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values as stripped text."""
        return tuple(str(value).strip() for value in self.values(keyword))

    def number(self, keyword: str) -> float | None:
        """The single value of an optional element, or None."""
        numbers = _finite(self.values(keyword))
        return numbers[0] if numbers is not None and len(numbers) == 1 else None

    def whole(self, keyword: str) -> int | None:
        """The single value of an optional element as integer, or None."""
        number = self.number(keyword)
        return int(number) if number is not None and number.is_integer() else None

    def required(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Exactly ``count`` finite numbers; otherwise None, and a problem is noted."""
        if keyword not in self.dataset or self._is_empty(keyword):
            self.problems.append(f"{keyword} is missing")
            return None
        numbers = _finite(self.values(keyword))
        if numbers is None or len(numbers) != count:
            self.problems.append(f"{keyword} is not {'a number' if count == 1 else f'{count} numbers'}")
            return None
        return numbers

    def expect(self, keyword: str, allowed: Iterable[str]) -> None:
        """Note a problem unless the element's text is one of ``allowed`` (compared without regard to case)."""
        text, allowed = self.text(keyword).upper(), tuple(allowed)
        if not text and "" not in allowed:
            self.problems.append(f"{keyword} is missing")
        elif text not in allowed:
            self.problems.append(
                f"{keyword} is {readable(text) or 'unreadable'}, not {' or '.join(filter(None, allowed))}"
            )

    def _is_empty(self, keyword: str) -> bool:
        element = self.dataset.get_item(keyword)
        return element is None or element.value in (None, "", b"")


def readable(text: str, longest: int = 24) -> str:
    """Text from a data set made safe for a sentence: printable ASCII without markup characters, shortened."""
    return "".join(letter for letter in text if letter.isascii() and (letter.isalnum() or letter in " .,:+-_/"))[
        :longest
    ]


def _finite(values: list[Any]) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if all(math.isfinite(number) for number in numbers) else None
