/* The answer of a client as JSON text, built by the thread that found it: whoever waits decodes it
   in one go. Commas are put where they belong; a failed allocation is remembered, not reported. */
#ifndef OPSRUN_ANSWER_H
#define OPSRUN_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answer {
  char *data; /* owned; free with answer_drop */
  size_t len, capacity;
  bool comma;  /* the next value needs one before it */
  bool failed; /* out of memory: the text is of no use */
};

/* Bytes as they are, without a comma: for an answer that is no JSON. */
void answer_bytes(struct answer *answer, const void *bytes, size_t len);

/* '{' or '[', and their ends. */
void answer_open(struct answer *answer, char bracket);
void answer_close(struct answer *answer, char bracket);

/* The name of the next value. */
void answer_key(struct answer *answer, const char *name);

/* Values. A string's bytes need be no UTF-8 and may hold anything. A number must be finite. */
void answer_string(struct answer *answer, const char *text, size_t len);
void answer_text(struct answer *answer, const char *text);
void answer_integer(struct answer *answer, int64_t value);
void answer_number(struct answer *answer, double value);
void answer_boolean(struct answer *answer, bool value);

/* Name and value in one. */
void answer_field_text(struct answer *answer, const char *name, const char *text);
void answer_field_integer(struct answer *answer, const char *name, int64_t value);
void answer_field_number(struct answer *answer, const char *name, double value);
void answer_field_boolean(struct answer *answer, const char *name, bool value);

/* Frees the text. */
void answer_drop(struct answer *answer);

#endif
