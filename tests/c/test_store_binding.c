/* Claims about what Lua sees of store, masking, secrets, clock and chance. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "lua/json.h"
#include "lua/lua_mask.h"
#include "lua/secret.h"
#include "lua/state.h"

static lua_State *L;
static char home[] = "/tmp/opsrun-binding-XXXXXX";

/* Does the chunk return true? What it returns behind is printed if not. */
static bool holds(const char *chunk) {
  bool good = luaL_dostring(L, chunk) == LUA_OK && lua_toboolean(L, 1) != 0;
  if (!good) printf("got: %s\n", luaL_tolstring(L, -1, NULL));
  lua_settop(L, 0);
  return good;
}

static void check_masking(void) {
  CHECK(
      holds("DB = assert(secret.new('DB', 'correct horse')) return tostring(DB) == '‹secret:DB›'"),
      "a secret's text is its name");
  CHECK(holds("local ok, err = pcall(function() return 'x' .. DB end) return not ok and err:find "
              "'joined' ~= nil, err"),
        "it cannot be joined with text");
  CHECK(holds("return not pcall(function() return #DB end) and getmetatable(DB) == 'secret'"),
        "nor measured, nor taken apart");
  CHECK(holds("local s, err = secret.new('PIN', '1234') return s == nil and err:find \"'PIN'\" ~= "
              "nil, err"),
        "a short one is refused");
  CHECK(holds("local s = secret.new('PIN', '1234', {allow_short = true}) return mask.field '1234' "
              "== '‹secret:PIN›' and mask.apply '1234' == '1234'"),
        "or masked as a whole field");
  CHECK(holds("local t, n = mask.apply 'say correct horse, Y29ycmVjdCBob3JzZQ==' return n == 2 and "
              "t == 'say ‹secret:DB›, ‹secret:DB›Q==', t"),
        "host.mask.apply masks and counts");
  CHECK(holds("local out = {} local s = mask.stream(function(t) out[#out + 1] = t end) s:feed 'a "
              "correct ' s:feed 'horse b' s:flush() return table.concat(out) == 'a ‹secret:DB› b', "
              "table.concat(out)"),
        "host.mask.stream masks across chunks");
  CHECK(holds("assert(secret.new('N', 'n1234567')) assert(secret.new('D', '87654321')) local t = "
              "json.encode {text = '\\n1234567', number = 87654321, key = 'n1234567'}\n"
              "local m = mask.json(t) local v = json.decode(m) return v ~= nil and v.text == "
              "'\\n1234567' and v.number == '‹secret:D›' and v.key == '‹secret:N›', m"),
        "masked JSON is still JSON, also where a form meets an escape or is a number");
  CHECK(holds("assert(secret.new('Q', [[it's \"mine\"]])) local shell = [['it'\"'\"'s \"mine\"']]\n"
              "local m = mask.json(json.encode {text = shell, other = 'a\\\\b'}) local v = "
              "json.decode(m) return v.text == \"'‹secret:Q›'\" and v.other == 'a\\\\b', m"),
        "a form with quotes of its own is found behind the escapes of JSON");
  CHECK(holds("return secret.env 'OPSRUN_TEST_SECRET' ~= nil and mask.apply 'x "
              "from-the-environment' == 'x ‹secret:OPSRUN_TEST_SECRET›'"),
        "a secret may come from the environment");
  CHECK(holds("local s, err = secret.env 'OPSRUN_NOT_SET' return s == nil and err == \"environment "
              "variable 'OPSRUN_NOT_SET' is not set\", err"),
        "a missing variable is named");
}

static void write_file(const char *path, const char *text, mode_t mode) {
  FILE *file = fopen(path, "we");
  if (file == NULL) abort();
  fputs(text, file);
  fclose(file);
  chmod(path, mode);
}

static void check_files(void) {
  char path[100];
  snprintf(path, sizeof path, "%s/key", home);
  lua_pushstring(L, path);
  lua_setglobal(L, "path");
  write_file(path, "file-secret-1\n", 0600);
  CHECK(holds("return secret.file(path) ~= nil and mask.apply '<file-secret-1>' == '<‹secret:' .. "
              "path .. '›>'"),
        "a secret may come from a file, without its last line end");
  chmod(path, 0644);
  CHECK(
      holds(
          "local s, err = secret.file(path) return s == nil and err:find 'chmod o%-r' ~= nil, err"),
      "not from one that everybody reads");
  chmod(path, 0620);
  CHECK(holds("local s, err = secret.file(path) return s == nil and err:find 'chmod go%-w' ~= nil, "
              "err"),
        "nor from one that others write");
  CHECK(holds("local s, err = secret.file '/' return s == nil and err:find 'no regular file' ~= "
              "nil, err"),
        "nor from a directory");
  CHECK(holds("local s, err = secret.file '/nowhere' return s == nil and err == \"cannot read "
              "secret file '/nowhere': no such file or directory\", err"),
        "a missing file is named");
}

static void check_store(void) {
  CHECK(holds("return #store.list() == 0"), "at first there are no runs");
  CHECK(holds("run = assert(store.create '1121-0312-x') return run:dir() == store.home() .. "
              "'/runs/1121-0312-x', run:dir()"),
        "a run has a folder");
  CHECK(holds("local r, err = store.create '1121-0312-x' return r == nil and err.code == 'exists', "
              "err.message"),
        "an id is given once");
  CHECK(holds("return run:append(json.encode {type = 'note', text = 'correct horse'}, true) and "
              "run:append(json.encode {type = 'end'}) and run:sync() and run:reserve(65536)"),
        "records are appended and synced");
  CHECK(holds("local lines, notice = run:read() local first = json.decode(lines[1].text)\n"
              "return #lines == 2 and notice == nil and first.n == 1 and first.t == lines[1].t and "
              "first.text == '‹secret:DB›' and json.decode(lines[2].text).prev == "
              "digest.sha256(lines[1].text)"),
        "read back they are numbered, chained and masked");
  CHECK(holds("local path = assert(run:artifact('out.txt', 'say correct horse')) local f = "
              "io.open(path) return f:read 'a' == 'say ‹secret:DB›'"),
        "artifacts are masked");
  CHECK(holds("local d = assert(run:blob 'return {}') return d == digest.sha256 'return {}' and "
              "run:fetch(d) == 'return {}'"),
        "a blob is found by its digest");
  CHECK(holds("local d, err = run:blob 'x correct horse' return d == nil and err.code == 'secret', "
              "err.message"),
        "one that holds a secret is not kept");
  CHECK(holds("local h = store.holder '1121-0312-x' return h.pid > 0 and #h.host > 0 and h.note == "
              "'1121-0312-x'"),
        "the writer of a run is known");
  CHECK(holds("local r, err = store.open('1121-0312-x', 'append') return r == nil and err.code == "
              "'locked' and err.holder.pid > 0, err.message"),
        "there is one at a time");
  CHECK(holds("run:close() return store.holder '1121-0312-x' == nil and not pcall(run.dir, run)"),
        "a closed run is closed");
  CHECK(holds("local f = io.open(store.home() .. '/runs/1121-0312-x/journal', 'a') f:write "
              "'{\"n\":3,' f:close()\n"
              "local r = store.open '1121-0312-x' local lines, notice = r:read() return #lines == "
              "2 and notice:find '7 bytes' ~= nil, notice"),
        "a torn end is told");
  CHECK(holds("local f = io.open(store.home() .. '/runs/1121-0312-x/journal', 'r+') f:seek('set', "
              "40) f:write '!' f:close()\n"
              "local r = store.open '1121-0312-x' local lines, err = r:read() return lines == nil "
              "and err.code == 'damaged' and err.line == 1 and err.offset == 0, err.message"),
        "damage names its line");
  CHECK(holds("local a = assert(store.lock('x@lab', 'run-1')) local b, holder, err = "
              "store.lock('x@lab') a:release()\n"
              "return b == nil and holder.note == 'run-1' and err.code == 'locked' and store.lock "
              "'x@lab' ~= nil, err"),
        "named locks are held once");
}

static void check_clock(void) {
  CHECK(holds("return clock.utc(1795230727.123) == '2026-11-21T03:12:07.123Z', "
              "clock.utc(1795230727.123)"),
        "utc writes milliseconds");
  CHECK(holds("local f = clock.fields(1795230727.5, 'Europe/Madrid') return f.year == 2026 and "
              "f.hour == 4 and f.min == 12 and f.sec == 7 and f.wday == 6 and f.offset == 3600 and "
              "f.zone == 'CET' and not f.dst and f.frac == 0.5, f.zone .. f.hour"),
        "fields are a zone's");
  CHECK(holds("return clock.epoch({year = 2026, month = 7, day = 1, hour = 12}, 'Europe/Madrid') "
              "== clock.epoch({year = 2026, month = 7, day = 1, hour = 10}, 'UTC')"),
        "epoch knows summer time");
  CHECK(holds("return clock.epoch({year = 2026, month = 1, day = 32}, 'UTC') == clock.epoch({year "
              "= 2026, month = 2, day = 1}, 'UTC')"),
        "days carry over");
  CHECK(holds("local f, err = clock.fields(0, 'Europe/Nowhere') return f == nil and err == "
              "\"unknown time zone 'Europe/Nowhere'\" and not clock.is_zone '../etc/passwd'"),
        "an unknown zone is refused");
  CHECK(holds("return clock.utc(1e300) == nil and clock.utc(0/0) == nil and clock.fields(-1e18) == "
              "nil"),
        "so are times beyond writing");
  CHECK(holds("local a = clock.monotonic() return clock.monotonic() >= a and clock.wall() > 1.7e9"),
        "time goes on");
  CHECK(holds("return #random.bytes(33) == 33 and random.hex(8):find '^%x+$' ~= nil and "
              "#random.hex(8) == 16 and random.hex(16) ~= random.hex(16)"),
        "chance is there");
}

int main(void) {
  static const luaL_Reg parts[] = {{"json", luaopen_host_json},     {"mask", luaopen_host_mask},
                                   {"secret", luaopen_host_secret}, {"store", luaopen_host_store},
                                   {"clock", luaopen_host_clock},   {"random", luaopen_host_random},
                                   {"digest", luaopen_host_digest}};
  if (mkdtemp(home) == NULL) return 1;
  setenv("OPSRUN_HOME", home, 1);
  setenv("OPSRUN_TEST_SECRET", "from-the-environment", 1);
  L = luaL_newstate();
  luaL_openlibs(L);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    luaL_requiref(L, parts[i].name, parts[i].func, 1);
  lua_settop(L, 0);
  check_masking();
  check_files();
  check_store();
  check_clock();
  lua_close(L);
  char command[100];
  snprintf(command, sizeof command, "rm -rf '%s'", home);
  return system(command) == 0 ? CHECK_RESULT() : 1;
}
