/* Questions to the person at the terminal, as pending operations. What was typed before the
 * question never answers it: it is thrown away, then the question's last line is written, then the
 * answer is read. Off a terminal, at the end of input and on time-out there is no answer: the
 * operation fails with code "eof", "timeout" or "cancelled". */
#ifndef OPSRUN_TERM_PROMPT_H
#define OPSRUN_TERM_PROMPT_H

#include <stddef.h>
#include <stdint.h>

#include "../loop/op.h"

enum prompt_kind {
  PROMPT_YES_NO, /* yes, y, no, n and Enter; Enter alone is no; anything else is asked again */
  PROMPT_LINE,   /* the line as typed */
  PROMPT_HIDDEN, /* the same without echo */
  PROMPT_CHOICE  /* a number from 1 to count; anything else is asked again */
};

/* Starts it. `question` (or NULL) is written once typed-ahead input is gone. timeout_ms 0: waits
   for ever; otherwise the operation fails by itself with "timeout". count: for a choice. Never NULL
   for any reason but memory. One question at a time: a second one fails with "busy". */
struct op *prompt_start(enum prompt_kind kind, const char *question, size_t question_len,
                        unsigned count, uint64_t timeout_ms);

/* Words, apart by spaces and at most 63 bytes, that are no answer and end the question all the
   same, such as "? d note". Of a question of yes or no that was just started. */
void prompt_allow(struct op *op, const char *words);

/* Of a finished one: the allowed word that ended it, or NULL. */
const char *prompt_word(const struct op *op);

/* Of a finished one. */
enum prompt_kind prompt_kind_of(const struct op *op);
long prompt_number(const struct op *op); /* yes 1, no 0; choice from 1 */
const char *prompt_text(const struct op *op, size_t *len);

#endif
