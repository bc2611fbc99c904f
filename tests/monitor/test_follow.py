"""The log is followed from where it was, whatever becomes of it, and windows close when they are over."""

import io
import shutil
import tracemalloc

import msgspec
import pytest

from driftline.drift.profile import encode_profile
from driftline.errors import LogDamagedError
from driftline.eventlog.backup import write_backup
from driftline.eventlog.restore import restore_backup
from driftline.monitor import follow
from driftline.monitor.fold import Slicing
from driftline.monitor.provisional import LOOK_ROWS
from driftline.monitor.sources import CHUNK_ROWS
from tests.eventlog.lines import segments
from tests.monitor.conftest import PLAN, Watch
from tests.monitor.logs import (
    PRODUCERS,
    SCHEMA,
    START_US,
    US,
    PredictionLog,
    event,
    events,
    profile_of,
    recount,
    stored,
)

WIDTH_US = 60 * US


def put_reference(watch: Watch, seed: int = 0, rows: int = 1000) -> str:
    """Puts a reference in place that is of another log, and returns its id."""
    folder = watch.folder / f"other-{seed}"
    with PredictionLog(folder) as log:
        log.add(events(rows, seed=seed))
    profile = profile_of(folder, 0, rows)
    watch.reference.write_bytes(encode_profile(profile))
    return profile.profile_id


class TestWindows:
    """When a window is over, and what it holds."""

    def test_one_is_judged_when_its_minute_and_two_seconds_are_over(self, watch: Watch) -> None:
        put_reference(watch)
        watch.log.add(events(60, seed=1))
        watch.look(50)
        watch.look(61.9)
        assert watch.windows() == []
        watch.look(62.1)
        assert watch.windows() == [(0, 60, "judged")]
        assert [len(judged.verdicts) for judged in watch.judged] == [4]

    def test_one_with_too_few_rows_stays_open_and_takes_the_next_in(self, watch: Watch) -> None:
        put_reference(watch)
        watch.log.add(events(40, seed=1, every_s=1.5))
        watch.go_on(100)
        assert watch.windows() == []
        assert watch.store.meta()["waiting_rows"] == "40"
        watch.log.add(events(40, seed=2, every_s=1.5, first_s=120))
        watch.go_on(300)
        assert watch.windows() == [(0, 80, "judged")]
        first, stop = watch.store.connection.execute("SELECT first_cell, stop_cell FROM windows").fetchone()
        assert stop - first == 3

    def test_a_stretch_without_traffic_has_no_windows(self, watch: Watch) -> None:
        put_reference(watch)
        watch.log.add(events(60, seed=1))
        watch.go_on(70)
        watch.go_on(36_000)
        watch.log.add(events(60, seed=2, first_s=36_000))
        watch.go_on(36_100)
        assert watch.windows() == [(0, 60, "judged"), (600, 60, "judged")]

    def test_what_comes_late_is_counted_and_its_window_is_not_judged_again(self, watch: Watch) -> None:
        put_reference(watch)
        first, late, second = events(60, seed=1), events(30, seed=2), events(60, seed=3, first_s=60)
        watch.log.add(first)
        watch.go_on(70)
        watch.log.add(late)
        watch.go_on(80)
        watch.log.add(second)
        watch.go_on(130)
        assert watch.windows() == [(0, 60, "judged"), (1, 60, "judged")]
        assert {cell: held.rows for cell, held in watch.store.cells(0, 1 << 62).items()} == {
            START_US // WIDTH_US: 90,
            START_US // WIDTH_US + 1: 60,
        }

    def test_windows_of_rows_close_when_they_are_full(self, watch: Watch) -> None:
        put_reference(watch)
        watch.plan = PLAN._replace(slicing=Slicing(rows=100))
        watch.begin()
        watch.log.add(events(250, seed=1))
        watch.go_on(0)
        assert [rows for _, rows, _ in watch.windows()] == [100, 100]
        watch.log.add(events(50, seed=2, first_s=250))
        watch.go_on(0)
        assert [rows for _, rows, _ in watch.windows()] == [100, 100, 100]

    @pytest.mark.parametrize("behind", [False, True], ids=["caught up", "catching up"])
    def test_one_clock_that_is_a_year_ahead_closes_no_window(
        self, watch: Watch, monkeypatch: pytest.MonkeyPatch, behind: bool
    ) -> None:
        monkeypatch.setattr(follow, "STEP_ROWS", 100)
        put_reference(watch)
        ahead = event(START_US + 365 * 86400 * US, 0.0, 0.0, producer=PRODUCERS[1])
        found = events(600, seed=1)
        found.insert(30, ahead)
        if behind:
            watch.log.add(found)
            watch.go_on(3600)
        else:
            for at in range(0, 601, 5):
                watch.log.add(found[at : at + 5])
                watch.look(at + 5)
            watch.go_on(3600)
        assert watch.windows() == [(minute, 60, "judged") for minute in range(10)]

    def test_a_clock_that_is_behind_ours_closes_no_window_early_while_rows_come(self, watch: Watch) -> None:
        put_reference(watch)
        found = events(600, seed=1)
        for at in range(600):
            watch.log.add(found[at : at + 1])
            watch.look(at + 300)  # five minutes
        watch.go_on(1200)
        assert watch.windows() == [(minute, 60, "judged") for minute in range(10)]

    def test_a_backlog_is_judged_as_it_would_have_been_live(
        self, watch: Watch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follow, "STEP_ROWS", 100)
        put_reference(watch)
        found = events(3000, seed=1)
        watch.log.add(found)
        watch.go_on(10_000)
        at_once = watch.windows()
        assert at_once == [(minute, 60, "judged") for minute in range(50)]

    def test_our_own_clock_may_step_back(self, watch: Watch) -> None:
        put_reference(watch)
        watch.log.add(events(60, seed=1))
        watch.go_on(100)
        watch.go_on(-86_400)
        watch.log.add(events(60, seed=2, first_s=60))
        watch.go_on(130)
        assert watch.windows() == [(0, 60, "judged"), (1, 60, "judged")]


class TestRestarts:
    """A monitor that begins again goes on where it was."""

    def test_counts_and_windows_are_those_of_one_that_never_stopped(self, watch: Watch) -> None:
        put_reference(watch)
        found = events(900, seed=1)
        for at in range(0, 900, 90):
            watch.log.add(found[at : at + 90])
            watch.go_on(at + 90)
            watch.follower.close()
            watch.begin()
        watch.go_on(1000)
        assert watch.windows() == [(minute, 60, "judged") for minute in range(15)]
        assert len(watch.judged) == 15
        assert stored(watch.store) == recount(found, watch.profile, WIDTH_US)

    def test_the_evidence_of_earlier_windows_is_not_lost(self, watch: Watch) -> None:
        put_reference(watch)
        found = events(1800, seed=1, shift=0.22)
        watch.log.add(found)
        watch.go_on(2000)
        at_once = verdicts(watch)
        watch.store.connection.execute("DELETE FROM meta")
        watch.begin()
        for at_s in range(0, 2000, 60):
            watch.go_on(at_s)
            watch.follower.close()
            watch.begin()
        assert verdicts(watch) == at_once
        assert any(state == "alarm" for _, _, state, *_ in at_once)

    def test_a_large_log_is_read_in_steps(self, watch: Watch) -> None:
        put_reference(watch)
        rows = follow.STEP_ROWS + CHUNK_ROWS + 7
        watch.log.add(events(rows, seed=1, every_s=0.01))
        watch.now_us = START_US + 86_400 * US
        assert watch.follower.step()
        assert watch.phase == "catching_up"
        assert watch.store.meta()["position_row"] == str(follow.STEP_ROWS)
        assert watch.follower.step()
        assert watch.phase == "following"
        assert not watch.follower.step()
        assert watch.store.meta()["position_row"] == str(rows)


def verdicts(watch: Watch) -> list[tuple[object, ...]]:
    """All that was said, but not when."""
    return watch.store.connection.execute(
        "SELECT start_us, name, verdicts.state, kind, detector, question, label, log_p, since_us, moved, span_rows "
        "FROM verdicts JOIN windows USING (window) ORDER BY start_us, name"
    ).fetchall()


class TestTheLog:
    """It may be away, damaged, replaced or put back."""

    def test_without_one_the_monitor_waits_and_says_so(self, watch: Watch) -> None:
        watch.log.close()
        shutil.rmtree(watch.log_dir)
        watch.go_on(0)
        assert watch.phase == watch.store.meta()["phase"] == "no_log"
        assert str(watch.log_dir) in watch.store.meta()["trouble"]
        put_reference(watch)
        watch.log = PredictionLog(watch.log_dir)
        watch.log.add(events(60, seed=1))
        watch.go_on(100)
        assert watch.windows() == [(0, 60, "judged")]
        assert watch.store.meta()["trouble"] == ""

    def test_another_one_in_its_place_is_counted_from_its_beginning(self, watch: Watch) -> None:
        put_reference(watch)
        watch.log.add(events(300, seed=1))
        watch.go_on(400)
        watch.log.close()
        watch.log_dir.rename(watch.folder / "old")
        watch.go_on(401)
        assert watch.phase == "no_log"
        watch.log = PredictionLog(watch.log_dir)
        found = events(100, seed=2)
        watch.log.add(found)
        watch.go_on(500)
        assert watch.phase == "following"
        assert stored(watch.store) == recount(found, watch.profile, WIDTH_US)
        assert watch.windows() == [(0, 60, "judged")]

    @pytest.mark.parametrize("later_rows", [50, 300], ids=["shorter", "longer"])
    @pytest.mark.parametrize("running", [True, False])
    def test_one_that_was_put_back_from_a_backup_is_counted_again(
        self, watch: Watch, later_rows: int, running: bool
    ) -> None:
        put_reference(watch)
        kept = events(100, seed=1)
        watch.log.add(kept)
        archive = io.BytesIO()
        write_backup(watch.log_dir, archive)
        watch.log.add(events(200, seed=2, first_s=100))
        watch.go_on(400)
        if not running:
            watch.follower.close()
        watch.log.close()
        assert restore_backup(io.BytesIO(archive.getvalue()), watch.log_dir)
        watch.log = PredictionLog(watch.log_dir)
        later = events(later_rows, seed=3, first_s=100, producer=PRODUCERS[1])
        watch.log.add(later)
        if not running:
            watch.begin()
        watch.go_on(800)
        assert stored(watch.store) == recount([*kept, *later], watch.profile, WIDTH_US)

    def test_one_that_is_cut_short_is_an_error_and_is_gone_on_with_when_it_is_whole(self, watch: Watch) -> None:
        put_reference(watch)
        found = events(200, seed=1)
        watch.log.add(found[:100])
        watch.go_on(50)
        watch.log.add(found[100:])
        (segment,) = segments(watch.log_dir)
        whole = segment.read_bytes()
        segment.write_bytes(whole[:-10])
        with pytest.raises(LogDamagedError):
            watch.go_on(300)
        watch.follower.close()
        segment.write_bytes(whole)
        watch.go_on(300)
        assert stored(watch.store) == recount(found, watch.profile, WIDTH_US)

    def test_a_damaged_line_is_left_out_and_not_waited_for(self, watch: Watch) -> None:
        put_reference(watch)
        found = events(100, seed=1)
        watch.log.add(found)
        (segment,) = segments(watch.log_dir)
        whole = segment.read_bytes().splitlines(keepends=True)
        for row in (10, 99):
            whole[row] = whole[row].replace(b'"kind"', b'"kinb"')
        segment.write_bytes(b"".join(whole))
        watch.go_on(300)
        assert watch.store.meta()["position_row"] == "100"
        rest = [each for row, each in enumerate(found) if row not in {10, 99}]
        assert stored(watch.store) == recount(rest, watch.profile, WIDTH_US)


class TestReference:
    """What the windows are held against, and what is said where that is not to be had."""

    def test_until_there_is_one_the_first_predictions_stand_in_for_it(self, watch: Watch) -> None:
        watch.log.add(events(499))
        watch.go_on(500)
        assert watch.phase == "no_reference"
        assert "499 of the 500" in watch.store.meta()["trouble"]
        watch.log.add(events(200, first_s=499, seed=1))
        watch.go_on(800)
        assert watch.store.meta()["provisional"] == "1"
        profile = watch.profile
        assert (profile.rows, profile.origin.first_row, profile.origin.stop_row) == (500, 0, 500)
        assert watch.windows() == [
            *((minute, 60, "reference") for minute in range(9)),
            (9, 60, "judged"),
            (10, 60, "judged"),
        ]

    def test_predictions_of_others_do_not_stand_in_for_it(self, watch: Watch) -> None:
        watch.log.add(events(700, model="another"))
        watch.log.add(events(500, first_s=700))
        watch.go_on(700)
        profile = watch.profile
        assert (profile.rows, profile.origin.first_row, profile.origin.stop_row) == (500, 700, 1200)

    def test_a_search_through_a_large_log_goes_on_from_step_to_step(self, watch: Watch) -> None:
        before = LOOK_ROWS - 200  # the first 200 are found in one step, the others in the next
        watch.log.add(events(before, every_s=0.001, model="another"))
        watch.log.add(events(600, first_s=40))
        watch.go_on(700)
        assert (watch.profile.origin.first_row, watch.profile.origin.stop_row) == (before, before + 500)

    def test_the_same_rows_stand_in_for_it_after_a_restart(self, watch: Watch) -> None:
        watch.log.add(events(600))
        watch.go_on(700)
        first = watch.store.meta()["profile"]
        watch.log.add(events(600, first_s=600, seed=1))
        watch.follower.close()
        watch.begin()
        watch.go_on(1400)
        assert watch.store.meta()["profile"] == first
        assert sum(rows for _, rows, _ in watch.windows()) == 1200

    def test_with_reference_rows_0_nothing_stands_in_for_it(self, watch: Watch) -> None:
        watch.plan = PLAN._replace(reference_rows=0)
        watch.begin()
        watch.log.add(events(5000))
        watch.go_on(6000)
        assert watch.phase == "no_reference"
        assert "driftline reference build" in watch.store.meta()["trouble"]

    def test_one_that_is_put_in_place_later_is_taken_up_and_all_is_judged_again(self, watch: Watch) -> None:
        watch.log.add(events(1200, seed=0))
        watch.go_on(1300)
        assert watch.store.meta()["provisional"] == "1"
        wanted = put_reference(watch, seed=7)
        watch.go_on(1300)
        assert (watch.store.meta()["profile"], watch.store.meta()["provisional"]) == (wanted, "0")
        assert watch.windows() == [(minute, 60, "judged") for minute in range(20)]
        assert stored(watch.store) == recount(events(1200, seed=0), watch.profile, WIDTH_US)

    def test_one_that_is_replaced_while_catching_up_counts_each_row_once(
        self, watch: Watch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follow, "STEP_ROWS", 100)
        put_reference(watch, seed=7)
        found = events(1000)
        watch.log.add_lines([b"no event"])
        watch.log.add(found)
        watch.now_us = START_US + 2000 * US
        for _ in range(4):
            watch.follower.step()
        wanted = put_reference(watch, seed=8)
        watch.go_on(2000)
        assert watch.store.meta()["profile"] == wanted
        assert stored(watch.store) == recount(found, watch.profile, WIDTH_US)
        assert {name: watch.store.meta()[name] for name in ("ordinal", "unreadable", "position_row")} == {
            "ordinal": "1000", "unreadable": "1", "position_row": "1001",
        }  # fmt: skip

    @pytest.mark.parametrize("wrong", ["damaged", "of another model", "of other features"])
    def test_one_that_cannot_be_used_is_said_and_nothing_is_judged_until_it_is_mended(
        self, watch: Watch, wrong: str
    ) -> None:
        put_reference(watch)
        right = watch.reference.read_bytes()
        watch.log.add(events(60, seed=1))
        watch.go_on(100)
        broken = {
            "damaged": right[: len(right) // 2],
            "of another model": right.replace(b'"model": "' + SCHEMA.name.encode(), b'"model": "another'),
            "of other features": right.replace(b'"feature_1"', b'"feature_x"'),
        }[wrong]
        assert broken != right
        watch.reference.write_bytes(broken)
        watch.log.add(events(60, seed=2, first_s=60))
        for again in range(2):
            watch.go_on(200 + again)
            assert watch.phase == watch.store.meta()["phase"] == "unfit_reference"
            assert watch.follower.trouble == watch.store.meta()["trouble"] != ""
            watch.follower.close()
            watch.begin()
        assert watch.windows() == [(0, 60, "judged")]
        watch.reference.write_bytes(right)
        watch.go_on(300)
        assert watch.follower.trouble == ""
        assert watch.windows() == [(0, 60, "judged"), (1, 60, "judged")]

    def test_one_that_is_removed_gives_way_to_the_first_predictions(self, watch: Watch) -> None:
        put_reference(watch, seed=7)
        watch.log.add(events(700))
        watch.go_on(800)
        watch.reference.unlink()
        watch.go_on(800)
        assert watch.store.meta()["provisional"] == "1"
        assert watch.windows()[0] == (0, 60, "reference")

    def test_where_there_is_none_the_models_own_stands_in_its_place(self, watch: Watch) -> None:
        of_the_model = put_reference(watch, seed=8)
        watch.otherwise = watch.reference.rename(watch.folder / "own.json")
        watch.follower.close()
        watch.begin()
        watch.log.add(events(700))
        watch.go_on(800)
        assert (watch.store.meta()["profile"], watch.store.meta()["provisional"]) == (of_the_model, "0")
        wanted = put_reference(watch, seed=7)
        watch.go_on(800)
        assert watch.store.meta()["profile"] == wanted
        watch.reference.unlink()
        watch.go_on(800)
        assert watch.store.meta()["profile"] == of_the_model

    def test_one_that_is_removed_before_there_are_enough_rows_leaves_nothing_to_hold_against(
        self, watch: Watch
    ) -> None:
        put_reference(watch, seed=7)
        watch.log.add(events(100))
        watch.go_on(200)
        watch.reference.unlink()
        watch.go_on(300)
        assert watch.phase == "no_reference"

    def test_what_stood_in_for_the_model_before_does_not_for_the_next(self, watch: Watch) -> None:
        watch.log.add(events(600))
        watch.go_on(700)
        watch.follower.close()
        watch.schema = msgspec.structs.replace(SCHEMA, name="next")
        watch.begin()
        watch.go_on(700)
        assert watch.phase == "no_reference"
        watch.log.add(events(600, first_s=700, model="next"))
        watch.go_on(1500)
        assert watch.profile.model == "next"

    def test_rows_of_another_log_are_not_taken_for_those_of_the_reference(self, watch: Watch) -> None:
        put_reference(watch, rows=1000)
        watch.log.add(events(60, seed=1))
        watch.go_on(100)
        assert watch.windows() == [(0, 60, "judged")]

    def test_a_window_with_rows_of_the_reference_is_not_judged(self, watch: Watch) -> None:
        watch.log.add(events(1000))
        watch.reference.write_bytes(encode_profile(profile_of(watch.log_dir, 200, 500)))
        watch.go_on(1100)
        assert [state for _, _, state in watch.windows()] == ["judged"] * 3 + ["reference"] * 6 + ["judged"] * 7
        assert all(
            bool(judged.verdicts) == (state == "judged")
            for judged, (*_, state) in zip(watch.judged, watch.windows(), strict=True)
        )

    def test_a_reference_without_the_column_that_divides_the_traffic_is_said(self, watch: Watch) -> None:
        put_reference(watch)
        content = watch.reference.read_bytes().replace(b'"predicted_class"', b'"probability_2"')
        watch.reference.write_bytes(content)
        watch.plan = PLAN._replace(segment_by="predicted_class")
        watch.begin()
        watch.log.add(events(100))
        watch.go_on(200)
        assert watch.phase == "unfit_reference"
        assert "predicted_class" in watch.follower.trouble


@pytest.mark.parametrize("column", ["feature_1", "predicted_class"])
def test_segments_are_watched_apart_within_one_budget(watch: Watch, column: str) -> None:
    watch.plan = PLAN._replace(segment_by=column, reference_rows=1200)
    watch.begin()
    watch.log.add(events(4500, seed=1, every_s=0.1))
    watch.go_on(600)
    streams = [row[0] for row in watch.store.connection.execute("SELECT DISTINCT stream FROM windows")]
    assert len(streams) == (5 if column == "feature_1" else 3)
    rules = watch.plan.rules([name for name in streams if name != "all"])
    alone = PLAN.rules([])
    assert sum(rules.false_alarms_a_window.values()) == pytest.approx(sum(alone.false_alarms_a_window.values()))
    assert sum(rows for name in streams if name != "all" for _, rows, _ in watch.windows(name)) <= 4500


def test_segments_of_a_reference_from_elsewhere_are_counted_and_not_judged(watch: Watch) -> None:
    put_reference(watch)
    watch.plan = PLAN._replace(segment_by="predicted_class")
    watch.begin()
    watch.log.add(events(1200, seed=1, every_s=0.1))
    watch.go_on(400)
    assert {row[0] for row in watch.store.connection.execute("SELECT DISTINCT stream FROM windows")} == {"all"}
    assert set(watch.store.segments()) == {"predicted_class=0", "predicted_class=1"}


def test_another_width_of_windows_counts_the_log_again(watch: Watch) -> None:
    put_reference(watch)
    found = events(600, seed=1)
    watch.log.add(found)
    watch.go_on(700)
    watch.follower.close()
    watch.plan = PLAN._replace(slicing=Slicing(width_us=120 * US))
    watch.begin()
    watch.go_on(800)
    assert [rows for _, rows, _ in watch.windows()] == [120] * 5
    assert stored(watch.store) == recount(found, watch.profile, 120 * US)


def test_memory_does_not_grow_with_the_log(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "CHUNK_ROWS", 512)
    monkeypatch.setattr(follow, "STEP_ROWS", 2048)
    put_reference(watch)
    watch.plan = PLAN._replace(slicing=Slicing(width_us=3600 * US))
    watch.begin()
    peaks = []
    rows = 0
    for stretch in (4, 4, 16):  # the first for what is made once
        for _ in range(stretch):
            watch.log.add(events(1000, first_s=float(rows), seed=rows))
            rows += 1000
        tracemalloc.start()
        watch.go_on(rows + 3600)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert watch.store.meta()["ordinal"] == "24000"
    assert peaks[2] < 1.6 * peaks[1], peaks
