"""What /proc gives away: secrets are in no command line, and in the environment only of who was given them."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import main, wait_until  # noqa: E402
from proc_sampler import Sampler  # noqa: E402

SECRETS = {"ENV_KEY": "env-0a1b2c3d4e5f", "FILE_KEY": "file-0a1b2c3d4e5f", "KEPT_KEY": "kept-0a1b2c3d4e5f",
           "GIVEN_KEY": "given-0a1b2c3d4e5f"}
HEADER = ('playbook { title = "Sampled", uses = { shell = { "sh", "sleep", "cat", "pg_isready" }, notify = { "team" }, http = { "%(url)s" } }, params = {'
          ' given = { type = "secret" }, file = { type = "secret" }, kept = { type = "secret" }, env = { type = "secret" } } }\n')
BODY = """
local new = secret.new { name = "NEW" }
for _ = 1, 3 do
  parallel {
    { "given", function() shell.run({ "sh", "-c", "sleep 0.2; test -n \\"$GIVEN\\"" }, { env = { GIVEN = p.given } }) end },
    { "stdin", function() shell.run({ "sh", "-c", "sleep 0.2; cat >/dev/null" }, { stdin = p.file }) end },
    { "new", function() shell.run({ "sh", "-c", "sleep 0.2; cat >>%(got)s; echo >>%(got)s" }, { stdin = new }) end },
    { "read", function() shell.read { "sleep", "0.2" } end },
    { "header", function() http.get("%(url)s/health", { headers = { ["X-Key"] = p.kept, Authorization = p.env } }) end },
    { "tell", function() notify "team" "hello" end },
    { "database", function() sql "primary":value "SELECT 1" end },
  }
end
"""


class Sampled(AuthorTest):

    def test_no_secret_is_in_a_command_line_and_only_the_given_one_in_an_environment(self):
        for name in ("FILE_KEY", "KEPT_KEY"):
            path = self.write(name, SECRETS[name])
            os.chmod(path, 0o600)
        words = self.environment(f'''return {{ sql = {{ primary = {{ url = secret.env "DATABASE_URL" }} }},
          notify = {{ team = {{ {{ command = {{ "sh", "-c", "sleep 0.2; cat >/dev/null" }} }} }} }},
          params = {{ given = secret.env "GIVEN_KEY", env = secret.env "ENV_KEY", file = secret.file "{self.path('FILE_KEY')}",
            kept = secret.command {{ "sh", "-c", "sleep 0.2; cat {self.path('KEPT_KEY')}" }} }} }}''')
        place = {"url": self.lab.env["APP_URL"], "got": self.path("got")}
        book = self.write("books/sampled.lua", HEADER % place + f'step("Use them", function(p)\n{BODY % place}\nend)\n')
        password = self.lab.env["DATABASE_URL"].split(":")[2].split("@")[0]
        needles = {**SECRETS, "DATABASE_PASSWORD": password}
        looks, processes, in_words = 0, 0, 0
        for more in ((), ("-vv",), ("-n",), ("--json",)):
            given = {name: SECRETS[name] for name in ("ENV_KEY", "GIVEN_KEY")}
            child = self.start("play", book, *words, *more, env=given)
            with Sampler(child.pid, needles) as seen:
                out, err = child.communicate(timeout=60)
            self.assertEqual(child.returncode, 0, (out, err))
            looks, processes = looks + seen.looks, processes + seen.processes
            in_words += sum(map(len, seen.words.values()))
            self.assertEqual({name: lines for name, lines in seen.words.items() if lines}, {})
            # opsrun itself was started with what secret.env names; of its children only who was given it has it
            opsrun = {"opsrun"}
            self.assertEqual(seen.environ["FILE_KEY"] | seen.environ["KEPT_KEY"], set())
            self.assertLessEqual(seen.environ["ENV_KEY"] | seen.environ["DATABASE_PASSWORD"], opsrun)
            if not more:
                self.assertGreater(seen.environ["GIVEN_KEY"] - opsrun, set())
            self.assertLessEqual(seen.environ["GIVEN_KEY"] - opsrun, {"sh", "sleep", "opsrun-supervisor"})
        print(f"{processes} processes, looked at {looks} times: {in_words} secrets in command lines")
        self.assertGreater(looks, 50)

    def test_a_new_secret_is_in_neither(self):
        book = self.write("books/new.lua", 'playbook { title = "New", uses = { shell = { "sh" } } }\nstep("Make", function()\n'
                          'shell.run({ "sh", "-c", "cat >%s; until [ -e %s ]; do sleep 0.05; done" },'
                          ' { stdin = secret.new { name = "NEW" } })\nend)\n' % (self.path("got"), self.path("seen")))
        child = self.start("play", book, "-e", "lab")
        while not (os.path.exists(self.path("got")) and os.path.getsize(self.path("got")) == 64):
            self.assertIsNone(child.poll())
        with open(self.path("got"), encoding="ascii") as file:
            value = file.read()
        with Sampler(child.pid, {"NEW": value}) as seen:
            wait_until(lambda: seen.looks > 20, within=30)
            self.write("seen", "")
            child.communicate(timeout=60)
        self.assertGreater(seen.processes, 1)
        self.assertEqual((seen.words["NEW"], seen.environ["NEW"]), ([], set()))


if __name__ == "__main__":
    main()
