/* The system's error texts in the form our messages have: no capital. */
#ifndef OPSRUN_TERM_ERRTEXT_H
#define OPSRUN_TERM_ERRTEXT_H

/* The text of an errno value, e.g. "permission denied"; valid until the next call. */
const char *error_text(int number);

#endif
