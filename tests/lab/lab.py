"""./dev lab: a private place with real servers, on free loopback ports.

usage: ./dev lab up | env | status | break SCENARIO | mend | backup | down

OPSRUN_LAB_DIR names the directory (default: .lab in the checkout); several labs may stand side by
side. `backup` puts backups of the database into the bucket. `down` leaves no process and no file.
"""

import json
import os
import random
import shlex
import shutil
import socket
import sys
import time

import app_scenarios
import backups
import busy_job
import database
import data_lost
import database_down
import disk_space
import pq
import front
import memory_leak
import pool_exhausted
import releases
import replica
import s3_peer
import ssh_peer
import scenarios
from processes import Processes, write_private

SCRIPTS = ("app-service", "docker", "postgres-service")


class Trouble(Exception):
    """What the person at the keyboard is told."""


class Lab:
    def __init__(self, directory):
        self.directory = os.path.abspath(directory)
        self.processes = Processes(self.directory)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def exists(self):
        return os.path.exists(self.path("lab.json"))

    def load(self):
        try:
            with open(self.path("lab.json"), encoding="utf-8") as file:
                self.facts = json.load(file)
        except OSError:
            raise Trouble(f"there is no lab in '{self.directory}': try './dev lab up'") from None
        return self

    def save(self, **facts):
        self.facts = facts
        write_private(self.path("lab.json"), json.dumps(facts, indent=1))

    def conninfo(self, name="lab-keeper"):
        """As the superuser, whose last connections are reserved; under a name of the lab's own."""
        return (f"host=127.0.0.1 port={self.facts['port']} dbname=app user=ops sslmode=disable"
                f" password={self.facts['password']} application_name={name}"
                " connect_timeout=10")

    def client_conninfo(self):
        return f"host=127.0.0.1 port={self.facts['port']} dbname=app sslmode=disable"


def free_port():
    """A loopback port nobody listens on, below the range the kernel hands out by itself."""
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def on_free_port(start):
    """Starts a server on a free port; another one if somebody took it in between."""
    for attempt in range(1, 6):
        port = free_port()
        try:
            start(port)
            return port
        except (RuntimeError, OSError):
            if attempt == 5:
                raise


def start_postgres(lab, template):
    place = database.room(lab.directory)
    data = database.copy_cluster(template, place)
    log = lab.path("postgres.log")
    return on_free_port(lambda port: database.start(lab.processes, data, port, log))


def start_redis(lab, password):
    """Returns the port, or None where no redis-server is installed."""
    server = shutil.which("redis-server")
    if server is None:
        return None
    config = lab.path("redis.conf")
    os.mkdir(lab.path("redis"))

    def answers(port):
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as link:
                link.sendall(b"PING\r\n")
                return link.recv(64) != b""
        except OSError:
            return False

    def start(port):
        write_private(config, f"bind 127.0.0.1\nport {port}\nrequirepass {password}\n"
                      f"dir {lab.path('redis')}\nsave \"\"\nappendonly no\nmaxmemory 64mb\n"
                      "enable-debug-command local\n")
        lab.processes.start("redis", [server, config], lab.path("redis.log"),
                            ready=lambda: answers(port))
    return on_free_port(start)


def start_redis_tls(lab, template, password):
    """A second server, which speaks TLS only, with the lab's own authority. Returns its port."""
    server = shutil.which("redis-server")
    if server is None:
        return None
    config, key = lab.path("redis-tls.conf"), lab.path("redis-tls.key")
    os.mkdir(lab.path("redis-tls"))
    shutil.copy(os.path.join(template, "server.key"), key)
    os.chmod(key, 0o600)
    certificate = shutil.copy(os.path.join(template, "server.pem"), lab.path("redis-tls.pem"))

    def listens(port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    def start(port):
        write_private(config, f"bind 127.0.0.1\nport 0\ntls-port {port}\nrequirepass {password}\n"
                      f"tls-cert-file {certificate}\ntls-key-file {key}\ntls-auth-clients no\n"
                      f"tls-ca-cert-file {os.path.join(template, 'ca.pem')}\n"
                      f"dir {lab.path('redis-tls')}\nsave \"\"\nappendonly no\nmaxmemory 64mb\n")
        lab.processes.start("redis-tls", [server, config], lab.path("redis-tls.log"),
                            ready=lambda: listens(port))
    return on_free_port(start)


def start_app(lab, template):
    ports = lab.path("app.ports")
    config = lab.path("app.json")
    write_private(config, json.dumps({
        "token": lab.facts["token"], "database": lab.conninfo(), "ports": ports, "pid": lab.path("app.number"),
        "certificate": shutil.copy(os.path.join(template, "server.pem"), lab.path("app.pem")),
        "key": shutil.copy(os.path.join(template, "server.key"), lab.path("app.key"))}))
    os.chmod(lab.path("app.key"), 0o600)
    lab.processes.start("app", [sys.executable, os.path.join(database.HERE, "app.py"), config],
                        lab.path("app.log"), ready=lambda: os.path.exists(ports))
    with open(ports, encoding="utf-8") as file:
        return json.load(file)


def start_mail(lab):
    """The mail server; its ports by kind."""
    ports, config = lab.path("mail.ports"), lab.path("mail.json")
    write_private(config, json.dumps({
        "user": "opsrun", "password": lab.facts["token"], "ports": ports, "kept": lab.path("mails.jsonl"),
        "certificate": lab.path("app.pem"), "key": lab.path("app.key")}))
    lab.processes.start("mail", [sys.executable, os.path.join(database.HERE, "smtp_server.py"), config],
                        lab.path("mail.log"), ready=lambda: os.path.exists(ports))
    with open(ports, encoding="utf-8") as file:
        return json.load(file)


def start_s3(lab):
    """The port somebody waits at, or None where the server is not installed."""
    if not s3_peer.is_installed():
        return None
    return on_free_port(lambda port: s3_peer.start(lab, port))


def write_scripts(lab):
    """Commands of the lab for PATH. Which lab they belong to is written into them, since the
    children of opsrun get a short environment."""
    os.mkdir(lab.path("bin"))
    for name in SCRIPTS:
        script = os.path.join(database.HERE, "bin", name)
        call = shlex.join([sys.executable, "-B", script, lab.directory])
        write_private(lab.path("bin", name), f'#!/bin/sh\nexec {call} "$@"\n', 0o700)


def up(lab):
    if lab.exists():
        lab.load()
        if all(lab.processes.is_running(name) for name in ("postgres", "app")):
            return status(lab)
    down(lab, quiet=True)
    began = time.monotonic()
    template = database.template()
    os.makedirs(lab.directory, mode=0o711)
    try:
        with open(os.path.join(template, "password"), encoding="ascii") as file:
            password = file.read()
        token = os.urandom(16).hex()
        port = start_postgres(lab, template)
        facts = {"port": port, "password": password, "token": token}
        lab.save(**facts)
        facts["redis"] = start_redis(lab, password)
        facts["redis_tls"] = start_redis_tls(lab, template, password)
        facts |= start_app(lab, template)
        facts["mail"] = start_mail(lab)
        facts["s3"] = start_s3(lab)
        facts["ssh"] = ssh_peer.start(lab, on_free_port)
        for name in ("ca.pem", "ca.key", "san.cnf"):      # the key: scenarios make more certificates
            shutil.copy(os.path.join(template, name), lab.path(name))
        write_scripts(lab)
        lab.save(**facts)
        write_private(lab.path("access.log"), "")      # nobody has come yet
    except BaseException:
        down(lab, quiet=True)
        raise
    print(f"lab is up in {time.monotonic() - began:.1f} s: {lab.directory}")
    status(lab)
    print('next: eval "$(./dev lab env)"')


def environment(lab):
    """What `env` prints: name and value pairs."""
    facts = lab.load().facts
    login = f"ops:{facts['password']}@127.0.0.1:{facts['port']}"
    pairs = {
        "OPSRUN_ENV": "lab",
        "OPSRUN_LAB_DIR": lab.directory,
        "DATABASE_URL": f"postgres://{login}/app",
        "APP_URL": f"http://127.0.0.1:{facts['http']}",
        "APP_TLS_URL": f"https://localhost:{facts['https']}",
        "APP_CA": lab.path("ca.pem"),
        "ADMIN_TOKEN": facts["token"],
        "TEAM_HOOK": f"http://127.0.0.1:{facts['http']}/hooks/team",
        "PAGERDUTY_URL": f"http://127.0.0.1:{facts['http']}/pagerduty/v2/enqueue",
        "PAGERDUTY_KEY": facts["token"],
        "SMTP_URL": f"smtp://localhost:{facts['mail']['starttls']}",
        "SMTPS_URL": f"smtps://localhost:{facts['mail']['smtps']}",
        "SMTP_CLEAR_URL": f"smtp://localhost:{facts['mail']['clear']}",
        "SMTP_PASSWORD": facts["token"],
        "MAILS": lab.path("mails.jsonl"),
        "POSTGRES_LOG": lab.path("postgres.log"),
        "APP_LOG": lab.path("app.log"),
        "LAB_WORKERS_LOG": lab.path("workers.log"),
        **{f"LAB_APP_{verb.upper()}": f"{lab.path('bin', 'app-service')} {verb}" for verb in ("start", "status", "stop")},
        **front.environment(lab),
    }
    if facts["redis"]:
        pairs["REDIS_URL"] = f"redis://:{facts['password']}@127.0.0.1:{facts['redis']}/0"
        pairs["REDISS_URL"] = f"rediss://:{facts['password']}@localhost:{facts['redis_tls']}/0"
    return pairs | disk_space.environment(lab) | busy_job.environment(lab) | memory_leak.environment(lab) | pool_exhausted.environment(lab) | s3_peer.environment(lab) | replica.environment(lab) | releases.environment(lab) | ssh_peer.environment(lab) | \
        database_down.environment(lab) | data_lost.environment(lab)


def print_environment(lab):
    for name, value in environment(lab).items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"export PATH={shlex.quote(lab.path('bin'))}:\"$PATH\"")


def status(lab):
    if not lab.exists():
        print(f"no lab in {lab.directory}")
        return
    facts = lab.load().facts
    where = {"postgres": f"127.0.0.1:{facts['port']}", "redis": f"127.0.0.1:{facts.get('redis')}",
             "redis-tls": f"127.0.0.1:{facts.get('redis_tls')}",
             "app": f"http {facts.get('http')}, https {facts.get('https')}",
             "s3": f"127.0.0.1:{facts.get('s3')}",
             **{f"ssh-{n}": f"127.0.0.1:{p}" for n, p in (facts.get("ssh") or {}).items()},
             "mail": ", ".join(f"{k} {p}" for k, p in facts.get("mail", {}).items())}
    for name in lab.processes.names():
        state = f"pid {lab.processes.pid(name)}" if lab.processes.is_running(name) else "gone"
        print(f"  {name:<16} {state:<12} {where.get(name, '')}".rstrip())
    print(f"  {'scenario':<16} {scenarios.current(lab) or 'none'}")
    if database_down.is_up(lab):
        used, limit = scenarios.usage(lab)
        print(f"  {'connections':<16} {used} of {limit}")


def down(lab, quiet=False):
    if not os.path.isdir(lab.directory):
        if not quiet:
            print(f"no lab in {lab.directory}")
        return
    stranger = set(os.listdir(lab.directory)) and not any(
        os.path.exists(lab.path(name)) for name in ("lab.json", "postgres.room"))
    if stranger:
        raise Trouble(f"'{lab.directory}' is no lab: nothing was removed")
    for name in sorted(lab.processes.names(), key=lambda n: n == "postgres"):
        lab.processes.stop(name)
    app_scenarios.unmount(lab)
    busy_job.mend(lab)
    memory_leak.leave_group(lab)
    try:
        with open(lab.path("postgres.room"), encoding="utf-8") as file:
            shutil.rmtree(file.read(), ignore_errors=True)
    except OSError:
        pass
    shutil.rmtree(lab.directory)
    if not quiet:
        print("lab is down: no process, no file left")


def main(words):
    lab = Lab(os.environ.get("OPSRUN_LAB_DIR") or os.path.join(database.ROOT, ".lab"))
    commands = {
        ("up", 0): lambda: up(lab),
        ("env", 0): lambda: print_environment(lab),
        ("status", 0): lambda: status(lab),
        ("down", 0): lambda: down(lab),
        ("mend", 0): lambda: scenarios.mend(lab.load()),
        ("backup", 0): lambda: backups.fill(lab.load()),
        ("break", 1): lambda: scenarios.break_it(lab.load(), words[1]),
    }
    command = commands.get((words[0] if words else "", len(words) - 1))
    if command is None:
        print(__doc__.split("\n\n")[1] + f"\nscenarios: {', '.join(scenarios.SCENARIOS)}",
              file=sys.stderr)
        return 2
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]      # what is set for somebody else's server is not meant for ours
    try:
        command()
    except BrokenPipeError:       # nobody reads on; what was to be done is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Trouble, RuntimeError, pq.Error) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
