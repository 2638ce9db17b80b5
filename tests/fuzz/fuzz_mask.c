/* Secrets from the input's first lines, a text from the rest: no secret stays in it, and chunks
 * give what the whole gives. The input: chunk size, number of secrets, each with its length before
 * it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "term/mask.h"

struct text {
  char *bytes;
  size_t len, room;
};

static void take(void *context, const char *text, size_t len) {
  struct text *t = context;
  if (t->room - t->len < len) {
    t->room = (t->len + len) * 2;
    t->bytes = realloc(t->bytes, t->room);
    if (t->bytes == NULL) abort();
  }
  memcpy(t->bytes + t->len, text, len);
  t->len += len;
}

/* Our own marks may look like a secret: such secrets are not judged. */
static void check_absent(const char *secret, size_t len, const char *text, size_t text_len) {
  static const char marks[] = "‹secret:S›‹secret:S›";
  if (len < MASK_MIN || memchr(secret, 0xE2, len) != NULL || memchr(secret, 0xBA, len) != NULL)
    return;
  if (memmem(marks, sizeof marks - 1, secret, len) != NULL) return;
  if (memmem(text, text_len, secret, len) != NULL) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  size_t chunk = data[0] % 64u + 1, count = data[1] % 4u + 1, at = 2;
  const char *secrets[4];
  size_t lengths[4], used = 0;
  char why[200];
  while (used < count && at < size) {
    size_t len = data[at] % 48u;
    if (len > size - at - 1) break;
    secrets[used] = (const char *)data + at + 1;
    lengths[used] = len;
    at += 1 + len;
    mask_add("S", secrets[used], len, len % 2 == 0 ? MASK_ALLOW_SHORT : 0, why, sizeof why);
    used++;
  }
  const char *text = (const char *)data + at;
  size_t text_len = size - at, masked_len = 0;
  char *masked = mask_text(text, text_len, &masked_len, NULL);
  if (masked == NULL) abort();
  for (size_t i = 0; i < used; i++) check_absent(secrets[i], lengths[i], masked, masked_len);
  struct text parts = {NULL, 0, 0};
  struct mask_stream stream;
  mask_stream_open(&stream, take, &parts);
  for (size_t i = 0; i < text_len; i += chunk)
    if (mask_stream_feed(&stream, text + i, text_len - i < chunk ? text_len - i : chunk) != 0)
      abort();
  if (mask_stream_flush(&stream) != 0) abort();
  mask_stream_close(&stream);
  if (parts.len != masked_len || (masked_len > 0 && memcmp(parts.bytes, masked, masked_len) != 0))
    abort();
  free(parts.bytes);
  free(masked);
  mask_clear();
  return 0;
}
