"""The workers of the lab's queue: the compose service `worker`, one process a container.

The lab's docker calls this; it loads little, since it is called often.
"""

import contextlib
import json
import os
import sys
import time

from processes import Processes

EVERYBODY = 16          # more containers than a scenario will have
WITHIN = 20             # seconds they may take to come up


class Pool:
    def __init__(self, directory):
        self.directory, self.processes = directory, Processes(directory)

    def running(self):
        return [n for n in range(1, EVERYBODY + 1) if self.processes.is_running(container(n))]

    def start(self, number):
        """Starts one; returns the file that says it is ready."""
        with open(os.path.join(self.directory, "lab.json"), encoding="utf-8") as file:
            facts = json.load(file)
        ready = os.path.join(self.directory, f"{container(number)}.ready")
        with contextlib.suppress(OSError):
            os.unlink(ready)
        self.processes.start(container(number), [
            sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "job_queue.py"), "work",
            f"redis://:{facts['password']}@127.0.0.1:{facts['redis']}/0",
            f"host=127.0.0.1 port={facts['port']} dbname=app sslmode=disable user=app_worker application_name=worker", ready,
        ], os.path.join(self.directory, "workers.log"))
        return ready

    def scale(self, count):
        """As `docker compose up --no-recreate`: what runs stays, the highest numbers go first."""
        running = self.running()
        for number in running[count:]:
            self.processes.stop(container(number))
        free = [number for number in range(1, EVERYBODY + 1) if number not in running]
        begun = [self.start(number) for number in free[:max(0, count - len(running))]]
        deadline = time.monotonic() + WITHIN
        while not all(map(os.path.exists, begun)):
            if time.monotonic() > deadline:
                raise RuntimeError("the workers did not come up, their log: workers.log")
            time.sleep(0.02)

    def compose(self, words):
        """The exit code of `docker compose WORDS`, or None: another service, or another command."""
        if words[-1] != "worker":
            return None
        if words[0] == "ps":
            print("\n".join(container(n) for n in self.running()))
        elif words[0] == "up":
            wish = [word.partition("=")[2] for word in words if word.startswith("worker=")]
            self.scale(int(wish[0]) if wish else max(1, len(self.running())))
        elif words[0] == "stop":
            self.scale(0)
        elif words[0] == "restart":
            count = len(self.running())
            self.scale(0)
            self.scale(count)
        else:
            return None
        return 0

    def inspect(self, names):
        """The states of containers, as `docker inspect --format {{json .State}}` has them."""
        for name in names:
            entry = self.processes.is_running(name) and self.processes.read(name)
            if not entry:
                print(f"Error: No such container: {name}", file=sys.stderr)
                return 1
            print(json.dumps({"Status": "running", "Pid": entry["pid"], "StartedAt": str(entry["start"])}))
        return 0


def container(number):
    return f"worker-{number}"


def answer(directory, words):
    """What the pretend docker does with these words; None: they are for somebody else."""
    if words[:1] == ["compose"]:
        return Pool(directory).compose(words[1:])
    if words[:1] == ["inspect"] and "--" in words:
        names = words[words.index("--") + 1:]
        if set(names) <= {container(n) for n in range(1, EVERYBODY + 1)}:
            return Pool(directory).inspect(names)
    return None
