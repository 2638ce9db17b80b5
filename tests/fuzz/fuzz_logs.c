/* A line of a log, whatever it holds: its format, time and fields are found within it, and the fast
   search finds what the slow one does. */
#include <stdlib.h>
#include <string.h>

#include "clients/logs_internal.h"

static void check_inside(struct span line, struct span value) {
  if (value.at < line.at || value.len > line.len || value.at + value.len > line.at + line.len)
    abort();
}

static void look_at_line(struct span line, enum logs_format format) {
  static const char *const names[] = {"a",    "a.b",     "time",    "level", "http.status", "path",
                                      "took", "message", "request", "agent", "protocol"};
  static const struct logs_zone zones[] = {{0, 3600}, {1e9, 7200}, {1.7e9, -3600}};
  struct logs_reader reader = {format, {zones, 3, 1.7e9}, NULL};
  double time = logs_line_time(&reader, line), number;
  if (time != time) abort();
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct span value;
    if (!logs_line_field(&reader, line, names[i], &value)) continue;
    check_inside(line, value);
    if (logs_number(value, &number) && !isfinite(number)) abort();
  }
}

static void compare_searches(const char *bytes, size_t size) {
  size_t len = size > 0 ? (size_t)(unsigned char)bytes[0] % 9 + 1 : 1;
  if (size < 1 + len) return;
  const char *needle = bytes + 1, *from = bytes + 1 + len, *end = bytes + size;
  const char *slow = memmem(from, (size_t)(end - from), needle, len);
  if (logs_find(from, end, needle, len) != slow) abort();
  int64_t lines = 0;
  for (const char *at = from; at < end; at++) lines += *at == '\n';
  if (logs_count_lines(from, end) != lines) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *bytes = malloc(size > 0 ? size : 1); /* exactly as long: what reads on is found */
  if (bytes == NULL) abort();
  if (size > 0) memcpy(bytes, data, size);
  struct span line = {bytes, size};
  look_at_line(line, logs_guess_format(line));
  look_at_line(line, LOGS_JSON);
  look_at_line(line, LOGS_NGINX);
  look_at_line(line, LOGS_PLAIN);
  compare_searches(bytes, size);
  free(bytes);
  return 0;
}
