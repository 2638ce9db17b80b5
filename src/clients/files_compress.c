/* Compressing one file to NAME.gz: written beside it, read back, put in place under its new name
   only when the original is still what was read. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "files_internal.h"

enum { CHUNK = 128 * 1024, GZIP_WINDOW = 15 + 16 };

struct squeeze {
  struct files_change *change;
  int source;
  struct files_fresh target;
  char target_name[256];
  unsigned char in[CHUNK], out[CHUNK];
  int64_t read, written;
};

static bool put(struct squeeze *squeeze, size_t len) {
  size_t done = 0;
  while (done < len) {
    ssize_t put_now = write(squeeze->target.fd, squeeze->out + done, len - done);
    if (put_now < 0 && errno == EINTR) continue;
    if (put_now < 0) return files_leave_errno(squeeze->change, "write what is compressed of");
    done += (size_t)put_now;
  }
  squeeze->written += (int64_t)len;
  return true;
}

static ssize_t get(int fd, unsigned char *buffer) {
  ssize_t got;
  while ((got = read(fd, buffer, CHUNK)) < 0 && errno == EINTR) continue;
  return got;
}

static bool deflate_all(struct squeeze *squeeze, z_stream *stream) {
  struct files_change *change = squeeze->change;
  int flush = Z_NO_FLUSH;
  while (flush != Z_FINISH) {
    if (work_stopped(&change->job->work)) return files_leave(change, "stopped");
    ssize_t got = get(squeeze->source, squeeze->in);
    if (got < 0) return files_leave_errno(change, "read");
    squeeze->read += got;
    flush = got == 0 ? Z_FINISH : Z_NO_FLUSH;
    stream->next_in = squeeze->in;
    stream->avail_in = (uInt)got;
    do {
      stream->next_out = squeeze->out;
      stream->avail_out = CHUNK;
      if (deflate(stream, flush) == Z_STREAM_ERROR) return files_leave(change, "zlib failed");
      if (!put(squeeze, CHUNK - stream->avail_out)) return false;
    } while (stream->avail_out == 0);
  }
  return true;
}

static bool compress_content(struct squeeze *squeeze) {
  z_stream stream = {0};
  if (deflateInit2(&stream, squeeze->change->job->request.level, Z_DEFLATED, GZIP_WINDOW, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    return files_leave(squeeze->change, "out of memory");
  bool good = deflate_all(squeeze, &stream);
  deflateEnd(&stream);
  return good;
}

/* Reads back what was written: zlib compares the checksum, we the length. */
static bool verify_content(struct squeeze *squeeze) {
  struct files_change *change = squeeze->change;
  z_stream stream = {0};
  if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK) return files_leave(change, "out of memory");
  int state = Z_OK;
  int64_t total = 0;
  bool good = lseek(squeeze->target.fd, 0, SEEK_SET) == 0;
  while (good && state == Z_OK && !work_stopped(&change->job->work)) {
    ssize_t got = get(squeeze->target.fd, squeeze->in);
    if (got <= 0) break;
    stream.next_in = squeeze->in;
    stream.avail_in = (uInt)got;
    do {
      stream.next_out = squeeze->out;
      stream.avail_out = CHUNK;
      state = inflate(&stream, Z_NO_FLUSH);
      total += CHUNK - (int64_t)stream.avail_out;
    } while (state == Z_OK && stream.avail_out == 0);
    if (state == Z_BUF_ERROR) state = Z_OK; /* it only wants more input */
  }
  inflateEnd(&stream);
  if (work_stopped(&change->job->work)) return files_leave(change, "stopped");
  return (state == Z_STREAM_END && total == squeeze->read) ||
         files_leave(change, "what was written does not read back");
}

/* The original, by descriptor and by name, is still what we began with. */
static bool is_unchanged(struct squeeze *squeeze) {
  struct files_change *change = squeeze->change;
  struct stat now, named;
  char before[FILES_ID_MAX], after[FILES_ID_MAX];
  if (fstat(squeeze->source, &now) != 0 ||
      fstatat(change->parent, change->base, &named, AT_SYMLINK_NOFOLLOW) != 0)
    return files_leave_errno(change, "look again at");
  files_id(&change->facts, before);
  files_id(&now, after);
  return (strcmp(before, after) == 0 && named.st_ino == now.st_ino && named.st_dev == now.st_dev) ||
         files_leave(change, "it was written to while it was compressed");
}

static bool put_in_place(struct squeeze *squeeze) {
  struct files_change *change = squeeze->change;
  const struct timespec times[2] = {change->facts.st_atim, change->facts.st_mtim};
  if (fchown(squeeze->target.fd, change->facts.st_uid, change->facts.st_gid) != 0)
    return files_leave_errno(change, "keep the owner of");
  if (fchmod(squeeze->target.fd, change->facts.st_mode & 07777) != 0 ||
      futimens(squeeze->target.fd, times) != 0 || fsync(squeeze->target.fd) != 0)
    return files_leave_errno(change, "finish");
  if (!is_unchanged(squeeze)) return false;
  if (!files_fresh_name(&squeeze->target, squeeze->target_name, false))
    return files_leave(change, "cannot make '%s': %s", squeeze->target_name, strerror(errno));
  int directory = openat(change->parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool synced = directory >= 0 && fsync(directory) == 0;
  if (directory >= 0) close(directory);
  if (!synced) return files_leave_errno(change, "sync the directory of");
  if (change->job->request.keep) return true;
  if (unlinkat(change->parent, change->base, 0) != 0)
    return files_leave(change, "it is compressed, but cannot be removed: %s", strerror(errno));
  change->freed = squeeze->read - squeeze->written;
  return true;
}

static bool is_fit(struct files_change *change, struct squeeze *squeeze) {
  static const char *const endings[] = {".gz", ".zst", ".xz", ".bz2", ".lz4", ".zip"};
  size_t len = strlen(change->base);
  if (change->facts.st_ino == 0) return files_leave(change, "it is not there");
  if (!S_ISREG(change->facts.st_mode))
    return files_leave(change, "it is a %s, no regular file", files_type(change->facts.st_mode));
  for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
    size_t ending = strlen(endings[i]);
    if (len > ending && strcmp(change->base + len - ending, endings[i]) == 0)
      return files_leave(change, "it is compressed already");
  }
  if (change->facts.st_nlink > 1 && !change->job->request.keep)
    return files_leave(change, "it has %lu names (hard links): nothing would be freed",
                       (unsigned long)change->facts.st_nlink);
  const struct files_held_one *held = files_find_held(&change->held, &change->facts);
  if (held != NULL && held->writing)
    return files_leave(change, "a process holds it open for writing");
  if (change->held.failed) return files_leave(change, "out of memory");
  int used = snprintf(squeeze->target_name, sizeof squeeze->target_name, "%s.gz", change->base);
  if (used < 0 || used > NAME_MAX) return files_leave(change, "its name is too long");
  struct stat facts;
  if (fstatat(change->parent, squeeze->target_name, &facts, AT_SYMLINK_NOFOLLOW) == 0)
    return files_leave(change, "'%s' is there already", squeeze->target_name);
  return true;
}

static bool run_squeeze(struct files_change *change, struct squeeze *squeeze) {
  squeeze->source = openat(change->parent, change->base,
                           O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (squeeze->source < 0) return files_leave_errno(change, "open");
  if (!is_unchanged(squeeze)) return false;
  if (!files_fresh_open(&squeeze->target, change->parent))
    return files_leave_errno(change, "write a compressed file beside");
  return compress_content(squeeze) && verify_content(squeeze) && put_in_place(squeeze);
}

bool files_compress_item(struct files_change *change) {
  struct squeeze *squeeze = calloc(1, sizeof *squeeze);
  if (squeeze == NULL) return files_leave(change, "out of memory");
  squeeze->change = change;
  squeeze->source = squeeze->target.fd = -1;
  bool good = is_fit(change, squeeze);
  if (good && !change->job->request.dry) {
    good = run_squeeze(change, squeeze);
    change->after = squeeze->written;
  }
  if (squeeze->source >= 0) close(squeeze->source);
  files_fresh_close(&squeeze->target);
  free(squeeze);
  return good;
}
