/* The forms in which a secret's value may appear in a text. Pure: no registry, no output. */
#ifndef OPSRUN_TERM_MASK_FORMS_H
#define OPSRUN_TERM_MASK_FORMS_H

#include <stdbool.h>
#include <stddef.h>

/* Where forms go. `text` is the callee's to copy; false means out of memory and ends the walk. */
struct form_sink {
  bool (*take)(void *context, const char *text, size_t len);
  void *context;
  size_t shortest; /* forms below this many bytes are not handed on */
};

/* Hands every form of the value to the sink: raw, trimmed, base64 at three shifts in both alphabets
   (and wrapped), hex, percent and form encoding, JSON, XML, SQL, shell, C, line ends, the lines of
   a multi-line value, the secret leaves of a URL or connection string. Duplicates are possible.
   Returns false when out of memory. */
bool forms_of(const char *value, size_t len, const struct form_sink *sink);

/* One escaped form of a JSON string's inside, for quoted short values. */
bool forms_json_string(const char *value, size_t len, const struct form_sink *sink);

#endif
