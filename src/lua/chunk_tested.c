/* Finds results of calls that are used bare in a condition: `if sql "p":exec(…) then`. A table is
   always true, so such a condition asks nothing; and a dry run cannot trap it. */
#include <string.h>

#include "chunk_walk.h"

enum opcode {
  OP_SETUPVAL = 10, OP_GETTABUP = 11, OP_GETFIELD = 14, OP_SETTABUP = 15, OP_SETFIELD = 18,
  OP_SELF = 20, OP_MMBIN = 46, OP_MMBINK = 48, OP_NOT = 51, OP_CLOSE = 54, OP_EQK = 60,
  OP_TEST = 66, OP_TESTSET = 67, OP_CALL = 68, OP_SETLIST = 78, OP_EXTRAARG = 82
};

static unsigned op_of(uint32_t code) { return code & 0x7f; }
static unsigned a_of(uint32_t code) { return (code >> 7) & 0xff; }
static unsigned b_of(uint32_t code) { return (code >> 16) & 0xff; }
static unsigned c_of(uint32_t code) { return code >> 24; }

static struct chunk_text constant(const struct chunk_function *f, unsigned index) {
  struct chunk_text none = {NULL, 0};
  return index < f->constant_count ? f->constants[index] : none;
}

/* Is A of this instruction a register it fills? */
static bool fills(uint32_t code) {
  unsigned op = op_of(code);
  bool stores = op == OP_SETUPVAL || (op >= OP_SETTABUP && op <= OP_SETFIELD) || op == OP_SETLIST;
  bool operates = (op >= OP_MMBIN && op <= OP_MMBINK) || (op >= OP_CLOSE && op <= OP_TEST);
  return !stores && !operates && op != OP_EXTRAARG;
}

/* The instruction before `pc` that filled register `reg` last; f->code_count: none. */
static size_t filled_by(const struct chunk_function *f, size_t pc, unsigned reg) {
  while (pc-- > 0)
    if (a_of(f->code[pc]) == reg && fills(f->code[pc])) return pc;
  return f->code_count;
}

/* The global in register `reg` before `pc`, or the global that was called to fill it: `shell`, and
   `sql` of sql "primary". */
static struct chunk_text library_of(const struct chunk_function *f, size_t pc, unsigned reg) {
  struct chunk_text none = {NULL, 0};
  size_t at = filled_by(f, pc, reg);
  if (at < f->code_count && op_of(f->code[at]) == OP_CALL) at = filled_by(f, at, reg);
  if (at >= f->code_count || op_of(f->code[at]) != OP_GETTABUP) return none;
  unsigned up = b_of(f->code[at]);
  if (up >= f->upvalue_count || f->upvalues[up].name.len != 4 ||
      memcmp(f->upvalues[up].name.bytes, "_ENV", 4) != 0)
    return none;
  return constant(f, c_of(f->code[at]));
}

static bool tests(uint32_t code, unsigned reg) {
  switch (op_of(code)) {
    case OP_TEST:
    case OP_EQK: return a_of(code) == reg;
    case OP_NOT:
    case OP_TESTSET: return b_of(code) == reg;
    default: return false;
  }
}

/* The end of the instructions at which register `reg` still holds what the call at `pc` gave: the
   next one, or the life of the local it is kept in. */
static size_t lives_until(const struct chunk_function *f, size_t pc, unsigned reg) {
  unsigned active = 0;
  for (size_t i = 0; i < f->local_count; i++) {
    const struct chunk_local *local = &f->locals[i];
    if ((size_t)local->start > pc + 1 || (size_t)local->end <= pc + 1) continue;
    if ((size_t)local->start == pc + 1 && active == reg) return (size_t)local->end;
    active++;
  }
  return pc + 2;
}

static void walk_call(const struct chunk_function *f, size_t pc,
                      void (*on_fact)(void *context, const struct chunk_fact *fact),
                      void *context) {
  unsigned reg = a_of(f->code[pc]);
  size_t load = filled_by(f, pc, reg);
  if (load >= f->code_count) return;
  unsigned op = op_of(f->code[load]);
  if (op != OP_SELF && op != OP_GETFIELD) return;
  struct chunk_text verb = constant(f, c_of(f->code[load]));
  struct chunk_text library = library_of(f, load, b_of(f->code[load]));
  if (verb.bytes == NULL || library.bytes == NULL) return;
  size_t end = lives_until(f, pc, reg);
  for (size_t i = pc + 1; i < end && i < f->code_count; i++) {
    if (!tests(f->code[i], reg)) continue;
    struct chunk_fact fact = {.kind = CHUNK_TESTED, .name = verb.bytes, .name_len = verb.len,
                              .line = f->lines[i], .callee = library.bytes,
                              .callee_len = library.len};
    on_fact(context, &fact);
    return;
  }
}

void chunk_walk_tested(const struct chunk_function *f,
                       void (*on_fact)(void *context, const struct chunk_fact *fact),
                       void *context) {
  for (size_t pc = 0; pc < f->code_count; pc++)
    if (op_of(f->code[pc]) == OP_CALL && c_of(f->code[pc]) == 2) /* one result */
      walk_call(f, pc, on_fact, context);
  for (size_t i = 0; i < f->child_count; i++)
    chunk_walk_tested(f->children[i], on_fact, context);
}
