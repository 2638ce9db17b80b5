"""Playbook tuning/indexes.lua on a real table: report, made, dropped, rebuilt; refused, failed, killed in the middle of it."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, wait_until  # noqa: E402
from killing import play_and_kill  # noqa: E402
from tuning import SLOW  # noqa: E402

PLAYBOOK = "tuning/indexes.lua"
PLAY = ("play", PLAYBOOK, "-e", "lab")
NEW = "exercises_type_difficulty"
CREATE = (*PLAY, "-p", f"create={NEW} ON exercises (type, difficulty)", "-p", f"explain={SLOW}")
BEFORE = {"exercises_created": True, "exercises_created_again": True, "exercises_lower": True, "exercises_pkey": True,
          "exercises_text": True, "exercises_type": False}
VALID = "SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = 'exercises'::regclass"


class IndexTest(LabTest):
    """A table without an index that it needs, and with five that it does not need so."""

    def found(self):
        return {name: valid == "t" for name, valid in self.lab.ask(VALID)}

    def size(self, name):
        return int(self.lab.ask(f"SELECT pg_relation_size('{name}')")[0][0])

    def holding(self):
        """A transaction that every CREATE INDEX CONCURRENTLY waits for."""
        session = self.lab.session(application_name="reports")
        session.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
        session.query("SELECT count(*) FROM exercises")
        return session


class Unchanged(IndexTest):
    """What leaves the table as it was: these tests share one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.break_it("slow-queries", settle=0)

    def test_a_dry_run_reports_and_shows_what_it_would_make_drop_and_rebuild(self):
        done = self.opsrun(*CREATE, "-n", "-p", "drop=invalid,exercises_created_again,exercises_lower", "-p", "rebuild=exercises_text")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            r"exercises +exercises_lower +0\.\d +0 +btree \(lower\(type\)\)", r"public\.exercises +10000 +\d+", r"exercises +type +10 +0",
            r"WARNING +indexes that are not valid 1", r"exercises_type +0 +0 +unique btree \(type\)", "there is another one just like it",
            r"exercises_text +[5-9][\d.]* +[5-9]\d +btree \(text\)", f"WOULD ASK Make index {NEW} ON exercises .*10000 rows in",
            "WOULD exec primary: CREATE INDEX CONCURRENTLY", "UNDETERMINED +the plan uses it false",
            r"WOULD ASK Drop 3 indexes of primary: exercises_type \(0\.0 MB\), exercises_created_again",
            r"WOULD exec primary: DROP INDEX CONCURRENTLY .*exercises_type", r"WOULD ASK Rebuild 1 indexes", "REINDEX INDEX CONCURRENTLY"],
            absent=["users_email_key"])
        self.assertEqual(self.found(), BEFORE)

    def test_the_report_needs_nobody_to_agree(self):
        self.expect(self.opsrun(*PLAY), code=0, out=["changed +nothing", "told +team", "next +opsrun play tuning/slow-queries.lua"])

    def test_what_was_counted_for_a_short_time_only_is_not_taken_for_unused(self):
        done = self.opsrun(*PLAY, "--yes", "-p", "min_age=7d", "-p", "drop=exercises_lower")
        self.expect(done, code=1, out=["none of them is taken for unused"], text=["'exercises_lower' is not unused, doubled or invalid"])
        self.assertEqual(self.found(), BEFORE)

    def test_what_is_needed_or_well_is_neither_dropped_nor_rebuilt(self):
        for word, name in (("drop", "exercises_pkey"), ("drop", "users_email_key"), ("drop", "exercises_text"), ("rebuild", "exercises_created")):
            self.expect(self.opsrun(*CREATE, "--yes", "-p", f"{word}={name}"), code=1, text=[f"'{name}' is not"], out=["changed +nothing"])

    def test_refused_nothing_is_made_dropped_or_rebuilt(self):
        for words, gate in ((CREATE, "create-an-index"), ((*PLAY, "-p", "drop=invalid"), "drop-indexes"),
                            ((*PLAY, "-p", "rebuild=exercises_text"), "rebuild-indexes")):
            self.expect(self.opsrun(*words), code=5, text=[f"--answer {gate}=yes"])
        self.assertEqual(self.found(), BEFORE)

    def test_a_table_that_is_not_there_and_a_text_that_is_no_index_are_named(self):
        self.expect(self.opsrun(*PLAY, "-p", "create=i ON nowhere (id)"), code=1, text=["step 'Create an index'.*no table nowhere"])
        self.expect(self.opsrun(*PLAY, "-p", "create=DROP TABLE exercises"), code=1, text=["is no 'NAME ON TABLE"])
        done = self.opsrun(*PLAY, env={"DATABASE_URL": "postgres://ops:nobody-there@127.0.0.1:1/app"})
        self.expect(done, code=1, text=["step 'Find unused indexes'.*cannot connect to 'primary'"])

    def test_one_that_cannot_be_made_leaves_none_behind(self):
        done = self.opsrun(*PLAY, "--yes", "-p", "create=exercises_once ON exercises ((1 / (difficulty - 3)))")
        self.expect(done, code=1, text=["step 'Create an index'.*division by zero"])
        self.assertEqual(self.found(), BEFORE)

    def test_one_that_its_plan_does_not_use_is_taken_back(self):
        done = self.opsrun(*PLAY, "--yes", "--undo-on-failure", "-p", "create=exercises_other ON exercises (difficulty, type)",
                           "-p", "explain=SELECT count(*) FROM users")
        self.expect(done, code=8, text=["its plan does not use it"])
        self.assertEqual(self.found(), BEFORE)

    def test_killed_while_it_is_made_a_resume_drops_what_is_left_and_makes_it_an_undo_only_drops_it(self):
        for word in ("resume", "undo"):
            with self.subTest(word):
                holder = self.holding()
                run, killed = play_and_kill(self, (*CREATE, "--yes"), 1, lambda: NEW in self.found())
                self.assertTrue(killed)
                self.assertEqual(self.found().get(NEW), False, "it is there, and not valid")
                self.assertTrue(wait_until(lambda: not self.lab.ask("SELECT FROM pg_stat_progress_create_index"), within=30))
                holder.close()
                done = self.opsrun(word, run, "--yes", *(["--stale-ok"] if word == "resume" else []))
                self.assertIn(done.code, (0, 7) if word == "undo" else (0,), done)
                self.assertEqual(self.found(), {**BEFORE, NEW: True} if word == "resume" else BEFORE, done)
                self.lab.ask(f"DROP INDEX IF EXISTS {NEW}")


class Changed(IndexTest):

    def setUp(self):
        super().setUp()
        self.lab.break_it("slow-queries", settle=0)

    def test_live_one_is_made_and_used_others_are_dropped_and_rebuilt_and_an_undo_puts_them_back(self):
        size = self.size("exercises_text")
        done = self.opsrun(*CREATE, "--yes", "-p", "drop=invalid,exercises_created_again", "-p", "rebuild=exercises_text")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["OK +the plan uses it true", "OK +exercises_text is valid true", "OK +indexes that are not valid 0",
                                       "limits +indexes 4 of 10", "told +team"])
        after = {**BEFORE, NEW: True}
        del after["exercises_type"], after["exercises_created_again"]
        self.assertEqual(self.found(), after)
        self.assertLess(self.size("exercises_text"), size / 2)
        self.expect(self.opsrun(*CREATE, "--yes"), code=0, out=["skipped: it is there already"])
        self.expect(self.opsrun("undo", self.run_ids()[-2], "--yes"), code=0)
        self.assertEqual(self.found(), {**{name: True for name in BEFORE if name != "exercises_type"}})
        self.lab.mend()
        self.assertEqual(self.lab.ask("SELECT to_regclass('exercises')"), [[None]], "nothing of it is left")

    def test_killed_when_one_is_dropped_or_rebuilt_a_resume_goes_on(self):
        after = dict(BEFORE)
        run, killed = play_and_kill(self, (*PLAY, "--yes", "-p", "drop=exercises_created_again"), 1,
                                    lambda: "exercises_created_again" not in self.found())
        self.assertTrue(killed)
        self.expect(self.opsrun("resume", run, "--yes", "--stale-ok"), code=0, out=["happened, not made again"])
        del after["exercises_created_again"]
        self.assertEqual(self.found(), after)
        holder = self.holding()
        run, killed = play_and_kill(self, (*PLAY, "--yes", "-p", "rebuild=exercises_text"), 1, lambda: "exercises_text_ccnew" in self.found())
        self.assertTrue(killed)
        self.assertTrue(wait_until(lambda: not self.lab.ask("SELECT FROM pg_stat_progress_create_index"), within=30))
        holder.close()
        self.expect(self.opsrun("resume", run, "--yes", "--stale-ok"), code=0, out=["OK +exercises_text is valid true"])
        self.assertEqual(self.found(), after)


if __name__ == "__main__":
    main()
