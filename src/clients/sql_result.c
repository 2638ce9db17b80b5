/* Results copied out of libpq: columns, packed rows, command tags, errors. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "sql_internal.h"

static char *copy_text(const char *text) { return text != NULL ? strdup(text) : NULL; }

bool result_set_columns(struct sql_result *result, const PGresult *res) {
  if (result->columns != NULL) return true;
  int count = PQnfields(res);
  if (count <= 0) return true;
  result->columns = calloc((size_t)count, sizeof *result->columns);
  if (result->columns == NULL) return false;
  for (int i = 0; i < count; i++) {
    struct sql_column *column = &result->columns[i];
    column->name = copy_text(PQfname(res, i));
    if (column->name == NULL) return false;
    column->type = PQftype(res, i);
    column->modifier = PQfmod(res, i);
    result->column_count = i + 1;
  }
  return true;
}

static bool reserve(struct sql_result *result, size_t extra) {
  if (extra <= result->capacity - result->used) return true;
  size_t wanted = result->capacity < 1024 ? 1024 : result->capacity;
  while (wanted - result->used < extra) {
    if (wanted > SIZE_MAX / 2) return false;
    wanted *= 2;
  }
  char *grown = realloc(result->data, wanted);
  if (grown == NULL) return false;
  result->data = grown;
  result->capacity = wanted;
  return true;
}

bool result_add_row(struct sql_result *result, const PGresult *res, int row) {
  size_t before = result->used;
  for (int i = 0; i < result->column_count; i++) {
    bool null = PQgetisnull(res, row, i) != 0;
    int32_t length = null ? -1 : PQgetlength(res, row, i);
    size_t bytes = null ? 0 : (size_t)length;
    if (!reserve(result, sizeof length + bytes + 1)) {
      result->used = before;
      return false;
    }
    memcpy(result->data + result->used, &length, sizeof length);
    result->used += sizeof length;
    if (!null) memcpy(result->data + result->used, PQgetvalue(res, row, i), bytes);
    result->used += bytes;
    result->data[result->used++] = '\0';
  }
  result->row_count++;
  return true;
}

void result_set_tag(struct sql_result *result, PGresult *res) {
  const char *tag = PQcmdStatus(res);
  const char *affected = PQcmdTuples(res);
  size_t length = tag != NULL ? strnlen(tag, sizeof result->tag - 1) : 0;
  if (length > 0) memcpy(result->tag, tag, length);
  result->tag[length] = '\0';
  result->affected = affected != NULL && affected[0] != '\0' ? strtoll(affected, NULL, 10) : -1;
  result->has_answer = true;
}

bool result_set_description(struct sql_result *result, const PGresult *res) {
  if (!result_set_columns(result, res)) return false;
  int count = PQnparams(res);
  if (count > 0) {
    result->parameters = calloc((size_t)count, sizeof *result->parameters);
    if (result->parameters == NULL) return false;
    for (int i = 0; i < count; i++) result->parameters[i] = PQparamtype(res, i);
    result->parameter_count = count;
  }
  result->has_answer = true;
  return true;
}

void result_clear_rows(struct sql_result *result) {
  result->used = 0;
  result->row_count = 0;
}

void result_free(struct sql_result *result) {
  for (int i = 0; i < result->column_count; i++) free(result->columns[i].name);
  free(result->columns);
  free(result->parameters);
  free(result->data);
  memset(result, 0, sizeof *result);
}

void tidy_message(const char *raw, char *out, size_t size) {
  if (raw == NULL) raw = "";
  size_t length = strcspn(raw, "\n");
  while (length > 0 && (raw[length - 1] == '.' || raw[length - 1] == ' ')) length--;
  if (length == 0) {
    raw = "no reason given";
    length = strlen(raw);
  }
  if (length >= size) length = size - 1;
  memcpy(out, raw, length);
  out[length] = '\0';
}

void fault_set(struct sql_fault *fault, const PGresult *res, size_t item) {
  if (fault->set) return;
  fault->set = true;
  fault->item = item;
  const char *code = PQresultErrorField(res, PG_DIAG_SQLSTATE);
  if (code != NULL) {
    size_t length = strnlen(code, sizeof fault->code - 1);
    memcpy(fault->code, code, length);
    fault->code[length] = '\0';
  }
  const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
  char tidy[1024];
  if (message == NULL) {
    tidy_message(PQresultErrorMessage(res), tidy, sizeof tidy);
    message = tidy;
  }
  fault->message = copy_text(message);
  fault->detail = copy_text(PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL));
  fault->hint = copy_text(PQresultErrorField(res, PG_DIAG_MESSAGE_HINT));
  fault->constraint = copy_text(PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME));
  fault->table = copy_text(PQresultErrorField(res, PG_DIAG_TABLE_NAME));
  fault->context = copy_text(PQresultErrorField(res, PG_DIAG_CONTEXT));
  const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
  long at = position != NULL ? strtol(position, NULL, 10) : 0;
  fault->position = at > 0 && at <= INT_MAX ? (int)at : 0;
}

void fault_free(struct sql_fault *fault) {
  free(fault->message);
  free(fault->detail);
  free(fault->hint);
  free(fault->constraint);
  free(fault->table);
  free(fault->context);
  memset(fault, 0, sizeof *fault);
}
