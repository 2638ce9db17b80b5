/* PostgreSQL's own parser (libpg_query), in the module opsrun-pgquery.so as `opsrun_pgquery_api`. */
#ifndef OPSRUN_CLIENT_PGQUERY_H
#define OPSRUN_CLIENT_PGQUERY_H

/* Bytes of the longest text that is parsed. */
enum { PGQUERY_LONGEST = 1 << 20 };

struct pgquery_api {
  /* Parses SQL text. Returns the parse tree as JSON text; or NULL with *error (text) and *position
     (in characters from 1, 0 unknown) set. Both texts are freed with `release`. */
  char *(*parse)(const char *text, char **error, int *position);
  void (*release)(char *text);
};

#endif
