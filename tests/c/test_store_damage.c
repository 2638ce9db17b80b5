/* Claims about damage: of a journal of 200 records that was cut, bent or partly zeroed anywhere,
 * the store says the right thing. What was never synced and is not whole is left out; all else is
 * refused, naming line and byte. */
#include <time.h>

#include "store_fixture.h"

enum { LINES = 200 };

static char *bytes;
static size_t length;
static size_t start[LINES + 2];     /* where line n begins; start[LINES + 1] is the end */
static uint64_t synced[LINES + 1];  /* how many were on disk when line n was written */
static size_t cases, wrong;

/* Records of various lengths, synced now and then, the last 22 of them not at all. */
static void write_journal(void) {
  struct store_run *run = store->create("0001-damage", &error);
  uint64_t on_disk = 0;
  if (run == NULL) abort();
  for (unsigned n = 1; n <= LINES; n++) {
    char text[400];
    snprintf(text, sizeof text, "{\"type\":\"note\",\"text\":\"record %u %0*u\"}", n,
             (int)(n * 37 % 200) + 1, n);
    synced[n] = on_disk;
    bool sync = n < LINES - 22 && n % 5 == 0;
    if (append(run, text, sync) != 0) abort();
    if (sync) on_disk = n;
  }
  store->close(run);
  bytes = slurp(journal_path("0001-damage"), &length);
  start[1] = 0;
  for (unsigned n = 1; n <= LINES; n++)
    start[n + 1] = start[n] + strcspn(bytes + start[n], "\n") + 1;
}

static unsigned line_at(size_t offset) {
  unsigned n = 1;
  while (n < LINES && start[n + 1] <= offset) n++;
  return n;
}

static void count_wrong(bool good, const char *what, size_t at) {
  cases++;
  if (good) return;
  if (wrong++ < 5) printf("%s at byte %zu: wrong verdict (%s)\n", what, at, error.message);
}

static void expect_torn(const char *damaged, size_t len, unsigned kept, const char *what,
                        size_t at) {
  struct store_lines lines;
  bool good = check_bytes(damaged, len, &lines) == 0;
  if (good) {
    good = lines.count == kept && lines.good_bytes == start[kept + 1] &&
           lines.torn_bytes == len - start[kept + 1];
    store_free_lines(&lines);
  }
  count_wrong(good, what, at);
}

static void expect_refused(const char *damaged, unsigned line, const char *what, size_t at) {
  struct store_lines lines;
  char named[64];
  snprintf(named, sizeof named, "line %u (byte %zu)", line, start[line]);
  bool refused = check_bytes(damaged, length, &lines) != 0;
  if (!refused) store_free_lines(&lines);
  count_wrong(refused && strcmp(error.code, "damaged") == 0 && error.line == line &&
                  error.offset == start[line] && strstr(error.message, named) != NULL,
              what, at);
}

/* One byte is another: damage, but for the last line's end, without which it was cut. */
static void expect_bent(size_t at, const char *what) {
  if (at + 1 == length) expect_torn(bytes, length, LINES - 1, what, at);
  else expect_refused(bytes, line_at(at), what, at);
}

static void check_cuts(void) {
  unsigned whole = 0;
  for (size_t cut = 0; cut <= length; cut++) {
    if (cut > 0 && bytes[cut - 1] == '\n') whole++;
    expect_torn(bytes, cut, whole, "cut", cut);
  }
}

static void check_flips(void) {
  for (size_t at = 0; at < length; at++) {
    bool last = at >= start[LINES]; /* all bits there, one a byte elsewhere */
    for (unsigned bit = last ? 0 : at % 8; bit < 8; bit += last ? 1 : 8) {
      bytes[at] = (char)(bytes[at] ^ (1 << bit));
      expect_bent(at, "a bit flipped");
      bytes[at] = (char)(bytes[at] ^ (1 << bit));
    }
  }
}

static void check_random_bytes(void) {
  for (unsigned n = 1; n <= LINES; n++)
    for (int again = 0; again < 3; again++) {
      size_t at = start[n] + (size_t)random() % (start[n + 1] - start[n]);
      char was = bytes[at];
      do bytes[at] = (char)random();
      while (bytes[at] == was);
      expect_bent(at, "another byte");
      bytes[at] = was;
    }
}

/* What must be said when the first line that is not whole is `line` and all from `whole` on are. */
static void expect_after_zeros(const char *copy, unsigned line, unsigned whole, size_t at) {
  bool was_on_disk = false;
  for (unsigned n = whole; n <= LINES; n++) was_on_disk = was_on_disk || synced[n] >= line;
  if (was_on_disk) expect_refused(copy, line, "zeros", at);
  else expect_torn(copy, length, line - 1, "zeros", at);
}

static void check_zeroed_sectors(void) {
  char *copy = malloc(length + 1);
  if (copy == NULL) abort();
  for (size_t at = 0; at < length; at += 512) {
    size_t end = at + 512 < length ? at + 512 : length;
    memcpy(copy, bytes, length + 1);
    memset(copy + at, 0, end - at);
    expect_after_zeros(copy, line_at(at), end < length ? line_at(end - 1) + 1 : LINES + 1, at);
  }
  free(copy);
}

/* The power goes: of the sectors behind the last sync some are written, others not. */
static void check_power_cuts(void) {
  char *copy = malloc(length + 1);
  if (copy == NULL) abort();
  const size_t safe = start[synced[LINES] + 1];
  for (int again = 0; again < 2000; again++) {
    size_t first = length;
    memcpy(copy, bytes, length + 1);
    for (size_t at = safe - safe % 512; at < length; at += 512) {
      if (random() % 3 != 0) continue;
      size_t from = at > safe ? at : safe, end = at + 512 < length ? at + 512 : length;
      memset(copy + from, 0, end - from);
      if (first == length) first = from;
    }
    unsigned kept = first == length ? LINES : line_at(first) - 1;
    expect_torn(copy, length, kept, "a power cut", first);
  }
  free(copy);
}

static void check_continued(void) {
  CHECK(truncate(journal_path("0001-damage"), (off_t)length - 5) == 0, "(cut)");
  size_t torn = 0;
  struct store_run *run = store->open("0001-damage", STORE_APPEND, NULL, &torn, &error);
  CHECK(run != NULL && torn == length - 5 - start[LINES],
        "a torn journal is opened, and it is said how much was dropped");
  CHECK(append(run, "{\"after\":true}", true) == 0, "and continued");
  struct store_lines lines;
  CHECK(store->read(run, &lines, &error) == 0 && lines.count == LINES && lines.torn_bytes == 0,
        "with an unbroken chain");
  store->free_lines(&lines);
  store->close(run);
}

static void check_lines_moved(void) {
  struct store_lines lines;
  CHECK(check_bytes(bytes + start[2], length - start[2], &lines) == -1 && error.line == 1,
        "a journal without its first record is refused");
  char *copy = malloc(length);
  if (copy == NULL) abort();
  memcpy(copy, bytes, start[2]);
  memcpy(copy + start[2], bytes + start[3], length - start[3]);
  CHECK(check_bytes(copy, length - start[3] + start[2], &lines) == -1 && error.line == 2,
        "a record taken out is missed");
  free(copy);
}

int main(void) {
  unsigned seed = (unsigned)time(NULL);
  srandom(seed);
  open_home();
  write_journal();
  check_cuts();
  check_flips();
  check_random_bytes();
  check_zeroed_sectors();
  check_power_cuts();
  printf("a journal of %d records damaged in %zu ways: %zu wrong verdicts (seed %u)\n", LINES,
         cases, wrong, seed);
  CHECK(wrong == 0, "damage is told from an unsynced tail, and its line and byte are named");
  check_lines_moved();
  check_continued();
  free(bytes);
  return close_home();
}
