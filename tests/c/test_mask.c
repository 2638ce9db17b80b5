/* Claims about the masking writer: forms made by other programs' encoders (mask_forms.py), split at
 * every offset; what is refused; speed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "term/mask.h"

enum { TEXT_MAX = 4096 };

static char *out;
static size_t out_len, out_room;

static void take(void *context, const char *text, size_t len) {
  (void)context;
  if (out_room - out_len < len + 1) {
    out_room = (out_len + len + 1) * 2;
    out = realloc(out, out_room);
    if (out == NULL) abort();
  }
  memcpy(out + out_len, text, len);
  out_len += len;
  out[out_len] = '\0';
}

static size_t unhex(const char *hex, char *bytes) {
  size_t len = strlen(hex) / 2;
  for (size_t i = 0; i < len; i++) {
    unsigned value;
    sscanf(hex + 2 * i, "%2x", &value);
    bytes[i] = (char)value;
  }
  return len;
}

static bool streams_same(const char *text, size_t len, const char *want, size_t want_len,
                         size_t split) {
  struct mask_stream stream;
  mask_stream_open(&stream, take, NULL);
  out_len = 0;
  if (split == 0) /* byte by byte */
    for (size_t i = 0; i < len; i++) mask_stream_feed(&stream, text + i, 1);
  else mask_stream_feed(&stream, text, split);
  if (split > 0) mask_stream_feed(&stream, text + split, len - split);
  mask_stream_flush(&stream);
  mask_stream_close(&stream);
  return out_len == want_len && memcmp(out, want, want_len) == 0;
}

/* No more than three bytes of the form on each side of the name. */
static bool is_masked(const char *text, size_t len, bool exact) {
  static const char mark[] = "‹secret:S›";
  const char *at = memmem(text, len, mark, sizeof mark - 1);
  if (at == NULL) return false;
  size_t before = (size_t)(at - text), after = len - before - (sizeof mark - 1);
  size_t slack = exact ? 0 : 7; /* three shift bytes are four characters, and padding */
  return before >= 2 && after >= 2 && before <= 2 + slack && after <= 2 + slack &&
         memcmp(text, "[[", 2) == 0 && memcmp(text + len - 2, "]]", 2) == 0;
}

static void check_form(const char *name, bool exact, const char *form, size_t len) {
  char text[TEXT_MAX + 8];
  memcpy(text, "[[", 2);
  memcpy(text + 2, form, len);
  memcpy(text + 2 + len, "]]", 2);
  size_t text_len = len + 4, masked_len = 0;
  char *masked = mask_text(text, text_len, &masked_len, NULL);
  bool good = masked != NULL && is_masked(masked, masked_len, exact);
  if (!good) printf("form %s: %.*s became %s\n", name, (int)text_len, text, masked);
  CHECK(good, "a form made by another encoder is masked");
  bool same = true;
  for (size_t split = 0; split < text_len && same; split++)
    same = streams_same(text, text_len, masked, masked_len, split);
  CHECK(same, "masked the same wherever the text is split");
  free(masked);
}

static void check_forms(void) {
  FILE *forms = popen("python3 -B tests/c/mask_forms.py", "r");
  static char line[2 * TEXT_MAX + 64], hex[2 * TEXT_MAX], bytes[TEXT_MAX];
  char name[64], why[200];
  int secrets = 0, count = 0, exact;
  while (forms != NULL && fgets(line, sizeof line, forms) != NULL) {
    if (sscanf(line, "S %8191s", hex) == 1) {
      mask_clear();
      secrets++;
      size_t len = unhex(hex, bytes);
      CHECK(mask_add("S", bytes, len, 0, why, sizeof why) == 0, "a secret is taken");
    } else if (sscanf(line, "F %63s %d %8191s", name, &exact, hex) == 3) {
      count++;
      size_t len = unhex(hex, bytes);
      check_form(name, exact != 0, bytes, len);
    }
  }
  CHECK(forms != NULL && pclose(forms) == 0 && secrets == 30, "30 secrets were tried");
  printf("%d secrets, %d forms, each split at every offset\n", secrets, count);
  mask_clear();
}

static bool becomes(const char *text, const char *want) {
  char *masked = mask_text(text, strlen(text), NULL, NULL);
  bool good = masked != NULL && strcmp(masked, want) == 0;
  if (!good) printf("'%s' became '%s'\n", text, masked);
  free(masked);
  return good;
}

static void add(const char *name, const char *value, unsigned flags) {
  char why[200];
  CHECK(mask_add(name, value, strlen(value), flags, why, sizeof why) == 0, "a secret is taken");
}

static void check_rules(void) {
  char why[200];
  CHECK(mask_add("PIN", "1234567", 7, 0, why, sizeof why) == -1 && strstr(why, "'PIN'") != NULL &&
            strstr(why, "8 bytes") != NULL,
        "a value below 8 bytes is refused, by name");
  CHECK(mask_add("E", "", 0, MASK_ALLOW_SHORT, why, sizeof why) == -1, "an empty one always");
  CHECK(becomes("no secrets yet", "no secrets yet"), "without secrets a text stays");
  add("PIN", "1", MASK_ALLOW_SHORT);
  CHECK(becomes("{\"pin\":\"1\",\"n\":1,\"m\":\"11\"}",
                "{\"pin\":\"‹secret:PIN›\",\"n\":1,\"m\":\"11\"}"),
        "a short secret is masked where it is a whole field");
  char *field = mask_field("1", 1, NULL);
  CHECK(field != NULL && strcmp(field, "‹secret:PIN›") == 0, "and as a whole value");
  free(field);
  add("A", "first-secret", 0);
  add("B", "secret-and-more", 0);
  CHECK(becomes("x first-secret-and-more y", "x ‹secret:A› y"),
        "overlapping secrets leave no tail");
  CHECK(becomes("first-secretfirst-secret", "‹secret:A›‹secret:A›"), "neighbours are told apart");
  add("LONG", "first-secret-of-all", 0);
  CHECK(becomes("first-secret-of-all", "‹secret:LONG›"), "the longest wins");
  CHECK(becomes("first-secret-of-al", "‹secret:A›-of-al"),
        "the shorter one counts when the longer breaks off");
  CHECK(becomes("\"first-secre\"", "\"first-secre\""), "a part is no secret");
  add("R", "aaaaaaaa", 0);
  CHECK(becomes("aaaaaaaaaaaaaaaaaaaaaaa.", "‹secret:R›."), "a run of one character is one place");
  mask_clear();
  CHECK(mask_count() == 0 && becomes("first-secret", "first-secret"),
        "after clear nothing is known");
}

/* Of processor time: others use this machine, too. */
static double seconds(void) {
  struct timespec ts;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void nothing(void *context, const char *text, size_t len) {
  (void)text;
  *(size_t *)context += len;
}

/* A log of 64 MiB in 64 KiB chunks, 64 secrets of 12 to 75 bytes, some of them in it. */
static void check_speed(void) {
  enum { CHUNK = 65536, CHUNKS = 64, ROUNDS = 16 };
  static char text[CHUNK];
  char value[128], name[16], why[200];
  uint32_t seed = 7;
  for (int i = 0; i < 64; i++) {
    size_t len = 12 + (size_t)i;
    for (size_t k = 0; k < len; k++) {
      seed = seed * 1664525 + 1013904223;
      value[k] = (char)(33 + (seed >> 16) % 94);
    }
    snprintf(name, sizeof name, "S%d", i);
    CHECK(mask_add(name, value, len, 0, why, sizeof why) == 0, "a secret is taken");
  }
  size_t at = 0;
  while (at < CHUNK) {
    char line[128];
    int len = snprintf(line, sizeof line,
                       "2026-11-21T03:12:07.%06uZ app[%u]: GET /orders/%u?limit=50 200 %ums\n",
                       (unsigned)at, seed % 30000, seed, seed % 977);
    seed = seed * 1664525 + 1013904223;
    for (int k = 0; k < len && at < CHUNK; k++) text[at++] = line[k];
  }
  memcpy(text + 1000, value, 60);
  struct mask_stream stream;
  size_t total = 0;
  mask_stream_open(&stream, nothing, &total);
  mask_stream_feed(&stream, text, 1); /* makes the tables */
  double best = 1e9;
  for (int round = 0; round < ROUNDS; round++) {
    double start = seconds();
    for (int i = 0; i < CHUNKS; i++) mask_stream_feed(&stream, text, CHUNK);
    double took = seconds() - start;
    if (took < best) best = took;
  }
  mask_stream_flush(&stream);
  double rate = CHUNK * (double)CHUNKS / best / 1e6;
  mask_stream_close(&stream);
  printf("masking with 64 secrets: %.0f MB/s\n", rate);
#if !defined(__SANITIZE_ADDRESS__) && defined(__OPTIMIZE__)
  CHECK(rate >= 100, "masking runs at 100 MB/s or more with 64 secrets");
#endif
  mask_clear();
}

int main(void) {
  check_forms();
  check_rules();
  check_speed();
  free(out);
  return CHECK_RESULT();
}
