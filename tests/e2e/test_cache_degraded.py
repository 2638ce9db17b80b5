"""Playbook cache-degraded on a cache that answers little, and on one that answers wrongly: dry, refused, live, killed."""

import json
import os
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main, wait_until  # noqa: E402
from killing import play_and_kill  # noqa: E402
import app_cache  # noqa: E402
import resp  # noqa: E402

PLAYBOOK = "incident/cache-degraded.lua"
SOON = ("-p", "recent=1s", "-p", "poll=100ms", "-p", "watch=10s", "-p", "sample=100ms", "-p", "pace=10ms")
PLAY = ("play", PLAYBOOK, "-e", "lab", *SOON)
WRONG = ("-p", "wrong=prices of yesterday", "--answer", "see-that-the-data-is-right=done:looked")


class CacheDegraded(LabTest):
    """Every test finds users at a cache that answers few of them, or all of them wrongly."""

    def setUp(self):
        super().setUp()
        self.scenario = "cache-wrong" if "wrong" in self.id() else "cache-degraded"
        urllib.request.urlopen(self.lab.env["APP_URL"] + "/_lab/reset", timeout=10).close()
        self.lab.break_it(self.scenario, settle=0)
        self.redis = resp.Redis(self.lab.env["REDIS_URL"])
        self.addCleanup(self.redis.close)

    def entries(self):
        keys = [key for key in self.redis.keys() if key.decode().split(":")[0] in app_cache.ENDPOINTS]
        return dict(zip(keys, self.redis.pipeline([("GET", key) for key in keys]))) if keys else {}

    def unusable(self):
        return sorted(key for key, raw in self.entries().items() if not app_cache.Cache.usable(raw))

    def untrue(self):
        return sorted(key for key, raw in self.entries().items() if b"of yesterday" in raw)

    def posted(self):
        """What the application was told to do, in order."""
        with urllib.request.urlopen(self.lab.env["APP_URL"] + "/_lab/requests", timeout=10) as answer:
            return [r["path"].rsplit("/", 1)[1] for r in json.load(answer) if r["method"] == "POST" and "/cache/" in r["path"]]

    def app(self, **wish):
        request = urllib.request.Request(self.lab.env["APP_URL"] + "/_lab/state", json.dumps(wish).encode())
        urllib.request.urlopen(request, timeout=10).close()

    def hit_rate(self):
        with urllib.request.urlopen(self.lab.env["APP_URL"] + "/api/cache/analytics?period=500ms", timeout=10) as answer:
            return json.load(answer)["data"]["hit_rate"]

    def test_it_does_not_mend_itself_and_once_mended_nothing_of_it_is_left(self):
        before = self.entries()
        self.assertEqual(len(self.unusable()), 65)
        time.sleep(0.5)
        self.assertEqual(self.entries(), before)
        self.assertLess(self.hit_rate(), 50)
        self.lab.mend()
        self.assertEqual(self.entries(), {})
        with self.assertRaisesRegex(OSError, "404"):
            urllib.request.urlopen(self.lab.env["APP_URL"] + "/api/exam-info?id=1", timeout=10)

    def test_a_dry_run_shows_what_misses_and_what_it_would_tell_the_cache(self):
        before, told = self.entries(), self.posted()
        done = self.opsrun(*PLAY, "-n")
        print(f"dry run: {done.seconds:.2f} s")
        self.expect(done, code=0, out=[
            r"CRITICAL +cache hit rate [\d.]+ %", r"active-exams +0 +\d+", r"exam-info +0 +\d+", r"exam-info: +45 +45",
            r"WOULD ASK Remove expired entries.* [\d.]+ requests a second, [\d.]+ % of the connections of primary used",
            "WOULD POST .*/api/cache/cleanup", "WOULD ASK Warm 2 endpoints of api", r'{"endpoints":\["active-exams"\]}',
            r'{"endpoints":\["exam-info"\]}'], absent=["system-settings +[01]"])
        self.assertEqual((self.entries(), self.posted()), (before, told))

    def test_without_a_terminal_it_is_refused_and_no_entry_is_touched(self):
        before = self.entries()
        self.expect(self.opsrun(*PLAY), code=5, text=["--answer remove-what-expired=yes"])
        self.assertEqual((self.entries(), self.posted()), (before, []))

    def test_under_pressure_nothing_more_is_asked_of_the_origin(self):
        before = self.entries()
        self.app(numbers={"performance": {"avg_query_time": 900}})
        self.addCleanup(self.app, numbers={"performance": {"avg_query_time": 4.2}})
        done = self.opsrun(*PLAY, "--yes")
        self.expect(done, code=1, text=["step 'Remove what expired'", "a query takes 900 ms in the mean, more than 500 ms",
                                        "play incident/db-exhaustion.lua first"])
        done = self.opsrun(*PLAY, "--yes", "-p", "origin_ms=1000", "-p", "db_max=0.5")
        self.expect(done, code=1, text=["of the database's connections are used, more than 0.5 %"],
                    out=["opsrun play incident/db-exhaustion.lua -e lab -p db=primary"])
        self.assertEqual((self.entries(), self.posted()), (before, []))

    def test_an_application_that_is_gone_fails_the_first_step_by_name(self):
        done = self.opsrun(*PLAY, "--yes", env={"APP_URL": "http://127.0.0.1:1"})
        self.expect(done, code=1, text=[r"step 'Look at the hit rate'.*cannot connect to 'api' \(127.0.0.1:1\)"])

    def test_live_the_mildest_remedies_are_enough_and_a_second_play_has_nothing_to_do(self):
        done = self.opsrun(*PLAY, "--yes")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["45 removed", "what was done is enough", r"OK +cache hit rate [\d.]+ %",
                                       "told +team how it ended"])
        self.assertEqual(self.unusable(), [])
        self.assertEqual(self.posted(), ["cleanup", "warm", "warm"])
        self.assertTrue(wait_until(lambda: self.hit_rate() > 80, within=10))
        self.expect(self.opsrun(*PLAY), code=0, out=["nothing to do", "changed +nothing"])

    def test_what_is_not_warmed_is_rebuilt_when_the_mild_remedies_are_not_enough(self):
        done = self.opsrun(*PLAY, "--yes", "-p", "endpoints=system-settings", "-p", "watch=1500ms")
        self.expect(done, code=0, out=["changed +POST .*/api/cache/rebuild", "OK +cache hit rate"])
        self.assertEqual(self.unusable(), [])
        self.assertEqual(self.posted(), ["cleanup", "warm", "rebuild"])

    def test_a_redis_that_refuses_writes_gets_room_first(self):
        setting = self.redis.config()[b"maxmemory"]
        self.addCleanup(self.redis.ask, "CONFIG", "SET", "maxmemory", setting)
        self.redis.ask("CONFIG", "SET", "maxmemory", int(self.redis.info("used_memory")) - 100_000)
        done = self.opsrun(*PLAY, "--yes")
        self.expect(done, code=0, out=["CONFIG SET maxmemory 536870912", "OK +cache hit rate"])
        self.assertEqual(self.redis.config()[b"maxmemory"], str(512 << 20).encode())

    def test_a_good_hit_rate_is_nothing_to_do_until_somebody_says_what_is_wrong(self):
        self.expect(self.opsrun(*PLAY, "--yes"), code=0, out=["nothing to do"])
        self.assertEqual((len(self.untrue()), self.posted()), (66, []))

    def test_only_the_typed_word_empties_a_wrong_cache_and_then_every_answer_is_true(self):
        done = self.opsrun(*PLAY, *WRONG, "--yes")
        self.expect(done, code=0, out=["Clear it", "declined"])
        self.assertEqual(len(self.untrue()), 5, "a rebuild knows no others")
        done = self.opsrun(*PLAY, *WRONG, "--yes", "--answer", "clear-it=clear all")
        self.expect(done, code=0, out=["changed +POST .*/api/cache/clear-all", "OK +cache hit rate"])
        self.assertEqual(self.untrue(), [])
        self.assertEqual(self.posted()[-2:], ["clear-all", "warm"])

    def test_wherever_it_is_killed_a_resume_ends_with_a_cache_that_answers(self):
        def cleaned():
            return len(self.unusable()) < 65
        for number, happened in ((1, None), (1, cleaned), (3, None), (3, lambda: not self.unusable())):
            with self.subTest(f"change {number}, {'made' if happened else 'not made'}"):
                self.lab.break_it(self.scenario, settle=0)
                run, killed = play_and_kill(self, (*PLAY, "--yes"), number, happened)
                self.assertTrue(killed)
                done = self.opsrun("resume", run, "--yes", "--stale-ok")
                self.expect(done, code=0, out=["OK +cache hit rate"])
                self.assertEqual(self.unusable(), [])

    def test_a_clear_of_wrong_data_in_doubt_is_asked_about_and_not_made_again(self):
        words = (*PLAY, *WRONG, "--yes", "--answer", "clear-it=clear all")
        run, _ = play_and_kill(self, words, 3, lambda: not self.untrue())
        done = self.opsrun("resume", run, "--yes", "--stale-ok")
        self.expect(done, code=7, text=["clear-it.outcome"])
        done = self.opsrun("resume", run, "--yes", "--stale-ok", "--answer", done.outcome_gate() + "=happened")
        self.expect(done, code=0, out=["OK +cache hit rate"])
        self.assertEqual((self.untrue(), self.posted().count("clear-all")), ([], 1))


if __name__ == "__main__":
    main()
