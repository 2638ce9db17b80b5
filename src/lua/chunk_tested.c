/* Finds results of calls that are used bare in a condition: `if sql "p":exec(…) then`. A table is
   always true and equals no constant, so such a condition asks nothing; and a dry run cannot trap
   it. Told only where the value is such a result whichever way control came. */
#include <string.h>

#include "chunk_flow.h"
#include "chunk_walk.h"

#define DEPTH 16 /* locals through which a value is followed */

/* What a register holds: a global; what calling one gave, sql "p"; a function of a library or a
   handle; what calling that gave. */
enum kind { UNKNOWN, GLOBAL, HANDLE, FUNCTION, RESULT };

struct value {
  enum kind kind;
  struct chunk_text library, name;
};

static const struct value unknown = {UNKNOWN, {NULL, 0}, {NULL, 0}};

static struct value value_of(struct chunk_function *f, size_t pc, unsigned reg, int depth);

static bool same_text(struct chunk_text a, struct chunk_text b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

static bool is_text(struct chunk_text text, const char *word) {
  return text.bytes != NULL && text.len == strlen(word) && memcmp(text.bytes, word, text.len) == 0;
}

static struct chunk_text constant(const struct chunk_function *f, unsigned index) {
  struct chunk_text none = {NULL, 0};
  return index < f->constant_count ? f->constants[index] : none;
}

/* Does a function below `f` assign what is register `index` of `f`, or upvalue `index` of it? */
static bool is_assigned_below(const struct chunk_function *f, bool in_stack, unsigned index) {
  for (size_t i = 0; i < f->child_count; i++) {
    const struct chunk_function *child = f->children[i];
    for (unsigned up = 0; up < child->upvalue_count; up++) {
      if (child->upvalues[up].in_stack != in_stack || child->upvalues[up].index != index) continue;
      for (size_t pc = 0; pc < child->code_count; pc++)
        if (op_of(child->code[pc]) == OP_SETUPVAL && b_of(child->code[pc]) == up) return true;
      if (is_assigned_below(child, false, up)) return true;
    }
  }
  return false;
}

/* Where in its parent a function is made. */
static size_t made_at(const struct chunk_function *f) {
  const struct chunk_function *parent = f->parent;
  for (size_t pc = 0; pc < parent->code_count; pc++) {
    uint32_t code = parent->code[pc];
    if (op_of(code) == OP_CLOSURE && bx_of(code) < parent->child_count &&
        parent->children[bx_of(code)] == f)
      return pc;
  }
  return parent->code_count;
}

/* The local of register `reg` that lives at `pc`, or NULL. */
static const struct chunk_local *local_at(const struct chunk_function *f, size_t pc, unsigned reg) {
  unsigned active = 0;
  for (size_t i = 0; i < f->local_count; i++) {
    const struct chunk_local *local = &f->locals[i];
    if ((size_t)local->start > pc || (size_t)local->end <= pc) continue;
    if (active++ == reg) return local;
  }
  return NULL;
}

/* An upvalue holds what its local was made with, if nothing assigns that local afterwards. */
static struct value upvalue_of(struct chunk_function *f, unsigned index, int depth) {
  if (f->parent == NULL || index >= f->upvalue_count || depth == 0) return unknown;
  struct chunk_function *parent = f->parent;
  unsigned reg = f->upvalues[index].index;
  if (!f->upvalues[index].in_stack) return upvalue_of(parent, reg, depth - 1);
  const struct chunk_local *local = local_at(parent, made_at(f), reg);
  if (local == NULL) return unknown;
  for (size_t pc = (size_t)local->start; pc < (size_t)local->end && pc < parent->code_count; pc++)
    if (chunk_fills(parent, pc, reg)) return unknown;
  return value_of(parent, (size_t)local->start, reg, depth - 1);
}

static struct value field_of(struct chunk_function *f, size_t pc, bool method, int depth) {
  uint32_t code = f->code[pc];
  struct value base = value_of(f, pc, b_of(code), depth - 1);
  bool another = base.kind == RESULT && is_text(base.name, "database"); /* a handle of a handle */
  bool known = base.kind == GLOBAL || (method && (base.kind == HANDLE || another));
  struct chunk_text name = constant(f, c_of(code));
  if (!known || name.bytes == NULL) return unknown;
  return (struct value){FUNCTION, base.library, name};
}

static struct value called(struct chunk_function *f, size_t pc, unsigned reg, int depth) {
  if (a_of(f->code[pc]) != reg || c_of(f->code[pc]) == 1) return unknown; /* not its first result */
  struct value callee = value_of(f, pc, reg, depth - 1);
  switch (callee.kind) {
    case GLOBAL: callee.kind = HANDLE; return callee;
    case FUNCTION: callee.kind = RESULT; return callee;
    case HANDLE: return (struct value){RESULT, callee.library, {"", 0}};
    default: return unknown;
  }
}

/* What the instruction at `pc` puts into register `reg`. */
static struct value made_by(struct chunk_function *f, size_t pc, unsigned reg, int depth) {
  uint32_t code = f->code[pc];
  switch (op_of(code)) {
    case OP_MOVE:
    case OP_TESTSET: return value_of(f, pc, b_of(code), depth - 1);
    case OP_GETUPVAL: return upvalue_of(f, b_of(code), depth - 1);
    case OP_GETTABUP: {
      unsigned up = b_of(code);
      struct chunk_text name = constant(f, c_of(code));
      bool global = up < f->upvalue_count && is_text(f->upvalues[up].name, "_ENV");
      return global && name.bytes != NULL ? (struct value){GLOBAL, name, {NULL, 0}} : unknown;
    }
    case OP_GETFIELD: return field_of(f, pc, false, depth);
    case OP_SELF: return reg == a_of(code) ? field_of(f, pc, true, depth) : unknown;
    case OP_CALL:
    case OP_TAILCALL: return called(f, pc, reg, depth);
    default: return unknown;
  }
}

/* What register `reg` holds when control comes to `pc`: known when it is the same on every way. */
static struct value value_of(struct chunk_function *f, size_t pc, unsigned reg, int depth) {
  size_t found[CHUNK_SOURCES];
  if (depth <= 0 || is_assigned_below(f, true, reg)) return unknown;
  size_t count = chunk_sources(f, pc, reg, found);
  struct value result = unknown;
  for (size_t i = 0; i < count; i++) {
    struct value value = made_by(f, found[i], reg, depth);
    if (value.kind == UNKNOWN) return unknown;
    if (i > 0 && (value.kind != result.kind || !same_text(value.library, result.library) ||
                  !same_text(value.name, result.name)))
      return unknown;
    result = value;
  }
  return result;
}

/* The register an instruction asks for truth, or compares with a constant; -1: none. */
static int tested(uint32_t code) {
  switch (op_of(code)) {
    case OP_TEST:
    case OP_EQK:
    case OP_EQI: return (int)a_of(code);
    case OP_NOT:
    case OP_TESTSET: return (int)b_of(code);
    default: return -1;
  }
}

void chunk_walk_tested(struct chunk_function *f,
                       void (*on_fact)(void *context, const struct chunk_fact *fact),
                       void *context) {
  for (size_t pc = 0; pc < f->code_count; pc++) {
    int reg = tested(f->code[pc]);
    if (reg < 0) continue;
    struct value value = value_of(f, pc, (unsigned)reg, DEPTH);
    if (value.kind != RESULT) continue;
    struct chunk_fact fact = {.kind = CHUNK_TESTED, .name = value.name.bytes,
                              .name_len = value.name.len, .line = f->lines[pc],
                              .callee = value.library.bytes, .callee_len = value.library.len};
    on_fact(context, &fact);
  }
  for (size_t i = 0; i < f->child_count; i++)
    chunk_walk_tested(f->children[i], on_fact, context);
}
