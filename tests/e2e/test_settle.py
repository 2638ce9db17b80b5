"""Was it done? kill -9 in the middle of changes, and then the adapters are asked, on real servers."""

import gzip
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import OPSRUN, ROOT, FaultTest, wait_until  # noqa: E402
from harness import main  # noqa: E402


class Settle(FaultTest):

    def setUp(self):
        super().setUp()
        source = os.environ.get("OPSRUN_RUNTIME_DIR", ROOT)
        self.runtime = os.path.join(self.room, "runtime_with_entry")
        for name in ("runtime", "stdlib"):
            shutil.copytree(os.path.join(source, name), os.path.join(self.runtime, name))
        shutil.copy(os.path.join(ROOT, "tests", "e2e", "settle_entry.lua"),
                    os.path.join(self.runtime, "runtime", "commands", "params.lua"))

    def header(self, **uses):
        text = ", ".join("%s = { %s }" % (name, ", ".join(f'"{word}"' for word in words)) for name, words in uses.items())
        return f'playbook {{ title = "Fault", uses = {{ {text} }} }}\n'

    def asked(self):
        """What the adapters say of each change in doubt of the only run."""
        done = self.opsrun("params", self.run_ids()[-1], "-e", "lab", env={"OPSRUN_RUNTIME_DIR": self.runtime})
        self.assertEqual(done.code, 0, done)
        return [json.loads(line) for line in done.out.splitlines()]

    def said(self):
        """The same of the only one."""
        all_said = self.asked()
        self.assertEqual(len(all_said), 1, all_said)
        return all_said[0]

    def kill(self, process):
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def forget_the_end(self):
        """Cuts the journal behind the last begin: what a kill leaves that comes right after the change."""
        folder = os.path.join(self.home, "runs", self.run_ids()[-1])
        path, = (os.path.join(folder, name) for name in os.listdir(folder) if name.startswith("journal"))
        with open(path, "rb") as file:
            lines = file.read().splitlines(keepends=True)
        last = max(i for i, line in enumerate(lines) if b'"effect.begin"' in line)
        with open(path, "wb") as file:
            file.writelines(lines[:last + 1])

    def play_and_forget(self, body, header=None, **options):
        done = self.opsrun("play", self.step(body, **({"header": header} if header else {})), "-e", "lab", **options)
        self.assertEqual(done.code, 0, done)
        self.forget_the_end()

    def killed_at(self, syscall, number, body, header, path=None):
        """Plays until its n-th call of this kind (on this path), which it does not live to make."""
        done = subprocess.run(
            ["strace", "-f", "-o", os.devnull, *(["-P", path] if path else []), "-e", f"trace={syscall}",
             "-e", f"inject={syscall}:error=EIO:signal=KILL:when={number}",
             OPSRUN, "play", self.step(body, header=header), "-e", "lab"],
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
            env=self.environ(LSAN_OPTIONS="detect_leaks=0", ASAN_OPTIONS="detect_leaks=0"))
        self.assertEqual(done.returncode, -signal.SIGKILL, done)


class Sql(Settle):

    def setUp(self):
        super().setUp()
        self.table("doubts")
        self.lab.ask("INSERT INTO doubts VALUES (0)")

    def n(self):
        return int(self.lab.ask("SELECT n FROM doubts")[0][0])

    def hold(self):
        """A session that lets nobody else change the row, until it commits."""
        session = self.lab.session()
        self.addCleanup(session.close)
        session.query("BEGIN")
        session.query("SELECT n FROM doubts FOR UPDATE")
        return session

    def play_until(self, statement, body):
        """The lab's server looks after its clients; by default none does, and statements outlive them."""
        url = self.lab.env["DATABASE_URL"]
        url += ("&" if "?" in url else "?") + "options=-c%20client_connection_check_interval%3D0"
        process = self.start("play", self.step(body), "-e", "lab", env={"DATABASE_URL": url})
        self.wait_for_statement(statement)
        return process

    def test_a_statement_that_outlives_opsrun_is_waited_for_and_known_to_be_done(self):
        holder = self.hold()
        self.kill(self.play_until("doubts SET n = 1", 'sql "primary":exec "UPDATE doubts SET n = 1"'))
        pid, = self.running("doubts SET n = 1")
        others = f"SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'opsrun%' AND pid <> {pid}"

        def let_go():
            wait_until(lambda: self.lab.ask(others), within=20)      # it is asked for
            holder.query("COMMIT")
        release = threading.Thread(target=let_go)
        release.start()
        self.assertEqual(self.said(), {"kind": "sql.exec", "word": "done"})
        release.join()
        self.assertEqual(self.n(), 1)

    def test_one_that_an_administrator_ends_meanwhile_is_known_not_to_be_done(self):
        self.hold()
        self.kill(self.play_until("doubts SET n = 1", 'sql "primary":exec "UPDATE doubts SET n = 1"'))
        pid, = self.running("doubts SET n = 1")
        threading.Timer(0.7, lambda: self.lab.ask("SELECT pg_terminate_backend($1)", str(pid))).start()
        self.assertEqual(self.said()["word"], "not done")
        self.assertEqual(self.n(), 0)

    def test_a_transaction_cut_short_between_its_statements_is_not_done(self):
        body = """sql "primary":transaction(function(tx)
          tx:exec "UPDATE doubts SET n = 1"
          shell.read { "sleep", "30" }
        end)"""
        process = self.start("play", self.step(body), "-e", "lab")
        self.assertTrue(wait_until(lambda: self.lab.ask(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE 'UPDATE doubts%'"), within=20))
        self.kill(process)
        self.assertEqual(self.said(), {"kind": "sql.transaction", "word": "not done"})

    def test_a_copy_that_was_made_is_known_to_be_done(self):
        self.play_and_forget('sql "primary":copy_in("doubts", { { n = 5 }, { n = 6 } })')
        self.assertEqual(self.said(), {"kind": "sql.copy_in", "word": "done"})

    def test_what_left_no_trace_is_not_known(self):
        self.play_and_forget('sql "primary":exec("UPDATE doubts SET n = 1", {}, { autocommit = true })')
        self.assertNotIn("word", self.said())

    def test_a_server_that_is_not_there_has_not_been_asked(self):
        self.play_and_forget('sql "primary":exec "UPDATE doubts SET n = 1"')
        done = self.opsrun("params", self.run_ids()[-1], "-e", "lab",
                           env={"OPSRUN_RUNTIME_DIR": self.runtime, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/x"})
        self.assertEqual(json.loads(done.out)["raised"], "effect", done)


class Files(Settle):

    def setUp(self):
        super().setUp()
        self.data = os.path.join(self.room, "data")
        os.mkdir(self.data)
        self.uses = self.header(files=[self.data])

    def put(self, name, text="before\n"):
        path = os.path.join(self.data, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def play_files(self, body):
        self.play_and_forget(body.replace("D/", self.data + "/"), header=self.uses)
        return self.said()

    def killed(self, syscall, number, body, path=None):
        self.killed_at(syscall, number, body.replace("D/", self.data + "/"), self.uses, path)
        return self.said()

    def test_a_write_that_took_the_name_is_done_and_answers_as_it_did(self):
        self.put("a", "before\n")
        said = self.play_files('files.write("D/a", "after, and longer\\n")')
        self.assertEqual(said["word"], "done")
        self.assertEqual(said["value"], {"items": [{"path": f"{self.data}/a", "size": 7, "after": 18}],
                                         "left": [], "count": 1, "size": 7, "freed": 0})
        self.put("a", "somebody's\n")
        self.assertIn("neither what it was nor", self.said()["why"])

    def test_a_write_cut_short_before_it_took_the_name_is_not_done(self):
        self.put("a")
        self.assertEqual(self.killed("renameat,renameat2", 1, 'files.write("D/a", "after\\n")', self.data)["word"], "not done")

    def test_a_new_file_that_is_not_there_was_not_written(self):
        self.assertEqual(self.killed("renameat,renameat2", 1, 'files.write("D/new", "x")', self.data)["word"], "not done")

    def test_a_line_appended_is_done_even_when_others_append_behind_it(self):
        self.put("log", "one\n")
        self.assertEqual(self.play_files('files.append("D/log", "two\\n")')["word"], "done")
        with open(os.path.join(self.data, "log"), "a", encoding="utf-8") as file:
            file.write("three\n")
        self.assertEqual(self.said()["word"], "done")
        os.rename(os.path.join(self.data, "log"), os.path.join(self.data, "log.1"))
        self.put("log", "one\ntwo\n")
        self.assertNotIn("word", self.said(), "a rotated log")

    def test_an_append_killed_before_its_first_byte_is_not_done_whatever_the_files_time_says(self):
        path = self.put("log", "one\n")
        self.play_files('files.append("D/log", "two\\n")')
        os.truncate(path, 4)
        self.assertEqual(self.said()["word"], "not done")

    def test_removing_a_hundred_that_was_cut_short_can_be_finished(self):
        for number in range(100):
            self.put(f"old-{number:03}")
        said = self.killed("unlinkat", 41, f'files.remove(files.list("{self.data}"))')
        self.assertEqual(len(os.listdir(self.data)), 60)
        self.assertEqual((said["word"], said["why"]), ("not done", "40 of 100 done; the rest can be done"))

    def test_files_that_are_gone_were_removed_and_another_by_the_name_is_not_the_listed_one(self):
        self.put("a")
        self.put("b")
        other = os.path.join(self.room, "another")     # an inode of its own, not the one that a left
        shutil.copy(os.path.join(self.data, "a"), other)
        self.assertEqual(self.play_files(f'files.remove(files.list("{self.data}"))')["word"], "done")
        os.rename(other, os.path.join(self.data, "a"))
        self.assertEqual(self.said()["word"], "done")

    def test_a_path_that_holds_something_else_now_is_not_known(self):
        self.put("a")
        self.assertEqual(self.play_files('files.remove "D/a"')["word"], "done")
        self.put("a", "another\n")
        self.assertIn("it changed since", self.said()["why"])

    def test_a_compressed_file_is_known_by_the_time_it_kept(self):
        self.put("a", "x" * 5000)
        said = self.play_files('files.compress "D/a"')
        self.assertEqual((said["word"], said["value"]["count"]), ("done", 1))
        with open(os.path.join(self.data, "a.gz"), "wb") as file:
            file.write(gzip.compress(b"somebody's"))
        self.assertNotIn("word", self.said())

    def test_a_compression_cut_short_is_not_done(self):
        self.put("a", "x" * 5000)
        self.assertEqual(self.killed("linkat,renameat2", 1, 'files.compress "D/a"', self.data)["word"], "not done")

    def test_one_cut_short_between_its_two_names_says_so(self):
        self.put("a", "x" * 5000)
        said = self.killed("unlinkat", 1, 'files.compress "D/a"')
        self.assertIn("whole and the original still there", said["why"])

    def test_a_file_cut_to_a_size_is_done_until_somebody_writes_to_it(self):
        self.put("a", "x" * 5000)
        said = self.play_files('files.truncate("D/a", { to = 100 })')
        self.assertEqual((said["word"], said["value"]["freed"]), ("done", 4900))
        with open(os.path.join(self.data, "a"), "a", encoding="utf-8") as file:
            file.write("more")
        self.assertNotIn("word", self.said())

    def test_a_truncation_that_was_not_made_is_not_done(self):
        path = self.put("a", "x" * 5000)
        self.assertEqual(self.killed("ftruncate", 1, 'files.truncate("D/a")', path)["word"], "not done")

    def test_a_directory_is_there_or_not_and_a_touch_may_be_made_again(self):
        self.assertEqual(self.play_files('files.mkdir "D/new"')["word"], "done")
        os.rmdir(os.path.join(self.data, "new"))
        self.assertEqual(self.said()["word"], "not done")
        self.assertEqual(self.play_files('files.touch "D/a"')["word"], "repeat")


class Others(Settle):

    def test_what_redis_shows_is_done_and_what_it_does_not_show_is_not_known(self):
        cases = {
            'redis "cache":set("k", "v")': 'redis "cache":set("k", "w")',
            'redis "cache":set("k", "v", "EX", 100)': 'redis "cache":set("k", "v")',
            'redis "cache":unlink("k", "l")': 'redis "cache":set("l", "1")',
            'redis "cache":hset("h", "a", "1", "b", "2")': 'redis "cache":hset("h", "b", "3")',
            'redis "cache":call("CONFIG", "SET", "slowlog-max-len", "77")': 'redis "cache":call("CONFIG", "SET", "slowlog-max-len", "128")',
            'redis "cache":set("e", "1") redis "cache":expire("e", 500)': 'redis "cache":expire("e", 5000)',
            'redis "cache":pipeline { { "SET", "a", "1" }, { "SADD", "s", "x", "y" } }': 'redis "cache":srem("s", "y")',
        }
        for command, other in cases.items():
            self.play_and_forget(command)
            self.assertEqual(self.said().get("word"), "done", command)
            asked = self.run_ids()[-1]
            done = self.opsrun("play", self.step(other), "-e", "lab", env={"OPSRUN_HOME": self.room + "/elsewhere"})
            self.assertEqual(done.code, 0, done)
            self.assertEqual(asked, self.run_ids()[-1])
            self.assertNotIn("word", self.said(), command)
            shutil.rmtree(self.home)
        for command in ('incr("n")', 'lpush("q", "1")', 'set("k", "v", "NX")', 'set("b", "\\255")'):
            self.play_and_forget('redis "cache":' + command)
            self.assertNotIn("word", self.said(), command)

    def test_a_request_without_a_key_is_not_known_and_one_with_a_key_may_be_repeated(self):
        got = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                got.append(dict(self.headers))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        uses = self.header(http=[origin])
        self.play_and_forget(f'http.post("{origin}/pay", {{ json = {{ sum = 1 }} }})', header=uses)
        self.assertIn("cannot be seen", self.said()["why"])
        shutil.rmtree(self.home)
        self.play_and_forget(f'http.post("{origin}/pay", {{ json = {{ sum = 1 }}, idempotency = true }})', header=uses)
        begin = [r for r in self.journal(self.run_ids()[-1]) if r["type"] == "effect.begin"][0]
        self.assertEqual(got[-1]["Idempotency-Key"], begin["token"]["key"])
        self.assertEqual(self.said(), {"kind": "http.post", "word": "repeat"})
        shutil.rmtree(self.home)
        path = os.path.join(self.room, "sent")
        with open(path, "w", encoding="utf-8") as file:
            file.write("content")
        self.play_and_forget(f'http.post("{origin}/up", {{ file = "{path}", idempotency = "X-Once" }})', header=uses)
        self.assertEqual(self.said()["word"], "repeat")
        with open(path, "a", encoding="utf-8") as file:
            file.write(", changed")
        self.assertIn("not what was sent", self.said()["why"])

    def test_a_message_is_sent_again(self):
        self.play_and_forget('notify "team" "hello"', header=self.header(notify=["team"]))
        self.assertEqual(self.said(), {"kind": "notify.send", "word": "repeat"})


if __name__ == "__main__":
    main()
