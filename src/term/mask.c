/* The registry of secrets and the writer that replaces them. One per process: what one part of the
 * program knows as secret, no part may print. */
#include "mask.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask_forms.h"
#include "mask_match.h"

struct secret {
  char *name;
  char *value;
  size_t len;
  bool whole_field; /* too short to be looked for inside other text */
};

static struct {
  struct secret *secrets;
  size_t count;
  struct matcher *matcher; /* NULL: to be made anew before the next use */
} registry;

static const char open_mark[] = "\xE2\x80\xB9secret:", close_mark[] = "\xE2\x80\xBA";

/* --- registration --------------------------------------------------------------------------- */

static int refuse(char *why, size_t why_size, const char *name, const char *reason) {
  snprintf(why, why_size, "secret '%s' %s", name, reason);
  return -1;
}

static bool is_known(const char *name, const char *value, size_t len) {
  for (size_t i = 0; i < registry.count; i++) {
    const struct secret *s = &registry.secrets[i];
    if (s->len == len && memcmp(s->value, value, len) == 0 && strcmp(s->name, name) == 0)
      return true;
  }
  return false;
}

int mask_add(const char *name, const char *value, size_t len, unsigned flags, char *why,
             size_t why_size) {
  if (len == 0) return refuse(why, why_size, name, "is empty");
  if (len > MASK_VALUE_MAX) return refuse(why, why_size, name, "is longer than 64 KiB");
  if (len < MASK_MIN && (flags & MASK_ALLOW_SHORT) == 0)
    return refuse(
        why, why_size, name,
        "has fewer than 8 bytes: too short to be masked without masking half of the text");
  if (is_known(name, value, len)) return 0;
  struct secret s = {.len = len, .whole_field = len < MASK_MIN};
  struct secret *grown = realloc(registry.secrets, (registry.count + 1) * sizeof *grown);
  if (grown != NULL) registry.secrets = grown;
  s.name = strdup(name);
  s.value = malloc(len);
  if (grown == NULL || s.name == NULL || s.value == NULL) {
    free(s.name);
    free(s.value);
    return refuse(why, why_size, name, "cannot be kept: out of memory");
  }
  memcpy(s.value, value, len);
  registry.secrets[registry.count++] = s;
  matcher_free(registry.matcher);
  registry.matcher = NULL;
  return 0;
}

size_t mask_count(void) { return registry.count; }

const char *mask_name(size_t index) {
  return index < registry.count ? registry.secrets[index].name : NULL;
}

void mask_clear(void) {
  for (size_t i = 0; i < registry.count; i++) {
    explicit_bzero(registry.secrets[i].value, registry.secrets[i].len);
    free(registry.secrets[i].value);
    free(registry.secrets[i].name);
  }
  free(registry.secrets);
  matcher_free(registry.matcher);
  memset(&registry, 0, sizeof registry);
}

/* --- the matcher over all forms ------------------------------------------------------------- */

struct collect {
  struct pattern *patterns;
  size_t count, room;
  uint32_t owner;
  char quote;
};

static bool take_form(void *context, const char *text, size_t len) {
  struct collect *c = context;
  if (c->count == c->room) {
    size_t room = c->room == 0 ? 256 : c->room * 2;
    struct pattern *grown = realloc(c->patterns, room * sizeof *grown);
    if (grown == NULL) return false;
    c->patterns = grown;
    c->room = room;
  }
  size_t around = c->quote != 0 ? 1 : 0;
  struct pattern p = {.len = len + 2 * around, .owner = c->owner, .quote = c->quote};
  p.text = malloc(p.len);
  if (p.text == NULL) return false;
  p.text[0] = p.text[p.len - 1] = c->quote;
  memcpy(p.text + around, text, len);
  c->patterns[c->count++] = p;
  return true;
}

static bool collect_secret(struct collect *c, const struct secret *s) {
  c->quote = 0;
  if (!s->whole_field) {
    struct form_sink all = {take_form, c, MASK_MIN};
    return forms_of(s->value, s->len, &all);
  }
  struct form_sink any = {take_form, c, 1};
  c->quote = '\'';
  if (!take_form(c, s->value, s->len)) return false;
  c->quote = '"';
  return forms_json_string(s->value, s->len, &any);
}

/* Returns 0 with *m NULL when there is nothing to look for; -1 when out of memory. */
static int current_matcher(struct matcher **m) {
  if (registry.matcher == NULL && registry.count > 0) {
    struct collect c = {0};
    bool good = true;
    for (size_t i = 0; good && i < registry.count; i++) {
      c.owner = (uint32_t)i;
      good = collect_secret(&c, &registry.secrets[i]);
    }
    struct matcher *made = good ? matcher_make(c.patterns, c.count) : NULL;
    if (made == NULL) {
      for (size_t i = 0; i < c.count; i++) {
        explicit_bzero(c.patterns[i].text, c.patterns[i].len);
        free(c.patterns[i].text);
      }
      free(c.patterns);
      return -1;
    }
    registry.matcher = made;
  }
  *m = registry.matcher;
  return 0;
}

/* --- replacing ------------------------------------------------------------------------------ */

struct output {
  void (*sink)(void *context, const char *text, size_t len);
  void *context;
  size_t hits;
};

static void emit(struct output *out, const char *text, size_t len) {
  if (len > 0) out->sink(out->context, text, len);
}

static void emit_name(struct output *out, const struct pattern *p) {
  const char *name = registry.secrets[p->owner].name;
  if (p->quote != 0) emit(out, &p->quote, 1);
  emit(out, open_mark, sizeof open_mark - 1);
  emit(out, name, strlen(name));
  emit(out, close_mark, sizeof close_mark - 1);
  if (p->quote != 0) emit(out, &p->quote, 1);
  out->hits++;
}

/* Writes text[0, limit) with secrets replaced; the first `covered` bytes belong to one that was
   written before. Returns how many bytes behind `limit` are covered by now. */
static size_t replace(const struct matcher *m, const char *text, size_t len, size_t limit,
                      size_t covered, struct output *out) {
  size_t from = 0, at = 0;
  const struct pattern *p;
  while ((p = matcher_find(m, text, len, from, &at)) != NULL && at < limit) {
    if (at >= covered) {
      emit(out, text + covered, at - covered);
      emit_name(out, p);
      covered = at;
    }
    if (at + p->len > covered) covered = at + p->len;
    from = at + 1;
  }
  if (limit > covered) emit(out, text + covered, limit - covered);
  return covered > limit ? covered - limit : 0;
}

struct growing {
  char *data;
  size_t len, room;
  bool failed;
};

static void grow(void *context, const char *text, size_t len) {
  struct growing *g = context;
  if (g->failed) return;
  if (g->room - g->len < len + 1) {
    size_t room = (g->len + len + 1) * 3 / 2 + 64;
    char *data = realloc(g->data, room);
    if (data == NULL) {
      g->failed = true;
      return;
    }
    g->data = data;
    g->room = room;
  }
  memcpy(g->data + g->len, text, len);
  g->len += len;
}

char *mask_text(const char *text, size_t len, size_t *out_len, size_t *hits) {
  struct matcher *m = NULL;
  if (current_matcher(&m) != 0) return NULL;
  struct growing g = {0};
  struct output out = {grow, &g, 0};
  g.data = malloc(len + 64);
  if (g.data == NULL) return NULL;
  g.room = len + 64;
  if (m == NULL) emit(&out, text, len);
  else replace(m, text, len, len, 0, &out);
  if (g.failed) {
    free(g.data);
    return NULL;
  }
  g.data[g.len] = '\0';
  if (out_len != NULL) *out_len = g.len;
  if (hits != NULL) *hits = out.hits;
  return g.data;
}

char *mask_field(const char *text, size_t len, size_t *out_len) {
  for (size_t i = 0; i < registry.count; i++) {
    const struct secret *s = &registry.secrets[i];
    if (s->len != len || memcmp(s->value, text, len) != 0) continue;
    char *masked = NULL;
    int size = asprintf(&masked, "%s%s%s", open_mark, s->name, close_mark);
    if (size < 0) return NULL;
    if (out_len != NULL) *out_len = (size_t)size;
    return masked;
  }
  return mask_text(text, len, out_len, NULL);
}

/* --- streams -------------------------------------------------------------------------------- */

void mask_stream_open(struct mask_stream *stream,
                      void (*sink)(void *context, const char *text, size_t len), void *context) {
  memset(stream, 0, sizeof *stream);
  stream->sink = sink;
  stream->context = context;
}

static void drop_held(struct mask_stream *stream) {
  if (stream->held == NULL) return;
  explicit_bzero(stream->held, stream->held_len);
  free(stream->held);
  stream->held = NULL;
  stream->held_len = 0;
}

static int advance(struct mask_stream *stream, const char *text, size_t len, bool last) {
  struct matcher *m = NULL;
  if (current_matcher(&m) != 0) return -1;
  size_t limit = last || m == NULL ? len : matcher_pending(m, text, len);
  char *kept = NULL;
  if (limit < len) {
    kept = malloc(len - limit);
    if (kept == NULL) return -1;
    memcpy(kept, text + limit, len - limit);
  }
  struct output out = {stream->sink, stream->context, 0};
  if (m == NULL) emit(&out, text, len);
  else stream->covered = replace(m, text, len, limit, stream->covered, &out);
  drop_held(stream);
  stream->held = kept;
  stream->held_len = len - limit;
  if (last) stream->covered = 0;
  return 0;
}

int mask_stream_feed(struct mask_stream *stream, const char *text, size_t len) {
  if (len == 0) return 0;
  if (stream->held_len == 0) return advance(stream, text, len, false);
  char *joined = malloc(stream->held_len + len);
  if (joined == NULL) return -1;
  size_t held = stream->held_len;
  memcpy(joined, stream->held, held);
  memcpy(joined + held, text, len);
  int code = advance(stream, joined, held + len, false);
  explicit_bzero(joined, held); /* the rest was the caller's before */
  free(joined);
  return code;
}

int mask_stream_flush(struct mask_stream *stream) {
  if (stream->held_len == 0) return 0;
  char *held = stream->held;
  size_t len = stream->held_len;
  stream->held = NULL;
  stream->held_len = 0;
  int code = advance(stream, held, len, true);
  if (code != 0) {
    stream->held = held;
    stream->held_len = len;
    return code;
  }
  explicit_bzero(held, len);
  free(held);
  return 0;
}

void mask_stream_close(struct mask_stream *stream) {
  drop_held(stream);
  stream->covered = 0;
}
