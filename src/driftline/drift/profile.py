"""The reference as a file: the bins of each column, the rows in them, and where they came from."""

import hashlib
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.contract.schema import Label, Output
from driftline.drift.bins import MISSING, STRANGE, Bins, NumberBins
from driftline.errors import ProfileError

PROFILE_VERSION: Final = 1
FEWEST_ROWS: Final = 200

Role = Literal["feature", "probability", "class", "prediction"]


class Dispersion(NamedTuple):
    """How much more the mean of a block of consecutive rows varies than that of as many independent ones.

    Attributes:
        rows: Rows in a block.
        factor: The ratio of the variances, ``>= 1``, at its upper confidence limit.
    """

    rows: int
    factor: float


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column of the reference.

    Attributes:
        name: The feature's name, or that of the model's output.
        role: What it is.
        bins: How its values are told apart.
        counts: Rows of the reference in each bin, shape ``(bins,)``.
        sd: Standard deviation of a number's values; 0 for a constant.
        dispersion: By rising size of the block; empty where rows are as good as independent.
        cut_rows: Rows of the reference from which a category's values were learnt; 0 where they were known before.
    """

    name: str
    role: Role
    bins: Bins
    counts: tuple[int, ...]
    sd: float = 0.0
    dispersion: tuple[Dispersion, ...] = ()
    cut_rows: int = 0

    def alphas(self) -> NDArray[np.float64]:
        """Returns the pseudo-rows of each bin: the parameters of what is known of its probability.

        Half a row stands for a bin between two values that nothing was ever in, and one for each of the outer ones:
        one in ``rows + 1`` is the chance that the next of exchangeable rows is the first of its kind.
        """
        alphas = np.maximum(np.asarray(self.counts, dtype=np.float64), 0.5)
        alphas[MISSING] = max(self.counts[MISSING], 1)
        alphas[STRANGE] = max(self.counts[STRANGE], 1) + self._unmet()
        if isinstance(self.bins, NumberBins):
            alphas[-1] = max(self.counts[-1], 1)
            if not self.bins.atoms:  # its edges are order statistics: these are the gaps between their ranks
                alphas[STRANGE + 1 :][0] = max(alphas[STRANGE + 1 :][0] - 1, 0.5)
        return alphas

    def mass(self) -> float:
        """Returns the pseudo-rows of the column: those of its bins, without those that were only not met yet."""
        return float(self.alphas().sum()) - self._unmet()

    def _unmet(self) -> float:
        """Returns the pseudo-rows of values that the reference might as well have had: its own are not all there are.

        Of exchangeable rows the next one is as likely new as a row of the reference is the only one with its value
        (Good, "The population frequencies of species and the estimation of population parameters", Biometrika 40,
        1953). Values that occur twice, three times ... are counted in part, for as likely they could be missing
        altogether. With a bin for the rest, what is learnt is which values are frequent, and those near the border, by
        the standard deviation of its count, are there by luck.
        """
        if not self.cut_rows or isinstance(self.bins, NumberBins):
            return 0.0
        counts = np.asarray(self.counts, dtype=np.float64)
        rows, strange = float(counts.sum()), float(counts[STRANGE])
        if rows >= 2 * self.cut_rows:  # the other rows have said how many values were not learnt
            unmet = strange * self.cut_rows / (rows - self.cut_rows)
        else:
            values = counts[STRANGE + 1 :]
            border = float(values.min()) + 1 if self.bins.rest else 1.0
            unmet = float(values @ np.exp2(np.minimum(border - values, 0) / border**0.5))
        return min(unmet, max(rows - strange - 1, 0))

    def factor(self, rows: float) -> float:
        """Returns by how much to divide the rows of a block, so that it counts as independent ones."""
        if not self.dispersion:
            return 1.0
        sizes = [it.rows for it in self.dispersion]
        at = min(int(np.searchsorted(sizes, rows)), len(sizes) - 1)
        return max(it.factor for it in self.dispersion[max(at - 1, 0) : at + 1])


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a reference came from.

    Attributes:
        source: What kind of place.
        path: The file or package, for one that is there.
        log_id: The log, for rows of one.
        first_row: First row of the log, for rows of the log.
        stop_row: The row behind the last one.
        first_timestamp: Of the first of them, RFC 3339.
        last_timestamp: Of the last of them.
        in_order: Whether the rows stand as they came in time, so that their dependence could be seen.
        model_versions: Of the predictions, where they are known.
    """

    source: Literal["log", "file", "package"]
    path: str | None = None
    log_id: str | None = None
    first_row: int | None = None
    stop_row: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    in_order: bool = False
    model_versions: tuple[str, ...] = ()


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reference that current rows are compared with.

    Attributes:
        model: The model whose rows these are.
        schema_hash: Of the columns' names, roles and kinds: profiles with one hash can stand for each other.
        rows: Rows of the reference.
        made_at: RFC 3339.
        origin: Where it came from.
        columns: What was profiled.
        output: What the model gives.
        labels: What its classes are called, in its order; of two classes, 0 and 1 if there are none.
        profile_version: Of this form.
    """

    model: str
    schema_hash: str
    rows: int
    made_at: str
    origin: Origin
    columns: tuple[Column, ...]
    output: Output = "binary"
    labels: tuple[Label, ...] = ()
    profile_version: int = msgspec.field(default=PROFILE_VERSION, name="profile_version")

    @property
    def profile_id(self) -> str:
        """What identifies this profile: a hash of its content."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:12]

    @property
    def classes(self) -> tuple[Label, ...]:
        """What the model can predict, in its order; empty for a regression."""
        return self.labels or ((0, 1) if self.output == "binary" else ())

    def column(self, name: str) -> Column:
        """Returns a column by its name.

        Raises:
            ProfileError: There is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise ProfileError(f"the reference has no column {name}; it has {', '.join(it.name for it in self.columns)}")


def schema_hash(columns: Sequence[tuple[str, Role, str]]) -> str:
    """Returns the hash of columns, each given as its name, role and kind."""
    return hashlib.sha256(msgspec.json.encode(columns)).hexdigest()[:12]


def encode_profile(profile: Profile) -> bytes:
    """Returns the profile as JSON, indented for readers and for diffs."""
    return msgspec.json.format(msgspec.json.encode(profile), indent=1) + b"\n"


def decode_profile(content: bytes) -> Profile:
    """Returns the profile that JSON describes.

    Raises:
        ProfileError: It describes none, or contradicts itself.
    """
    try:
        profile = msgspec.json.decode(content, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"it is no profile: {error}") from error
    if profile.profile_version != PROFILE_VERSION:
        raise ProfileError(f"its profile_version is {profile.profile_version}; this Driftline reads {PROFILE_VERSION}")
    for column in profile.columns:
        if len(column.counts) != column.bins.count or sum(column.counts) != profile.rows or min(column.counts) < 0:
            raise ProfileError(f"the counts of {column.name} do not fit its bins, or not {profile.rows:,} rows")
        if isinstance(column.bins, NumberBins) and not all(np.diff(column.bins.edges) > 0):
            raise ProfileError(f"the edges of {column.name} do not rise")
    if not profile.columns or profile.rows < FEWEST_ROWS:
        raise ProfileError(f"a reference has at least one column and {FEWEST_ROWS} rows")
    return profile
