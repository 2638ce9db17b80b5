/* Command output -> mask -> filter -> a ring of lines. */
#include "tail.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../loop/loop.h"
#include "filter.h"
#include "mask.h"
#include "term.h"

enum { SHOWN_AFTER_MS = 1000 };

struct tail_stream {
  struct tail *tail;
  struct mask_stream mask;
  struct filter filter;
  struct tail_line line; /* not ended yet */
  bool returned;         /* a carriage return came: what follows overwrites the line */
};

struct tail {
  struct tail *next;
  uint64_t since_ns;
  struct tail_stream streams[TAIL_STREAMS];
  struct tail_line ring[TAIL_LINES];
  size_t ended; /* lines so far */
};

static struct tail *open_tails;

/* Only whole characters go into a line; the filter hands on characters or runs of ASCII. */
static void add(struct tail_line *line, const char *text, size_t len) {
  size_t room = TAIL_LINE_CAP - line->len;
  if (len > room && (text[0] & 0x80) != 0) return;
  if (len > room) len = room;
  memcpy(line->bytes + line->len, text, len);
  for (size_t i = 0; i < len; i++)
    if (line->bytes[line->len + i] == '\t') line->bytes[line->len + i] = ' ';
  line->len += len;
}

static void after_filter(void *context, const char *text, size_t len) {
  struct tail_stream *s = context;
  while (len > 0) {
    const char *feed = memchr(text, '\n', len);
    size_t part = feed != NULL ? (size_t)(feed - text) : len;
    if (part > 0) add(&s->line, text, part);
    if (feed == NULL) return;
    if (s->line.len > 0) s->tail->ring[s->tail->ended++ % TAIL_LINES] = s->line;
    s->line.len = 0;
    text += part + 1;
    len -= part + 1;
  }
}

/* A program that shows progress writes its line again and again behind carriage returns: the last
   one counts. One before a line feed is a line end of elsewhere. */
static void after_mask(void *context, const char *text, size_t len) {
  struct tail_stream *s = context;
  while (len > 0) {
    if (s->returned && text[0] != '\n') s->line.len = 0;
    s->returned = false;
    const char *back = memchr(text, '\r', len);
    size_t part = back != NULL ? (size_t)(back - text) : len;
    filter_feed(&s->filter, text, part, after_filter, s);
    if (back == NULL) return;
    s->returned = true;
    text += part + 1;
    len -= part + 1;
  }
}

struct tail *tail_open(void) {
  if (!term_is_terminal()) return NULL;
  struct tail *t = calloc(1, sizeof *t);
  if (t == NULL) return NULL;
  t->since_ns = loop_now_ns();
  for (size_t i = 0; i < TAIL_STREAMS; i++) {
    t->streams[i].tail = t;
    mask_stream_open(&t->streams[i].mask, after_mask, &t->streams[i]);
  }
  t->next = open_tails;
  open_tails = t;
  return t;
}

void tail_feed(struct tail *t, int stream, const char *bytes, size_t len) {
  if (len > 0) mask_stream_feed(&t->streams[stream].mask, bytes, len);
}

void tail_close(struct tail *t) {
  if (t == NULL) return;
  struct tail **at = &open_tails;
  while (*at != t) at = &(*at)->next;
  *at = t->next;
  for (size_t i = 0; i < TAIL_STREAMS; i++) mask_stream_close(&t->streams[i].mask);
  free(t);
}

size_t tail_lines(const struct tail_line **lines, size_t most) {
  const struct tail *t = open_tails;
  if (t == NULL || t->next != NULL) return 0;
  if (loop_now_ns() - t->since_ns < SHOWN_AFTER_MS * UINT64_C(1000000)) return 0;
  const struct tail_line *all[TAIL_LINES + TAIL_STREAMS];
  size_t count = 0;
  for (size_t i = t->ended < TAIL_LINES ? 0 : t->ended - TAIL_LINES; i < t->ended; i++)
    all[count++] = &t->ring[i % TAIL_LINES];
  for (size_t i = 0; i < TAIL_STREAMS; i++) /* a line that is still being written counts too */
    if (t->streams[i].line.len > 0) all[count++] = &t->streams[i].line;
  size_t skipped = count > most ? count - most : 0;
  for (size_t i = skipped; i < count; i++) lines[i - skipped] = all[i];
  return count - skipped;
}
