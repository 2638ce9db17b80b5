/* Claims about room: the ballast opens a run on a full disk, and runs that are removed are gone
 * whole. */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "store_fixture.h"

static bool exists(const char *below) {
  char path[600];
  snprintf(path, sizeof path, "%s/%s", store->home(), below);
  return access(path, F_OK) == 0;
}

static int64_t room_left(void) {
  struct statvfs disk;
  if (statvfs(store->home(), &disk) != 0) abort();
  return (int64_t)(disk.f_bavail * disk.f_frsize);
}

/* Fills the disk but for so many bytes. */
static void fill(int64_t left) {
  char path[600];
  snprintf(path, sizeof path, "%s/filler", store->home());
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  int64_t len = room_left() - left;
  if (fd < 0 || (len > 0 && fallocate(fd, 0, 0, len) != 0)) {
    printf("cannot fill the disk with %lld bytes: %s\n", (long long)len, strerror(errno));
    abort();
  }
  close(fd);
}

static void unfill(void) {
  char path[600];
  snprintf(path, sizeof path, "%s/filler", store->home());
  unlink(path);
}

/* What opsrun writes to open a run. True when all of it went well. */
static bool open_run(const char *id, bool *released) {
  static char blob[20000], start[3000];
  char *path = NULL;
  memset(blob, 'b', sizeof blob);
  memset(start, 'x', sizeof start);
  memcpy(start, "{\"a\":\"", 6);
  memcpy(start + sizeof start - 3, "\"}", 3);
  struct store_run *run = store->create(id, &error);
  bool good = run != NULL &&
              store->put(run, "blobs", "frozen", blob, sizeof blob, &path, &error) == 0 &&
              append(run, start, true) == 0;
  *released = run != NULL && store->opened(run);
  good = good && store->reserve(run, 16384, &error) == 0;
  store->close(run);
  free(path);
  return good;
}

static void check_levels(void) {
  int opened = 0, told = 0, back = 0, levels = 0;
  for (int64_t left = 0; left <= 64 << 10; left += 4096, levels++) {
    char id[32];
    bool released = false;
    snprintf(id, sizeof id, "level-%d", (int)(left >> 10));
    fill(left);
    opened += open_run(id, &released);
    told += released && !exists("ballast");
    unfill();
    snprintf(id, sizeof id, "after-%d", (int)(left >> 10));
    if (!open_run(id, &released)) abort();
    back += !released && exists("ballast");
  }
  printf("%d levels of 0 to 64 KiB left: %d runs opened, %d said that the ballast is gone, %d made "
         "it again\n",
         levels, opened, told, back);
  CHECK(opened == levels, "with the ballast a run is opened on a full disk, at every level");
  CHECK(told == levels, "and it is said that it was released");
  CHECK(back == levels, "the next run that finds space makes it again");
}

static void check_without(void) {
  bool released = false;
  store_release_ballast();
  fill(0);
  CHECK(!open_run("without", &released) && strcmp(error.code, "space") == 0 && !released,
        "without the ballast a full disk opens no run");
  unfill();
  fill(20 << 20);
  CHECK(open_run("narrow", &released) && !released && !exists("ballast"),
        "on a disk that is nearly full it is not made: it would be what fills it");
  unfill();
}

static void check_reopened(void) {
  bool released = false;
  if (!open_run("resumed", &released) || !exists("ballast")) abort();
  fill(0);
  struct store_run *run = store->open("resumed", STORE_APPEND, NULL, NULL, &error);
  static char record[8000];
  memset(record, 'x', sizeof record);
  memcpy(record, "{\"a\":\"", 6);
  memcpy(record + sizeof record - 3, "\"}", 3);
  CHECK(run != NULL && append(run, record, true) == 0 && store->opened(run),
        "a run that is opened again on a full disk has the ballast too");
  fill(0);
  int written = 0;
  while (written < 100 && append(run, record, true) == 0) written++;
  CHECK(written < 100 && strcmp(error.code, "space") == 0, "once open a full disk is an error");
  store->close(run);
  unfill();
}

static void check_ballast(void) {
  if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
      mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("none", home, "tmpfs", MS_NOSUID, "size=44m,mode=700") != 0) {
    printf("SKIPPED: no mount namespace here (not root): the full disk was not tried\n");
    return;
  }
  bool released = true;
  CHECK(open_run("first", &released) && !released && exists("ballast"),
        "the first run makes the ballast");
  check_levels();
  check_without();
  check_reopened();
  umount(home);
}

/* --- removal --- */

static size_t count_runs(const char *part) {
  char **ids = NULL;
  size_t count = 0;
  if (store->list(part, &ids, &count, &error) != 0) abort();
  store->free_list(ids, count);
  return count;
}

static void make_deep(const char *id) {
  char command[1200];
  snprintf(command, sizeof command,
           "cd '%s/runs/%s' && mkdir -p artifacts/a/b/c && touch artifacts/a/b/c/x && ln -s /etc "
           "artifacts/link && chmod 500 artifacts/a/b",
           store->home(), id);
  if (system(command) != 0) abort();
}

static void check_removed(void) {
  struct store_holder holder = {.pid = 0};
  store->close(make("0001-old", 3));
  make_deep("0001-old");
  struct store_run *held = make("0002-held", 1);
  CHECK(store->remove("0002-held", &holder, &error) == -1 && strcmp(error.code, "locked") == 0 &&
            holder.pid == getpid() && exists("runs/0002-held/journal"),
        "a run that somebody writes is not removed");
  CHECK(store->remove("0001-old", NULL, &error) == 0 && !exists("runs/0001-old"),
        "a run is removed with all it holds");
  CHECK(access("/etc/passwd", F_OK) == 0, "and nothing a link in it leads to");
  CHECK(store->remove("0001-old", NULL, &error) == -1 && strcmp(error.code, "missing") == 0,
        "once");
  CHECK(store->remove("../runs", NULL, &error) == -1 && strcmp(error.code, "name") == 0,
        "an id is no path");
  store->close(held);
}

/* What a removal that was killed leaves: no run, and gone with the next. */
static void check_half_removed(void) {
  store->close(make("0003-half", 3));
  char from[600], to[600];
  snprintf(from, sizeof from, "%s/runs/0003-half", home);
  snprintf(to, sizeof to, "%s/runs/.removed-0003-half", home);
  if (rename(from, to) != 0) abort();
  CHECK(count_runs("half") == 0 && store->open("0003-half", STORE_READ, NULL, NULL, &error) == NULL,
        "a half-deleted folder is no run");
  store->close(make("0003-half", 2));
  CHECK(count_runs("half") == 1, "its id may be given again");
  CHECK(store->remove("0003-half", NULL, &error) == 0 && !exists("runs/.removed-0003-half"),
        "and removed again");
  store->close(make("0004-half", 3));
  snprintf(from, sizeof from, "%s/runs/0004-half", home);
  if (rename(from, to) != 0) abort();
  store->close(make("0005-x", 1));
  CHECK(store->remove("0005-x", NULL, &error) == 0 && !exists("runs/.removed-0003-half"),
        "the next removal takes away what one that was killed left");
}

static int no_sync(int fd) {
  (void)fd;
  errno = EIO;
  return -1;
}

static void check_unsynced(void) {
  store->close(make("0006-sync", 3));
  store_calls.fsync = no_sync;
  CHECK(store->remove("0006-sync", NULL, &error) == -1 && strcmp(error.code, "io") == 0,
        "a removal that cannot be synced fails");
  store_calls.fsync = fsync;
  CHECK(exists("runs/.removed-0006-sync/journal"), "before anything is deleted");
}

static void check_ends(void) {
  char *first = NULL, *last = NULL;
  struct store_run *run = make("0007-ends", 400);
  uint64_t count = 0;
  char digest[65], line_digest[65];
  store->tip(run, &count, digest);
  CHECK(count == 400 && store->ends("0007-ends", &first, &last, &error) == 0 &&
            strstr(first, "\"text\":\"record 0 ") != NULL && strstr(last, "\"text\":\"record 399 "),
        "first and last record can be had without the rest");
  store_digest(last, strlen(last), line_digest);
  CHECK(strcmp(digest, line_digest) == 0, "the tip is the last one's digest");
  free(first);
  free(last);
  store->close(run);
  int fd = open(journal_path("0007-ends"), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0 || write(fd, "{\"n\":401", 8) != 8) abort();
  close(fd);
  CHECK(store->ends("0007-ends", &first, &last, &error) == 0 && *first != '\0' && *last == '\0',
        "one that is cut short is not told as if it were whole");
  free(first);
  free(last);
  if (truncate(journal_path("0007-ends"), 0) != 0) abort();
  CHECK(store->ends("0007-ends", &first, &last, &error) == 0 && *first == '\0' && *last == '\0',
        "an empty journal has none");
  free(first);
  free(last);
  int64_t made = 0;
  CHECK(store->made("0007-ends", &made, &error) == 0 && made > 1600000000 &&
            store->made("0008-no", &made, &error) == -1 && strcmp(error.code, "missing") == 0,
        "a run knows when it was made");
}

int main(void) {
  open_home();
  check_removed();
  check_half_removed();
  check_unsynced();
  check_ends();
  check_ballast();
  return close_home();
}
