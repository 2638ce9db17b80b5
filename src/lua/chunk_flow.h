/* Where the value of a register comes from: the instructions that may have filled it last, over all
   ways control can take. */
#ifndef OPSRUN_CHUNK_FLOW_H
#define OPSRUN_CHUNK_FLOW_H

#include "chunk_dump.h"

enum chunk_opcode { /* of Lua 5.4 */
  OP_MOVE = 0, OP_LFALSESKIP = 6, OP_LOADNIL = 8, OP_GETUPVAL = 9, OP_SETUPVAL = 10,
  OP_GETTABUP = 11, OP_GETFIELD = 14, OP_SETTABUP = 15, OP_SETFIELD = 18, OP_SELF = 20,
  OP_MMBIN = 46, OP_MMBINK = 48, OP_NOT = 51, OP_CLOSE = 54, OP_JMP = 56, OP_EQ = 57, OP_EQK = 60,
  OP_EQI = 61, OP_TEST = 66, OP_TESTSET = 67, OP_CALL = 68, OP_TAILCALL = 69, OP_RETURN = 70,
  OP_RETURN1 = 72, OP_FORLOOP = 73, OP_FORPREP = 74, OP_TFORPREP = 75, OP_TFORCALL = 76,
  OP_TFORLOOP = 77, OP_SETLIST = 78, OP_CLOSURE = 79, OP_VARARG = 80, OP_VARARGPREP = 81,
  OP_EXTRAARG = 82
};

static inline unsigned op_of(uint32_t code) { return code & 0x7f; }
static inline unsigned a_of(uint32_t code) { return (code >> 7) & 0xff; }
static inline unsigned b_of(uint32_t code) { return (code >> 16) & 0xff; }
static inline unsigned c_of(uint32_t code) { return code >> 24; }
static inline unsigned bx_of(uint32_t code) { return code >> 15; }

#define CHUNK_SOURCES 8

/* Fills `found` with the instructions that may have filled register `reg` last when control comes
   to `pc`. Returns how many; 0 when it cannot be told: the function was entered with it, there are
   more than CHUNK_SOURCES, or memory is short. Remembers the ways in f->flow. */
size_t chunk_sources(struct chunk_function *f, size_t pc, unsigned reg,
                     size_t found[CHUNK_SOURCES]);

/* Does the instruction at `pc` fill the register, whichever way is taken from it? */
bool chunk_fills(const struct chunk_function *f, size_t pc, unsigned reg);

#endif
