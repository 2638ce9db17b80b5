/* Logs: one pass over large, rotated and compressed files, away from the loop, in constant memory.
   The answer is JSON text. No lua.h.
 *
 *   {queries: [{name, count, gave_up, groups: [{value, count}], others, distinct,
 *               series: [count, …], tail: ["line", …], values, min, max, sum}],
 *    files: [{path, bytes, lines, first, last}], skipped: ["path", …],
 *    unread: [{path, reason}], lines, bytes, undated}
 *
 * A line without a time of its own belongs to the line above it (a stack trace to its error). */
#ifndef OPSRUN_CLIENT_LOGS_H
#define OPSRUN_CLIENT_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../loop/op.h"

enum {
  logs_most_paths = 64,
  logs_most_queries = 64,
  logs_most_literals = 32,
  logs_most_zones = 400,
  logs_most_series = 20000,
  logs_most_tail = 10000,
  logs_most_groups = 10000 /* distinct values that are counted; more go to `others` */
};

enum logs_format { LOGS_AUTO, LOGS_JSON, LOGS_NGINX, LOGS_PLAIN };

/* From this moment (seconds since 1970) on, local time is `offset` seconds east of UTC. */
struct logs_zone {
  double since;
  int offset;
};

struct logs_query {
  const char *name;
  const char *literals[logs_most_literals]; /* any of these bytes … */
  size_t literal_lens[logs_most_literals], literal_count;
  const char *regex;   /* … and this regular expression; NULL: none */
  bool ignore_case;
  bool invert;         /* only lines of which this is not true */
  const char *field;   /* literals and regex look at this field only; the line must have it */
  const char *equals;  /* the field is exactly this; NULL: any */
  bool has_above, has_below;
  double above, below; /* the field is a number beyond */
  const char *group;   /* counted by this field's values; "#1" by the expression's first capture */
  bool shape;          /* digits of a group's value become # */
  int64_t top;         /* so many groups */
  double per;          /* seconds of a bucket of the series; 0: none */
  int64_t tail;        /* so many last lines */
};

struct logs_request {
  const char *paths[logs_most_paths]; /* absolute, may hold wildcards */
  size_t path_count;
  enum logs_format format;
  const char *time_field; /* of JSON; NULL: the usual names */
  bool has_window;
  double from, to;        /* half-open, seconds since 1970 */
  const struct logs_zone *zones; /* by `since`; the first also counts before it */
  size_t zone_count;
  const struct logs_query *queries;
  size_t query_count;
  uint64_t timeout_ms;
};

struct logs_api {
  /* Starts the scan; everything is copied. NULL: out of memory. */
  struct op *(*start)(const struct logs_request *request);
  /* The text of a finished operation, valid until it is destroyed. */
  const char *(*answer)(const struct op *op, size_t *len);
};

extern const struct logs_api opsrun_logs_api;

#endif
