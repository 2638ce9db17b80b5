/* A reader of lua_dump's output for Lua 5.4: functions with code, constants, upvalues, lines. Only
   ever given what our own interpreter dumped a moment ago; bounds are checked all the same. */
#ifndef OPSRUN_CHUNK_DUMP_H
#define OPSRUN_CHUNK_DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunk_text { /* points into the dump */
  const char *bytes; /* NULL: no string */
  size_t len;
};

struct chunk_upvalue {
  bool in_stack; /* a local of the enclosing function; else an upvalue of it */
  uint8_t index;
  struct chunk_text name;
};

struct chunk_local {
  struct chunk_text name;
  int start, end; /* instructions where it lives: start <= pc < end */
};

struct chunk_function {
  struct chunk_function *parent; /* NULL: the main chunk */
  int line;                      /* where it is defined; 0 for the main chunk */
  uint32_t *code;
  size_t code_at;                /* offset of the code in the dump */
  int *lines;                    /* of each instruction */
  size_t code_count;
  struct chunk_text *constants;  /* strings; others have bytes == NULL */
  size_t constant_count;
  struct chunk_upvalue *upvalues;
  size_t upvalue_count;
  struct chunk_local *locals;
  size_t local_count;
  struct chunk_function **children;
  size_t child_count;
  uint32_t *flow; /* chunk_flow.c's, NULL until it is asked */
};

struct chunk_unit {
  struct chunk_function *main;
};

/* Reads a dump; texts point into it. Returns NULL, or what is wrong with it. */
const char *chunk_read(struct chunk_unit *unit, const unsigned char *dump, size_t size);
void chunk_unit_free(struct chunk_unit *unit);

#endif
