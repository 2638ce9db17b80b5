/* The status line: a spinner, what goes on, since when. */
#include "status.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <uv.h>

#include "../loop/loop.h"
#include "filter.h"
#include "mask.h"
#include "term.h"

enum { TICK_MS = 120, TEXT_CAP = 512 };

static char shown_text[TEXT_CAP];
static size_t shown_len;
static bool drawn;
static uint64_t since_ns;
static unsigned frame;
static uv_timer_t *ticker;

static bool has_utf8(void) {
  const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  for (size_t i = 0; i < 3; i++) {
    const char *value = getenv(names[i]);
    if (value != NULL && *value != '\0')
      return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
  }
  return false;
}

/* Cuts the text to so many columns, at a character's border. */
static size_t fit(const char *text, size_t len, int columns) {
  while (len > 0 && term_display_width(text, len) > columns) {
    len--;
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80) len--;
  }
  return len;
}

static void draw(void) {
  static const char *const dots[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
  static const char *const ascii[] = {"|", "/", "-", "\\"};
  const char *spinner = has_utf8() ? dots[frame % 10] : ascii[frame % 4];
  uint64_t seconds = (loop_now_ns() - since_ns) / 1000000000u;
  char elapsed[32] = "";
  if (seconds >= 60)
    snprintf(elapsed, sizeof elapsed, "  %um%02us", (unsigned)(seconds / 60),
             (unsigned)(seconds % 60));
  else if (seconds > 0) snprintf(elapsed, sizeof elapsed, "  %us", (unsigned)seconds);
  int columns = term_width() - 2 - (int)strlen(elapsed); /* the last column stays free: no wrap */
  size_t len = fit(shown_text, shown_len, columns > 8 ? columns : 8);
  char line[TEXT_CAP + 96];
  bool colour = term_has_colour(TERM_ERR);
  int used = snprintf(line, sizeof line, "\r\033[K%s%s%.*s%s%s", colour ? "\033[2m" : "", spinner,
                      (int)len, shown_text, elapsed, colour ? "\033[0m" : "");
  if (used > 0 && (size_t)used < sizeof line) status_write(line, (size_t)used);
  drawn = true;
}

void status_clear(void) {
  if (!drawn) return;
  drawn = false;
  status_write("\r\033[K", 4);
}

static void on_tick(uv_timer_t *timer) {
  (void)timer;
  frame++;
  if (shown_len > 0 && status_may_draw()) draw();
}

static bool start_ticker(void) {
  if (ticker == NULL) {
    ticker = malloc(sizeof *ticker);
    if (ticker == NULL) return false;
    if (uv_timer_init(loop_uv(), ticker) != 0) {
      free(ticker);
      ticker = NULL;
      return false;
    }
    uv_unref((uv_handle_t *)ticker); /* it waits for nobody */
  }
  return uv_is_active((uv_handle_t *)ticker) != 0 ||
         uv_timer_start(ticker, on_tick, TICK_MS, TICK_MS) == 0;
}

struct line {
  char *out;
  size_t len;
};

/* One line only, and only whole characters: the filter hands on characters or runs of ASCII. */
static void take(void *context, const char *text, size_t len) {
  struct line *line = context;
  if ((text[0] & 0x80) != 0 && line->len + len > TEXT_CAP) return;
  for (size_t i = 0; i < len && line->len < TEXT_CAP; i++)
    line->out[line->len++] = text[i] == '\n' || text[i] == '\t' ? ' ' : text[i];
}

void term_status(const char *text, size_t len) {
  const char *kind = getenv("TERM");
  if (text == NULL || len == 0 || !term_is_terminal() || kind == NULL ||
      strcmp(kind, "dumb") == 0) {
    status_clear();
    shown_len = 0;
    if (ticker != NULL) uv_timer_stop(ticker);
    return;
  }
  size_t masked_len = 0;
  char *masked = mask_text(text, len, &masked_len, NULL);
  if (masked == NULL) return;
  char fresh[TEXT_CAP];
  struct line line = {fresh, 0};
  struct filter f = {.held_len = 0};
  filter_feed(&f, masked, masked_len, take, &line);
  filter_flush(&f, take, &line);
  free(masked);
  if (line.len != shown_len || memcmp(fresh, shown_text, line.len) != 0) {
    memcpy(shown_text, fresh, line.len);
    if (shown_len == 0) since_ns = loop_now_ns();
    shown_len = line.len;
  }
  if (start_ticker() && status_may_draw()) draw();
}
