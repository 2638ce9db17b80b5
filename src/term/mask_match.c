/* The multi-pattern search of the masking writer. */
#include "mask_match.h"

#include <stdlib.h>
#include <string.h>

enum { GROUP = 3, WINDOW_MAX = 8, SLOTS = 1 << 16 };

struct matcher {
  struct pattern *patterns; /* sorted by text, so that prefixes are found by bisection */
  size_t count;
  size_t window; /* how many first bytes of a pattern the tables know */
  size_t longest;
  uint8_t shift[SLOTS]; /* how far the window may move; 0: a pattern may end its window here */
  uint32_t head[SLOTS]; /* pattern number + 1, longest first */
  uint32_t *next;
  uint8_t pairs[SLOTS / 8]; /* bit set: a pattern begins with these two bytes */
};

static uint32_t slot_of(const unsigned char *p) {
  uint32_t group = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
  return (group * 2654435761u) >> 16;
}

static int compare(const char *a, size_t a_len, const char *b, size_t b_len) {
  int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
  if (order != 0) return order;
  return a_len < b_len ? -1 : a_len > b_len ? 1 : 0;
}

static int compare_patterns(const void *one, const void *two) {
  const struct pattern *a = one, *b = two;
  int order = compare(a->text, a->len, b->text, b->len);
  if (order != 0) return order;
  return a->owner < b->owner ? -1 : a->owner > b->owner ? 1 : 0;
}

static void wipe(struct pattern *p) {
  if (p->text == NULL) return;
  explicit_bzero(p->text, p->len);
  free(p->text);
  p->text = NULL;
}

static size_t drop_equal(struct pattern *patterns, size_t count) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (kept > 0 && compare(patterns[kept - 1].text, patterns[kept - 1].len, patterns[i].text,
                            patterns[i].len) == 0)
      wipe(&patterns[i]);
    else patterns[kept++] = patterns[i];
  }
  return kept;
}

static void index_pattern(struct matcher *m, uint32_t number) {
  const unsigned char *text = (const unsigned char *)m->patterns[number].text;
  for (size_t end = GROUP; end <= m->window; end++) {
    uint32_t slot = slot_of(text + end - GROUP);
    uint8_t distance = (uint8_t)(m->window - end);
    if (distance < m->shift[slot]) m->shift[slot] = distance;
  }
  unsigned pair = (unsigned)text[0] << 8 | text[1];
  m->pairs[pair / 8] = (uint8_t)(m->pairs[pair / 8] | 1u << pair % 8);
  uint32_t *link = &m->head[slot_of(text + m->window - GROUP)];
  while (*link != 0 && m->patterns[*link - 1].len > m->patterns[number].len)
    link = &m->next[*link - 1];
  m->next[number] = *link;
  *link = number + 1;
}

struct matcher *matcher_make(struct pattern *patterns, size_t count) {
  struct matcher *m = calloc(1, sizeof *m);
  uint32_t *next = count > 0 && count < UINT32_MAX ? calloc(count, sizeof *next) : NULL;
  if (m == NULL || next == NULL) {
    free(m);
    free(next);
    return NULL;
  }
  qsort(patterns, count, sizeof *patterns, compare_patterns);
  m->count = drop_equal(patterns, count);
  m->patterns = patterns;
  m->next = next;
  m->window = WINDOW_MAX;
  for (size_t i = 0; i < m->count; i++) {
    if (patterns[i].len < m->window) m->window = patterns[i].len;
    if (patterns[i].len > m->longest) m->longest = patterns[i].len;
  }
  memset(m->shift, (int)(m->window - GROUP + 1), sizeof m->shift);
  for (size_t i = 0; i < m->count; i++) index_pattern(m, (uint32_t)i);
  return m;
}

void matcher_free(struct matcher *m) {
  if (m == NULL) return;
  for (size_t i = 0; i < m->count; i++) wipe(&m->patterns[i]);
  free(m->patterns);
  free(m->next);
  explicit_bzero(m, sizeof *m);
  free(m);
}

const struct pattern *matcher_find(const struct matcher *m, const char *text, size_t len,
                                   size_t from, size_t *at) {
  const unsigned char *bytes = (const unsigned char *)text;
  size_t end = from + m->window; /* behind the window */
  while (end <= len) {
    uint32_t slot = slot_of(bytes + end - GROUP);
    if (m->shift[slot] != 0) {
      end += m->shift[slot];
      continue;
    }
    size_t begin = end - m->window;
    for (uint32_t n = m->head[slot]; n != 0; n = m->next[n - 1]) {
      const struct pattern *p = &m->patterns[n - 1];
      if (p->len <= len - begin && memcmp(p->text, text + begin, p->len) == 0) {
        *at = begin;
        return p;
      }
    }
    end++;
  }
  return NULL;
}

/* Does a pattern begin with this text and go on beyond it? */
static bool goes_on(const struct matcher *m, const char *text, size_t len) {
  size_t low = 0, high = m->count; /* the first pattern that sorts behind the text */
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare(m->patterns[middle].text, m->patterns[middle].len, text, len) <= 0)
      low = middle + 1;
    else high = middle;
  }
  return low < m->count && m->patterns[low].len > len &&
         memcmp(m->patterns[low].text, text, len) == 0;
}

size_t matcher_pending(const struct matcher *m, const char *text, size_t len) {
  size_t start = len < m->longest ? 0 : len - (m->longest - 1);
  for (; start < len; start++) {
    if (start + 1 < len) {
      unsigned pair = (unsigned)(unsigned char)text[start] << 8 | (unsigned char)text[start + 1];
      if ((m->pairs[pair / 8] & (1u << pair % 8)) == 0) continue;
    }
    if (goes_on(m, text + start, len - start)) return start;
  }
  return len;
}
