/* Takes a secret value apart: trimmed, lines, URL and connection string. */
#include "mask_leaves.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PATH_MIN = 16 }; /* a path shorter than this is a database's name rather than a token */

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static void trim(const char **value, size_t *len) {
  while (*len > 0 && is_space((*value)[*len - 1])) --*len;
  while (*len > 0 && is_space(**value)) {
    ++*value;
    --*len;
  }
}

static bool hand_on(const struct form_sink *sink, const char *text, size_t len) {
  return len < sink->shortest || sink->take(sink->context, text, len);
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* As written, and with %xx decoded where that differs. */
static bool with_decoded(const char *text, size_t len, const struct form_sink *sink) {
  if (!hand_on(sink, text, len)) return false;
  if (memchr(text, '%', len) == NULL) return true;
  char *plain = malloc(len + 1);
  if (plain == NULL) return false;
  size_t out = 0;
  for (size_t i = 0; i < len; i++) {
    int high = text[i] == '%' && i + 2 < len ? hex_value(text[i + 1]) : -1;
    int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (low >= 0) {
      plain[out++] = (char)(high * 16 + low);
      i += 2;
    } else {
      plain[out++] = text[i];
    }
  }
  bool good = hand_on(sink, plain, out);
  explicit_bzero(plain, len);
  free(plain);
  return good;
}

/* Another spelling of the line ends, and the two characters \n where a line end was meant. */
static bool other_line_ends(const char *value, size_t len, const struct form_sink *sink) {
  if (len > MASK_LEAF_MAX) return true;
  char *out = malloc(len * 2 + 1);
  if (out == NULL) return false;
  bool good = true;
  for (int form = 0; good && form < 4; form++) {
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
      if (value[i] == '\r' && i + 1 < len && value[i + 1] == '\n') continue;
      if (form == 3 && value[i] == '\\' && i + 1 < len && value[i + 1] == 'n') {
        out[used++] = '\n';
        i++;
        continue;
      }
      if (value[i] != '\n') {
        out[used++] = value[i];
        continue;
      }
      if (form == 1) out[used++] = '\r';
      if (form == 2) out[used++] = ' ';
      else out[used++] = '\n';
    }
    if (used != len || memcmp(out, value, len) != 0) {
      good = hand_on(sink, out, used);
      if (good && form == 3) good = leaves_lines(out, used, sink);
    }
  }
  explicit_bzero(out, len * 2);
  free(out);
  return good;
}

static bool is_secret_word(const char *text, size_t len) {
  static const char *const words[] = {"password",  "passwd", "pwd",    "pass",
                                      "token",     "secret", "apikey", "key",
                                      "signature", "sig",    "auth",   "credential"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    size_t size = strlen(words[i]);
    if (len >= size && strncasecmp(text + len - size, words[i], size) == 0) return true;
  }
  return false;
}

/* name=value pairs of a query whose name says that the value is secret. */
static bool query_secrets(const char *at, const char *end, const struct form_sink *sink) {
  while (at < end) {
    const char *stop = at;
    while (stop < end && *stop != '&' && *stop != ';' && *stop != '#') stop++;
    const char *equals = memchr(at, '=', (size_t)(stop - at));
    if (equals != NULL && is_secret_word(at, (size_t)(equals - at)) &&
        !with_decoded(equals + 1, (size_t)(stop - equals - 1), sink))
      return false;
    at = stop + 1;
  }
  return true;
}

static const char *find(const char *text, size_t len, const char *what) {
  return memmem(text, len, what, strlen(what));
}

static bool url_leaves(const char *value, size_t len, const struct form_sink *sink) {
  const char *scheme = find(value, len, "://"), *end = value + len;
  if (scheme == NULL || scheme == value) return true;
  const char *authority = scheme + 3, *path = authority;
  while (path < end && *path != '/' && *path != '?' && *path != '#') path++;
  /* A password may hold a raw '/' or '?': the last '@' of the whole decides then. */
  const char *at = memrchr(authority, '@', (size_t)(path - authority));
  if (at == NULL) at = memrchr(authority, '@', (size_t)(end - authority));
  if (at != NULL) {
    const char *colon = memchr(authority, ':', (size_t)(at - authority));
    const char *from = colon != NULL ? colon + 1 : authority;
    if (!with_decoded(from, (size_t)(at - from), sink)) return false;
    if (colon != NULL && !with_decoded(authority, (size_t)(at - authority), sink)) return false;
  } else if (strncasecmp(value, "http", 4) == 0 && end - path >= PATH_MIN) {
    if (!with_decoded(path, (size_t)(end - path), sink)) return false;
  }
  const char *query = memchr(path, '?', (size_t)(end - path));
  return query == NULL || query_secrets(query + 1, end, sink);
}

/* One value of a keyword connection string, as written and with libpq's quoting taken off. */
static bool keyword_value(const char *p, const char *end, const struct form_sink *sink) {
  while (p < end && is_space(*p)) p++;
  bool quoted = p < end && *p == '\'';
  if (quoted) p++;
  char *plain = malloc((size_t)(end - p) + 1);
  if (plain == NULL) return false;
  size_t used = 0;
  const char *from = p;
  while (p < end && (quoted ? *p != '\'' : !is_space(*p) && *p != ';' && *p != ',')) {
    if (*p == '\\' && p + 1 < end) p++;
    plain[used++] = *p++;
  }
  bool good = hand_on(sink, from, (size_t)(p - from)) && hand_on(sink, plain, used);
  explicit_bzero(plain, used);
  free(plain);
  return good;
}

/* host=… password='it\'s' */
static bool keyword_leaves(const char *value, size_t len, const struct form_sink *sink) {
  const char *at = value, *end = value + len;
  while ((at = memchr(at, '=', (size_t)(end - at))) != NULL) {
    const char *name_end = at;
    while (name_end > value && is_space(name_end[-1])) name_end--;
    if (is_secret_word(value, (size_t)(name_end - value)) && !keyword_value(at + 1, end, sink))
      return false;
    at++;
  }
  return true;
}

bool leaves_values(const char *value, size_t len, const struct form_sink *sink) {
  const char *inner = value;
  size_t inner_len = len;
  trim(&inner, &inner_len);
  if (inner_len != len && !hand_on(sink, inner, inner_len)) return false;
  if (inner_len > 2 && (*inner == '"' || *inner == '\'') && inner[inner_len - 1] == *inner &&
      !hand_on(sink, inner + 1, inner_len - 2))
    return false;
  if ((memchr(value, '\n', len) != NULL || find(value, len, "\\n") != NULL) &&
      !other_line_ends(value, len, sink))
    return false;
  if (inner_len > MASK_LEAF_MAX) return true;
  if (find(inner, inner_len, "://") != NULL) return url_leaves(inner, inner_len, sink);
  return keyword_leaves(inner, inner_len, sink);
}

static bool is_everyones(const char *line, size_t len) {
  if (len > 5 && strncmp(line, "-----", 5) == 0) return true;
  for (size_t i = 1; i < len; i++)
    if (line[i] != line[0]) return false;
  return true;
}

bool leaves_lines(const char *value, size_t len, const struct form_sink *sink) {
  if (memchr(value, '\n', len) == NULL && memchr(value, '\r', len) == NULL) return true;
  const char *at = value, *end = value + len;
  while (at < end) {
    const char *stop = at;
    while (stop < end && *stop != '\n' && *stop != '\r') stop++;
    const char *line = at;
    size_t size = (size_t)(stop - at);
    trim(&line, &size);
    if (size >= sink->shortest && !is_everyones(line, size) &&
        !sink->take(sink->context, line, size))
      return false;
    at = stop + 1;
  }
  return true;
}
