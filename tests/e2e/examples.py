"""Examples of the documentation: found in a page, played in a room of their own, compared with what it shows.

In a page, an example is a comment, a playbook, and what the console shows:

    <!-- example: pool.lua -->
    ```lua
    playbook { title = … }
    ```

    ```
    $ opsrun play pool.lua -e lab -n
    …
    ```

`<!-- file: NAME -->` before a block, also of an earlier example of the page, puts one more file into the room. A console
alone, of a playbook that is there, is marked `<!-- console: NAME -->`.
Commands are `opsrun …` (RUN is the id of the run before) and `./dev lab break|mend …`. /srv is a directory of the
room. A line that is only `…` stands for any number of lines. Compared are the words: numbers, times, ids and the width of columns are not.
"""

import glob
import os
import pwd
import re
import shlex

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ["README.md"] + sorted(os.path.relpath(path, ROOT) for path in
                               glob.glob(os.path.join(ROOT, "docs", "**", "*.md"), recursive=True))
BLOCK = re.compile(r"(?:^<!-- (example|file|console): (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.S | re.M)
SHOWN_HOME = "/var/lib/opsrun"


class Example:
    """One playbook of a page: .page .name .line, .files by name, .consoles [(start, end, text)] in the page."""

    def __init__(self, page, name, line, files):
        self.page, self.name, self.line, self.files, self.consoles = page, name, line, dict(files), []

    def __str__(self):
        return f"{self.page}:{self.line} ({self.name})"


def examples_of(page, text):
    found, files = [], {}
    for match in BLOCK.finditer(text):
        kind, name, _, body = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        if kind in ("example", "file"):
            files[name] = body
        if kind == "example":
            found.append(Example(page, name, line, files))
        elif kind == "console":
            found.append(Example(page, name, line, {}))
            found[-1].consoles.append((match.start(4), match.end(4), body))
        elif kind == "file" and found and not found[-1].consoles:
            found[-1].files[name] = body
        elif not kind and body.startswith("$ ") and found:
            found[-1].consoles.append((match.start(4), match.end(4), body))
    return [example for example in found if example.consoles]


def commands_of(console):
    """[(command, [lines it prints])] of what a console shows."""
    commands = []
    for line in console.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return commands


def plain(line):
    """A line without what differs from run to run."""
    line = re.sub(r"\b\d{4}-\d{4}-[a-z0-9-]+", "RUN", line)
    line = re.sub(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", "ID", line)
    line = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME", line)
    line = re.sub(r"\b\d[\d.,:]*\s?(µs|ms|s|m|h|d|kb|mb|gb)?((?<=[smhd])\d+[smhd])*\b", "N", line)
    line = re.sub(r"[█▉▊▋▌▍▎▏]+", "█", line)
    return " ".join(line.split())


def fits(shown, printed):
    """Whether the printed lines are those shown, where `…` stands for any; else the first line shown that has no match.

    Where a journal lies is nobody's matter here."""
    shown, printed = ([plain(line) for line in lines if not line.startswith("  journal  ")] for lines in (shown, printed))
    while shown and not shown[-1]:
        shown.pop()
    while printed and not printed[-1]:
        printed.pop()
    parts, part = [], []
    for line in shown:
        if line == "…":
            parts.append(part)
            part = []
        else:
            part.append(line)
    parts.append(part)
    at = 0
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        places = range(at, len(printed) - len(part) + 1)
        if i == 0:
            places = [0]
        if last:
            places = [len(printed) - len(part)] if i > 0 or len(part) == len(printed) else []
        place = next((p for p in places if p >= at and printed[p:p + len(part)] == part), None)
        if place is None:
            missing = [line for line in part if line not in printed]
            return False, missing[0] if missing else f"the order, or what follows '{part[-1] if part else ''}'"
        at = place + len(part)
    return True, None


class Room:
    """Where one example is played: `run(argv)` plays opsrun there, `lab(words)` turns the lab; `hidden` is [(path of
    this machine, what pages show)]."""

    def __init__(self, directory, home, run, lab, hidden=()):
        self.directory, self.home, self.run, self.lab, self.last_run = directory, home, run, lab, "RUN"
        user = pwd.getpwuid(os.geteuid()).pw_name
        self.shown = [(home, SHOWN_HOME), (directory + "/srv", "/srv"), (directory, "."), *hidden,
                      (f"{user}@{os.uname().nodename}", "ana@ops"), (f"by {user}", "by ana")]

    def write(self, files):
        os.mkdir(os.path.join(self.directory, "srv"))
        for name, text in files.items():
            path = os.path.join(self.directory, name.lstrip("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.inside(text))

    def inside(self, text):
        """Text with /srv as the room has it."""
        return re.sub(r"(?<![\w/])/srv(?=/|\b)", os.path.join(self.directory, "srv"), text)

    def do(self, command):
        """What it prints, as lines: the report, or where there is none the message."""
        words = shlex.split(command)
        if words[:2] == ["./dev", "lab"] and words[2] in ("break", "mend"):
            self.lab(words[2:])
            return []
        if words[0] != "opsrun":
            raise AssertionError(f"an example may call opsrun and ./dev lab, not '{command}'")
        printed = self.run([self.inside(re.sub(r"\bRUN\b", self.last_run, word)) for word in words[1:]], self.directory, self.home)
        runs = os.path.join(self.home, "runs")
        if os.path.isdir(runs) and os.listdir(runs):
            self.last_run = max(os.listdir(runs), key=lambda name: os.stat(os.path.join(runs, name)).st_ctime_ns)
        for real, shown in self.shown:
            printed = printed.replace(real, shown)
        return printed.splitlines()


def read(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def all_examples():
    return [example for page in PAGES for example in examples_of(page, read(page))]


def shortened(lines):
    """Of a run's report: from the first step on, without the lines that say where it is kept."""
    first = next((i for i, line in enumerate(lines) if re.match(r" 1(\.1)?  ", line)), None)
    if first is None or first < 3:
        return lines
    lines = ["…"] + lines[first:]
    return [line for line in lines if not line.startswith("  journal  ")]
