/* Lines of the journal: how they are composed, chained and checked. */
#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store_io.h"

enum { DIGEST_LEN = 64, SUM_LEN = 16, TIME_LEN = 24 };
static const char sum_open[] = ",\"sum\":\"", sum_close[] = "\"}";
static const char no_line[] = "0000000000000000000000000000000000000000000000000000000000000000";

void store_digest(const char *bytes, size_t len, char digest[65]) {
  struct sha256_ctx context;
  uint8_t sum[SHA256_DIGEST_SIZE];
  sha256_init(&context);
  sha256_update(&context, len, (const uint8_t *)bytes);
  sha256_digest(&context, sizeof sum, sum);
  for (size_t i = 0; i < sizeof sum; i++) {
    digest[2 * i] = "0123456789abcdef"[sum[i] >> 4];
    digest[2 * i + 1] = "0123456789abcdef"[sum[i] & 15];
  }
  digest[DIGEST_LEN] = '\0';
}

static void stamp(char out[40]) {
  struct timespec now;
  struct tm tm;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &tm);
  size_t used = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf(out + used, 40 - used, ".%03dZ", (int)(now.tv_nsec / 1000000) % 1000);
}

int store_compose(uint64_t n, uint64_t synced, const char *prev, const char *object, size_t len,
                  char **line, size_t *line_len, char digest[65]) {
  if (len < 2 || object[0] != '{' || object[len - 1] != '}' || memchr(object, '\n', len) != NULL ||
      memchr(object, '\0', len) != NULL)
    return -1;
  char when[40];
  stamp(when);
  size_t room = len + 256;
  char *out = malloc(room);
  if (out == NULL) return -1;
  int head = snprintf(out, room, "{\"n\":%llu,\"t\":\"%s\",\"prev\":\"%s\",\"synced\":%llu",
                      (unsigned long long)n, when, n == 1 ? no_line : prev,
                      (unsigned long long)synced);
  size_t used = (size_t)head;
  if (len > 2) {
    out[used++] = ',';
    memcpy(out + used, object + 1, len - 2);
    used += len - 2;
  }
  char sum[65];
  store_digest(out, used, sum);
  used += (size_t)snprintf(out + used, room - used, "%s%.*s%s", sum_open, SUM_LEN, sum, sum_close);
  store_digest(out, used, digest);
  out[used++] = '\n';
  *line = out;
  *line_len = used;
  return 0;
}

bool store_is_whole(const char *line, size_t len) {
  const size_t tail = sizeof sum_open - 1 + SUM_LEN + sizeof sum_close - 1;
  if (len <= tail) return false;
  const char *at = line + len - tail;
  if (memcmp(at, sum_open, sizeof sum_open - 1) != 0 ||
      memcmp(line + len - 2, sum_close, sizeof sum_close - 1) != 0)
    return false;
  char sum[65];
  store_digest(line, len - tail, sum);
  return memcmp(at + sizeof sum_open - 1, sum, SUM_LEN) == 0;
}

/* What the store wrote at the beginning of a line. */
struct head {
  uint64_t n, synced;
  const char *time, *prev;
};

static bool take_text(const char **at, const char *end, const char *text) {
  size_t len = strlen(text);
  if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0) return false;
  *at += len;
  return true;
}

static bool take_number(const char **at, const char *end, uint64_t *number) {
  const char *from = *at;
  for (*number = 0; *at < end && **at >= '0' && **at <= '9' && *at - from < 18; (*at)++)
    *number = *number * 10 + (uint64_t)(**at - '0');
  return *at > from;
}

static bool take_bytes(const char **at, const char *end, size_t len, const char **bytes) {
  *bytes = *at;
  if ((size_t)(end - *at) < len) return false;
  *at += len;
  return true;
}

static bool read_head(const char *line, size_t len, struct head *head) {
  const char *end = line + len;
  return take_text(&line, end, "{\"n\":") && take_number(&line, end, &head->n) &&
         take_text(&line, end, ",\"t\":\"") && take_bytes(&line, end, TIME_LEN, &head->time) &&
         take_text(&line, end, "\",\"prev\":\"") &&
         take_bytes(&line, end, DIGEST_LEN, &head->prev) &&
         take_text(&line, end, "\",\"synced\":") && take_number(&line, end, &head->synced);
}

/* What is wrong with line n, or NULL. */
static const char *judge(const char *line, size_t len, uint64_t n, const char *prev,
                         struct store_line *out) {
  struct head head;
  if (!store_is_whole(line, len)) return "its checksum does not fit";
  if (!read_head(line, len, &head)) return "its head is not as we write it";
  if (head.n != n) return "its number is not the next";
  if (memcmp(head.prev, n == 1 ? no_line : prev, DIGEST_LEN) != 0)
    return "it does not follow the line before it";
  if (head.synced >= n) return "it calls itself older than it is";
  memcpy(out->time, head.time, TIME_LEN);
  out->time[TIME_LEN] = '\0';
  out->text = line;
  out->len = len;
  return NULL;
}

/* Zeros in a row, more than damage to one byte makes. */
static bool has_zeros(const char *at, size_t len) {
  static const char zeros[8];
  return memmem(at, len, zeros, sizeof zeros) != NULL;
}

/* A crash leaves a last line without its end or, where the file's length reached the disk before
   its bytes, sectors of zeros in what was not synced yet, perhaps with whole lines behind them. A
   line behind that was written after a sync of line n says that n was on disk: that is damage. */
static bool is_torn(const char *at, const char *end, uint64_t n) {
  const char *feed = memchr(at, '\n', (size_t)(end - at));
  if (feed == NULL) return true;
  if (!has_zeros(at, (size_t)(feed - at))) return false;
  while (feed != NULL && feed + 1 < end) {
    const char *line = feed + 1;
    struct head head;
    feed = memchr(line, '\n', (size_t)(end - line));
    if (feed != NULL && store_is_whole(line, (size_t)(feed - line)) &&
        (!read_head(line, (size_t)(feed - line), &head) || head.synced >= n))
      return false;
  }
  return true;
}

static int damaged(struct store_error *error, const char *path, uint64_t line, uint64_t offset,
                   const char *why) {
  store_fail(error, "damaged", "'%s' is damaged at line %llu (byte %llu): %s", path,
             (unsigned long long)line, (unsigned long long)offset, why);
  error->line = line;
  error->offset = offset;
  return -1;
}

static bool make_room(struct store_lines *lines, size_t *room) {
  if (lines->count < *room) return true;
  *room = *room == 0 ? 256 : *room * 2;
  struct store_line *grown = realloc(lines->lines, *room * sizeof *grown);
  if (grown != NULL) lines->lines = grown;
  return grown != NULL;
}

int store_check(char *bytes, size_t len, const char *path, struct store_lines *lines,
                struct store_error *error) {
  memset(lines, 0, sizeof *lines);
  lines->bytes = bytes;
  memcpy(lines->last, no_line, sizeof no_line);
  const char *at = bytes, *end = bytes + len;
  size_t room = 0;
  while (at < end) {
    const char *feed = memchr(at, '\n', (size_t)(end - at));
    const char *why = "it has no end";
    if (!make_room(lines, &room)) {
      store_free_lines(lines);
      return store_fail_errno(error, ENOMEM, "read", path);
    }
    if (feed != NULL)
      why = judge(at, (size_t)(feed - at), lines->count + 1, lines->last,
                  &lines->lines[lines->count]);
    if (why != NULL) {
      uint64_t line = lines->count + 1, offset = (uint64_t)(at - bytes);
      if (is_torn(at, end, line)) break;
      store_free_lines(lines);
      return damaged(error, path, line, offset, why);
    }
    store_digest(at, (size_t)(feed - at), lines->last);
    lines->count++;
    at = feed + 1;
  }
  lines->good_bytes = (size_t)(at - bytes);
  lines->torn_bytes = (size_t)(end - at);
  return 0;
}

void store_free_lines(struct store_lines *lines) {
  free(lines->bytes);
  free(lines->lines);
  memset(lines, 0, sizeof *lines);
}
