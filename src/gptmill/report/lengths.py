"""How long texts are, in tokens: counted once, asked for what is in the middle, what is cut, and the bars of a histogram."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

FEWEST_BARS, MOST_BARS = 8, 16
MOST_STEPS = 26  # growing ones; with more, each step doubles
SKEWED = 12  # bars of equal width show nothing when the axis is so many times as long as the median


@dataclass(frozen=True)
class Bar:
    """Texts of more than `above` and up to `up_to` tokens; the first bar has those of `above` too. `up_to` None: whatever is longer."""

    above: int
    up_to: int | None
    texts: int


class Lengths:
    """Lengths of many texts. They are few different numbers, whatever the number of texts, so this is small."""

    def __init__(self, lengths: Iterable[int] = ()) -> None:
        self._counts = Counter(lengths)

    def add(self, length: int, texts: int = 1) -> None:
        self._counts[length] += texts

    @property
    def texts(self) -> int:
        return self._counts.total()

    @property
    def tokens(self) -> int:
        return sum(length * texts for length, texts in self._counts.items())

    @property
    def longest(self) -> int:
        return max(self._counts, default=0)

    def quantile(self, share: float) -> int:
        """The smallest length that at least this share of the texts does not exceed; 0 when there are none."""
        wanted, so_far = share * self.texts, 0
        for length in sorted(self._counts):
            so_far += self._counts[length]
            if so_far >= wanted:
                return length
        return 0

    def over(self, limit: int) -> int:
        """How many texts are longer than `limit`."""
        return sum(texts for length, texts in self._counts.items() if length > limit)

    def bars(self, limit: int) -> list[Bar]:
        """A histogram that a person can read: up to the 99th percentile or `limit`, in round steps; one more bar for what is longer.

        The steps are equal, and divide `limit` where they can, so that a bar is cut or is not; or each is a half or a third more than
        the one before (1, 2, 3, 4, 6, 8, 12, …), when the lengths are so different that equal ones would put most texts into one bar.
        """
        if not self._counts:
            return []
        end = max(self.quantile(0.99), min(limit, self.longest), 1)
        end = max(self.longest, 1) if self.longest < 1.25 * end else end
        edges = self._growing(end) if end > SKEWED * max(self.quantile(0.5), 1) else self._equal(end, limit)
        bars = [
            Bar(above, up_to, self.over(above) - self.over(up_to))
            for above, up_to in zip(edges, edges[1:], strict=False)
        ]
        bars[0] = Bar(0, edges[1], self.texts - self.over(edges[1]))
        longer = self.over(edges[-1])
        return [*bars, Bar(edges[-1], None, longer)] if longer else bars

    def _growing(self, end: int) -> list[int]:
        all_of_them = [1, *(edge for k in range(1, end.bit_length() + 1) for edge in (2**k, 3 * 2 ** (k - 1)))]
        few = self.quantile(0.01)  # the shortest are few, and are one bar
        last = next(place for place, edge in enumerate(all_of_them) if edge >= end)
        edges = [edge for edge in all_of_them[: last + 1] if edge >= few]
        return [0, *(edges if len(edges) < MOST_STEPS else edges[::-2][::-1])]

    def _equal(self, end: int, limit: int) -> list[int]:
        widths = sorted(
            {
                *(m * 10**k for m in (1, 2, 4, 5) for k in range(9)),
                *(25 * 10**k for k in range(8)),
                *(2**k for k in range(31)),
            }
        )
        fitting = [width for width in widths if FEWEST_BARS <= -(-end // width) <= MOST_BARS] or [1]
        dividing = [width for width in fitting if limit <= end and limit % width == 0]
        width = (dividing or fitting)[0]
        return list(range(0, -(-end // width) * width + 1, width))
