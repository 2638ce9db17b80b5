"""What reaches a terminal: no foreign byte steers it, colours only where they belong."""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import OPSRUN, FaultTest  # noqa: E402
from harness import Terminal, main  # noqa: E402
from hostile import SEQUENCES, lua, steers  # noqa: E402

SAY = """
local list = { LIST }
step("Say it", function()
  for i, text in ipairs(list) do
    note(text) note("%s", "word " .. text .. " word")
    check(text, 1, { unit = text })
    try(function() sql("primary"):value("select 1 / 0 -- " .. text) end)
  end
  show(list) show({ { a = list[1], [list[2]] = 3 } }, { title = list[3] })
  local rows, wide = {}, {}
  for i, text in ipairs(list) do
    rows[i] = { n = i, text = text, more = text .. ("x"):rep(60) }
    wide[i] = { [text] = i }
    wide[text] = i
  end
  show(rows, { title = table.concat(list, " ") }) show(wide)
end)
"""


class Filtered(FaultTest):
    """Hostile texts from everywhere, read back from a pseudo terminal."""

    def seen(self, *words, env=None, keys=()):
        """The bytes that reached the terminal."""
        terminal = Bytes([OPSRUN, *words], self.environ(TERM="dumb", **(env or {})))
        self.addCleanup(terminal.close)
        for pattern, text in keys:
            terminal.wait_for(pattern)
            terminal.send(text)
        done = terminal.finish()
        return done.code, terminal.bytes

    def expect_plain(self, data, what):
        self.assertEqual(steers(data)[:5], [], f"{what}\n{data[-3000:]!r}")

    def environment(self, label):
        os.makedirs(os.path.join(self.room, "environments"), exist_ok=True)
        with open(os.path.join(self.room, "environments", "trial.lua"), "w", encoding="ascii") as file:
            file.write(f'return {{ label = {lua(label)}, sql = {{ primary = {{ url = env "DATABASE_URL" }} }} }}\n')
        return ("--config", self.room, "-e", "trial")

    def test_in_notes_checks_rows_titles_and_errors_and_again_in_the_log(self):
        path = self.write(SAY.replace("LIST", ", ".join(map(lua, SEQUENCES))))
        code, data = self.seen("play", path, "-e", "lab", "-vv")
        self.assertEqual(code, 0, data[-2000:])
        self.expect_plain(data, "play")
        self.assertIn(rb"\x1b", data)
        for words in (("log", self.run_ids()[0]), ("log", self.run_ids()[0], "--json"), ("runs",)):
            code, data = self.seen(*words)
            self.assertEqual(code, 0)
            self.expect_plain(data, words)
        print(f"{len(SEQUENCES)} sequences, 0 control bytes")

    def test_in_the_header_labels_parameters_questions_and_failures(self):
        for at in range(0, len(SEQUENCES), 12):
            some = SEQUENCES[at:at + 12]
            text = b" ".join(some)
            path = self.write(
                f'playbook {{ title = {lua(text)}, about = {lua(text)}, uses = {{ shell = {{ "bash" }} }},'
                f' params = {{ word = {{ type = "string", default = {lua(text)}, help = {lua(text)} }} }} }}\n'
                f'step({lua(text)}, {{ id = "one" }}, function(p)\nundo({lua(text)}, function() end)\n'
                f'confirm({{ {lua(text)}, impact = {lua(text)} }})\n'
                f'shell.run("true; " .. {lua(text)} .. "true", {{ codes = {{ 0, 127, 126, 2, 1 }}, cwd = {lua(self.home.encode())} }})\n'
                f'note(p.word) fail({lua(text)})\nend)\n', header="")
            environment = self.environment(text)
            argument = b"word=" + text
            code, data = self.seen("play", path, *environment, "-p", os.fsdecode(argument),
                                   keys=((r"yes or no \[no\]: ", "yes\n"), (r"yes or no \[no\]: ", "no\n")))
            self.assertIn(code, (1, 2), data[-2000:])
            self.expect_plain(data, some)
            for words in (("show", path, *environment), ("params", path, *environment), ("check", path),
                          ("play", path, *environment, "-n")):
                self.expect_plain(self.seen(*words)[1], (words[0], some))
        for words in (("runs",), ("status",)):
            self.expect_plain(self.seen(*words)[1], words)

    def test_in_words_of_the_command_line_and_file_names(self):
        for at in range(0, len(SEQUENCES), 40):
            text = os.fsdecode(b" ".join(SEQUENCES[at:at + 40]).replace(b"/", b"|"))
            path = os.path.join(self.room, text[:50] + ".lua")
            with open(path, "wb") as file:
                file.write(b'playbook { title = "x" }\nstep("a", function() error("here") end)\n')
            for words in (("play", path, "-e", "lab"), ("play", text), ("play", path, "-e", text), ("check", path),
                          ("check", self.room), ("log", text), (text,), ("play", "--" + text),
                          ("play", path, "-e", "lab", "-p", text), ("play", path, "-e", "lab", "--answer", text),
                          ("list", text), ("play", path, "-e", "lab", "--deadline", text)):
                code, data = self.seen(*words)
                self.expect_plain(data, words)
                self.assertNotEqual(code, 70, (words, data))

    def test_a_line_end_in_a_text_begins_no_line_of_its_own(self):
        path = self.step('show({ { name = "x\\n 9  Fake step", n = 1 } })\n'
                         'confirm("Strike\\n   yes or no [no]: yes\\n 9  Fake step?")')
        _, data = self.seen("play", path, "-e", "lab", keys=((r"   yes or no \[no\]: $", "no\n"),))
        self.assertEqual(re.findall(rb"(?m)^ 9  Fake", data), [])


class Bytes(Terminal):
    """A terminal that keeps the bytes too; a match at the end is one of all that was printed so far."""

    @property
    def bytes(self):
        return self.seen.encode("utf-8", errors="surrogateescape")

    def read(self, seconds):
        import select
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        raw = getattr(self, "raw", b"") + data
        self.raw, self.seen = raw, raw.decode("utf-8", errors="surrogateescape")
        return bool(data)


class Colours(FaultTest):
    """Colours on a terminal, unless somebody says no; never elsewhere, unless somebody says always."""

    BODY = 'note "x" check("load", 99, { above = { critical = 5 } })'

    def shows(self, *words, env=None):
        terminal = self.terminal("play", self.step(self.BODY), "-e", "lab", *words, env=env)
        return re.search(r"\x1b\[[0-9;]*m", terminal.finish().out) is not None

    def test_on_a_terminal(self):
        self.assertTrue(self.shows())
        self.assertTrue(self.shows("--color", "always", env={"NO_COLOR": "1"}))
        for words, env in (((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"}), ((), {"TERM": ""}),
                           (("--color", "never"), {})):
            self.assertFalse(self.shows(*words, env=env), (words, env))

    def test_off_a_terminal(self):
        path = self.step(self.BODY)
        self.expect(self.opsrun("play", path, "-e", "lab"), absent=["\x1b"])
        self.expect(self.opsrun("play", path, "-e", "lab", "--color", "always"), out=["\x1b\\[1"])
        for words in (("runs",), ("status",), ("log", self.run_ids()[0]), ("list",), ("show", path)):
            self.expect(self.opsrun(*words), absent=["\x1b"])

    def test_only_our_own_sequences_are_there(self):
        terminal = self.terminal("play", self.step('sleep "400ms" ' + self.BODY), "-e", "lab")
        data = terminal.finish().out
        rest = re.sub(r"\x1b\[[0-9;]*m|\r\x1b\[K|\r\n|\r(?=\r\x1b\[K)", "", data)
        self.assertEqual(re.findall(r"[\x00-\x09\x0b-\x1f\x7f]", rest), [])


if __name__ == "__main__":
    main()
