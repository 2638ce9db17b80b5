/* What the peers in C share. Each does its work one thing after the other, with the plain libraries. */
#ifndef OPSRUN_BENCH_PEER_H
#define OPSRUN_BENCH_PEER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noreturn)) static inline void die(const char *what) {
  fprintf(stderr, "failed: %s\n", what);
  exit(1);
}

static inline const char *variable(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) die(name);
  return value;
}

#ifdef __HIREDIS_H
/* REDIS_URL: redis://:PASSWORD@HOST:PORT/0 */
static inline redisContext *connect_redis(void) {
  char password[256], host[256];
  int port;
  if (sscanf(variable("REDIS_URL"), "redis://:%255[^@]@%255[^:]:%d", password, host, &port) != 3) die("REDIS_URL");
  redisContext *redis = redisConnect(host, port);
  if (redis == NULL || redis->err != 0) die("connect to redis");
  redisReply *reply = redisCommand(redis, "AUTH %s", password);
  if (reply == NULL || reply->type == REDIS_REPLY_ERROR) die("AUTH");
  freeReplyObject(reply);
  return redis;
}
#endif

#ifdef LIBPQ_FE_H
static inline PGresult *ask(PGconn *db, const char *text) {
  PGresult *result = PQexec(db, text);
  if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK) die(PQerrorMessage(db));
  return result;
}

static inline PGconn *connect_database(void) {
  PGconn *db = PQconnectdb(variable("DATABASE_URL"));
  if (PQstatus(db) != CONNECTION_OK) die(PQerrorMessage(db));
  return db;
}
#endif

#ifdef CURLINC_CURL_H
struct body {
  char *text;
  size_t length;
};

static inline size_t take(char *data, size_t size, size_t count, void *to) {
  struct body *body = to;
  body->text = realloc(body->text, body->length + size * count + 1);
  if (body->text == NULL) die("memory");
  memcpy(body->text + body->length, data, size * count);
  body->length += size * count;
  body->text[body->length] = '\0';
  return size * count;
}

/* GET with the admin's token. The text is the caller's. */
static inline char *get(CURL *curl, const char *path) {
  char url[1024], bearer[512];
  struct body body = {NULL, 0};
  long status = 0;
  snprintf(url, sizeof url, "%s%s", variable("APP_URL"), path);
  snprintf(bearer, sizeof bearer, "Authorization: Bearer %s", variable("ADMIN_TOKEN"));
  struct curl_slist *headers = curl_slist_append(NULL, bearer);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
  if (curl_easy_perform(curl) != CURLE_OK) die(path);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
  curl_slist_free_all(headers);
  if (status / 100 != 2 || body.text == NULL) die(path);
  return body.text;
}

/* The number behind "name": in a JSON text. */
static inline double number(const char *json, const char *name) {
  char quoted[128];
  snprintf(quoted, sizeof quoted, "\"%s\":", name);
  const char *at = strstr(json, quoted);
  if (at == NULL) die(name);
  return strtod(at + strlen(quoted), NULL);
}
#endif

#endif
