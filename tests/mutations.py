"""What may become of the bytes of a file, as Hypothesis draws it."""

from collections.abc import Callable

from hypothesis import strategies as st

Mutation = Callable[[bytes], bytes]

_WHERE = st.floats(0, 1, exclude_max=True)
_BYTES = st.binary(min_size=1, max_size=80)


def _overwritten(where: float, content: bytes) -> Mutation:
    def change(file: bytes) -> bytes:
        place = int(where * len(file))
        return (file[:place] + content + file[place + len(content) :])[: len(file)]

    return change


def _flipped(where: float, bit: int) -> Mutation:
    def change(file: bytes) -> bytes:
        place = int(where * len(file))
        return file[:place] + bytes([file[place] ^ 1 << bit]) + file[place + 1 :] if file else file

    return change


def _inserted(where: float, content: bytes) -> Mutation:
    return lambda file: file[: (place := int(where * len(file)))] + content + file[place:]


def _cut_out(where: float, length: int) -> Mutation:
    return lambda file: file[: (place := int(where * len(file)))] + file[place + length :]


def _copied(from_where: float, length: int, where: float) -> Mutation:
    def change(file: bytes) -> bytes:
        begin, place = int(from_where * len(file)), int(where * len(file))
        return file[:place] + file[begin : begin + length] + file[place:]

    return change


def _cut_off(where: float) -> Mutation:
    return lambda file: file[: int(where * len(file))]


MUTATIONS: st.SearchStrategy[list[Mutation]] = st.lists(
    st.one_of(
        st.builds(_flipped, _WHERE, st.integers(0, 7)),
        st.builds(_overwritten, _WHERE, _BYTES),
        st.builds(_overwritten, _WHERE, st.integers(1, 400).map(bytes)),  # zeros, as of a block that never got there
        st.builds(_inserted, _WHERE, _BYTES),
        st.builds(_cut_out, _WHERE, st.integers(1, 400)),
        st.builds(_copied, _WHERE, st.integers(1, 400), _WHERE),
        st.builds(_cut_off, _WHERE),
    ),
    min_size=1,
    max_size=5,
)


def mutated(content: bytes, mutations: list[Mutation]) -> bytes:
    """The content after all of them."""
    for change in mutations:
        content = change(content)
    return content
