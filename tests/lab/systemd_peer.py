"""A machine with a real systemd: a Debian in a directory, run by podman, with sshd on a loopback port.

Heavy (a debootstrap of half a minute), so only tests/full uses it. Needs root, podman, runc, debootstrap.
"""

import os
import shutil
import subprocess
import time

import ssh_peer

MIRROR = [os.environ["OPSRUN_MIRROR"]] if "OPSRUN_MIRROR" in os.environ else []   # else debootstrap's own
PACKAGES = "systemd,systemd-sysv,dbus,openssh-server,procps"
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")

UNITS = {
    "app.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "falls.service": "[Service]\nExecStart=/bin/false\n",                           # never comes up
    "soon.service": "[Service]\nExecStart=/bin/sh -c 'sleep 0.3; exit 3'\n",        # comes up, and falls over
    "slow.service": "[Service]\nExecStartPre=/bin/sleep 3\nExecStart=/bin/sleep infinity\n",
}


def missing():
    """What keeps it from running here, in words; empty: nothing."""
    if os.geteuid() != 0:
        return "needs root"
    gone = [name for name in ("podman", "runc", "debootstrap", "ssh-keygen") if shutil.which(name) is None]
    return f"not installed: {', '.join(gone)}" if gone else ""


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


class Machine:
    """One such machine below a directory of the caller's. `port` is its sshd's, `room` holds keys and known_hosts."""

    def __init__(self, directory, port):
        self.directory, self.port = directory, port
        self.root, self.room = os.path.join(directory, "root"), os.path.join(directory, "ssh")
        self.name = f"opsrun-lab-{os.getpid()}"

    def podman(self, *words, check=True):
        place = [f"--{option}={os.path.join(self.directory, name)}"
                 for option, name in (("root", "store"), ("runroot", "run"), ("tmpdir", "tmp"))]
        return subprocess.run(["podman", "--cgroup-manager=cgroupfs", "--storage-driver=vfs", "--runtime=runc",
                               *place, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=check).stdout

    def install(self):
        subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", self.root, *MIRROR],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        os.mkdir(self.room, 0o700)
        user = ssh_peer.make_key(os.path.join(self.room, "user.key"))
        host = ssh_peer.make_key(os.path.join(self.room, "host.key"))
        write(os.path.join(self.room, "known_hosts"), f"[127.0.0.1]:{self.port} {' '.join(host.split()[:2])}\n", 0o600)
        etc = os.path.join(self.root, "etc")
        shutil.copy(os.path.join(self.room, "host.key"), os.path.join(etc, "ssh", "lab.key"))
        write(os.path.join(etc, "ssh", "authorized_keys"), user + "\n")
        write(os.path.join(etc, "ssh", "sshd_config"),
              f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey /etc/ssh/lab.key\nUsePAM no\n"
              "AuthorizedKeysFile /etc/ssh/authorized_keys\nPasswordAuthentication no\n"
              "PermitRootLogin prohibit-password\nKbdInteractiveAuthentication no\n")
        for name, text in UNITS.items():
            write(os.path.join(etc, "systemd", "system", name), text)

    def up(self):
        self.install()
        self.podman("run", "--detach", "--name", self.name, "--systemd=always", "--network=host", *LIMITS,
                    "--rootfs", self.root, "/sbin/init")
        deadline = time.monotonic() + 60
        while not ssh_peer.listens(self.port):
            if time.monotonic() > deadline:
                raise RuntimeError("systemd did not come up: " + self.podman("logs", self.name, check=False))
            time.sleep(0.1)
        return self

    def inside(self, *words):
        """What a command in it prints."""
        return self.podman("exec", self.name, *words, check=False).strip()

    def down(self):
        self.podman("rm", "--force", "--time", "3", self.name, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
