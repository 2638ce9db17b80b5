/* host.redis from Lua on the real loop: words, replies, errors as values, keys spread over a command. */
#include <lauxlib.h>
#include <lualib.h>

#include "../redis/fixture.h"
#include "check.h"
#include "lua/secret.h"
#include "lua/state.h"
#include "lua/task.h"

/* Runs `script` as the first task with redis, task, secret and the peer's port as its arguments. */
static void claim(const char *text, const char *script, const char *expected) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  char got[512] = "does not load";
  if (luaL_loadstring(L, script) == LUA_OK) {
    luaL_requiref(L, "host.redis", luaopen_host_redis, 0);
    luaL_requiref(L, "host.task", luaopen_host_task, 0);
    luaL_requiref(L, "host.secret", luaopen_host_secret, 0);
    lua_pushstring(L, fact("plain"));
    task_run_main(L, 4);
    snprintf(got, sizeof got, "%s", luaL_tolstring(L, -1, NULL));
  }
  if (strcmp(got, expected) != 0) printf("  expected '%s', got '%s'\n", expected, got);
  CHECK(strcmp(got, expected) == 0, text);
  lua_close(L);
}

#define START                                                                         \
  "local redis, task, secret, port = ...;"                                            \
  " local function to(scenario) return redis.connect{url='redis://' .. scenario .. ':x@127.0.0.1:'" \
  " .. port, name='opsrun-test', timeout=3} end "

int main(void) {
  fixture_open();
  claim("place says where, without the password",
        START "local p = redis.place('rediss://u:p@h:7/2')"
        " return p.host .. p.port .. p.user .. p.db .. tostring(p.tls) .. tostring(p.password)",
        "h7u2truenil");
  claim("a malformed url is nil and a reason",
        START "local p, why = redis.place('redis://h:x') return tostring(p) .. ': ' .. why",
        "nil: the port is no number from 1 to 65535");
  claim("words are strings, numbers of both kinds, and secrets",
        START "local s = secret.new('KEY', 'a very secret word', {})"
        " local r = to('echo'):run({{'SET', 7, 0.5, s, 'a\\0b'}}, 3)[1]"
        " return r[2] .. ' ' .. r[3] .. ' ' .. r[4] .. ' ' .. #r[5]",
        "7 0.5 a very secret word 3");
  claim("a table is not changed by being sent",
        START "local words = {'SET', 7, 0.5} to('echo'):run({words}, 3)"
        " return math.type(words[2]) .. ' ' .. math.type(words[3])",
        "integer float");
  claim("nil is false, also in lists; integers have 64 bits; an error in a list is a table",
        START "local r = to('types'):run({{'GET', 'a'}}, 3)[1]"
        " return tostring(r[4]) .. tostring(r[5]) .. r[2] .. ' ' .. #r[6] .. ' ' .. r[8][2].error",
        "falsefalse-9223372036854775808 0 ERR inner");
  claim("an error reply is false, and told beside the replies",
        START "local r, e = to('wrongtype'):run({{'GET', 'a'}, {'GET', 'b'}}, 3)"
        " return tostring(r[1]) .. #r .. e[2].code .. ': ' .. e[2].message:sub(1, 19)",
        "false2WRONGTYPE: WRONGTYPE Operation");
  claim("keys stand for one command each",
        START "local r = to('echo'):run({{'TTL', '', keys={'a', 'b', 3}, at=2}, {'PING'},"
        " {'MEMORY', 'USAGE', '', 'SAMPLES', 0, keys={'c'}, at=3}}, 3)"
        " return #r .. r[1][2] .. r[2][2] .. r[3][2] .. r[4][1] .. r[5][3] .. #r[5]",
        "5ab3PINGc5");
  claim("no keys, no commands: there must be one",
        START "local r, e = to('echo'):run({{'TTL', '', keys={}, at=2}}, 3) return #r", "0");
  claim("a key's place outside of the command is refused",
        START "local c, out = to('echo'), {} for _, at in ipairs{0, 3, -1} do"
        " out[#out + 1] = select(2, c:run({{'TTL', '', keys={'a'}, at=at}}, 3)).code end"
        " return table.concat(out, ' ')",
        "value value value");
  claim("what is no command is refused, and nothing is sent",
        START "local c, out = to('echo'), {}"
        " for _, wrong in ipairs{{}, {'GET'}, {{}}, {{'GET', true}}, {{'GET', {}}}, {{print}}} do"
        " local r, e = c:run(wrong, 3) out[#out + 1] = e.code .. ' ' .. e.outcome end"
        " return table.concat(out, ', ')",
        "value not sent, value not sent, value not sent, value not sent, value not sent,"
        " value not sent");
  claim("two tasks on one connection: the second is told",
        START "local c = to('silent') local t = task.spawn(function() return c:run({{'A'}}, 0.3) end)"
        " task.sleep(0.05) local _, e = c:run({{'B'}}, 1) task.join(t) return e.code .. ' ' .. e.outcome",
        "busy not sent");
  claim("a cancelled task's command ends at once, unknown",
        START "local c = to('silent') local t = task.spawn(function()"
        " local r, e = c:run({{'A'}}, 60) return e.stopped .. ' ' .. e.outcome end)"
        " task.sleep(0.05) task.cancel(t) local _, what = task.join(t)"
        " return what .. ' ' .. tostring(c:usable())",
        "cancel unknown false");
  claim("a connection may be closed while a command is in flight",
        START "local c = to('silent') local t = task.spawn(function()"
        " return select(2, c:run({{'A'}}, 0.3)).code end)"
        " task.sleep(0.05) c:close() return select(2, task.join(t)) .. ' ' .. tostring(c:usable())",
        "timeout false");
  claim("a closed connection cannot be used",
        START "local c = to('ok') c:close() c:close() return tostring(pcall(c.run, c, {{'A'}}, 1))",
        "false");
  claim("a failed connect is nil and an error",
        START "local c, e = to('nobody') return tostring(c) .. ' ' .. e.code .. ' ' .. e.outcome",
        "nil WRONGPASS not sent");
  claim("50 tasks with a connection each",
        START "local list, fine = {}, 0 for i = 1, 50 do list[i] = task.spawn(function()"
        " local c = to('echo') local r = c:run({{'GET', i}}, 5) c:close() return r[1][2] end) end"
        " for i, t in ipairs(list) do local _, v = task.join(t)"
        " if v == tostring(i) then fine = fine + 1 end end return fine",
        "50");
  fixture_close();
  return CHECK_RESULT();
}
