"""opsrun verify: with the anchor of a run's end every tampering is found, without one nothing is called OK."""

import concurrent.futures
import hashlib
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from store_home import HomeTest  # noqa: E402

RECORDS = 200
PLAYBOOK = ('playbook { title = "Verified" }\n'
            'step("Say much", function() for i = 1, COUNT do note("line %d", i) end end)\n')


def digest(data):
    return hashlib.sha256(data).hexdigest()


def rechain(lines):
    """The same records, numbered and chained anew, as one does who knows how it is done."""
    out, before = [], "0" * 64
    for number, line in enumerate(lines, 1):
        line = re.sub(rb',"sum":"[0-9a-f]{16}"}$', b"", line)
        line = re.sub(rb'^\{"n":\d+', b'{"n":%d' % number, line)
        line = re.sub(rb'"prev":"[0-9a-f]{64}","synced":\d+',
                      b'"prev":"%s","synced":%d' % (before.encode(), max(0, number - 2)), line, count=1)
        line += b',"sum":"' + digest(line)[:16].encode() + b'"}'
        before = digest(line)
        out.append(line)
    return out


def tamperings(lines, at):
    """{name: lines} of a journal tampered with at the record `at`, from 0."""
    edited = lines[at].replace(b'"t":"2', b'"t":"1', 1)
    changed = [*lines[:at], edited, *lines[at + 1:]]
    other = (at + 1) % len(lines)
    swapped = list(lines)
    swapped[at], swapped[other] = swapped[other], swapped[at]
    forged = b'{"n":1,"t":"2026-11-21T03:12:07.123Z","prev":"' + b"0" * 64 + b'","synced":0,"type":"note","sum":"' + \
        b"0" * 16 + b'"}'
    found = {
        "edited": changed,
        "edited, chained anew": rechain(changed),
        "deleted": lines[:at] + lines[at + 1:],
        "deleted, chained anew": rechain(lines[:at] + lines[at + 1:]),
        "swapped": swapped,
        "swapped, chained anew": rechain(swapped),
        "doubled": [*lines[:at + 1], *lines[at:]],
        "doubled, chained anew": rechain([*lines[:at + 1], *lines[at:]]),
        "cut off": lines[:at],
        "cut off and continued": rechain([*lines[:at], *[forged] * (len(lines) - at)]),
    }
    return found


class Verify(HomeTest):

    def setUp(self):
        super().setUp()
        self.run_id, done = self.play(self.write("many.lua", PLAYBOOK.replace("COUNT", str(RECORDS - 4))))
        self.assertEqual(done.code, 0, done)
        self.report = done.out
        with open(self.folder(self.run_id, "journal"), "rb") as file:
            self.bytes = file.read()
        self.lines = self.bytes.splitlines()
        self.assertEqual(len(self.lines), RECORDS)
        self.anchor = f"{RECORDS}:{digest(self.lines[-1])}"

    def put(self, lines, run=None):
        with open(self.folder(run or self.run_id, "journal"), "wb") as file:
            file.write(b"".join(line + b"\n" for line in lines))

    def verify(self, *more, run=None):
        return self.opsrun("verify", run or self.run_id, *more)

    def test_an_untouched_run_is_ok_with_its_anchor_and_unanchored_without(self):
        done = self.verify("--anchor", self.anchor)
        self.assertEqual((done.code, done.out.split()[0]), (0, "OK"), done)
        done = self.verify()
        self.assertEqual((done.code, done.out.split()[0]), (4, "UNANCHORED"), done)
        self.assertNotRegex(done.out, r"\bOK\b")

    def test_every_tampering_is_found_with_the_anchor_and_none_is_ok_without(self):
        copies = 4                      # so that as many processes can be at it
        for number in range(copies):
            os.makedirs(self.folder(f"copy-{number}"), mode=0o700)
        cases = [(at, name, lines) for at in range(RECORDS) for name, lines in tamperings(self.lines, at).items()]

        def look(number):
            wrong, run = [], f"copy-{number}"
            for at, name, lines in cases[number::copies]:
                self.put(lines, run)
                with_it, without = self.verify("--anchor", self.anchor, run=run), self.verify(run=run)
                if with_it.code != 1 or not re.match(rf"TAMPERED .*\bline \d+", with_it.out):
                    wrong.append(f"{name} at {at + 1}, with the anchor: {with_it}")
                if without.code not in (1, 4) or not re.match("TAMPERED|UNANCHORED", without.out):
                    wrong.append(f"{name} at {at + 1}, without: {without}")
            return wrong

        with concurrent.futures.ThreadPoolExecutor(copies) as pool:
            wrong = [line for lines in pool.map(look, range(copies)) for line in lines]
        print(f"{len(cases)} tamperings at {RECORDS} records: {len(wrong)} not found")
        self.assertEqual(wrong[:3], [])

    def test_what_comes_behind_the_anchor_is_not_covered_by_it(self):
        self.put(rechain([*self.lines, self.lines[5]]))
        done = self.verify("--anchor", f"{RECORDS}:{digest(rechain(self.lines)[-1])}")
        self.assertEqual(done.code, 4, done)
        self.assertIn(f"lines 1 to {RECORDS} are as they were anchored", done.out)

    def test_the_report_the_events_and_a_file_hold_the_anchor(self):
        shown = re.search(r"(?m)^  journal +200 records, anchor (200:[0-9a-f]{32})$", self.report)
        self.assertTrue(shown, self.report)
        self.assertTrue(self.anchor.startswith(shown.group(1)))
        self.assertEqual(self.verify("--anchor", shown.group(1)).code, 0)
        self.assertEqual(self.verify("--anchor", self.write("saved", self.report)).code, 0)
        run, done = self.play(os.path.join(self.room, "many.lua"), "--json")
        event = json.loads(done.out.splitlines()[-1])
        self.assertRegex(event["anchor"], "^200:[0-9a-f]{64}$")
        self.assertEqual(self.verify("--anchor", self.write("events", done.out), run=run).code, 0)

    def test_a_dry_run_prints_none(self):
        _, done = self.play(os.path.join(self.room, "many.lua"), "-n")
        self.assertNotIn("anchor", done.out)

    def test_what_is_no_anchor_is_a_usage_error(self):
        for wrong in ("", "12", f"{RECORDS}:abcd", "x:" + "0" * 64, "/nowhere", f"9{'0' * 20}:{'0' * 64}",
                      self.write("none", "nothing here, 12:34:56\n")):
            done = self.verify("--anchor", wrong)
            self.assertEqual(done.code, 2, done)
            self.assertIn("--anchor", done.err)
        self.assertEqual(self.verify("--anchor", f"0:{'0' * 64}").code, 1)

    def test_a_blob_that_was_changed_or_taken_away_is_found(self):
        blobs = os.listdir(self.folder(self.run_id, "blobs"))
        self.assertTrue(blobs, "a run freezes its playbook as a blob")
        for name in blobs:
            path = self.folder(self.run_id, "blobs", name)
            with open(path, "rb") as file:
                data = file.read()
            for change in (b" ", None):
                if change is None:
                    os.unlink(path)
                else:
                    with open(path, "ab") as file:
                        file.write(change)
                for words in ((), ("--anchor", self.anchor)):
                    done = self.verify(*words)
                    self.assertEqual(done.code, 1, done)
                    self.assertRegex(done.out, f"TAMPERED .*{name}")
                with open(path, "wb") as file:
                    file.write(data)
            self.assertEqual(self.verify("--anchor", self.anchor).code, 0)

    def test_json_says_the_same(self):
        said = json.loads(self.verify("--anchor", self.anchor, "--json").out)
        self.assertEqual((said["verdict"], said["records"], said["run"]), ("ok", RECORDS, self.run_id))
        self.put(self.lines[:9])
        done = self.verify("--anchor", self.anchor, "--json")
        self.assertEqual((json.loads(done.out)["verdict"], json.loads(done.out)["line"], done.code), ("tampered", 10, 1))

    def test_a_run_that_is_not_there(self):
        done = self.verify(run="0101-0000-none")
        self.assertEqual(done.code, 2, done)


if __name__ == "__main__":
    main()
