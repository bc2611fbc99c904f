"""The reading of many rows at once: a JSON array of objects, or JSON objects in lines."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import astuple

from driftline.contract.diagnosis import feature_errors, refuse_wrong, row_of
from driftline.contract.parsing import MAX_DEPTH, Pairs, has_more, kind, parse_items, too_deep
from driftline.contract.problems import FieldError
from driftline.contract.request import Features, RequestDecoder
from driftline.contract.schema import Column, Feature, ModelSchema, Row
from driftline.errors import InputError

_MORE_CONTAINERS: Final = 1024
_BEGINNING_BYTES: Final = 4096


class Rows(NamedTuple):
    """The rows of a body.

    Attributes:
        features: Of each row.
        inputs: What is scored, as columns in the schema's order. None where they did not come as such, or not all of
            them are numbers and booleans.
    """

    features: list[Features]
    inputs: Sequence[Column] | None = None


class RowsReader:
    """Reads rows of one model from bodies.

    Args:
        schema: What the model takes.
        decoder: The same model's.
    """

    def __init__(self, schema: ModelSchema, decoder: RequestDecoder) -> None:
        self._features = schema.features
        self._make = decoder.make
        self._array = msgspec.json.Decoder(list[decoder.make]).decode  # type: ignore[name-defined]  # made from a schema
        self._lines = msgspec.json.Decoder(decoder.make).decode_lines
        texts = [feature for feature in schema.features if feature.type == "category"]
        self._quotes: Final = 2 * (len(schema.features) + sum(not feature.nullable for feature in texts))
        self._perhaps_texts: Final = [
            at for at, feature in enumerate(schema.features) if feature.type == "category" and feature.nullable
        ]
        self._most_braces: Final = (
            1 + sum(feature.name.count("{") for feature in schema.features) + sum(map(_most_braces, texts))
        )
        self._any_text: Final = any(feature.categories is None for feature in texts)

    def read(self, body: bytes, *, array: bool, max_rows: int) -> list[Features]:
        """Returns the features of each row, in their order.

        Args:
            body: A JSON array of objects, or objects one after another.
            array: Which of them.
            max_rows: More are refused.

        Raises:
            InputError: The body is refused; ``reason`` says why.
            InvalidFieldsError: Something is wrong with some of the rows; a path begins with the row's index, from 0.
        """
        rows = self.read_fast(body, array=array, max_rows=max_rows)
        return self.read_with_care(body, array=array, max_rows=max_rows) if rows is None else rows

    def read_fast(self, body: bytes, *, array: bool, max_rows: int) -> list[Features] | None:
        """Returns the same, or None for a body that is refused or has to be read with care.

        Raises:
            InputError: It has more rows than it may; none of them was made.
        """
        if body.count(b"{") > max_rows * self._most_braces and (
            not self._any_text or has_more(body, "{", max_rows * self._most_braces)
        ):
            raise too_many(max_rows)
        try:
            rows: list[Features] = (self._array if array else self._lines)(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        # As for one row: whatever has more quotes than valid rows have is read with care.
        quotes = self._quotes * len(rows)
        for at in self._perhaps_texts:
            quotes += 2 * sum(row[at] is not None for row in map(astuple, rows))
        if not rows or body.count(b'"') != quotes:
            return None
        if len(rows) > max_rows:
            raise too_many(max_rows)
        return rows

    def read_with_care(self, body: bytes, *, array: bool, max_rows: int) -> list[Features]:
        """Returns the same, slowly, and says everything that is wrong; raises what :meth:`read` does."""
        # A row is one object, and may be wrong by one more in each field; a single one may not be millions.
        if has_more(body, "[{", max_rows * (1 + len(self._features)) + _MORE_CONTAINERS):
            if too_deep(body[:_BEGINNING_BYTES]):
                raise InputError("too_deep", f"More than {MAX_DEPTH} levels of nesting.")
            raise too_many(max_rows)
        rows: list[Row] = []
        refuse_wrong(self._errors(body, array=array, max_rows=max_rows, rows=rows))
        if not rows:
            raise InputError("empty_batch", "The batch has no rows.")
        make = self._make
        return [make(*row) for row in rows]

    def _errors(self, body: bytes, *, array: bool, max_rows: int, rows: list[Any]) -> Iterator[FieldError]:
        for index, item in enumerate(parse_items(body, array=array)):
            if index == max_rows:
                raise too_many(max_rows)
            if not isinstance(item, Pairs):
                yield FieldError((index,), "wrong_type", f"Row {index} must be an object, not {kind(item)}.")
                continue
            wrong = False
            for error in feature_errors(item, self._features, (index,)):
                wrong = True
                yield error._replace(detail=f"Row {index}: {error.detail}")
            if not wrong:
                rows.append(row_of(item, self._features))


def too_many(max_rows: int) -> InputError:
    """Returns the error of a batch that has more rows than it may."""
    return InputError("too_many_rows", f"The batch has more than {max_rows} rows.")


def _most_braces(feature: Feature) -> int:
    """How many are in the texts that are known; any text may have as many as it is long."""
    return max((category.count("{") for category in feature.categories or ()), default=0)
