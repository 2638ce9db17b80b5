/* A file as the body of a request. Disk reads are short and happen on the loop. */
#include "http_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool refuse(struct http_op *http, const char *path, const char *why) {
  op_fail(&http->op, OP_NOT_SENT, "file", "cannot send '%.400s': %s", path, why);
  return false;
}

static const char *reason_of(int number) {
  switch (number) {
    case ENOENT: return "there is no such file";
    case EACCES: return "it may not be read";
    case ELOOP: return "too many links";
    default: return strerrordesc_np(number);
  }
}

bool http_file_open(struct http_op *http, struct http_bytes path) {
  char name[4096];
  if (path.len == 0 || path.len >= sizeof name || memchr(path.data, '\0', path.len) != NULL)
    return refuse(http, "", "this is no path");
  memcpy(name, path.data, path.len);
  name[path.len] = '\0';
  struct stat facts;
  http->file = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (http->file < 0 || fstat(http->file, &facts) != 0) return refuse(http, name, reason_of(errno));
  if (!S_ISREG(facts.st_mode)) return refuse(http, name, "it is no regular file");
  http->file_left = facts.st_size;
  return true;
}

/* As many bytes as were announced: what is appended meanwhile stays, what is cut off fails. */
static size_t on_read(char *room, size_t unit, size_t count, void *data) {
  struct http_op *http = data;
  size_t len = unit * count;
  if ((curl_off_t)len > http->file_left) len = (size_t)http->file_left;
  if (len == 0) return 0;
  ssize_t got = read(http->file, room, len);
  if (got <= 0) {
    http->file_short = true;
    return CURL_READFUNC_ABORT;
  }
  http->file_left -= got;
  return (size_t)got;
}

bool http_file_send(struct http_op *http) {
  CURL *easy = http->easy;
  return curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, http->file_left) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_READDATA, http) == CURLE_OK;
}

void http_file_close(struct http_op *http) {
  if (http->file >= 0) close(http->file);
  http->file = -1;
}
