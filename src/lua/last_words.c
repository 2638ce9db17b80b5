/* Last words: composed without Lua, written to the journal and to stderr. */
#include "last_words.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cli/exitcode.h"
#include "../loop/signals.h"
#include "../store/store.h"
#include "../term/term.h"

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static struct store_run *the_run; /* guarded by held */
static const char *_Atomic the_place;
static atomic_int in_flight;

/* Given back before the record is composed: a system without memory has this much for it. */
enum { KEPT_FOR_IT = 256 << 10 };
static void *kept;

void last_words_hold(void) { pthread_mutex_lock(&held); }

bool last_words_try_hold(void) { return pthread_mutex_trylock(&held) == 0; }

void last_words_release(void) { pthread_mutex_unlock(&held); }

void last_words_of(struct store_run *run) {
  last_words_hold();
  the_run = run;
  if (kept == NULL) kept = malloc(KEPT_FOR_IT);
  last_words_release();
}

void last_words_forget(const struct store_run *run) {
  last_words_hold();
  if (the_run == run) the_run = NULL;
  last_words_release();
}

void last_words_place(const char *place) { atomic_store(&the_place, place); }

void last_words_in_flight(int change) { atomic_fetch_add(&in_flight, change); }

static const char *signal_name(void) {
  const char *name = sigabbrev_np(signals_last());
  return name != NULL ? name : "nal";
}

/* "1.5 GiB"; sizes below that are for tests. */
static void size_text(uint64_t bytes, char *out, size_t room) {
  static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = (double)bytes;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++) value /= 1024;
  snprintf(out, room, "%.3g %s", value, units[unit]);
}

/* What happened, in words; the exit code it stands for. */
static int words(enum last_words_why why, uint64_t limit, char *out, size_t room) {
  static const char no_stop[] = "it computed on in a call that cannot be interrupted";
  char size[32];
  size_text(limit, size, sizeof size);
  switch (why) {
    case LAST_WORDS_DEADLINE:
      snprintf(out, room, "the run's deadline was over, and %s", no_stop);
      return EXIT_DEADLINE;
    case LAST_WORDS_TIMEOUT:
      snprintf(out, room, "the step's timeout was over, and %s", no_stop);
      return EXIT_FAILED;
    case LAST_WORDS_SIGNAL:
      snprintf(out, room, "stopped by SIG%s, and %s", signal_name(), no_stop);
      return 128 + signals_last();
    case LAST_WORDS_LOADING:
      snprintf(out, room, "the playbook computes without end while it is loaded");
      return EXIT_LOAD;
    case LAST_WORDS_MEMORY:
      snprintf(out, room, "what the playbook keeps in memory came to more than %s", size);
      return EXIT_FAILED;
    case LAST_WORDS_NO_MEMORY:
      snprintf(out, room, "the system has no more memory");
      return EXIT_FAILED;
    case LAST_WORDS_NONE: break;
  }
  snprintf(out, room, "it ended itself");
  return EXIT_BUG;
}

static const char *cause(enum last_words_why why) {
  switch (why) {
    case LAST_WORDS_DEADLINE: return "deadline";
    case LAST_WORDS_TIMEOUT: return "timeout";
    case LAST_WORDS_SIGNAL: return "signal";
    case LAST_WORDS_LOADING: return "loading";
    case LAST_WORDS_MEMORY:
    case LAST_WORDS_NO_MEMORY: return "memory";
    case LAST_WORDS_NONE: break;
  }
  return "none";
}

/* Path and step of the place, fit for JSON and for a terminal: ids and paths are words, and what is
   none is not worth an escape here. */
struct place {
  char path[320], step[160];
};

static void copy_clean(const char *from, const char *end, char *out, size_t room) {
  size_t used = 0;
  for (; from < end && used + 1 < room; from++) {
    bool odd = (unsigned char)*from < 0x20 || *from == 0x7f || *from == '"' || *from == '\\';
    out[used++] = odd ? '?' : *from;
  }
  out[used] = '\0';
}

static struct place current_place(void) {
  struct place place = {"", ""};
  const char *text = atomic_load(&the_place);
  const char *tab = text != NULL ? strchr(text, '\t') : NULL;
  if (tab == NULL) return place;
  copy_clean(text, tab, place.path, sizeof place.path);
  copy_clean(tab + 1, tab + strlen(tab), place.step, sizeof place.step);
  return place;
}

static void write_record(enum last_words_why why, const struct place *place, const char *text,
                         int code, uint64_t amount, uint64_t limit) {
  char record[1024], where[512] = "", sizes[96] = "";
  if (place->step[0] != '\0')
    snprintf(where, sizeof where, ",\"path\":\"%s\",\"step\":\"%s\"", place->path, place->step);
  if (limit > 0)
    snprintf(sizes, sizeof sizes, ",\"wanted\":%" PRIu64 ",\"limit\":%" PRIu64, amount, limit);
  int len = snprintf(record, sizeof record,
                     "{\"type\":\"run.abort\",\"cause\":\"%s\",\"text\":\"%s\",\"code\":%d%s%s}",
                     cause(why), text, code, where, sizes);
  struct store_error ignored; /* a journal that cannot be written is told by its next reader */
  if (len > 0 && (size_t)len < sizeof record)
    store_files.append(the_run, record, (size_t)len, true, &ignored);
}

static void tell(enum last_words_why why, const struct place *place, const char *text) {
  char said[512], hint[320] = "";
  bool in_step = place->step[0] != '\0';
  snprintf(said, sizeof said, "%s%s%s%s", in_step ? "step '" : "", place->step,
           in_step ? "': " : "", text);
  if (the_run != NULL) {
    const char *slash = strrchr(store_files.dir(the_run), '/');
    snprintf(hint, sizeof hint, "opsrun log %s shows what was done%s",
             slash != NULL ? slash + 1 : "RUN",
             why == LAST_WORDS_MEMORY ? "; --memory allows more" : "");
  } else if (why == LAST_WORDS_LOADING) {
    snprintf(hint, sizeof hint, "what computes belongs into a step");
  }
  term_last_words(said, hint);
}

void last_words_say(enum last_words_why why, uint64_t amount, uint64_t limit, bool held_already) {
  char text[192];
  if (!held_already) last_words_hold(); /* for ever: nothing is written behind these */
  free(kept);
  kept = NULL;
  int code = words(why, limit, text, sizeof text);
  if (atomic_load(&in_flight) > 0) code = EXIT_UNKNOWN;
  const struct place place = current_place();
  if (the_run != NULL) write_record(why, &place, text, code, amount, limit);
  tell(why, &place, text);
  _exit(code);
}
