"""./dev setup and ./dev demo as a new user meets them: in a Debian 12 with nothing in it.

Needs root and the package mirror; everything happens in a directory that is removed again, in
namespaces of its own, so that nothing can be left running.
"""

import os
import shutil
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MIRROR = [os.environ["OPSRUN_MIRROR"]] if "OPSRUN_MIRROR" in os.environ else []   # else debootstrap's own
LIMIT = 240       # seconds for setup and demo together


class BareDebian(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("debootstrap needs root")
        cls.bare = tempfile.mkdtemp(prefix="opsrun-bare-")
        cls.addClassCleanup(shutil.rmtree, cls.bare, ignore_errors=True)
        os.chmod(cls.bare, 0o755)
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", cls.bare, *MIRROR],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        for name in ("resolv.conf", "hosts"):
            shutil.copy(f"/etc/{name}", f"{cls.bare}/etc/{name}")
        checkout = f"{cls.bare}/root/opsrun"
        os.makedirs(checkout)
        names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                                "--exclude-standard"], cwd=ROOT,
                               stdout=subprocess.PIPE, check=True).stdout
        archive = subprocess.run(["tar", "c", "--ignore-failed-read", "--null", "-T", "-"], cwd=ROOT, input=names,
                                 stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "x", "-C", checkout], input=archive, check=True)

    def inside(self, script):
        """Runs a script in the bare system; returns its code and its output."""
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child",
             f"--mount-proc={self.bare}/proc", "env", "-i", "HOME=/root", "TERM=dumb",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "chroot", self.bare, "/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)
        return done.returncode, done.stdout

    def exists(self, path):
        return os.path.exists(self.bare + path)

    def test_setup_and_demo_end_well_in_time_and_start_nothing(self):
        began = time.monotonic()
        code, text = self.inside("cd /root/opsrun && ./dev setup && ps ax -o args=")
        self.assertEqual(code, 0, text)
        for service in ("postgres:", "bin/postgres", "redis-server", "nginx"):
            self.assertNotIn(service, text)
        self.assertFalse(self.exists("/etc/postgresql/15/main"), "a system cluster was made")
        self.assertFalse(self.exists("/var/lib/postgresql/15/main"), "a system cluster was made")
        for left in ("/usr/sbin/policy-rc.d", "/etc/postgresql-common/createcluster.d/opsrun.conf"):
            self.assertFalse(self.exists(left), f"'{left}' was left behind")
        code, text = self.inside("cd /root/opsrun && ./dev demo")
        seconds = time.monotonic() - began
        self.assertEqual(code, 0, text)
        print(f"setup and demo on a bare Debian 12: {seconds:.0f} s")
        self.assertLess(seconds, LIMIT)
        code, text = self.inside("chmod 0 /usr/bin/apt-get && cd /root/opsrun && ./dev setup"
                                 " && ls /tmp && chmod 755 /usr/bin/apt-get")
        self.assertEqual(code, 0, "with all installed, setup calls nobody: " + text)
        self.assertNotIn("opsrun", text, "the demo left something in /tmp")


if __name__ == "__main__":
    unittest.main(verbosity=2)
