"""What a page of series is asked for: filters, order and place, out of an address and back into links."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from urllib.parse import urlencode

from dicom_node.errors import InputError
from dicom_node.ledger.series_search import Key, Order, SeriesFilter, Sort, key_of
from worker.console.asked import Asked

# The longest of each that is looked at.
TEXTS = {"state": 16, "calling_ae": 16, "text": 64, "feedback": 16, "destination": 64, "model": 64, "rule": 64}
DAYS = ("since", "until")
# What an order is called: as people expect it, and reversed.
ORDERS = {
    Sort.NUMBER: ("newest first", "oldest first"),
    Sort.LAST_IMAGE: ("last image, newest first", "last image, oldest first"),
    Sort.DURATION: ("longest first", "shortest first"),
    Sort.STATE: ("most urgent first", "least urgent first"),
    Sort.SCANNER: ("scanner, A to Z", "scanner, Z to A"),
}
RISES = frozenset({Sort.STATE, Sort.SCANNER})  # what comes first here is the least, not the most


@dataclass(frozen=True)
class Search:
    """A page of series as it was asked for.

    Attributes
    ----------
    beside : Key or None
        The key that the page begins after, or with ``back`` ends before.
    """

    wanted: SeriesFilter
    order: Order
    beside: Key | None
    back: bool

    @property
    def is_narrowed(self) -> bool:
        """Whether a filter is set."""
        return self.wanted != SeriesFilter()

    def page(self, key: Key | None = None, *, back: bool = False, path: str = "/series") -> str:
        """Address of a page of the same search: its first, or the one beside a key."""
        place = {} if key is None else {"after" if back else "before": str(key)}
        return self._address(self.order, place, path)

    def sorted_by(self, name: str) -> str:
        """Address of the first page by this order; where it is this one already, the other way round."""
        sort = Sort(name)
        return self._address(Order(sort, self.order.sort is sort and not self.order.reverse), {})

    def aria_sort(self, name: str) -> str:
        """How a column is sorted, as WAI-ARIA's aria-sort says it; empty where it is not."""
        if self.order.sort != name:
            return ""
        return "ascending" if (self.order.sort in RISES) != self.order.reverse else "descending"

    def _address(self, order: Order, place: dict[str, str], path: str = "/series") -> str:
        asked = filters(self.wanted)
        sort = {} if order == _usual(self.wanted) else {"sort": text_of(order)}
        query = urlencode(asked | sort | place)
        return f"{path}?{query}" if query else path


def text_of(order: Order) -> str:
    """An order in an address: its name, after a minus where it is reversed."""
    return f"-{order.sort}" if order.reverse else str(order.sort)


def orders() -> dict[str, str]:
    """Every order in an address, and what it is called."""
    return {text_of(Order(sort, bool(way))): name for sort, names in ORDERS.items() for way, name in enumerate(names)}


def filters(wanted: SeriesFilter) -> dict[str, str]:
    """The filters that are set, as an address or a form has them."""
    return {name: str(value) for name, value in asdict(wanted).items() if value}


def filter_of(given: Mapping[str, str]) -> SeriesFilter:
    """The filters that an address or a form sets. InputError where one makes no sense."""
    texts = {name: given.get(name, "").strip()[:longest] for name, longest in TEXTS.items()}
    since, until = (_day(given, name) for name in DAYS)
    return SeriesFilter(**texts, since=since, until=until)


def search_of(asked: Asked) -> Search:
    """What the address asks for. InputError where that makes no sense."""
    wanted = filter_of(asked.query)
    sort, back = asked.query.get("sort", ""), "after" in asked.query
    order = _order(sort) if sort else _usual(wanted)
    return Search(wanted, order, _key(asked, order, back), back)


def _usual(wanted: SeriesFilter) -> Order:
    """The newest first; of certain days by their last image, which is found along an index however long ago."""
    return Order(Sort.LAST_IMAGE) if wanted.since or wanted.until else Order()


def _order(text: str) -> Order:
    name = text.removeprefix("-")
    if name not in set(Sort):
        raise InputError(f"series are sorted by {', '.join(Sort)}, or the other way round with a minus before it")
    return Order(Sort(name), text.startswith("-"))


def _key(asked: Asked, order: Order, back: bool) -> Key | None:
    name = "after" if back else "before"
    text = asked.query.get(name, "")
    try:
        return key_of(order, text) if text else None
    except ValueError as error:
        raise InputError(f"{name} is no place in this order; begin with the first page") from error


def _day(given: Mapping[str, str], name: str) -> date | None:
    text = given.get(name, "").strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InputError(f"{name} is a day, as 2026-11-21") from error
