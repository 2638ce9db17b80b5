"""environments/examples: each loads without a secret, says which are missing, and rehearses the playbooks it names.

The examples' addresses are put on a port of this machine where nobody listens: nothing goes out.
"""

import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import OPSRUN, ROOT, main  # noqa: E402

EXAMPLES = sorted(os.path.basename(path)[:-4] for path in glob.glob(os.path.join(ROOT, "environments", "examples", "*.lua")))
ADDRESSES = ((r'"https?://[\w.:-]+', '"http://127.0.0.1:9'), (r'"rediss?://[\w.:-]+', '"redis://127.0.0.1:9'),
             (r'"smtp://[\w.:-]+', '"smtp://127.0.0.1:9'), (r'address( +)= "[\w.]+"', r'address\1= "127.0.0.1"'))
# what a rehearsal needs beside the environment
WORDS = {"flags/toggle.lua": ("-p", "name=search", "-p", "action=kill")}
# where a secret is that is not there
NO_SECRET = r"environment variable '\w+' is not set|cannot read secret file|cannot run 'pass show"
# scale/workers looks at the service before anything else, and this machine does not have it
NO_SERVICE = {"scale/workers.lua": r"cannot run 'docker compose .*worker'"}


def text_of(name):
    with open(os.path.join(ROOT, "environments", "examples", f"{name}.lua"), encoding="utf-8") as file:
        return file.read()


def at_home(text):
    """The text with every address on this machine."""
    for pattern, address in ADDRESSES:
        text = re.sub(pattern, address, text)
    return text


def named_in(name):
    """The playbooks an example has parameters for."""
    return [f"{playbook}.lua" for playbook in re.findall(r'\["([\w/-]+)"\] = \{', text_of(name))]


class Examples(unittest.TestCase):

    def setUp(self):
        self.room = tempfile.mkdtemp(prefix="opsrun-examples-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        for name in EXAMPLES:
            with open(os.path.join(self.room, f"{name}.lua"), "w", encoding="utf-8") as file:
                file.write(at_home(text_of(name)))

    def call(self, *words, **secrets):
        """opsrun without any other secret in its environment."""
        kept = {k: os.environ[k] for k in ("PATH", "LSAN_OPTIONS", "ASAN_OPTIONS", "OPSRUN_RUNTIME_DIR") if k in os.environ}
        env = {**kept, "HOME": self.room, "OPSRUN_HOME": os.path.join(self.room, "runs"), "USER": "ana", "LANG": "C.UTF-8", **secrets}
        return subprocess.run([OPSRUN, *words, "--config", self.room], cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)

    def test_each_loads_without_a_secret_and_doctor_names_those_that_are_missing(self):
        for name in EXAMPLES:
            done = self.call("doctor", "-e", name)
            self.assertEqual(done.returncode, 4, done.stdout)
            secrets = set(re.findall(r'secret\.env ?\(?"(\w+)"', text_of(name))) | set(re.findall(r'secret\.file "([^"]+)"', text_of(name)))
            self.assertGreaterEqual(len(secrets), 3, name)
            for secret in secrets:
                self.assertRegex(done.stdout, rf"(?m)^  FAILED   {secret} +for [\w./, -]+: (not set|cannot read secret file)", name)
            for later in re.findall(r'secret\.prompt "([^"]+)"', text_of(name)):
                self.assertRegex(done.stdout, rf"(?m)^  ok       {later} +for [\w.]+: asked for when it is needed$")
            if "secret.command" in text_of(name):
                self.assertRegex(done.stdout, r"(?m)^  ok       pass show users/database_url +for sql.primary.url: run when it is needed, not now$")

    def test_doctor_counts_a_secret_that_is_there_and_tells_of_variables_that_are_none_in_one_line(self):
        done = self.call("doctor", "-e", "media-compose", ADMIN_TOKEN="long enough to be masked")
        self.assertRegex(done.stdout, r"(?m)^  ok       ADMIN_TOKEN +for http.api.bearer$")
        self.assertRegex(done.stdout, r"(?m)^  warning  env, not set +REDIS_ADDRESS$")
        self.assertNotIn("long enough", done.stdout)

    def test_the_parameters_of_each_are_of_the_right_type(self):
        for name in EXAMPLES:
            for playbook in named_in(name):
                done = self.call("params", playbook, "-e", name)
                self.assertNotIn("WRONG", done.stdout, f"{name} {playbook}")
                if " MISSING " not in done.stdout:
                    self.assertEqual(done.returncode, 0, done.stdout)

    def test_every_playbook_rehearses_in_one_of_them_up_to_a_secret_that_is_missing(self):
        top = os.path.join(ROOT, "playbooks")
        library = sorted(os.path.relpath(path, top) for path in glob.glob(os.path.join(top, "*", "*.lua")))
        pairs = [(name, playbook) for name in EXAMPLES for playbook in named_in(name)]
        pairs += [(name, playbook) for playbook in set(library) - {named for _, named in pairs} for name in EXAMPLES]

        def rehearse(pair):
            return pair, self.call("play", pair[1], "-n", "--no-input", "-e", pair[0], *WORDS.get(pair[1], ()))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            done = list(pool.map(rehearse, pairs))
        plays = set()
        for (name, playbook), run in done:
            # no mistake of the file (3), nothing it was never allowed to (5), nothing unforeseen (70)
            self.assertIn(run.returncode, (0, 1, 4, 9), f"{name} {playbook}\n{run.stdout}")
            self.assertNotRegex(run.stdout, "is no parameter of this playbook|attempt to", f"{name} {playbook}")
            if playbook in named_in(name):
                self.assertNotRegex(run.stdout, r"has no \w+ connection", f"{name} {playbook}")
            if run.returncode == 0 or run.returncode == 4 and re.search(NO_SECRET, run.stdout) or \
                    playbook in NO_SERVICE and re.search(NO_SERVICE[playbook], run.stdout):
                plays.add(playbook)
        self.assertEqual(sorted(set(library) - plays), [])


class InTheLab(AuthorTest):
    """An example with the lab's values in it."""

    def test_with_the_lab_s_addresses_and_secrets_it_rehearses_to_the_end(self):
        text = at_home(text_of("media-compose").replace("http://localhost:3000", "APP")).replace('"APP"', 'env "APP_URL"')
        words = self.environment(text)
        secrets = {"REDIS_ADDRESS": self.lab.env["REDIS_URL"], "STAGING_DATABASE_URL": self.lab.env["DATABASE_URL"],
                   **{name: "12345678" for name in ("SLACK_WEBHOOK", "PAGERDUTY_KEY", "STATUS_TOKEN", "S3_SECRET_KEY")}}
        secrets["SLACK_WEBHOOK"] = "http://127.0.0.1:9/hook"
        for playbook in ("incident/db-exhaustion.lua", "incident/redis-memory.lua", "incident/deadlocks.lua"):
            done = self.opsrun("play", playbook, *words, "-n", env=secrets)
            self.expect(done, code=0, out=["DRY RUN DONE"], absent=["is not set"])


if __name__ == "__main__":
    main()
