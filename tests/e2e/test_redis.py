"""redis "name" against real servers of the lab: reads proved, changes shown or made, errors told, TLS."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, LabTest, main  # noqa: E402


class Server:
    """A look at a server from aside: its own small client."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), 10)
        self.file = self.socket.makefile("rb")
        self.ask("AUTH", *([parts.username] if parts.username else []), parts.password)

    def ask(self, *words):
        data = b"*%d\r\n" % len(words)
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            data += b"$%d\r\n%s\r\n" % (len(word), word)
        self.socket.sendall(data)
        return self.read()

    def read(self):
        line = self.file.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest.decode()
        if rest == b"-1":
            return None
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2]
        return [self.read() for _ in range(int(rest))]

    def calls(self):
        """{command: how often} since CONFIG RESETSTAT, as the server counted."""
        text = self.ask("INFO", "commandstats").decode()
        return {line.split(":")[0].removeprefix("cmdstat_"): int(line.split("calls=")[1].split(",")[0])
                for line in text.splitlines() if line.startswith("cmdstat_")}

    def fill(self, count):
        self.ask("DEBUG", "POPULATE", count, "key", 8)

    def fingerprint(self):
        """Every key's DUMP and whether it expires, and every setting."""
        keys = sorted(self.ask("KEYS", "*"))
        settings = self.ask("CONFIG", "GET", "*")
        return [(key, self.ask("DUMP", key), self.ask("PEXPIRETIME", key)) for key in keys], settings

    def close(self):
        self.file.close()
        self.socket.close()


class RedisTest(LabTest):

    def setUp(self):
        super().setUp()
        self.room = tempfile.mkdtemp(prefix="opsrun-redis-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        self.server = Server(self.lab.env["REDIS_URL"])
        self.addCleanup(self.server.close)
        self.server.ask("FLUSHALL")

    def write(self, text, name="trial.lua"):
        path = os.path.join(self.room, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def step(self, body, *words, environment=None, env=None):
        """One step with this body; `cache` and `secure` are the lab's servers, or `cache` another one."""
        path = self.write('playbook { title = "Redis" }\n'
                          f'step("Try it", function()\nlocal cache = redis "cache"\n{body}\nend)\n')
        where = ("-e", "lab")
        if environment is not None:
            self.write(f"return {{ redis = {{ cache = {environment} }} }}", "environments/other.lua")
            where = ("--config", self.room, "-e", "other")
        return self.opsrun("play", path, *where, *words, env=env)

    def other(self, url, **fields):
        more = "".join(f', {name} = "{value}"' for name, value in fields.items())
        return f'{{ url = "{url}"{more} }}'


class Reads(RedisTest):

    def test_any_command_is_a_method(self):
        self.server.ask("SET", "a", "b c")
        self.server.ask("HSET", "h", "f", "1", "g", "2")
        self.server.ask("RPUSH", "l", "x", "y")
        done = self.step("""
            note("%s %s %d", cache:get("a"), tostring(cache:get("none")), cache:strlen("a"))
            note("%s", cache:hgetall("h").g)
            note("%s", table.concat(cache:lrange("l", 0, -1), "+"))
            local found = cache:mget("a", "none")
            note("%s %s %d", found[1], tostring(found[2]), #found)
            note("%s", cache:call("CONFIG", "GET", "maxmemory").maxmemory)
            note("%s", cache:config_get("requirepass").requirepass)
            note("%d %s", cache:info("memory").maxmemory, cache:info().redis_version)
            note("%d", cache:info("keyspace").db0.keys)""")
        self.expect(done, code=0, out=["b c nil 3", r"\b2\b", r"x\+y", "b c false 2", "67108864",
                                       "‹secret›", r"67108864 7\.", r"\b3\b"])

    def test_integers_have_64_bits_and_bytes_are_bytes(self):
        self.server.ask("SET", "n", "9223372036854775806")
        self.server.ask("SET", "b", b"a\0\xff\r\n")
        done = self.step("""
            note("%d %s", cache:incr("n").reply, math.type(cache:incrby("n", 0).count))
            local b = cache:get("b")
            note("%d %d %d", #b, b:byte(2), b:byte(3))""")
        self.expect(done, code=0, out=["9223372036854775807 integer", "5 0 255"])

    def test_reads_send_nothing_but_reads_and_change_nothing(self):
        self.server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.server.fill(500)
        self.server.ask("PFADD", "hll", "a", "b")
        before = self.server.fingerprint()
        self.server.ask("CONFIG", "RESETSTAT")
        done = self.step("""
            for _, name in ipairs { "get", "ttl", "type", "strlen", "exists", "dump" } do
              cache:call(name, "key:1")
            end
            cache:info() cache:ping() cache:dbsize() cache:role() cache:time() cache:lastsave()
            cache:client("list") cache:slowlog("get", 5) cache:memory("stats") cache:latency("latest")
            cache:memory("usage", "key:1") cache:object("encoding", "key:1") cache:config("get", "*")
            cache:command("count") cache:randomkey() cache:pubsub("channels") cache:acl("whoami")
            local n = 0
            for key, ttl, bytes, kind in cache:scan { with = { "ttl", "memory usage", "type" } } do
              n = n + (ttl == -1 and bytes > 0 and kind == "string" and 1 or 0)
            end
            note("%d keys", n)
            cache:pipeline { { "get", "key:1" }, { "ttl", "key:2" } }""")
        self.expect(done, code=0, out=["501 keys"])
        ours = {"auth", "client|setname", "command|info"}
        for name in self.server.calls():
            if name not in ours | {"info", "config|resetstat"}:
                flags = self.server.ask("COMMAND", "INFO", name)[0][2]
                self.assertNotIn("write", flags, name)
        self.assertEqual(self.server.fingerprint(), before)

    def test_the_connection_is_named_after_the_run(self):
        done = self.step('note("%s", cache:client("getname"))')
        self.expect(done, code=0, out=["opsrun-" + self.run_ids()[0]])

    def test_the_shipped_table_is_the_one_of_this_server(self):
        port = str(urllib.parse.urlsplit(self.lab.env["REDIS_URL"]).port)
        password = urllib.parse.urlsplit(self.lab.env["REDIS_URL"]).password
        done = subprocess.run(["lua5.4", "tools/redis_commands.lua", port, "--check"], cwd=ROOT, check=False,
                              env={**os.environ, "REDISCLI_AUTH": password}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_command_of_the_server_in_a_dry_run_sends_nothing_that_is_no_read(self):
        """Each leaf command with enough arguments: shown, read or refused; the server's counts and keys tell."""
        leaves = []
        for entry in self.server.ask("COMMAND"):
            subs = entry[9] or []
            leaves += [(sub[0].decode(), sub[1]) for sub in subs] or [(entry[0].decode(), entry[1])]
        self.assertGreater(len(leaves), 340)
        body = []
        for name, arity in leaves:
            words = name.split("|")
            words += ["1"] * (abs(arity) - len(words))
            text = ", ".join(f'"{word}"' for word in words)
            body.append(f"{{ {text} }}")
        self.server.fill(20)
        before = self.server.fingerprint()
        self.server.ask("CONFIG", "RESETSTAT")
        skipped = ", ".join(f"{name} = true" for name in REFUSED)
        path = self.write('playbook { title = "Redis" }\nlocal skipped = { %s }\nlocal all = { %s }\n' % (
            skipped, ",\n".join(body)) + """
            step("First", function() redis "cache":set("1", "1") end)
            for i, words in ipairs(all) do
              if not skipped[words[1]] then
                step("Command " .. i, function() redis "cache":call(words[1], { table.unpack(words, 2) }) end)
              end
            end""")
        done = self.opsrun("play", path, "-e", "lab", "-n")
        self.expect(done, code=0, out=["WOULD call cache: SET 1 1", "WOULD call cache: SHUTDOWN",
                                       "WOULD call cache: EVAL_RO", "WOULD call cache: FLUSHALL"])
        for name in self.server.calls():
            if name not in {"auth", "client|setname", "config|resetstat"}:
                entry = self.server.ask("COMMAND", "INFO", name)[0]
                self.assertNotIn("write", entry[2], name)
                self.assertTrue("readonly" in entry[2] or name in LOOKS, name)
        self.assertEqual(self.server.fingerprint(), before)

    def test_a_server_that_renames_a_command_is_believed(self):
        room = os.path.join(self.room, "renamed")
        os.mkdir(room)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", room,
                                    "--save", "", "--rename-command", "FLUSHALL", "TTL2",
                                    "--rename-command", "STRLEN", "", "--rename-command", "GET", "OLDGET",
                                    "--rename-command", "SET", "GET"], stdout=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        for _ in range(200):
            with socket.socket() as probe:
                probe.settimeout(0.05)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        done = self.step('cache:get("k", "v")', environment=self.other(f"redis://127.0.0.1:{port}"))
        self.expect(done, code=5, text=["'GET' is not proved to be a read", "server"])
        done = self.step('cache:strlen("k")', environment=self.other(f"redis://127.0.0.1:{port}"))
        self.expect(done, code=5, text=["STRLEN", "does not know it", "trusted_commands"])


REFUSED = """subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe monitor sync psync replconf blpop brpop
brpoplpush blmove blmpop bzpopmin bzpopmax bzmpop wait auth hello quit reset select multi exec discard watch unwatch
asking readonly readwrite client script""".split()
LOOKS = """acl|cat acl|whoami client|list client|id cluster|info cluster|keyslot cluster|myid cluster|nodes cluster|shards
cluster|slots cluster|countkeysinslot command command|count command|docs command|getkeys command|info command|list
config|get echo info lastsave latency|doctor latency|histogram latency|history latency|latest memory|doctor
memory|malloc-stats memory|stats module|list ping pubsub|channels pubsub|numpat pubsub|numsub pubsub|shardchannels
pubsub|shardnumsub role slowlog|get slowlog|len time""".split()


class Changes(RedisTest):

    def test_a_change_is_made_and_returns_a_table(self):
        self.server.fill(10)
        done = self.step("""
            local done = cache:unlink({ "key:1", "key:2" }, "key:3", { costs = { keys = 3 } })
            note("gone %d", done.count)
            note("%s", cache:set("t", "1", "EX", "100").reply)""")
        self.expect(done, code=0, out=["gone 3", "OK", r"changed  call cache: UNLINK key:1 key:2 key:3 \(3 keys\)"])
        self.assertEqual(self.server.ask("DBSIZE"), 8)

    def test_a_dry_run_shows_the_exact_command_and_changes_nothing(self):
        self.server.fill(300)
        before = self.server.fingerprint()
        done = self.step("""
            local keys = {}
            for key in cache:scan { match = "key:*" } do keys[#keys + 1] = key end
            local done = cache:unlink(keys, { on_dry = { count = #keys } })
            note("would be %d", done.count)
            cache:call("CONFIG", "SET", "maxmemory", "128mb")
            cache:pipeline { { "DEL", "a", "b" }, { "EXPIRE", "c", 5 } }
            cache:eval("return 1", 0)
            cache:flushall()""", "-n")
        self.expect(done, code=0, out=[r"WOULD call cache: UNLINK .*\(300 keys\)", "would be 300", "more words",
                                       "WOULD call cache: CONFIG SET maxmemory 128mb", "EXPIRE c 5",
                                       "2 commands, 3 keys: DEL a b; …", "WOULD call cache: EVAL",
                                       "WOULD call cache: FLUSHALL"])
        self.assertEqual(self.server.fingerprint(), before)

    def test_a_budget_of_keys_holds(self):
        self.server.fill(10)
        path = self.write('playbook { title = "Redis", limits = { keys = 2 } }\nstep("Try it", function()\n'
                          'redis "cache":del("key:1", "key:2", "key:3", { costs = { keys = 3 } })\nend)\n')
        self.expect(self.opsrun("play", path, "-e", "lab"), code=5, text=["over budget", "3 of at most 2 keys"])
        self.assertEqual(self.server.ask("DBSIZE"), 10)

    def test_the_journal_has_the_begin_before_the_change_and_the_reply_after(self):
        self.step('cache:set("a", "1") cache:get("a")')
        records = [r for r in self.journal(self.run_ids()[0]) if r["type"].startswith("effect")]
        self.assertEqual([r["type"] for r in records], ["effect.begin", "effect.end", "effect.end"])
        self.assertEqual(records[1]["value"], {"value": {"reply": "OK"}})
        self.assertEqual(records[2]["value"], {"value": "1"})

    def test_a_change_inside_a_poll_is_refused(self):
        done = self.step('wait_until("it is", { every = "1s", within = "5s" }, function() return cache:incr("n") end)')
        self.expect(done, code=1, text=["only reads are allowed"])
        self.assertIsNone(self.server.ask("GET", "n"))

    def test_commands_that_wait_or_listen_are_refused(self):
        for call in ('blpop("a", 0)', 'subscribe("x")', "monitor()", "multi()", "select(2)", 'xread("BLOCK", 0, "STREAMS", "a", "0")'):
            self.expect(self.step(f"cache:{call}", "-n"), code=5, text=["is not sent"])


class Failures(RedisTest):

    def test_errors_of_the_server_have_their_code_and_a_hint(self):
        self.server.ask("RPUSH", "l", "x")
        done = self.step('local _, why, code = try(function() cache:get("l") end) note("%s | %s", code, why)')
        self.expect(done, code=0, out=[r"WRONGTYPE \| 'cache': GET l: WRONGTYPE Operation"])
        done = self.step('cache:incr("l")')
        self.expect(done, code=1, text=["WRONGTYPE", r"trial\.lua:4", "another type"])
        done = self.step('cache:call("NOSUCH", "x")')
        self.expect(done, code=1, text=["unknown command", "NOSUCH"])

    def test_a_full_server_refuses_writes_and_says_what_to_do(self):
        self.server.ask("CONFIG", "SET", "maxmemory", "1")
        self.addCleanup(self.server.ask, "CONFIG", "SET", "maxmemory", "64mb")
        done = self.step('cache:set("a", "1")')
        self.expect(done, code=1, text=["OOM", "maxmemory"])

    def test_a_replica_refuses_writes_and_says_what_to_do(self):
        self.server.ask("REPLICAOF", "127.0.0.1", "1")
        self.addCleanup(self.server.ask, "REPLICAOF", "NO", "ONE")
        self.expect(self.step('cache:set("a", "1")'), code=1, text=["READONLY", "replica"])

    def test_a_pipeline_in_which_one_fails_says_how_many_were_done(self):
        self.server.ask("RPUSH", "l", "x")
        done = self.step('cache:pipeline { { "INCR", "a" }, { "INCR", "l" }, { "INCR", "b" } }')
        self.expect(done, code=1, text=["command 2 of 3, INCR l", r"2 commands done, 1 failed"])
        self.assertEqual(self.server.ask("MGET", "a", "b"), [b"1", b"1"])

    def test_a_user_who_may_not_is_told_so(self):
        self.server.ask("ACL", "SETUSER", "looker", "on", ">look-and-see", "~*", "+@read", "+command")
        self.addCleanup(self.server.ask, "ACL", "DELUSER", "looker")
        url = self.lab.env["REDIS_URL"].split("@")[1]
        self.server.ask("SET", "a", "1")
        environment = self.other(f"redis://{url}", user="looker", password="look-and-see")
        self.expect(self.step('note("got %s", cache:get("a"))', environment=environment), code=0, out=["got 1"])
        self.expect(self.step('cache:set("a", "2")', environment=environment), code=1, text=["NOPERM"])
        environment = self.other(f"redis://looker:look-and-see@{url}")
        self.expect(self.step('note("got %s", cache:get("a"))', environment=environment), code=0, out=["got 1"])

    def test_wrong_and_missing_passwords(self):
        url = self.lab.env["REDIS_URL"].split("@")[1]
        done = self.step('cache:ping()', environment=self.other(f"redis://:wrong-password-here@{url}"))
        self.expect(done, code=1, text=["cannot connect to 'cache'", "WRONGPASS", "check user and password"],
                    absent=["wrong-password-here"])
        done = self.step('cache:set("a", "1")', environment=self.other(f"redis://{url}"))
        self.expect(done, code=1, text=["NOAUTH", "wants a password"])

    def test_a_server_that_is_down_and_a_name_that_is_none(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        done = self.step('cache:ping()', environment=self.other(f"redis://127.0.0.1:{port}"))
        self.expect(done, code=1, text=[rf"cannot connect to 'cache' \(127\.0\.0\.1:{port}\)", "connection refused",
                                        "opsrun doctor -e other"])
        done = self.step('cache:ping()', environment=self.other("redis://no-such-host.invalid"))
        self.expect(done, code=1, text=["no-such-host.invalid", "is not known"])
        done = self.step('cache:ping()', environment=self.other("http://127.0.0.1"))
        self.expect(done, code=1, text=["redis://", "rediss://"])

    def test_a_connection_that_the_server_closed_is_made_anew(self):
        done = self.step("""
            cache:set("a", "1")
            redis "cache":client("kill", "type", "normal", "skipme", "no")
            note("got %s", cache:get("a"))
            note("now %d", cache:incr("a").count)""")
        self.expect(done, code=0, out=["got 1", "now 2"])

    def test_the_time_out_holds_and_a_change_is_then_unknown(self):
        self.server.ask("SET", "a", "1")
        done = self.step('cache:call("DEBUG", "SLEEP", "6", { timeout = "200ms" })')
        self.expect(done, code=7, text=["no answer within 0.2 s"])
        self.assertLess(done.seconds, 5)

    def test_an_unknown_connection_names_the_nearest(self):
        path = self.write('playbook { title = "Redis" }\nstep("Try it", function() redis "cach":ping() end)\n')
        self.expect(self.opsrun("play", path, "-e", "lab"), code=4, text=["cach", "cache"])

    def test_misuse_is_told_at_the_authors_line(self):
        for body, text in (('cache:get(true)', "got boolean"), ('cache:call()', "expected string"),
                           ('cache:get("a", { timout = "1s" })', "timeout"), ('cache:scan { mtch = "x" }', "match"),
                           ('cache:pipeline { "GET" }', "expected a list"), ('for _ in cache:scan { with = "del" } do end', "no read")):
            self.expect(self.step(body), text=[text, r"trial\.lua:4"], absent=["bug"])


class Peers(RedisTest):
    """Against a peer that breaks off, lies or floods (tests/redis/server.py)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        peer = subprocess.Popen([sys.executable, "-B", "-W", "ignore", os.path.join(ROOT, "tests", "redis", "server.py")],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(lambda: (peer.stdin.close(), peer.wait(), peer.stdout.close()))
        cls.facts = {}
        for line in peer.stdout:
            if line.strip() == "ready":
                break
            name, value = line.split(None, 1)
            cls.facts[name] = value.strip()

    def peer(self, scenario):
        return (f'{{ url = "redis://{scenario}:x@127.0.0.1:{self.facts["plain"]}", timeout = "2s",'
                ' trusted_commands = { "get" } }')

    def test_a_change_whose_answer_is_lost_is_unknown_and_never_sent_again(self):
        done = self.step('cache:incr("lost-key")', environment=self.peer("hang_up"))
        self.expect(done, code=7, text=["INCR lost-key", "connection was lost"])
        seen = Server(f"redis://ok:x@127.0.0.1:{self.facts['plain']}")
        self.addCleanup(seen.close)
        self.assertEqual(seen.ask("_SEEN").count(b"INCR lost-key"), 1)

    def test_a_connection_lost_in_the_middle_of_a_pipeline(self):
        done = self.step("""cache:pipeline { { "INCR", "a" }, { "INCR", "b" }, { "INCR", "c" }, { "INCR", "d" } }""",
                         environment=self.peer("half"))
        self.expect(done, code=7, text=["after 2 of 4 answers"])

    def test_a_read_that_is_lost_fails(self):
        self.expect(self.step('cache:get("a")', environment=self.peer("hang_up")), code=1, text=["GET a", "lost"])

    def test_hostile_answers_are_told_and_cost_little(self):
        for scenario, text in (("long_text", "larger than 16 MiB"), ("deep", "too deeply nested"),
                               ("many", "too many elements"), ("not_redis", "no Redis reply"),
                               ("long_line", "too long a line"), ("silent", "no answer within 2 s")):
            done = self.step('cache:get("a")', environment=self.peer(scenario))
            self.expect(done, code=1, text=[text], absent=["bug"])
            self.assertLess(done.seconds, 10)

    def test_no_word_of_a_playbook_becomes_a_command(self):
        done = self.step("""
            local back = cache:get("a\\r\\n*1\\r\\n$8\\r\\nFLUSHALL\\r\\n")
            note("%d words", #back)""", environment=self.peer("echo"))
        self.expect(done, code=0, out=["2 words"])


class Tls(RedisTest):

    def test_rediss_with_the_labs_authority(self):
        url, ca = self.lab.env["REDISS_URL"], self.lab.env["APP_CA"]
        done = self.step('cache:set("over", "tls") note("%s", cache:get("over"))', environment=self.other(url, ca=ca))
        self.expect(done, code=0, out=["tls"])

    def test_a_server_that_is_not_trusted_gets_no_password(self):
        url = self.lab.env["REDISS_URL"]
        self.expect(self.step('cache:ping()', environment=self.other(url)), code=1,
                    text=["certificate is not trusted", 'ca = "'])
        other = url.replace("localhost", "127.0.0.2")
        done = self.step('cache:ping()', environment=self.other(other, ca=self.lab.env["APP_CA"]))
        self.expect(done, code=1, text=["cannot connect"])

    def test_plain_and_tls_are_not_mixed_up(self):
        plain, ca = self.lab.env["REDIS_URL"], self.lab.env["APP_CA"]
        mixed = plain.replace("redis://", "rediss://")
        self.expect(self.step('cache:ping()', environment=self.other(mixed, ca=ca)), code=1, text=["cannot connect"])
        mixed = self.lab.env["REDISS_URL"].replace("rediss://", "redis://")
        self.expect(self.step('cache:ping()', environment=self.other(mixed)), code=1, text=["cannot connect"])

    def test_doctor_tries_redis(self):
        self.expect(self.opsrun("doctor", "-e", "lab"), out=[r"ok +redis cache +Redis 7\."])


class Scans(RedisTest):

    def test_a_scan_finds_every_key_with_its_facts(self):
        self.server.fill(25000)
        self.server.ask("SET", "other", "1", "EX", "100")
        done = self.step("""
            local seen, n, expiring = {}, 0, 0
            for key, ttl in cache:scan { with = "ttl" } do
              if not seen[key] then seen[key], n = true, n + 1 end
              if ttl ~= -1 then expiring = expiring + 1 end
            end
            note("%d keys, %d expire", n, expiring)
            local some = 0
            for _ in cache:scan { match = "key:1*", cap = 50 } do some = some + 1 end
            note("%d capped", some)
            local lists = 0
            for _ in cache:scan { type = "list" } do lists = lists + 1 end
            note("%d lists", lists)
            for key in cache:scan { match = "key:*" } do note("first of many: %s", key:sub(1, 4)) break end""")
        self.expect(done, code=0, out=["25001 keys, 1 expire", "50 capped", "0 lists", "first of many: key:"])

    def test_branches_side_by_side_have_connections_of_their_own(self):
        self.server.fill(100)
        done = self.step("""
            local list = {}
            for i = 1, 20 do list[i] = { "b" .. i, function()
              local n = 0
              for _, ttl in cache:scan { with = "ttl" } do n = n + (ttl == -1 and 1 or 0) end
              return n
            end } end
            local sum = 0
            for _, n in ipairs(parallel(list)) do sum = sum + n end
            note("sum %d", sum)""")
        self.expect(done, code=0, out=["sum 2000"])


if __name__ == "__main__":
    main()
