/* The pass over the files: which they are, block after block, candidates by their literals first,
   the time of a line only when it matched. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "logs_internal.h"

enum { BLOCK = 512 * 1024, LOOK_BACK = 2000, SAMPLE = 500, FILES_MOST = 10000, SLACK = 3600 };

struct log_file {
  char *path;
  struct stat facts;
};

struct scan {
  struct logs_job *job;
  struct logs_tally *tallies;
  struct log_file *files;
  size_t file_count, file_capacity, read_count;
  struct answer read, skipped, unread;
  size_t skipped_count, unread_count;
  char unread_first[600];
  int64_t lines, bytes, undated;
  char *buffer;
  /* of the file at hand */
  struct logs_reader reader;
  double before;       /* the time of the last dated line above the block */
  const char *known_at; /* a line of the block whose time was asked for before */
  double known_time;
  double first, last;  /* times seen */
  int64_t file_lines, file_bytes;
};

static void note_unread(struct scan *scan, const char *path, const char *reason) {
  if (scan->unread_count++ == 0)
    snprintf(scan->unread_first, sizeof scan->unread_first, "'%s': %s", path, reason);
  answer_open(&scan->unread, '{');
  answer_field_text(&scan->unread, "path", path);
  answer_field_text(&scan->unread, "reason", reason);
  answer_close(&scan->unread, '}');
}

/* -- which files ------------------------------------------------------------------------------- */

static void add_file(struct scan *scan, const char *path) {
  struct stat facts;
  if (stat(path, &facts) != 0) {
    note_unread(scan, path, strerror(errno));
    return;
  }
  if (S_ISDIR(facts.st_mode)) return;
  for (size_t i = 0; i < scan->file_count; i++) /* two patterns, or a link, name the same file */
    if (scan->files[i].facts.st_ino == facts.st_ino && scan->files[i].facts.st_dev == facts.st_dev)
      return;
  if (scan->file_count == scan->file_capacity) {
    size_t capacity = scan->file_capacity == 0 ? 32 : scan->file_capacity * 2;
    struct log_file *grown = realloc(scan->files, capacity * sizeof *grown);
    if (grown == NULL) {
      work_fail(&scan->job->work, OP_FAILED, "memory", "out of memory");
      return;
    }
    scan->files = grown;
    scan->file_capacity = capacity;
  }
  char *copy = strdup(path);
  if (copy == NULL) work_fail(&scan->job->work, OP_FAILED, "memory", "out of memory");
  else scan->files[scan->file_count++] = (struct log_file){copy, facts};
}

/* Oldest first, so that the last lines come last. */
static int by_time(const void *a, const void *b) {
  const struct log_file *x = a, *y = b;
  if (x->facts.st_mtim.tv_sec != y->facts.st_mtim.tv_sec)
    return x->facts.st_mtim.tv_sec < y->facts.st_mtim.tv_sec ? -1 : 1;
  if (x->facts.st_mtim.tv_nsec != y->facts.st_mtim.tv_nsec)
    return x->facts.st_mtim.tv_nsec < y->facts.st_mtim.tv_nsec ? -1 : 1;
  return strcmp(y->path, x->path); /* app.log.2 before app.log.1 */
}

static void find_files(struct scan *scan) {
  const struct logs_request *request = &scan->job->request;
  for (size_t i = 0; i < request->path_count && !scan->job->work.failed; i++) {
    glob_t found;
    int code = glob(request->paths[i], GLOB_NOSORT, NULL, &found);
    if (code != 0) {
      note_unread(scan, request->paths[i],
                  code == GLOB_NOMATCH ? "no such file" : "cannot be read");
      continue;
    }
    if (found.gl_pathc > FILES_MOST)
      work_fail(&scan->job->work, OP_FAILED, "too many", "'%s' matches more than %d files",
                request->paths[i], FILES_MOST);
    for (size_t j = 0; j < found.gl_pathc && !scan->job->work.failed; j++)
      add_file(scan, found.gl_pathv[j]);
    globfree(&found);
  }
  if (scan->file_count > 0) qsort(scan->files, scan->file_count, sizeof *scan->files, by_time);
}

/* -- lines ------------------------------------------------------------------------------------- */

struct block {
  const char *begin, *end; /* whole lines; the last one may lack its '\n' */
};

/* The line that holds `at`. */
static struct span line_at(struct block block, const char *at, const char **next) {
  const char *from = at;
  if (at > block.begin) {
    const char *before = memrchr(block.begin, '\n', (size_t)(at - block.begin));
    from = before != NULL ? before + 1 : block.begin;
  }
  const char *stop = memchr(at, '\n', (size_t)(block.end - at));
  *next = stop != NULL ? stop + 1 : block.end;
  if (stop == NULL) stop = block.end;
  if (stop > from && stop[-1] == '\r') stop--;
  return (struct span){from, (size_t)(stop - from)};
}

/* The time of the line, else of the nearest dated one above it. */
static double time_of(struct scan *scan, struct block block, struct span line) {
  const char *asked = line.at;
  double time = logs_line_time(&scan->reader, line);
  for (int i = 0; time == LOGS_NO_TIME && line.at > block.begin && i < LOOK_BACK; i++) {
    const char *next;
    line = line_at(block, line.at - 1, &next);
    time = line.at == scan->known_at ? scan->known_time : logs_line_time(&scan->reader, line);
  }
  if (time == LOGS_NO_TIME) time = scan->before;
  scan->known_at = asked;
  scan->known_time = time;
  return time;
}

static void judge(struct scan *scan, struct logs_tally *tally, struct block block,
                  struct span line) {
  const struct logs_request *request = &scan->job->request;
  if (!logs_tally_matches(tally, &scan->reader, line)) return;
  double since = -1;
  if (request->has_window) {
    double time = time_of(scan, block, line);
    if (time == LOGS_NO_TIME) scan->undated++;
    if (!(time >= request->from && time < request->to)) return;
    since = time - request->from;
  }
  logs_tally_count(tally, &scan->reader, line, since);
}

static void judge_all(struct scan *scan, struct logs_tally *tally, struct block block) {
  int since = 0;
  for (const char *at = block.begin; at < block.end;) {
    const char *next;
    struct span line = line_at((struct block){at, block.end}, at, &next);
    if (line.len > 0) judge(scan, tally, block, line);
    at = next;
    if (++since % 1024 == 0 && work_stopped(&scan->job->work)) return;
  }
}

/* Only lines that hold one of the literals: the nearest of their next places, again and again. */
static void judge_candidates(struct scan *scan, struct logs_tally *tally, struct block block) {
  const struct logs_query *query = tally->query;
  const char *places[logs_most_literals];
  struct span wanted[logs_most_literals];
  size_t count = query->literal_count;
  for (size_t i = 0; i < count; i++)
    wanted[i] = (struct span){query->literals[i], query->literal_lens[i]};
  if (count == 0) /* the field's exact value must be in the line, too */
    wanted[count++] = (struct span){query->equals, strlen(query->equals)};
  for (size_t i = 0; i < count; i++)
    places[i] = logs_find(block.begin, block.end, wanted[i].at, wanted[i].len);
  for (;;) {
    const char *nearest = NULL, *next;
    for (size_t i = 0; i < count; i++)
      if (places[i] != NULL && (nearest == NULL || places[i] < nearest)) nearest = places[i];
    if (nearest == NULL || work_stopped(&scan->job->work)) return;
    judge(scan, tally, block, line_at(block, nearest, &next));
    for (size_t i = 0; i < count; i++)
      if (places[i] != NULL && places[i] < next)
        places[i] = logs_find(next, block.end, wanted[i].at, wanted[i].len);
  }
}

/* The first (or last) time in the block, looking at so many lines. */
static double first_time(struct scan *scan, struct block block) {
  const char *at = block.begin;
  for (int i = 0; i < SAMPLE && at < block.end; i++) {
    const char *next;
    double time =
        logs_line_time(&scan->reader, line_at((struct block){at, block.end}, at, &next));
    if (time != LOGS_NO_TIME) return time;
    at = next;
  }
  return LOGS_NO_TIME;
}

static void scan_block(struct scan *scan, struct block block) {
  scan->known_at = NULL;
  scan->file_lines += logs_count_lines(block.begin, block.end) + (block.end[-1] != '\n');
  for (size_t i = 0; i < scan->job->request.query_count; i++) {
    struct logs_tally *tally = &scan->tallies[i];
    const struct logs_query *query = tally->query;
    bool literal = query->literal_count > 0 || (query->equals != NULL && query->equals[0] != '\0');
    if (literal && !query->ignore_case && !query->invert) judge_candidates(scan, tally, block);
    else judge_all(scan, tally, block);
  }
  const char *next, *last = block.end - 1;
  struct span line = line_at(block, *last == '\n' && last > block.begin ? last - 1 : last, &next);
  scan->before = time_of(scan, block, line);
  if (scan->before != LOGS_NO_TIME) scan->last = scan->before;
}

/* What the first lines say: the format, whether there are times. False: the file is not read. */
static bool begin_file(struct scan *scan, struct block block, const char **why) {
  const char *next, *at = block.begin;
  struct span line = {block.begin, 0};
  while (at < block.end && line.len == 0) {
    line = line_at((struct block){at, block.end}, at, &next);
    at = next;
  }
  if (scan->reader.format == LOGS_AUTO) scan->reader.format = logs_guess_format(line);
  scan->first = first_time(scan, block);
  if (scan->first != LOGS_NO_TIME || !scan->job->request.has_window || line.len == 0) return true;
  *why = "no time was recognised in its lines";
  return false;
}

/* -- files ------------------------------------------------------------------------------------- */

/* Reads to the end. False: *why; what came before is counted. */
static bool read_blocks(struct scan *scan, struct logs_stream *stream, const char **why) {
  size_t len = 0;
  bool begun = false, too_long = false; /* too_long: the rest of a line is passed over */
  for (;;) {
    ssize_t got = logs_stream_read(stream, scan->buffer + len, BLOCK - len, why);
    if (got < 0 || work_stopped(&scan->job->work)) return got >= 0;
    len += (size_t)got;
    scan->file_bytes += got;
    char *last = len > 0 ? memrchr(scan->buffer, '\n', len) : NULL;
    size_t whole = last != NULL ? (size_t)(last - scan->buffer) + 1 : 0;
    if (got == 0 || (whole == 0 && len == BLOCK)) whole = len;
    else if (whole == 0) continue;
    struct block block = {scan->buffer, scan->buffer + whole};
    if (too_long && whole > 0) {
      const char *stop = memchr(block.begin, '\n', whole);
      block.begin = stop != NULL ? stop + 1 : block.end;
    }
    if (whole > 0) too_long = block.end[-1] != '\n';
    if (block.begin < block.end) {
      if (!begun && !begin_file(scan, block, why)) return false;
      begun = true;
      scan_block(scan, block);
    }
    memmove(scan->buffer, scan->buffer + whole, len - whole);
    len -= whole;
    if (got == 0) return true;
  }
}

static void push_file(struct scan *scan, const struct log_file *file) {
  answer_open(&scan->read, '{');
  answer_field_text(&scan->read, "path", file->path);
  answer_field_integer(&scan->read, "bytes", scan->file_bytes);
  answer_field_integer(&scan->read, "lines", scan->file_lines);
  if (scan->first != LOGS_NO_TIME) answer_field_number(&scan->read, "first", scan->first);
  if (scan->last != LOGS_NO_TIME) answer_field_number(&scan->read, "last", scan->last);
  answer_close(&scan->read, '}');
  scan->lines += scan->file_lines;
  scan->bytes += scan->file_bytes;
  scan->read_count++;
}

static void scan_file(struct scan *scan, const struct log_file *file) {
  const struct logs_request *request = &scan->job->request;
  double mtime = (double)file->facts.st_mtim.tv_sec + (double)file->facts.st_mtim.tv_nsec / 1e9;
  if (request->has_window && mtime + SLACK < request->from) {
    scan->skipped_count++;
    answer_text(&scan->skipped, file->path);
    return;
  }
  scan->reader = (struct logs_reader){
      .format = request->format,
      .clock = {request->zones, request->zone_count, mtime},
      .time_field = request->time_field,
  };
  scan->before = scan->first = scan->last = LOGS_NO_TIME;
  scan->file_lines = scan->file_bytes = 0;
  const char *why = NULL;
  struct logs_stream *stream = logs_stream_open(file->path, &why);
  bool good = stream != NULL && read_blocks(scan, stream, &why);
  logs_stream_close(stream);
  if (good || scan->file_lines > 0) push_file(scan, file);
  if (!good) note_unread(scan, file->path, why != NULL ? why : "cannot be read");
}

static void push_list(struct answer *answer, const char *name, const struct answer *list) {
  answer_key(answer, name);
  answer_open(answer, '[');
  answer_bytes(answer, list->data, list->len);
  answer_close(answer, ']');
}

static void push_scan(struct scan *scan) {
  struct answer *answer = &scan->job->work.answer;
  answer_open(answer, '{');
  answer_key(answer, "queries");
  answer_open(answer, '[');
  for (size_t i = 0; i < scan->job->request.query_count; i++)
    logs_tally_push(&scan->tallies[i], answer);
  answer_close(answer, ']');
  push_list(answer, "files", &scan->read);
  push_list(answer, "skipped", &scan->skipped);
  push_list(answer, "unread", &scan->unread);
  answer_field_integer(answer, "lines", scan->lines);
  answer_field_integer(answer, "bytes", scan->bytes);
  answer_field_integer(answer, "undated", scan->undated);
  answer_close(answer, '}');
}

static void run_scan(struct scan *scan) {
  struct logs_job *job = scan->job;
  for (size_t i = 0; i < job->request.query_count; i++)
    if (!logs_tally_open(&scan->tallies[i], job, &job->request.queries[i])) return;
  find_files(scan);
  for (size_t i = 0; i < scan->file_count; i++) {
    if (job->work.failed || work_stopped(&job->work)) break;
    scan_file(scan, &scan->files[i]);
  }
  bool failed = scan->read.failed || scan->unread.failed || scan->skipped.failed;
  for (size_t i = 0; i < job->request.query_count; i++)
    failed = failed || scan->tallies[i].failed;
  if (work_stopped(&job->work)) work_fail_stopped(&job->work, OP_FAILED);
  else if (failed) work_fail(&job->work, OP_FAILED, "memory", "out of memory");
  else if (scan->read_count == 0 && scan->skipped_count == 0)
    work_fail(&job->work, OP_FAILED, scan->file_count == 0 ? "missing" : "unread",
              "no log file could be read: %s", scan->unread_first);
  else push_scan(scan);
}

void logs_scan(struct logs_job *job) {
  struct scan scan = {.job = job};
  scan.buffer = malloc(BLOCK);
  scan.tallies = calloc(job->request.query_count + 1, sizeof *scan.tallies);
  if (scan.buffer == NULL || scan.tallies == NULL)
    work_fail(&job->work, OP_FAILED, "memory", "out of memory");
  else run_scan(&scan);
  for (size_t i = 0; scan.tallies != NULL && i < job->request.query_count; i++)
    logs_tally_close(&scan.tallies[i]);
  for (size_t i = 0; i < scan.file_count; i++) free(scan.files[i].path);
  free(scan.files);
  free(scan.tallies);
  free(scan.buffer);
  answer_drop(&scan.read);
  answer_drop(&scan.skipped);
  answer_drop(&scan.unread);
}
