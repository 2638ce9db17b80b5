/* Mutations that leave most statements statements: whole operands are put in each other's places.
 * Bytes changed at random are nearly always syntax errors, which the judge never sees. */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static const char *const operands[] = {
    "1", "'a'", "$1", "a", "t.a", "t.*", "(t).a", "(t).pg_notify", "(a).b.c[1:2]", "NULL",
    "current_user", "(SELECT 1)", "(SELECT a FROM t FOR UPDATE)",
    "(WITH d AS (DELETE FROM t RETURNING a) SELECT a FROM d)",
    "(WITH w AS MATERIALIZED (SELECT 1 AS a) TABLE w)", "(VALUES (1), (2))",
    "EXISTS (SELECT FROM s.t)", "pg_notify('a', 'b')", "pg_catalog.pg_terminate_backend(1)",
    "nextval('c')", "\"set_config\"('a', 'b', true)", "U&\"pg\\005fnotify\"('a', 'b')",
    "public.evil(1)", "evil(VARIADIC ARRAY[1])", "lower(a => 'b')",
    "sum(DISTINCT a ORDER BY b) FILTER (WHERE c)", "rank() OVER (PARTITION BY a ORDER BY b)",
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY a USING >)", "count(*)", "CAST(a AS s.kind[])",
    "a::evil_domain(1, 2)", "int '1'", "CASE a WHEN 1 THEN b ELSE c END", "COALESCE(a, b)",
    "NULLIF(a, b)", "GREATEST(a, b)", "ROW(1, a)", "ARRAY[a, b]", "ARRAY(SELECT 1)",
    "a = ANY (SELECT 1)", "(a, b) < ALL (SELECT 1, 2)", "a OPERATOR(public.##) b", "- a", "a || b",
    "a IN (1, b)", "a BETWEEN SYMMETRIC 1 AND 2", "a SIMILAR TO 'b' ESCAPE 'c'", "a COLLATE \"C\"",
    "a AT TIME ZONE 'b'", "a IS DISTINCT FROM b", "a IS NOT NULL", "a IS DOCUMENT",
    "EXTRACT(day FROM a)", "OVERLAY('a' PLACING 'b' FROM 1)", "TRIM(BOTH 'a' FROM b)",
    "XMLELEMENT(NAME a, XMLATTRIBUTES(b), c)", "XMLSERIALIZE(CONTENT a AS text)",
    "XMLPARSE(DOCUMENT a)", "GROUPING(a)", "a LIKE ANY (ARRAY['b'])"};

/* Of rows: what may stand behind FROM. */
static const char *const places[] = {
    "t", "s.t x", "ONLY t", "(SELECT 1) x", "LATERAL (SELECT 1) x",
    "evil(1) WITH ORDINALITY AS x(a, b)",
    "ROWS FROM (evil(1), pg_notify('a', 'b') AS (a s.kind)) x",
    "t TABLESAMPLE system (1) REPEATABLE (2)", "t JOIN u ON a = b", "t NATURAL JOIN u",
    "t LEFT JOIN u USING (a)", "XMLTABLE('/a' PASSING b COLUMNS c s.kind PATH 'd' DEFAULT e) x"};

enum { MOST = 512 };
struct piece { size_t at, len; };

static size_t length_of(const char *text, size_t at, size_t size) {
  char c = text[at];
  size_t end = at + 1;
  if (isalnum((unsigned char)c) || c == '_' || c == '$') {
    while (end < size && (isalnum((unsigned char)text[end]) || strchr("_$.", text[end]) != NULL))
      end++;
  } else if (c == '\'' || c == '"') {
    while (end < size && text[end] != c) end++;
    if (end < size) end++;
  } else if (c == '(') {
    for (int open = 1; end < size && open > 0; end++)
      open += text[end] == '(' ? 1 : text[end] == ')' ? -1 : 0;
  }
  return end - at;
}

/* What is written in capitals is a word of the grammar. */
static bool is_operand(const char *text, size_t len) {
  if (len > 1 && isupper((unsigned char)text[0]) && isupper((unsigned char)text[1])) return false;
  return isalnum((unsigned char)text[0]) || strchr("'\"($_", text[0]) != NULL;
}

static size_t find_operands(const char *text, size_t size, struct piece *found) {
  size_t count = 0;
  for (size_t at = 0; at < size && count < MOST;) {
    size_t len = length_of(text, at, size);
    if (is_operand(text + at, len)) {
      size_t whole = len; /* a call is one operand with its arguments */
      if (text[at] != '(' && at + len < size && text[at + len] == '(')
        whole += length_of(text, at + len, size);
      found[count++] = (struct piece){at, whole};
    }
    at += text[at] == '(' ? 1 : len; /* what is within parentheses has operands of its own */
  }
  return count;
}

static size_t put(uint8_t *data, size_t size, size_t max_size, struct piece where,
                  const char *text, size_t len) {
  if (size - where.len + len > max_size) return 0;
  memmove(data + where.at + len, data + where.at + where.len, size - where.at - where.len);
  memcpy(data + where.at, text, len);
  return size - where.len + len;
}

static bool follows(const uint8_t *data, size_t at, const char *word) {
  size_t len = strlen(word);
  return at >= len && memcmp(data + at - len, word, len) == 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
  struct piece found[MOST];
  size_t count = size > 0 ? find_operands((const char *)data, size, found) : 0;
  if (count == 0 || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  struct piece where = found[(seed >> 3) % count], from = found[(seed >> 13) % count];
  unsigned pick = seed >> 22;
  char own[256];
  size_t made = 0;
  if (follows(data, where.at, "FROM ") || follows(data, where.at, "JOIN ")) {
    const char *text = places[pick % (sizeof places / sizeof places[0])];
    made = put(data, size, max_size, where, text, strlen(text));
  } else if (seed % 8 < 3 && from.len <= sizeof own) {
    memcpy(own, data + from.at, from.len);
    made = put(data, size, max_size, where, own, from.len);
  } else {
    const char *text = operands[pick % (sizeof operands / sizeof operands[0])];
    made = put(data, size, max_size, where, text, strlen(text));
  }
  return made > 0 ? made : LLVMFuzzerMutate(data, size, max_size);
}
