/* No control byte comes out of the terminal filter, wherever the input is split. */
#include <stdlib.h>
#include <string.h>

#include "term/filter.h"

struct text {
  char *bytes;
  size_t len;
};

static void take(void *context, const char *text, size_t len) {
  struct text *t = context;
  memcpy(t->bytes + t->len, text, len);
  t->len += len;
}

static struct text run(const char *bytes, size_t len, size_t split) {
  struct text t = {malloc(len * 12 + 1), 0};
  struct filter f = {.held_len = 0};
  if (t.bytes == NULL) abort();
  filter_feed(&f, bytes, split, take, &t);
  filter_feed(&f, bytes + split, len - split, take, &t);
  filter_flush(&f, take, &t);
  return t;
}

static void check_harmless(const struct text *t) {
  const unsigned char *p = (const unsigned char *)t->bytes, *end = p + t->len;
  while (p < end) {
    uint32_t code;
    int n = utf8_next(p, (size_t)(end - p), &code);
    if (n <= 0 || code == 0x7F || (code < 0x20 && code != '\n' && code != '\t')) abort();
    if (code >= 0x80 && (code < 0xA0 || filter_hides(code))) abort();
    p += n;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  size_t split = (size_t)(data[0] | data[1] << 8) % (size - 1);
  const char *bytes = (const char *)data + 2;
  struct text whole = run(bytes, size - 2, size - 2),
              parts = run(bytes, size - 2, split % (size - 1));
  check_harmless(&whole);
  if (whole.len != parts.len || memcmp(whole.bytes, parts.bytes, whole.len) != 0) abort();
  free(whole.bytes);
  free(parts.bytes);
  return 0;
}
