/* The judge's parser: the grammar of a real server, without a server. */
#include "pgquery.h"

#include <pg_query.h>
#include <stdlib.h>
#include <string.h>

static char *parse(const char *text, char **error, int *position) {
  PgQueryParseResult result = pg_query_parse(text);
  char *tree = NULL;
  *error = NULL;
  *position = 0;
  if (result.error != NULL) {
    *error = strdup(result.error->message != NULL ? result.error->message : "syntax error");
    *position = result.error->cursorpos;
  } else {
    tree = strdup(result.parse_tree);
  }
  pg_query_free_parse_result(result);
  return tree;
}

static void release(char *text) { free(text); }

extern const struct pgquery_api opsrun_pgquery_api;
const struct pgquery_api opsrun_pgquery_api = {.parse = parse, .release = release};
