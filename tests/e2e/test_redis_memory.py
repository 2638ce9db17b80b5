"""Playbook redis-memory on a full Redis: dry, refused, live, taken back, killed in between."""

import json
import os
import random
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main  # noqa: E402
from killing import play_and_kill  # noqa: E402
import resp  # noqa: E402

PLAYBOOK = "incident/redis-memory.lua"
SOON = ("-p", "calm=200ms", "-p", "poll=50ms", "-p", "watch=5s")
WANTED = ("-p", "target=128mb", "-p", "prefixes=page:,exercises:", "-p", "drop=tmp:", "-p", "policy=allkeys-lru")
PLAY = ("play", PLAYBOOK, "-e", "lab", *SOON, *WANTED)
PROMPT = r"yes or no \[no\]: "
SEED = 31
MOMENTS = 8


class RedisTest(LabTest):
    """Every test finds the server full."""

    def setUp(self):
        super().setUp()
        self.lab.break_it("redis-memory", settle=0)
        self.redis = resp.Redis(self.lab.env["REDIS_URL"])
        self.addCleanup(self.redis.close)
        self.conf = os.path.join(self.lab.directory, "redis.conf")

    def fingerprint(self):
        """Each key's value and moment of expiry, all settings, the file they come from."""
        keys = self.redis.keys()
        dumps = self.redis.pipeline([("DUMP", key) for key in keys])
        ends = self.redis.pipeline([("PEXPIRETIME", key) for key in keys])
        with open(self.conf, encoding="utf-8") as file:
            return dict(zip(keys, zip(map(hash, dumps), ends))), self.redis.config(), file.read()

    def expect_untouched(self, before, done):
        """Nothing of it differs; only what differs is in the failure."""
        for name, was, now in zip(("keys", "settings", "file"), before, self.fingerprint()):
            if was != now:
                differing = [k for k in {**was, **now} if was.get(k) != now.get(k)][:5] if name != "file" else now
                self.fail(f"{name} differ: {differing}\n{done}")

    def ttls(self, match):
        keys = self.redis.keys(match)
        return dict(zip(keys, self.redis.pipeline([("TTL", key) for key in keys])))

    def setting(self, name):
        return self.redis.config()[name.encode()].decode()

    def calls(self):
        """Commands the server ran since the scenario began, by name."""
        return {line[8:].split(":")[0] for line in
                self.redis.ask("INFO", "commandstats").decode().splitlines() if line.startswith("cmdstat_")}


class Scenario(RedisTest):

    def test_writes_are_refused_until_it_is_mended_and_then_all_is_as_the_lab_began(self):
        with self.assertRaisesRegex(resp.Error, "OOM"):
            self.redis.ask("SET", "one", "more")
        self.assertEqual(self.setting("maxmemory"), str(64 << 20))
        self.assertGreater(sum(ttl == -1 for ttl in self.ttls("*").values()), 20000)
        with open(self.conf, encoding="utf-8") as file:
            before = file.read()
        self.redis.ask("CONFIG", "SET", "maxmemory", "80mb")
        self.redis.ask("CONFIG", "REWRITE")
        self.lab.mend()
        self.assertEqual(self.redis.keys(), [])
        self.assertEqual(self.setting("maxmemory"), str(64 << 20))
        with open(self.conf, encoding="utf-8") as file:
            self.assertEqual(file.read(), before)
        self.assertEqual(os.stat(self.conf).st_mode & 0o777, 0o600)


class Rehearsed(RedisTest):

    def test_a_dry_run_changes_nothing_and_shows_each_change(self):
        before = self.fingerprint()
        drop = len(self.redis.keys("tmp:*"))
        self.redis.ask("CONFIG", "RESETSTAT")
        done = self.opsrun(*PLAY, "-n")
        print(f"dry run: {done.seconds:.2f} s")
        sent = self.calls()
        self.expect(done, code=0, out=[
            "CRITICAL  memory used", "host memory free", "by prefix", r"tmp: +\d+", "report:2025",
            "WOULD ASK Mend cache like this", "WOULD ASK Raise maxmemory of cache from 64.0 MB to 128mb",
            "WOULD .*CONFIG SET maxmemory 134217728", "WOULD ASK Let 9000 keys of page:, exercises: expire after 1h",
            "WOULD EXPIRE 1h: 500 keys", r"EXPIRE (page|exercises):\S+ \d+ NX",
            f"WOULD ASK Remove {drop} keys of tmp:.*no way back", "WOULD UNLINK 500 keys",
            "WOULD ASK Change the policy of cache from noeviction to allkeys-lru",
            "WOULD .*CONFIG SET maxmemory-policy allkeys-lru", "WOULD .*CONFIG REWRITE", "UNDETERMINED"])
        self.assertEqual(len(re.findall("WOULD EXPIRE", done.out)), 18)
        shown = sum(int(n) for n in re.findall(r"WOULD UNLINK (\d+) key", done.out))
        self.assertEqual(shown, drop)
        self.expect_untouched(before, done)
        self.assertLessEqual({c for c in sent if not c.startswith("client")}, {
            "auth", "hello", "select", "scan", "ttl", "memory|usage", "dbsize", "info", "config|get",
            "command|info", "config|resetstat", "ping"}, "only looks were sent, and never KEYS")

    def test_the_survey_counts_what_there_is(self):
        done = self.opsrun(*PLAY, "-n")
        lasting = sum(ttl == -1 for ttl in self.ttls("*").values())
        total = self.redis.ask("DBSIZE")
        self.expect(done, out=[f"{total} of {total} keys looked at", f"{lasting} of {total} keys have no TTL",
                               r"exercises: +6000 +\d+ +[\d.]+ +6000", r"page: +4000 +\d+ +[\d.]+ +3000",
                               r"session: +2000 +\d+ +[\d.]+ +0", r"report:2025 +4\d{6} +-1"])

    def test_a_capped_survey_says_that_it_estimates_and_is_near(self):
        done = self.opsrun(*PLAY, "-n", "-p", "scan_cap=5000")
        self.expect(done, code=0, out=["5000 of [0-9]+ keys looked at: the sums are estimates"])
        estimated = int(re.search(r"exercises: +(\d+)", done.out)[1])
        self.assertTrue(4500 < estimated < 7500, f"{estimated} instead of 6000")


class Refused(RedisTest):

    def test_without_a_terminal_it_is_refused_and_nothing_is_touched(self):
        before = self.fingerprint()
        done = self.opsrun(*PLAY)
        self.expect(done, code=5, text=["--answer agree-on-the-remedy=yes"])
        self.expect_untouched(before, done)

    def test_no_on_a_terminal_leaves_all_as_it_was(self):
        before = self.fingerprint()
        terminal = self.terminal(*PLAY)
        terminal.wait_for("Mend cache like this")
        terminal.wait_for(PROMPT)
        terminal.send("n\n")
        done = terminal.finish()
        self.expect(done, code=5)
        self.expect_untouched(before, done)

    def test_each_change_has_a_gate_of_its_own(self):
        before = self.fingerprint()
        done = self.opsrun(*PLAY, "--answer", "agree-on-the-remedy=yes", "-p", "watch=200ms")
        self.expect(done, code=1, out=["declined"], text=["less than 80 % of the memory used"])
        self.expect_untouched(before, done)

    def test_keys_to_keep_are_never_named_away(self):
        before = self.fingerprint()
        for words in (("-p", "drop=session:"), ("-p", "drop=SESS"), ("-p", "drop=s"), ("-p", "prefixes=queue:mail")):
            done = self.opsrun("play", PLAYBOOK, "-e", "lab", "--yes", *SOON, "-p", "watch=100ms", *words)
            self.assertEqual(done.code, 1, done)
        self.expect(self.opsrun("play", PLAYBOOK, "-e", "lab", "--yes", *SOON, "-p", "drop=s"), code=1,
                    text=["prefix 's' reaches keys that are kept: 'session'"])
        self.assertEqual(len(self.redis.keys("session:*")), 2000)
        self.assertEqual(self.redis.ask("LLEN", "queue:mail"), 2000)
        self.assertEqual(self.fingerprint()[0].keys(), before[0].keys())

    def test_maxmemory_is_never_lowered(self):
        for target in ("32mb", "64mb"):
            done = self.opsrun("play", PLAYBOOK, "-e", "lab", "--yes", *SOON, "-p", f"target={target}",
                               "-p", "drop=tmp:")
            self.expect(done, out=[f"{target} is not above the present 64.0 MB"])
            self.assertEqual(self.setting("maxmemory"), str(64 << 20))
            self.lab.break_it("redis-memory", settle=0)

    def test_maxmemory_stays_within_the_hosts_memory(self):
        before = self.fingerprint()
        done = self.opsrun("play", PLAYBOOK, "-e", "lab", "--yes", *SOON, "-p", "target=128mb",
                           "-p", "host_free=100mb", "-p", "watch=100ms")
        self.expect(done, code=1, out=["of the host's memory would stay free, less than 20"])
        self.expect_untouched(before, done)


class Played(RedisTest):

    def test_live_it_is_mended_as_asked_and_a_second_play_has_nothing_to_do(self):
        kept = {key: value for key, value in self.fingerprint()[0].items()
                if key.startswith((b"session:", b"queue:", b"report:"))}
        earlier = {key: ttl for key, ttl in self.ttls("page:*").items() if ttl != -1}
        drop = len(self.redis.keys("tmp:*"))
        done = self.opsrun(*PLAY, "--yes")
        print(f"live: {done.seconds:.2f} s")
        self.expect(done, code=0, out=["9000 of 9000 keys got a TTL", f"{drop} of {drop} keys are gone",
                                       "OK +memory used", "stayed so"])
        self.assertEqual(self.redis.keys("tmp:*"), [])
        given = {**self.ttls("page:*"), **self.ttls("exercises:*")}
        self.assertEqual(len(given), 10000)
        self.assertEqual([k for k, ttl in given.items() if k in earlier and not 0 < ttl <= 600], [])
        fresh = [ttl for key, ttl in given.items() if key not in earlier]
        self.assertEqual((len(fresh), min(fresh) > 3500, max(fresh) <= 3960), (9000, True, True))
        self.assertGreater(len(set(fresh)), 200, "they do not all end at one moment")
        now = self.fingerprint()
        self.assertEqual({key: now[0].get(key) for key in kept}, kept)
        self.assertEqual(self.setting("maxmemory"), str(128 << 20))
        self.assertEqual(self.setting("maxmemory-policy"), "allkeys-lru")
        self.assertRegex(now[2], r"(?m)^maxmemory 128mb$")
        self.assertRegex(now[2], r"(?m)^maxmemory-policy allkeys-lru$")
        self.assertEqual(self.redis.ask("SET", "tmp:again", "x" * 10000), b"OK", "it takes writes again")
        again = self.opsrun(*PLAY, "--yes")
        self.expect(again, code=0, out=["nothing to do"])

    def test_the_former_state_is_in_the_run_before_it_is_changed(self):
        drop = {key.decode() for key in self.redis.keys("tmp:*")}
        self.expect(self.opsrun(*PLAY, "--yes"), code=0)
        place = os.path.join(self.home, "runs", self.run_ids()[-1], "artifacts")
        texts = {}
        for name in os.listdir(place):
            with open(os.path.join(place, name), encoding="utf-8") as file:
                texts[name] = file.read().splitlines()
        self.assertEqual({line.split(",")[0] for line in texts["keys-dropped.csv"][1:]}, drop)
        self.assertEqual(len(texts["keys-given-a-ttl.csv"]), 9001)
        self.assertIn("biggest-keys.csv", texts)
        self.assertIn("by-prefix.csv", texts)

    def test_what_did_not_help_is_taken_back(self):
        before = self.fingerprint()
        done = self.opsrun("play", PLAYBOOK, "-e", "lab", "--yes", *SOON, "-p", "target=128mb",
                           "-p", "prefixes=page:", "-p", "policy=volatile-ttl", "-p", "healthy=5",
                           "-p", "watch=200ms", "--undo-on-failure")
        self.expect(done, code=8, text=["take the TTL from the 3000 keys on cache that got it", "take back: maxmemory"])
        self.expect_untouched(before, done)

    def test_a_message_that_cannot_be_sent_takes_nothing_back(self):
        hook = self.lab.env["TEAM_HOOK"].replace("/hooks/", "/no-such-place/")
        done = self.opsrun(*PLAY, "--yes", "--undo-on-failure", "-p", "team=team", env={"TEAM_HOOK": hook})
        self.expect(done, code=1)
        self.assertEqual(self.setting("maxmemory"), str(128 << 20))
        self.assertEqual(self.redis.keys("tmp:*"), [])

    def test_a_key_that_got_a_ttl_since_it_was_listed_keeps_it(self):
        terminal = self.terminal("play", PLAYBOOK, "-e", "lab", *SOON, "-p", "target=128mb", "-p", "prefixes=page:")
        for question in ("Mend cache like this", "Raise maxmemory of cache", "Let 3000 keys of page: expire"):
            terminal.wait_for(question)
            terminal.wait_for(PROMPT)
            if question.startswith("Let"):
                self.redis.ask("EXPIRE", "page:1", 77)
            terminal.send("y\n")
        terminal.wait_for("2999 of 3000 keys got a TTL")
        self.assertLessEqual(self.redis.ask("TTL", "page:1"), 77)

    def test_signs_in_a_prefix_stand_for_themselves(self):
        self.redis.pipeline([("CONFIG", "SET", "maxmemory", "65mb"), ("SET", "od*d:1", "x"), ("SET", "od[d]:1", "x"),
                             ("SET", b"od*d:\xff\x00", "x"), ("SET", "odd:1", "x"), ("CONFIG", "SET", "maxmemory", "64mb")])
        done = self.opsrun("play", PLAYBOOK, "-e", "lab", "--yes", *SOON, "-p", "target=128mb", "-p", "drop=od*d:")
        self.expect(done, code=0, out=["2 of 2 keys are gone"])
        self.assertEqual(self.redis.keys("od*"), [b"od[d]:1", b"odd:1"])
        self.redis.ask("UNLINK", "od[d]:1", "odd:1")

    def test_a_person_may_make_the_settings_last(self):
        before = self.fingerprint()[2]
        done = self.opsrun(*PLAY, "--yes", "-p", "persist=manual")
        self.expect(done, code=0, out=["left open: Put maxmemory and policy of cache into the configuration management"])
        self.assertEqual(self.fingerprint()[2], before)


class KilledBetween(RedisTest):

    def changes(self, run):
        """(command words, whether it is recorded as done) of the changes in the journal of a run."""
        begun, done = {}, set()
        for record in self.journal(run):
            key = tuple(record.get(name) for name in ("step", "branch", "ordinal", "digest"))
            if record["type"] == "effect.begin" and record["kind"].startswith("redis."):
                begun[key] = record["body"]["commands"]
            elif record["type"] == "effect.end" and record["outcome"] == "done":
                done.add(key)
        return [(command, key in done) for key, commands in begun.items() for command in commands]

    def test_the_log_holds_every_change_the_server_saw(self):
        chance, stages = random.Random(SEED), {}
        for number in range(MOMENTS):
            if number > 0:
                self.lab.break_it("redis-memory", settle=0)
            before = self.fingerprint()
            run, _ = play_and_kill(self, (*PLAY, "--yes"), chance.randint(1, 56))
            now = self.fingerprint()
            differing = {key.decode() for key in before[0] if before[0][key] != now[0].get(key)}
            differing |= {name.decode() for name in before[1] if before[1][name] != now[1][name]}
            logged = self.changes(run)
            begun, recorded = set(), set()
            for words, done in logged:
                names = words[2:3] if words[:2] == ["CONFIG", "SET"] else words[1:2] if words[0] == "EXPIRE" \
                    else words[1:] if words[0] == "UNLINK" else []
                begun.update(names)
                recorded.update(names if done else ())
            self.assertEqual(differing - begun, set(), f"moment {number}: changed, and not in the journal")
            self.assertEqual(recorded - differing, set(), f"moment {number}: in the journal, and not on the server")
            stage = " ".join(logged[-1][0][:3] if logged[-1][0][0] == "CONFIG" else logged[-1][0][:1])
            stages[stage] = stages.get(stage, 0) + 1
        print(f"{MOMENTS} kills; the last change begun: {json.dumps(stages)}")
        self.assertLessEqual({"EXPIRE", "UNLINK"}, set(stages), "the moments reach into both kinds of batches")


if __name__ == "__main__":
    main()
