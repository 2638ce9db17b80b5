/* The terminal's modes: taken for a question, given back on every way out. */
#ifndef OPSRUN_TERM_TTY_H
#define OPSRUN_TERM_TTY_H

#include <stdbool.h>

/* Puts standard input's terminal into line mode, with echo or without, and throws away what was
   typed before. Returns 0, or an errno value. tty_leave must follow. While it is in force, a signal
   that stops or ends the process restores the terminal first. */
int tty_enter(bool echo);

/* As it was before tty_enter. Safe in a signal handler, and when there was no tty_enter. */
void tty_leave(void);

/* Throws away what was typed and not read. */
void tty_drain(void);

#endif
