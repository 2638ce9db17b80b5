/* One pass over the mapped file: lines of the window, those with the word, a table of messages. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer.h"

enum { SLOTS = 4096 };

static struct {
  const char *text;
  size_t length;
  long count;
} messages[SLOTS];

static void count_message(const char *text, size_t length) {
  size_t slot = 5381;
  for (size_t i = 0; i < length; i++) slot = slot * 33 + (unsigned char)text[i];
  for (slot %= SLOTS; messages[slot].text != NULL; slot = (slot + 1) % SLOTS)
    if (messages[slot].length == length && memcmp(messages[slot].text, text, length) == 0) break;
  messages[slot].text = text;
  messages[slot].length = length;
  messages[slot].count++;
}

/* What stands between `key` and the next quote. */
static const char *member(const char *line, size_t length, const char *key, size_t *size) {
  const char *at = memmem(line, length, key, strlen(key));
  if (at == NULL) return NULL;
  at += strlen(key);
  const char *end = memchr(at, '"', (size_t)(line + length - at));
  if (end == NULL) return NULL;
  *size = (size_t)(end - at);
  return at;
}

int main(void) {
  const char *from = variable("BENCH_FROM"), *to = variable("BENCH_TO");
  int fd = open(variable("BENCH_LOG"), O_RDONLY);
  struct stat facts;
  if (fd < 0 || fstat(fd, &facts) != 0) die("open");
  const char *text = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (text == MAP_FAILED) die("mmap");
  long errors = 0;
  for (const char *line = text, *end = text + facts.st_size; line < end;) {
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    if (stop == NULL) stop = end;
    size_t length = (size_t)(stop - line), size = 0;
    if (memmem(line, length, "\"level\":\"error\"", 15) != NULL) {
      const char *time = member(line, length, "\"time\":\"", &size);
      if (time != NULL && size >= 19 && memcmp(time, from, 19) >= 0 && memcmp(time, to, 19) < 0) {
        errors++;
        const char *message = member(line, length, "\"message\":\"", &size);
        if (message != NULL) count_message(message, size);
      }
    }
    line = stop + 1;
  }
  size_t most = 0;
  for (size_t i = 1; i < SLOTS; i++)
    if (messages[i].count > messages[most].count) most = i;
  printf("answer: %ld errors, %ld times %.*s\n", errors, messages[most].count, (int)messages[most].length,
         messages[most].text);
  return 0;
}
