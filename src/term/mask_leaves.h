/* The parts of a value that are secret by themselves. */
#ifndef OPSRUN_TERM_MASK_LEAVES_H
#define OPSRUN_TERM_MASK_LEAVES_H

#include "mask_forms.h"

/* Longer values are files: taken whole and line by line, but not as connection strings. */
enum { MASK_LEAF_MAX = 65536 };

/* The value trimmed, with other line ends, unescaped; the password, query secrets and secret path
   of a URL, the password of a keyword connection string, as written and decoded. */
bool leaves_values(const char *value, size_t len, const struct form_sink *sink);

/* The lines of a value that has several, trimmed. Lines of one repeated character and the armour
   lines of PEM are nobody's secret. */
bool leaves_lines(const char *value, size_t len, const struct form_sink *sink);

#endif
