"""Commands on other hosts: over real sshds of the lab, with hosts that are dead, changed, deaf or dropped."""

import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import alive, descendants, main, start_time, wait_until  # noqa: E402

HEADER = ('playbook { title = "Trial", uses = { shell = { "bash", "sh", "cat", "true", "id", "tty", "printf",'
          ' "sleep", "head", "nope" } } }\n')


class HostsTest(AuthorTest):

    def path_of(self, *names):
        return os.path.join(self.lab.directory, "ssh", *names)

    def log(self, host):
        with open(self.path_of(f"{host}.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def server(self, host):
        with open(os.path.join(self.lab.directory, f"ssh-{host}.pid"), encoding="utf-8") as file:
            return json.load(file)["pid"]

    def port(self, host):
        said = subprocess.run(["ssh", "-F", self.path_of("config"), "-G", host], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=True).stdout
        return int(next(line.split()[1] for line in said.splitlines() if line.startswith("port ")))

    def step(self, body, *words, header=HEADER, **more):
        return super().step(body, *words, header=header, **more)

    def hosts(self, text):
        """Words that play in an environment with these hosts."""
        return self.environment(f"return {{ hosts = {{ {text} }} }}")

    def drop(self, host):
        """Kills the connections of a host, not its server, as a cable does."""
        for pid in descendants(self.server(host)):
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                    if file.read().strip() == "sshd":
                        os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def connections(self, process):
        """Pids of the connections to hosts that opsrun has open."""
        found = []
        for pid in descendants(process.pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    found += [pid] if b"\0-M\0-N\0" in file.read() else []
            except OSError:
                pass
        return found

    def start_step(self, body, *words):
        path = self.write("books/trial.lua", f'{HEADER}step("Try", function(p)\n{body}\nend)\n')
        process = self.start("play", path, *(words or ("-e", "lab")))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def end(self, process):
        out, err = process.communicate(timeout=60)
        return process.returncode, (out + err).decode(errors="replace")


class Commands(HostsTest):

    def test_words_input_environment_and_exit_code_are_exact_on_every_host(self):
        done = self.step('''
          local words = {}
          each(hosts "web", function(name)
            local said = shell.run({ "sh", "-c", "cat; printf '%s|%s|%s' \\"$1\\" \\"$2\\" \\"$A\\"; exit 255", "sh", "it's $HOME\\n", "" },
              { host = name, stdin = "in\\n", env = { A = "x\\ny" }, codes = { 255 } })
            words[#words + 1] = said.code .. said.stdout
          end)
          return words''')
        self.expect(done, code=0)
        self.assertEqual(self.kept("try"), ["255in\nit's $HOME\n||x\ny"] * 2)

    def test_a_text_runs_under_bash_where_a_failure_inside_a_pipeline_counts(self):
        done = self.step('shell.run("false | true", { host = "web1" })')
        self.expect(done, code=1, text=["'web1: false | true' exited with 1"])

    def test_a_command_or_directory_that_is_not_there_was_not_sent(self):
        done = self.step('shell.run({ "nope" }, { host = "web1" })')
        self.expect(done, code=1, text=["cannot run 'nope' on host 'web1': command not found"])
        done = self.step('shell.run({ "true" }, { host = "web1", cwd = "/no/such" })')
        self.expect(done, code=1, text=["its directory: '/no/such' cannot be entered"])

    def test_a_secret_is_in_no_list_of_processes_on_either_side(self):
        process = self.start_step('''
          local token = sql "primary":environment().PGPASSWORD
          local found = shell.run("echo $TOKEN | wc -c; sleep 2", { host = "web1", env = { TOKEN = token } })
          if found.text == "1" then fail("it did not arrive") end''')
        token = self.lab.env["DATABASE_URL"].split(":")[2].split("@")[0]
        seen, argv = False, []
        while process.poll() is None:      # below us and below the host's server: every lab has this password
            for pid in {process.pid, *descendants(process.pid), *descendants(self.server("web1"))}:
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as file:
                        line = file.read()
                except OSError:
                    continue
                seen = seen or b"wc -c; sleep 2" in line
                if token.encode() in line:
                    argv.append(line)
            time.sleep(0.01)
        code, text = self.end(process)
        self.assertEqual(code, 0, text)
        self.assertTrue(seen, "the command never ran")
        self.assertEqual(argv, [])

    def test_thirty_commands_side_by_side_share_one_connection(self):
        before = self.log("web1").count("Accepted publickey")
        done = self.step('''
          local list = {}
          for i = 1, 30 do list[i] = i end
          return each(list, { limit = 30 }, function(i) return shell.run({ "printf", i }, { host = "web1" }).text end)''')
        self.expect(done, code=0)
        self.assertEqual(self.kept("try"), [str(i) for i in range(1, 31)])
        self.assertEqual(self.log("web1").count("Accepted publickey") - before, 1)

    def test_what_nobody_vouches_for_is_no_read_and_nothing_of_it_is_sent(self):
        before = self.log("web1")
        for words in ((), ("-n",)):
            done = self.step('shell.read({ "head", "-c", "1", "/etc/passwd" }, { host = "web1" })', *words)
            self.expect(done, code=5, text=["does not declare it for 'web1'", 'reads = { "head -c" }'])
        self.assertEqual(self.log("web1"), before)
        done = self.step('note("%s", shell.read({ "cat", "/proc/version" }, { host = "web1" }).text)', "-n")
        self.expect(done, code=0, out=["Linux version", r"\(1 declared\)"])

    def test_a_dry_run_shows_a_change_and_connects_to_nobody(self):
        before = self.log("web2")
        done = self.step('shell.run({ "sh", "-c", "id" }, { host = "web2", cwd = "/srv", user = "app" })', "-n")
        self.expect(done, code=0, out=["WOULD run web2: sh -c id \\(as app\\)|web2: sh -c id \\(as app\\)", "in /srv"])
        self.assertEqual(self.log("web2"), before)

    def test_names_are_checked_and_the_nearest_is_told(self):
        done = self.step('shell.run({ "true" }, { host = "wbe1" })')
        self.expect(done, code=4, text=["no hosts connection 'wbe1'", "did you mean 'web1'"])
        done = self.step('shell.run({ "true" }, { host = "web" })')
        self.expect(done, code=4, text=["'web' is a group of 2 hosts: web1, web2", 'each\\(hosts "web"'])
        header = 'playbook { title = "Trial", params = { where = { type = "hosts" } } }\n'
        body = 'for _, name in ipairs(hosts(p.where)) do note("on %s", name) end'
        self.expect(self.step(body, "-p", "where=web", header=header), code=0, out=["on web1", "on web2"])
        self.expect(self.step(body, "-p", "where=web2", header=header), code=0, out=["on web2"])
        self.expect(self.step(body, "-p", "where=nope", header=header), code=2, text=["no hosts connection 'nope'"])

    def test_another_user_and_a_terminal_here_and_there(self):
        if os.geteuid() != 0:
            self.skipTest("only root becomes another user without a password")
        for where in ("", ', host = "web1"'):
            done = self.step(f'''
              return {{ shell.run({{ "id", "-un" }}, {{ user = "nobody"{where} }}).text,
                        (shell.run({{ "tty" }}, {{ tty = true{where} }}).text:gsub("%s", "")) }}''')
            self.expect(done, code=0)
            user, terminal = self.kept("try")
            self.assertEqual(user, "nobody")
            self.assertRegex(terminal, "^/dev/pts/[0-9]+$")

    def test_output_of_any_size_becomes_an_artifact(self):
        for where in ("", 'host = "web1", '):
            done = self.step(f'''
              local made = shell.run({{ "head", "-c", "100000000", "/dev/zero" }}, {{ {where}to = "zeros" }})
              return {{ made.path, made.size, made.stdout }}''')
            self.expect(done, code=0, out=["saved .*/artifacts/zeros"])
            path, size, stdout = self.kept("try")
            self.assertEqual((size, stdout, os.path.getsize(path)), (100000000, "", 100000000))


class Trouble(HostsTest):

    def setUp(self):
        super().setUp()
        self.config = f'config = "{self.path_of("config")}"'

    def refused(self, host, code, *text):
        done = self.step('shell.run({ "true" }, { host = "it" })', *self.hosts(f"it = {{ {host} }}"))
        self.expect(done, code=code, text=["cannot connect to host 'it'", *text], absent=["OUTCOME UNKNOWN"])
        self.assertEqual([r["outcome"] for r in self.last("effect.end")], ["not sent"])

    def test_a_dead_host_is_named_and_nothing_was_sent(self):
        self.refused('address = "127.0.0.1", port = 1', 1, "connection refused")

    def test_a_host_that_says_nothing_is_given_up_in_time(self):
        import socket
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(1)
            began = time.monotonic()
            self.refused(f'address = "127.0.0.1", port = {deaf.getsockname()[1]}, connect_timeout = "1s"', 1,
                         "no answer|closes the connection")
            self.assertLess(time.monotonic() - began, 20)

    def test_a_key_that_is_not_accepted_is_told(self):
        key = self.path("other")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.refused(f'address = "127.0.0.1", port = {self.port("web1")}, key = "{key}",'
                     f' known_hosts = "{self.path_of("known_hosts")}"', 1, "accepts none of the keys")

    def test_a_changed_host_key_is_refused_and_its_place_is_named(self):
        with open(self.path_of("user.key.pub"), encoding="ascii") as file:
            other = " ".join(file.read().split()[:2])
        known = self.write("known", f"[127.0.0.1]:{self.port('web1')} {other}\n")
        self.refused(f'address = "web1", {self.config}, known_hosts = "{known}"', 5,
                     "another machine, or somebody in between", f"{known}, line 1", "ssh-keygen -R")

    def test_an_unknown_host_key_is_refused_whatever_the_users_own_file_says(self):
        with open(self.path_of("config"), encoding="utf-8") as file:
            lax = self.write("lax", "Host *\n  StrictHostKeyChecking no\n" + file.read())
        known = self.write("none", "")
        self.refused(f'address = "web1", config = "{lax}", known_hosts = "{known}"', 5, "its host key is not known here")
        with open(known, encoding="utf-8") as file:
            self.assertEqual(file.read(), "")

    def test_a_name_that_is_not_resolved_is_told(self):
        self.refused('address = "no.such.host.invalid"', 1, "'no.such.host.invalid' is not resolved")

    def test_a_host_behind_another_one_is_reached(self):
        words = self.hosts(
            f'gate = {{ address = "web1", {self.config} }}, inner = {{ address = "127.0.0.1", port = {self.port("web2")},'
            f' jump = "gate", key = "{self.path_of("user.key")}", known_hosts = "{self.path_of("known_hosts")}" }}')
        before = self.log("web1").count("Accepted publickey")
        self.expect(self.step('note("%s", shell.run({ "id", "-u" }, { host = "inner" }).text)', *words), code=0,
                    out=[f"\\b{os.geteuid()}\\b"])
        self.assertEqual(self.log("web1").count("Accepted publickey") - before, 1)

    def test_a_change_whose_connection_drops_is_unknown_a_read_is_failed(self):
        for verb, code, text in (("run", 7, "OUTCOME UNKNOWN"), ("read", 1, "FAILED")):
            fifo = self.path(f"fifo-{verb}")
            os.mkfifo(fifo)
            process = self.start_step(f'shell.{verb}({{ "cat", "{fifo}" }}, {{ host = "web1" }})')
            with open(fifo, "wb"):      # opens when the command reads it: it runs
                if verb == "run":       # and the journal knows by what it is found there
                    token = self.last("effect.begin")[-1]["token"]
                    found = subprocess.run(["pgrep", "-f", token["mark"]], stdout=subprocess.PIPE, check=False)
                    self.assertEqual((found.returncode, token["host"]), (0, "web1"))
                self.drop("web1")
                ended, said = self.end(process)
            self.assertEqual(ended, code, said)
            self.assertIn(text, said)
            self.assertIn("the connection to host 'web1' broke while 'cat", said)

    def test_a_connection_that_dropped_between_two_commands_is_made_again(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        process = self.start_step(f'''
          shell.run({{ "true" }}, {{ host = "web1" }})
          shell.run({{ "cat", "{fifo}" }})
          shell.run({{ "true" }}, {{ host = "web1" }})''')
        with open(fifo, "wb"):
            self.drop("web1")
            self.assertTrue(wait_until(lambda: not self.connections(process), within=20), "it has not heard that it dropped")
        code, text = self.end(process)
        self.assertEqual(code, 0, text)


class Ends(HostsTest):

    SLEEP = 86400 + os.getpid()      # nobody else's

    def sleepers(self):
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if file.read() == f"sleep\0{self.SLEEP}\0".encode():
                        found[int(pid)] = start_time(int(pid))
            except OSError:
                pass
        return found

    def test_a_command_that_takes_too_long_is_ended_on_its_host_as_well(self):
        done = self.step(f'shell.run("sleep {self.SLEEP}; true", {{ host = "web1", timeout = "2s" }})')
        self.expect(done, code=7, text=["did not end within 2 s"])
        self.assertTrue(wait_until(lambda: not self.sleepers(), within=20))

    def test_an_interrupted_command_is_ended_on_its_host_as_well(self):
        process = self.start_step(f'shell.run("sleep {self.SLEEP}; true", {{ host = "web1" }})')
        self.assertTrue(wait_until(self.sleepers, within=20))
        process.send_signal(signal.SIGINT)
        self.assertTrue(wait_until(lambda: self.last("signal"), within=20))
        process.send_signal(signal.SIGINT)
        code, text = self.end(process)
        self.assertEqual(code, 7, text)
        self.assertTrue(wait_until(lambda: not self.sleepers(), within=20))

    def test_no_connection_outlives_its_run_not_even_a_killed_one(self):
        for kill in (False, True):
            process = self.start_step('shell.run({ "true" }, { host = "web1" })\n'
                                      f'shell.run({{ "sleep", "{self.SLEEP if kill else 1}" }})')
            self.assertTrue(wait_until(lambda: self.connections(process) and len(self.last("effect.begin")) == 2, within=20))
            self.assertTrue(wait_until(lambda: not kill or self.sleepers(), within=20))
            below = descendants(process.pid)
            if kill:
                process.kill()
            process.communicate(timeout=30)
            self.assertTrue(wait_until(lambda: not alive(below), within=10), below)


class Doctor(HostsTest):

    def test_doctor_tries_every_host(self):
        words = self.hosts(f'web = {{ "web1", "web2", config = "{self.path_of("config")}" }}, dead = "127.0.0.1:1"')
        done = self.opsrun("doctor", *words)
        self.expect(done, code=4, out=["ok +host web1 +lets us in as", "ok +host web2", "FAILED +host dead .*connection refused"])


if __name__ == "__main__":
    main()
