/* Messages to stderr. Used before and after Lua lives, so it depends on nothing. Arguments of the
   command line are quoted in them: bytes that could steer a terminal are written as \xNN. */
#include "msg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_CAP 4096

struct line {
  char bytes[LINE_CAP];
  size_t used;
};

static void add(struct line *line, const char *bytes, size_t len) {
  if (len > LINE_CAP - line->used) len = LINE_CAP - line->used;
  memcpy(line->bytes + line->used, bytes, len);
  line->used += len;
}

/* Length of the printable UTF-8 sequence at `text`, or 0 if its first byte has to be shown as \xNN:
   controls, invalid sequences, C1, and the blocks with bidirectional and invisible characters. */
static size_t printable_length(const unsigned char *text) {
  if (text[0] < 0x80) return text[0] >= 0x20 && text[0] != 0x7f;
  size_t len = text[0] >= 0xc2 && text[0] < 0xe0 ? 2 : (text[0] & 0xf0) == 0xe0 ? 3 : 0;
  if ((text[0] & 0xf8) == 0xf0 && text[0] <= 0xf4) len = 4;
  for (size_t i = 1; i < len; i++)
    if ((text[i] & 0xc0) != 0x80) return 0;
  if (len == 2 && text[0] == 0xc2 && text[1] < 0xa0) return 0;
  if (len == 2 && text[0] == 0xd8 && text[1] == 0x9c) return 0;
  if (len == 3 && text[0] == 0xe0 && text[1] < 0xa0) return 0;
  if (len == 3 && text[0] == 0xed && text[1] >= 0xa0) return 0;
  if (len == 3 && text[0] == 0xe2 && (text[1] == 0x80 || text[1] == 0x81)) {
    /* U+2000 to U+207F: only plain punctuation passes (dashes, quotes, ellipsis). */
    return text[1] == 0x80 && text[2] >= 0x90 && text[2] <= 0xa7 ? 3 : 0;
  }
  if (len == 3 && text[0] == 0xef && text[1] == 0xbb && text[2] == 0xbf) return 0;
  if (len == 4 && (text[0] == 0xf3 || (text[0] == 0xf0 && text[1] < 0x90))) return 0;
  if (len == 4 && text[0] == 0xf4 && text[1] > 0x8f) return 0;
  return len;
}

static void add_text(struct line *line, const char *text) {
  const unsigned char *at = (const unsigned char *)text;
  while (*at != '\0') {
    size_t len = printable_length(at);
    if (len > 0) {
      add(line, (const char *)at, len);
      at += len;
    } else if (*at == '\n') {
      add(line, "\n  ", 3);
      at++;
    } else {
      char shown[5];
      snprintf(shown, sizeof shown, "\\x%02x", *at++);
      add(line, shown, 4);
    }
  }
}

static void write_all(const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t wrote = write(STDERR_FILENO, bytes, len);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;
    bytes += wrote;
    len -= (size_t)wrote;
  }
}

static void message(const char *kind, const char *text, const char *hint) {
  struct line line = {.used = 0};
  add(&line, "opsrun: ", 8);
  add(&line, kind, strlen(kind));
  add_text(&line, text);
  add(&line, "\n", 1);
  if (hint != NULL) {
    add(&line, "  ", 2);
    add_text(&line, hint);
    add(&line, "\n", 1);
  }
  line.bytes[line.used - 1] = '\n'; /* also when it was cut */
  write_all(line.bytes, line.used);
}

void msg_error(const char *text, const char *hint) { message("", text, hint); }
void msg_warn(const char *text, const char *hint) { message("warning: ", text, hint); }
void msg_note(const char *text, const char *hint) { message("note: ", text, hint); }

void msg_errorf(const char *hint, const char *fmt, ...) {
  char text[1024];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  msg_error(text, hint);
}
