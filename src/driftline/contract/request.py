"""The fast reading of a request body: one decode into a struct made from the schema."""

import msgspec

from driftline.contract.diagnosis import read_features
from driftline.contract.schema import ModelSchema


class RequestDecoder:
    """Reads the features of one model from request bodies.

    Args:
        schema: What the model takes.
    """

    def __init__(self, schema: ModelSchema) -> None:
        # Any string may be a feature's name, but not any string an attribute's.
        attributes = {f"feature{index}": name for index, name in enumerate(schema.names)}
        self._names = schema.names
        self._type = msgspec.defstruct(
            "Features",
            [(attribute, float) for attribute in attributes],
            rename=attributes,
            forbid_unknown_fields=True,
            frozen=True,
            gc=False,
        )
        self._decode = msgspec.json.Decoder(self._type).decode
        self._quotes = 2 * len(schema.names)

    def decode(self, body: bytes) -> msgspec.Struct:
        """Returns the features; :func:`msgspec.structs.astuple` gives the numbers, in the model's order.

        Raises:
            InputError: The body is refused; ``reason`` says why.
        """
        features = self.decode_fast(body)
        return self._type(*read_features(body, self._names)) if features is None else features

    def decode_fast(self, body: bytes) -> msgspec.Struct | None:
        """Returns the features, or None for a body that is refused or has to be read with care."""
        try:
            features = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        # Of several equal keys msgspec takes the last. Each key brings two quotes (a name has none), a number none.
        return features if body.count(b'"') == self._quotes else None
