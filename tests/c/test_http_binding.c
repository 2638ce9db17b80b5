/* host.http from Lua on the real loop: the request's fields, the answer's, errors as values. */
#include <lauxlib.h>
#include <lualib.h>

#include "../http/fixture.h"
#include "check.h"
#include "lua/state.h"
#include "lua/task.h"

/* Runs `script` as the first task with http, task and two base URLs as its arguments. */
static void claim(const char *text, const char *script, const char *expected) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  char got[512] = "does not load";
  if (luaL_loadstring(L, script) == LUA_OK) {
    luaL_requiref(L, "host.http", luaopen_host_http, 0);
    luaL_requiref(L, "host.task", luaopen_host_task, 0);
    lua_pushstring(L, url_of("plain", ""));
    lua_pushstring(L, url_of("good", ""));
    lua_pushstring(L, fact("ca"));
    task_run_main(L, 5);
    snprintf(got, sizeof got, "%s", luaL_tolstring(L, -1, NULL));
  }
  if (strcmp(got, expected) != 0) printf("  expected '%s', got '%s'\n", expected, got);
  CHECK(strcmp(got, expected) == 0, text);
  lua_close(L);
}

int main(void) {
  fixture_open();
  claim("an answer has status, body, headers in small letters, repeated ones joined",
        "local http, task, plain = ...;"
        " local a = http.request{method='GET', url=plain .. '/echo', headers={{'X-A', 'b'}}}"
        " return a.status .. ' ' .. a.headers['x-twice'] .. ' ' .. #a.header_list .. ' '"
        " .. tostring(a.body:find('\"X-A\", \"b\"', 1, true) ~= nil) .. ' ' .. math.type(a.time)",
        "200 one, two 4 true float");
  claim("TLS facts come with the answer",
        "local http, task, plain, tls, ca = ...;"
        " local a = http.request{method='GET', url=tls .. '/ok', ca=ca}"
        " return a.tls.expires .. ' ' .. table.concat(a.tls.names, ' ')",
        "2524607999 localhost 127.0.0.1 named.test");
  claim("a failure is nil and {message, code, outcome}",
        "local http = ...; local a, e = http.request{method='GET', url='ftp://x/'}"
        " return tostring(a) .. ' ' .. e.code .. ' ' .. e.outcome .. ': ' .. e.message",
        "nil invalid not sent: cannot send this request: only http:// and https:// are spoken");
  claim("a time-out ends it",
        "local http, task, plain = ...;"
        " local url = plain .. '/silent'"
        " local a, e = http.request{method='POST', url=url, timeout=0.2, kind='change'}"
        " return e.code .. ' ' .. e.outcome .. ' ' .. e.stopped",
        "timeout unknown timeout");
  claim("a cancelled task's request ends at once",
        "local http, task, plain = ...; local t = task.spawn(function()"
        " local a, e = http.request{method='GET', url=plain .. '/silent'} return e.stopped end)"
        " task.sleep(0.05) task.cancel(t) return select(2, task.join(t))",
        "cancel");
  claim("a field of the wrong type is a mistake that is named",
        "local http = ...; local request = {method='GET', url=5, headers={{1, 2}}}"
        " local ok, e = pcall(http.request, request)"
        " return tostring(ok)",
        "false");
  claim("check sends nothing and says what is wrong",
        "local http, task, plain = ...;"
        " local ok, why = http.check{method='GET', url=plain .. '/x', headers={{'A', 'a\\r\\nb'}}}"
        " return tostring(ok) .. ': ' .. why",
        "nil: the value of header 'A' holds control bytes");
  claim("50 tasks ask side by side",
        "local http, task, plain = ...; local list, fine = {}, 0"
        " for i = 1, 50 do list[i] = task.spawn(function()"
        "   return http.request{method='GET', url=plain .. '/slow/0.1'}.body end) end"
        " for _, t in ipairs(list) do local _, body = task.join(t)"
        "   if body == 'late' then fine = fine + 1 end end"
        " return fine",
        "50");
  claim("a body may hold any bytes",
        "local http, task, plain = ...;"
        " local a = http.request{method='POST', url=plain .. '/echo', body='a\\0b', kind='change'}"
        " return a.body:match '\"body\": \"(.-)\"'",
        "a\\u0000b");
  fixture_close();
  return CHECK_RESULT();
}
