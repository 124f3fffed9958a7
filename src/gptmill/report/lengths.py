"""Distribution of text lengths in tokens: quantiles, texts over a limit, histogram."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

FEWEST_BARS, MOST_BARS = 8, 16
MOST_STEPS = 26  # of growing width; with more, widths double
SKEWED = 12  # axis length over median from which bars of equal width show nothing


@dataclass(frozen=True)
class Bar:
    """Texts of (above, up_to] tokens; the first bar includes `above`. `up_to` None: no upper end."""

    above: int
    up_to: int | None
    texts: int


class Lengths:
    """Counts per length: small, however many texts."""

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
        """The smallest length that this share of the texts does not exceed; 0 without texts."""
        target, so_far = share * self.texts, 0
        for length in sorted(self._counts):
            so_far += self._counts[length]
            if so_far >= target:
                return length
        return 0

    def over(self, limit: int) -> int:
        """Texts longer than `limit`."""
        return sum(texts for length, texts in self._counts.items() if length > limit)

    def bars(self, limit: int) -> list[Bar]:
        """A histogram up to the 99th percentile or `limit`, in round steps, and a last bar for longer texts.

        Steps are equal, and divide `limit` where possible. Where most texts would fall into one bar, edges grow by a
        half or a third (1, 2, 3, 4, 6, 8, 12, …).
        """
        if not self._counts:
            return []
        end = max(self.quantile(0.99), min(limit, self.longest), 1)
        end = max(self.longest, 1) if self.longest < 1.25 * end else end
        edges = self._growing(end) if end > SKEWED * max(self.quantile(0.5), 1) else self._equal(end, limit)
        bars = [Bar(above, up_to, self.over(above) - self.over(up_to)) for above, up_to in pairwise(edges)]
        bars[0] = Bar(0, edges[1], self.texts - self.over(edges[1]))
        longer = self.over(edges[-1])
        return [*bars, Bar(edges[-1], None, longer)] if longer else bars

    def _growing(self, end: int) -> list[int]:
        every = [1, *(edge for k in range(1, end.bit_length() + 1) for edge in (2**k, 3 * 2 ** (k - 1)))]
        few = self.quantile(0.01)  # the few shortest texts share a bar
        last = next(place for place, edge in enumerate(every) if edge >= end)
        edges = [edge for edge in every[: last + 1] if edge >= few]
        return [0, *(edges if len(edges) < MOST_STEPS else edges[::-2][::-1])]

    def _equal(self, end: int, limit: int) -> list[int]:
        decimal = {m * 10**k for m in (1, 2, 4, 5) for k in range(9)} | {25 * 10**k for k in range(8)}
        widths = sorted(decimal | {2**k for k in range(31)})
        fitting = [width for width in widths if FEWEST_BARS <= -(-end // width) <= MOST_BARS] or [1]
        dividing = [width for width in fitting if limit <= end and limit % width == 0]
        width = (dividing or fitting)[0]
        return list(range(0, -(-end // width) * width + 1, width))
