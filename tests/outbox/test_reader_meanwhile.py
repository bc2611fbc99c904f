"""A reader beside a writer: whatever happens between two of its system calls, it never mistakes it for damage."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.record import encode
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import segment_firsts, segment_name
from tests.outbox.segments_on_disk import append
from tests.waiting import wait_until


class Overtaken(OutboxReader):
    """A reader that the writer overtakes before each read of the file."""

    def __init__(self, root: OutboxRoot, producer: str, overtake: Callable[[], None]) -> None:
        super().__init__(root, producer)
        self._overtake = overtake

    def _pread(self, offset: int, length: int) -> bytes:
        self._overtake()
        return super()._pread(offset, length)


class Writer:
    """Does one thing at a time to an outbox: an append, all of it or a part, or the cutting back of a part."""

    def __init__(self, root: OutboxRoot, segment_max_bytes: int) -> None:
        self.outbox = Outbox(root, segment_max_bytes=segment_max_bytes)
        self.events: list[bytes] = []
        self._torn = 0
        self.step(60)

    def step(self, size: int) -> None:
        event = b'{"n":%d,"x":"%s"}' % (len(self.events), b"x" * abs(size))
        if self._torn:
            self._cut_back()
        if size < 0:
            record = encode(len(self.events), event)
            self._torn = min(-size, len(record) - 1)
            append(self._path, record[: self._torn])
        else:
            self.outbox.append(event)
            self.events.append(event)

    def finish(self) -> None:
        self.step(1)
        self.outbox._give_up()

    def _cut_back(self) -> None:
        with self._path.open("r+b") as file:
            file.truncate(self._path.stat().st_size - self._torn)
        self._torn = 0

    @property
    def _path(self) -> Path:
        directory = self.outbox.root.path / self.outbox.producer
        return directory / segment_name(segment_firsts(directory)[-1])


@settings(max_examples=100)
@given(
    turns=st.lists(st.lists(st.one_of(st.integers(-90, -1), st.integers(0, 90)), max_size=3), max_size=40),
    segment_max_bytes=st.sampled_from([1, 200, 10_000]),
    max_bytes=st.sampled_from([1, 100, 10_000]),
)
def test_a_writer_that_goes_on_between_two_reads_of_the_file_causes_no_damage(
    turns: list[list[int]], segment_max_bytes: int, max_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = OutboxRoot(Path(directory))
        writer = Writer(root, segment_max_bytes)
        todo = list(reversed(turns))

        def overtake() -> None:
            for size in todo.pop() if todo else ():
                writer.step(size)

        reader = Overtaken(root, writer.outbox.producer, overtake)
        read: list[bytes] = []
        while todo:
            read += reader.read(5, max_bytes).events
        writer.finish()
        while events := reader.read(5, max_bytes).events:
            read += events
        reader.close()
        assert read == writer.events
        assert not (root.path / "quarantine").exists()


WRITER = """
import sys
from pathlib import Path
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
outbox = Outbox(OutboxRoot(Path(sys.argv[1])), segment_max_bytes=20_000)
for n in range(8_000):
    outbox.append(b'{"n":%d,"x":"%s"}' % (n, b"x" * (n * 7919 % 3_000)))
"""


def test_a_writer_in_another_process_is_followed_event_by_event(root: OutboxRoot) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(root.path)]) as writer:
        (producer,) = wait_until(root.producers)
        reader, read = OutboxReader(root, producer), 0
        ended, events = False, list[bytes]()
        while not ended or events:
            ended = writer.poll() is not None
            events = reader.read(100, 1 << 16).events
            for event in events:
                assert event.startswith(b'{"n":%d,' % read)
                read += 1
        reader.close()
    assert (writer.returncode, read) == (0, 8_000)
    assert not (root.path / "quarantine").exists()
