"""What changed since a run began: thirty changes of playbook, called playbook, parameters and environment are refused
before anything happens and named; the harmless ones are taken with --edited. And: failed, mended, resumed."""

import http.server
import json
import os
import re
import shutil
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import main, wait_until  # noqa: E402

BOOK = '''playbook {
  title  = "Trial", tell = { team = "critical" },
  uses   = { files = { "OUT" } },
  calls  = { "part.lua" },
  params = { n = { type = "integer", default = 1 }, idle = { type = "duration", default = "5m" } },
}

local function line(text)
  files.append("OUT/log", text .. "\\n")
end

local first = step("First", function(p)
  line("first " .. p.n)
  return { n = p.n }
end)

step("Call it", function(p)
  call("part.lua", { text = "called" })
end)

step("Wait", function(p)
  line "now"
  wait_until("told to go on", { every = "20ms", within = "60s" }, function()
    return files.stat "OUT/go"
  end)
  line("waited " .. first().n)
end)

step("Last", function(p)
  check("how many", sql "primary":value "SELECT 3", { above = { warning = 5 } })
  line "last" http "api":get "/health"
end)
'''
PART = '''playbook { title = "Part", uses = { files = { "OUT" } }, params = { text = { type = "string" } } }

step("Say it", function(p)
  files.append("OUT/log", p.text .. "\\n")
end)
'''
ENVIRONMENT = '''return {
  label    = "trial",
  timezone = "Etc/UTC",
  sql      = { primary = { url = secret.env "DATABASE_URL", statement_timeout = "30s" } },
  http     = { api = { base = env "APP_URL", bearer = secret.env "ADMIN_TOKEN" } },
  notify   = { team = { { webhook = env "TEAM_HOOK" } } },
  services = { shop = { start = { "true" }, status = { "true" } } },
  params   = { n = 2, ["incident/other"] = { poll = "2s" } },
}
'''

# (what, file, old, new, what the refusal says)
CHANGES = [
    ("a text that was written", "book", '"first "', '"other "', "trial.lua line 13"),
    ("a text that will be written", "book", 'line "last"', 'line "latest"', "trial.lua line 31"),
    ("a comment", "book", "local first", "-- so\nlocal first", "trial.lua line 12"),
    ("white space at an end of line", "book", 'line "now"', 'line "now" ', "trial.lua line 22: only white space differs"),
    ("the title", "book", 'title  = "Trial"', 'title  = "Tried"', "trial.lua line 2"),
    ("a default that counts", "book", 'default = "5m"', 'default = "6m"', "trial.lua line 5"),
    ("one parameter more", "book", "params = {", "params = { more = { type = \"integer\", default = 1 },", "trial.lua line 5"),
    ("a parameter that is gone", "book", ', idle = { type = "duration", default = "5m" }', "", "trial.lua line 5"),
    ("a parameter of another type", "book", 'n = { type = "integer"', 'n = { type = "number"', "trial.lua line 5"),
    ("what it may touch", "book", '"OUT" }', '"OUT", "/tmp/more" }', "trial.lua line 3"),
    ("a limit", "book", "calls  =", "limits = { sessions = 1 },\n  calls  =", "trial.lua line 4"),
    ("a lock", "book", "calls  =", "lock = true,\n  calls  =", "trial.lua line 4"),
    ("a step's name", "book", 'step("Last"', 'step("Latest"', "trial.lua line 29"),
    ("a step's id", "book", 'step("Last", ', 'step("Last", { id = "end" }, ', "trial.lua line 29"),
    ("a condition", "book", 'step("Last", ', 'step("Last", { when = false }, ', "trial.lua line 29"),
    ("a retry", "book", 'step("Last", ', 'step("Last", { retry = { times = 2 } }, ', "trial.lua line 29"),
    ("one step more", "book", 'step("Last"', 'step("More", function() end)\n\nstep("Last"', "trial.lua line 29"),
    ("a step that is gone", "book", 'step("Call it", function(p)\n  call("part.lua", { text = "called" })\nend)\n\n', "", "trial.lua line 17"),
    ("a limit of a check", "book", "warning = 5", "warning = 2", "trial.lua line 30"),
    ("a wait", "book", 'within = "60s"', 'within = "90s"', "trial.lua line 23"),
    ("what is handed to a call", "book", 'text = "called"', 'text = "called up"', "trial.lua line 18"),
    ("what a called playbook writes", "part", 'p.text .. "\\n"', 'p.text .. "!\\n"', "part.lua line 4"),
    ("a called playbook's header", "part", 'title = "Part"', 'title = "Parts"', "part.lua line 1"),
    ("a value the environment gives", "env", "n = 2", "n = 3", "parameter n: was 2, is 3"),
    ("a value that it gives no more", "env", "n = 2", "idle = \"7m\"", "parameter n: was 2, is 1"),
    ("another server", "env", 'secret.env "DATABASE_URL"', 'secret.env "OTHER_URL"', "environment sql.primary.url"),
    ("a time-out", "env", 'statement_timeout = "30s"', 'statement_timeout = "40s"', "environment sql.primary.statement_timeout"),
    ("a connection that is gone", "env", '  http     = { api = { base = env "APP_URL", bearer = secret.env "ADMIN_TOKEN" } },\n', "",
     "environment http.api"),
    ("protection", "env", "timezone", "protected = true,\n  timezone", "environment protected: was .*, is true"),
    ("another zone", "env", "Etc/UTC", "Europe/Madrid", "environment timezone: was Etc/UTC, is Europe/Madrid"),
    ("who is told", "env", "{ webhook = env \"TEAM_HOOK\" }", "{ webhook = env \"OTHER_HOOK\" }", "environment notify.team.1.webhook"),
    ("the label", "env", 'label    = "trial"', 'label    = "else"', "environment label: was trial, is else"),
]
ELSEWHERE = [      # of the environment, and no matter to this run
    ("a parameter of another playbook", 'poll = "2s"', 'poll = "3s"'),
    ("a value that no playbook of the run declares", "n = 2", "n = 2, unheard = 4"),
    ("a service that nobody names", 'start = { "true" }', 'start = { "false" }'),
    ("one connection more", "primary =", 'second = { url = secret.env "OTHER_URL" }, primary ='),
]
HARMLESS = ("a text that will be written", "a comment", "white space at an end of line", "the title", "a step's name", "one step more",
            "a limit of a check", "a wait", "a retry")
HARMFUL = ("a text that was written", "a step that is gone", "what is handed to a call")


class Changed(AuthorTest):

    def setUp(self):
        super().setUp()
        self.out = self.path("out")
        os.makedirs(self.out)
        self.texts = {"book": BOOK, "part": PART, "env": ENVIRONMENT}
        self.places = {"book": "books/trial.lua", "part": "books/part.lua", "env": "environments/trial.lua"}
        self.put_back()
        self.env = {"OPSRUN_PATH": self.path("books"), "OTHER_URL": self.lab.env["DATABASE_URL"],
                    "OTHER_HOOK": self.lab.env["TEAM_HOOK"]}

    def put_back(self):
        for name, text in self.texts.items():
            self.write(self.places[name], text.replace("OUT", self.out))

    def change(self, name, old, new):
        text = self.texts[name]
        self.assertEqual(text.count(old), 1, old)
        self.write(self.places[name], text.replace(old, new).replace("OUT", self.out))

    def lines(self):
        path = os.path.join(self.out, "log")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return file.read().split("\n")[:-1]

    def killed(self):
        process = self.start("play", "trial.lua", "--config", self.room, "-e", "trial", env=self.env)
        ready = wait_until(lambda: "now" in self.lines() and any(r["type"] == "waiting" for r in self.last()), within=20)
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        self.assertTrue(ready, f"{out.decode()}\n{err.decode()}")
        return self.run_ids()[-1]

    def let_go(self):
        with open(os.path.join(self.out, "go"), "w", encoding="ascii"):
            pass

    def bytes_of(self, run):
        with open(os.path.join(self.home, "runs", run, "journal"), "rb") as file:
            return file.read()

    def test_thirty_changes_are_refused_before_anything_happens_and_named(self):
        run = self.killed()
        self.let_go()
        before, lines = self.bytes_of(run), self.lines()
        self.assertEqual(lines, ["first 2", "called", "now"])
        wrong = []
        for what, name, old, new, said in CHANGES:
            self.change(name, old, new)
            done = self.opsrun("resume", run, "--yes", env=self.env)
            if done.code != 5 or not re.search(said, done.err) or "something changed since it began" not in done.err:
                wrong.append(f"{what}: expected 5 and '{said}'\n{done}")
            self.assertEqual((self.bytes_of(run), self.lines()), (before, lines), f"{what}: something happened\n{done}")
            self.put_back()
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.expect(self.opsrun("resume", run, env=self.env), code=0)
        self.assertEqual(self.lines(), ["first 2", "called", "now", "waited 2", "last"])
        print(f"\n{len(CHANGES)} changes: {len(CHANGES)} refused, nothing happened")

    def test_what_changed_elsewhere_in_the_environment_stops_neither_resume_nor_undo(self):
        run = self.killed()
        self.let_go()
        for _, old, new in ELSEWHERE:
            self.change("env", old, new)
            refused = self.opsrun("undo", run, "--yes", "--answer", "undo=no", env=self.env)
            self.expect(refused, absent=["something changed"])
            self.put_back()
        texts = self.texts["env"]
        for _, old, new in ELSEWHERE:
            self.texts["env"] = self.texts["env"].replace(old, new)
        self.put_back()
        self.texts["env"] = texts
        self.expect(self.opsrun("resume", run, env=self.env), code=0)
        self.assertEqual(self.lines()[-1], "last")

    def test_edited_takes_the_harmless_ones_and_refuses_what_was_recorded_differently(self):
        taken = 0
        for what, name, old, new, _ in CHANGES:
            if what not in HARMLESS + HARMFUL:
                continue
            run = self.killed()
            self.let_go()
            self.change(name, old, new)
            lines = self.lines()
            done = self.opsrun("resume", run, "--edited", env=self.env)
            if what in HARMFUL:
                self.assertEqual((done.code, self.lines()), (5, lines), f"{what}\n{done}")
            else:
                self.assertIn(done.code, (0,), f"{what}\n{done}")
                self.assertEqual(self.lines()[:4] + self.lines()[4:][-1:],
                                 [*lines, "waited 2", "latest" if "latest" in new else "last"], what)
                taken += 1
            self.put_back()
            shutil.rmtree(self.home)
            for left in ("go", "log"):
                os.unlink(os.path.join(self.out, left))
        self.assertEqual(taken, len(HARMLESS))
        print(f"\n--edited: {taken} harmless changes taken, {len(HARMFUL)} refused")


class Mended(AuthorTest):
    """A step that fails, what it failed of is put right, resume goes on; what was done before is not done again."""

    def check(self, body, mend, header, failed):
        log = self.path("log")
        header = header.replace("FILES", f'files = {{ "{self.room}" }}')
        text = (f'step("Before", function() files.append("{log}", "before\\n") end)\n'
                f'step("It fails", function()\n  {body}\n  files.append("{log}", "after\\n")\nend)\n')
        done = self.play(text, header=header)
        self.expect(done, code=1, out=[failed], text=["opsrun resume "])
        mend()
        done = self.opsrun("resume", "--last")
        self.expect(done, code=0)
        with open(log, encoding="utf-8") as file:
            self.assertEqual(file.read(), "before\nafter\n")

    def test_a_table_that_was_missing(self):
        self.check('sql "primary":exec "INSERT INTO mended VALUES (1)"',
                   lambda: self.lab.ask("CREATE TABLE mended (n int)"),
                   'playbook { title = "Trial", uses = { FILES } }\n', "42P01|does not exist")
        self.assertEqual(self.lab.ask("SELECT n FROM mended"), [["1"]])

    def test_a_file_that_was_missing(self):
        self.check(f'local text = files.read "{self.path("there")}"', lambda: self.write("there", "x"),
                   'playbook { title = "Trial", uses = { FILES } }\n', "there")

    def test_an_application_that_said_no(self):
        answers, got = [503], []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                got.append(answers[-1])
                body = json.dumps({}).encode()
                self.send_response(answers[-1])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        self.check(f'http.post("{origin}/go")', lambda: answers.append(200),
                   f'playbook {{ title = "Trial", uses = {{ FILES, http = {{ "{origin}" }} }} }}\n', "503")
        self.assertEqual(got, [503, 200])

    def test_a_check_that_was_critical(self):
        self.check(f'check("size", #files.read "{self.path("size")}", {{ above = {{ critical = 3 }}, or_fail = "too large" }})',
                   lambda: self.write("size", "ok"), 'playbook { title = "Trial", uses = { FILES } }\n', "too large")

    def setUp(self):
        super().setUp()
        self.write("size", "much too large")


if __name__ == "__main__":
    main()
