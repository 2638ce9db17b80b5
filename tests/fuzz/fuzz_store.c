/* A good journal with the input written over it somewhere: what the reader then accepts are the
 * good journal's first lines, nothing else. Also the input alone. */
#include <stdlib.h>
#include <string.h>

#include "store/store_io.h"

enum { LINES = 12 };

static char good[16384];
static size_t good_len;

static void make_good(void) {
  char prev[65] = "";
  for (uint64_t n = 1; n <= LINES; n++) {
    char *line, digest[65];
    size_t len;
    if (store_compose(n, n - 1, prev,
                      "{\"type\":\"note\",\"text\":\"x\"}", 26, &line, &len, digest) != 0)
      abort();
    memcpy(good + good_len, line, len);
    good_len += len;
    memcpy(prev, digest, sizeof prev);
    free(line);
  }
}

static void check(const char *bytes, size_t len, bool is_good_journal) {
  struct store_lines lines;
  struct store_error error;
  char *copy = malloc(len + 1);
  if (copy == NULL) abort();
  memcpy(copy, bytes, len);
  copy[len] = '\0';
  if (store_check(copy, len, "journal", &lines, &error) != 0) {
    if (strcmp(error.code, "damaged") != 0 || error.line == 0 || error.offset > len) abort();
    return;
  }
  if (lines.good_bytes + lines.torn_bytes != len) abort();
  if (is_good_journal &&
      (lines.good_bytes > good_len || memcmp(lines.bytes, good, lines.good_bytes) != 0))
    abort();
  store_free_lines(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static char bytes[sizeof good + 4096];
  if (good_len == 0) make_good();
  if (size < 4 || size > 4096) return 0;
  check((const char *)data, size, false);
  size_t at = (size_t)(data[0] | data[1] << 8) % (good_len + 1);
  size_t cut = (size_t)(data[2] | data[3] << 8);
  memcpy(bytes, good, good_len);
  memcpy(bytes + at, data + 4, size - 4);
  size_t len = at + size - 4 > good_len ? at + size - 4 : good_len;
  check(bytes, cut < len ? len - cut / 64 % (len + 1) : len, true);
  return 0;
}
