"""Every rule taken away in turn, and how that shows."""

from dataclasses import dataclass, replace
from pathlib import Path

from tests.protocol.model.rules import KEPT, Rules
from tests.protocol.model.schedule import Run, play
from tests.protocol.model.stage import Sync, Transport

RECORDED = Path(__file__).with_name("recorded.json")
"""For each ablation, seeds that show the harm, as ``python -m tests.protocol.run --record`` has found them."""


@dataclass(frozen=True)
class Ablation:
    """The rules without one of them.

    Attributes:
        name: For people and for ``recorded.json``.
        rules: What is left, or the naive alternative.
        pool: Under which faults it shows.
        transport: Where it shows; None for anywhere.
        sync: As ``transport``.
        rare: Shows in about one schedule in a hundred or less: some hundreds of them may not meet it.
    """

    name: str
    rules: Rules
    pool: str
    transport: Transport | None = None
    sync: Sync | None = None
    rare: bool = False

    def play(self, seed: int, *, trace: bool = False) -> Run:
        return play(seed, self.pool, self.rules, transport=self.transport, sync=self.sync, trace=trace)


ABLATIONS = (
    # outbox
    Ablation("fresh-producer", replace(KEPT, fresh_producer=False), "power", sync="os"),
    Ablation("fresh-producer-always", replace(KEPT, fresh_producer=False), "power", sync="always"),
    Ablation("fresh-producer-restored", replace(KEPT, fresh_producer=False), "outbox-restore"),
    Ablation("sync-names", replace(KEPT, sync_names=False), "power", sync="always"),
    Ablation("answer-after-sync", replace(KEPT, answer_after_sync=False), "power", sync="always"),
    Ablation("failed-sync-retried", replace(KEPT, failed_sync="retry"), "syncs", sync="always"),
    Ablation("failed-sync-reused", replace(KEPT, failed_sync="reuse"), "syncs", sync="always"),
    Ablation("cut-back", replace(KEPT, cut_back=False), "writes"),
    Ablation("cut-back-and-scan", replace(KEPT, cut_back=False, scan_behind_damage=False), "writes"),
    Ablation("retire-uncut", replace(KEPT, retire_uncut=False), "writes"),
    # orphans
    Ablation("lock-outbox", replace(KEPT, lock_outbox=False), "everyday"),
    Ablation("born-locked-and-check-inode", replace(KEPT, born_locked=False, check_inode=False), "kills"),
    Ablation("adopt-by-polling", replace(KEPT, adopt_by_polling=False), "everyday"),
    Ablation("scan-behind-damage", replace(KEPT, scan_behind_damage=False), "damage"),
    Ablation("tombstones-by-base", replace(KEPT, tombstones="by_base"), "damage", transport="redis"),
    Ablation("unfinished-tail", replace(KEPT, unfinished_tail=False), "everyday"),
    Ablation("record-closed", replace(KEPT, record_closed=False), "restore"),
    # relay
    Ablation("base-is-oldest", replace(KEPT, base_is_oldest=False), "restores", transport="redis"),
    Ablation("believe-latest", replace(KEPT, believe_latest=False), "restores"),
    Ablation("absent-is-zero", replace(KEPT, absent_is_zero=False), "restore"),
    Ablation("resend", replace(KEPT, resend=False), "everyday", transport="redis"),
    Ablation("take-back", replace(KEPT, take_back=False), "outage", transport="redis", rare=True),
    Ablation("say-nothing-left", replace(KEPT, say_nothing_left=False), "restores", rare=True),
    Ablation("whole-segments", replace(KEPT, whole_segments=False), "kills"),
    Ablation("own-acknowledgements", replace(KEPT, own_acknowledgements=False), "syncs", sync="always", rare=True),
    Ablation("stop-after-ack", replace(KEPT, stop_after_ack=False), "everyday", transport="redis"),
    # worker
    Ablation("lock-log-lease", replace(KEPT, lock_log="lease"), "everyday", transport="redis"),
    Ablation("lock-log-none", replace(KEPT, lock_log="lease"), "everyday", transport="local"),
    Ablation("take-addressed", replace(KEPT, take_addressed=False), "strangers", transport="redis"),
    Ablation("drop-seen", replace(KEPT, drop_seen=False), "everyday"),
    Ablation("leave-gap", replace(KEPT, leave_gap=False), "everyday", transport="redis"),
    Ablation("go-on-from-base", replace(KEPT, go_on_from_base=False), "restore"),
    Ablation("record-gap", replace(KEPT, record_gap=False), "restore"),
    Ablation("sync-before-commit", replace(KEPT, sync_before_commit=False), "power"),
    Ablation("one-transaction", replace(KEPT, one_transaction=False), "kills"),
    Ablation("full-commit", replace(KEPT, full_commit=False), "power"),
    Ablation("settle-record", replace(KEPT, settle_record=False), "commits", rare=True),
    Ablation(
        "sync-record-read",
        replace(KEPT, sync_record_read=False),
        "commits",
        transport="local",
        sync="always",
        rare=True,
    ),
    Ablation("cut-on-start", replace(KEPT, cut_on_start=False), "kills"),
    Ablation("refuse-short", replace(KEPT, refuse_short=False), "short-log"),
    Ablation("recover-after-error", replace(KEPT, recover_after_error=False), "writes"),
    Ablation("remember-producers", replace(KEPT, remember_producers=False), "everyday"),
    Ablation("rotation-rename-commit", replace(KEPT, rotation="rename_commit"), "kills"),
    Ablation("rotation-commit-rename", replace(KEPT, rotation="commit_rename"), "kills"),
    Ablation("sync-log-names", replace(KEPT, sync_log_names=False), "power"),
    # acknowledgements
    Ablation("ack-per-life", replace(KEPT, ack_per_life=False), "restores", transport="redis", rare=True),
    Ablation("publish-on-commit", replace(KEPT, publish="on_commit"), "everyday", transport="redis"),
    Ablation("announce-again", replace(KEPT, announce_again=False), "everyday", transport="redis"),
    Ablation("reset-position", replace(KEPT, reset_position=False), "everyday", transport="redis", rare=True),
    # the one log
    Ablation("log-ids", replace(KEPT, log_ids=False), "strangers"),
    Ablation("follow-successor", replace(KEPT, follow_successor=False), "successor"),
    Ablation("embedded-obeyed", replace(KEPT, embedded_obeyed=False), "strangers", transport="local"),
    Ablation("contact-live", replace(KEPT, contact_live=False), "strangers", transport="redis"),
    Ablation("contact-alone", replace(KEPT, contact_alone=False), "strangers", transport="redis"),
    Ablation("contact-stored", replace(KEPT, contact_stored=False), "strangers", transport="redis"),
    Ablation("contact-first-wins", replace(KEPT, contact_first_wins=False), "contact", transport="local", rare=True),
    Ablation(
        "contact-synced",
        replace(KEPT, contact_synced=False, contact_synced_by_readers=False),
        "contact",
        transport="redis",
        rare=True,
    ),
    Ablation(
        "contact-synced-by-readers",
        replace(KEPT, contact_synced_by_readers=False),
        "contact",
        transport="redis",
        rare=True,
    ),
    # operator
    Ablation("backup-record-first", replace(KEPT, backup_record_first=False), "restores", rare=True),
)
