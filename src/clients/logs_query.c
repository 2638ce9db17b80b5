/* One query over all files: does a line match, and what is counted of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "logs_internal.h"

enum { MATCH_LIMIT = 1000000, VALUE_MOST = 300, LINE_MOST = 4096, HEAP_KIB = 20000 };

bool logs_tally_open(struct logs_tally *tally, struct logs_job *job,
                     const struct logs_query *query) {
  memset(tally, 0, sizeof *tally);
  tally->query = query;
  if (query->regex != NULL) {
    int error;
    PCRE2_SIZE at;
    uint32_t options = query->ignore_case ? PCRE2_CASELESS : 0;
    tally->code = pcre2_compile((PCRE2_SPTR)query->regex, PCRE2_ZERO_TERMINATED, options, &error,
                                &at, NULL);
    if (tally->code == NULL) {
      PCRE2_UCHAR text[200];
      pcre2_get_error_message(error, text, sizeof text);
      work_fail(&job->work, OP_NOT_SENT, "regex", "'%s': regex '%s': %s at character %zu",
                query->name, query->regex, (const char *)text, (size_t)at + 1);
      return false;
    }
    pcre2_jit_compile(tally->code, PCRE2_JIT_COMPLETE); /* without it the interpreter matches */
    tally->match = pcre2_match_data_create_from_pattern(tally->code, NULL);
    tally->context = pcre2_match_context_create(NULL);
    if (tally->match == NULL || tally->context == NULL) tally->failed = true;
    else {
      pcre2_set_match_limit(tally->context, MATCH_LIMIT);
      pcre2_set_heap_limit(tally->context, HEAP_KIB);
    }
  }
  if (query->per > 0) {
    double buckets = ceil((job->request.to - job->request.from) / query->per);
    tally->series_count = buckets >= 1 && buckets <= logs_most_series ? (size_t)buckets : 1;
    tally->series = calloc(tally->series_count, sizeof *tally->series);
    tally->failed = tally->failed || tally->series == NULL;
  }
  if (query->tail > 0) {
    tally->tail = calloc((size_t)query->tail, sizeof *tally->tail);
    tally->failed = tally->failed || tally->tail == NULL;
  }
  if (tally->failed) work_fail(&job->work, OP_FAILED, "memory", "out of memory");
  return !tally->failed;
}

/* -- matching ---------------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool holds_ignoring_case(struct span text, const char *needle, size_t len) {
  for (size_t i = 0; i + len <= text.len; i++) {
    size_t j = 0;
    while (j < len && lower(text.at[i + j]) == lower(needle[j])) j++;
    if (j == len) return true;
  }
  return false;
}

static bool holds_literal(const struct logs_query *query, struct span text) {
  for (size_t i = 0; i < query->literal_count; i++) {
    const char *needle = query->literals[i];
    size_t len = query->literal_lens[i];
    if (query->ignore_case ? holds_ignoring_case(text, needle, len)
                           : logs_find(text.at, text.at + text.len, needle, len) != NULL)
      return true;
  }
  return query->literal_count == 0;
}

static bool fits_regex(struct logs_tally *tally, struct span text) {
  if (tally->code == NULL) return true;
  int found = pcre2_match(tally->code, (PCRE2_SPTR)text.at, text.len, 0, 0, tally->match,
                          tally->context);
  if (found >= 0) return true;
  if (found != PCRE2_ERROR_NOMATCH) tally->gave_up++; /* a limit: nobody knows */
  return false;
}

static bool fits_field(const struct logs_query *query, struct span value) {
  double number;
  if (query->equals != NULL &&
      (strlen(query->equals) != value.len || memcmp(query->equals, value.at, value.len) != 0))
    return false;
  if (!query->has_above && !query->has_below) return true;
  return logs_number(value, &number) && !(query->has_above && number <= query->above) &&
         !(query->has_below && number >= query->below);
}

static bool is_match(struct logs_tally *tally, const struct logs_reader *reader,
                     struct span line) {
  const struct logs_query *query = tally->query;
  struct span text = line;
  if (query->field != NULL) {
    if (!logs_line_field(reader, line, query->field, &text) || !fits_field(query, text))
      return false;
  }
  tally->text = text;
  return holds_literal(query, text) && fits_regex(tally, text);
}

bool logs_tally_matches(struct logs_tally *tally, const struct logs_reader *reader,
                        struct span line) {
  return is_match(tally, reader, line) != tally->query->invert;
}

/* -- counting ---------------------------------------------------------------------------------- */

static uint64_t hash_of(const char *bytes, size_t len) {
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
  return hash ^ (hash >> 29);
}

static bool grow_groups(struct logs_tally *tally) {
  size_t capacity = tally->group_capacity == 0 ? 64 : tally->group_capacity * 2;
  struct logs_group *groups = calloc(capacity, sizeof *groups);
  if (groups == NULL) {
    tally->failed = true;
    return false;
  }
  for (size_t i = 0; i < tally->group_capacity; i++) {
    if (tally->groups[i].value == NULL) continue;
    size_t at = tally->groups[i].hash & (capacity - 1);
    while (groups[at].value != NULL) at = (at + 1) & (capacity - 1);
    groups[at] = tally->groups[i];
  }
  free(tally->groups);
  tally->groups = groups;
  tally->group_capacity = capacity;
  return true;
}

static void count_group(struct logs_tally *tally, struct span value) {
  char text[VALUE_MOST];
  size_t len = value.len < VALUE_MOST ? value.len : VALUE_MOST, used = 0;
  for (size_t i = 0; i < len; i++) {
    bool digit = tally->query->shape && value.at[i] >= '0' && value.at[i] <= '9';
    if (digit && used > 0 && text[used - 1] == '#') continue;
    text[used++] = digit ? '#' : value.at[i];
  }
  uint64_t hash = hash_of(text, used);
  if (tally->group_count * 2 >= tally->group_capacity && !grow_groups(tally)) return;
  size_t at = hash & (tally->group_capacity - 1);
  for (; tally->groups[at].value != NULL; at = (at + 1) & (tally->group_capacity - 1)) {
    struct logs_group *group = &tally->groups[at];
    if (group->hash != hash || group->len != used || memcmp(group->value, text, used) != 0)
      continue;
    group->count++;
    return;
  }
  if (tally->group_count == logs_most_groups) {
    tally->others++;
    return;
  }
  struct logs_group *group = &tally->groups[at];
  group->value = malloc(used + 1);
  if (group->value == NULL) {
    tally->failed = true;
    return;
  }
  memcpy(group->value, text, used);
  group->len = used;
  group->hash = hash;
  group->count = 1;
  tally->group_count++;
}

static bool group_value(const struct logs_tally *tally, const struct logs_reader *reader,
                        struct span line, struct span *value) {
  const char *group = tally->query->group;
  if (group[0] != '#') return logs_line_field(reader, line, group, value);
  if (tally->code == NULL || tally->query->invert) return false;
  struct span text = tally->text;
  uint32_t number = (uint32_t)strtoul(group + 1, NULL, 10);
  const PCRE2_SIZE *places = pcre2_get_ovector_pointer(tally->match);
  if (number >= pcre2_get_ovector_count(tally->match) || places[2 * number] == PCRE2_UNSET)
    return false;
  *value = (struct span){text.at + places[2 * number], places[2 * number + 1] - places[2 * number]};
  return true;
}

static void keep_tail(struct logs_tally *tally, struct span line) {
  size_t len = line.len < LINE_MOST ? line.len : LINE_MOST;
  struct span *slot = &tally->tail[tally->tail_next];
  char *copy = realloc((char *)slot->at, len + 1);
  if (copy == NULL) {
    tally->failed = true;
    return;
  }
  slot->at = copy;
  slot->len = len;
  memcpy(copy, line.at, len);
  tally->tail_next = (tally->tail_next + 1) % (size_t)tally->query->tail;
}

/* `time` counts from the begin of the window. */
void logs_tally_count(struct logs_tally *tally, const struct logs_reader *reader, struct span line,
                      double time) {
  const struct logs_query *query = tally->query;
  struct span value;
  double number;
  tally->count++;
  if (query->field != NULL && !query->invert && logs_number(tally->text, &number)) {
    if (tally->values == 0 || number < tally->min) tally->min = number;
    if (tally->values == 0 || number > tally->max) tally->max = number;
    tally->sum += number;
    tally->values++;
  }
  if (query->group != NULL) {
    if (group_value(tally, reader, line, &value)) count_group(tally, value);
    else tally->others++;
  }
  if (tally->series != NULL && time >= 0) {
    double bucket = floor(time / query->per);
    if (bucket < (double)tally->series_count) tally->series[(size_t)bucket]++;
  }
  if (tally->tail != NULL) keep_tail(tally, line);
}

/* -- the answer -------------------------------------------------------------------------------- */

static int most_first(const void *a, const void *b) {
  const struct logs_group *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  size_t len = x->len < y->len ? x->len : y->len;
  int order = memcmp(x->value, y->value, len);
  return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static void push_groups(struct logs_tally *tally, struct answer *answer) {
  size_t count = 0;
  for (size_t i = 0; i < tally->group_capacity; i++)
    if (tally->groups[i].value != NULL) {
      struct logs_group group = tally->groups[i];
      tally->groups[i].value = NULL;
      tally->groups[count++] = group;
    }
  if (count > 0) qsort(tally->groups, count, sizeof *tally->groups, most_first);
  answer_key(answer, "groups");
  answer_open(answer, '[');
  for (size_t i = 0; i < count; i++) {
    struct logs_group *group = &tally->groups[i];
    if (tally->query->top > 0 && i >= (size_t)tally->query->top) {
      tally->others += group->count;
      continue;
    }
    answer_open(answer, '{');
    answer_key(answer, "value");
    answer_string(answer, group->value, group->len);
    answer_field_integer(answer, "count", group->count);
    answer_close(answer, '}');
  }
  answer_close(answer, ']');
  answer_field_integer(answer, "others", tally->others);
  answer_field_integer(answer, "distinct", (int64_t)count);
}

static void push_lists(struct logs_tally *tally, struct answer *answer) {
  if (tally->series != NULL) {
    answer_key(answer, "series");
    answer_open(answer, '[');
    for (size_t i = 0; i < tally->series_count; i++) answer_integer(answer, tally->series[i]);
    answer_close(answer, ']');
  }
  if (tally->tail == NULL) return;
  answer_key(answer, "tail");
  answer_open(answer, '[');
  for (size_t i = 0; i < (size_t)tally->query->tail; i++) {
    struct span line = tally->tail[(tally->tail_next + i) % (size_t)tally->query->tail];
    if (line.at != NULL) answer_string(answer, line.at, line.len);
  }
  answer_close(answer, ']');
}

void logs_tally_push(struct logs_tally *tally, struct answer *answer) {
  answer_open(answer, '{');
  answer_field_text(answer, "name", tally->query->name);
  answer_field_integer(answer, "count", tally->count);
  if (tally->gave_up > 0) answer_field_integer(answer, "gave_up", tally->gave_up);
  if (tally->query->group != NULL) push_groups(tally, answer);
  push_lists(tally, answer);
  if (tally->values > 0) {
    answer_field_integer(answer, "values", tally->values);
    answer_field_number(answer, "min", tally->min);
    answer_field_number(answer, "max", tally->max);
    answer_field_number(answer, "sum", tally->sum);
  }
  answer_close(answer, '}');
}

void logs_tally_close(struct logs_tally *tally) {
  for (size_t i = 0; i < tally->group_capacity; i++) free(tally->groups[i].value);
  for (size_t i = 0; tally->tail != NULL && i < (size_t)tally->query->tail; i++)
    free((char *)tally->tail[i].at);
  free(tally->groups);
  free(tally->series);
  free(tally->tail);
  pcre2_match_data_free(tally->match);
  pcre2_match_context_free(tally->context);
  pcre2_code_free(tally->code);
}
