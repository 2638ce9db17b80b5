/* Backwards from an instruction along the edges of the control flow, until each way met one that
   fills the register. */
#include "chunk_flow.h"

#include <stdlib.h>

/* f->flow: five words an instruction, and the number of the last search behind them. */
enum { HEAD, NEXT_1, NEXT_2, SEEN, WORK, WORDS };

#define NOWHERE SIZE_MAX

/* The instructions control may go to from `pc`; the first is the one that follows in the text, if it may. */
static void successors(const struct chunk_function *f, size_t pc, size_t to[2]) {
  uint32_t code = f->code[pc];
  size_t next = pc + 1;
  to[0] = next;
  to[1] = NOWHERE;
  switch (op_of(code)) {
    case OP_JMP: to[0] = next + (code >> 7) - 0xffffff; break; /* sJ, excess 2^24 - 1 */
    case OP_LFALSESKIP: to[0] = next + 1; break;
    case OP_FORLOOP:
    case OP_TFORLOOP: to[1] = next - bx_of(code); break;
    case OP_FORPREP: to[1] = next + bx_of(code) + 1; break;
    case OP_TFORPREP: to[0] = next + bx_of(code); break;
    default:
      if (op_of(code) >= OP_EQ && op_of(code) <= OP_TESTSET) to[1] = next + 1;
      if (op_of(code) >= OP_RETURN && op_of(code) <= OP_RETURN1) to[0] = NOWHERE;
  }
}

static bool open_flow(struct chunk_function *f) {
  if (f->flow != NULL) return true;
  f->flow = calloc(f->code_count * WORDS + 1, sizeof *f->flow);
  if (f->flow == NULL) return false;
  for (size_t pc = 0; pc < f->code_count; pc++) {
    size_t to[2];
    successors(f, pc, to);
    for (unsigned k = 0; k < 2; k++) {
      if (to[k] >= f->code_count) continue;
      uint32_t *head = &f->flow[to[k] * WORDS + HEAD];
      f->flow[pc * WORDS + NEXT_1 + k] = *head;
      *head = (uint32_t)(pc * 2 + k + 1);
    }
  }
  return true;
}

bool chunk_fills(const struct chunk_function *f, size_t pc, unsigned reg) {
  uint32_t code = f->code[pc];
  unsigned op = op_of(code), a = a_of(code);
  switch (op) {
    case OP_CALL:
    case OP_TAILCALL:
    case OP_VARARG: return reg >= a; /* and what lies above is lost */
    case OP_LOADNIL: return reg >= a && reg <= a + b_of(code);
    case OP_SELF: return reg == a || reg == a + 1;
    case OP_FORLOOP:
    case OP_FORPREP: return reg >= a && reg <= a + 3;
    case OP_TFORPREP: return reg == a + 3;
    case OP_TFORCALL: return reg >= a + 4;
    case OP_TFORLOOP: return reg == a + 2;
    case OP_SETUPVAL:
    case OP_SETLIST:
    case OP_VARARGPREP:
    case OP_EXTRAARG: return false;
    default: break;
  }
  bool stores = op >= OP_SETTABUP && op <= OP_SETFIELD;
  bool operates = (op >= OP_MMBIN && op <= OP_MMBINK) || (op >= OP_CLOSE && op <= OP_TESTSET) ||
                  (op >= OP_RETURN && op <= OP_RETURN1);
  return !stores && !operates && reg == a;
}

/* TESTSET fills A only when the jump behind it is taken. */
static bool fills_on_way(const struct chunk_function *f, size_t pc, unsigned way, unsigned reg) {
  uint32_t code = f->code[pc];
  if (op_of(code) == OP_TESTSET) return way == 0 && a_of(code) == reg;
  return chunk_fills(f, pc, reg);
}

size_t chunk_sources(struct chunk_function *f, size_t pc, unsigned reg,
                     size_t found[CHUNK_SOURCES]) {
  if (pc >= f->code_count || !open_flow(f)) return 0;
  uint32_t stamp = ++f->flow[f->code_count * WORDS];
  size_t count = 0, waiting = 1;
  f->flow[0 * WORDS + WORK] = (uint32_t)pc;
  while (waiting > 0) {
    size_t at = f->flow[--waiting * WORDS + WORK];
    if (at == 0) return 0; /* as it was when the function was entered */
    for (uint32_t edge = f->flow[at * WORDS + HEAD]; edge != 0;) {
      size_t from = (edge - 1) / 2;
      unsigned way = (edge - 1) % 2;
      edge = f->flow[from * WORDS + NEXT_1 + way];
      if (fills_on_way(f, from, way, reg)) {
        bool known = false;
        for (size_t i = 0; i < count; i++) known |= found[i] == from;
        if (known) continue;
        if (count == CHUNK_SOURCES) return 0;
        found[count++] = from;
      } else if (f->flow[from * WORDS + SEEN] != stamp) {
        f->flow[from * WORDS + SEEN] = stamp;
        f->flow[waiting++ * WORDS + WORK] = (uint32_t)from;
      }
    }
  }
  return count;
}
