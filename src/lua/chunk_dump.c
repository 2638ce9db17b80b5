/* The dump format of Lua 5.4 (ldump.c): a header, then functions, depth first. Integers are groups
   of seven bits, most significant first, the last one marked by bit 7. */
#include "chunk_dump.h"

#include <lua.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 200 /* the compiler's own limit of nested functions (LUAI_MAXCCALLS) */

enum constant_tag { K_NIL = 0, K_FALSE = 1, K_INTEGER = 3, K_SHORT = 4, K_TRUE = 17, K_FLOAT = 19,
                    K_LONG = 20 };

struct reader {
  const unsigned char *start, *at, *end;
  const char *problem;
};

static void fail(struct reader *r, const char *problem) {
  if (r->problem == NULL) r->problem = problem;
  r->at = r->end;
}

static const unsigned char *take(struct reader *r, size_t size) {
  if ((size_t)(r->end - r->at) < size) {
    fail(r, "the dump is cut short");
    return NULL;
  }
  const unsigned char *bytes = r->at;
  r->at += size;
  return bytes;
}

static unsigned take_byte(struct reader *r) {
  const unsigned char *byte = take(r, 1);
  return byte == NULL ? 0 : *byte;
}

static size_t take_size(struct reader *r) {
  size_t value = 0;
  for (int i = 0; i < 10; i++) {
    unsigned byte = take_byte(r);
    value = (value << 7) | (byte & 0x7f);
    if ((byte & 0x80) != 0 || r->problem != NULL) return value;
  }
  fail(r, "a number is too long");
  return 0;
}

static int take_int(struct reader *r) {
  size_t value = take_size(r);
  if (value > INT32_MAX) fail(r, "a number is too large");
  return r->problem == NULL ? (int)value : 0;
}

/* A count of things of at least one byte each, so it cannot exceed what is left. */
static size_t take_count(struct reader *r) {
  size_t count = take_size(r);
  if (count > (size_t)(r->end - r->at)) fail(r, "a count is too large");
  return r->problem == NULL ? count : 0;
}

static struct chunk_text take_text(struct reader *r) {
  size_t size = take_size(r);
  struct chunk_text text = {NULL, 0};
  if (size == 0) return text;
  text.bytes = (const char *)take(r, size - 1);
  text.len = text.bytes == NULL ? 0 : size - 1;
  return text;
}

/* calloc that never asks for nothing. */
static void *room(struct reader *r, size_t count, size_t size) {
  void *memory = calloc(count == 0 ? 1 : count, size);
  if (memory == NULL) fail(r, "out of memory");
  return memory;
}

static void read_code(struct reader *r, struct chunk_function *f) {
  size_t count = take_count(r);
  const unsigned char *bytes = take(r, count * sizeof(uint32_t));
  f->code = room(r, count, sizeof *f->code);
  f->lines = room(r, count, sizeof *f->lines);
  if (bytes == NULL || f->code == NULL || f->lines == NULL) return;
  memcpy(f->code, bytes, count * sizeof(uint32_t));
  f->code_at = (size_t)(bytes - r->start);
  f->code_count = count;
}

static void read_constants(struct reader *r, struct chunk_function *f) {
  size_t count = take_count(r);
  f->constants = room(r, count, sizeof *f->constants);
  if (f->constants == NULL) return;
  f->constant_count = count;
  for (size_t i = 0; i < count && r->problem == NULL; i++) {
    switch (take_byte(r)) {
      case K_NIL: case K_FALSE: case K_TRUE: break;
      case K_INTEGER: take(r, sizeof(lua_Integer)); break;
      case K_FLOAT: take(r, sizeof(lua_Number)); break;
      case K_SHORT: case K_LONG: f->constants[i] = take_text(r); break;
      default: fail(r, "unknown kind of constant");
    }
  }
}

static void read_upvalues(struct reader *r, struct chunk_function *f) {
  size_t count = take_count(r);
  f->upvalues = room(r, count, sizeof *f->upvalues);
  if (f->upvalues == NULL) return;
  f->upvalue_count = count;
  for (size_t i = 0; i < count; i++) {
    f->upvalues[i].in_stack = take_byte(r) != 0;
    f->upvalues[i].index = (uint8_t)take_byte(r);
    take_byte(r); /* kind */
  }
}

/* Lines: a signed difference an instruction, -128 where the absolute table has the line. */
static void read_lines(struct reader *r, struct chunk_function *f) {
  size_t count = take_count(r);
  const unsigned char *steps = take(r, count);
  size_t absolute = take_count(r);
  int *lines = room(r, f->code_count, sizeof *lines); /* 0: none */
  if (lines == NULL) return;
  for (size_t i = 0; i < absolute && r->problem == NULL; i++) {
    int pc = take_int(r), line = take_int(r);
    if ((size_t)pc < f->code_count) lines[pc] = line;
  }
  int line = f->line;
  for (size_t pc = 0; pc < f->code_count && pc < count && r->problem == NULL; pc++) {
    int step = steps[pc] < 128 ? steps[pc] : steps[pc] - 256; /* two's complement */
    line = step == -128 ? lines[pc] : line + step;
    f->lines[pc] = line;
  }
  free(lines);
}

static void read_debug(struct reader *r, struct chunk_function *f) {
  read_lines(r, f);
  size_t count = take_count(r);
  f->locals = room(r, count, sizeof *f->locals);
  if (f->locals == NULL) return;
  f->local_count = count;
  for (size_t i = 0; i < count && r->problem == NULL; i++) {
    f->locals[i].name = take_text(r);
    f->locals[i].start = take_int(r);
    f->locals[i].end = take_int(r);
  }
  size_t names = take_count(r);
  for (size_t i = 0; i < names && r->problem == NULL; i++) {
    struct chunk_text name = take_text(r);
    if (i < f->upvalue_count) f->upvalues[i].name = name;
  }
}

static struct chunk_function *read_function(struct reader *r, struct chunk_function *parent,
                                            int depth) {
  struct chunk_function *f = room(r, 1, sizeof *f);
  if (f == NULL) return NULL;
  f->parent = parent;
  if (depth > DEPTH_MAX) fail(r, "functions are nested too deep");
  take_text(r); /* source */
  f->line = take_int(r);
  take_int(r);  /* last line */
  take(r, 3);   /* parameters, vararg, stack size */
  read_code(r, f);
  read_constants(r, f);
  read_upvalues(r, f);
  size_t count = take_count(r);
  f->children = room(r, count, sizeof(struct chunk_function *));
  for (size_t i = 0; f->children != NULL && i < count && r->problem == NULL; i++) {
    f->children[i] = read_function(r, f, depth + 1);
    f->child_count = i + 1;
  }
  read_debug(r, f);
  return f;
}

static void read_header(struct reader *r) {
  static const unsigned char data[6] = {0x19, 0x93, '\r', '\n', 0x1a, '\n'};
  const unsigned char *head = take(r, 4 + 2 + sizeof data + 3);
  if (head == NULL) return;
  if (memcmp(head, LUA_SIGNATURE, 4) != 0 || head[4] != 0x54 || head[5] != 0 ||
      memcmp(head + 6, data, sizeof data) != 0 || head[12] != sizeof(uint32_t) ||
      head[13] != sizeof(lua_Integer) || head[14] != sizeof(lua_Number))
    fail(r, "unknown dump format");
  take(r, sizeof(lua_Integer) + sizeof(lua_Number)); /* samples */
  take_byte(r);                                      /* upvalues of the main function */
}

const char *chunk_read(struct chunk_unit *unit, const unsigned char *dump, size_t size) {
  struct reader r = {.start = dump, .at = dump, .end = dump + size, .problem = NULL};
  read_header(&r);
  unit->main = read_function(&r, NULL, 0);
  return r.problem;
}

static void free_function(struct chunk_function *f) {
  if (f == NULL) return;
  for (size_t i = 0; i < f->child_count; i++) free_function(f->children[i]);
  free(f->code);
  free(f->lines);
  free(f->constants);
  free(f->upvalues);
  free(f->locals);
  free(f->children);
  free(f->flow);
  free(f);
}

void chunk_unit_free(struct chunk_unit *unit) {
  free_function(unit->main);
  unit->main = NULL;
}
