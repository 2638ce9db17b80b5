/* Claims about durable runs: what comes back, what happens when the disk says no, who holds what. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_fixture.h"

static void check_round_trip(void) {
  struct store_run *run = make("0001-a", 3);
  CHECK(append(run, "{}", true) == 0, "an empty record too");
  struct store_lines lines;
  CHECK(store->read(run, &lines, &error) == 0 && lines.count == 4 && lines.torn_bytes == 0,
        "all records are read back");
  CHECK(memmem(lines.lines[1].text, lines.lines[1].len, "\"text\":\"record 1 -\"", 18) != NULL,
        "with their text");
  CHECK(strncmp(lines.lines[0].text, "{\"n\":1,\"t\":\"20", 14) == 0 &&
            lines.lines[0].time[23] == 'Z',
        "numbered and stamped");
  store->free_lines(&lines);
  CHECK(append(run, "{\"a\":\n1}", false) == -1, "a record of two lines is refused");
  CHECK(append(run, "[1]", false) == -1, "a record that is no object is refused");
  CHECK(append(run, "{\"b\":2}", false) == 0, "and the run is still usable");
  CHECK(store->create("0001-a", &error) == NULL && strcmp(error.code, "exists") == 0,
        "an id is given once");
  CHECK(store->create("../x", &error) == NULL && strcmp(error.code, "name") == 0 &&
            store->create(".x", &error) == NULL && store->create("", &error) == NULL,
        "an id is no path");
  CHECK(store->open("0009-no", STORE_READ, NULL, NULL, &error) == NULL &&
            strcmp(error.code, "missing") == 0,
        "an unknown run is missing");
  store->close(run);
  run = store->open("0001-a", STORE_APPEND, NULL, NULL, &error);
  CHECK(run != NULL && append(run, "{\"c\":3}", true) == 0, "a closed run can be continued");
  CHECK(store->read(run, &lines, &error) == 0 && lines.count == 6, "and its chain goes on");
  store->free_lines(&lines);
  store->close(run);
  struct stat st;
  CHECK(stat(journal_path("0001-a"), &st) == 0 && (st.st_mode & 0777) == 0600 &&
            st.st_blocks * 512 < 65536,
        "the journal is private and keeps no reserved room");
}

/* --- a disk that says no --- */

static int fail_at, calls, syncs_after_failure;

static bool strikes(void) {
  calls++;
  if (fail_at > 0 && calls > fail_at) syncs_after_failure++;
  return calls == fail_at;
}

static ssize_t bad_write(int fd, const void *bytes, size_t len) {
  if (!strikes()) return write(fd, bytes, len);
  errno = ENOSPC;
  return -1;
}

static int bad_sync(int fd) {
  if (!strikes()) return fdatasync(fd);
  errno = EIO;
  return -1;
}

static void check_failed_sync(void) {
  struct store_run *run = make("0003-sync", 1);
  store_calls.fdatasync = bad_sync;
  fail_at = 2;
  calls = syncs_after_failure = 0;
  CHECK(append(run, "{\"a\":1}", true) == 0, "the first sync works");
  CHECK(append(run, "{\"a\":2}", true) == -1 && strcmp(error.code, "io") == 0 &&
            strstr(error.message, "/runs/0003-sync/journal': input/output error") != NULL,
        "a failed sync fails the append, naming the journal");
  CHECK(append(run, "{\"a\":3}", false) == -1 && strcmp(error.code, "io") == 0 &&
            store->sync(run, &error) == -1 && store->reserve(run, 10, &error) == -1,
        "and everything after it, with the same error");
  CHECK(syncs_after_failure == 0, "the descriptor is never synced again");
  store_calls.fdatasync = fdatasync;
  store->close(run);
}

static void check_failed_write(void) {
  struct store_run *run = make("0004-write", 1);
  store_calls.write = bad_write;
  fail_at = 1;
  calls = 0;
  CHECK(append(run, "{\"a\":1}", false) == -1 && strcmp(error.code, "space") == 0,
        "a full disk fails the append");
  fail_at = 0;
  CHECK(append(run, "{\"a\":2}", false) == -1, "and every later one");
  store_calls.write = write;
  store->close(run);
  run = store->open("0004-write", STORE_APPEND, NULL, NULL, &error);
  CHECK(run != NULL && append(run, "{\"a\":3}", true) == 0, "what was written before is whole");
  store->close(run);
}

static bool is_written_whole(struct store_run *run, const char *name, const char *want) {
  char *bytes = NULL;
  size_t len = 0;
  bool good =
      store->get(run, "artifacts", name, &bytes, &len, &error) == 0 && strcmp(bytes, want) == 0;
  free(bytes);
  return good;
}

static int put(struct store_run *run, const char *name, const char *text) {
  char *path = NULL;
  int code = store->put(run, "artifacts", name, text, strlen(text), &path, &error);
  free(path);
  return code;
}

static void check_artifacts(void) {
  struct store_run *run = make("0005-art", 1);
  CHECK(put(run, "sizes.csv", "old") == 0 && is_written_whole(run, "sizes.csv", "old"),
        "an artifact is written");
  CHECK(put(run, "sizes.csv", "new") == 0 && is_written_whole(run, "sizes.csv", "new"),
        "and replaced");
  store_calls.write = bad_write;
  fail_at = 1;
  calls = 0;
  CHECK(put(run, "sizes.csv", "worse") == -1 && strcmp(error.code, "space") == 0, "on a full disk");
  store_calls.write = write;
  CHECK(is_written_whole(run, "sizes.csv", "new"), "the old one stays whole");
  CHECK(put(run, "../x", "a") == -1 && put(run, ".x", "a") == -1 && put(run, "a/b", "a") == -1 &&
            put(run, "a\nb", "a") == -1,
        "a name is no path");
  char folder[600];
  snprintf(folder, sizeof folder, "ls -A %s/runs/0005-art/artifacts | wc -l", home);
  FILE *count = popen(folder, "r");
  int files = 0;
  CHECK(count != NULL && fscanf(count, "%d", &files) == 1 && files == 1, "no leftovers");
  if (count != NULL) pclose(count);
  store->close(run);
}

/* A tmpfs of 64 KiB, filled to every level: what append said is written can be read back. */
static void check_small_disk(void) {
  char dir[600];
  snprintf(dir, sizeof dir, "%s/small", home);
  if (mkdir(dir, 0700) != 0 || mount("none", dir, "tmpfs", MS_NOSUID, "size=64k") != 0) {
    printf("no tmpfs here (not root): the small disk was not tried\n");
    return;
  }
  setenv("OPSRUN_HOME", dir, 1);
  struct store_run *run = store->create("full", &error);
  CHECK(run != NULL, "a run fits on a small disk");
  CHECK(store->reserve(run, 1 << 20, &error) == -1 && strcmp(error.code, "space") == 0,
        "room that is not there is not promised");
  size_t count = 0;
  char record[700];
  memset(record, 'x', sizeof record);
  memcpy(record, "{\"a\":\"", 6);
  memcpy(record + sizeof record - 3, "\"}", 3);
  while (count < 1000 && append(run, record, true) == 0) count++;
  CHECK(count > 10 && count < 1000 && strcmp(error.code, "space") == 0, "the disk runs full");
  struct store_lines lines;
  CHECK(store->read(run, &lines, &error) == 0 && lines.count == count,
        "all that was written is there, and no more");
  store->free_lines(&lines);
  store->close(run);
  setenv("OPSRUN_HOME", home, 1);
  umount(dir);
}

static void check_reserved(void) {
  char dir[600];
  snprintf(dir, sizeof dir, "%s/reserved", home);
  if (mkdir(dir, 0700) != 0 || mount("none", dir, "tmpfs", MS_NOSUID, "size=256k") != 0) return;
  setenv("OPSRUN_HOME", dir, 1);
  struct store_run *run = store->create("kept", &error);
  CHECK(run != NULL && store->reserve(run, 20000, &error) == 0, "room can be reserved");
  char filler[700], zeros[4096] = {0};
  snprintf(filler, sizeof filler, "%s/filler", dir);
  int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  while (write(fd, zeros, sizeof zeros) > 0) continue;
  close(fd);
  int written = 0;
  while (written < 100 && append(run, "{\"type\":\"effect.end\",\"outcome\":\"done\"}", true) == 0)
    written++;
  CHECK(written >= 80, "and is still there when the rest of the disk is full");
  store->close(run);
  setenv("OPSRUN_HOME", home, 1);
  umount(dir);
}

static void check_locks(void) {
  struct store_holder holder = {.pid = -1};
  struct store_run *run = make("0006-lock", 1);
  CHECK(store->holder("0006-lock", &holder, &error) == 1 && holder.pid == getpid(),
        "a run being written has a holder");
  CHECK(store->open("0006-lock", STORE_APPEND, &holder, NULL, &error) == NULL &&
            strcmp(error.code, "locked") == 0 && holder.pid == getpid() &&
            strstr(error.message, "is held by process") != NULL,
        "a second writer is refused and told by whom");
  struct store_run *reader = store->open("0006-lock", STORE_READ, NULL, NULL, &error);
  CHECK(reader != NULL, "a reader is not");
  CHECK(append(reader, "{}", false) == -1, "but it cannot write");
  store->close(reader);
  CHECK(store->holder("0006-lock", &holder, &error) == 1, "nor does it take the lock away");
  store->close(run);
  CHECK(store->holder("0006-lock", &holder, &error) == 0, "a closed run has none");
  struct store_lock *lock = store->lock("db-exhaustion@production", "0006-lock", &holder, &error);
  CHECK(lock != NULL, "a named lock is taken");
  CHECK(store->lock("db-exhaustion@production", "x", &holder, &error) == NULL &&
            holder.pid == getpid() && strcmp(holder.note, "0006-lock") == 0,
        "once; the second is told the run");
  store->unlock(lock);
  lock = store->lock("db-exhaustion@production", "x", &holder, &error);
  CHECK(lock != NULL, "a lock given back can be taken");
  store->unlock(lock);
}

static void check_list(void) {
  char **ids;
  size_t count;
  CHECK(store->list("", &ids, &count, &error) == 0 && count == 5 && strcmp(ids[0], "0001-a") == 0 &&
            strcmp(ids[4], "0006-lock") == 0,
        "runs are listed, oldest first");
  store->free_list(ids, count);
  setenv("OPSRUN_HOME", "/tmp/opsrun-store-not-there", 1);
  CHECK(store->list("", &ids, &count, &error) == 0 && count == 0, "no home is no runs");
  store->free_list(ids, count);
  CHECK(access("/tmp/opsrun-store-not-there", F_OK) != 0, "and looking makes none");
  setenv("OPSRUN_HOME", home, 1);
  CHECK(chmod(home, 0777) == 0, "(open to all)");
  char runs[600];
  snprintf(runs, sizeof runs, "%s/runs", home);
  CHECK(chmod(runs, 0777) == 0 && store->create("x", &error) == NULL &&
            strcmp(error.code, "denied") == 0,
        "a folder where everybody may write is refused");
}

int main(void) {
  open_home();
  check_round_trip();
  check_failed_sync();
  check_failed_write();
  check_artifacts();
  check_locks();
  check_list();
  check_small_disk();
  check_reserved();
  return close_home();
}
