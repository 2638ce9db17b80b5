/* What the parts of the file store share: errors, the calls that a test may let fail, paths, the
 * chain. */
#ifndef OPSRUN_STORE_IO_H
#define OPSRUN_STORE_IO_H

#include <sys/stat.h>

#include "store.h"

/* The calls whose failure matters, replaceable by tests. */
struct store_calls {
  ssize_t (*write)(int fd, const void *bytes, size_t len);
  int (*fdatasync)(int fd);
  int (*fsync)(int fd);
  int (*fallocate)(int fd, int mode, off_t offset, off_t len);
};
extern struct store_calls store_calls;

/* Fills the error and returns -1. */
int store_fail(struct store_error *error, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same from errno: "cannot WHAT 'PATH': no space left on device". */
int store_fail_errno(struct store_error *error, int number, const char *what, const char *path);

/* Writes all, in one call where the system takes it in one. Returns 0 or an errno value. */
int store_write_all(int fd, const char *bytes, size_t len);

/* Reads a whole file of at most cap bytes; *bytes is the caller's, with a NUL behind. Returns 0 or
   an errno value (EFBIG beyond the cap). */
int store_read_all(int fd, size_t cap, char **bytes, size_t *len);

/* Writes a file of the directory whole or not at all: a temporary one, synced, renamed, and the rename
   synced. With `later` nothing is synced: *later becomes a descriptor of the file, the caller's to
   sync, as the directory is. Returns 0 or an errno value. */
int store_write_whole(int dir, const char *name, const char *bytes, size_t len, int *later);

/* --- what playbooks keep between runs (store_state.c) --- */
int store_state_put(const char *name, const char *bytes, size_t len, struct store_error *error);
int store_state_get(const char *name, char **bytes, size_t *len, struct store_error *error);

/* --- where things are (store_home.c) --- */

const char *store_home(void);

/* HOME/below (or HOME itself for NULL), made with its parents if need be. Returns a directory
   descriptor or -1. */
int store_open_home(const char *below, bool make, struct store_error *error);
mode_t store_file_mode(void);

/* A name that is safe as one path component. */
bool store_is_name(const char *name, size_t cap);

/* --- which there are (store_list.c); see struct store_api --- */
int store_list(const char *part, char ***ids, size_t *count, struct store_error *error);
void store_free_list(char **ids, size_t count);
int store_made(const char *id, int64_t *seconds, struct store_error *error);

/* Names in a directory but those with a dot in front; closes it. Returns 0 or an errno value. */
int store_list_at(int dir, char ***names, size_t *count);

/* --- looks and removal (store_ends.c, store_remove.c); see struct store_api --- */
int store_ends(const char *id, char **first, char **last, struct store_error *error);
int store_remove(const char *id, struct store_holder *holder, struct store_error *error);

/* The journal of a run for reading: a descriptor, or -1 and errno. */
int store_open_journal(const struct store_run *run);

/* --- room to open a run on a full disk (store_ballast.c) --- */
#define STORE_BALLAST ((int64_t)8 << 20)

/* Gives its room back. False when there is none. */
bool store_release_ballast(void);

/* Makes it where it is missing and space allows; never fails, costs a look when it is there. */
void store_make_ballast(void);

/* --- locks (store_lock.c) --- */

/* Locks the file `name` in the directory. Returns the descriptor that holds the lock, or -1. */
int store_lock_at(int dir, const char *name, const char *shown, const char *note,
                  struct store_holder *holder, struct store_error *error);

/* Gives such a lock back; -1 is none. */
void store_unlock_at(int fd);
struct store_lock *store_lock_named(const char *name, const char *note, struct store_holder *holder,
                                    struct store_error *error);
void store_unlock(struct store_lock *lock);
int store_holder_at(int dir, const char *name, struct store_holder *holder);
int store_holder_of(const char *id, struct store_holder *holder, struct store_error *error);

/* --- lines (store_chain.c) --- */

/* Composes line n with its line feed; *line is the caller's. `synced` is how many lines are known
   to be on disk, `digest` becomes what the next line's prev is. Returns 0, or -1 when out of memory
   or the object is no one-line JSON object. */
int store_compose(uint64_t n, uint64_t synced, const char *prev, const char *object, size_t len,
                  char **line, size_t *line_len, char digest[65]);

/* Does the line's own checksum fit? */
bool store_is_whole(const char *line, size_t len);

/* Takes a journal apart and checks it. Takes ownership of bytes, also on failure. */
int store_check(char *bytes, size_t len, const char *path, struct store_lines *lines,
                struct store_error *error);
void store_free_lines(struct store_lines *lines);

#endif
