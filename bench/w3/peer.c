/* SCAN by thousands, and for each thousand one pipeline of TTL. */
#include <hiredis/hiredis.h>

#include "peer.h"

int main(void) {
  redisContext *redis = connect_redis();
  long count = 0;
  char cursor[32] = "0";
  do {
    redisReply *page = redisCommand(redis, "SCAN %s COUNT 1000", cursor);
    if (page == NULL || page->elements != 2) die("SCAN");
    snprintf(cursor, sizeof cursor, "%s", page->element[0]->str);
    redisReply *keys = page->element[1];
    for (size_t i = 0; i < keys->elements; i++)
      redisAppendCommand(redis, "TTL %b", keys->element[i]->str, (size_t)keys->element[i]->len);
    for (size_t i = 0; i < keys->elements; i++) {
      redisReply *ttl = NULL;
      if (redisGetReply(redis, (void **)&ttl) != REDIS_OK) die("TTL");
      count += ttl->integer == -1;
      freeReplyObject(ttl);
    }
    freeReplyObject(page);
  } while (strcmp(cursor, "0") != 0);
  redisFree(redis);
  printf("answer: %ld never expire\n", count);
  return 0;
}
