/* The jail that makes a command a proved read: what bubblewrap is told, whether it works here. */
#ifndef OPSRUN_CLIENT_PROCESS_JAIL_H
#define OPSRUN_CLIENT_PROCESS_JAIL_H

#include "process.h"

enum process_jail_state { PROCESS_JAIL_UNKNOWN = 0, PROCESS_JAIL_WORKS, PROCESS_JAIL_BROKEN };

/* What the last probe of this process found; *reason is set (static) when it is broken. */
enum process_jail_state process_jail_state(const char **reason);

/* Starts the jail's test of itself. The operation never fails; afterwards the state is known. NULL:
   out of memory. */
struct op *process_jail_probe(void);

/* A growing list of words. After any failed addition `broken` is set and nothing is added. */
struct process_words {
  char **words;
  size_t count, capacity;
  bool broken;
};

void process_words_add(struct process_words *list, const char *word);
void process_words_free(struct process_words *list);

/* Adds bubblewrap's command line up to our helper's own options. Returns NULL or why not. */
const char *process_jail_words(struct process_words *list, const struct process_request *request);

/* For process.c: judges a finished probe. `problem` NULL: it passed. */
void process_jail_judge(const char *problem);

/* For tests: another program than the system's bwrap; forgets what was probed. NULL: back. */
void process_jail_use_program(const char *path);

#endif
