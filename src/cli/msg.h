/* Messages of the C side. One line "opsrun: text" on stderr, and the hint, if there is one, on a
   line of its own. Bytes of the text that could steer a terminal are shown, never sent. */
#ifndef OPSRUN_MSG_H
#define OPSRUN_MSG_H

/* `hint` may be NULL: what to try. Never fails; what cannot be written is lost. */
void msg_error(const char *text, const char *hint);
void msg_warn(const char *text, const char *hint);
void msg_note(const char *text, const char *hint);

/* The same with printf's format and no allocation: text longer than 1 KiB is cut. */
void msg_errorf(const char *hint, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
