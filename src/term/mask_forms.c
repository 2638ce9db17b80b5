/* How a value looks after other programs have written it: encoders and escapers. */
#include "mask_forms.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "mask_leaves.h"

/* The longest single-byte escape is "\\u00xx" twice escaped or "&quot;". */
enum { ESCAPE_MAX = 8 };

struct text {
  char *data;
  size_t len;
};

static bool hand_on(const struct form_sink *sink, struct text *t) {
  bool good = t->len < sink->shortest || sink->take(sink->context, t->data, t->len);
  explicit_bzero(t->data, t->len);
  free(t->data);
  return good;
}

static bool open_text(struct text *t, size_t room) {
  t->len = 0;
  t->data = malloc(room + 1);
  return t->data != NULL;
}

static void put(struct text *t, const char *bytes, size_t len) {
  memcpy(t->data + t->len, bytes, len);
  t->len += len;
}

/* --- base64 and hex ------------------------------------------------------------------------ */

static const char base64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The characters that depend on the value alone when `shift` other bytes stand before it: edges
   that share bits with neighbours, and the padding, are left out. */
static bool base64_stable(const char *value, size_t len, unsigned shift, const char *alphabet,
                          struct text *t) {
  if (!open_text(t, len * 4 / 3 + 4)) return false;
  size_t first = (shift * 8 + 5) / 6, last = ((shift + len) * 8) / 6; /* whole characters */
  for (size_t i = first; i < last; i++) {
    unsigned bits = 0;
    for (unsigned b = 0; b < 6; b++) {
      size_t bit = i * 6 + b - shift * 8;
      unsigned char byte = (unsigned char)value[bit / 8];
      bits = (bits << 1) | (((unsigned)byte >> (7 - bit % 8)) & 1u);
    }
    t->data[t->len++] = alphabet[bits];
  }
  return true;
}

/* Encoders wrap at 64 (PEM) or 76 (MIME) characters: each line is a form of its own. */
static bool base64_lines(const char *value, size_t len, size_t width,
                         const struct form_sink *sink) {
  struct text whole;
  if (!base64_stable(value, len, 0, base64_std, &whole)) return false;
  bool good = true;
  for (size_t at = 0; good && whole.len > width && at < whole.len; at += width) {
    size_t part = whole.len - at < width ? whole.len - at : width;
    if (part >= sink->shortest) good = sink->take(sink->context, whole.data + at, part);
  }
  explicit_bzero(whole.data, whole.len);
  free(whole.data);
  return good;
}

static bool base64_forms(const char *value, size_t len, const struct form_sink *sink) {
  for (unsigned shift = 0; shift < 3; shift++) {
    struct text t;
    if (!base64_stable(value, len, shift, base64_std, &t) || !hand_on(sink, &t)) return false;
    if (!base64_stable(value, len, shift, base64_url, &t) || !hand_on(sink, &t)) return false;
  }
  return base64_lines(value, len, 64, sink) && base64_lines(value, len, 76, sink);
}

static bool hex_forms(const char *value, size_t len, const struct form_sink *sink) {
  static const char *const digits[] = {"0123456789abcdef", "0123456789ABCDEF"};
  static const char *const between[] = {"", ":", " "};
  for (size_t form = 0; form < 6; form++) {
    struct text t;
    if (!open_text(&t, len * 3)) return false;
    for (size_t i = 0; i < len; i++) {
      unsigned char c = (unsigned char)value[i];
      if (i > 0) put(&t, between[form / 2], strlen(between[form / 2]));
      t.data[t.len++] = digits[form % 2][c >> 4];
      t.data[t.len++] = digits[form % 2][c & 15];
    }
    if (!hand_on(sink, &t)) return false;
  }
  return true;
}

/* --- byte by byte escapers ----------------------------------------------------------------- */

/* Writes how byte c looks into out (at most ESCAPE_MAX bytes), returns the length. */
typedef size_t (*escape)(unsigned char c, char *out, int variant);

static size_t same(unsigned char c, char *out) {
  out[0] = (char)c;
  return 1;
}

static size_t print(char *out, const char *fmt, unsigned char c) {
  char text[ESCAPE_MAX + 4];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  int len = snprintf(text, sizeof text, fmt, c);
#pragma GCC diagnostic pop
  memcpy(out, text, (size_t)len);
  return (size_t)len;
}

static size_t literal(char *out, const char *text) {
  size_t len = strlen(text);
  memcpy(out, text, len); /* NOLINT(bugprone-not-null-terminated-result): `out` has a length */
  return len;
}

static bool is_alnum(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Even variants write %XX, odd ones %xx; the sets are what common encoders leave alone. */
static size_t percent(unsigned char c, char *out, int variant) {
  static const char *const kept[] = {"-_.~", "-_.~!'()*", "-_.~/", "-_.~!$&'()*+,;=:@/?", "-_.*"};
  const char *set = kept[variant / 2];
  if (is_alnum(c) || (c != '\0' && strchr(set, c) != NULL)) return same(c, out);
  if (variant / 2 == 4 && c == ' ') return literal(out, "+");
  return print(out, variant % 2 == 0 ? "%%%02X" : "%%%02x", c);
}

enum {
  JSON_SLASH = 1,
  JSON_HTML = 2,
  JSON_UPPER = 4,
  JSON_QUOTES = 8,
  JSON_CONTROL = 16,
  JSON_OURS = 32 /* as src/lua/json_encode.c writes: \u only for what the terminal filter hides */
};

static size_t json_byte(unsigned char c, char *out, int variant) {
  const char *number = (variant & JSON_UPPER) != 0 ? "\\u%04X" : "\\u%04x";
  if ((variant & JSON_HTML) != 0 && c != '\0' && strchr("<>&", c) != NULL)
    return print(out, number, c);
  if ((variant & JSON_QUOTES) != 0 && c != '\0' && strchr("'\"+`", c) != NULL)
    return print(out, number, c);
  if (c == '/' && (variant & JSON_SLASH) != 0) return literal(out, "\\/");
  if (c == '"' || c == '\\') return print(out, "\\%c", c);
  if (c >= 0x20) return same(c, out);
  if ((variant & JSON_CONTROL) != 0) return print(out, number, c);
  switch (c) {
    case '\n': return literal(out, "\\n");
    case '\r': return literal(out, "\\r");
    case '\t': return literal(out, "\\t");
    case '\b': return literal(out, "\\b");
    case '\f': return literal(out, "\\f");
    default: return print(out, number, c);
  }
}

static size_t xml_byte(unsigned char c, char *out, int variant) {
  static const char *const quotes[] = {"\"", "&quot;", "&#34;", "&quot;", "&quot;", "&#x22;"};
  static const char *const apostrophes[] = {"'", "'", "&#39;", "&apos;", "&#x27;", "&#039;"};
  switch (c) {
    case '&': return literal(out, "&amp;");
    case '<': return literal(out, "&lt;");
    case '>': return literal(out, "&gt;");
    case '"': return literal(out, quotes[variant]);
    case '\'': return literal(out, apostrophes[variant]);
    case '\n': return variant == 3 ? literal(out, "&#10;") : same(c, out);
    case '\r': return variant == 3 ? literal(out, "&#13;") : same(c, out);
    default: return same(c, out);
  }
}

static size_t sql_byte(unsigned char c, char *out, int variant) {
  if (c == '\'' && variant != 1 && variant != 3) return literal(out, "''");
  if (c == '"' && variant == 1) return literal(out, "\"\"");
  if (c == '\'' && variant == 3) return literal(out, "\\'");
  if (c == '\\' && variant >= 2) return literal(out, "\\\\");
  return same(c, out);
}

static size_t shell_byte(unsigned char c, char *out, int variant) {
  switch (variant) {
    case 0: return c == '\'' ? literal(out, "'\\''") : same(c, out);
    case 1: return c == '\'' ? literal(out, "'\"'\"'") : same(c, out);
    case 2: return c != '\0' && strchr("\\$`\"!", c) != NULL ? print(out, "\\%c", c) : same(c, out);
    case 3: return c != '\0' && strchr("\\$`\"", c) != NULL ? print(out, "\\%c", c) : same(c, out);
    case 4: /* bash printf %q */
      if (is_alnum(c) || c >= 0x80 || (c != '\0' && strchr("_-./:=@%+", c) != NULL))
        return same(c, out);
      return print(out, "\\%c", c);
    default: /* shlex and make: $$ */ return c == '$' ? literal(out, "$$") : same(c, out);
  }
}

enum { C_HIGH_RAW = 0, C_HIGH_HEX = 1, C_HIGH_OCTAL = 2, C_HIGH_HEX_UPPER = 3, C_HIGH_DECIMAL = 4 };

/* variant = high-byte form * 4 + quotes (0 double, 1 single, 2 both, 3 none). */
static size_t c_byte(unsigned char c, char *out, int variant) {
  static const char *const numbers[] = {"\\x%02x", "\\x%02x", "\\%03o", "\\x%02X", "\\%u"};
  int high = variant / 4, quotes = variant % 4;
  switch (c) {
    case '\n': return literal(out, "\\n");
    case '\r': return literal(out, "\\r");
    case '\t': return literal(out, "\\t");
    case '\\': return literal(out, "\\\\");
    case '"': return quotes == 0 || quotes == 2 ? literal(out, "\\\"") : same(c, out);
    case '\'': return quotes == 1 || quotes == 2 ? literal(out, "\\'") : same(c, out);
    default: break;
  }
  if (c >= 0x20 && c < 0x7F) return same(c, out);
  if (c >= 0x80 && high == C_HIGH_RAW) return same(c, out);
  return print(out, numbers[high], c);
}

static bool escaped(const char *value, size_t len, escape how, int variant,
                    const struct form_sink *sink) {
  struct text t;
  if (len > SIZE_MAX / ESCAPE_MAX - 1 || !open_text(&t, len * ESCAPE_MAX)) return false;
  for (size_t i = 0; i < len; i++) t.len += how((unsigned char)value[i], t.data + t.len, variant);
  return hand_on(sink, &t);
}

static bool escaped_all(const char *value, size_t len, escape how, int variants,
                        const struct form_sink *sink) {
  for (int variant = 0; variant < variants; variant++)
    if (!escaped(value, len, how, variant, sink)) return false;
  return true;
}

/* --- JSON with \u for all beyond ASCII ------------------------------------------------------ */

/* The character at p if it is well-formed UTF-8, else -1 and one byte. */
static int32_t character(const unsigned char *p, size_t left, size_t *used) {
  *used = 1;
  if (p[0] < 0x80) return p[0];
  size_t n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : p[0] >= 0xC2 ? 2 : 0;
  if (n == 0 || p[0] > 0xF4 || left < n) return -1;
  int32_t code = p[0] & (0x7F >> n);
  for (size_t i = 1; i < n; i++) {
    if ((p[i] & 0xC0) != 0x80) return -1;
    code = code * 64 + (p[i] & 0x3F);
  }
  *used = n;
  return code;
}

static bool json_ascii(const char *value, size_t len, int variant, const struct form_sink *sink) {
  const char *number = (variant & JSON_UPPER) != 0 ? "\\u%04X" : "\\u%04x";
  struct text t;
  if (!open_text(&t, len * ESCAPE_MAX)) return false;
  for (size_t at = 0, used; at < len; at += used) {
    const unsigned char *p = (const unsigned char *)value + at;
    int32_t code = character(p, len - at, &used);
    if ((variant & JSON_OURS) != 0 && code >= 0x80 && !filter_hides((uint32_t)code)) {
      put(&t, value + at, used);
      continue;
    }
    if (code >= 0 && code < 0x7F) {
      t.len += json_byte(p[0], t.data + t.len, variant);
      continue;
    }
    uint32_t units[2] = {code < 0 ? 0xFFFDu : (uint32_t)code, 0};
    if (code >= 0x10000) {
      units[0] = 0xD800u + (((uint32_t)code - 0x10000u) >> 10);
      units[1] = 0xDC00u + (((uint32_t)code - 0x10000u) & 0x3FFu);
    }
    if (code < 0) units[0] = 0xDC00u | p[0]; /* our own lossless form */
    for (int i = 0; i < 2 && units[i] != 0; i++) {
      char text[ESCAPE_MAX + 4];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
      int wrote = snprintf(text, sizeof text, number, units[i]);
#pragma GCC diagnostic pop
      put(&t, text, (size_t)wrote);
    }
  }
  return hand_on(sink, &t);
}

struct again {
  const struct form_sink *sink;
};

/* JSON inside JSON: what was escaped once is escaped once more. */
static bool take_again(void *context, const char *text, size_t len) {
  const struct again *again = context;
  return escaped(text, len, json_byte, 0, again->sink);
}

bool forms_json_string(const char *value, size_t len, const struct form_sink *sink) {
  static const int variants[] = {0,
                                 JSON_SLASH,
                                 JSON_HTML,
                                 JSON_HTML | JSON_SLASH,
                                 JSON_CONTROL,
                                 JSON_HTML | JSON_UPPER | JSON_QUOTES,
                                 JSON_HTML | JSON_QUOTES,
                                 JSON_UPPER | JSON_CONTROL,
                                 JSON_OURS};
  for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
    if (!escaped(value, len, json_byte, variants[i], sink)) return false;
    if (!json_ascii(value, len, variants[i], sink)) return false;
    if (!json_ascii(value, len, variants[i] | JSON_UPPER, sink)) return false;
  }
  struct again again = {sink};
  struct form_sink twice = {take_again, &again, 0};
  return escaped(value, len, json_byte, 0, &twice) && json_ascii(value, len, 0, &twice);
}

/* --- all of them ---------------------------------------------------------------------------- */

static bool text_forms(const char *value, size_t len, const struct form_sink *sink) {
  if (len < sink->shortest) return true;
  return sink->take(sink->context, value, len) && forms_json_string(value, len, sink) &&
         escaped_all(value, len, percent, 10, sink) && escaped_all(value, len, xml_byte, 6, sink) &&
         escaped_all(value, len, sql_byte, 4, sink) &&
         escaped_all(value, len, shell_byte, 6, sink) && escaped_all(value, len, c_byte, 20, sink);
}

static bool take_leaf(void *context, const char *value, size_t len) {
  const struct form_sink *sink = context;
  if (len < sink->shortest) return true;
  return text_forms(value, len, sink) && base64_forms(value, len, sink) &&
         hex_forms(value, len, sink);
}

static bool take_line(void *context, const char *value, size_t len) {
  return text_forms(value, len, context);
}

bool forms_of(const char *value, size_t len, const struct form_sink *sink) {
  struct form_sink leaves = {take_leaf, (void *)sink, sink->shortest};
  struct form_sink lines = {take_line, (void *)sink, sink->shortest};
  return take_leaf((void *)sink, value, len) && leaves_values(value, len, &leaves) &&
         leaves_lines(value, len, &lines);
}
