/* The library host.digest: sha256(text) -> 64 hex digits. */
#include <lauxlib.h>
#include <nettle/sha2.h>
#include <stdint.h>

#include "state.h"

static int l_sha256(lua_State *L) {
  static const char digits[] = "0123456789abcdef";
  size_t len = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  struct sha256_ctx context;
  uint8_t sum[SHA256_DIGEST_SIZE];
  sha256_init(&context);
  sha256_update(&context, len, (const uint8_t *)text);
  sha256_digest(&context, sizeof sum, sum);
  char hex[2 * sizeof sum];
  for (size_t i = 0; i < sizeof sum; i++) {
    hex[2 * i] = digits[sum[i] >> 4];
    hex[2 * i + 1] = digits[sum[i] & 15];
  }
  lua_pushlstring(L, hex, sizeof hex);
  return 1;
}

int luaopen_host_digest(lua_State *L) {
  static const luaL_Reg functions[] = {{"sha256", l_sha256}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
