"""opsrun params: what a run would get, from where, and what is wrong, all at once."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from author import AuthorTest  # noqa: E402

HEADER = """playbook { title = "Trial", params = {
  level = { type = "choice", of = { "error", "warn" }, default = "error", help = "what counts" },
  quiet = { type = "boolean", default = false },
  ages  = { type = "list", of = "duration", default = { "5m", "1h" } },
  since = { type = "window", default = "yesterday" },
  page  = { type = "url", optional = true },
  token = { type = "secret", optional = true },
  team  = { type = "string" },
} }
"""


class Params(AuthorTest):

    def show(self, environment, *words, env=None):
        return self.play("", *self.environment(environment), *words, header=HEADER, env=env, command="params")

    def test_each_value_and_where_it_comes_from(self):
        done = self.show('return { params = { team = "all", page = "https://a.example/x", '
                         'trial = { level = "warn", token = secret.env "NOT_SET" } } }', "-p", "quiet=yes")
        self.expect(done, code=0, out=[
            r"level +warn +trial, for trial +one of error, warn +what counts", r"quiet +true +-p +boolean",
            r"ages +5m,1h +default +list of duration", r"since +yesterday \(\d{4}-\d\d-\d\d\.\.\d{4}-\d\d-\d\d\) +default +window",
            r"page +https://a.example/x +trial +url", r"team +all +trial +string", "token +‹secret:NOT_SET› +trial, for trial +secret"])

    def test_a_false_is_shown_and_nothing_is_empty(self):
        self.expect(self.show('return { params = { team = "x" } }'), code=0, out=[r"quiet +false", r"page +not given"])

    def test_everything_wrong_is_told_at_once_with_the_code_a_run_would_have(self):
        done = self.show('return { params = { level = "loud", trial = { tem = "x" } } }', "-p", "page=nowhere")
        self.expect(done, code=4, out=[r"level +WRONG +trial", r"page +WRONG +-p", r"team +MISSING", r"tem +WRONG"],
                    err=["'trial.lua' has no parameter 'tem'", "did you mean 'team'", "'loud' is none of error, warn",
                         "'nowhere' is no url"])
        played = self.play('step("A", function() end)\n', "--config", self.room, "-e", "trial", header=HEADER)
        self.expect(played, code=4, err=["'trial.lua' has no parameter 'tem'"])

    def test_a_missing_one_exits_2(self):
        self.expect(self.show("return {}"), code=2, out=[r"team +MISSING +missing"])

    def test_a_wrong_p_exits_2(self):
        done = self.show('return { params = { team = "x" } }', "-p", "ages=5m,soon", "-p", "since=2026-02-30")
        self.expect(done, code=2, err=["item 2: 'soon' is no duration", "'2026-02-30' is no window of time"])

    def test_json_has_a_problem_in_its_line(self):
        done = self.show('return { params = { team = "x" } }', "-p", "ages=soon", "--json")
        rows = {row["parameter"]: row for row in map(json.loads, done.out.splitlines())}
        self.assertEqual(rows["ages"]["problem"], "parameter 'ages': item 1: 'soon' is no duration")
        self.assertEqual(rows["team"]["value"], "x")

    def test_params_of_a_playbook_that_are_no_table_are_a_failed_precondition(self):
        self.expect(self.show('return { params = { trial = 5 } }'), code=4, err=["params of 'trial': expected a table, got number"])

    def test_a_secret_is_never_read_nor_shown(self):
        done = self.show('return { params = { team = "x", token = secret.env "TOKEN" } }', env={"TOKEN": "hunter2-hunter2"})
        self.expect(done, code=0, out=["‹secret:TOKEN›"], absent=["hunter2"])


if __name__ == "__main__":
    main()
