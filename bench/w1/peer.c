/* The checks of daily/health-check, one after the other on one connection each. */
#include <curl/curl.h>
#include <glob.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <mntent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "peer.h"

static int well, not_well;

static void check(const char *name, int is_well) {
  printf("%s %s\n", is_well ? "OK     " : "NOT OK ", name);
  if (is_well) well++;
  else not_well++;
}

static void check_application(CURL *curl) {
  double seconds = 0;
  char *text = get(curl, "/health");
  check("application status", strstr(text, "\"status\": \"healthy\"") != NULL);
  curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &seconds);
  check("response time", seconds <= 0.5);
  free(text);
  text = get(curl, "/api/health");
  check("database", strstr(text, "\"database\": \"connected\"") != NULL);
  const char *at = strstr(text, "\"timestamp\": \"");
  struct tm made = {0};
  if (at == NULL || strptime(at + 14, "%Y-%m-%dT%H:%M:%SZ", &made) == NULL) die("timestamp");
  check("age of the detailed health", time(NULL) - timegm(&made) <= 300);
  const char *memory = strstr(text, "\"memory\"");
  if (memory == NULL) die("memory");
  check("memory of the application", number(memory, "used") <= 0.8 * number(memory, "total"));
  free(text);
  text = get(curl, "/api/admin/monitoring/analytics?period=24h");
  check("average response time", number(text, "avg_response_time") <= 500);
  check("error rate", number(text, "error_rate") <= 1);
  check("cache hit rate", number(text, "cache_hit_rate") >= 80);
  free(text);
  text = get(curl, "/api/admin/database/performance");
  check("mean query time", number(text, "avg_query_time") <= 100);
  check("slow queries", number(text, "slow_queries") <= 10);
  free(text);
  text = get(curl, "/api/cache/analytics?period=24h");
  check("cache hits", number(text, "hit_rate") >= 80);
  free(text);
  text = get(curl, "/api/admin/queues/stats");
  check("jobs that wait", number(text, "depth") <= 1000);
  check("jobs that failed", number(text, "failed") <= 0);
  free(text);
}

static void check_certificate(void) {
  CURL *curl = curl_easy_init();
  struct curl_certinfo *chain = NULL;
  long days = -1;
  curl_easy_setopt(curl, CURLOPT_URL, variable("APP_TLS_URL"));
  curl_easy_setopt(curl, CURLOPT_CAINFO, variable("APP_CA"));
  curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
  curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (curl_easy_perform(curl) != CURLE_OK) die("certificate");
  curl_easy_getinfo(curl, CURLINFO_CERTINFO, &chain);
  for (struct curl_slist *line = chain->num_of_certs > 0 ? chain->certinfo[0] : NULL; line != NULL; line = line->next) {
    struct tm end = {0};
    if (strncmp(line->data, "Expire date:", 12) == 0 && strptime(line->data + 12, "%b %d %H:%M:%S %Y", &end) != NULL)
      days = (timegm(&end) - time(NULL)) / 86400;
  }
  check("days left on the certificate", days >= 30);
  curl_easy_cleanup(curl);
}

static void check_database(void) {
  PGconn *db = connect_database();
  PGresult *rows = ask(db, "SELECT coalesce(state, 'unknown'), count(*), current_setting('max_connections')::int"
                           " - current_setting('superuser_reserved_connections')::int FROM pg_stat_activity"
                           " WHERE backend_type = 'client backend' GROUP BY 1");
  int used = 0;
  for (int i = 0; i < PQntuples(rows); i++) {
    printf("        %s %s\n", PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1));
    used += atoi(PQgetvalue(rows, i, 1));
  }
  check("connections used", 100 * used <= 80 * atoi(PQgetvalue(rows, 0, 2)));
  PQclear(rows);
  PQfinish(db);
}

static double info(const char *text, const char *name) {
  const char *at = strstr(text, name);
  return at == NULL ? 0 : strtod(at + strlen(name), NULL);
}

static void check_redis(void) {
  redisContext *redis = connect_redis();
  redisReply *reply = redisCommand(redis, "PING");
  check("redis answers", reply != NULL && strcmp(reply->str, "PONG") == 0);
  freeReplyObject(reply);
  reply = redisCommand(redis, "INFO");
  double most = info(reply->str, "\nmaxmemory:");
  if (most == 0) most = info(reply->str, "\ntotal_system_memory:");
  check("redis memory used", 100 * info(reply->str, "\nused_memory:") / most <= 80);
  freeReplyObject(reply);
  redisFree(redis);
}

static void check_disks(void) {
  FILE *mounts = setmntent("/proc/mounts", "r");
  int full = 0;
  for (struct mntent *mount; (mount = getmntent(mounts)) != NULL;) {
    struct statvfs facts;
    if (statvfs(mount->mnt_dir, &facts) != 0 || facts.f_blocks == 0 || hasmntopt(mount, "ro")) continue;
    full += 100 * (facts.f_blocks - facts.f_bfree) > 80 * (facts.f_blocks - facts.f_bfree + facts.f_bavail);
  }
  endmntent(mounts);
  check("disks", full == 0);
}

static void check_log(void) {
  FILE *log = fopen(variable("BENCH_LOG"), "r");
  char *line = NULL;
  size_t room = 0;
  int errors = 0;
  if (log == NULL) die("log");
  while (getline(&line, &room, log) > 0)
    errors += strstr(line, "ERROR") != NULL || strstr(line, "FATAL") != NULL || strstr(line, "\"level\":\"error\"") != NULL;
  free(line);
  fclose(log);
  check("errors in the log", errors <= 10);
}

static void check_backup(void) {
  char pattern[1024];
  glob_t found;
  struct stat facts, newest = {0};
  snprintf(pattern, sizeof pattern, "%s/*.dump", variable("BENCH_BACKUPS"));
  if (glob(pattern, 0, NULL, &found) != 0) die("backups");
  for (size_t i = 0; i < found.gl_pathc; i++)
    if (stat(found.gl_pathv[i], &facts) == 0 && facts.st_mtime > newest.st_mtime) newest = facts;
  globfree(&found);
  check("age of the newest backup", time(NULL) - newest.st_mtime <= 26 * 3600);
  check("size of the newest backup", newest.st_size > 0);
}

int main(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL *curl = curl_easy_init();
  check_application(curl);
  check_database();
  check_redis();
  check_disks();
  check_log();
  check_certificate();
  check_backup();
  printf("answer: %d well, %d not\n", well, not_well);
  return not_well > 0;
}
