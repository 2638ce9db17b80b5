"""Thirty secrets in seventeen forms through every way out: none of them is seen anywhere."""

import email
import email.policy
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import main  # noqa: E402
import canaries  # noqa: E402

NAMES = [f"S{number:02}" for number in range(len(canaries.SECRETS))]
HEADER = ('playbook { title = "Canaries", uses = { notify = { "everyone" }, http = { "%(base)s" }, shell = { "true", "false" },'
          ' files = { "/nonexistent" } }, params = {' + ", ".join(f'{n} = {{ type = "secret" }}' for n in NAMES) + " } }\n")
ENVIRONMENT = """return {
  sql = { primary = { url = secret.env "DATABASE_URL" } },
  smtp = { url = env "SMTP_CLEAR_URL", from = "opsrun@lab.example", clear = true },
  notify = { everyone = { { slack = "%(base)s/slack" }, { webhook = "%(base)s/webhook" }, { email = "oncall@lab.example" },
    { pagerduty = "abcdefabcdefabcd", url = "%(base)s/pagerduty" }, { command = { "tee", "-a", "%(heard)s" } } } },
  params = { %(params)s },
}
"""
READ = 'local texts = step("Read", function() return http.get("%(base)s/texts").json end)\n'
LIVE = READ + """
step("Report", function()
  local rows, by_name = {}, {}
  for i, text in ipairs(texts()) do
    note("%%s", text)
    show(text, { title = text })
    check("check " .. text, text, { expect = "another", unit = text })
    chart(text, { { x = text, y = 1 } }, { x = "x", y = "y" })
    suggest("incident/other", { idle = text })
    rows[i], by_name["k" .. i] = { [text] = text, text = text }, text
  end
  show(rows, { columns = { "text" } })
  show(by_name)
  artifact("all.txt", table.concat(texts(), "\\n"))
  artifact("all.csv", rows)
  artifact("all.json", texts())
end)
step("Tell", function()
  batches(texts(), 17, function(slice)
    notify "everyone" (table.concat(slice, "\\n"), { title = slice[8], once = slice[1] })
  end)
end)
step("Fail", function()
  for i, text in ipairs(texts()) do
    note("%%s", select(2, try(function() fail("%%s", text) end)))
    note("%%s", select(2, try(function() http.get("%(base)s/echo/" .. i - 1) end)))
    note("%%s", select(2, try(function() sql "primary":value("SELECT $1::int", { text }) end)))
    undo("take back " .. text, function() note("%%s", text) end)
  end
end)
step("State", function() return try(function() state():set("all", texts()) end) end)
step("End", function() fail("%%s", table.concat(texts(), "\\n")) end)
"""
DRY = READ + """
step("Plan", function()
  for _, text in ipairs(texts()) do
    sql "primary":exec("UPDATE feature_flags SET name = $1", { text })
    http.post("%(base)s/webhook", { json = { a = text }, headers = { ["X-Id"] = "1" } })
    if not text:find "%%z" then shell.run({ "true", text }, { env = { A = text }, summary = text }) end
    files.write("/nonexistent/x", text)
    notify "everyone" (text)
    confirm("%%s", text)
    manual(text)
  end
end)
"""
TERMINAL = READ + """
step("Look", function()
  for _, text in ipairs(texts()) do
    local looks = 0
    note("%%s", text)
    show({ { text = text, other = text } })
    wait_until(text, { every = "1ms", within = "1m" }, function() looks = looks + 1; return looks == 2 end)
  end
end)
step("Ask", function() for i, text in ipairs(texts()) do if i %% 17 == 1 then confirm("%%s", text) end end end)
"""


def strings(value):
    """Every text in decoded JSON."""
    if isinstance(value, str):
        yield value.encode("utf-8", "surrogatepass")
    elif isinstance(value, (list, dict)):
        for item in value:
            yield from strings(item)
        for item in value.values() if isinstance(value, dict) else ():
            yield from strings(item)


def decoded(data):
    """The texts in lines of JSON, or in one document."""
    try:
        documents = [json.loads(data)]
    except ValueError:
        documents = [json.loads(line) for line in data.split(b"\n") if line]
    return b"\n".join(strings(documents))


class Canaries(AuthorTest):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.server = canaries.serve()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.sinks = {}
        self.mails = self.mail_lines()
        self.secrets = dict(zip(NAMES, canaries.SECRETS))
        self.words = self.environment(ENVIRONMENT % {
            "base": self.server.base, "heard": self.path("heard"),
            "params": ", ".join(f'{n} = secret.env "{n}"' for n in NAMES)})

    def mail_lines(self):
        try:
            with open(self.lab.env["MAILS"], "rb") as file:
                return len(file.readlines())
        except FileNotFoundError:
            return 0

    def mail_texts(self):
        """Every new mail, as it was sent and decoded."""
        with open(self.lab.env["MAILS"], "rb") as file:
            for line in file.readlines()[self.mails:]:
                data = json.loads(line)["data"].encode("latin-1")
                mail = email.message_from_bytes(data, policy=email.policy.default)
                yield data + str(mail["Subject"]).encode() + mail.get_content().encode()

    def book(self, text):
        return self.write("books/canaries.lua", (HEADER + text) % {"base": self.server.base})

    def sink(self, name, data):
        self.sinks[name] = self.sinks.get(name, b"") + (data if isinstance(data, bytes) else data.encode())

    def run_of(self, text, name, *words, code):
        done = self.opsrun("play", self.book(text), *self.words, *words, env=self.secrets)
        self.expect(done, code=code)
        self.sink(name + " stdout", done.out)
        self.sink(name + " stderr", done.err)

    def nothing_found(self, at_least):
        leaks = {name: canaries.found(data) for name, data in self.sinks.items()}
        leaks = {name: keys[:5] for name, keys in leaks.items() if keys}
        print(f"{len(canaries.ALL)} secrets × 17 forms × {len(self.sinks)} sinks: "
              f"{sum(map(len, leaks.values()))} found in {sum(map(len, self.sinks.values())) >> 10} KiB")
        self.assertEqual(leaks, {})
        empty = [name for name, data in self.sinks.items() if b"\xe2\x80\xb9secret:S" not in data and b"secret:S" not in data]
        self.assertEqual(empty, [], "these saw no secret at all: is it a sink?")
        self.assertGreaterEqual(len(self.sinks), at_least)

    def test_no_form_of_a_secret_gets_out(self):
        self.assertEqual({len(entries) for _, _, entries in canaries.ALL}, {17})
        self.run_of(LIVE, "report", code=1)
        run = self.run_ids()[-1]
        for name, words in (("log", ()), ("log as JSON", ("--json",))):
            self.sink(name, self.opsrun("log", run, *words, env=self.secrets).text)
        self.run_of(LIVE, "-vv", "-vv", code=1)
        self.run_of(LIVE, "--json", "--json", code=1)
        self.sink("--json decoded", decoded(self.sinks["--json stdout"]))
        self.run_of(DRY, "dry run", "-n", code=0)
        self.run_of(DRY, "dry run as JSON", "-n", "--json", code=0)
        self.sink("dry run as JSON decoded", decoded(self.sinks["dry run as JSON stdout"]))
        for place, data in self.everything().items():
            kind = place.split("/")[-2] if place.split("/")[-2] in ("artifacts", "blobs", "state") else place.split("/")[-1]
            self.sink("file " + kind, data)
            if place.endswith((".json", ".jsonl")):
                self.sink("decoded " + place.split("/")[-1], decoded(data))
        for place, bodies in self.server.told.items():
            self.sink("post " + place, b"\n".join(bodies) + b"\n".join(map(decoded, bodies)))
        for mail in self.mail_texts():
            self.sink("mail", mail)
        with open(self.path("heard"), "rb") as file:
            self.sink("command", file.read())
        for name in [name for name in self.sinks if name.startswith("file ") and b"secret:S" not in self.sinks[name]]:
            self.assertEqual(canaries.found(self.sinks.pop(name)), [], name)
        for name in ("--json stderr", "dry run stderr", "dry run as JSON stderr"):
            self.assertEqual(canaries.found(self.sinks.pop(name)), [], name)      # may well be empty
        self.nothing_found(18)

    def test_nor_on_a_terminal_wide_or_narrow(self):
        for columns in (100, 41):
            terminal = self.terminal("play", self.book(TERMINAL), *self.words, env=self.secrets)
            terminal.resize(columns)
            while "DONE" not in terminal.seen:
                terminal.wait_for(r"yes or no|DONE", within=60)
                if "DONE" not in terminal.seen:
                    terminal.send("yes\n")
            self.expect(terminal.finish(), code=0)
            self.sink(f"terminal of {columns} columns", terminal.seen)
        self.nothing_found(2)


class Cuts(AuthorTest):
    """What is shortened for people is masked first: half a secret is no secret any more, and most of one."""

    SECRET = "Zx8-quiet-harbour-lantern-51"

    def test_no_beginning_of_a_secret_is_left_where_a_text_is_cut(self):
        server = canaries.serve()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        words = self.environment(
            f'return {{ sql = {{ primary = {{ url = secret.env "DATABASE_URL" }} }}, notify = {{ team = {{ {{ webhook = "{server.base}/hook" }} }} }},'
            ' params = { key = secret.env "KEY" } }')
        header = ('playbook { title = "Cuts", params = { key = { type = "secret" } }, uses = { shell = { "true", "bash", "sh" },'
                  f' http = {{ "{server.base}", "{self.lab.env["APP_URL"]}" }}, notify = {{ "team" }} }} }}\n')
        body = """step("Cut", function(p)
          local key = "Zx8-" .. "quiet-harbour-" .. "lantern-51"
          for before = 40, 215, 7 do
            local text = ("."):rep(before) .. key
            try(function() shell.run({ "true", text }) end)
            try(function() shell.run("true " .. text) end)
            try(function() shell.run({ "sh", "-c", "echo " .. text .. " >&2; exit 1" }) end)
            try(function() http.post("%s/echo/0", { body = text }) end)
            try(function() sql "primary":exec("SELECT '" .. text .. "'") end)
            note(select(2, try(function() shell.read({ "printf", "%%s", text }):rows() end)) or "")
            show({ { text = text } })
          end
          for before = 7960, 8000, 9 do notify "team" (("."):rep(before) .. key) end
        end)""" % server.base
        for more in ((), ("-n",), ("--json",), ("-vv",)):
            done = self.play(body, *words, *more, header=header, env={"KEY": self.SECRET})
            self.expect(done, code=0)
            self.assertNotIn(self.SECRET[:9], done.text)
        for place, data in self.everything().items():
            self.assertNotIn(self.SECRET[:9].encode(), data, place)
        self.assertNotIn(self.SECRET[:9].encode(), b"".join(server.told["/hook"]))


if __name__ == "__main__":
    main()
