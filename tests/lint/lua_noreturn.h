/* What clang-tidy cannot know of Lua's library: these do not come back (lua.cfg tells cppcheck).
 * Put in front of every file that ./dev lint looks at; never part of a build. */
struct lua_State;
__attribute__((noreturn)) int luaL_error(struct lua_State *, const char *, ...);
__attribute__((noreturn)) int lua_error(struct lua_State *);
__attribute__((noreturn)) int luaL_argerror(struct lua_State *, int, const char *);
__attribute__((noreturn)) int luaL_typeerror(struct lua_State *, int, const char *);
