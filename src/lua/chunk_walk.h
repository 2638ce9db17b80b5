/* Walks the functions of a chunk and reports what each does with variables it does not own. */
#ifndef OPSRUN_CHUNK_WALK_H
#define OPSRUN_CHUNK_WALK_H

#include "chunk_dump.h"

enum chunk_fact_kind { CHUNK_READ, CHUNK_WRITE, CHUNK_ENVIRONMENT, CHUNK_OUTER, CHUNK_TESTED, CHUNK_HANDLE };

struct chunk_fact {
  enum chunk_fact_kind kind;
  const char *name; /* of the variable; NULL for CHUNK_ENVIRONMENT. Not terminated. CHUNK_HANDLE:
                       the first argument, or the field that it is; NULL: known only at run time */
  size_t name_len;
  int line;
  /* CHUNK_OUTER: the global the function is an argument of, or NULL. CHUNK_TESTED: the global whose
     function or method `name` was called. CHUNK_HANDLE: the global that was called */
  const char *callee;
  size_t callee_len;
  bool is_field; /* CHUNK_HANDLE: the argument is a field of that name, p.db */
};

/* Calls `on_fact` for every fact, functions in order of their text. It may raise. */
void chunk_walk(const struct chunk_unit *unit,
                void (*on_fact)(void *context, const struct chunk_fact *fact), void *context);

/* Calls `on_fact` for every result of a global's function or method, sql "p":exec(…), that is used
   bare in a condition: asked for truth, or compared with a constant. `name` is empty where the
   handle itself was called, notify "team" (…). It may raise. */
void chunk_walk_tested(struct chunk_function *f,
                       void (*on_fact)(void *context, const struct chunk_fact *fact),
                       void *context);

/* Calls `on_fact` for every call of a global with an argument. It may raise. */
void chunk_walk_handles(struct chunk_function *f,
                        void (*on_fact)(void *context, const struct chunk_fact *fact),
                        void *context);

#endif
