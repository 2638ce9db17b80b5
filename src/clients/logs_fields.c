/* Fields of a line: members of its JSON object, the parts of nginx's and apache's access log, or
   name=value pairs of plain text. Nothing is copied: a value is a part of the line. */
#include <stdlib.h>
#include <string.h>

#include "logs_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* -- JSON: just enough to walk past values ----------------------------------------------------- */

static const char *skip_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t')) at++;
  return at;
}

/* Past a string that begins at `at` with a quote; NULL when it does not end. */
static const char *skip_string(const char *at, const char *end) {
  at++;
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"'), escape = _mm_set1_epi8('\\');
  while (end - at >= 16) {
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i both = _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, escape));
    unsigned mask = (unsigned)_mm_movemask_epi8(both);
    if (mask == 0) {
      at += 16;
      continue;
    }
    at += __builtin_ctz(mask);
    if (*at == '"') return at + 1;
    at += 2;
  }
#endif
  for (; at < end; at++) {
    if (*at == '"') return at + 1;
    if (*at == '\\') at++;
  }
  return NULL;
}

/* Past any value; NULL when the line is cut. Depth is only counted: no recursion. */
static const char *skip_value(const char *at, const char *end) {
  int depth = 0;
  while (at < end) {
    char c = *at;
    if (c == '"') {
      at = skip_string(at, end);
      if (at == NULL) return NULL;
    } else if (c == '{' || c == '[') {
      depth++;
      at++;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at; /* the end of what holds this value */
      depth--;
      at++;
    } else if (c == ',' && depth == 0) {
      return at;
    } else {
      at++;
      continue;
    }
    if (depth == 0) return at;
  }
  return depth == 0 ? at : NULL;
}

/* The member `name` (its bytes up to `len`) of the object at `at`. */
static bool find_member(const char *at, const char *end, const char *name, size_t len,
                        struct span *value) {
  at = skip_space(at, end);
  if (at == end || *at != '{') return false;
  at++;
  for (;;) {
    at = skip_space(at, end);
    if (at == end || *at != '"') return false;
    const char *key = at + 1, *after = skip_string(at, end);
    if (after == NULL) return false;
    size_t key_len = (size_t)(after - 1 - key);
    at = skip_space(after, end);
    if (at == end || *at != ':') return false;
    at = skip_space(at + 1, end);
    const char *stop = skip_value(at, end);
    if (key_len == len && memcmp(key, name, len) == 0) {
      value->at = at;
      value->len = (size_t)((stop != NULL ? stop : end) - at);
      return true;
    }
    if (stop == NULL) return false;
    at = skip_space(stop, end);
    if (at == end || *at != ',') return false;
    at++;
  }
}

/* b in a for "a.b". */
static bool find_path(const char *at, const char *end, const char *name, struct span *value) {
  for (;;) {
    const char *point = strchr(name, '.');
    size_t len = point != NULL ? (size_t)(point - name) : strlen(name);
    if (!find_member(at, end, name, len, value)) return false;
    if (point == NULL) return true;
    name = point + 1;
    at = value->at;
    end = at + value->len;
  }
}

/* The path, else a member whose own name has points in it. */
static bool find_json(struct span line, const char *name, struct span *value) {
  const char *end = line.at + line.len;
  return find_path(line.at, end, name, value) ||
         (strchr(name, '.') != NULL && find_member(line.at, end, name, strlen(name), value));
}

static struct span trim_value(struct span value) {
  while (value.len > 0 && (value.at[value.len - 1] == ' ' || value.at[value.len - 1] == '\r'))
    value.len--;
  if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
    value = (struct span){value.at + 1, value.len - 2};
  return value;
}

static bool json_field(struct span line, const char *name, struct span *value) {
  if (!find_json(line, name, value)) return false;
  if (value->len >= 4 && memcmp(value->at, "null", 4) == 0) return false;
  *value = trim_value(*value);
  return true;
}

/* -- nginx and apache -------------------------------------------------------------------------- */

/* The next word, or quoted or bracketed text; moves `at` past it. */
static struct span take_word(const char **at, const char *end) {
  const char *from = skip_space(*at, end), *stop = from;
  char close = ' ';
  if (from < end && (*from == '"' || *from == '[')) {
    close = *from == '"' ? '"' : ']';
    stop = ++from;
  }
  while (stop < end && *stop != close) stop += *stop == '\\' && close == '"' ? 2 : 1;
  if (stop > end) stop = end;
  *at = stop < end ? stop + 1 : end;
  return (struct span){from, (size_t)(stop - from)};
}

static bool is(const char *name, const char *one) { return strcmp(name, one) == 0; }

static bool request_field(struct span request, const char *name, struct span *value) {
  const char *at = request.at, *end = request.at + request.len;
  struct span method = take_word(&at, end), url = take_word(&at, end);
  struct span protocol = take_word(&at, end);
  if (is(name, "method")) *value = method;
  else if (is(name, "protocol")) *value = protocol;
  else *value = url;
  const char *query = is(name, "path") ? memchr(url.at, '?', url.len) : NULL;
  if (query != NULL) value->len = (size_t)(query - url.at);
  return value->len > 0;
}

/* remote - user [time] "METHOD url PROTOCOL" status bytes "referer" "agent" request_time */
static bool nginx_field(struct span line, const char *name, struct span *value) {
  static const char *const order[] = {"remote", "identity", "user",    "time",  "request",
                                      "status", "bytes",    "referer", "agent", "request_time"};
  const char *at = line.at, *end = line.at + line.len;
  bool of_request =
      is(name, "method") || is(name, "path") || is(name, "url") || is(name, "protocol");
  for (size_t i = 0; i < sizeof order / sizeof order[0] && at < end; i++) {
    struct span word = take_word(&at, end);
    if (of_request && i == 4) return request_field(word, name, value);
    if (!is(name, order[i])) continue;
    *value = trim_value(word);
    return value->len > 0 && !(value->len == 1 && *value->at == '-');
  }
  return false;
}

/* -- plain text -------------------------------------------------------------------------------- */

/* name=value or name="value", at the begin of a word. */
static bool pair_field(struct span line, const char *name, struct span *value) {
  const char *end = line.at + line.len, *at = line.at;
  size_t len = strlen(name);
  while (len > 0 && (at = logs_find(at, end, name, len)) != NULL) {
    const char *after = at + len;
    bool begins = at == line.at || strchr(" \t[({,;", at[-1]) != NULL;
    at++;
    if (!begins || after >= end || *after != '=') continue;
    const char *from = after + 1;
    if (from < end && *from == '"') {
      *value = take_word(&from, end);
      return true;
    }
    const char *stop = from;
    while (stop < end && strchr(" \t\r,;])}", *stop) == NULL) stop++;
    *value = (struct span){from, (size_t)(stop - from)};
    return value->len > 0;
  }
  return false;
}

/* What stands behind the time. */
static bool rest_of_line(const struct logs_reader *reader, struct span line, struct span *value) {
  size_t used = 0;
  if (logs_parse_time(&reader->clock, line, &used) == LOGS_NO_TIME) used = 0;
  const char *at = skip_space(line.at + used, line.at + line.len);
  *value = trim_value((struct span){at, (size_t)(line.at + line.len - at)});
  return value->len > 0;
}

/* -- what the others use ----------------------------------------------------------------------- */

bool logs_line_field(const struct logs_reader *reader, struct span line, const char *name,
                     struct span *value) {
  switch (reader->format) {
    case LOGS_JSON:
      return json_field(line, name, value) ||
             (is(name, "message") && json_field(line, "msg", value));
    case LOGS_NGINX: return nginx_field(line, name, value);
    default:
      return pair_field(line, name, value) ||
             (is(name, "message") && rest_of_line(reader, line, value));
  }
}

bool logs_number(struct span value, double *number) {
  char text[48];
  if (value.len == 0 || value.len >= sizeof text) return false;
  memcpy(text, value.at, value.len);
  text[value.len] = '\0';
  char *stop;
  *number = strtod(text, &stop);
  if (stop == text || !isfinite(*number)) return false;
  /* 12ms and 0.5s are numbers of their unit. */
  return *stop == '\0' || strcmp(stop, "ms") == 0 || strcmp(stop, "s") == 0 ||
         strcmp(stop, "us") == 0 || strcmp(stop, "%") == 0;
}

enum logs_format logs_guess_format(struct span line) {
  const char *at = skip_space(line.at, line.at + line.len);
  if (at < line.at + line.len && *at == '{') return LOGS_JSON;
  struct span when;
  size_t used;
  struct logs_clock none = {NULL, 0, 0};
  if (nginx_field(line, "time", &when) && when.len > 20 && when.at[2] == '/' &&
      logs_parse_time(&none, when, &used) != LOGS_NO_TIME)
    return LOGS_NGINX;
  return LOGS_PLAIN;
}

static double value_time(const struct logs_reader *reader, struct span value) {
  double number;
  size_t used;
  double time = logs_parse_time(&reader->clock, value, &used);
  if (time == LOGS_NO_TIME && logs_number(value, &number) && number > 1e8)
    time = logs_epoch_time(number);
  return time;
}

static double json_time(struct logs_reader *reader, struct span line) {
  static const char *const usual[] = {"time", "timestamp", "ts", "@timestamp", "date", "datetime",
                                      "t", "asctime"};
  struct span value;
  if (reader->time_field != NULL && json_field(line, reader->time_field, &value))
    return value_time(reader, value);
  for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
    if (!json_field(line, usual[i], &value)) continue;
    double time = value_time(reader, value);
    if (time == LOGS_NO_TIME) continue;
    reader->time_field = usual[i];
    return time;
  }
  return LOGS_NO_TIME;
}

double logs_line_time(struct logs_reader *reader, struct span line) {
  struct span value;
  size_t used;
  if (line.len == 0) return LOGS_NO_TIME;
  switch (reader->format) {
    case LOGS_JSON: return json_time(reader, line);
    case LOGS_NGINX:
      return nginx_field(line, "time", &value) ? logs_parse_time(&reader->clock, value, &used)
                                               : LOGS_NO_TIME;
    default:
      if (*line.at == ' ' || *line.at == '\t') return LOGS_NO_TIME;
      return logs_parse_time(&reader->clock, line, &used);
  }
}
