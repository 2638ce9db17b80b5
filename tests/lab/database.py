"""PostgreSQL of a lab: a template cluster made once, copied for each lab.

initdb and the application's tables take about two seconds; a copy of the finished cluster takes a
fraction of one. The template lies under build/, keyed by everything that shaped it.
"""

import fcntl
import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time

import pq
from processes import Processes, write_private

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
VERSION = "15"
BIN = f"/usr/lib/postgresql/{VERSION}/bin"
MAX_AGE = 20 * 86400          # seconds; the template's certificate lives 90 days

CONFIG = """\
listen_addresses = '127.0.0.1'
max_connections = 100
superuser_reserved_connections = 3
shared_buffers = 16MB
shared_preload_libraries = 'pg_stat_statements'
track_activity_query_size = 4096
track_io_timing = on
client_connection_check_interval = '100ms'
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum_naptime = 10min
max_wal_size = 128MB
wal_level = replica
password_encryption = scram-sha-256
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
log_destination = 'stderr'
logging_collector = off
log_line_prefix = '%m [%p] %q%u@%d %a '
log_lock_waits = on
log_timezone = 'Etc/UTC'
timezone = 'Etc/UTC'
"""

# The application's own clients log in without a password, so that a hundred of them are there
# at once; everybody else gives one.
ACCESS = """\
local all all scram-sha-256
host app app_api,app_worker,app_reports 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""


def owner():
    """The user the server runs as: PostgreSQL refuses root. None means: as we are."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def may_reach(user, path):
    """Can that user walk down to path? A checkout below /root usually cannot be reached."""
    if user is None:
        return True
    test = subprocess.run(["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
                           "--clear-groups", "test", "-x", path], check=False)
    return test.returncode == 0


def room(lab):
    """A directory for the server's files: in the lab if the server can get there, else in /tmp.

    Its path is kept in the lab, so that down finds it again."""
    user = owner()
    inside = os.path.join(lab, "postgres")
    os.mkdir(inside, 0o711)
    if not may_reach(user, inside):
        os.rmdir(inside)
        inside = tempfile.mkdtemp(prefix="opsrun-lab-", dir="/tmp")
        os.chmod(inside, 0o711)
    write_private(os.path.join(lab, "postgres.room"), inside)
    return inside


def run(argv, user=None, **options):
    if user is not None:
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, cwd="/", **options)
    if done.returncode != 0:
        text = done.stdout.decode(errors="replace")
        raise RuntimeError(f"'{argv[0]}' ended with {done.returncode}: {text}")
    return done.stdout


def make_certificates(directory):
    """A certificate authority of our own and a server certificate for this machine."""
    def made(name):
        return os.path.join(directory, name)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run(["openssl", "req", "-x509", *key, "-days", "90", "-subj", "/CN=opsrun lab CA",
         "-keyout", made("ca.key"), "-out", made("ca.pem")])
    run(["openssl", "req", *key, "-subj", "/CN=localhost", "-keyout", made("server.key"),
         "-out", made("server.csr")])
    with open(made("san.cnf"), "w", encoding="ascii") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n"
                   "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
    sign(directory, made("server.csr"), made("server.pem"), 90)
    os.unlink(made("server.csr"))


def sign(directory, request, certificate, days):
    """A certificate of the lab's own authority, whose files are in the directory."""
    def made(name):
        return os.path.join(directory, name)
    run(["openssl", "x509", "-req", "-in", request, "-CA", made("ca.pem"), "-CAkey", made("ca.key"),
         "-set_serial", str(secrets.randbits(63)), "-days", str(days), "-extfile", made("san.cnf"),
         "-out", certificate])


def server_argv(data, port, sockets):
    return [f"{BIN}/postgres", "-D", data, "-p", str(port), "-k", sockets]


def start(processes, data, port, log):
    """Starts a server on data; ready when it takes connections. Raises RuntimeError."""
    conninfo = f"host=127.0.0.1 port={port} dbname=app connect_timeout=5"
    processes.start("postgres", server_argv(data, port, os.path.dirname(data)), log, user=owner(),
                    ready=lambda: pq.is_up(conninfo), stop="INT")


def build_template(directory):
    """initdb, settings, certificates, tables: into directory/data, directory/password."""
    user = owner()
    work = tempfile.mkdtemp(prefix="opsrun-template-", dir="/tmp")
    try:
        os.chmod(work, 0o711)
        if user is not None:
            os.chown(work, user.pw_uid, user.pw_gid)
        password = secrets.token_hex(16)
        data, secret = os.path.join(work, "data"), os.path.join(work, "password")
        write_private(secret, password)
        if user is not None:
            os.chown(secret, user.pw_uid, user.pw_gid)
        run([f"{BIN}/initdb", "-D", data, "-U", "ops", "-A", "scram-sha-256", "--pwfile", secret,
             "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync"], user)
        with open(os.path.join(data, "postgresql.conf"), "a", encoding="ascii") as file:
            file.write(CONFIG)
        with open(os.path.join(data, "pg_hba.conf"), "w", encoding="ascii") as file:
            file.write(ACCESS)
        make_certificates(data)
        for name in ("server.pem", "server.key", "ca.pem"):
            path = os.path.join(data, name)
            os.chmod(path, 0o600 if name.endswith("key") else 0o644)
            if user is not None:
                os.chown(path, user.pw_uid, user.pw_gid)
        fill_template(work, data, password)
        shutil.move(secret, os.path.join(directory, "password"))
        shutil.copy(os.path.join(data, "server.key"), os.path.join(directory, "server.key"))
        for name in ("server.pem", "ca.pem"):
            shutil.copy(os.path.join(data, name), os.path.join(directory, name))
        for name in ("ca.key", "san.cnf"):       # for more certificates of the same authority
            shutil.move(os.path.join(data, name), os.path.join(directory, name))
        run(["cp", "-a", "--reflink=auto", data, os.path.join(directory, "data")])
    finally:
        shutil.rmtree(work, ignore_errors=True)


def fill_template(work, data, password):
    """Plays the application's tables into a fresh cluster, over its socket, then stops it."""
    processes = Processes(work)
    login = f"host={work} port=5432 user=ops password={password}"
    processes.start("postgres", server_argv(data, 5432, work) + ["-c", "listen_addresses="],
                    os.path.join(work, "log"), user=owner(),
                    ready=lambda: pq.is_up(f"host={work} port=5432 dbname=postgres"), stop="INT")
    try:
        session = pq.Session(f"{login} dbname=postgres")
        session.query("CREATE EXTENSION pg_stat_statements")
        session.query("CREATE DATABASE app")
        session.close()
        session = pq.Session(f"{login} dbname=app")
        with open(os.path.join(HERE, "schema.sql"), encoding="utf-8") as file:
            session.query(file.read())
        session.query("CHECKPOINT")
        session.close()
    finally:
        processes.stop("postgres")


def drop_old(store):
    """Removes templates an earlier state of the lab's files made, once nobody copies them any more."""
    for name in os.listdir(store):
        path = os.path.join(store, name)
        if os.path.isdir(path) and time.time() - os.stat(path).st_mtime > 3600:
            shutil.rmtree(path)


def template():
    """The directory of the finished template, built now if there is none that fits."""
    shape = hashlib.sha256(f"{VERSION} {os.geteuid()}".encode())
    for name in ("database.py", "schema.sql"):
        with open(os.path.join(HERE, name), "rb") as file:
            shape.update(file.read())
    store = os.environ.get("OPSRUN_LAB_TEMPLATES") or os.path.join(ROOT, "build", "lab-template")
    os.makedirs(store, exist_ok=True)
    directory = os.path.join(store, shape.hexdigest()[:16])
    with open(os.path.join(store, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)   # two labs coming up at once build it once
        if os.path.exists(directory) and time.time() - os.stat(directory).st_mtime > MAX_AGE:
            shutil.rmtree(directory)
        if not os.path.exists(directory):
            drop_old(store)
            unfinished = directory + ".new"
            shutil.rmtree(unfinished, ignore_errors=True)
            os.mkdir(unfinished, 0o700)
            build_template(unfinished)
            os.replace(unfinished, directory)
    return directory


def copy_cluster(source, place):
    """A private copy of the template's cluster in place/data."""
    data = os.path.join(place, "data")
    run(["cp", "-a", "--reflink=auto", os.path.join(source, "data"), data])
    if owner() is not None:
        os.chown(place, owner().pw_uid, owner().pw_gid)   # the server's socket goes there
    return data
