"""Plays kinds of effects in one run, a step each that the others do not depend on, and says how each step ended."""

import os
import re
import tempfile

import kinds

ENVIRONMENT = """return {
  label = "trial", timezone = "Etc/UTC",
  sql = {
    primary = { url = secret.env "DATABASE_URL", statement_timeout = "30s" },
    reads = { url = secret.env "READS_URL", statement_timeout = "30s" },
    probes = { url = secret.env "PROBES_URL", statement_timeout = "30s" },
  },
  redis = { cache = { url = secret.env "REDIS_URL" }, secure = { url = secret.env "REDISS_URL", ca = env "APP_CA" } },
  http = {
    api = { base = env "APP_URL", bearer = secret.env "ADMIN_TOKEN", reads = { "POST /search" } },
    secure = { base = env "APP_TLS_URL", ca = env "APP_CA" },
  },
  smtp = { url = env "SMTP_URL", ca = env "APP_CA", from = "opsrun@lab.example", user = "opsrun", password = secret.env "SMTP_PASSWORD" },
  notify = {
    team = { { webhook = env "TEAM_HOOK" } }, report = { { email = "report@lab.example" } },
    oncall = { { pagerduty = secret.env "PAGERDUTY_KEY", url = env "PAGERDUTY_URL" }, { email = "oncall@lab.example" } },
  },
  hosts = { web = { "web1", "web2", config = env "SSH_CONFIG", reads = { "cat", "date" } } },
  logs = { app = { paths = { LOG }, format = "json" } },
  services = {
    app = { start = { "true" }, stop = { "kill", PID }, status = { "test", "-e", FILE } },
    unit = { systemd = "no-such-unit.service" },
    box = { compose = "web", dir = DIR },
    linked = { start = { "true" }, stop = { "true" }, status = { "true" }, releases = DIR, current = FILE },
  },
}
"""

HEADER = """playbook { title = "Every kind of effect", uses = {
  shell = { "bash", "touch", "rm", "docker restart", "kill", "date" }, files = { DIR }, http = { URL }, notify = { "team", "report", "oncall" },
  state = { "alerts" } } }
local service = require "service"
group("all", { keep_going = true }, function()
"""


class Trial:
    """A room for the playbook and its environment; `play` is how opsrun is run."""

    def __init__(self, world, play, journal):
        self.world, self.play_words, self.journal = world, play, journal
        self.room = tempfile.mkdtemp(prefix="opsrun-trial-")
        os.makedirs(os.path.join(self.room, "environments"))
        base = world.lab.env["DATABASE_URL"].rsplit("/", 1)[0]
        self.env = {"READS_URL": f"{base}/reads", "PROBES_URL": f"{base}/probes"}
        ground = world.playground
        self.facts = {"DIR": kinds.lua(ground.top), "FILE": kinds.lua(ground.path("file")), "LOG": kinds.lua(ground.path("log.json")),
                      "PID": kinds.lua(str(ground.process.pid)), "URL": kinds.lua(world.lab.env["APP_URL"])}
        self.write("environments/trial.lua", self.fill(ENVIRONMENT))
        self.number = 0

    def fill(self, text):
        """The text with DIR, PID and URL said: an environment and a header are pure data."""
        return re.sub(r"\b(DIR|FILE|LOG|PID|URL)\b", lambda match: self.facts[match.group(1)], text)

    def write(self, name, text):
        path = os.path.join(self.room, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def play(self, some, *words):
        """Plays them, and returns {name: its step.end record}; fails when the run did not come to its end."""
        self.number += 1
        steps = "".join(f'step("Kind {i}", {{ id = "k{i}" }}, function()\n{kind.body}\nend)\n' for i, kind in enumerate(some))
        local = "".join(f"local {name} = {value}\n" for name, value in self.facts.items())
        path = self.write(f"trial{self.number}.lua", self.fill(HEADER) + local + steps + "end)\n")
        done = self.play_words("play", path, "--config", self.room, "-e", "trial", "--no-input", *words, env=self.env)
        ended = {r["step"]: r for r in self.journal() if r["type"] == "step.end"} if done.code in (0, 1, 5) else {}
        missing = [kind.name for i, kind in enumerate(some) if f"k{i}" not in ended]
        if missing:
            raise AssertionError(f"{len(missing)} steps did not end, such as {missing[0]}\n{done}")
        return {kind.name: ended[f"k{i}"] for i, kind in enumerate(some)}
