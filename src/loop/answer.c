/* JSON text of an answer, piece by piece. */
#include "answer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *room_for(struct answer *answer, size_t len) {
  if (answer->failed) return NULL;
  if (answer->capacity - answer->len < len) {
    size_t capacity = answer->capacity == 0 ? 1024 : answer->capacity;
    while (capacity - answer->len < len) {
      if (capacity > SIZE_MAX / 2) {
        answer->failed = true;
        return NULL;
      }
      capacity *= 2;
    }
    char *grown = realloc(answer->data, capacity);
    if (grown == NULL) {
      answer->failed = true;
      return NULL;
    }
    answer->data = grown;
    answer->capacity = capacity;
  }
  return answer->data + answer->len;
}

void answer_bytes(struct answer *answer, const void *bytes, size_t len) {
  char *room = room_for(answer, len);
  if (room == NULL || len == 0) return;
  memcpy(room, bytes, len);
  answer->len += len;
}

static void begin_value(struct answer *answer) {
  if (answer->comma) answer_bytes(answer, ",", 1);
  answer->comma = true;
}

void answer_open(struct answer *answer, char bracket) {
  begin_value(answer);
  answer_bytes(answer, &bracket, 1);
  answer->comma = false;
}

void answer_close(struct answer *answer, char bracket) {
  answer_bytes(answer, &bracket, 1);
  answer->comma = true;
}

void answer_string(struct answer *answer, const char *text, size_t len) {
  static const char digits[] = "0123456789abcdef";
  begin_value(answer);
  answer_bytes(answer, "\"", 1);
  size_t clean = 0; /* bytes before `i` that need no escape and were not yet written */
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c >= 0x20 && c != '"' && c != '\\') {
      clean++;
      continue;
    }
    answer_bytes(answer, text + i - clean, clean);
    clean = 0;
    char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
    answer_bytes(answer, escape, sizeof escape);
  }
  answer_bytes(answer, text + len - clean, clean);
  answer_bytes(answer, "\"", 1);
}

void answer_text(struct answer *answer, const char *text) {
  answer_string(answer, text, strlen(text));
}

void answer_key(struct answer *answer, const char *name) {
  answer_text(answer, name);
  answer_bytes(answer, ":", 1);
  answer->comma = false;
}

void answer_integer(struct answer *answer, int64_t value) {
  char text[32];
  begin_value(answer);
  int len = snprintf(text, sizeof text, "%" PRId64, value);
  answer_bytes(answer, text, (size_t)len);
}

void answer_number(struct answer *answer, double value) {
  char text[40];
  begin_value(answer);
  if (!isfinite(value)) value = 0;
  int len = snprintf(text, sizeof text, "%.17g", value);
  answer_bytes(answer, text, (size_t)len);
  if (strpbrk(text, ".e") == NULL) answer_bytes(answer, ".0", 2);
}

void answer_boolean(struct answer *answer, bool value) {
  begin_value(answer);
  answer_bytes(answer, value ? "true" : "false", value ? 4 : 5);
}

void answer_field_text(struct answer *answer, const char *name, const char *text) {
  answer_key(answer, name);
  answer_text(answer, text);
}

void answer_field_integer(struct answer *answer, const char *name, int64_t value) {
  answer_key(answer, name);
  answer_integer(answer, value);
}

void answer_field_number(struct answer *answer, const char *name, double value) {
  answer_key(answer, name);
  answer_number(answer, value);
}

void answer_field_boolean(struct answer *answer, const char *name, bool value) {
  answer_key(answer, name);
  answer_boolean(answer, value);
}

void answer_drop(struct answer *answer) {
  free(answer->data);
  memset(answer, 0, sizeof *answer);
}
