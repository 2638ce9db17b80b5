/* What the instructions of Lua 5.4 say about globals and upvalues. A global is field "name" of the
   upvalue _ENV: GETTABUP and SETTABUP; with more constants than an instruction can name, the
   compiler fetches _ENV with GETUPVAL and the name with LOADK first. */
#include "chunk_walk.h"

#include <string.h>

enum opcode {
  OP_MOVE = 0, OP_LOADK = 3, OP_LOADKX = 4, OP_GETUPVAL = 9, OP_SETUPVAL = 10, OP_GETTABUP = 11,
  OP_GETTABLE = 12, OP_GETFIELD = 14, OP_SETTABUP = 15, OP_SETTABLE = 16, OP_SETFIELD = 18,
  OP_CALL = 68, OP_TAILCALL = 69, OP_CLOSURE = 79, OP_EXTRAARG = 82
};

struct walk {
  void (*on_fact)(void *context, const struct chunk_fact *fact);
  void *context;
};

static unsigned op_of(uint32_t code) { return code & 0x7f; }
static unsigned a_of(uint32_t code) { return (code >> 7) & 0xff; }
static unsigned b_of(uint32_t code) { return (code >> 16) & 0xff; }
static unsigned c_of(uint32_t code) { return code >> 24; }
static unsigned bx_of(uint32_t code) { return code >> 15; }

static void tell(const struct walk *w, enum chunk_fact_kind kind, struct chunk_text name,
                 int line) {
  struct chunk_fact fact = {.kind = kind, .name = name.bytes, .name_len = name.len, .line = line};
  w->on_fact(w->context, &fact);
}

static struct chunk_text constant(const struct chunk_function *f, unsigned index) {
  struct chunk_text none = {NULL, 0};
  return index < f->constant_count ? f->constants[index] : none;
}

static bool is_text(struct chunk_text text, const char *word) {
  return text.bytes != NULL && text.len == strlen(word) && memcmp(text.bytes, word, text.len) == 0;
}

/* Does upvalue `index` of `f` end at the file's own _ENV? */
static bool is_environment(const struct chunk_function *f, unsigned index) {
  return index < f->upvalue_count && is_text(f->upvalues[index].name, "_ENV");
}

/* Is upvalue `index` of `f` a local of the main chunk? */
static bool is_file_local(const struct chunk_function *f, unsigned index) {
  while (f->parent != NULL && index < f->upvalue_count) {
    if (f->upvalues[index].in_stack) return f->parent->parent == NULL;
    index = f->upvalues[index].index;
    f = f->parent;
  }
  return false;
}

/* GETUPVAL of _ENV at `pc`: the LOADK after it names the global, a later GETTABLE or SETTABLE says
   which way. Reports it, or another use of _ENV. */
static void walk_far_global(const struct walk *w, const struct chunk_function *f, size_t pc) {
  struct chunk_text none = {NULL, 0};
  unsigned base = a_of(f->code[pc]);
  if (pc + 1 < f->code_count) {
    uint32_t next = f->code[pc + 1];
    struct chunk_text name = none;
    if (op_of(next) == OP_LOADK) name = constant(f, bx_of(next));
    if (op_of(next) == OP_LOADKX && pc + 2 < f->code_count)
      name = constant(f, f->code[pc + 2] >> 7);
    unsigned key = a_of(next);
    for (size_t i = pc + 2; name.bytes != NULL && i < f->code_count; i++) {
      uint32_t code = f->code[i];
      if (op_of(code) == OP_GETTABLE && b_of(code) == base && c_of(code) == key) {
        tell(w, CHUNK_READ, name, f->lines[i]);
        return;
      }
      if (op_of(code) == OP_SETTABLE && a_of(code) == base && b_of(code) == key) {
        tell(w, CHUNK_WRITE, name, f->lines[i]);
        return;
      }
    }
  }
  tell(w, CHUNK_ENVIRONMENT, none, f->lines[pc]);
}

/* The global that child number `index` of `f` is handed to: CLOSURE, then the first CALL whose
   arguments hold its register; the called register was last loaded from a global. */
static struct chunk_text callee_of(const struct chunk_function *f,
                                   const struct chunk_function *child) {
  struct chunk_text none = {NULL, 0};
  size_t pc = 0;
  for (; pc < f->code_count; pc++) {
    uint32_t code = f->code[pc];
    if (op_of(code) == OP_CLOSURE && bx_of(code) < f->child_count &&
        f->children[bx_of(code)] == child)
      break;
  }
  if (pc == f->code_count) return none;
  unsigned held = a_of(f->code[pc]);
  for (size_t i = pc + 1; i < f->code_count; i++) {
    uint32_t code = f->code[i];
    if (op_of(code) != OP_CALL && op_of(code) != OP_TAILCALL) continue;
    unsigned base = a_of(code), count = b_of(code);
    if (base >= held) continue; /* a call made while the arguments are built */
    if (count != 0 && held >= base + count) return none;
    for (size_t j = pc; j-- > 0;) {
      uint32_t load = f->code[j];
      if (a_of(load) != base) continue;
      if (op_of(load) == OP_GETTABUP && is_environment(f, b_of(load)))
        return constant(f, c_of(load));
      if (op_of(load) == OP_MOVE || op_of(load) == OP_GETUPVAL || op_of(load) == OP_GETFIELD)
        return none;
    }
    return none;
  }
  return none;
}

static void walk_assignment(const struct walk *w, const struct chunk_function *f, size_t pc) {
  unsigned index = b_of(f->code[pc]);
  struct chunk_text none = {NULL, 0};
  if (is_environment(f, index)) {
    tell(w, CHUNK_ENVIRONMENT, none, f->lines[pc]);
    return;
  }
  if (!is_file_local(f, index)) return;
  struct chunk_text callee = callee_of(f->parent, f);
  struct chunk_fact fact = {.kind = CHUNK_OUTER,
                            .name = f->upvalues[index].name.bytes,
                            .name_len = f->upvalues[index].name.len,
                            .line = f->lines[pc],
                            .callee = callee.bytes,
                            .callee_len = callee.len};
  w->on_fact(w->context, &fact);
}

static void walk_function(const struct walk *w, const struct chunk_function *f) {
  struct chunk_text none = {NULL, 0};
  for (size_t i = 0; i < f->local_count; i++) {
    size_t start = (size_t)f->locals[i].start;
    if (is_text(f->locals[i].name, "_ENV"))
      tell(w, CHUNK_ENVIRONMENT, none, start < f->code_count ? f->lines[start] : f->line);
  }
  for (size_t pc = 0; pc < f->code_count; pc++) {
    uint32_t code = f->code[pc];
    switch (op_of(code)) {
      case OP_GETTABUP:
        if (is_environment(f, b_of(code)))
          tell(w, CHUNK_READ, constant(f, c_of(code)), f->lines[pc]);
        break;
      case OP_SETTABUP:
        if (is_environment(f, a_of(code)))
          tell(w, CHUNK_WRITE, constant(f, b_of(code)), f->lines[pc]);
        break;
      case OP_GETUPVAL:
        if (is_environment(f, b_of(code))) walk_far_global(w, f, pc);
        break;
      case OP_SETUPVAL:
        walk_assignment(w, f, pc);
        break;
      default:
        break;
    }
  }
  for (size_t i = 0; i < f->child_count; i++) walk_function(w, f->children[i]);
}

void chunk_walk(const struct chunk_unit *unit,
                void (*on_fact)(void *context, const struct chunk_fact *fact), void *context) {
  struct walk w = {.on_fact = on_fact, .context = context};
  if (unit->main != NULL) walk_function(&w, unit->main);
}
