"""kill -9, then `opsrun undo`: every way back that the run registered is taken once, the last one first."""

import json
import os
import re

import kill_matrix as matrix
import matrix_judge as judge

NOT_IN_ORDER = ("tried", "window")     # taken before the rest: by the attempt, by the end of a whole run


def registered(records):
    """Names of the ways back, in the order in which they were registered."""
    return [record["text"] for record in sorted((r for r in records if r["type"] == "undo.push"), key=lambda r: r["number"])]


def pending(records):
    """Names of ways back that nobody has taken."""
    done = {record["number"] for record in records if record["type"] == "undo.done" and record["ok"]}
    return [record["text"] for record in records if record["type"] == "undo.push" and record["number"] not in done]


def undone(case):
    """Is this run at the end of an undo, for whoever asks?"""
    ends = [record for record in case.journal() if record["type"] == "run.end"]
    return bool(ends) and ends[-1]["state"] == "undone"


def take_back(case, result):
    answers = []
    while result["resumes"] < matrix.MOST_RESUMES and not undone(case):
        result["resumes"] += 1
        doubts = judge.doubts(case.journal())
        code, text = case.call([matrix.OPSRUN, "undo", case.run_id(), "--yes", *answers])
        result["last"] = text
        ends = [record for record in case.journal() if record["type"] == "run.end"]
        if code == 7 and "=happened" in text:
            for gate in sorted(set(re.findall(r"--answer (\S+?)=happened", text))):
                answers += ["--answer", judge.answer(case, gate, doubts, result)]
        elif undone(case) or code in (0, 7) and not pending(case.journal()):
            result["left"] = code == 7      # a change of the run itself is still in doubt, and that was said
            return
        else:
            result["wrong"] = f"undo ended with code {code}: {matrix.said(text)}"
            return
    if not undone(case):
        result["wrong"] = f"not undone after {result['resumes']} times undo"


def compare(case, result):
    """Every registered way back once; those of the same server in order; nothing switched on."""
    counted, names = case.tally(), registered(case.journal())
    marks = counted["requests"] | counted["rows"]
    wrong = {name: marks.get(name + "_off", 0) for name in names if marks.get(name + "_off", 0) != 1}
    wrong |= {mark: n for mark, n in marks.items() if n > 1 or mark == "m_wrong"}
    offs = [mark.removesuffix("_off") for mark in counted["order"] if mark.endswith("_off")]
    wanted = [name for name in reversed(names) if name != "m_row"]
    asked = any(".u" in name for name in result["asked"])    # the others do not wait for a way in doubt
    in_order = [[name for name in list_ if name not in NOT_IN_ORDER] for list_ in (offs, wanted)]
    left_on = [name for name, on in counted["switches"].items() if on]
    if wrong:
        result["wrong"] = f"taken back, but not once: {wrong}"
    elif in_order[0] != in_order[1] and not asked:
        result["wrong"] = f"the order was {in_order[0]}, expected {in_order[1]}"
    elif left_on:
        result["wrong"] = f"still on: {left_on}"


def one(job):
    """A point from kill to verdict, in a process of its own."""
    servers, point, again, number = job
    case = matrix.Case(servers, point["book"], f"undo-{number}")
    result = matrix.blank(case, point, again)
    try:
        result["killed"] = matrix.killed(case, case.words(), point)
        judge.note_place(case, result)
        if any(record["type"] == "run.start" for record in case.journal()):
            if again and registered(case.journal()):
                result["pair"] = matrix.killed(case, [matrix.OPSRUN, "undo", case.run_id(), "--yes"], again)
            take_back(case, result)
        if not result["wrong"]:
            compare(case, result)
    except Exception as error:      # pylint: disable=broad-except   a verdict, too: this point is wrong
        result["wrong"] = f"{type(error).__name__}: {error}"
    return matrix.finished(case, result)


def summary(results):
    killed = [result for result in results if result["killed"]]
    wrong = sum(bool(result["wrong"]) for result in results)
    return (f"{len(results)} runs, {len(killed)} of them killed, {sum(result['pair'] for result in results)} killed again in undo: "
            f"{len(results) - wrong} taken back, each way once; {wrong} wrong; asked: {sum(len(r['asked']) for r in results)}; "
            f"undo needed: {json.dumps(judge.count(sorted(str(r['resumes']) for r in results)))}; "
            f"said that a change is still in doubt: {sum(bool(r.get('left')) for r in results)}")


class UndoTest(matrix.MatrixTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.watch(("ways",))

    def undo_at(self, points, again=None):
        jobs = [(self.servers, point, again and again[i], self.number()) for i, point in enumerate(points)]
        results = list(self.workers.map(one, jobs, chunksize=1))
        print("\n" + summary(results))
        self.expect_well(results)
        return results


if __name__ == "__main__":
    raise SystemExit(f"{os.path.basename(__file__)} is a part of test_kill_undo.py")
