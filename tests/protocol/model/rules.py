"""The rules of the protocol, each of which can be taken away, and what a broken promise is called."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Harm(StrEnum):
    """How the promise can be broken."""

    LOST = "an answered event is not in the log"
    SKIPPED = "the log has gone past an answered event without it"
    DELETED = "an answered event was deleted before it was committed"
    TWICE = "an event is logged twice"
    WRONG = "a line is not the event of that number, or not in its order"
    TORN = "the log holds bytes that are no event"
    SHORT = "the log holds less than what is recorded as committed"
    STRAYED = "events stand in a log that the outboxes do not obey"
    GUESSED = "a log was obeyed that was not the one live log"
    UNREPORTED = "a restored or damaged event is missing, and nothing says so"
    UNBALANCED = "the ledger does not balance"
    FALSE_ALARM = "bytes of a refused append are reported as damage"
    STUCK = "the faults have stopped, and something is never done"
    FLOODED = "the broker holds more than a window of a producer"


class Violation(Exception):  # noqa: N818 (it is a finding, not an error of the program)
    """The promise is broken."""

    def __init__(self, harm: Harm, where: str) -> None:
        super().__init__(f"{harm}: {where}")
        self.harm = harm


@dataclass(frozen=True)
class Rules:
    """All rules as they are kept; docs/protocol.md says why each is there."""

    # -- outbox: one life of an API process, one directory
    fresh_producer: bool = True  # a directory is never taken up again for appending
    sync_names: bool = True  # new files and directories are synced into their parent before they are used
    answer_after_sync: bool = True  # with sync=always, the answer waits for the fdatasync
    failed_sync: Literal["retire", "retry", "reuse"] = "retire"  # the id | the fdatasync | the failed seqs
    cut_back: bool = True  # a failed append is cut back
    retire_uncut: bool = True  # if that fails too, the id is retired

    # -- orphans
    born_locked: bool = True  # a directory is locked before it gets its name
    lock_outbox: bool = True  # only a directory without a living owner is adopted
    check_inode: bool = True  # after locking, the path must still lead to what was locked
    adopt_by_polling: bool = True  # not only at a start
    scan_behind_damage: bool = True
    tombstones: Literal["in_band", "by_base"] = "in_band"  # sent with their seq | skipped by raising base_seq
    unfinished_tail: bool = True  # a bad last record of a living directory is not damage
    record_closed: bool = True  # how many events a producer had outlives its directory

    # -- relay
    base_is_oldest: bool = True  # base_seq: the oldest seq held on disk | what is acknowledged
    believe_latest: bool = True  # the latest acknowledgement, not the highest
    absent_is_zero: bool = True  # a log's life that does not name a producer has nothing of it
    resend: bool = True  # no progress, a reconnect, a new run id: again from what is acknowledged
    take_back: bool = True  # ... after taking back what was sent, and with one batch
    say_nothing_left: bool = True  # an empty batch tells base_seq when there is nothing to send it with
    whole_segments: bool = True  # a segment goes when all of it is acknowledged
    own_acknowledgements: bool = True  # an acknowledgement deletes in the directory that it is of, and no other
    stop_after_ack: bool = True  # a clean stop removes its directory when all of it is acknowledged

    # -- worker
    lock_log: Literal["flock", "lease"] = "flock"  # before anything is read or cut | a lease kept in the broker
    take_addressed: bool = True  # only batches that are for this log
    drop_seen: bool = True  # of an overlap, the unseen part
    leave_gap: bool = True  # what lies behind a gap is left for the resend
    go_on_from_base: bool = True  # but what no outbox holds any more is not waited for
    record_gap: bool = True
    sync_before_commit: bool = True
    one_transaction: bool = True  # the length and the seqs are committed together
    full_commit: bool = True  # SQLite's synchronous = FULL
    settle_record: bool = True  # before anything is cut, a commit is written over what an interrupted one has left
    sync_record_read: bool = True  # embedded, who opens the record syncs it before an acknowledgement is believed
    cut_on_start: bool = True  # the active segment, to its committed length
    refuse_short: bool = True  # a shorter one is refused, not extended
    recover_after_error: bool = True  # an I/O error is followed by what a start does
    remember_producers: bool = True
    rotation: Literal["born", "rename_commit", "commit_rename"] = "born"  # segments are born with their final names
    sync_log_names: bool = True

    # -- acknowledgements
    ack_per_life: bool = True
    publish: Literal["always", "on_commit"] = "always"  # after every batch whatever its fate
    announce_again: bool = True  # which life speaks for a log is said again and again
    reset_position: bool = True  # the place in the stream is dropped when the stream is another one

    # -- the one log that is obeyed
    log_ids: bool = True  # without: any log's acknowledgement counts, and any log takes any batch
    follow_successor: bool = True
    embedded_obeyed: bool = True  # without a broker, a worker takes only from outboxes that obey its log
    contact_live: bool = True  # at first contact, only a log that was heard of lately
    contact_alone: bool = True  # ... and only if there is one such
    contact_stored: bool = True  # the choice is kept on disk for all processes
    contact_first_wins: bool = True  # link(2): who comes second obeys what is there
    contact_synced: bool = True  # ... and durable before anything is sent
    contact_synced_by_readers: bool = True  # also by who finds it: its writer may have died before

    # -- operator
    backup_record_first: bool = True  # SQLite first, then the files


KEPT = Rules()
