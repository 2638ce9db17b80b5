/* For C tests of the Redis client: starts tests/redis/server.py, knows its ports, runs operations to
 * their end. */
#ifndef OPSRUN_TESTS_REDIS_FIXTURE_H
#define OPSRUN_TESTS_REDIS_FIXTURE_H

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/module.h"
#include "clients/redis.h"
#include "loop/loop.h"
#include "loop/op.h"

/* No test needs all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

extern char **environ;

static const struct redis_api *redis;
static struct {
  char name[24];
  char value[200];
} facts[40];
static int fact_count;
static int server_input = -1;
static pid_t server_pid;

static const char *fact(const char *name) {
  for (int i = 0; i < fact_count; i++)
    if (strcmp(facts[i].name, name) == 0) return facts[i].value;
  fprintf(stderr, "the server has no '%s'\n", name);
  exit(2);
}

static void server_start(void) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) exit(2);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  char *argv[] = {"python3", "-B", "-W", "ignore", "tests/redis/server.py", NULL};
  if (posix_spawnp(&server_pid, "python3", &actions, NULL, argv, environ) != 0) exit(2);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  server_input = in[1];
  FILE *lines = fdopen(out[0], "r");
  char name[24], value[200];
  if (lines == NULL) exit(2);
  while (fscanf(lines, "%23s", name) == 1 && strcmp(name, "ready") != 0) {
    if (fscanf(lines, "%199s", value) != 1 || fact_count == 40) exit(2);
    snprintf(facts[fact_count].name, sizeof facts[0].name, "%s", name);
    snprintf(facts[fact_count++].value, sizeof facts[0].value, "%s", value);
  }
  fclose(lines);
  if (fact_count == 0) exit(2);
}

static void fixture_open(void) {
  const char *error = NULL;
  redis = module_load("redis", "opsrun_redis_api", &error);
  if (redis == NULL) {
    fprintf(stderr, "%s\n", error);
    exit(2);
  }
  signal(SIGPIPE, SIG_IGN); /* as the program does */
  if (loop_open() != 0) exit(2);
  server_start();
}

static void fixture_close(void) {
  close(server_input);
  waitpid(server_pid, NULL, 0);
  loop_close();
}

static char left_ready_queue;

static void mark_ready(struct op *op) { op->waiter = &left_ready_queue; }

/* Turns the loop until the operation has ended and left the ready queue: it may be destroyed. */
static struct op *await(struct op *op) {
  if (op == NULL) exit(2);
  op->on_ready = mark_ready;
  while (op->waiter != &left_ready_queue && loop_turn()) continue;
  return op;
}

/* "redis://SCENARIO:x@127.0.0.1:PORT" */
static const char *plain_url(const char *scenario) {
  static char url[256];
  snprintf(url, sizeof url, "redis://%s:x@127.0.0.1:%s/3", scenario, fact("plain"));
  return url;
}

static struct op *connect_to(const char *url, const char *ca) {
  struct redis_target target = {.url = url, .ca = ca, .name = "opsrun-test"};
  return await(redis->connect(&target, 3000));
}

/* The connection, or the end of the test. */
static struct redis_conn *connection(const char *url) {
  struct op *op = connect_to(url, NULL);
  if (op->failed) {
    fprintf(stderr, "cannot connect to %s: %s\n", url, op->message);
    exit(2);
  }
  struct redis_conn *conn = redis->connected(op);
  op_destroy(op);
  return conn;
}

/* A batch of `count` times "GET key". */
static struct redis_batch *batch_of(const char *key, int count) {
  struct redis_batch *batch = redis->batch_new();
  const char *argv[] = {"GET", key};
  size_t lengths[] = {3, strlen(key)};
  for (int i = 0; i < count; i++)
    if (redis->batch_add(batch, 2, argv, lengths) != NULL) exit(2);
  return batch;
}

static struct op *run(struct redis_conn *conn, struct redis_batch *batch, uint64_t timeout_ms) {
  return await(redis->run(conn, batch, timeout_ms));
}

static bool message_holds(const struct op *op, const char *text) {
  return op->message != NULL && strstr(op->message, text) != NULL;
}

#endif
