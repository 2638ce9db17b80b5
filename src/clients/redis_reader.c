/* Replies: hiredis's reader over our own compact values, with bounds that hold for hostile servers:
 * so many elements a reply, nested ones counted, so deep as the reader's stack (7). */
#include <stdlib.h>
#include <string.h>

#include <hiredis/read.h>

#include "redis_internal.h"

#define BLOCK_SIZE 65536u
#define LINE_MAX_BYTES 65536u /* of a status, an error, a number */
#define LENGTH_MAX 32u        /* of "$12345" and its line end */

struct arena_block {
  struct arena_block *next;
  size_t used, size;
  _Alignas(16) char data[];
};

void *arena_take(struct arena *arena, size_t size) {
  if (size > SIZE_MAX - 64) return NULL;
  size = (size + 15) & ~(size_t)15;
  struct arena_block *block = arena->blocks;
  if (block == NULL || block->size - block->used < size) {
    size_t room = size > BLOCK_SIZE / 4 ? size : BLOCK_SIZE;
    struct arena_block *fresh = malloc(sizeof *fresh + room);
    if (fresh == NULL) return NULL;
    fresh->size = room;
    fresh->used = 0;
    if (block != NULL && room == size) { /* a big one of its own: the open block stays first */
      fresh->next = block->next;
      block->next = fresh;
    } else {
      fresh->next = block;
      arena->blocks = fresh;
    }
    block = fresh;
  }
  void *at = block->data + block->used;
  block->used += size;
  return at;
}

void arena_free(struct arena *arena) {
  for (struct arena_block *block = arena->blocks, *next; block != NULL; block = next) {
    next = block->next;
    free(block);
  }
  arena->blocks = NULL;
}

/* -- what the reader calls: a value goes into its place of the array it belongs to ---------------- */

static struct redis_value *place_of(const redisReadTask *task) {
  if (task->parent != NULL && task->parent->obj != NULL) {
    struct redis_value *array = task->parent->obj;
    return &array->items[task->idx];
  }
  return arena_take(task->privdata, sizeof(struct redis_value));
}

static void *create_string(const redisReadTask *task, char *text, size_t len) {
  struct redis_value *value = place_of(task);
  char *copy = value != NULL ? arena_take(task->privdata, len + 1) : NULL;
  if (copy == NULL) return NULL;
  memcpy(copy, text, len);
  copy[len] = '\0';
  value->type = task->type == REDIS_REPLY_STATUS  ? REDIS_STATUS
                : task->type == REDIS_REPLY_ERROR ? REDIS_ERROR
                                                  : REDIS_STRING;
  value->size = len;
  value->text = copy;
  return value;
}

static void *create_array(const redisReadTask *task, int count) {
  struct arena *arena = task->privdata;
  struct redis_value *value = place_of(task);
  if (value == NULL || count < 0 || (size_t)count > REDIS_MAX_ELEMENTS - arena->elements) {
    arena->elements = REDIS_MAX_ELEMENTS + 1; /* the reader calls it "out of memory" */
    return NULL;
  }
  arena->elements += (size_t)count;
  value->type = REDIS_ARRAY;
  value->size = (size_t)count;
  value->items = arena_take(arena, ((size_t)count + 1) * sizeof *value->items);
  if (value->items == NULL) return NULL;
  memset(value->items, 0, ((size_t)count + 1) * sizeof *value->items);
  return value;
}

static void *create_integer(const redisReadTask *task, long long integer) {
  struct redis_value *value = place_of(task);
  if (value == NULL) return NULL;
  value->type = REDIS_INTEGER;
  value->size = 0;
  value->integer = integer;
  return value;
}

static void *create_nil(const redisReadTask *task) {
  struct redis_value *value = place_of(task);
  if (value == NULL) return NULL;
  memset(value, 0, sizeof *value);
  value->type = REDIS_NIL;
  return value;
}

static void keep_object(void *object) { (void)object; /* the arena frees all at once */ }

static redisReplyObjectFunctions functions = {create_string, create_array, create_integer,
                                              create_nil, keep_object};

struct redisReader *reader_new(void) { return redisReaderCreateWithFunctions(&functions); }

void reader_free(struct redisReader *reader) {
  if (reader != NULL) redisReaderFree(reader);
}

bool reader_feed(struct redisReader *reader, const char *data, size_t len) {
  return redisReaderFeed(reader, data, len) == REDIS_OK;
}

/* hiredis looks for the end of a line from its start again with every byte that comes: lines of any
   length would cost the square of it. A text ("$") is waited for by its length. */
static int check_pending(const struct redisReader *reader, const char **why) {
  size_t waiting = reader->len - reader->pos;
  size_t line = waiting > 0 && reader->buf[reader->pos] == '$' ? LENGTH_MAX : LINE_MAX_BYTES;
  if (waiting <= line || memchr(reader->buf + reader->pos, '\n', line) != NULL) return 0;
  *why = line == LENGTH_MAX ? "it is no Redis reply" : "too long a line";
  return -1;
}

int reader_take(struct redisReader *reader, struct arena *arena, struct redis_value *out,
                const char **why) {
  void *reply = NULL;
  reader->privdata = arena;
  if (redisReaderGetReply(reader, &reply) == REDIS_OK) {
    if (reply == NULL) return check_pending(reader, why);
    *out = *(struct redis_value *)reply;
    arena->elements = 0;
    return 1;
  }
  if (arena->elements > REDIS_MAX_ELEMENTS) *why = "too many elements";
  else if (reader->err == REDIS_ERR_OOM) *why = "out of memory";
  else if (strstr(reader->errstr, "nested") != NULL) *why = "too deeply nested";
  else *why = "it is no Redis reply";
  return -1;
}

bool reader_is_empty(const struct redisReader *reader) {
  return reader->pos == reader->len && reader->ridx == -1;
}
