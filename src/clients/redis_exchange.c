/* A batch on its way: its commands sent in one write, replies read by hiredis as they come.
 * Sending and receiving go on side by side, so that a server which answers before it has read all
 * can never be waited for while it waits for us. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "redis_internal.h"

#define READS_AT_ONCE 64 /* then others on the loop have their turn */
#define HEAD_BYTES 24    /* a sign, the digits of a size, a line end */

struct redis_batch *batch_new(void) { return calloc(1, sizeof(struct redis_batch)); }

void batch_free(struct redis_batch *batch) {
  if (batch == NULL) return;
  if (batch->out != NULL) explicit_bzero(batch->out, batch->capacity); /* a password may be in it */
  free(batch->out);
  free(batch->replies);
  arena_free(&batch->arena);
  free(batch);
}

/* Room for `more` bytes; what is moved from is wiped. */
static bool reserve(struct redis_batch *batch, size_t more) {
  if (batch->capacity - batch->length >= more) return true;
  size_t capacity = batch->capacity == 0 ? 4096 : batch->capacity;
  while (capacity - batch->length < more) capacity *= 2;
  char *grown = malloc(capacity);
  if (grown == NULL) return false;
  if (batch->out != NULL) {
    memcpy(grown, batch->out, batch->length);
    explicit_bzero(batch->out, batch->capacity);
    free(batch->out);
  }
  batch->out = grown;
  batch->capacity = capacity;
  return true;
}

static char *put_line_end(char *at) {
  at[0] = '\r';
  at[1] = '\n';
  return at + 2;
}

/* "*3\r\n", "$11\r\n" */
static char *put_head(char *at, char sign, size_t number) {
  char digits[HEAD_BYTES];
  char *first = digits + sizeof digits;
  do *--first = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  size_t count = (size_t)(digits + sizeof digits - first);
  *at++ = sign;
  memcpy(at, first, count);
  return put_line_end(at + count);
}

/* hiredis's formatter prints each size with sprintf and copies twice: for a pipeline of many small
   commands that was a quarter of all we did. */
const char *batch_add(struct redis_batch *batch, int argc, const char **argv,
                      const size_t *lengths) {
  if (batch->expected >= REDIS_MAX_COMMANDS) return "too many commands at once";
  size_t total = batch->length;
  for (int i = 0; i < argc; i++) {
    if (lengths[i] > REDIS_MAX_BATCH_BYTES - total) return "the commands are larger than 64 MiB";
    total += lengths[i];
  }
  size_t room = HEAD_BYTES + (total - batch->length) + (size_t)argc * (HEAD_BYTES + 2);
  if (!reserve(batch, room)) return "out of memory";
  char *at = put_head(batch->out + batch->length, '*', (size_t)argc);
  for (int i = 0; i < argc; i++) {
    at = put_head(at, '$', lengths[i]);
    memcpy(at, argv[i], lengths[i]);
    at = put_line_end(at + lengths[i]);
  }
  batch->length = (size_t)(at - batch->out);
  if (batch->expected == 0) batch->first_length = batch->length;
  batch->expected++;
  return NULL;
}

static void end(struct redis_conn *conn) {
  struct redis_batch *batch = conn->batch;
  conn->batch = NULL;
  conn_unwatch(conn);
  batch->done(batch);
}

static void fail(struct redis_conn *conn, const char *code, const char *message) {
  struct redis_batch *batch = conn->batch;
  batch->failed = true;
  snprintf(batch->code, sizeof batch->code, "%s", code);
  if (batch->expected > 1 && batch->got > 0)
    snprintf(batch->message, sizeof batch->message, "%s after %zu of %zu answers", message,
             batch->got, batch->expected);
  else snprintf(batch->message, sizeof batch->message, "%s", message);
  conn_break(conn);
  end(conn);
}

/* Sends what the socket takes. A failure is told by the read that follows: the server may have said
   why before it closed. */
static void send_rest(struct redis_conn *conn) {
  struct redis_batch *batch = conn->batch;
  while (batch->sent < batch->length) {
    size_t sent = 0;
    if (conn_write(conn, batch->out + batch->sent, batch->length - batch->sent, &sent) != IO_OK)
      return;
    batch->sent += sent;
  }
}

/* Takes complete replies. False: the batch has failed. */
static bool take_replies(struct redis_conn *conn) {
  struct redis_batch *batch = conn->batch;
  while (batch->got < batch->expected) {
    const char *why = NULL;
    int taken = reader_take(conn->reader, &batch->arena, &batch->replies[batch->got], &why);
    if (taken == 0) return true;
    if (taken < 0) {
      char message[128];
      bool large = strncmp(why, "too", 3) == 0;
      snprintf(message, sizeof message, "the answer is refused: %s", why);
      fail(conn, large ? "too large" : "protocol", message);
      return false;
    }
    batch->got++;
    batch->reply_bytes = 0;
  }
  return true;
}

/* False: the batch has failed. */
static bool receive(struct redis_conn *conn, const char *data, size_t len) {
  struct redis_batch *batch = conn->batch;
  batch->reply_bytes += len;
  batch->total_bytes += len;
  if (!reader_feed(conn->reader, data, len)) {
    fail(conn, "memory", "out of memory");
    return false;
  }
  if (!take_replies(conn)) return false;
  if (batch->got < batch->expected && (batch->reply_bytes > REDIS_MAX_REPLY_BYTES ||
                                       batch->total_bytes > REDIS_MAX_BATCH_BYTES)) {
    fail(conn, "too large",
         batch->reply_bytes > REDIS_MAX_REPLY_BYTES ? "the answer is larger than 16 MiB"
                                                    : "the answers are larger than 64 MiB");
    return false;
  }
  return true;
}

static void on_event(struct redis_conn *conn);

static void watch(struct redis_conn *conn) {
  int events = UV_READABLE | (conn->wants_write ? UV_WRITABLE : 0);
  if (!conn_watch(conn, events, on_event)) fail(conn, "connect", "cannot watch the socket");
}

static void on_event(struct redis_conn *conn) {
  struct redis_batch *batch = conn->batch;
  char chunk[REDIS_CHUNK];
  if (batch == NULL) return;
  conn->wants_write = false;
  send_rest(conn);
  for (int turn = 0; turn < READS_AT_ONCE && batch->got < batch->expected; turn++) {
    size_t got = 0;
    enum io state = conn_read(conn, chunk, sizeof chunk, &got);
    if (state == IO_AGAIN) break;
    if (state != IO_OK) {
      fail(conn, "connection lost", "the connection was lost");
      return;
    }
    if (!receive(conn, chunk, got)) return;
  }
  if (batch->got < batch->expected) {
    watch(conn);
    return;
  }
  /* More than was asked for, or answers to what was not sent whole: nobody knows what would come. */
  if (!reader_is_empty(conn->reader) || batch->sent < batch->length) conn_break(conn);
  end(conn);
}

void exchange_start(struct redis_conn *conn, struct redis_batch *batch) {
  conn->batch = batch;
  batch->replies = calloc(batch->expected, sizeof *batch->replies);
  if (batch->replies == NULL) {
    fail(conn, "memory", "out of memory");
    return;
  }
  conn->wants_write = false;
  send_rest(conn);
  watch(conn); /* no answer can be there yet */
}

bool exchange_is_alive(struct redis_conn *conn) {
  char byte;
  size_t got = 0;
  return !conn->broken && conn_read(conn, &byte, 1, &got) == IO_AGAIN;
}
