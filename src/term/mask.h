/* The one masking writer: every text that leaves (terminal, journal, report, notify) passes here,
 * and every form of every registered secret becomes ‹secret:NAME›.
 *
 * The longest form that begins first wins; forms that overlap it are swallowed with it, so no tail
 * of a second secret stays. Values below MASK_MIN bytes are refused, or with MASK_ALLOW_SHORT
 * masked where they are a whole field: a quoted string, or all of mask_field's text. */
#ifndef OPSRUN_TERM_MASK_H
#define OPSRUN_TERM_MASK_H

#include <stdbool.h>
#include <stddef.h>

enum { MASK_MIN = 8, MASK_VALUE_MAX = 1 << 16 };
enum mask_flags { MASK_PLAIN = 0, MASK_ALLOW_SHORT = 1 };

/* Registers a secret; its bytes are copied. A second value under the same name is a second secret.
   Returns 0, or -1 with a reason in `why` (too short, empty, too long, out of memory). */
int mask_add(const char *name, const char *value, size_t len, unsigned flags, char *why,
             size_t why_size);

size_t mask_count(void);
const char *mask_name(size_t index);

/* The text with every secret masked, NUL-terminated, to be freed by the caller; its length in
 *out_len and how many places were masked in *hits (either may be NULL). NULL: out of memory. */
char *mask_text(const char *text, size_t len, size_t *out_len, size_t *hits);

/* The same for a text that is one whole value: a short secret that fills it is masked too. */
char *mask_field(const char *text, size_t len, size_t *out_len);

/* Masking across chunks. Bytes that may be the begin of a secret are held back until the next feed
   or the flush. Only the sink sees bytes; it must not feed the same stream. */
struct mask_stream {
  void (*sink)(void *context, const char *text, size_t len);
  void *context;
  char *held;
  size_t held_len;
  size_t covered; /* so many bytes of `held` belong to a secret already written as its name */
};

void mask_stream_open(struct mask_stream *stream,
                      void (*sink)(void *context, const char *text, size_t len), void *context);

/* Return 0, or -1 when out of memory: then nothing of this chunk was written. */
int mask_stream_feed(struct mask_stream *stream, const char *text, size_t len);
int mask_stream_flush(struct mask_stream *stream);

/* Zeroes and frees what is held. */
void mask_stream_close(struct mask_stream *stream);

/* Forgets every secret, zeroing our copies. For tests and the end of the process. */
void mask_clear(void);

#endif
