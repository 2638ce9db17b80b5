/* The judge's parser: the grammar of a real server, without a server. */
#include "pgquery.h"

#include <pg_query.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The library writes its tree down by recursion and looks at no limit: "1+1+1…" took 64 bytes of stack
   a byte of text where it was measured. A short text fits into anybody's stack; a long one gets a stack
   made for it. */
enum { SHORT_TEXT = 16384, STACK_PER_BYTE = 192, LEAST_STACK = 1 << 20 };

struct work {
  const char *text;
  char *tree, *error;
  int position;
};

static void parse_here(struct work *work) {
  PgQueryParseResult result = pg_query_parse(work->text);
  if (result.error != NULL) {
    work->error = strdup(result.error->message != NULL ? result.error->message : "syntax error");
    work->position = result.error->cursorpos;
  } else {
    work->tree = strdup(result.parse_tree);
  }
  pg_query_free_parse_result(result);
}

static void *parse_there(void *work) {
  parse_here(work);
  return NULL;
}

/* Signals stay with the thread that waits for them. */
static bool parse_beside(struct work *work, size_t len) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  if (pthread_attr_init(&attributes) != 0) return false;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started =
      pthread_attr_setstacksize(&attributes, LEAST_STACK + len * STACK_PER_BYTE) == 0 &&
      pthread_create(&thread, &attributes, parse_there, work) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return started && pthread_join(thread, NULL) == 0;
}

static char *parse(const char *text, char **error, int *position) {
  struct work work = {.text = text};
  size_t len = strlen(text);
  if (len <= SHORT_TEXT) parse_here(&work);
  else if (len > PGQUERY_LONGEST)
    work.error = strdup("the statement is longer than 1 MiB");
  else if (!parse_beside(&work, len))
    work.error = strdup("there is no memory for a statement of this length");
  *error = work.error;
  *position = work.position;
  return work.tree;
}

static void release(char *text) { free(text); }

extern const struct pgquery_api opsrun_pgquery_api;
const struct pgquery_api opsrun_pgquery_api = {.parse = parse, .release = release};
