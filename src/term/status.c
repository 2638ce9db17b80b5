/* The status line: a spinner, what goes on, since when; above it the last lines of what a command
 * prints. The cursor rests at the beginning of the line, so that the way back up is known also
 * after the window was made narrower. */
#include "status.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "../loop/loop.h"
#include "filter.h"
#include "keys.h"
#include "mask.h"
#include "tail.h"
#include "term.h"

enum { TICK_MS = 120, TEXT_CAP = 512, ROW_CAP = TEXT_CAP + 64 };

struct text {
  char bytes[TEXT_CAP];
  size_t len;
};

static struct text what, since; /* the first is cut to the window, the second never */
static unsigned frame;
static uv_timer_t *ticker;

/* What is on the screen: how wide each row is, the status line last. 0 rows: nothing. */
static int widths[TAIL_LINES + 1], rows, drawn_columns;

struct canvas {
  char bytes[(TAIL_LINES + 1) * ROW_CAP + 32];
  size_t len;
};

static void put(struct canvas *c, const char *bytes, size_t len) {
  if (len > sizeof c->bytes - c->len) len = sizeof c->bytes - c->len;
  memcpy(c->bytes + c->len, bytes, len);
  c->len += len;
}

static void put_text(struct canvas *c, const char *text) { put(c, text, strlen(text)); }

/* Does the terminal wrap anew what stands on it when its window gets narrower? Nearly all do. The
   Linux console cuts, and so does xterm itself, which says its version. */
static bool rewraps(void) {
  const char *kind = getenv("TERM");
  return getenv("XTERM_VERSION") == NULL && (kind == NULL || strcmp(kind, "linux") != 0);
}

/* Rows between the cursor and the first of ours. */
static int rows_above(void) {
  int columns = term_width(), above = 0;
  bool torn = columns < drawn_columns && rewraps();
  for (int i = 0; i + 1 < rows; i++)
    above += torn && widths[i] > columns ? (widths[i] + columns - 1) / columns : 1;
  return above;
}

static void put_erase(struct canvas *c) {
  int above = rows > 0 ? rows_above() : 0;
  /* Whoever pressed Enter moved the cursor: it goes back to where it rested. */
  above += keys_take();
  char up[24];
  snprintf(up, sizeof up, "\033[%dA", above);
  put_text(c, "\r");
  if (rows > 0 && above > 0) put_text(c, up);
  put_text(c, above > 0 || term_width() < drawn_columns ? "\033[J" : "\033[K");
  rows = 0;
}

static void put_row(struct canvas *c, const char *lead, const char *text, size_t len,
                    const char *behind) {
  int taken = term_display_width(lead, strlen(lead)) + (int)strlen(behind);
  int room = term_width() - 1 - taken; /* the last column stays free: no wrap */
  size_t kept = term_fit(text, len, room > 8 ? room : 8);
  bool colour = term_has_colour(TERM_ERR);
  if (colour) put_text(c, "\033[2m");
  put_text(c, lead);
  put(c, text, kept);
  put_text(c, behind);
  if (colour) put_text(c, "\033[0m");
  widths[rows++] = taken + term_display_width(text, kept);
}

static void draw(void) {
  static const char *const dots[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
  static const char *const ascii[] = {"|", "/", "-", "\\"};
  static struct canvas c;
  c.len = 0;
  put_erase(&c);
  drawn_columns = term_width();
  const struct tail_line *lines[TAIL_LINES];
  size_t count = tail_lines(lines, term_height() < 10 ? 1 : TAIL_LINES);
  for (size_t i = 0; i < count; i++) {
    put_row(&c, "  | ", lines[i]->bytes, lines[i]->len, "");
    put_text(&c, "\n");
  }
  const char *spinner = term_has_utf8() ? dots[frame % 10] : ascii[frame % 4];
  put_row(&c, spinner, what.bytes, what.len, since.bytes);
  put_text(&c, "\r");
  status_write(c.bytes, c.len);
}

void status_clear(void) {
  if (rows == 0) {
    keys_take();
    return;
  }
  static struct canvas c;
  c.len = 0;
  put_erase(&c);
  status_write(c.bytes, c.len);
}

static void on_tick(uv_timer_t *timer) {
  (void)timer;
  frame++;
  if (what.len > 0 && status_may_draw()) draw();
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

/* One line only, and only whole characters: the filter hands on characters or runs of ASCII. */
static void take(void *context, const char *text, size_t len) {
  struct text *out = context;
  size_t room = TEXT_CAP - 1 - out->len;
  if ((text[0] & 0x80) != 0 && !term_has_utf8()) text = term_ascii(text, &len);
  if ((text[0] & 0x80) != 0 && len > room) return;
  for (size_t i = 0; i < len && i < room; i++)
    out->bytes[out->len++] = text[i] == '\n' || text[i] == '\t' ? ' ' : text[i];
}

static bool set(struct text *out, const char *text, size_t len) {
  size_t masked_len = 0;
  char *masked = mask_text(text, len, &masked_len, NULL);
  if (masked == NULL) return false;
  struct filter f = {.held_len = 0};
  out->len = 0;
  filter_feed(&f, masked, masked_len, take, out);
  filter_flush(&f, take, out);
  out->bytes[out->len] = '\0';
  free(masked);
  return true;
}

void term_status(const char *text, size_t len, const char *elapsed) {
  const char *kind = getenv("TERM");
  if (text == NULL || len == 0 || !term_is_terminal() || kind == NULL || *kind == '\0' ||
      strcmp(kind, "dumb") == 0) {
    status_clear();
    what.len = 0;
    if (ticker != NULL) uv_timer_stop(ticker);
    return;
  }
  if (!set(&what, text, len) || !set(&since, elapsed, strlen(elapsed))) {
    what.len = 0;
    return;
  }
  if (since.len > 40) since.bytes[since.len = 0] = '\0'; /* no elapsed time: a caller's mistake */
  if (start_ticker() && status_may_draw()) draw();
}
