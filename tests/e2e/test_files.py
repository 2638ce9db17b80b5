"""The files primitives on a real file system: looks, changes, what is left, links, open files."""

import gzip
import hashlib
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, wait_until  # noqa: E402


class Files(unittest.TestCase):

    def setUp(self):
        self.room = os.path.realpath(tempfile.mkdtemp(prefix="opsrun-files-"))
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        self.data = os.path.join(self.room, "data")
        self.outside = os.path.join(self.room, "outside")
        os.makedirs(os.path.join(self.room, "config", "environments"))
        os.mkdir(self.data)
        os.mkdir(self.outside)
        with open(os.path.join(self.room, "config", "environments", "here.lua"), "w") as file:
            file.write('return { label = "here" }\n')

    def put(self, name, text="x\n", age=0):
        path = os.path.join(self.data, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        moment = time.time() - age
        os.utime(path, (moment, moment))
        return path

    def start(self, body, *words, uses=None, before=()):
        """One step; D is the directory that may be changed."""
        playbook = os.path.join(self.room, "play.lua")
        with open(playbook, "w") as file:
            file.write(f'playbook {{ title = "Files", uses = {{ files = {{ "{uses or self.data}" }} }} }}\n'
                       f'local D = "{self.data}"\nstep("Do it", function()\n{body}\nend)\n')
        kept = {k: os.environ[k] for k in ("PATH", "HOME", "LSAN_OPTIONS", "ASAN_OPTIONS", "UV_THREADPOOL_SIZE") if k in os.environ}
        return subprocess.Popen(
            [*before, OPSRUN, "play", playbook, "-e", "here", "--config", os.path.join(self.room, "config"), *words],
            env={**kept, "OPSRUN_HOME": os.path.join(self.room, "home")}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=self.room)

    def play(self, body, *words, uses=None):
        return self.end(self.start(body, *words, uses=uses))

    def end(self, process):
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out.decode(errors="replace"),
                                           err.decode(errors="replace"))

    def expect(self, done, code, *parts):
        text = done.stdout + done.stderr
        self.assertEqual(done.returncode, code, text)
        for part in parts:
            self.assertIn(part, text)

    def test_a_list_takes_name_age_size_and_order_and_says_how_much(self):
        self.put("b.log", "x" * 30, age=900)
        self.put("a.log", "x" * 20, age=800)
        self.put("new.log", "x" * 99)
        self.put("a.txt", "x", age=900)
        self.put("deep/c.log", "x" * 40, age=700)
        self.expect(self.play("""
          local flat = files.list(D, { pattern = "*.log", older_than = "5m" })
          note("flat %d %d %s", flat.count, flat.size, flat[1].name)
          local deep = files.list(D, { pattern = "*.log", older_than = "5m", recursive = true, sort = "size" })
          note("deep %d %s", deep.count, deep[1].name)
          local old = files.list(D, { sort = "oldest", limit = 1, pattern = "*.log", recursive = true })
          note("oldest %s %s", old[1].name, tostring(old.limited))
          note("large %d", files.list(D, { larger_than = 30, recursive = true }).count)
          note("path %d", files.list(D, { pattern = "deep/*", recursive = true }).count)"""),
                    0, "flat 2 50 a.log", "deep 3 c.log", "oldest b.log true", "large 2", "path 1")

    def test_open_false_lists_only_what_no_process_holds(self):
        held = self.put("held.log")
        self.put("free.log")
        with open(held, "a"):
            self.expect(self.play("""
              local free = files.list(D, { open = false })
              note("free %d %s", free.count, free[1].name)
              local holders = files.open(D)
              note("holders %d %s", #holders, holders[1].path)
              note("one %d", #files.open(D .. "/held.log"))"""),
                        0, "free 1 free.log", f"holders 1 {held}", "one 1")

    def test_a_deleted_file_that_is_still_open_is_found(self):
        path = self.put("gone.log", "x" * 5000)
        with open(path):
            os.unlink(path)
            self.expect(self.play("""
              local holders = files.open(D)
              note("%d %s %s", #holders, tostring(holders[1].deleted), holders[1].size)"""), 0, "1 true 5000")

    def test_looks_at_one_file(self):
        text = "".join(f"line {i}\n" for i in range(5000))
        self.put("a.log", text)
        self.expect(self.play("""
          note("read %d", #files.read(D .. "/a.log"))
          note("tail %s", table.concat(files.tail(D .. "/a.log", { lines = 2 }), "|"))
          note("all %d", #files.tail(D .. "/a.log", { lines = 10000 }))
          note("sum %s", files.checksum(D .. "/a.log"))
          note("stat %s %s", files.stat(D).type, tostring(files.stat(D .. "/none")))
          note("systems %s", tostring(#files.filesystems() > 0))"""),
                    0, f"read {len(text)}", "tail line 4998|line 4999", "all 5000",
                    "sum " + hashlib.sha256(text.encode()).hexdigest(), "stat directory nil", "systems true")

    def test_a_look_that_fails_names_the_path(self):
        self.expect(self.play('files.list(D .. "/none")'), 1, f"cannot list '{self.data}/none': No such file")
        self.expect(self.play('files.read(D)'), 1, f"cannot read '{self.data}': Is a directory")
        self.put("big", "x" * 100)
        self.expect(self.play('files.read(D .. "/big", { cap = 50 })'), 1, "is larger than 50 bytes")
        os.mkfifo(os.path.join(self.data, "fifo"))
        self.expect(self.play('files.read(D .. "/fifo")'), 1, "it is no regular file")

    def test_old_files_are_compressed_read_back_and_keep_their_time(self):
        text = "the same line again\n" * 20000
        path = self.put("old.log", text, age=864000)
        os.chmod(path, 0o640)
        before = os.stat(path)
        self.expect(self.play("""
          local done = files.compress(files.list(D, { pattern = "*.log" }))
          note("done %d left %d after %s", done.count, #done.left, tostring(done.freed > 300000))"""),
                    0, "done 1 left 0 after true")
        self.assertEqual(os.listdir(self.data), ["old.log.gz"])
        after = os.stat(path + ".gz")
        self.assertEqual((after.st_mode, int(after.st_mtime)), (before.st_mode, int(before.st_mtime)))
        with gzip.open(path + ".gz", "rt") as file:
            self.assertEqual(file.read(), text)

    def test_compress_leaves_what_is_written_to_what_is_there_and_what_is_compressed(self):
        held = self.put("held.log", "x" * 1000)
        self.put("twice.log")
        self.put("twice.log.gz")
        with open(held, "a"):
            self.expect(self.play("note('%d done', files.compress(files.list(D)).count)"), 0, "0 done",
                        "held.log': a process holds it open for writing", "'twice.log.gz' is there already",
                        "twice.log.gz': it is compressed already")
        self.assertEqual(sorted(os.listdir(self.data)), ["held.log", "twice.log", "twice.log.gz"])

    def test_what_changed_since_it_was_listed_is_left_and_named(self):
        for name in ("same", "grown", "replaced", "gone"):
            self.put(name, age=100)
        done = self.play(f"""
          local listed = files.list(D)
          shell.run {{ "sh", "-c", "cd '{self.data}' && echo y >>grown && rm gone && cp -p same new && mv new replaced" }}
          local result = files.remove(listed)
          note("removed %d of %d", result.count, listed.count)""".replace("shell.run {", "shell.run {"),
                         uses=self.data + '" }, shell = { "sh')
        self.expect(done, 0, "removed 1 of 4", "grown': it changed since it was listed",
                    "replaced': it changed since it was listed", "gone': it is gone since it was listed")
        self.assertEqual(sorted(os.listdir(self.data)), ["grown", "replaced"])

    def test_a_dry_run_changes_nothing_and_shows_each_file_and_the_sum(self):
        self.put("a.log", "x" * 3000)
        self.put("b.log", "x" * 1096)
        before = {name: os.stat(os.path.join(self.data, name)) for name in os.listdir(self.data)}
        done = self.play("""
          files.remove(files.list(D))
          files.write(D .. "/a.log", "new")
          files.append(D .. "/c.log", "new")
          files.truncate(D .. "/b.log")
          files.touch(D .. "/d")
          files.mkdir(D .. "/e/f", { parents = true })
          files.compress(D .. "/a.log")""", "-n")
        self.expect(done, 0, f"WOULD remove 2 files below {self.data} (4.0kb)", f"{self.data}/a.log (2.9kb)",
                    f"{self.data}/b.log (1.1kb)", "2 files, 4.0kb", f"WOULD mkdir {self.data}/e/f")
        self.assertEqual(before, {name: os.stat(os.path.join(self.data, name)) for name in os.listdir(self.data)})

    def test_nothing_outside_uses_is_changed(self):
        self.expect(self.play(f'files.write("{self.outside}/x", "y")'), 5, "is not in the playbook's uses.files")
        self.expect(self.play(f'files.remove {{ D .. "/a", "{self.outside}/x" }}'), 5, f"'{self.outside}/x' is not in")
        self.expect(self.play('files.remove(D .. "/../outside/x")'), 1, "a path with '..' may lead anywhere")
        self.expect(self.play('files.remove(D .. "x")'), 5)

    def test_no_link_leads_out_of_what_may_be_changed(self):
        victim = os.path.join(self.outside, "victim")
        with open(victim, "w") as file:
            file.write("precious\n")
        os.symlink(self.outside, os.path.join(self.data, "way"))
        os.symlink(victim, os.path.join(self.data, "link"))
        os.link(victim, os.path.join(self.data, "hard"))
        for call in ('files.remove(D .. "/way/victim")', 'files.write(D .. "/way/victim", "x")',
                     'files.mkdir(D .. "/way/new/deep", { parents = true })', 'files.write(D .. "/link", "x")',
                     'files.append(D .. "/link", "x")', 'files.truncate(D .. "/link")',
                     'files.touch(D .. "/link")', 'files.compress(D .. "/link")',
                     'files.append(D .. "/hard", "x")', 'files.truncate(D .. "/hard")'):
            self.expect(self.play(call), 1, "cannot ")
        with open(victim) as file:
            self.assertEqual(file.read(), "precious\n")
        self.expect(self.play('files.remove(D .. "/way") files.remove(D .. "/link")'), 0)
        self.assertEqual(os.listdir(self.outside), ["victim"])

    def test_a_removed_tree_takes_links_as_links(self):
        self.put("tree/a/b/c.log")
        self.put("tree/d.log")
        keep = os.path.join(self.outside, "keep")
        open(keep, "w").close()
        os.symlink(self.outside, os.path.join(self.data, "tree", "way"))
        self.expect(self.play('files.remove(D .. "/tree")'), 1, "the directory is not empty (recursive = true")
        self.expect(self.play('files.remove(D .. "/tree", { recursive = true })'), 0)
        self.assertEqual((os.listdir(self.data), os.listdir(self.outside)), ([], ["keep"]))

    def test_writing_keeps_mode_and_replaces_at_once(self):
        path = self.put("a.conf", "old\n")
        os.chmod(path, 0o640)
        inode = os.stat(path).st_ino
        self.expect(self.play("""
          local done = files.write(D .. "/a.conf", "new\\n")
          files.write(D .. "/b.conf", "b\\n", { mode = "0600" })
          files.append(D .. "/b.conf", "more\\n")
          files.mkdir(D .. "/x/y", { parents = true })
          files.touch(D .. "/x/y/z")
          local _, why = try(function() files.write(D .. "/b.conf", "c", { create = true }) end)
          note("%d %s", done.count, why)"""), 0, "b.conf': it is there already")
        with open(path) as file:
            self.assertEqual(file.read(), "new\n")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)
        self.assertNotEqual(os.stat(path).st_ino, inode)
        with open(os.path.join(self.data, "b.conf")) as file:
            self.assertEqual(file.read(), "b\nmore\n")
        self.assertEqual(os.stat(os.path.join(self.data, "b.conf")).st_mode & 0o777, 0o600)
        self.assertEqual(sorted(os.listdir(self.data)), ["a.conf", "b.conf", "x"])
        self.assertTrue(os.path.isfile(os.path.join(self.data, "x/y/z")))

    def test_a_full_disk_leaves_the_old_text(self):
        disk = os.path.join(self.data, "disk")
        os.mkdir(disk)
        if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk],
                                              capture_output=True).returncode != 0:
            self.skipTest("needs the right to mount a small file system")
        self.addCleanup(subprocess.run, ["umount", "-l", disk])
        with open(os.path.join(disk, "a"), "w") as file:
            file.write("old")
        self.expect(self.play('files.write(D .. "/disk/a", string.rep("x", 100000))'), 1, "No space left on device")
        with open(os.path.join(disk, "a")) as file:
            self.assertEqual(file.read(), "old")
        self.assertEqual(os.listdir(disk), ["a"])
        self.expect(self.play('files.append(D .. "/disk/b", string.rep("x", 100000))'), 1, "of 100000 bytes were written")

    def test_a_large_tree_is_listed_within_bounds(self):
        for i in range(3000):
            open(os.path.join(self.data, f"f{i:05}"), "w").close()
        self.expect(self.play("""
          note("all %d", files.list(D).count)
          local some = files.list(D, { limit = 10, sort = "name" })
          note("some %d %s", some.count, some[10].name)"""), 0, "all 3000", "some 10 f00009")

    def test_names_that_are_no_utf8_are_listed_and_changed(self):
        raw = os.path.join(os.fsencode(self.data), b"bad \xff\n name.log")
        with open(raw, "w") as file:
            file.write("x" * 100)
        self.expect(self.play("""
          local listed = files.list(D)
          note("%d %d", listed.count, files.compress(listed).count)"""), 0, "    1 1\n")
        self.assertEqual(os.listdir(os.fsencode(self.data)), [b"bad \xff\n name.log.gz"])

    def test_a_second_signal_ends_a_compression_and_leaves_the_original(self):
        big = os.path.join(self.data, "big.log")
        with open(big, "w") as file:
            file.truncate(1 << 36)
        process = self.start('files.compress(D .. "/big.log")')
        self.assertTrue(wait_until(lambda: self.makes(process)))
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)  # the first one lets the change go on
        self.assertTrue(self.makes(process))
        process.send_signal(signal.SIGINT)
        done = self.end(process)
        self.expect(done, 130)
        self.assertEqual(os.listdir(self.data), ["big.log"])

    def makes(self, process):
        """Has it a file open in D that has no name yet, and something in it?"""
        with contextlib.suppress(FileNotFoundError):
            for fd in os.listdir(f"/proc/{process.pid}/fd"):
                path = os.readlink(f"/proc/{process.pid}/fd/{fd}")
                if path.startswith(self.data) and path.endswith(" (deleted)"):
                    return os.stat(f"/proc/{process.pid}/fd/{fd}").st_size > 0
        return False

    def test_kill_minus_nine_while_it_compresses_or_writes_leaves_nothing_beside_the_original(self):
        big = os.path.join(self.data, "big.log")
        with open(big, "w") as file:
            file.truncate(1 << 36)
        process = self.start('files.compress(D .. "/big.log")')
        self.assertTrue(wait_until(lambda: self.makes(process)))
        process.kill()
        process.communicate()
        self.assertEqual(os.listdir(self.data), ["big.log"])

    def test_where_a_file_cannot_be_without_a_name_it_has_one_meanwhile(self):
        """strace says of each O_TMPFILE that the file system does not know it."""
        self.put("a.log", "x" * 1000)
        body = 'files.write(D .. "/new", "text") files.write(D .. "/new", "again") files.compress(D .. "/a.log")'
        log = os.path.join(self.room, "trace")

        def traced(*more):
            os.environ["UV_THREADPOOL_SIZE"] = "1"      # one thread, so that its calls can be counted
            try:
                process = self.start(body, before=("strace", "-f", "-qq", "-o", log, "-P", self.data, "-e", "trace=openat", *more))
            finally:
                del os.environ["UV_THREADPOOL_SIZE"]
            done = self.end(process)
            with open(log) as file:
                return done, file.read().splitlines()

        done, calls = traced()
        self.expect(done, 0)
        nameless = [n for n, call in enumerate(calls, 1) if "O_TMPFILE" in call]
        self.assertEqual(len(nameless), 3, calls)
        for number in nameless:
            os.unlink(os.path.join(self.data, "a.log.gz"))
            os.unlink(os.path.join(self.data, "new"))
            self.put("a.log", "x" * 1000)
            done, calls = traced("-e", f"inject=openat:error=EOPNOTSUPP:when={number}")
            self.expect(done, 0)
            self.assertEqual(sum("INJECTED" in call for call in calls), 1, calls)
            self.assertEqual(sorted(os.listdir(self.data)), ["a.log.gz", "new"])

    def test_the_first_signal_ends_a_look(self):
        big = os.path.join(self.data, "big")
        with open(big, "w") as file:
            file.truncate(1 << 40)
        process = self.start('note("begun") files.checksum(D .. "/big")')
        while b"begun" not in process.stdout.readline():
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        self.expect(self.end(process), 130)

    def test_a_time_limit_ends_a_look(self):
        done = self.play('files.checksum("/dev/zero")')
        self.expect(done, 1, "it is no regular file")
        big = os.path.join(self.data, "big")
        with open(big, "w") as file:
            file.truncate(1 << 40)
        began = time.monotonic()
        self.expect(self.play('files.checksum(D .. "/big", { timeout = "200ms" })'), 1, "took longer than 0.2 s")
        self.assertLess(time.monotonic() - began, 5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
