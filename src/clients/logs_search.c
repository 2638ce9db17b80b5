/* Finding bytes and counting lines, sixteen bytes at a time. */
#include <string.h>

#include "logs_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>

/* Places where both the first and the last byte of the needle fit are looked at more closely. */
const char *logs_find(const char *from, const char *end, const char *needle, size_t len) {
  if ((size_t)(end - from) < len) return NULL;
  const char *last_start = end - len; /* the last place where it could begin */
  __m128i first = _mm_set1_epi8(needle[0]), last = _mm_set1_epi8(needle[len - 1]);
  while (last_start - from >= 15) {
    __m128i heads = _mm_loadu_si128((const __m128i *)(const void *)from);
    __m128i tails = _mm_loadu_si128((const __m128i *)(const void *)(from + len - 1));
    __m128i both = _mm_and_si128(_mm_cmpeq_epi8(heads, first), _mm_cmpeq_epi8(tails, last));
    unsigned mask = (unsigned)_mm_movemask_epi8(both);
    while (mask != 0) {
      const char *place = from + __builtin_ctz(mask);
      if (memcmp(place, needle, len) == 0) return place;
      mask &= mask - 1;
    }
    from += 16;
  }
  for (; from <= last_start; from++)
    if (*from == needle[0] && memcmp(from, needle, len) == 0) return from;
  return NULL;
}

int64_t logs_count_lines(const char *from, const char *end) {
  int64_t count = 0;
  __m128i wanted = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();
  while (end - from >= 16) {
    __m128i sums = zero; /* each byte counts up to 255 blocks */
    for (int i = 0; i < 255 && end - from >= 16; i++, from += 16) {
      __m128i block = _mm_loadu_si128((const __m128i *)(const void *)from);
      sums = _mm_sub_epi8(sums, _mm_cmpeq_epi8(block, wanted));
    }
    __m128i total = _mm_sad_epu8(sums, zero);
    count += _mm_cvtsi128_si64(total) + _mm_cvtsi128_si64(_mm_unpackhi_epi64(total, total));
  }
  for (; from < end; from++) count += *from == '\n';
  return count;
}
#else
const char *logs_find(const char *from, const char *end, const char *needle, size_t len) {
  return memmem(from, (size_t)(end - from), needle, len);
}

int64_t logs_count_lines(const char *from, const char *end) {
  int64_t count = 0;
  for (; from < end; from++) count += *from == '\n';
  return count;
}
#endif
