/* What the tests of the store share: a home of their own, runs with records, journals as bytes. */
#ifndef OPSRUN_TEST_STORE_FIXTURE_H
#define OPSRUN_TEST_STORE_FIXTURE_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "store/store.h"
#include "store/store_io.h"

static const struct store_api *const store = &store_files;
static struct store_error error;
static char home[] = "/tmp/opsrun-store-XXXXXX";

static inline void open_home(void) {
  if (mkdtemp(home) == NULL) abort();
  setenv("OPSRUN_HOME", home, 1);
}

/* The value for main to return. */
static inline int close_home(void) {
  char command[100];
  snprintf(command, sizeof command, "rm -rf '%s'", home);
  return system(command) == 0 ? CHECK_RESULT() : 1;
}

static inline int append(struct store_run *run, const char *object, bool sync) {
  return store->append(run, object, strlen(object), sync, &error);
}

/* A run of so many records, every seventh of them synced. */
static inline struct store_run *make(const char *id, int records) {
  struct store_run *run = store->create(id, &error);
  CHECK(run != NULL, "a run can be made");
  if (run == NULL) {
    printf("%s\n", error.message);
    exit(1);
  }
  for (int i = 0; i < records; i++) {
    char text[200];
    snprintf(text, sizeof text, "{\"type\":\"note\",\"text\":\"record %d %.*s\"}", i, i % 70,
             "----------------------------------------------------------------------");
    CHECK(append(run, text, i % 7 == 0) == 0, "a record can be appended");
  }
  return run;
}

static inline char *journal_path(const char *id) {
  static char path[512];
  snprintf(path, sizeof path, "%s/runs/%s/journal", store->home(), id);
  return path;
}

static inline char *slurp(const char *path, size_t *len) {
  char *bytes = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || store_read_all(fd, 1 << 24, &bytes, len) != 0) abort();
  close(fd);
  return bytes;
}

/* What the store says of these bytes as a journal. */
static inline int check_bytes(const char *bytes, size_t len, struct store_lines *lines) {
  char *copy = malloc(len + 1);
  if (copy == NULL) abort();
  memcpy(copy, bytes, len);
  copy[len] = '\0';
  return store_check(copy, len, "journal", lines, &error);
}

#endif
