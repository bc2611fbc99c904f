"""What the outboxes of a machine have in common: the log they obey, the books of those that are gone."""

import os
from pathlib import Path

import pytest

from driftline.errors import OutboxUnavailableError
from driftline.outbox.root import OutboxRoot
from tests.processes import Script

A, B, C = (letter * 32 for letter in "abc")


def test_nothing_is_there_before_it_is_made(tmp_path: Path) -> None:
    root = OutboxRoot(tmp_path / "data" / "outbox")
    assert (root.producers(), root.log_id(), root.closed()) == ([], None, {})
    assert not root.path.parent.exists()


def test_making_it_twice_is_fine(tmp_path: Path) -> None:
    root = OutboxRoot(tmp_path / "data" / "outbox")
    root.create()
    root.create()
    assert root.path.is_dir()


def test_a_root_that_cannot_be_made_is_an_outbox_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutboxUnavailableError, match="file/outbox"):
        OutboxRoot(tmp_path / "file" / "outbox").create()


def test_only_names_of_producers_count_as_outboxes(root: OutboxRoot) -> None:
    for name in (A, "quarantine", f".new-{B}", "lost+found", C.upper()):
        (root.path / name).mkdir()
    assert root.producers() == [A]


# -- the log that is obeyed


def test_the_first_log_is_obeyed_and_no_other_after_it(root: OutboxRoot) -> None:
    assert root.obey(A) == A
    assert root.obey(B) == A
    assert OutboxRoot(root.path).log_id() == A


def test_a_successor_is_obeyed_in_the_place_of_its_predecessor(root: OutboxRoot) -> None:
    root.obey(A)
    root.obey_successor(B)
    assert root.log_id() == B


def test_obeying_leaves_nothing_but_the_log_id(root: OutboxRoot) -> None:
    root.obey(A)
    root.obey(B)
    root.obey_successor(C)
    assert [path.name for path in root.path.iterdir()] == ["log-id"]


def test_when_several_processes_obey_different_logs_at_once_all_end_up_with_one(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from driftline.outbox.root import OutboxRoot
        print("ready", flush=True)
        for line in sys.stdin:
            root = OutboxRoot(Path(line.strip()))
            print(root.obey(sys.argv[1]), root.log_id(), flush=True)
        """
    with Script(code, A) as first, Script(code, B) as second, Script(code, C) as third:
        processes = (first, second, third)
        for process in processes:
            assert process.hear() == "ready"
        winners = set()
        for number in range(30):
            root = tmp_path / str(number)
            root.mkdir()
            for process in processes:
                process.say(root)
            said = {process.hear() for process in processes}
            assert len(said) == 1, said
            obeyed, on_disk = said.pop().split()
            assert obeyed == on_disk
            winners.add(obeyed)
        assert winners <= {A, B, C}


def test_processes_that_have_the_same_pid_in_their_containers_do_not_get_in_each_others_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two containers on one volume, each with pid 1: the other has just cleared what it takes for its own."""
    root = OutboxRoot(tmp_path)
    link = os.link

    def link_late(source: Path, target: Path) -> None:
        monkeypatch.setattr("driftline.outbox.root.os.link", link)
        OutboxRoot(tmp_path).obey(B)
        link(source, target)

    monkeypatch.setattr("driftline.outbox.root.os.link", link_late)
    assert root.obey(A) == B


# -- the books


def test_the_books_keep_the_last_seq_of_every_producer(root: OutboxRoot) -> None:
    root.record_closed(A, 10)
    root.record_closed(B, 0)
    assert root.closed() == {A: 10, B: 0}


def test_a_producer_that_was_closed_twice_counts_with_the_higher_number(root: OutboxRoot) -> None:
    for final_seq in (10, 12, 11):
        root.record_closed(A, final_seq)
    assert root.closed() == {A: 12}


@pytest.mark.parametrize("torn", [f"{B} 12", B[:7], "\0\0\0\0", "\xff\n", f"{B} x\n", f"{B[:-1]} 3\n", "\n\n"])
def test_a_torn_line_of_the_books_costs_no_other(root: OutboxRoot, torn: str) -> None:
    root.record_closed(A, 10)
    with (root.path / "closed").open("a", encoding="latin-1") as books:
        books.write(torn)
    root.record_closed(C, 20)
    assert root.closed().items() >= {A: 10, C: 20}.items()


def test_a_line_that_was_written_in_part_is_an_error_so_the_directory_is_kept(
    root: OutboxRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: the disk is full in the middle of the line, and write says how much went in."""
    write = os.write
    monkeypatch.setattr("driftline.outbox.root.os.write", lambda fd, content: write(fd, content[:-2]))
    with pytest.raises(OSError, match="No space left"):
        root.record_closed(A, 10)


# -- quarantine


def test_damaged_bytes_are_kept_under_a_name_that_says_where_they_were(root: OutboxRoot) -> None:
    root.quarantine(A, "7.seg", 100, b"bytes")
    root.quarantine(A, "7.seg", 100, b"others, later")
    (kept,) = (root.path / "quarantine").iterdir()
    assert (kept.name, kept.read_bytes()) == (f"{A}-7.seg-100.bin", b"bytes")


def test_bytes_that_cannot_be_set_aside_hold_up_nothing(root: OutboxRoot) -> None:
    (root.path / "quarantine").touch()
    root.quarantine(A, "7.seg", 100, b"bytes")
