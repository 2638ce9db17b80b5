"""The lab's other machines: web1 and web2, each a real sshd on loopback with keys of the lab's own.

They are told apart by their ports and host keys; what runs on them runs on this machine, as the user who
started the lab. A configuration for ssh knows them by name.
"""

import os
import shutil
import socket
import subprocess

from processes import write_private

NAMES = ("web1", "web2")


def program():
    """The path of sshd, or None; it wants to be called by its whole path."""
    path = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return path and os.path.abspath(path)


def make_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", path],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    with open(path + ".pub", encoding="ascii") as file:
        return file.read().strip()


def listens(port):
    """Whether sshd greets there."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as link:
            return link.recv(4) == b"SSH-"
    except OSError:
        return False


def start_server(processes, room, name, port, more=""):
    """One sshd under a name, with the keys in its room; its log is NAME.log there.

    more: lines for its configuration."""
    config = os.path.join(room, f"{name}.conf")
    write_private(config, f"""ListenAddress 127.0.0.1
Port {port}
HostKey {room}/{name}.key
AuthorizedKeysFile {room}/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
LogLevel VERBOSE
{more}""")
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)      # sshd insists on it as root
    processes.start(f"ssh-{name}", [program(), "-D", "-e", "-f", config],
                    os.path.join(room, f"{name}.log"), ready=lambda: listens(port))


def write_client_files(room, ports, keys):
    """known_hosts and the configuration for ssh."""
    known = "".join(f"[127.0.0.1]:{ports[n]} {' '.join(keys[n].split()[:2])}\n" for n in ports)
    write_private(os.path.join(room, "known_hosts"), known)
    blocks = "".join(f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n" for name, port in ports.items())
    write_private(os.path.join(room, "config"), blocks + f"""Host *
  IdentityFile {room}/user.key
  IdentitiesOnly yes
  UserKnownHostsFile {room}/known_hosts
  GlobalKnownHostsFile none
""")


def start(lab, on_free_port):
    """Starts them; their ports by name, or None where no sshd is installed."""
    if program() is None:
        return None
    room = lab.path("ssh")
    os.mkdir(room, 0o700)
    write_private(os.path.join(room, "authorized_keys"), make_key(os.path.join(room, "user.key")) + "\n")
    keys = {name: make_key(os.path.join(room, f"{name}.key")) for name in NAMES}
    # the lab's own commands are there, too; a home of its own, for what the operator's shells load would be loaded for each
    path = f"SetEnv PATH={lab.path('bin')}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME={room}"
    ports = {}
    for name in NAMES:
        ports[name] = on_free_port(lambda port, name=name: start_server(lab.processes, room, name, port, path))
    write_client_files(room, ports, keys)
    return ports


def environment(lab):
    """What `env` prints of them."""
    return {"SSH_CONFIG": lab.path("ssh", "config")} if lab.facts.get("ssh") else {}
