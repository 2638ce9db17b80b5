/* The libraries host.clock and host.random: what a playbook knows of time and chance comes from
 * here, so that the runtime can record it.
 *
 *   clock.monotonic() -> seconds    clock.wall() -> seconds since 1970 (float)
 *   clock.utc(seconds) -> "2026-11-21T03:12:07.123Z" | nil, err
 *   clock.fields(seconds [, zone]) -> {year month day hour min sec wday yday offset zone dst}
 *     | nil, err. wday 1 is Monday, yday 1 the first of January, offset in seconds east of UTC,
 * zone the abbreviation. No zone: the system's. sec is whole, `frac` the rest clock.epoch({year
 * month day [hour min sec]} [, zone]) -> seconds | nil, err. Fields beyond their range carry over
 * (day 32). A time that a zone skips or has twice: the C library's choice clock.is_zone(name) ->
 * boolean random.bytes(n) -> string       random.hex(n) -> 2n hex digits */
#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "state.h"
#include "util.h"

enum { ZONE_MAX = 128, RANDOM_MAX = 1 << 20 };
#define EPOCH_LIMIT 253402300800.0 /* the year 10000 */
#define ZONE_HOME "/usr/share/zoneinfo/"

/* TZ lives in this buffer for good and is changed in place: setenv could move the environment
   under a thread that resolves a name. */
static char zone_variable[4 + sizeof ZONE_HOME + ZONE_MAX] = "TZ=:/etc/localtime";
static char system_zone[sizeof zone_variable];

static void claim_zone_variable(void) {
  static bool claimed;
  if (claimed) return;
  claimed = true;
  const char *given = getenv("TZ");
  if (given != NULL) snprintf(zone_variable, sizeof zone_variable, "TZ=%s", given);
  memcpy(system_zone, zone_variable, sizeof system_zone);
  putenv(zone_variable);
  tzset();
}

/* The C library takes an unknown zone for UTC without a word, so look for its file first. */
static bool zone_exists(const char *zone) {
  if (strcmp(zone, "UTC") == 0) return true;
  size_t len = strlen(zone);
  if (len == 0 || len >= ZONE_MAX || zone[0] == '/' || strstr(zone, "..") != NULL) return false;
  if (strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") != len)
    return false;
  char path[sizeof ZONE_HOME + ZONE_MAX];
  snprintf(path, sizeof path, ZONE_HOME "%s", zone);
  FILE *file = fopen(path, "rbe");
  if (file == NULL) return false;
  char magic[4] = {0};
  bool good = fread(magic, 1, sizeof magic, file) == sizeof magic && memcmp(magic, "TZif", 4) == 0;
  fclose(file);
  return good;
}

/* False for an unknown zone. Otherwise leave_zone must follow. */
static bool enter_zone(const char *zone) {
  claim_zone_variable();
  if (zone == NULL) return true;
  if (!zone_exists(zone)) return false;
  if (strcmp(zone, "UTC") == 0) snprintf(zone_variable, sizeof zone_variable, "TZ=UTC0");
  else snprintf(zone_variable, sizeof zone_variable, "TZ=:" ZONE_HOME "%s", zone);
  tzset();
  return true;
}

static void leave_zone(void) {
  if (strcmp(zone_variable, system_zone) == 0) return;
  memcpy(zone_variable, system_zone, sizeof zone_variable);
  tzset();
}

static int unknown_zone(lua_State *L, const char *zone) {
  lua_pushnil(L);
  lua_pushfstring(L, "unknown time zone '%s'", zone);
  return 2;
}

static double clock_seconds(clockid_t id) {
  struct timespec ts;
  clock_gettime(id, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int l_monotonic(lua_State *L) {
  lua_pushnumber(L, clock_seconds(CLOCK_MONOTONIC));
  return 1;
}

static int l_wall(lua_State *L) {
  lua_pushnumber(L, floor(clock_seconds(CLOCK_REALTIME) * 1e6) / 1e6);
  return 1;
}

/* Splits into whole seconds and a rest in [0, 1). False beyond the years we can write. */
static bool split(double seconds, time_t *whole, double *rest) {
  if (!(fabs(seconds) < EPOCH_LIMIT)) return false;
  double low = floor(seconds);
  *whole = (time_t)low;
  *rest = seconds - low;
  return true;
}

static int out_of_range(lua_State *L) {
  lua_pushnil(L);
  lua_pushliteral(L, "time out of range");
  return 2;
}

static int l_utc(lua_State *L) {
  time_t whole;
  double rest;
  struct tm tm;
  if (!split(luaL_checknumber(L, 1), &whole, &rest) || gmtime_r(&whole, &tm) == NULL)
    return out_of_range(L);
  char text[64];
  size_t used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
  /* Cut, not rounded: a time must not be told before it came. The tiny term undoes the float's
     own loss of a millisecond that was exact. */
  snprintf(text + used, sizeof text - used, ".%03dZ", (int)fmin(999, floor(rest * 1e3 + 1e-4)));
  lua_pushstring(L, text);
  return 1;
}

static void set_integer(lua_State *L, const char *name, long value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static int l_fields(lua_State *L) {
  const char *zone = luaL_optstring(L, 2, NULL);
  time_t whole;
  double rest;
  struct tm tm;
  if (!split(luaL_checknumber(L, 1), &whole, &rest)) return out_of_range(L);
  if (!enter_zone(zone)) return unknown_zone(L, zone);
  bool good = localtime_r(&whole, &tm) != NULL;
  char name[32];
  snprintf(name, sizeof name, "%s", good && tm.tm_zone != NULL ? tm.tm_zone : "");
  leave_zone();
  if (!good) return out_of_range(L);
  lua_createtable(L, 0, 12);
  set_integer(L, "year", tm.tm_year + 1900L);
  set_integer(L, "month", tm.tm_mon + 1L);
  set_integer(L, "day", tm.tm_mday);
  set_integer(L, "hour", tm.tm_hour);
  set_integer(L, "min", tm.tm_min);
  set_integer(L, "sec", tm.tm_sec);
  set_integer(L, "wday", (tm.tm_wday + 6) % 7 + 1L);
  set_integer(L, "yday", tm.tm_yday + 1L);
  set_integer(L, "offset", tm.tm_gmtoff);
  lua_pushnumber(L, rest);
  lua_setfield(L, -2, "frac");
  lua_pushboolean(L, tm.tm_isdst > 0);
  lua_setfield(L, -2, "dst");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "zone");
  return 1;
}

static int field(lua_State *L, const char *name, int64_t otherwise, bool needed) {
  int64_t value = util_field_integer(L, 1, name, needed ? INT64_MIN : otherwise);
  if (value == INT64_MIN) luaL_error(L, "field '%s' is missing", name);
  if (value < -1000000000 || value > 1000000000) luaL_error(L, "field '%s' is out of range", name);
  return (int)value;
}

static int l_epoch(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *zone = luaL_optstring(L, 2, NULL);
  struct tm tm = {0};
  tm.tm_year = field(L, "year", 0, true) - 1900;
  tm.tm_mon = field(L, "month", 0, true) - 1;
  tm.tm_mday = field(L, "day", 0, true);
  tm.tm_hour = field(L, "hour", 0, false);
  tm.tm_min = field(L, "min", 0, false);
  tm.tm_sec = field(L, "sec", 0, false);
  tm.tm_isdst = -1;
  if (!enter_zone(zone)) return unknown_zone(L, zone);
  tm.tm_wday = -1; /* stays so when mktime fails; -1 alone may be a time */
  time_t whole = mktime(&tm);
  leave_zone();
  if (tm.tm_wday < 0) return out_of_range(L);
  lua_pushnumber(L, (double)whole);
  return 1;
}

static int l_is_zone(lua_State *L) {
  lua_pushboolean(L, zone_exists(luaL_checkstring(L, 1)));
  return 1;
}

int luaopen_host_clock(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"monotonic", l_monotonic}, {"wall", l_wall},       {"utc", l_utc}, {"fields", l_fields},
      {"epoch", l_epoch},         {"is_zone", l_is_zone}, {NULL, NULL}};
  claim_zone_variable();
  luaL_newlib(L, functions);
  return 1;
}

/* Leaves n random bytes at the top as raw memory. */
static const unsigned char *push_random(lua_State *L, size_t *count) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= RANDOM_MAX, 1, "expected 0 to 1048576 bytes");
  size_t size = (size_t)n, used = 0;
  unsigned char *room = lua_newuserdatauv(L, size + 1, 0);
  while (used < size) {
    ssize_t got = getrandom(room + used, size - used, 0);
    if (got < 0 && errno != EINTR) luaL_error(L, "no random bytes from the system");
    if (got > 0) used += (size_t)got;
  }
  *count = size;
  return room;
}

static int l_bytes(lua_State *L) {
  size_t size;
  const unsigned char *room = push_random(L, &size);
  lua_pushlstring(L, (const char *)room, size);
  return 1;
}

static int l_hex(lua_State *L) {
  size_t size;
  const unsigned char *room = push_random(L, &size);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, size * 2 + 1);
  for (size_t i = 0; i < size; i++) {
    out[2 * i] = "0123456789abcdef"[room[i] >> 4];
    out[2 * i + 1] = "0123456789abcdef"[room[i] & 15];
  }
  luaL_pushresultsize(&b, size * 2);
  return 1;
}

int luaopen_host_random(lua_State *L) {
  static const luaL_Reg functions[] = {{"bytes", l_bytes}, {"hex", l_hex}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
