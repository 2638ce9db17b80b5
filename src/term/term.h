/* The one way to the terminal: text -> masking -> filter -> descriptor, with our own styles around.
 * Also what the terminal is, and the status line. */
#ifndef OPSRUN_TERM_TERM_H
#define OPSRUN_TERM_TERM_H

#include <stdbool.h>
#include <stddef.h>

enum term_stream { TERM_OUT, TERM_ERR };
enum term_colour { TERM_AUTO, TERM_ALWAYS, TERM_NEVER };

/* Writes text in a style: words of "bold dim italic underline reverse black red green yellow blue
   magenta cyan white", or NULL. The style shows only where colour is on. Text that may be the begin
   of a secret is held back until more text of that stream, a line end or term_flush comes. Never
   fails: a stream that cannot be written is given up, and said so once on the other one. */
void term_write(enum term_stream stream, const char *style, const char *text, size_t len);

/* Is every word of the style known? */
bool term_is_style(const char *style);

/* Writes what is held back. Called by the prompts, at exit, and by whoever ends a message without a
   line end. */
void term_flush(void);

/* A message of the program: "opsrun: text", the hint on a line of its own; kind "error", "warning"
   or "note". */
void term_message(const char *kind, const char *text, size_t len, const char *hint,
                  size_t hint_len);

/* "opsrun: text" and the hint ("" for none), by one write that does not wait for a reader, when the
   process is about to end itself and nothing else may be trusted. Masks and filters nothing. */
void term_last_words(const char *text, const char *hint);

/* Standard input and standard error are terminals: then there is a person to ask. */
bool term_is_terminal(void);

/* Does this stream end on a terminal? */
bool term_shows(enum term_stream stream);

/* Columns of stdout's terminal, else stderr's, else COLUMNS, else 80. height: 24. */
int term_width(void);
int term_height(void);

void term_set_colour(enum term_colour when);
bool term_has_colour(enum term_stream stream);

/* Is the terminal's character set UTF-8, as far as the locale says? Where it is not, our own signs
   (… ─ ‹ ›) are written as ASCII; other people's texts pass as they are. */
bool term_has_utf8(void);

/* For such a terminal: a sign of ours, one character, as ASCII and as wide as it was; other
   characters as they are. Changes *len. */
const char *term_ascii(const char *text, size_t *len);

/* One line at the bottom that says what goes on, with a spinner; only on a terminal. `elapsed`, at
   most 40 bytes, stands behind the text and is never cut. NULL or empty text: no more. The line
   goes before any other output and comes back on the next line. Needs the loop. */
void term_status(const char *text, size_t len, const char *elapsed);

/* The prompts tell what is on the screen: whether the cursor is at the beginning of a line. */
void term_note_newline(bool at_start);

/* Columns that the text takes when shown through the filter (its widest line); tabs go to the next
   multiple of 8. */
int term_display_width(const char *text, size_t len);

/* How many bytes of a filtered text fit into so many columns: whole characters. */
size_t term_fit(const char *text, size_t len, int columns);

#endif
