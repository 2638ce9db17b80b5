/* Finds the handles a chunk asks for by name: sql "primary", state "alerts", notify(p.team). */
#include <string.h>

#include "chunk_flow.h"
#include "chunk_walk.h"

enum { OP_LOADK = 3 };

static struct chunk_text constant(const struct chunk_function *f, unsigned index) {
  struct chunk_text none = {NULL, 0};
  return index < f->constant_count ? f->constants[index] : none;
}

/* The one instruction that filled `reg`, or f->code_count. */
static size_t only_source(struct chunk_function *f, size_t pc, unsigned reg) {
  size_t found[CHUNK_SOURCES];
  return chunk_sources(f, pc, reg, found) == 1 ? found[0] : f->code_count;
}

/* The global that is called at `pc`; none where it is another function. */
static struct chunk_text global_called(struct chunk_function *f, size_t pc) {
  struct chunk_text none = {NULL, 0};
  size_t at = only_source(f, pc, a_of(f->code[pc]));
  if (at == f->code_count || op_of(f->code[at]) != OP_GETTABUP) return none;
  unsigned up = b_of(f->code[at]);
  bool global = up < f->upvalue_count && f->upvalues[up].name.len == 4 &&
                memcmp(f->upvalues[up].name.bytes, "_ENV", 4) == 0;
  return global ? constant(f, c_of(f->code[at])) : none;
}

void chunk_walk_handles(struct chunk_function *f,
                        void (*on_fact)(void *context, const struct chunk_fact *fact),
                        void *context) {
  for (size_t pc = 0; pc < f->code_count; pc++) {
    uint32_t code = f->code[pc];
    if (op_of(code) != OP_CALL && op_of(code) != OP_TAILCALL) continue;
    struct chunk_text callee = b_of(code) != 1 ? global_called(f, pc) : (struct chunk_text){NULL, 0};
    if (callee.bytes == NULL) continue;
    struct chunk_fact fact = {.kind = CHUNK_HANDLE, .line = f->lines[pc],
                              .callee = callee.bytes, .callee_len = callee.len};
    size_t at = only_source(f, pc, a_of(code) + 1);
    unsigned op = at == f->code_count ? OP_MOVE : op_of(f->code[at]);
    struct chunk_text name = {NULL, 0};
    if (op == OP_LOADK) name = constant(f, bx_of(f->code[at]));
    if (op == OP_GETFIELD) name = constant(f, c_of(f->code[at]));
    fact.name = name.bytes;
    fact.name_len = name.len;
    fact.is_field = op == OP_GETFIELD;
    on_fact(context, &fact);
  }
  for (size_t i = 0; i < f->child_count; i++)
    chunk_walk_handles(f->children[i], on_fact, context);
}
