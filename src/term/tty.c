/* Terminal modes and the signals that would leave them behind. */
#include "tty.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "../loop/signals.h"

static struct termios before, during;
static volatile sig_atomic_t entered;

/* Those that end or stop a process and that nobody else handles: SIGINT, SIGTERM and SIGHUP end the
   question through the loop. */
static const int numbers[] = {SIGTSTP, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU,
                              SIGABRT, SIGSEGV, SIGBUS,  SIGILL,  SIGFPE};
enum { SIGNALS = sizeof numbers / sizeof *numbers };
static struct sigaction old_actions[SIGNALS];
static bool caught[SIGNALS];

static void set_modes(const struct termios *modes) {
  /* A background process that sets modes is stopped by SIGTTOU; giving back must not be. */
  sigset_t block, old;
  sigemptyset(&block);
  sigaddset(&block, SIGTTOU);
  sigprocmask(SIG_BLOCK, &block, &old);
  while (tcsetattr(STDIN_FILENO, TCSADRAIN, modes) != 0 && errno == EINTR) continue;
  sigprocmask(SIG_SETMASK, &old, NULL);
}

static void on_signal(int number) {
  int saved = errno;
  if (entered) set_modes(&before);
  struct sigaction plain = {.sa_handler = SIG_DFL}, mine;
  sigemptyset(&plain.sa_mask);
  sigaction(number, &plain, &mine);
  sigset_t only, old;
  sigemptyset(&only);
  sigaddset(&only, number);
  raise(number);
  sigprocmask(SIG_UNBLOCK, &only, &old); /* ends or stops here */
  sigprocmask(SIG_SETMASK, &old, NULL);
  sigaction(number, &mine, NULL); /* continued */
  if (entered) {
    tcflush(STDIN_FILENO, TCIFLUSH); /* what the shell was meant to get is no answer */
    set_modes(&during);
  }
  errno = saved;
}

static void catch_signals(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < SIGNALS; i++) {
    caught[i] = sigaction(numbers[i], NULL, &old_actions[i]) == 0 &&
                (old_actions[i].sa_flags & SA_SIGINFO) == 0 &&
                old_actions[i].sa_handler == SIG_DFL && sigaction(numbers[i], &action, NULL) == 0;
  }
}

static void release_signals(void) {
  for (int i = 0; i < SIGNALS; i++)
    if (caught[i]) sigaction(numbers[i], &old_actions[i], NULL);
}

static void last_words(void) {
  if (entered) set_modes(&before);
}

int tty_enter(bool echo) {
  static bool registered;
  if (entered) tty_leave();
  if (tcgetattr(STDIN_FILENO, &before) != 0) return errno;
  if (!registered) {
    registered = true;
    atexit(last_words);
    signals_set_last_words(last_words);
  }
  during = before;
  /* Whatever left the terminal raw: a question is answered by a line that can be mended. */
  during.c_lflag |= ICANON | ISIG | ECHOE | ECHOK;
  during.c_iflag |= ICRNL;
  during.c_iflag &= ~(tcflag_t)(INLCR | IGNCR);
  if (echo) during.c_lflag |= ECHO;
  else during.c_lflag = (during.c_lflag & ~(tcflag_t)ECHO) | ECHONL;
  catch_signals();
  entered = 1;
  set_modes(&during);
  tty_drain();
  return 0;
}

void tty_leave(void) {
  if (!entered) return;
  set_modes(&before);
  entered = 0;
  release_signals();
}

void tty_drain(void) { tcflush(STDIN_FILENO, TCIFLUSH); }
