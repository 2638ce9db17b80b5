/* Messages of the C side: everything goes through term's one writer, so that arguments quoted in a
 * message are masked and cannot steer the terminal. */
#include "msg.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../term/term.h"

static void message(const char *kind, const char *text, const char *hint) {
  term_message(kind, text, strlen(text), hint, hint == NULL ? 0 : strlen(hint));
  term_flush();
}

void msg_error(const char *text, const char *hint) { message("error", text, hint); }
void msg_warn(const char *text, const char *hint) { message("warning", text, hint); }
void msg_note(const char *text, const char *hint) { message("note", text, hint); }

void msg_errorf(const char *hint, const char *fmt, ...) {
  char text[1024];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  msg_error(text, hint);
}
