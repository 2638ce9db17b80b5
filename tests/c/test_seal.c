/* Claims about sealing: only the same home, in the same context, opens what was sealed. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "store/seal.h"

static char home[] = "/tmp/opsrun-seal-XXXXXX";
static char key_path[sizeof home + 16];
static struct store_error error;

static bool opens(const char *context, const char *sealed, size_t len, const char *want) {
  char *bytes = NULL;
  size_t size = 0;
  if (seal_open(context, sealed, len, &bytes, &size, &error) != 0) return false;
  bool same = size == strlen(want) && memcmp(bytes, want, size) == 0;
  free(bytes);
  return same;
}

static void claim_round_trip(void) {
  static const char *const texts[] = {"", "x", "a secret of some length", "two\nlines\n"};
  char *sealed = NULL, *again = NULL;
  size_t len = 0, again_len = 0;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    CHECK(seal_close("run", texts[i], strlen(texts[i]), &sealed, &len, &error) == 0, "it is sealed");
    CHECK(opens("run", sealed, len, texts[i]), "what was sealed is opened");
    CHECK(strlen(texts[i]) < 8 || memmem(sealed, len, texts[i], strlen(texts[i])) == NULL,
          "the text is not in it");
    CHECK(seal_close("run", texts[i], strlen(texts[i]), &again, &again_len, &error) == 0 &&
              memcmp(sealed, again, len) != 0,
          "sealed twice it looks different each time");
    CHECK(!opens("another run", sealed, len, texts[i]) && strcmp(error.code, "damaged") == 0,
          "in another context it stays closed");
    free(sealed);
    free(again);
  }
}

static void claim_any_change_is_seen(void) {
  static const char text[] = "a secret of some length";
  char *sealed = NULL;
  size_t len = 0;
  int opened = 0;
  if (seal_close("run", text, strlen(text), &sealed, &len, &error) != 0) exit(2);
  for (size_t bit = 0; bit < 8 * len; bit++) {
    sealed[bit / 8] = (char)(sealed[bit / 8] ^ (1 << (bit % 8)));
    opened += opens("run", sealed, len, text);
    sealed[bit / 8] = (char)(sealed[bit / 8] ^ (1 << (bit % 8)));
  }
  CHECK(opened == 0, "a bit flipped anywhere keeps it closed");
  for (size_t cut = 0; cut < len; cut++) opened += opens("run", sealed, cut, text);
  CHECK(opened == 0, "cut anywhere it stays closed");
  CHECK(opens("run", sealed, len, text), "unchanged it opens");
  printf("%zu bits flipped, %zu cuts: 0 opened\n", 8 * len, len);
  free(sealed);
}

static void claim_key(void) {
  static const char text[] = "a secret of some length";
  char *sealed = NULL, *none = NULL;
  size_t len = 0;
  struct stat st;
  if (seal_close("run", text, strlen(text), &sealed, &len, &error) != 0) exit(2);
  CHECK(stat(key_path, &st) == 0 && st.st_size == 32 && (st.st_mode & 0777) == 0600,
        "the key is 32 bytes that only its owner reads");
  chmod(key_path, 0640);
  CHECK(!opens("run", sealed, len, text) && strcmp(error.code, "key") == 0,
        "a key that others may read is refused");
  CHECK(seal_close("run", text, 3, &none, &len, &error) != 0, "and nothing is sealed with it");
  unlink(key_path);
  len = 8 + 12 + strlen(text) + 16;
  CHECK(!opens("run", sealed, len, text) && strcmp(error.code, "missing") == 0,
        "without the key it stays closed");
  CHECK(stat(key_path, &st) != 0, "and looking makes no key");
  CHECK(seal_close("run", text, 3, &none, &len, &error) == 0, "a new key is made");
  free(none);
  len = 8 + 12 + strlen(text) + 16;
  CHECK(!opens("run", sealed, len, text) && strcmp(error.code, "damaged") == 0,
        "which does not open what the old one sealed");
  unlink(key_path);
  if (symlink("/etc/passwd", key_path) != 0) exit(2);
  CHECK(!opens("run", sealed, len, text), "a link in the key's place is not followed");
  unlink(key_path);
  free(sealed);
}

/* Two opsruns make their first secret in the same moment. */
static void claim_one_key(void) {
  enum { CHILDREN = 8 };
  int pipes[2];
  if (pipe(pipes) != 0) exit(2);
  for (int i = 0; i < CHILDREN; i++) {
    if (fork() != 0) continue;
    char *sealed = NULL;
    size_t len = 0;
    int code = seal_close("run", "same", 4, &sealed, &len, &error);
    if (code == 0 && write(pipes[1], sealed, len) != (ssize_t)len) code = -1;
    free(sealed);
    _exit(code == 0 ? 0 : 1);
  }
  int good = 0, status = 0;
  for (int i = 0; i < CHILDREN; i++) good += wait(&status) > 0 && status == 0;
  char sealed[40];
  for (int i = 0; i < good; i++)
    CHECK(read(pipes[0], sealed, sizeof sealed) == sizeof sealed &&
              opens("run", sealed, sizeof sealed, "same"),
          "whoever made the key, all sealed with the same one");
  CHECK(good == CHILDREN, "and none of them failed");
  close(pipes[0]);
  close(pipes[1]);
}

int main(void) {
  if (mkdtemp(home) == NULL) return 2;
  snprintf(key_path, sizeof key_path, "%s/seal.key", home);
  setenv("OPSRUN_HOME", home, 1);
  claim_round_trip();
  claim_any_change_is_seen();
  claim_key();
  claim_one_key();
  unlink(key_path);
  rmdir(home);
  return CHECK_RESULT();
}
