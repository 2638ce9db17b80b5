/* Last words: past masking and filter, which may be what is stuck. So the text is the program's own. */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "../loop/signals.h"
#include "term.h"

void term_last_words(const char *text, const char *hint) {
  char all[1024];
  signals_say_last_words(); /* the terminal's modes */
  int len = snprintf(all, sizeof all, "%sopsrun: %s\n%s%s%s", isatty(STDERR_FILENO) ? "\n" : "",
                     text, hint[0] != '\0' ? "  " : "", hint, hint[0] != '\0' ? "\n" : "");
  if (len <= 0) return;
  size_t size = (size_t)len < sizeof all ? (size_t)len : sizeof all - 1;
  struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
  if (poll(&ready, 1, 100) != 1) return; /* a terminal that was stopped must not keep us */
  ssize_t ignored = write(STDERR_FILENO, all, size);
  (void)ignored;
}
