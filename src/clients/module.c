/* Finding and loading the shared modules of the clients. */
#include "module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char error_text[PATH_MAX + 256];

/* Fills `out` with the directory of the running executable. Returns 0, or -1. */
static int executable_directory(char *out, size_t size) {
  ssize_t length = readlink("/proc/self/exe", out, size - 1);
  if (length <= 0) return -1;
  out[length] = '\0';
  char *slash = strrchr(out, '/');
  if (slash == NULL) return -1;
  *slash = '\0';
  return 0;
}

const void *module_load(const char *name, const char *symbol, const char **error) {
  static const char *const places[] = {"", "/../lib/opsrun"};
  char directory[PATH_MAX];
  if (executable_directory(directory, sizeof directory) != 0) {
    *error = "cannot find the directory of the opsrun executable";
    return NULL;
  }
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s%s/opsrun-%s.so", directory, places[i], name);
    if (access(path, R_OK) != 0) continue;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
      snprintf(error_text, sizeof error_text, "cannot load '%s': %s", path, dlerror());
      *error = error_text;
      return NULL;
    }
    const void *address = dlsym(handle, symbol);
    if (address != NULL) return address;
    snprintf(error_text, sizeof error_text, "'%s' has no '%s'", path, symbol);
    *error = error_text;
    return NULL;
  }
  snprintf(error_text, sizeof error_text,
           "client module 'opsrun-%s.so' is neither beside the opsrun executable nor in lib/opsrun",
           name);
  *error = error_text;
  return NULL;
}
