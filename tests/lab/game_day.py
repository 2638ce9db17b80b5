"""./dev game-day: something real breaks in a private lab, a pager says so, and you repair it.

usage: ./dev game-day NAME            at a terminal; NAME: %(names)s, or 'any'
       ./dev game-day --check NAME    nobody is asked: the playbook for it is played, as a test of the day itself

You get a shell with opsrun on its PATH and the lab as its environment. The day is over when you leave the shell; then it
tells how long the lab was not well, and what was played and changed. Nothing of it stays.
"""

import contextlib
import ctypes
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import database
import lab as lab_command
import lock_queue
import pq
import redis_memory
import resp
import scenarios

POLL = 0.3             # seconds between two looks at the lab
CALM = 3.0             # well for so long is well; --check believes it sooner
CALM_CHECKED = 1.0
CHANGES = 5            # so many of a run's changes are shown
WIDTH = 100
AGAIN = 300.0          # seconds after which the pager says it once more
CHECK_WITHIN = 120.0   # --check gives up then
PR_SET_CHILD_SUBREAPER = 36
OPSRUN = os.environ.get("OPSRUN_BIN") or os.path.join(database.ROOT, "build", "opsrun")


# Whether the lab is well, and what there is to be seen of it.

def connections_are_free(lab):
    used, limit = scenarios.usage(lab)
    return used < 0.8 * (limit - 3), f"{used} of {limit} connections are used"


def application_serves(lab):
    with urllib.request.urlopen(f"http://127.0.0.1:{lab.facts['http']}/health", timeout=5) as answer:
        status = json.load(answer)["status"]
        return status == "healthy", f"/health says {status}"


def redis_has_room(lab):
    with redis_memory.connect(lab) as redis:
        used, limit = int(redis.info("used_memory")), int(redis.info("maxmemory"))
        return limit == 0 or used < 0.8 * limit, f"{used >> 20} of {limit >> 20} MB of redis are used"


def nobody_waits(lab):
    waiting = int(lock_queue.ask(lab, lock_queue.WAITING)[0][0])
    return waiting == 0, f"{waiting} locks are waited for"


class Day:
    """What the pager says of a scenario, when it is over, and the answer that --check plays."""

    def __init__(self, page, is_well, answer):
        self.page, self.is_well, self.answer = page, is_well, answer


DAYS = {
    "db-exhaustion": Day(
        ["critical  shop: 41 % of requests fail, p95 30 s",
         "          log of the api: FATAL: remaining connection slots are reserved for superusers"],
        connections_are_free, ["incident/db-exhaustion.lua", "-p", "idle=0s"]),
    "app-down": Day(
        ["critical  shop: /health does not answer, 3 of 3 probes",
         "          customers see nothing at all"],
        application_serves, ["incident/service-outage.lua", "--answer", "cause=application"]),
    "redis-memory": Day(
        ["critical  shop: nobody can log in, every write of a session fails",
         "          log of the api: OOM command not allowed when used memory > 'maxmemory'"],
        redis_has_room, ["incident/redis-memory.lua", "-p", "target=128mb", "-p", "prefixes=page:", "-p", "drop=tmp:"]),
    "deadlocks": Day(
        ["critical  checkout: orders hang for minutes, then time out",
         "          log of the database: ERROR: deadlock detected, several times"],
        nobody_waits, ["incident/deadlocks.lua", "-p", "wait=0s", "-p", "grace=1s", "-p", "drain=10s", "-p", "watch=1s"]),
}


def spell(seconds):
    minutes, rest = divmod(int(seconds + 0.5), 60)
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def say(text=""):
    """A line on a terminal that a shell may be using: from its left edge."""
    end = "\r\n" if sys.stdout.isatty() else "\n"
    sys.stdout.write(text.replace("\n", end) + end)
    sys.stdout.flush()


class Watch(threading.Thread):
    """Looks at the lab until it was well for `calm` seconds. .seconds: how long it was not, from the page on; None: it still
    is not. .seen: what was seen last."""

    def __init__(self, lab, day, calm, tell):
        super().__init__(daemon=True)
        self.lab, self.day, self.calm, self.tell, self.began = lab, day, calm, tell, time.monotonic()
        self.seconds, self.seen, self.over, self.paged = None, "nothing yet", threading.Event(), self.began

    def look(self):
        try:
            well, self.seen = self.day.is_well(self.lab)
        except (OSError, ValueError, RuntimeError, pq.Error, resp.Error) as error:
            well, self.seen = False, str(error)
        return well

    def run(self):
        since = None
        while not self.over.wait(POLL):
            now = time.monotonic()
            if not self.look():
                since = None
            elif since is None:
                since = now
            elif now - since >= self.calm:
                self.seconds = since - self.began
                self.tell(f"\n── The lab is well again, {spell(self.seconds)} after the page: {self.seen}. 'exit' ends the day.")
                return
            if now - self.paged >= AGAIN:
                self.paged = now
                self.tell(f"\n── PAGE, again, after {spell(now - self.began)}: {self.seen}")


def opsrun_json(env, *words):
    done = subprocess.run([OPSRUN, *words, "--json"], env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()]


def runs(env):
    """What was played, oldest first, each with the changes it made."""
    played = opsrun_json(env, "runs")
    for run in played:
        records = opsrun_json(env, "log", run["run"]) if run["mode"] == "live" else []
        run["changed"] = [record["summary"] for record in records if record["type"] == "effect.end"
                          and record["class"] == "change" and record["outcome"] == "done"]
    return sorted(played, key=lambda run: run["started"])


def summary(watch, paged_at, played):
    say()
    say("─" * 60)
    if watch.seconds is None:
        say(f"Not well, {spell(time.monotonic() - watch.began)} after the page: {watch.seen}")
    else:
        say(f"Well {spell(watch.seconds)} after the page")
    say(f"  {paged_at}  page")
    for run in played:
        code = f"exit {run['code']}" if run.get("code") is not None else run["state"]
        done = "dry run" if run["mode"] != "live" else f"{len(run['changed']) or 'no'} change{'s'[:len(run['changed']) != 1]}"
        say(f"  {run['started'][11:19]}  {run['playbook']}  {done}, {code}")
        for change in run["changed"][:CHANGES]:
            say(f"              {change if len(change) <= WIDTH else change[:WIDTH - 1] + '…'}")
        if len(run["changed"]) > CHANGES:
            say(f"              … and {len(run['changed']) - CHANGES} more")
    if not played:
        say("  nothing was played with opsrun")
    unfinished = [run["run"] for run in played if run["mode"] == "live" and run["state"] not in ("done", "undone", "closed")]
    if unfinished:
        say(f"  left open  {', '.join(unfinished)}: on a real day 'opsrun status' says what to type")


def instructions(room, opsrun_dir):
    say(f"""
You are on call. A shell follows, in which 'opsrun' is on the PATH and this lab is the environment.

  opsrun list incident                     the playbooks there are
  opsrun play incident/assess.lua          what is wrong, and what to play
  opsrun play PLAYBOOK -n                  a rehearsal; without -n it is live, and asks
  opsrun status                            what you left open
  exit                                     ends the day, well or not

A second terminal: cd {database.ROOT} && eval "$(OPSRUN_LAB_DIR={room}/lab ./dev lab env)" &&
  export OPSRUN_HOME={room}/home PATH={opsrun_dir}:$PATH
""")


def shell(room, env):
    """A person's shell, until they leave it. Its job control has the terminal; what they type never ends us."""
    rc = os.path.join(room, "rc")
    with open(rc, "w", encoding="ascii") as file:
        file.write("PS1='game-day \\$ '\nunset HISTFILE PROMPT_COMMAND\n")
    signal.signal(signal.SIGINT, lambda *_: None)
    bash = subprocess.Popen(["bash", "--noprofile", "--rcfile", rc, "-i"], cwd=database.ROOT, env=env)
    try:
        bash.wait()
    finally:
        if bash.poll() is None:      # somebody ended us: bash hangs up on what it started, and goes
            bash.send_signal(signal.SIGHUP)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def answer(day, watch, env):
    """Plays the playbook for it; what it printed is shown when it does not help."""
    words = [OPSRUN, "play", *day.answer, "-e", "lab", "--yes"]
    say("$ opsrun " + " ".join(words[1:]))
    done = subprocess.run(words, env=env, cwd=database.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    watch.join(CHECK_WITHIN if done.returncode == 0 else 5)
    if watch.seconds is None:      # it may help and yet end with 1: the disks of this machine are looked at, too
        say(done.stdout)


def children():
    found = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
            found += [int(word) for word in file.read().split()]
    return found


def end_children(within=10):
    """Ends what was left behind: all that comes down to us, TERM first, KILL after so long."""
    deadline = time.monotonic() + within
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = children()
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if time.monotonic() > deadline else signal.SIGTERM)
        time.sleep(0.05)


def play(name, checking, room):
    day, lab = DAYS[name], lab_command.Lab(os.path.join(room, "lab"))
    say("Game day: a private lab comes up; nothing of yours is touched.")
    with contextlib.redirect_stdout(io.StringIO()):
        lab_command.up(lab)
        scenarios.break_it(lab, name)
    env = {**os.environ, **lab_command.environment(lab), "OPSRUN_HOME": os.path.join(room, "home")}
    env["PATH"] = ":".join([lab.path("bin"), os.path.dirname(os.path.abspath(OPSRUN)), os.environ["PATH"]])
    paged_at = time.strftime("%H:%M:%S", time.gmtime())
    watch = Watch(lab, day, CALM_CHECKED, lambda _: None) if checking else Watch(lab, day, CALM, say)
    if watch.look():
        raise RuntimeError(f"'{name}' broke nothing: {watch.seen}")
    say("\n" + "\n".join([f"── PAGE  {paged_at} UTC", *day.page]))
    if not checking:
        instructions(room, os.path.dirname(os.path.abspath(OPSRUN)))
    watch.start()
    if checking:
        answer(day, watch, env)
    else:
        shell(room, env)
    watch.over.set()
    watch.join()
    summary(watch, paged_at, runs(env))
    return 1 if watch.seconds is None else 0


def clean_up(room):
    """Whatever happens meanwhile: the lab, what the shell left, the room."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    lab = lab_command.Lab(os.path.join(room, "lab"))
    try:
        lab_command.down(lab, quiet=True)
    except lab_command.Trouble:
        pass                          # it was not so far that it is a lab, or anything of it runs
    finally:
        end_children()
        shutil.rmtree(room, ignore_errors=True)
    say("\nThe lab is down: no process, no file left.")


def leave(number, _):
    raise SystemExit(128 + number)


def main(words):
    checking = words[:1] == ["--check"]
    words = words[1:] if checking else words
    if len(words) != 1 or words[0] not in (*DAYS, "any"):
        print(__doc__.split("\n\n", 1)[1].rstrip() % {"names": ", ".join(DAYS)}, file=sys.stderr)
        return 2
    if not checking and not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("game-day: it needs a person at a terminal; '--check NAME' plays the playbook for it and looks whether it helps",
              file=sys.stderr)
        return 2
    if not os.access(OPSRUN, os.X_OK):
        print(f"game-day: there is no '{OPSRUN}': './dev build' makes it", file=sys.stderr)
        return 1
    for variable in [variable for variable in os.environ if variable.startswith("PG")]:
        del os.environ[variable]      # what is set for somebody else's server is not meant for ours
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    room = tempfile.mkdtemp(prefix="opsrun-game-day-")
    os.chmod(room, 0o711)             # the server, another user, must get to its files
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, leave)
        return play(random.choice(sorted(DAYS)) if words[0] == "any" else words[0], checking, room)
    except KeyboardInterrupt:
        return 130
    except (lab_command.Trouble, RuntimeError, OSError, pq.Error) as error:
        why = error.__context__              # a lab that was half up could not be taken down in its own way
        if isinstance(why, (KeyboardInterrupt, SystemExit)):
            return getattr(why, "code", 130)
        print(f"game-day: {error}", file=sys.stderr)
        return 1
    finally:
        clean_up(room)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
