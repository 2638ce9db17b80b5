/* For C tests of the HTTP client: starts tests/http/server.py, knows its ports, runs requests to
 * their end. */
#ifndef OPSRUN_TESTS_HTTP_FIXTURE_H
#define OPSRUN_TESTS_HTTP_FIXTURE_H

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/http.h"
#include "clients/module.h"
#include "loop/loop.h"
#include "loop/op.h"

/* No test needs all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

extern char **environ;

static const struct http_api *http;
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

/* "http://127.0.0.1:PORT/path" of the named peer. Every TLS peer is spoken to as "localhost". */
static const char *url_of(const char *peer, const char *path) {
  static char urls[8][600];
  static unsigned next;
  char *url = urls[next++ % 8];
  bool plain = strcmp(peer, "plain") == 0 || strcmp(peer, "other") == 0 ||
               strcmp(peer, "closed") == 0 || strcmp(peer, "blackhole") == 0;
  snprintf(url, sizeof urls[0], "%s:%s%s", plain ? "http://127.0.0.1" : "https://localhost",
           fact(peer), path);
  return url;
}

static void server_start(void) {
  char script[4096];
  snprintf(script, sizeof script, "%s", __FILE__);
  char *slash = strrchr(script, '/');
  if (slash == NULL) strcpy(script, "tests/http/server.py");
  else strcpy(slash, "/server.py");
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) exit(2);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  char *argv[] = {"python3", "-B", "-W", "ignore", script, NULL};
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

static void server_stop(void) {
  close(server_input);
  waitpid(server_pid, NULL, 0);
}

static void fixture_open(void) {
  const char *error = NULL;
  http = module_load("http", "opsrun_http_api", &error);
  if (http == NULL) {
    fprintf(stderr, "%s\n", error);
    exit(2);
  }
  signal(SIGPIPE, SIG_IGN); /* as the program does */
  if (loop_open() != 0) exit(2);
  server_start();
}

static void fixture_close(void) {
  server_stop();
  loop_close();
}

static struct http_bytes bytes_of(const char *text) {
  struct http_bytes bytes = {text, text != NULL ? strlen(text) : 0};
  return bytes;
}

static struct http_request request_of(const char *method, const char *url) {
  struct http_request request = {.method = bytes_of(method), .url = bytes_of(url)};
  return request;
}

static char left_ready_queue;

static void mark_ready(struct op *op) { op->waiter = &left_ready_queue; }

static struct op *start(const struct http_request *request) {
  struct op *op = http->request(request);
  if (op == NULL) exit(2);
  op->on_ready = mark_ready;
  return op;
}

/* Turns the loop until the operation has ended and left the ready queue: it may be destroyed. */
static struct op *await(struct op *op) {
  while (op->waiter != &left_ready_queue && loop_turn()) continue;
  return op;
}

static struct op *run(struct http_request request) { return await(start(&request)); }

static const struct http_response *answer(struct op *op) { return http->response(op); }

static bool body_holds(struct op *op, const char *text) {
  const struct http_bytes body = answer(op)->body;
  return body.data != NULL && memmem(body.data, body.len, text, strlen(text)) != NULL;
}

/* How often `text` is in what the named peer received so far. */
static int peer_saw(const char *peer, const char *text) {
  struct op *op = run(request_of("GET", url_of(peer, "/_log")));
  if (op->failed) {
    fprintf(stderr, "no log of '%s': %s\n", peer, op->message);
    exit(2);
  }
  const struct http_bytes body = answer(op)->body;
  const char *at = body.data, *end = body.data + body.len;
  int count = 0;
  while (at != NULL && (at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
    count++;
    at++;
  }
  op_destroy(op);
  return count;
}

static bool message_holds(const struct op *op, const char *text) {
  return op->message != NULL && strstr(op->message, text) != NULL;
}

#endif
