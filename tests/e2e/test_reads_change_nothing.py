"""Reads change nothing, and neither does a dry run: the fingerprint of all servers, files and listeners of a lab is
the same before and after every playbook's rehearsal and every kind of effect there is."""

import contextlib
import glob
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, LabTest, main, wait_until  # noqa: E402
sys.path.insert(0, os.path.join(ROOT, "tests", "fingerprint"))
import kinds  # noqa: E402
import processes  # noqa: E402
import touches  # noqa: E402
import trial  # noqa: E402
import world  # noqa: E402

BATCH = int(os.environ.get("OPSRUN_FINGERPRINT_BATCH", "250"))     # so many kinds between two fingerprints
SAMPLE = int(os.environ.get("OPSRUN_FINGERPRINT_SAMPLE", "9"))     # one in so many of the control's changes
SETUPS = {"probes": ("tests.sql.probes",), "reads": ("tests.sql.reads", "tests.sql.diagnostics")}

WELL = {"weekly/backup-verification.lua": ("-p", "workdir=/var/tmp")}
BROKEN = (       # scenario, playbook, parameters: what there is to be mended makes it go further
    ("db-exhaustion", "incident/db-exhaustion.lua", "-p", "idle=0s"),
    ("redis-memory", "incident/redis-memory.lua", "-p", "calm=200ms", "-p", "poll=50ms", "-p", "watch=5s", "-p", "target=128mb",
     "-p", "prefixes=page:,exercises:", "-p", "drop=tmp:", "-p", "policy=allkeys-lru"),
    ("disk-space", "incident/disk-space.lua", "-p", "target=10"),
    ("bad-release", "deploy/rollback.lua", "-p", "target=v3", "-p", "watch=300ms", "-p", "poll=100ms", "-p", "recover=2s"),
    ("app-down", "incident/service-outage.lua", "-p", "calm=300ms", "-p", "poll=100ms"),
    ("deadlocks", "incident/deadlocks.lua", "-p", "wait=300ms", "-p", "grace=1s", "-p", "poll=50ms", "-p", "watch=300ms"),
    ("high-db-cpu", "incident/high-db-cpu.lua", "-p", "long=300ms", "-p", "cpu=1", "-p", "over=300ms", "-p", "poll=50ms"),
    ("queue-depth", "incident/queue-depth.lua", "-p", "idempotent=transcode", "-p", "sample=200ms", "-p", "poll=50ms"),
    ("error-rate", "incident/error-rate.lua", "-p", "sample=10m", "-p", "least=4", "-p", "calm=300ms", "-p", "poll=100ms"),
    ("memory-leak", "incident/high-memory.lua", "-p", "growth_mb=0.1", "-p", "interval=100ms", "-p", "watch=300ms", "-p", "warm=0s",
     "-p", "warn=0", "-p", "crit=0"),
    ("slow-queries", "tuning/indexes.lua", "-p", "create=i ON exercises (type)", "-p", "drop=invalid", "-p", "rebuild=exercises_text"),
    ("slow-queries", "tuning/slow-queries.lua", "-p", "log=yes", "-p", "log_for=100ms", "-p", "explain=SELECT 1 FROM exercises"),
    ("pool-exhausted", "scale/connection-pool.lua", "-p", "set=yes", "-p", "watch=200ms", "-p", "sample=100ms", "-p", "calm=200ms"),
    ("high-cpu", "incident/high-cpu.lua", "-p", "over=200ms", "-p", "act=0", "-p", "host=web1", "-p", "service=nightly"),
    ("data-lost", "recovery/restore-database.lua", "-p", "tables=orders,users", "-p", "settle=10ms"),
)
BEHIND = ("incident/replication-lag.lua", "-p", "warn=1s", "-p", "crit=1m", "-p", "over=200ms", "-p", "poll=50ms")
AT_WORK = ("disk-writer", "replication", "producer", "visitors")         # processes of scenarios that change the world themselves
ENDED = ("worker-1",)        # of these, whose sessions would count up to ten seconds later what they did before they were held
REPLICA = ("SELECT pid, backend_start, query_start, state, pg_conf_load_time(), pg_last_wal_replay_lsn(), pg_is_wal_replay_paused()"
           " FROM pg_stat_activity WHERE application_name = 'reports'")
GOES_ON = {"deadlocks": r"WOULD cancel", "high-db-cpu": r"WOULD cancel 3 statements",
           "data-lost": r"WOULD put app_restore_", "disk-space": r"WOULD ASK", "high-cpu": r"WOULD stop nightly", "slow-queries": r"WOULD exec primary: (ALTER DATABASE|CREATE INDEX)", "memory-leak": r"WOULD restart app", "pool-exhausted": r"WOULD set DB_POOL_MAX=", "queue-depth": r"WOULD POST .*/queues/retry",
           "app-down": r"WOULD start app", "bad-release": r"WOULD release v3",
           "error-rate": r"WOULD set kill_switch"}      # it went so far that a change was planned
ORDER = ("read", "answered", "refused", "dry", "planned")           # reads first: they see the world before any planned change
ENDS = {"read": ("done",), "answered": ("done", "failed", "undetermined"), "refused": ("refused",),
        "dry": ("done", "failed", "undetermined", "planned"), "planned": ("planned", "failed", "undetermined", "refused")}


class WorldTest(LabTest):
    """A lab, victims in it, and their fingerprint."""

    maxDiff = None
    scenario = None      # it is there before the victims are

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if cls.scenario:
            cls.lab.break_it(cls.scenario, settle=0)
        else:
            cls.prepare()
        cls.world = world.World(cls.lab)
        cls.addClassCleanup(cls.world.close)
        cls.rehearsed = 0

    @classmethod
    def prepare(cls):
        """Backups, and databases full of what claims to be read."""
        cls.lab.call("backup")
        for database, modules in SETUPS.items():
            cls.lab.ask(f"CREATE DATABASE {database}")
            session = world.pq.Session(f"{cls.lab.env['DATABASE_URL'].rsplit('/', 1)[0]}/{database}?sslmode=disable")
            session.query("SET client_min_messages = warning")
            session.query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            for module in modules:
                for text in kinds.lua_list(f'require("{module}").setup'):
                    session.query(text)
            session.close()

    def expect_same(self, before, after, what):
        differing = self.world.differences(before, after)
        if differing:
            lines = [f"{place}\n  was {was}\n  is  {now}" for place, (was, now) in sorted(differing.items())[:20]]
            self.fail(f"{len(differing)} differences over {what}\n" + "\n".join(lines))

    def is_quiet(self):
        """What visitors had asked for is over, and the sessions it took are closed."""
        def look():
            return self.lab.ask("SELECT pid, state FROM pg_stat_activity WHERE application_name = 'api' ORDER BY pid")
        before = look()
        time.sleep(0.5)
        return before == look() and all(state != "active" for _, state in before)

    @contextlib.contextmanager
    def held_still(self):
        """What a scenario keeps at work changes the world: it is held still meanwhile."""
        of_lab = processes.Processes(self.lab.directory)
        at_work = [pid for pid in map(of_lab.pid, AT_WORK) if pid]
        for name in ENDED:
            of_lab.stop(name)
        try:
            time.sleep(1)      # long enough for the playbooks' `wait`, `long` and `warn`
            for pid in at_work:
                os.kill(pid, signal.SIGSTOP)
            if of_lab.pid("visitors"):
                wait_until(self.is_quiet, within=20)
            yield
        finally:
            for pid in at_work:
                os.kill(pid, signal.SIGCONT)

    def rehearse(self, playbook, *words, expected=None):
        """Plays it dry, with the parameters the lab's environment gives it, between self.before and the next look."""
        done = self.opsrun("play", playbook, "-e", "lab", "-n", "--no-input", *words)
        self.expect(done, out=[expected] if expected else [])
        if done.code not in (0, 1):
            self.fail(f"the rehearsal did not come to its end: give it its parameters in environments/lab.lua\n{done}")
        before, self.before = self.before, self.world.look()
        self.expect_same(before, self.before, f"the rehearsal of {playbook}")
        self.rehearsed += 1


class Fingerprint(WorldTest):
    """One lab for all; the last test, by its name, is the one that harms the victims."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kinds = kinds.all_kinds(cls.world.playground)

    def setUp(self):
        super().setUp()
        self.trial = trial.Trial(self.world, self.opsrun, self.newest)
        self.addCleanup(shutil.rmtree, self.trial.room, ignore_errors=True)

    def newest(self):
        runs = os.path.join(self.home, "runs")
        return self.journal(max(self.run_ids(), key=lambda name: os.stat(os.path.join(runs, name)).st_mtime_ns))

    def play_all(self, some, check, *words):
        """Plays them in batches, each between two fingerprints; a batch that differs is played one by one."""
        before = self.world.look()
        for start in range(0, len(some), BATCH):
            batch = some[start:start + BATCH]
            for name, ended in self.trial.play(batch, *words).items():
                check(next(k for k in batch if k.name == name), ended)
            after = self.world.look()
            if self.world.differences(before, after) and len(batch) > 1:
                before = after
                for kind in batch:
                    self.trial.play([kind], *words)
                    after = self.world.look()
                    self.expect_same(before, after, f"'{kind.name}' {words}")
                    before = after
                self.fail(f"there are differences over {len(batch)} effects together, and none over each alone")
            self.expect_same(before, after, f"'{batch[0].name}' {words}")
            before = after

    def test_every_effect_of_the_table_is_among_the_kinds(self):
        played = " ".join(kind.name for kind in self.kinds)
        self.assertEqual([row for row in kinds.rows() if row not in played], [],
                         "add a sample to tests/fingerprint/kinds.py")

    def judge(self, kind, ended):
        """Notes how a step ended, and what is wrong with that."""
        self.ended[ended["state"]] = self.ended.get(ended["state"], 0) + 1
        if ended["state"] not in ENDS[kind.ends]:
            self.wrong.append(f"{kind.name}: {ended['state']} {(ended.get('error') or {}).get('message')}")
        if "ESCAPED" in str(ended.get("value")):
            self.wrong.append(f"{kind.name}: {ended['value']}")
        if kind.name.startswith("shell.read ") and kind.name.removeprefix("shell.read ") in kinds.COMMANDS:
            self.answers[kind.name.removeprefix("shell.read ")] = ended.get("value")

    def expect_all(self, some, *words):
        self.ended, self.wrong, self.answers = {}, [], {}
        self.play_all(some, self.judge, *words)
        self.assertEqual(self.wrong, [])

    def test_no_kind_of_effect_changes_anything_in_a_dry_run(self):
        some = sorted(self.kinds, key=lambda kind: ORDER.index(kind.ends))
        self.expect_all(some, "-n")
        print(f"dry run: {len(some)} kinds of effects, 0 differences {self.ended}")
        self.assertGreaterEqual(len(some), 300)
        self.assertGreater(self.ended["planned"], 600, "most changes are shown; the rest no server would take")

    def test_no_read_changes_anything_live_and_the_jail_answers_as_the_host_does(self):
        some = [kind for kind in self.kinds if kind.ends in ("read", "answered", "refused")
                and not kind.name.startswith(("confirm", "ask", "manual"))]
        proof = next(kind for kind in some if kind.name.startswith("shell.read "))
        self.assertEqual(self.trial.play([proof], "-n")[proof.name]["state"], "done", "no jail here: its attempts are not let loose")
        self.expect_all(some)
        escapes = sum("shell.read tries to " in kind.name for kind in some)
        print(f"live: {len(some)} reads and refused reads, {escapes} of them attempts to escape, 0 differences")
        ground = self.world.playground
        for script in kinds.COMMANDS:
            outside = subprocess.run(["bash", "-c", f"V={ground.process.pid} D={ground.top}; {script}"], env=self.environ(),
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False).stdout
            self.assertEqual(self.answers[script], outside, script)
        print(f"{len(self.answers)} commands of the catalogue answer in the jail as outside")

    def test_rehearsals_of_all_playbooks_change_nothing(self):
        playbooks = sorted(os.path.relpath(path, os.path.join(ROOT, "playbooks"))
                           for path in glob.glob(os.path.join(ROOT, "playbooks", "**", "*.lua"), recursive=True))
        self.assertGreaterEqual(len(playbooks), 4)
        self.before = self.world.look()
        for playbook in playbooks:
            with self.subTest(playbook):
                self.rehearse(playbook, *WELL.get(playbook, ()))
        for scenario, playbook, *words in BROKEN:
            with self.subTest(scenario):
                self.lab.break_it(scenario, settle=0)
                self.addCleanup(self.lab.mend)
                with self.held_still():
                    self.before = self.world.look()
                    self.rehearse(playbook, *words, expected=GOES_ON.get(scenario))
        print(f"{self.rehearsed} rehearsals of {len(playbooks)} playbooks, 0 differences")


class Control(WorldTest):
    """A lab of its own: what mends a broken one may end its victims."""

    def test_the_fingerprint_is_not_blind(self):
        unseen, some = [], touches.all_touches(self.lab.env, self.world.playground)[::SAMPLE]
        before = self.world.look()
        for name, touch in some:
            touch()
            after = self.world.look()
            if not self.world.differences(before, after):
                unseen.append(name)
            before = after
        self.assertEqual(unseen, [])
        print(f"{len(some)} small changes, each seen")


class WithAReplica(WorldTest):
    """Victims keep old rows alive, and then nothing holds a replay up: this scenario is there before they are."""

    scenario = "replication-lag"

    def on_replica(self, text):
        url = next(line for line in self.lab.call("env").splitlines() if line.startswith("export REPLICA_URL="))
        self.lab.env["REPLICA_URL"] = url.split("=", 1)[1].strip("'")      # its port is a new one each time
        session = world.pq.Session(self.lab.env["REPLICA_URL"] + "?application_name=lab-observer&sslmode=disable")
        try:
            return session.query(text)
        finally:
            session.close()

    def test_a_rehearsal_changes_neither_the_primary_nor_the_replica_that_hangs(self):
        with self.held_still():
            self.assertTrue(wait_until(lambda: self.on_replica("SELECT pg_last_wal_receive_lsn()") == self.lab.ask(
                "SELECT pg_current_wal_flush_lsn()")), "what was written before arrives")
            there = self.on_replica(REPLICA)
            self.before = self.world.look()
            self.rehearse(*BEHIND, expected="WOULD cancel 1 statement")
            self.assertEqual(self.on_replica(REPLICA), there)
        print("1 rehearsal with a replica that hangs, 0 differences at either end")


if __name__ == "__main__":
    main()
