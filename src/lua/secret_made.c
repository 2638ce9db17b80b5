/* Secrets from the system's random numbers, and their sealed form. */
#include "secret_made.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../store/seal.h"
#include "secret.h"
#include "util.h"

enum { BYTES_MIN = 16, BYTES_MAX = 1024 };

static bool random_bytes(uint8_t *room, size_t size) {
  for (size_t used = 0; used < size;) {
    ssize_t got = getrandom(room + used, size - used, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    used += (size_t)got;
  }
  return true;
}

static size_t to_hex(const uint8_t *bytes, size_t count, char *out) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < count; i++) {
    out[2 * i] = digits[bytes[i] >> 4];
    out[2 * i + 1] = digits[bytes[i] & 15];
  }
  return 2 * count;
}

/* RFC 4648, the alphabet for URLs, without padding. */
static size_t to_base64url(const uint8_t *bytes, size_t count, char *out) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  size_t len = 0;
  uint32_t bits = 0;
  unsigned held = 0;
  for (size_t i = 0; i < count; i++) {
    bits = (bits << 8) | bytes[i];
    for (held += 8; held >= 6; held -= 6) out[len++] = letters[(bits >> (held - 6)) & 63];
  }
  if (held > 0) out[len++] = letters[(bits << (6 - held)) & 63];
  return len;
}

int secret_generate(lua_State *L) {
  static const char *const forms[] = {"hex", "base64url", NULL};
  const char *name = luaL_checkstring(L, 1);
  lua_Integer count = luaL_checkinteger(L, 2);
  int form = luaL_checkoption(L, 3, "hex", forms);
  luaL_argcheck(L, count >= BYTES_MIN && count <= BYTES_MAX, 2, "expected 16 to 1024 bytes");
  uint8_t bytes[BYTES_MAX];
  char text[2 * BYTES_MAX];
  if (!random_bytes(bytes, (size_t)count)) return luaL_error(L, "the system gave no random bytes");
  size_t len = form == 0 ? to_hex(bytes, (size_t)count, text)
                         : to_base64url(bytes, (size_t)count, text);
  int pushed = secret_push(L, name, text, len, false);
  explicit_bzero(bytes, sizeof bytes);
  explicit_bzero(text, sizeof text);
  return pushed;
}

static int push_failure(lua_State *L, const struct store_error *error) {
  return util_push_error(L, OP_NOT_SENT, error->code, error->message);
}

int secret_seal(lua_State *L) {
  size_t len = 0, sealed_len = 0;
  char *sealed = NULL;
  struct store_error error;
  const char *value = secret_value(L, 1, &len), *context = luaL_checkstring(L, 2);
  luaL_argcheck(L, value != NULL, 1, "expected a secret");
  if (seal_close(context, value, len, &sealed, &sealed_len, &error) != 0)
    return push_failure(L, &error);
  lua_pushlstring(L, sealed, sealed_len);
  free(sealed);
  return 1;
}

int secret_unseal(lua_State *L) {
  size_t sealed_len = 0, len = 0;
  char *value = NULL;
  struct store_error error;
  const char *sealed = luaL_checklstring(L, 1, &sealed_len);
  const char *context = luaL_checkstring(L, 2), *name = luaL_checkstring(L, 3);
  if (seal_open(context, sealed, sealed_len, &value, &len, &error) != 0)
    return push_failure(L, &error);
  int pushed = secret_push(L, name, value, len, true);
  explicit_bzero(value, len);
  free(value);
  return pushed;
}
