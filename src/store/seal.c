/* Sealed texts and the key they are sealed with. */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/chacha-poly1305.h>
#include <nettle/memops.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "store_io.h"

enum { KEY = CHACHA_POLY1305_KEY_SIZE, NONCE = CHACHA_POLY1305_NONCE_SIZE,
       SUM = CHACHA_POLY1305_DIGEST_SIZE, TEXT_MAX = 1 << 20 };

static const char head[] = "OPSEAL1\n";
static const char key_name[] = "seal.key";

#define HEAD (sizeof head - 1)
#define AROUND (HEAD + NONCE + SUM)

/* --- the key -------------------------------------------------------------------------------- */

static int fail_key(struct store_error *error, int number, const char *what) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", store_home(), key_name);
  return store_fail_errno(error, number, what, path);
}

static int random_bytes(uint8_t *room, size_t size) {
  for (size_t used = 0; used < size;) {
    ssize_t got = getrandom(room + used, size - used, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    used += (size_t)got;
  }
  return 0;
}

/* A key that is whole when it appears; of two that are made at the same time the first one stays.
   Returns 0 or an errno value. */
static int make_key(int dir) {
  uint8_t key[KEY];
  char temporary[64];
  int number = random_bytes(key, sizeof key);
  if (number != 0) return number;
  snprintf(temporary, sizeof temporary, ".new.key.%ld", (long)getpid());
  int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return errno;
  number = store_write_all(fd, (const char *)key, sizeof key);
  explicit_bzero(key, sizeof key);
  if (number == 0 && store_file_mode() != 0600 && fchmod(fd, store_file_mode()) != 0)
    number = errno;
  if (number == 0 && store_calls.fsync(fd) != 0) number = errno;
  if (close(fd) != 0 && number == 0) number = errno;
  if (number == 0 && linkat(dir, temporary, dir, key_name, 0) != 0 && errno != EEXIST)
    number = errno;
  unlinkat(dir, temporary, 0);
  if (number == 0 && store_calls.fsync(dir) != 0) number = errno;
  return number;
}

/* Its size, and that nobody else may read it. Returns 0, or -1 with the error filled in. */
static int read_key(int fd, uint8_t key[KEY], struct store_error *error) {
  struct stat st;
  if (fstat(fd, &st) != 0) return fail_key(error, errno, "look at");
  if (!S_ISREG(st.st_mode) || st.st_size != KEY)
    return store_fail(error, "key", "'%s/%s' is no key of opsrun", store_home(), key_name);
  if ((st.st_mode & (S_IRWXO | (mode_t)(store_file_mode() == 0600 ? S_IRWXG : 0))) != 0)
    return store_fail(error, "key", "others may read '%s/%s', try 'chmod go-rwx'", store_home(),
                      key_name);
  char *bytes = NULL;
  size_t len = 0;
  int number = store_read_all(fd, KEY, &bytes, &len);
  if (number != 0) return fail_key(error, number, "read");
  bool whole = len == KEY;
  if (whole) memcpy(key, bytes, KEY);
  explicit_bzero(bytes, len);
  free(bytes);
  return whole ? 0 : store_fail(error, "key", "'%s/%s' was cut short", store_home(), key_name);
}

static int get_key(uint8_t key[KEY], bool make, struct store_error *error) {
  int dir = store_open_home(NULL, make, error), number = 0;
  if (dir < 0) return -1;
  int fd = openat(dir, key_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT && make) {
    number = make_key(dir);
    fd = number == 0 ? openat(dir, key_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
  }
  if (fd < 0 && number == 0) number = errno;
  close(dir);
  if (fd < 0) return fail_key(error, number, make ? "make" : "read");
  int code = read_key(fd, key, error);
  close(fd);
  return code;
}

/* --- the texts ------------------------------------------------------------------------------ */

static void begin(struct chacha_poly1305_ctx *cipher, uint8_t key[KEY], const uint8_t *nonce,
                  const char *context) {
  chacha_poly1305_set_key(cipher, key);
  explicit_bzero(key, KEY);
  chacha_poly1305_set_nonce(cipher, nonce);
  chacha_poly1305_update(cipher, strlen(context), (const uint8_t *)context);
}

int seal_close(const char *context, const char *bytes, size_t len, char **sealed,
               size_t *sealed_len, struct store_error *error) {
  uint8_t key[KEY];
  if (len > TEXT_MAX) return store_fail(error, "space", "it is too large to be sealed");
  if (get_key(key, true, error) != 0) return -1;
  uint8_t *out = malloc(len + AROUND);
  int number = out != NULL ? random_bytes(out + HEAD, NONCE) : ENOMEM;
  if (number != 0) {
    free(out);
    explicit_bzero(key, sizeof key);
    return fail_key(error, number, "seal with");
  }
  struct chacha_poly1305_ctx cipher;
  memcpy(out, head, HEAD);
  begin(&cipher, key, out + HEAD, context);
  chacha_poly1305_encrypt(&cipher, len, out + HEAD + NONCE, (const uint8_t *)bytes);
  chacha_poly1305_digest(&cipher, SUM, out + HEAD + NONCE + len);
  explicit_bzero(&cipher, sizeof cipher);
  *sealed = (char *)out;
  *sealed_len = len + AROUND;
  return 0;
}

int seal_open(const char *context, const char *sealed, size_t len, char **bytes, size_t *bytes_len,
              struct store_error *error) {
  uint8_t key[KEY], sum[SUM];
  if (len < AROUND || len > TEXT_MAX + AROUND || memcmp(sealed, head, HEAD) != 0)
    return store_fail(error, "damaged", "this is nothing that opsrun sealed");
  if (get_key(key, false, error) != 0) return -1;
  const uint8_t *in = (const uint8_t *)sealed;
  size_t inner = len - AROUND;
  uint8_t *out = malloc(inner + 1);
  if (out == NULL) {
    explicit_bzero(key, sizeof key);
    return store_fail(error, "memory", "out of memory");
  }
  struct chacha_poly1305_ctx cipher;
  begin(&cipher, key, in + HEAD, context);
  chacha_poly1305_decrypt(&cipher, inner, out, in + HEAD + NONCE);
  chacha_poly1305_digest(&cipher, SUM, sum);
  explicit_bzero(&cipher, sizeof cipher);
  if (memeql_sec(sum, in + HEAD + NONCE + inner, SUM) == 0) {
    explicit_bzero(out, inner);
    free(out);
    return store_fail(error, "damaged",
                      "what was sealed was changed, or '%s/%s' is another key now", store_home(),
                      key_name);
  }
  out[inner] = '\0';
  *bytes = (char *)out;
  *bytes_len = inner;
  return 0;
}
