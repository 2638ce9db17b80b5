/* Which runs there are, and which files in one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_io.h"

struct entry {
  char *id;
  int64_t seconds;
  uint32_t nanoseconds;
};

static int older(const void *one, const void *two) {
  const struct entry *a = one, *b = two;
  if (a->seconds != b->seconds) return a->seconds < b->seconds ? -1 : 1;
  if (a->nanoseconds != b->nanoseconds) return a->nanoseconds < b->nanoseconds ? -1 : 1;
  return strcmp(a->id, b->id);
}

/* When the run's folder was made. Ids hold no year, so they do not tell. */
static int birth_of(int dir, struct entry *entry) {
  struct statx st;
  if (statx(dir, entry->id, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_MTIME, &st) != 0) return -1;
  struct statx_timestamp when = (st.stx_mask & STATX_BTIME) != 0 ? st.stx_btime : st.stx_mtime;
  entry->seconds = when.tv_sec;
  entry->nanoseconds = when.tv_nsec;
  return 0;
}

int store_made(const char *id, int64_t *seconds, struct store_error *error) {
  struct entry entry = {.id = (char *)id};
  if (!store_is_name(id, STORE_ID_MAX)) return store_fail(error, "name", "'%s' is no run id", id);
  int runs = store_open_home("runs", false, error);
  if (runs < 0) return -1;
  int number = birth_of(runs, &entry) == 0 ? 0 : errno;
  close(runs);
  *seconds = entry.seconds;
  return number == 0 ? 0 : store_fail_errno(error, number, "look at run", id);
}

static int take_entries(DIR *listing, const char *part, struct entry **entries, size_t *count) {
  size_t room = 0;
  const struct dirent *found;
  while ((found = readdir(listing)) != NULL) {
    if (!store_is_name(found->d_name, STORE_ID_MAX)) continue;
    if (found->d_type != DT_DIR && found->d_type != DT_UNKNOWN) continue;
    if (strstr(found->d_name, part) == NULL) continue;
    if (*count == room) {
      room = room == 0 ? 64 : room * 2;
      struct entry *grown = realloc(*entries, room * sizeof *grown);
      if (grown == NULL) return -1;
      *entries = grown;
    }
    struct entry entry = {.id = strdup(found->d_name)};
    if (entry.id == NULL) return -1;
    (void)birth_of(dirfd(listing), &entry); /* taken away just now: it has no place in the order */
    (*entries)[(*count)++] = entry;
  }
  return 0;
}

int store_list(const char *part, char ***ids, size_t *count, struct store_error *error) {
  *ids = NULL;
  *count = 0;
  int fd = store_open_home("runs", false, error);
  if (fd < 0) return strcmp(error->code, "missing") == 0 ? 0 : -1;
  DIR *listing = fdopendir(fd);
  if (listing == NULL) {
    close(fd);
    return store_fail_errno(error, errno, "list", store_home());
  }
  struct entry *entries = NULL;
  size_t used = 0;
  int code = take_entries(listing, part, &entries, &used);
  closedir(listing);
  char **out = code == 0 ? calloc(used + 1, sizeof *out) : NULL;
  if (used > 0) qsort(entries, used, sizeof *entries, older);
  for (size_t i = 0; i < used; i++) {
    if (out != NULL) out[i] = entries[i].id;
    else free(entries[i].id);
  }
  free(entries);
  if (out == NULL) return store_fail_errno(error, ENOMEM, "list", store_home());
  *ids = out;
  *count = used;
  return 0;
}

void store_free_list(char **ids, size_t count) {
  for (size_t i = 0; i < count; i++) free(ids[i]);
  free(ids);
}

/* One more name. Returns 0 or an errno value. */
static int add_name(char ***names, size_t *count, const char *name) {
  char **grown = realloc(*names, (*count + 1) * sizeof *grown);
  if (grown == NULL) return ENOMEM;
  *names = grown;
  if ((grown[*count] = strdup(name)) == NULL) return ENOMEM;
  (*count)++;
  return 0;
}

int store_list_at(int dir, char ***names, size_t *count) {
  int number = 0;
  const struct dirent *found;
  DIR *listing = fdopendir(dir);
  if (listing == NULL) {
    number = errno;
    close(dir);
    return number;
  }
  while (number == 0 && (found = readdir(listing)) != NULL)
    if (found->d_name[0] != '.') number = add_name(names, count, found->d_name);
  closedir(listing);
  if (number == 0) return 0;
  store_free_list(*names, *count);
  *names = NULL;
  *count = 0;
  return number;
}
