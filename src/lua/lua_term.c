/* The library host.term: the terminal, over src/term/.
 *
 *   out(text [, style])   err(text [, style])
 *       text passes mask and filter; a style is words of "bold dim italic underline reverse black
 *       red green yellow blue magenta cyan white"
 *   message(kind, text [, hint])         kind "error", "warning", "note": to stderr
 *   is_terminal() -> boolean             stdin and stderr: is there a person to ask?
 *   shows("out" | "err") -> boolean      does this stream end on a terminal?
 *   width() -> columns                   height() -> lines
 *   set_colour("auto" | "always" | "never")     nil: auto
 *   colour("out" | "err") -> boolean
 *   status(text | nil [, elapsed])       the status line, on a terminal; `elapsed` is never cut
 *   entered(seconds) -> true | nil, err  suspends until Enter is pressed while no question is open;
 *                                        err.code "timeout" when it was not
 *   display_width(text) -> columns       as shown: CJK and emoji 2, combining marks 0, hidden
 *                                        characters as long as the filter shows them
 *   shown(text) -> text                  as the filter shows it
 *   ask{kind=, prompt=, timeout=seconds, count=, words=} -> answer | nil, err
 *       suspends. What was typed ahead is thrown away, then `prompt` is written in bold. kind
 *       "yesno" -> true | false | one of `words`; "line" -> text; "hidden" -> text (a secret);
 *       "choice" (count = n) -> 1 … n. err.code "eof", "timeout", "cancelled", "busy": none of
 *       them is an answer
 *   flush()                              writes what masking holds back */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "../term/filter.h"
#include "../term/keys.h"
#include "../term/prompt.h"
#include "../term/term.h"
#include "state.h"
#include "task.h"
#include "util.h"

static int write_to(lua_State *L, enum term_stream stream) {
  size_t len = 0;
  const char *text = luaL_checklstring(L, 1, &len), *style = luaL_optstring(L, 2, NULL);
  if (!term_is_style(style)) return luaL_error(L, "unknown style '%s'", style);
  term_write(stream, style, text, len);
  return 0;
}

static int l_out(lua_State *L) { return write_to(L, TERM_OUT); }

static int l_err(lua_State *L) { return write_to(L, TERM_ERR); }

static int l_message(lua_State *L) {
  size_t len = 0, hint_len = 0;
  lua_settop(L, 3); /* what is pushed below is no hint */
  const char *kind = luaL_checkstring(L, 1), *text = luaL_tolstring(L, 2, &len);
  const char *hint = luaL_optlstring(L, 3, NULL, &hint_len);
  term_message(kind, text, len, hint, hint_len);
  return 0;
}

static int l_is_terminal(lua_State *L) {
  lua_pushboolean(L, term_is_terminal());
  return 1;
}

static int l_width(lua_State *L) {
  lua_pushinteger(L, term_width());
  return 1;
}

static int l_height(lua_State *L) {
  lua_pushinteger(L, term_height());
  return 1;
}

static int l_set_colour(lua_State *L) {
  static const char *const names[] = {"auto", "always", "never", NULL};
  static const enum term_colour values[] = {TERM_AUTO, TERM_ALWAYS, TERM_NEVER};
  term_set_colour(values[luaL_checkoption(L, 1, "auto", names)]);
  return 0;
}

static int l_shows(lua_State *L) {
  static const char *const names[] = {"out", "err", NULL};
  lua_pushboolean(L, term_shows(luaL_checkoption(L, 1, NULL, names) == 0 ? TERM_OUT : TERM_ERR));
  return 1;
}

static int l_colour(lua_State *L) {
  static const char *const names[] = {"out", "err", NULL};
  lua_pushboolean(L,
                  term_has_colour(luaL_checkoption(L, 1, "out", names) == 0 ? TERM_OUT : TERM_ERR));
  return 1;
}

static int l_status(lua_State *L) {
  size_t len = 0;
  const char *text = luaL_optlstring(L, 1, NULL, &len);
  term_status(text, len, luaL_optstring(L, 2, ""));
  return 0;
}

static int l_display_width(lua_State *L) {
  size_t len = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  lua_pushinteger(L, term_display_width(text, len));
  return 1;
}

static void add_shown(void *context, const char *text, size_t len) {
  luaL_addlstring(context, text, len);
}

static int l_shown(lua_State *L) {
  size_t len = 0;
  const char *text = luaL_checklstring(L, 1, &len);
  luaL_Buffer b;
  struct filter f = {.held_len = 0};
  luaL_buffinit(L, &b);
  filter_feed(&f, text, len, add_shown, &b);
  filter_flush(&f, add_shown, &b);
  luaL_pushresult(&b);
  return 1;
}

static int l_flush(lua_State *L) {
  (void)L;
  term_flush();
  return 0;
}

static int push_answer(lua_State *L, struct op *op) {
  size_t len = 0;
  const char *text = prompt_text(op, &len);
  switch (prompt_kind_of(op)) {
    case PROMPT_YES_NO:
      if (prompt_word(op) != NULL) lua_pushstring(L, prompt_word(op));
      else lua_pushboolean(L, prompt_number(op) == 1);
      break;
    case PROMPT_CHOICE: lua_pushinteger(L, prompt_number(op)); break;
    case PROMPT_LINE:
    case PROMPT_HIDDEN: lua_pushlstring(L, text, len); break;
  }
  return 1;
}

static int l_ask(lua_State *L) {
  static const char *const names[] = {"yesno", "line", "hidden", "choice"};
  static const enum prompt_kind kinds[] = {PROMPT_YES_NO, PROMPT_LINE, PROMPT_HIDDEN,
                                           PROMPT_CHOICE};
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *name = util_field_string(L, 1, "kind", NULL);
  size_t kind = 0;
  while (kind < 4 && (name == NULL || strcmp(name, names[kind]) != 0)) kind++;
  if (kind == 4) return luaL_error(L, "field 'kind': expected yesno, line, hidden or choice");
  double seconds = util_field_number(L, 1, "timeout", 0);
  int64_t count = util_field_integer(L, 1, "count", 0);
  if (kinds[kind] == PROMPT_CHOICE && (count < 1 || count > 10000))
    return luaL_error(L, "field 'count': expected 1 to 10000");
  /* A time that has run out is not the same as no limit. */
  if (isnan(seconds) || seconds < 0) seconds = 0.001;
  uint64_t ms = seconds > 0 ? (uint64_t)fmin(ceil(seconds * 1000), 1e12) : 0;
  task_check_can_wait(L);
  size_t question_len = 0;
  const char *question = util_field_string(L, 1, "prompt", &question_len);
  const char *words = util_field_string(L, 1, "words", NULL);
  struct op *op = prompt_start(kinds[kind], question, question_len, (unsigned)count, ms);
  if (op == NULL) return luaL_error(L, "not enough memory");
  if (words != NULL) prompt_allow(op, words);
  return task_await(L, op, push_answer);
}

static int push_true(lua_State *L, struct op *op) {
  (void)op;
  lua_pushboolean(L, 1);
  return 1;
}

static int l_entered(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds > 0 && seconds < 1e6, 1, "out of range");
  task_check_can_wait(L);
  struct op *op = keys_wait((uint64_t)ceil(seconds * 1000));
  if (op == NULL) return luaL_error(L, "not enough memory");
  return task_await(L, op, push_true);
}

int luaopen_host_term(lua_State *L) {
  static const luaL_Reg functions[] = {{"out", l_out},
                                       {"err", l_err},
                                       {"message", l_message},
                                       {"is_terminal", l_is_terminal},
                                       {"width", l_width},
                                       {"height", l_height},
                                       {"set_colour", l_set_colour},
                                       {"colour", l_colour},
                                       {"shows", l_shows},
                                       {"status", l_status},
                                       {"entered", l_entered},
                                       {"display_width", l_display_width},
                                       {"shown", l_shown},
                                       {"flush", l_flush},
                                       {"ask", l_ask},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
