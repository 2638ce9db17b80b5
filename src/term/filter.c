/* Shows what must not be sent to a terminal. */
#include "filter.h"

#include <stdio.h>
#include <string.h>

struct range {
  uint32_t from, to;
};

/* Sorted. Sources: Unicode's Bidi_Control, Default_Ignorable_Code_Point without the variation
   selectors FE0E and FE0F that every emoji carries, the separators Zl and Zp, U+FFF9 to U+FFFB. */
static const struct range hidden[] = {
    {0x80, 0x9F},       {0xAD, 0xAD},       {0x34F, 0x34F},     {0x61C, 0x61C},
    {0x115F, 0x1160},   {0x17B4, 0x17B5},   {0x180B, 0x180F},   {0x200B, 0x200F},
    {0x2028, 0x202E},   {0x2060, 0x206F},   {0x2800, 0x2800},   {0x3164, 0x3164},
    {0xFDD0, 0xFDEF},   {0xFE00, 0xFE0D},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},
    {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},   {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3},
    {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}, {0xF0000, 0x10FFFF}};

bool filter_hides(uint32_t code) {
  if ((code & 0xFFFE) == 0xFFFE) return true;
  size_t low = 0, high = sizeof hidden / sizeof *hidden;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (code > hidden[middle].to) low = middle + 1;
    else if (code < hidden[middle].from) high = middle;
    else return true;
  }
  return false;
}

int utf8_next(const unsigned char *p, size_t left, uint32_t *code) {
  unsigned char c = p[0];
  *code = c;
  if (c < 0x80) return 1;
  if (c < 0xC2 || c > 0xF4) return 0;
  size_t n = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
  uint32_t value = c & (0x7Fu >> n);
  for (size_t i = 1; i < n; i++) {
    if (i >= left) return -1;
    unsigned char low = 0x80, high = 0xBF;
    if (i == 1) { /* nothing overlong, no surrogates, nothing beyond U+10FFFF */
      if (c == 0xE0) low = 0xA0;
      if (c == 0xED) high = 0x9F;
      if (c == 0xF0) low = 0x90;
      if (c == 0xF4) high = 0x8F;
    }
    if (p[i] < low || p[i] > high) return 0;
    value = value << 6 | (p[i] & 0x3Fu);
  }
  *code = value;
  return (int)n;
}

static void show_byte(unsigned char c, filter_sink sink, void *context) {
  char text[8];
  int len =
      c == '\r' ? snprintf(text, sizeof text, "\\r") : snprintf(text, sizeof text, "\\x%02x", c);
  sink(context, text, (size_t)len);
}

static void show_code(uint32_t code, filter_sink sink, void *context) {
  char text[16];
  int len = snprintf(text, sizeof text, "\\u{%x}", code);
  sink(context, text, (size_t)len);
}

/* Handles one character or byte at p. Returns how many bytes it took, 0 when more must come. */
static size_t step(const unsigned char *p, size_t left, filter_sink sink, void *context) {
  uint32_t code;
  int n = utf8_next(p, left, &code);
  if (n < 0) return 0;
  if (n == 0 || (n == 1 && ((p[0] < 0x20 && p[0] != '\n' && p[0] != '\t') || p[0] == 0x7F))) {
    show_byte(p[0], sink, context);
    return 1;
  }
  if (n > 1 && filter_hides(code)) show_code(code, sink, context);
  else sink(context, (const char *)p, (size_t)n);
  return (size_t)n;
}

static bool is_plain(unsigned char c) { return (c >= 0x20 && c < 0x7F) || c == '\n' || c == '\t'; }

void filter_feed(struct filter *f, const char *text, size_t len, filter_sink sink, void *context) {
  const unsigned char *p = (const unsigned char *)text, *end = p + len;
  while (f->held_len > 0 && p < end) {
    f->held[f->held_len++] = *p++;
    size_t took = step(f->held, f->held_len, sink, context);
    if (took == 0) continue;
    /* At most the last byte is left over: it broke what was held, and begins something itself. */
    f->held_len -= took;
    memmove(f->held, f->held + took, f->held_len);
    while (f->held_len > 0 && (took = step(f->held, f->held_len, sink, context)) > 0) {
      f->held_len -= took;
      memmove(f->held, f->held + took, f->held_len);
    }
  }
  while (p < end) {
    const unsigned char *plain = p;
    while (p < end && is_plain(*p)) p++;
    if (p > plain) sink(context, (const char *)plain, (size_t)(p - plain));
    if (p >= end) break;
    size_t took = step(p, (size_t)(end - p), sink, context);
    if (took == 0) {
      f->held_len = (size_t)(end - p);
      memcpy(f->held, p, f->held_len);
      break;
    }
    p += took;
  }
}

void filter_flush(struct filter *f, filter_sink sink, void *context) {
  for (size_t i = 0; i < f->held_len; i++) show_byte(f->held[i], sink, context);
  f->held_len = 0;
}
