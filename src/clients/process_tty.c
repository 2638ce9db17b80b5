/* A terminal for a command that insists on one: a pair of our own, nobody's screen. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "process_internal.h"

static bool set_up(int terminal) {
  struct termios modes;
  const struct winsize size = {.ws_row = 24, .ws_col = 80};
  if (tcgetattr(terminal, &modes) != 0) return false;
  modes.c_oflag &= ~(tcflag_t)OPOST; /* the bytes as they were written */
  modes.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
  return tcsetattr(terminal, TCSANOW, &modes) == 0 && ioctl(terminal, TIOCSWINSZ, &size) == 0;
}

bool process_open_terminal(int *ours, int *theirs) {
  char path[64];
  int theirs_fd = -1;
  int ours_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ours_fd < 0) return false;
  if (grantpt(ours_fd) == 0 && unlockpt(ours_fd) == 0 &&
      ptsname_r(ours_fd, path, sizeof path) == 0)
    theirs_fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (theirs_fd < 0 || !set_up(theirs_fd) || fcntl(ours_fd, F_SETFL, O_NONBLOCK) != 0) {
    int saved = errno;
    if (theirs_fd >= 0) close(theirs_fd);
    close(ours_fd);
    errno = saved;
    return false;
  }
  *ours = ours_fd;
  *theirs = theirs_fd;
  return true;
}
