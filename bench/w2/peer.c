/* The steps of incident/db-exhaustion, one after the other on one connection. */
#include <curl/curl.h>
#include <libpq-fe.h>
#include <unistd.h>

#include "peer.h"

#define SESSIONS                                                                                              \
  "SELECT pid, usename, application_name, state, extract(epoch FROM now() - state_change)::int, left(query, 200)" \
  " FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"                  \
  " AND application_name NOT IN ('lab-keeper', 'lab-observer')"

static PGconn *db;

static void show(const char *title, const char *text) {
  PGresult *rows = ask(db, text);
  printf("%s\n", title);
  for (int i = 0; i < PQntuples(rows); i++) {
    for (int k = 0; k < PQnfields(rows); k++) printf(" %s", PQgetvalue(rows, i, k));
    printf("\n");
  }
  PQclear(rows);
}

static void save(const char *name, const char *text) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", variable("BENCH_EVIDENCE"), name);
  FILE *file = fopen(path, "w");
  if (file == NULL) die(path);
  PGresult *rows = ask(db, text);
  for (int i = 0; i < PQntuples(rows); i++)
    for (int k = 0; k < PQnfields(rows); k++)
      fprintf(file, "%s%c", PQgetvalue(rows, i, k), k + 1 < PQnfields(rows) ? ',' : '\n');
  PQclear(rows);
  if (fclose(file) != 0) die(path);
}

static int percent(void) {
  PGresult *row = ask(db, "SELECT 100 * count(*) / (current_setting('max_connections')::int"
                          " - current_setting('superuser_reserved_connections')::int) FROM pg_stat_activity"
                          " WHERE backend_type = 'client backend'");
  int value = atoi(PQgetvalue(row, 0, 0));
  PQclear(row);
  return value;
}

static int terminate(void) {
  PGresult *rows = ask(db, "SELECT pg_terminate_backend(pid) FROM (" SESSIONS
                           " AND state LIKE 'idle%' AND state_change < now() - interval '2s') AS idle");
  int count = 0;
  for (int i = 0; i < PQntuples(rows); i++) count += PQgetvalue(rows, i, 0)[0] == 't';
  PQclear(rows);
  return count;
}

static void tell(CURL *curl, int count) {
  char text[256];
  struct body body = {NULL, 0};
  snprintf(text, sizeof text, "{\"text\": \"%d sessions were ended, %d %% of the connections are used\"}", count, percent());
  struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
  curl_easy_setopt(curl, CURLOPT_URL, variable("TEAM_HOOK"));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  if (curl_easy_perform(curl) != CURLE_OK) die("hook");
  curl_slist_free_all(headers);
  free(body.text);
}

int main(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL *curl = curl_easy_init();
  db = connect_database();
  printf("%d %% used\n", percent());
  show("by state", "SELECT state, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1");
  show("by application", "SELECT application_name, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                         " GROUP BY 1");
  char *pool = get(curl, "/api/admin/pool");
  printf("pool: %s\n", pool);
  free(pool);
  save("idle-sessions.csv", SESSIONS " AND state LIKE 'idle%'");
  save("idle-in-transaction.csv", SESSIONS " AND state LIKE 'idle in transaction%'");
  save("blocked-chains.csv", "SELECT waiting.pid, blocker FROM pg_stat_activity AS waiting,"
                             " unnest(pg_blocking_pids(waiting.pid)) AS blocker WHERE wait_event_type = 'Lock'");
  show("idle", SESSIONS " AND state LIKE 'idle%' AND state_change < now() - interval '2s'");
  int count = terminate();
  for (int i = 0; percent() >= 80; i++) {
    if (i == 60) die("the pool does not recover");
    sleep(5);
  }
  tell(curl, count);
  PQfinish(db);
  printf("answer: %d sessions ended\n", count);
  return 0;
}
