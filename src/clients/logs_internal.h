/* Shared by the parts of the logs client. */
#ifndef OPSRUN_CLIENT_LOGS_INTERNAL_H
#define OPSRUN_CLIENT_LOGS_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <math.h>
#include <pcre2.h>
#include <sys/types.h>

#include "../loop/work.h"
#include "logs.h"

struct span {
  const char *at;
  size_t len;
};

#define LOGS_NO_TIME (-HUGE_VAL)

/* -- logs_stream.c: the bytes of a file, decompressed */

struct logs_stream;

/* Opens and finds out how it is compressed. NULL: *why (static or strerror's) says it. */
struct logs_stream *logs_stream_open(const char *path, const char **why);
/* Up to `room` bytes; 0 at the end; -1: *why. */
ssize_t logs_stream_read(struct logs_stream *stream, char *buffer, size_t room, const char **why);
void logs_stream_close(struct logs_stream *stream);

/* -- logs_time.c */

struct logs_clock {
  const struct logs_zone *zones;
  size_t zone_count;
  double file_mtime; /* gives lines without a year theirs */
};

/* The time a text begins with (ISO 8601, syslog, nginx, apache, redis, epoch), or LOGS_NO_TIME.
   *used: bytes of it. */
double logs_parse_time(const struct logs_clock *clock, struct span text, size_t *used);

/* A number of seconds, ms, µs or ns since 1970, by its size. */
double logs_epoch_time(double value);

/* -- logs_fields.c */

struct logs_reader {
  enum logs_format format;
  struct logs_clock clock;
  const char *time_field; /* the given one, or the one that was found last */
};

/* json, nginx or plain, by the look of a line. */
enum logs_format logs_guess_format(struct span line);

double logs_line_time(struct logs_reader *reader, struct span line);

/* The value of a field, without quotes; escapes in it are left as they are. False: it has none. */
bool logs_line_field(const struct logs_reader *reader, struct span line, const char *name,
                     struct span *value);

/* A number that the whole value is. */
bool logs_number(struct span value, double *number);

/* -- logs_search.c */

/* The first place of `needle` (at least one byte) at or after `from`, or NULL. */
const char *logs_find(const char *from, const char *end, const char *needle, size_t len);
int64_t logs_count_lines(const char *from, const char *end);

/* -- logs_query.c: one query's state over all files */

struct logs_group {
  char *value;
  size_t len;
  uint64_t hash;
  int64_t count;
};

struct logs_tally {
  const struct logs_query *query;
  pcre2_code *code;
  pcre2_match_data *match;
  pcre2_match_context *context;
  struct span text; /* what the last match was made against: the field's value, or the line */
  int64_t count, gave_up, values, others;
  double min, max, sum;
  struct logs_group *groups; /* open addressing */
  size_t group_capacity, group_count;
  int64_t *series;
  size_t series_count;
  struct span *tail;         /* ring; owned lines */
  size_t tail_next;
  bool failed;               /* out of memory */
};

struct logs_job;

/* Compiles the expression, makes room. False: the job has failed. */
bool logs_tally_open(struct logs_tally *tally, struct logs_job *job,
                     const struct logs_query *query);
/* The query's own test, without the time. */
bool logs_tally_matches(struct logs_tally *tally, const struct logs_reader *reader,
                        struct span line);
/* Counts a line that matched. */
void logs_tally_count(struct logs_tally *tally, const struct logs_reader *reader, struct span line,
                      double time);
void logs_tally_push(struct logs_tally *tally, struct answer *answer);
void logs_tally_close(struct logs_tally *tally);

/* -- logs_scan.c */

struct logs_job {
  struct work work;
  struct logs_request request; /* its pointers point into `memory` */
  char *memory;
};

void logs_scan(struct logs_job *job);

#endif
