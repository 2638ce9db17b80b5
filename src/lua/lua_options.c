/* host.options: what the command line said, as plain Lua data:
   {command = "play", words = {…}, flags = {dry_run = true, params = {"idle=2s"}, verbosity = 2}}.
   '-' in an option's name is '_' here. Options that may be repeated are lists, counts are integers;
   what was not given is absent. */
#include <lauxlib.h>
#include <string.h>

#include "../cli/cli.h"
#include "state.h"

#define KEY_MAX 64

static void push_key(lua_State *L, const struct cli_option *option) {
  char key[KEY_MAX];
  const char *name = option->key != NULL ? option->key : option->name;
  size_t len = 0;
  for (; len < KEY_MAX - 1 && name[len] != '\0'; len++)
    key[len] = name[len] == '-' ? '_' : name[len];
  lua_pushlstring(L, key, len);
}

/* Adds one given option to the table of flags on top of the stack. */
static void add_flag(lua_State *L, const struct cli_value *value) {
  push_key(L, value->option);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3); /* flags key before */
  switch (value->option->kind) {
    case CLI_FLAG:
      lua_pushboolean(L, 1);
      break;
    case CLI_COUNT:
      lua_pushinteger(L, lua_tointeger(L, -1) + 1);
      break;
    case CLI_TEXT:
      lua_pushstring(L, value->text);
      break;
    case CLI_LIST:
    case CLI_PAIRS:
      if (lua_isnil(L, -1)) lua_newtable(L);
      else lua_pushvalue(L, -1);
      lua_pushstring(L, value->text);
      lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
      break;
  }
  lua_remove(L, -2);
  lua_rawset(L, -3);
}

void options_push(lua_State *L, const struct cli_options *options) {
  lua_createtable(L, 0, 3);
  lua_pushstring(L, options->command->name);
  lua_setfield(L, -2, "command");
  lua_createtable(L, (int)options->word_count, 0);
  for (size_t i = 0; i < options->word_count; i++) {
    lua_pushstring(L, options->words[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "words");
  lua_newtable(L);
  for (size_t i = 0; i < options->value_count; i++) add_flag(L, &options->values[i]);
  lua_setfield(L, -2, "flags");
}
