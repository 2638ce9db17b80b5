"""Small promises of the reference pages, each kept on real servers and files."""

import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from author import AuthorTest  # noqa: E402


class Options(AuthorTest):

    def shell_header(self):
        return 'playbook { title = "Trial", uses = { shell = { "sh", "stty" } } }\n'

    def requests(self, path):
        """How often the application was asked for a path, by a playbook of its own."""
        self.expect(self.step(f'''local n = 0
            for _, seen in ipairs(http "api":get("/_lab/requests").json) do if seen.path == "{path}" then n = n + 1 end end
            return n'''), code=0)
        return self.kept("try")

    # sql

    def test_a_change_waits_for_a_lock_no_longer_than_lock_timeout_and_then_did_not_happen(self):
        session = self.lab.session()
        self.addCleanup(session.close)
        session.query("BEGIN")
        session.query("SELECT 1 FROM feature_flags WHERE name = 'beta-upload' FOR UPDATE")
        done = self.step('''local _, why, code = try(function()
            sql "primary":exec("UPDATE feature_flags SET enabled = true WHERE name = 'beta-upload'", {}, { lock_timeout = "200ms" })
          end)
          note("%s: %s", code, why)''')
        session.query("ROLLBACK")
        self.expect(done, code=0, out=["55P03: .*lock timeout"])
        self.assertLess(done.seconds, 10)
        self.assertFalse(self.flag("beta-upload"))

    def test_more_than_100_000_rows_are_an_error_and_each_goes_through_them(self):
        done = self.step('sql "primary":query("SELECT generate_series(1, 100001)")')
        self.expect(done, code=1, out=["100000 rows|100,000 rows"])
        self.expect(self.step('note("%d", sql "primary":each("SELECT generate_series(1, 100001)", function() end))'),
                    code=0, out=[r"    100001\n"])

    # redis

    def test_a_scan_takes_keys_of_one_type_and_ends_at_its_cap(self):
        self.expect(self.step('''local cache = redis "cache"
            for i = 1, 40 do cache:set("opt:" .. i, "x") cache:hset("opt:h" .. i, "a", "b") end'''), code=0)
        self.expect(self.step('''local cache, hashes, some = redis "cache", 0, 0
            for key in cache:scan { match = "opt:*", type = "hash" } do
              if not key:find "^opt:h" then fail("%s is no hash", key) end
              hashes = hashes + 1
            end
            for _ in cache:scan { match = "opt:*", cap = 7 } do some = some + 1 end
            note("%d hashes, %d of them all", hashes, some)
            for i = 1, 40 do cache:del("opt:" .. i) cache:del("opt:h" .. i) end'''),
                    code=0, out=["40 hashes, 7 of them all"])

    # http

    def test_expect_takes_statuses_classes_and_any_and_everything_else_fails_with_its_status(self):
        self.expect(self.step('''for _, wanted in ipairs { 404, "4xx", { 200, 404 }, "any" } do
              note("%s", http "api":get("/no/such/page", { expect = wanted }).status)
            end
            local _, _, code = try(function() return http "api":get("/no/such/page", { expect = { "2xx", 401 } }) end)
            note("failed %s", code)'''), code=0, out=[r"(    404\n){4}    failed 404"])

    def test_a_read_that_may_pass_is_tried_again_as_often_as_retries_says_and_a_change_never(self):
        self.lab_state('{ status = 503, paths = { "/api/health", "/hooks/team" } }')
        self.addCleanup(self.lab_state, '{ status = json.null, paths = json.null }')
        before = self.requests("/api/health"), self.requests("/hooks/team")
        self.expect(self.step('http "api":get("/api/health", { retries = 2 })'), code=1, out=["answered 503"])
        self.expect(self.step('http "api":post("/hooks/team", { json = {} })'), code=1, out=["answered 503"])
        self.expect(self.step('http "api":post("/hooks/team", { json = {}, retries = 2 })'), code=1, out=["unknown option 'retries'|may have happened"])
        self.assertEqual((before[0] + 3, before[1] + 1), (self.requests("/api/health"), self.requests("/hooks/team")))

    def lab_state(self, wish):
        self.expect(self.step(f'http "api":post("/_lab/state", {{ json = {wish} }})'), code=0)

    # shell

    def test_a_terminal_of_its_own_has_24_lines_and_80_columns(self):
        self.expect(self.play('step("Try", function() note(shell.run({ "stty", "size" }, { tty = true }).text) end)',
                              header=self.shell_header()), code=0, out=["    24 80"])

    def test_the_first_mebibyte_of_a_long_output_is_kept_and_an_artifact_takes_it_whole(self):
        self.expect(self.play("""step("Try", function()
              local long = { "head", "-c", "3000000", "/dev/zero" }
              local kept = shell.read(long)
              local whole = shell.read(long, { to = "whole.txt" })
              note("%d %s, %d", #kept.stdout, kept.truncated, whole.size)
            end)""", header=self.shell_header()), code=0, out=["    1048576 true, 3000000"])

    # files

    def room_with(self, **files):
        room = tempfile.mkdtemp(prefix="files-", dir=self.room)
        for name, age in files.items():
            path = os.path.join(room, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write("x" * 10)
            now = os.stat(path).st_mtime
            os.utime(path, (now - age, now - age))
        return room

    def files_step(self, room, body):
        return self.play(f'step("Try", function()\n{body.replace("ROOM", room)}\nend)',
                         header=f'playbook {{ title = "Trial", uses = {{ files = {{ "{room}" }} }} }}\n')

    def test_newer_than_and_any_type_choose_what_a_list_holds(self):
        room = self.room_with(old=7200, new=60)
        os.mkdir(os.path.join(room, "below"))
        self.expect(self.files_step(room, '''
            note("%s", files.list("ROOM", { newer_than = "1h" })[1].name)
            note("%d and %d", files.list("ROOM").count, files.list("ROOM", { any_type = true }).count)'''),
                    code=0, out=["    new\n    2 and 3"])

    def test_a_file_with_several_names_is_not_truncated_and_is_named(self):
        room = self.room_with(one=0, alone=0)
        os.link(os.path.join(room, "one"), os.path.join(room, "two"))
        self.expect(self.files_step(room, '''
            local done = files.truncate(files.list("ROOM"))
            for _, left in ipairs(done.left) do note("left %s", left.path) end'''), code=0, out=["left .*/one", "left .*/two"])
        self.assertEqual([0, 10, 10], [os.stat(os.path.join(room, name)).st_size for name in ("alone", "one", "two")])

    # people

    def test_an_optional_manual_step_stays_open_without_a_terminal_and_is_listed_at_the_end(self):
        done = self.step('manual { "Water the plants", required = false }\nnote "went on"')
        self.expect(done, code=0, out=["went on", r"(?s)DONE.*Water the plants"])

    # secrets

    def test_a_short_secret_is_refused_unless_the_environment_allows_it(self):
        body = 'http "x":get("/health")'
        for allow, code in (("", 4), (", { allow_short = true }", 0)):
            words = self.environment('return { http = { x = { base = env "APP_URL", '
                                     f'headers = {{ ["X-Pin"] = secret.env("PIN"{allow}) }} }} }} }}')
            done = self.step(body, *words, env={"PIN": "4711"})
            self.expect(done, code=code, text=["8 bytes|too short"] if code else [])

    # the report

    def test_quiet_shows_failures_and_the_summary_and_nothing_else(self):
        done = self.play('step("Good", function() note "seen by nobody" check("fine", 1, {}) end)\n'
                         'step("Bad", function() fail "it is bad" end)', "-q")
        self.expect(done, code=1, out=["it is bad", "FAILED"], absent=["seen by nobody", " 1  Good"])


if __name__ == "__main__":
    main()
