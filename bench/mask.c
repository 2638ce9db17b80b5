/* How fast the masking writer is: a log through mask_stream_feed, with some secrets in it.
 *
 * usage: mask SECRETS MEGABYTES [CHUNK]; prints "SECRETS MEGABYTES-PER-SECOND". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "term/mask.h"

enum { TEXT = 1 << 20, VALUE_MAX = 96 };

static uint32_t seed = 7;

static uint32_t chance(void) {
  seed = seed * 1664525 + 1013904223;
  return seed >> 16;
}

static void take(void *context, const char *text, size_t len) {
  (void)text;
  *(size_t *)context += len;
}

/* A megabyte of an application's log; every so many lines hold a secret. */
static void write_log(char *text, const char *secret) {
  size_t at = 0;
  for (unsigned number = 0; at < TEXT; number++) {
    char line[256];
    int len = snprintf(line, sizeof line,
                       "2026-11-21T03:12:07.%06uZ app[%u]: GET /orders/%u?limit=50 200 %ums%s\n",
                       chance() * 15, chance() % 30000, chance(), chance() % 977,
                       number % 1000 == 0 ? secret : "");
    for (int k = 0; k < len && at < TEXT; k++) text[at++] = line[k];
  }
}

static double now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  long secrets = argc > 1 ? strtol(argv[1], NULL, 10) : 64;
  long megabytes = argc > 2 ? strtol(argv[2], NULL, 10) : 256;
  size_t chunk = argc > 3 ? strtoul(argv[3], NULL, 10) : 65536;
  char *text = malloc(TEXT), value[VALUE_MAX + 1] = "", name[24], why[200];
  if (text == NULL || chunk == 0 || chunk > TEXT || secrets < 0 || megabytes < 1) return 2;
  for (long i = 0; i < secrets; i++) {
    size_t len = 12 + (size_t)i % (VALUE_MAX - 12);
    for (size_t k = 0; k < len; k++) value[k] = (char)(33 + chance() % 94);
    value[len] = '\0';
    snprintf(name, sizeof name, "S%ld", i);
    if (mask_add(name, value, len, 0, why, sizeof why) != 0) return 2;
  }
  write_log(text, value);
  struct mask_stream stream;
  size_t total = 0;
  mask_stream_open(&stream, take, &total);
  mask_stream_feed(&stream, text, 1); /* the tables are made once, before the clock runs */
  double began = now();
  for (long done = 0; done < megabytes; done++)
    for (size_t at = 0; at < TEXT; at += chunk)
      mask_stream_feed(&stream, text + at, TEXT - at < chunk ? TEXT - at : chunk);
  mask_stream_flush(&stream);
  double seconds = now() - began;
  mask_stream_close(&stream);
  mask_clear();
  free(text);
  printf("%ld %.0f\n", secrets, (double)megabytes * TEXT / 1e6 / seconds);
  return 0;
}
