"""The judge of the kill matrix: what the servers counted, what a journal leaves in doubt, and whether both are right."""

import gzip
import json
import os
import re
import urllib.request

from harness import ROOT  # noqa: F401   puts the lab's modules on the path
import pq
import resp

SETTLED_BY_THEMSELVES = ("sql.", "files.write", "files.append", "files.remove", "files.truncate", "files.mkdir", "notify.")


def tally(case):
    """{where: {mark: how often}} of one tag, from the servers and the disk."""
    with urllib.request.urlopen(f"{case.servers['url']}/tally/{case.tag}", timeout=20) as answer:
        counted = json.load(answer)
    session = pq.Session(case.servers["env"]["DATABASE_URL"] + "?sslmode=disable&application_name=lab-observer")
    try:
        rows = [row[0] for row in session.query("SELECT mark FROM marks WHERE tag = $1 ORDER BY id", case.tag)]
    finally:
        session.close()
    return {"rows": count(rows), "requests": counted["marks"], "switches": counted["switches"], **keys(case),
            **files(case), "state": state(case), "order": counted["order"]}


def count(marks):
    return {mark: marks.count(mark) for mark in marks}


def keys(case):
    name = "matrix:" + case.tag
    with resp.Redis(case.servers["env"]["REDIS_URL"]) as redis:
        redis.ask("PING")       # behind this, all that a dead client had sent is done
        pairs = [word.decode() for word in redis.ask("HGETALL", name)]
        one = {"m_hash": 1} if redis.ask("HGET", name + ":set", "m_hash") == b"1" else {}
        two = {"m_pair_key": 1} if redis.ask("GET", name + ":pair") == b"1" else {}
    return {"keys": {pairs[i]: int(pairs[i + 1]) for i in range(0, len(pairs), 2)} | one | two}


def files(case):
    found = {}
    for name in ("commands", "room/list", "log"):
        for path, opened in ((os.path.join(case.dir, name), open), (os.path.join(case.dir, name + ".gz"), gzip.open)):
            if os.path.exists(path):
                with opened(path, "rt") as file:
                    found[os.path.basename(path)] = count(file.read().split())
    room = os.path.join(case.dir, "room")
    names = sorted(os.listdir(room)) if os.path.isdir(room) else []
    found["room"] = [name for name in names if not name.startswith(".opsrun-")]     # what a killed write leaves beside
    return found


def state(case):
    """Values kept, and how many values each check's series has."""
    path = os.path.join(case.home, "state", "matrix." + case.book)
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        kept = json.load(file)
    return {"values": kept["values"], "series": {name: len(points) for name, points in kept["series"].items()}}


def more_than_once(counted):
    """Marks of a whole run that do not stand there exactly once."""
    return {(where, mark): n for where, marks in counted.items() if isinstance(marks, dict) and where not in ("state", "switches")
            for mark, n in marks.items() if n != 1 or "wrong" in mark or mark == "m_never"}


def key(record):
    return tuple(record.get(name) for name in ("path", "step", "attempt", "branch", "ordinal"))


def is_change(record):
    return record.get("class") in ("change", "tell")


def doubts(records):
    """Begin records without an outcome, in order."""
    begun = {}
    for record in records:
        if record["type"] == "effect.begin":
            begun[key(record)] = record
        elif record["type"] == "effect.end" and is_change(record) and record["outcome"] != "unknown":
            begun.pop(key(record), None)
    return list(begun.values())


def what(record):
    """A name for an effect that is the same in every run of its book: kind, path, step, branch, number."""
    branch = f".{record['branch']}" if record["branch"] else ""
    return f"{record['kind']} {record['path']}/{record['step']}{branch} {record['ordinal']}"


def line(record):
    """A record in short, for whoever reads why a point is wrong."""
    names = ("n", "type", "path", "step", "attempt", "branch", "ordinal", "kind", "outcome", "state", "resolved", "number",
             "ok", "code", "summary", "text", "error")
    return " ".join(f"{record[name]}" for name in names if record.get(name) not in (None, ""))


def effects(records):
    return {what(record) for record in records if record["type"] == "effect.begin"}


def happened(case, begin):
    """Has anybody seen this change? None when its marks do not tell."""
    text, counted = json.dumps(begin), case.tally()
    switch = re.search(r"/switch/[^/\"]+/(\w+)/(on|off)", text)
    if switch:
        return f"{switch.group(1)}_{switch.group(2)}" in counted["requests"]
    if begin["kind"] == "files.compress":
        return compressed(case, "room/list")
    seen = {mark for marks in counted.values() if isinstance(marks, dict) for mark in marks}
    wanted = set(re.findall(r"\bm_\w+", text))
    if f"matrix:{case.tag}:pair" in text:
        wanted = {"m_pair_key"}
    return bool(wanted & seen) if wanted else None


def compressed(case, name):
    """Is the compressed file there, whole? Then whoever looks after it removes the original by hand."""
    path = os.path.join(case.dir, name)
    if os.path.exists(path) and os.path.exists(path + ".gz"):
        os.unlink(path)
    return os.path.exists(path + ".gz")


def answer(case, gate, before, result):
    """GATE=happened or GATE=not, for a gate that opsrun names because it cannot know."""
    asked = [begin for begin in before if gate == f"{begin['step']}.outcome.{begin['n']}"]
    assert len(asked) == 1, f"asked about '{gate}', and in doubt were {[what(begin) for begin in before]}"
    begin, truth = asked[0], happened(case, asked[0])
    assert truth is not None, f"nobody has seen whether {what(begin)} happened"
    assert not begin["kind"].startswith(SETTLED_BY_THEMSELVES), f"asked about {what(begin)}"
    result["asked"].append(what(begin))
    return f"{gate}={'happened' if truth else 'not'}"


def note_place(case, result):
    """Where the kill struck: which effects are in doubt, and whether they were seen; else the last record."""
    records = case.journal()
    for begin in doubts(records):
        result["doubts"].append((what(begin), happened(case, begin)))
    changes = [record for record in records if record["type"] in ("effect.begin", "effect.end") and is_change(record)]
    result["ended"] += [what(record) for record in changes if record["type"] == "effect.end"][-1:]
    result["place"] = records[-1]["type"] if records else "before the run"


def compare(case, result, expected):
    """Nothing more, nothing less than in a run that was left alone."""
    counted = case.tally()
    if not any(record["type"] == "run.start" for record in case.journal()):
        expected = {where: [] if isinstance(value, list) else {} for where, value in expected.items()}
        counted.pop("room")
        expected.pop("room")
    else:
        expected = dict(expected)
    ways_asked = any(".u" in asked for asked in result["asked"])     # the others do not wait for a way in doubt
    if case.book != "switches" or ways_asked:       # in which requests come one after another
        expected.pop("order")
        counted.pop("order")
    for where in sorted({*expected, *counted}):
        was, is_now = expected.get(where, {}), counted.get(where, {})
        if was != is_now and not result["wrong"]:
            result["wrong"] = f"{where}: expected {was}, counted {is_now}"
            if isinstance(was, dict):
                odd = {mark: (was.get(mark), is_now.get(mark)) for mark in {*was, *is_now} if was.get(mark) != is_now.get(mark)}
                result["wrong"] = f"{where}: mark: (expected, counted) {odd}"


def summary(results):
    """What became of them, in one text."""
    killed = [result for result in results if result["killed"]]
    wrong = [result["wrong"] for result in killed if result["wrong"]]
    doubts = [doubt for result in killed for doubt in result["doubts"]]
    asked = [len(result["asked"]) for result in killed]
    resumes = [result["resumes"] for result in killed]
    pairs = sum(result["pair"] for result in killed)
    return "\n".join([
        f"{len(killed)} kills{f', {pairs} of them with a second kill in the resume' if pairs else ''}: "
        f"{len(killed) - len(wrong)} resumed, {len(wrong)} wrong; {len(results) - len(killed)} outlived their point",
        "changes repeated or lost: " + (f"{len(wrong)} runs" if wrong else "0"),
        f"in doubt at the kill: {len(doubts)} changes in {sum(bool(result['doubts']) for result in killed)} runs; "
        f"found out without a question: {len(doubts) - sum(asked)}, asked: {sum(asked)}, at most {max(asked, default=0)} a run",
        "asked by kind: " + json.dumps(count([name.split(" ")[0] for result in killed for name in result["asked"]])),
        "resumes needed: " + json.dumps({str(n): resumes.count(n) for n in sorted(set(resumes))}),
        "killed behind: " + json.dumps(count(sorted(result["place"] for result in killed))),
    ])


def coverage(results, effects_of):
    """{place: effects that no kill struck there}"""
    missing = {}
    for book, names in effects_of.items():
        here = [result for result in results if result["point"]["book"] == book and result["killed"]]
        doubts = [doubt for result in here for doubt in result["doubts"]]
        struck = {
            "begun, not recorded": {name for name, _ in doubts},
            "begun, unsent": {name for name, seen in doubts if seen is not True},
            "sent, unrecorded": {name for name, seen in doubts if seen is not False},
            "recorded": {name for result in here for name in result["ended"]},
        }
        for place, found in struck.items():
            missing.setdefault(place, []).extend(sorted(names - found))
    return missing
