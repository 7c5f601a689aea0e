import os
import sys
import unittest
from datetime import datetime, timezone

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "module_utils"))

from postgres_cluster.backup_due import Attempt, Backup, Schedule, due, parse_schedule

# 02:30, full on Sunday.
SCHEDULE = Schedule(150, 6)
HOUR = 3600
MINUTE = 60


def at(text):
    """`Sun 02:31` in the week of Monday, 2026-11-23; `2026-11-29 02:31` for any other."""
    days = {name: 23 + index for index, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))}
    day, time = text.split()
    date = "2026-11-%02d" % days[day] if day in days else day
    return int(datetime.fromisoformat("%s %s" % (date, time)).replace(tzinfo=timezone.utc).timestamp())


def full(text):
    return Backup(True, at(text))


def incremental(text):
    return Backup(False, at(text))


class Due(unittest.TestCase):
    def test_what_is_due(self):
        week = [full("Mon 10:00")]
        cases = [
            # (name, now, backups, expected)
            ("no backup at all", "Mon 10:00", [], "full"),
            ("only an incremental one, whose full one expired", "Mon 10:00", [incremental("Mon 02:30")], "full"),
            ("before the time", "Tue 02:29", week, None),
            ("at the time", "Tue 02:30", week, "incremental"),
            ("after today's", "Tue 03:00", [*week, incremental("Tue 02:31")], None),
            ("today's runs since before the time", "Tue 02:31", [*week, incremental("Tue 02:29")], "incremental"),
            ("the next day", "Wed 02:30", [*week, incremental("Tue 02:31")], "incremental"),
            ("missed for two days: one makes up for both", "Thu 20:00", [*week, incremental("Tue 02:31")], "incremental"),
            ("made up for", "Thu 23:00", [*week, incremental("Thu 20:00")], None),
            ("the evening before the full one", "Sun 02:29", [*week, incremental("Sat 02:30")], None),
            ("the weekly full one", "Sun 02:30", [*week, incremental("Sat 02:30")], "full"),
            ("a full one is also the daily one", "Sun 03:00", [*week, full("Sun 02:30")], None),
            ("the weekly one missed by an incremental one", "Sun 03:00", [*week, incremental("Sun 02:40")], "full"),
            ("the weekly one missed by days", "Sat 01:00", [full("2026-11-20 02:30"), incremental("Fri 02:30")], "full"),
            ("a full one between two weekly ones", "Thu 12:00", [full("Mon 10:00"), incremental("Thu 02:30")], None),
            ("a full one is the newest", "Tue 04:00", [incremental("Mon 02:30"), full("Tue 03:00")], None),
            ("backups in any order", "Tue 04:00", [full("Tue 03:00"), incremental("Mon 02:30")], None),
        ]
        for name, now, backups, expected in cases:
            with self.subTest(name):
                self.assertEqual(due(at(now), backups, SCHEDULE), expected)

    def test_a_backup_that_began_before_midnight(self):
        late = Schedule(23 * 60 + 50, 6)
        backups = [full("Mon 10:00"), incremental("Tue 23:51")]
        self.assertIsNone(due(at("Wed 00:20"), backups, late))
        self.assertIsNone(due(at("Wed 23:49"), backups, late))
        self.assertEqual(due(at("Wed 23:50"), backups, late), "incremental")
        midnight = Schedule(0, 0)
        self.assertEqual(due(at("Mon 00:00"), [full("2026-11-22 23:59")], midnight), "full")
        self.assertIsNone(due(at("Mon 23:59"), [full("Mon 00:00")], midnight))

    def test_every_weekday(self):
        for day, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")):
            with self.subTest(name):
                schedule = Schedule(150, day)
                backups = [full("2026-11-22 10:00"), incremental("%s 01:00" % name)]
                self.assertEqual(due(at("%s 02:30" % name), backups, schedule), "full")
                self.assertNotEqual(due(at("%s 02:29" % name), backups, schedule), "full")

    def test_summer_time_changes_nothing(self):
        # In Europe, clocks went back on 2026-10-25 and go forward on 2027-03-28, at 01:00 UTC.
        for day, before in (("2026-10-25", "2026-10-24"), ("2027-03-28", "2027-03-27")):
            backups = [full("%s 02:30" % before)]
            self.assertIsNone(due(at("%s 02:29" % day), backups, Schedule(150, 2)))
            self.assertEqual(due(at("%s 02:30" % day), backups, Schedule(150, 2)), "incremental")

    def test_dropped_wal_makes_a_full_one_due_at_once(self):
        backups = [full("Mon 02:30"), incremental("Tue 02:30")]
        self.assertEqual(due(at("Tue 10:00"), backups, SCHEDULE, has_gap=True), "full")
        self.assertIsNone(due(at("Tue 10:00"), backups, SCHEDULE))

    def test_wal_that_is_dropped_again_makes_the_next_full_one_due_after_an_hour(self):
        backups = [full("Mon 02:30"), full("Tue 10:00")]
        last = Attempt(at("Tue 10:00"), at("Tue 10:20"), 0, closed_gap=True)
        now = at("Tue 10:30")
        self.assertIsNone(due(now, backups, SCHEDULE, has_gap=True, last=last))
        self.assertEqual(due(at("Tue 11:20"), backups, SCHEDULE, has_gap=True, last=last), "full")
        first = last._replace(closed_gap=False)
        self.assertEqual(due(now, backups, SCHEDULE, has_gap=True, last=first), "full")

    def test_the_pause_after_a_failure_grows_to_an_hour(self):
        ended = at("Tue 03:00")
        for failures, pause in ((1, 10), (2, 20), (3, 40), (4, 60), (5, 60), (10_000, 60)):
            with self.subTest(failures):
                last = Attempt(ended - MINUTE, ended, failures, False)
                early, late = ended + pause * MINUTE - 1, ended + pause * MINUTE
                self.assertIsNone(due(early, [], SCHEDULE, last=last))
                self.assertEqual(due(late, [], SCHEDULE, last=last), "full")
                # It says nothing about what is not due.
                self.assertIsNone(due(late, [full("Tue 02:31")], SCHEDULE, last=last))

    def test_a_success_needs_no_pause(self):
        last = Attempt(at("Sun 02:28"), at("Sun 02:29"), 0, False)
        self.assertEqual(due(at("Sun 02:30"), [full("Mon 02:30")], SCHEDULE, last=last), "full")

    def test_a_clock_that_was_set_back(self):
        future = [full("2027-11-23 02:30")]
        self.assertEqual(due(at("Tue 10:00"), future, SCHEDULE), "full")
        failed = Attempt(at("2027-11-23 02:30"), at("2027-11-23 02:31"), 3, False)
        self.assertEqual(due(at("Tue 10:00"), [], SCHEDULE, last=failed), "full")

    def test_a_clock_that_jumps_ahead_makes_one_backup_due(self):
        backups = [full("Mon 02:30")]
        self.assertEqual(due(at("2027-11-23 10:00"), backups, SCHEDULE), "full")
        self.assertIsNone(due(at("2027-11-23 10:30"), [*backups, full("2027-11-23 10:00")], SCHEDULE))

    def test_what_is_asked_for_waits_for_no_pause(self):
        failed = Attempt(at("Tue 02:59"), at("Tue 03:00"), 5, False)
        now, backups = at("Tue 03:01"), [full("Tue 02:31")]
        for forced in ("full", "incremental"):
            self.assertEqual(due(now, backups, SCHEDULE, last=failed, forced=forced), forced)
        self.assertEqual(due(now, [], SCHEDULE, last=failed, forced="incremental"), "full")
        self.assertEqual(due(now, backups, SCHEDULE, has_gap=True, last=failed, forced="incremental"), "full")


class Parse(unittest.TestCase):
    def test_schedules(self):
        self.assertEqual(parse_schedule({"time": "02:30", "fullOn": "sunday"}), SCHEDULE)
        self.assertEqual(parse_schedule({"time": "23:59", "fullOn": "monday"}), Schedule(1439, 0))
        for other in (None, [], "02:30", {}, {"time": "24:00", "fullOn": "sunday"}, {"time": "2:30", "fullOn": "sunday"},
                      {"time": "02:30", "fullOn": "Sunday"}, {"time": "02:30\n", "fullOn": "sunday"}, {"time": "02:30", "fullOn": []}):
            self.assertIsNone(parse_schedule(other), other)


if __name__ == "__main__":
    unittest.main()
