"""What a PostgreSQL server holds, as {place: text}: every row of every table and catalogue of every database
with the transaction that wrote it and the one that locked it, sequences, settings, files, slots, locks,
sessions, and the counters that only writes move.

Two of the places catch what no list of tables would: the next transaction's number (whoever writes, notifies
or locks a row takes one) and xmax of each row (whoever locks one leaves it there).
"""

import hashlib
import os

import pq

OURS = "lab-fingerprint"

# One look each. The first columns up to `key` name the place, the rest is what stands there.
LOOKS = {
    "settings": ("SELECT name, setting, source, sourcefile, sourceline, pending_restart FROM pg_settings"
                 " WHERE name NOT IN ('application_name', 'client_encoding', 'in_hot_standby')"),
    "access": "SELECT rule_number, r.* FROM (SELECT line_number AS rule_number, * FROM pg_hba_file_rules) r",
    # what a replica is fed through follows the log's position; which slots there are, and who is on them, does not
    "slots": ("SELECT slot_name, slot_type, active_pid, xmin, catalog_xmin, CASE WHEN NOT active THEN restart_lsn END,"
              " CASE WHEN NOT active THEN confirmed_flush_lsn END, wal_status FROM pg_replication_slots"),
    "prepared": "SELECT gid, transaction, owner, database FROM pg_prepared_xacts",
    "senders": "SELECT pid, application_name, state FROM pg_stat_replication",
    "origins": "SELECT * FROM pg_replication_origin_status",
    "locks": ("SELECT l.pid, l.locktype, l.database, l.relation, l.virtualtransaction, l.transactionid, l.classid,"
              " l.objid, l.mode, l.granted FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
              f" WHERE a.application_name <> '{OURS}' AND l.locktype <> 'virtualxid'"
              " AND NOT (a.application_name IN ('lab-keeper', 'opsrun') AND l.fastpath)"),
    # what somebody does is his own business; that he is still there, and at the same transaction, is ours
    "sessions": ("SELECT pid, application_name, usename, datname, backend_start,"
                 " CASE WHEN application_name LIKE 'victim%' THEN xact_start END,"
                 " CASE WHEN application_name LIKE 'victim%' THEN query_start END,"
                 " CASE WHEN application_name LIKE 'victim%' THEN state END FROM pg_stat_activity"
                 f" WHERE backend_type = 'client backend' AND application_name NOT IN ('{OURS}', 'lab-observer')"
                 " AND application_name NOT LIKE 'opsrun%'"),
    "counters/database": ("SELECT datname, tup_inserted, tup_updated, tup_deleted, conflicts, deadlocks,"
                          " sessions_killed, sessions_fatal, stats_reset FROM pg_stat_database"),
    "counters/resets": ("SELECT 'bgwriter', stats_reset FROM pg_stat_bgwriter UNION ALL"
                        " SELECT 'wal', stats_reset FROM pg_stat_wal UNION ALL"
                        " SELECT 'archiver', stats_reset FROM pg_stat_archiver UNION ALL"
                        " SELECT name, stats_reset FROM pg_stat_slru UNION ALL"
                        " SELECT 'statements', stats_reset FROM pg_stat_statements_info"),
    "counters/checkpoints": "SELECT 'asked for', checkpoints_req FROM pg_stat_bgwriter",
    "transactions": ("SELECT 'next', pg_snapshot_xmax(pg_current_snapshot()) UNION ALL"
                     " SELECT 'oldest', pg_snapshot_xmin(pg_current_snapshot())"),
    "write-ahead log": ("SELECT 'position', pg_current_wal_insert_lsn()::text UNION ALL"
                        " SELECT 'segment', pg_walfile_name(pg_current_wal_insert_lsn())"),
    "notifications": "SELECT 'queue', pg_notification_queue_usage()",
    "state": ("SELECT 'started', pg_postmaster_start_time()::text UNION ALL"
              " SELECT 'configuration read', pg_conf_load_time()::text UNION ALL"
              " SELECT 'in recovery', pg_is_in_recovery()::text"),
}

HERE_LOOKS = {
    "counters/table": "SELECT schemaname || '.' || relname, n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd FROM pg_stat_all_tables",
    "counters/vacuum": ("SELECT schemaname || '.' || relname, last_vacuum, last_analyze, last_autovacuum, last_autoanalyze"
                        " FROM pg_stat_all_tables"),
}

# Not those with an index over a function of somebody's own: planning the look would run it.
TABLES = """
SELECT c.oid::regclass::text, c.relkind, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'S') AND n.nspname !~ '^pg_(toast|temp)' AND (c.relisshared = false OR $1::bool)
  AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
    WHERE i.indrelid = c.oid AND d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384)
ORDER BY 1"""


def read_rows(session, text):
    """{key: the rest} of a look; rows of one key are put together."""
    found = {}
    for key, *rest in session.query(text):
        found.setdefault(str(key), []).append("|".join("" if v is None else v for v in rest))
    return {key: "\n".join(sorted(lines)) for key, lines in found.items()}


def rows_text(name, kind):
    """The statement that sums a table's rows up; a sequence is its one row."""
    if kind == "S":
        return f"SELECT '{quoted(name)}' AS name, format('%s %s %s', last_value, is_called, log_cnt) AS sum FROM {name}"
    return (f"SELECT '{quoted(name)}' AS name, count(*) || ' ' || coalesce(md5(string_agg(md5(t.ctid::text || t.xmin::text"
            f" || t.xmax::text || t.*::text), '' ORDER BY t.ctid)), '') AS sum FROM {name} t")


def quoted(text):
    return text.replace("'", "''")


def read_tables(session, shared):
    """{table: count and sum of its rows} of the session's database."""
    tables = session.query(TABLES, "t" if shared else "f")
    return dict(session.query(" UNION ALL ".join(rows_text(name, kind) for name, kind, _ in tables)))


def read_file(path):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        return type(error).__name__


def read_files(data):
    """Configuration by content; names and sizes of what else the server keeps in its directory."""
    found = {}
    for place, names, files in os.walk(data):
        names[:] = [n for n in names if not (place == data and n == "pg_wal")]
        for name in names + files:
            path = os.path.join(place, name)
            short = os.path.relpath(path, data)
            if name.endswith((".conf", ".signal")) or name == "PG_VERSION":
                found[short] = read_file(path)
            elif os.path.isfile(path) and not os.path.islink(path):
                found[short] = f"{os.lstat(path).st_size} bytes"
            else:
                found[short] = "directory"
    return found


def read_log(path):
    """How often the server wrote a line of each kind that tells of an act on it."""
    kinds = {"FATAL:  terminating": 0, "PANIC:": 0, "LOG:  received": 0, "LOG:  parameter": 0, "ERROR:  canceling": 0,
             "LOG:  checkpoint": 0, "LOG:  unexpected": 0}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            for kind in kinds:
                kinds[kind] += kind in line
    return {kind: str(count) for kind, count in kinds.items()}


class Cluster:
    """Looks at one server with sessions of its own, one a database, which end with the look: some labs have none left."""

    def __init__(self, url, data, log):
        self.url, self.data, self.log, self.sessions = url, data, log, {}

    def session(self, database):
        if database not in self.sessions:
            base = self.url.rsplit("/", 1)[0]
            self.sessions[database] = pq.Session(f"{base}/{database}?application_name={OURS}&sslmode=disable")
        return self.sessions[database]

    def close(self):
        for session in self.sessions.values():
            session.close()
        self.sessions = {}

    def quiet(self):
        """Whether no session of opsrun is left, so that its counters have arrived."""
        return self.session("app").value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'opsrun%'") == "0"

    def look(self):
        found, keeper = {}, self.session("app")
        for look, text in LOOKS.items():
            for key, value in read_rows(keeper, text).items():
                found[f"postgres/{look}/{key}"] = value
        names = [n for n, in keeper.query("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")]
        for number, name in enumerate(names):
            session = self.session(name)
            for table, value in read_tables(session, number == 0).items():
                found[f"postgres/rows/{name}/{table}"] = value
            for look, text in HERE_LOOKS.items():
                for key, value in read_rows(session, text).items():
                    found[f"postgres/{look}/{name}/{key}"] = value
        for name, value in read_files(self.data).items():
            found[f"postgres/files/{name}"] = value
        for kind, count in read_log(self.log).items():
            found[f"postgres/log/{kind}"] = count
        self.close()
        return found
