/* usage: peer COUNT: so many PINGs, one after the other. */
#include <hiredis/hiredis.h>

#include "peer.h"

int main(int argc, char **argv) {
  long count = argc == 2 ? atol(argv[1]) : 0;
  redisContext *redis = connect_redis();
  for (long i = 0; i < count; i++) {
    redisReply *reply = redisCommand(redis, "PING");
    if (reply == NULL || strcmp(reply->str, "PONG") != 0) die("PING");
    freeReplyObject(reply);
  }
  redisFree(redis);
  printf("answer: PONG\n");
  return 0;
}
