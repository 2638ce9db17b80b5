/* The bytes of a log file: plain, gzip (several members too) or zstd, by its first bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "logs_internal.h"

enum { CHUNK = 256 * 1024, GZIP_WINDOW = 15 + 16 };

enum kind { PLAIN, GZIP, ZSTD };

struct logs_stream {
  int fd;
  enum kind kind;
  unsigned char *in; /* compressed bytes */
  size_t in_len, in_at;
  bool ended;        /* of the compressed file */
  bool between;      /* gzip, zstd: at the end of a member */
  z_stream gzip;
  ZSTD_DStream *zstd;
};

static ssize_t read_some(int fd, void *buffer, size_t room) {
  ssize_t got;
  while ((got = read(fd, buffer, room)) < 0 && errno == EINTR) continue;
  return got;
}

void logs_stream_close(struct logs_stream *stream) {
  if (stream == NULL) return;
  if (stream->kind == GZIP) inflateEnd(&stream->gzip);
  if (stream->kind == ZSTD) ZSTD_freeDStream(stream->zstd);
  if (stream->fd >= 0) close(stream->fd);
  free(stream->in);
  free(stream);
}

/* What the first bytes say. NULL when they can be read; *kind. */
static const char *look_at_head(int fd, enum kind *kind) {
  unsigned char head[6] = {0};
  *kind = PLAIN;
  ssize_t got = pread(fd, head, sizeof head, 0);
  if (got < 0) return strerror(errno);
  if (memcmp(head, "\x1f\x8b", 2) == 0) *kind = GZIP;
  else if (memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0) *kind = ZSTD;
  else if (memcmp(head, "\xfd" "7zXZ", 5) == 0) return "xz is not read: gzip and zstd are";
  else if (memcmp(head, "BZh", 3) == 0) return "bzip2 is not read: gzip and zstd are";
  return NULL;
}

struct logs_stream *logs_stream_open(const char *path, const char **why) {
  struct logs_stream *stream = calloc(1, sizeof *stream);
  *why = "out of memory";
  if (stream == NULL) return NULL;
  stream->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  struct stat facts;
  if (stream->fd < 0 || fstat(stream->fd, &facts) != 0) {
    *why = strerror(errno);
  } else if (!S_ISREG(facts.st_mode)) {
    *why = "it is no regular file";
  } else {
    enum kind kind;
    const char *wrong = look_at_head(stream->fd, &kind);
    bool good = wrong == NULL;
    if (good && kind != PLAIN) good = (stream->in = malloc(CHUNK)) != NULL;
    if (good && kind == GZIP) good = inflateInit2(&stream->gzip, GZIP_WINDOW) == Z_OK;
    if (good && kind == ZSTD) good = (stream->zstd = ZSTD_createDStream()) != NULL;
    if (good) {
      stream->kind = kind;
      stream->between = true;
      posix_fadvise(stream->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
      return stream;
    }
    if (wrong != NULL) *why = wrong;
  }
  logs_stream_close(stream);
  return NULL;
}

/* More compressed bytes. False: the file cannot be read. */
static bool fill(struct logs_stream *stream, const char **why) {
  if (stream->in_at < stream->in_len || stream->ended) return true;
  ssize_t got = read_some(stream->fd, stream->in, CHUNK);
  if (got < 0) {
    *why = strerror(errno);
    return false;
  }
  stream->in_at = 0;
  stream->in_len = (size_t)got;
  stream->ended = got == 0;
  return true;
}

/* One round of inflate. Returns bytes made, or -1. */
static ssize_t inflate_some(struct logs_stream *stream, char *buffer, size_t room,
                            const char **why) {
  z_stream *gzip = &stream->gzip;
  if (stream->between && stream->in_len > 0 && inflateReset(gzip) != Z_OK) return -1;
  stream->between = false;
  gzip->next_in = stream->in + stream->in_at;
  gzip->avail_in = (uInt)(stream->in_len - stream->in_at);
  gzip->next_out = (unsigned char *)buffer;
  gzip->avail_out = (uInt)room;
  int state = inflate(gzip, Z_NO_FLUSH);
  stream->in_at = stream->in_len - gzip->avail_in;
  if (state == Z_STREAM_END) stream->between = true;
  else if (state != Z_OK && state != Z_BUF_ERROR) {
    *why = "its gzip data is damaged";
    return -1;
  }
  return (ssize_t)(room - gzip->avail_out);
}

static ssize_t zstd_some(struct logs_stream *stream, char *buffer, size_t room, const char **why) {
  ZSTD_inBuffer in = {stream->in, stream->in_len, stream->in_at};
  ZSTD_outBuffer out = {buffer, room, 0};
  size_t state = ZSTD_decompressStream(stream->zstd, &out, &in);
  stream->in_at = in.pos;
  if (ZSTD_isError(state)) {
    *why = "its zstd data is damaged";
    return -1;
  }
  stream->between = state == 0;
  return (ssize_t)out.pos;
}

ssize_t logs_stream_read(struct logs_stream *stream, char *buffer, size_t room, const char **why) {
  if (stream->kind == PLAIN) {
    ssize_t got = read_some(stream->fd, buffer, room);
    if (got < 0) *why = strerror(errno);
    return got;
  }
  if (room > UINT32_MAX) room = UINT32_MAX;
  for (;;) {
    if (!fill(stream, why)) return -1;
    if (stream->ended && stream->between) return 0;
    bool ended = stream->ended;
    ssize_t made = stream->kind == GZIP ? inflate_some(stream, buffer, room, why)
                                        : zstd_some(stream, buffer, room, why);
    if (made != 0) return made;
    if (ended && !stream->between) {
      *why = "it ends in the middle of its compressed data";
      return -1;
    }
  }
}
