/* Output: masking, filter, style, status line. */
#include "term.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "errtext.h"
#include "filter.h"
#include "mask.h"
#include "status.h"

struct stream {
  int fd;
  struct mask_stream mask;
  struct filter filter;
  bool open;   /* mask_stream_open was called */
  bool failed; /* given up */
  bool told;   /* and said so */
  int error;
  bool styled; /* an escape sequence of ours is in force */
  bool ascii;  /* it ends on a terminal that does not know our signs */
  char style[48];
  char *out; /* what this call will write */
  size_t len, room;
};

static struct stream streams[2] = {{.fd = STDOUT_FILENO}, {.fd = STDERR_FILENO}};
static enum term_colour colour_when = TERM_AUTO;
static bool at_start = true; /* the cursor stands at the beginning of a line */

/* --- styles --------------------------------------------------------------------------------- */

static int style_code(const char *word, size_t len) {
  static const struct {
    const char *name;
    int code;
  } styles[] = {{"bold", 1},   {"dim", 2},      {"italic", 3}, {"underline", 4}, {"reverse", 7},
                {"black", 30}, {"red", 31},     {"green", 32}, {"yellow", 33},   {"blue", 34},
                {"cyan", 36},  {"magenta", 35}, {"white", 37}};
  for (size_t i = 0; i < sizeof styles / sizeof *styles; i++)
    if (strlen(styles[i].name) == len && memcmp(styles[i].name, word, len) == 0)
      return styles[i].code;
  return 0;
}

/* Writes the escape sequence of a style into out; false when a word is unknown. */
static bool compose_style(const char *style, char *out, size_t size) {
  size_t used = 0;
  out[0] = '\0';
  for (const char *at = style; at != NULL && *at != '\0';) {
    size_t len = strcspn(at, " ");
    if (len > 0) {
      int code = style_code(at, len);
      if (code == 0) return false;
      if (used + 8 < size)
        used += (size_t)snprintf(out + used, size - used, used == 0 ? "\033[%d" : ";%d", code);
    }
    at += len + (at[len] == ' ');
  }
  if (used > 0) snprintf(out + used, size - used, "m");
  return true;
}

bool term_is_style(const char *style) {
  char unused[48];
  return compose_style(style, unused, sizeof unused);
}

void term_set_colour(enum term_colour when) { colour_when = when; }

bool term_has_colour(enum term_stream stream) {
  if (colour_when != TERM_AUTO) return colour_when == TERM_ALWAYS;
  const char *off = getenv("NO_COLOR"), *kind = getenv("TERM");
  if (off != NULL && *off != '\0') return false;
  if (kind == NULL || *kind == '\0' || strcmp(kind, "dumb") == 0) return false;
  return isatty(streams[stream].fd) != 0;
}

/* --- what the terminal is ------------------------------------------------------------------- */

bool term_is_terminal(void) { return isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0; }

bool term_shows(enum term_stream stream) {
  return isatty(stream == TERM_OUT ? STDOUT_FILENO : STDERR_FILENO) != 0;
}

bool term_has_utf8(void) {
  const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  for (size_t i = 0; i < 3; i++) {
    const char *value = getenv(names[i]);
    if (value != NULL && *value != '\0')
      return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
  }
  return false;
}

static bool window(struct winsize *size) {
  return (ioctl(STDOUT_FILENO, TIOCGWINSZ, size) == 0 && size->ws_col > 0) ||
         (ioctl(STDERR_FILENO, TIOCGWINSZ, size) == 0 && size->ws_col > 0);
}

static int number_of(const char *name, int otherwise) {
  const char *text = getenv(name);
  long value = text != NULL ? strtol(text, NULL, 10) : 0;
  return value > 0 && value < 10000 ? (int)value : otherwise;
}

int term_width(void) {
  struct winsize size;
  return window(&size) ? size.ws_col : number_of("COLUMNS", 80);
}

int term_height(void) {
  struct winsize size;
  return window(&size) && size.ws_row > 0 ? size.ws_row : number_of("LINES", 24);
}

/* --- writing -------------------------------------------------------------------------------- */

static void add(struct stream *s, const char *text, size_t len) {
  if (len == 0) return; /* there may be no room yet to copy nothing to */
  if (s->room - s->len < len) {
    size_t room = (s->len + len) * 2 + 256;
    char *out = realloc(s->out, room);
    if (out == NULL) return; /* lost: what is on the screen is not worth the run */
    s->out = out;
    s->room = room;
  }
  memcpy(s->out + s->len, text, len);
  s->len += len;
}

const char *term_ascii(const char *text, size_t *len) {
  static const struct {
    const char *sign, *ascii;
  } signs[] = {{"…", "~"}, {"─", "-"}, {"–", "-"}, {"‹", "<"}, {"›", ">"},
               {"×", "x"}, {"█", "#"}, {"⏎", "|"}, {"·", "-"}};
  for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
    if (strlen(signs[i].sign) != *len || memcmp(signs[i].sign, text, *len) != 0) continue;
    *len = 1;
    return signs[i].ascii;
  }
  return text;
}

/* A style ends before a line end and begins again behind it, so that no line is coloured to the
   window's edge and a pager shows each line rightly. */
static void add_styled(void *context, const char *text, size_t len) {
  struct stream *s = context;
  if (s->ascii && (text[0] & 0x80) != 0) text = term_ascii(text, &len);
  if (s->style[0] == '\0') {
    add(s, text, len);
    return;
  }
  while (len > 0) {
    const char *feed = memchr(text, '\n', len);
    size_t part = feed != NULL ? (size_t)(feed - text) : len;
    if (part > 0 && !s->styled) {
      add(s, s->style, strlen(s->style));
      s->styled = true;
    }
    add(s, text, part);
    if (feed != NULL) {
      if (s->styled) add(s, "\033[0m", 4);
      s->styled = false;
      add(s, "\n", 1);
      part++;
    }
    text += part;
    len -= part;
  }
}

static void after_mask(void *context, const char *text, size_t len) {
  struct stream *s = context;
  filter_feed(&s->filter, text, len, add_styled, s);
}

static int write_all(int fd, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t wrote = write(fd, bytes, len);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) { /* somebody made the terminal non-blocking */
      struct pollfd wait = {.fd = fd, .events = POLLOUT};
      if (poll(&wait, 1, 10000) == 0) return EAGAIN;
      continue;
    }
    if (wrote < 0) return errno;
    bytes += wrote;
    len -= (size_t)wrote;
  }
  return 0;
}

/* Told once, on the other stream, and never about a reader that went away: `| head` is a wish. */
static void tell_failure(struct stream *s) {
  if (s->told || s->fd != STDOUT_FILENO || s->error == EPIPE) return;
  s->told = true;
  char text[200];
  int len =
      snprintf(text, sizeof text, "opsrun: cannot write to 'stdout': %s\n", error_text(s->error));
  if (streams[TERM_ERR].failed) return;
  status_clear();
  write_all(STDERR_FILENO, text, (size_t)len);
}

static void send_out(struct stream *s) {
  if (s->styled) add(s, "\033[0m", 4);
  s->styled = false;
  if (s->len == 0) return;
  if (!s->failed) {
    bool tty = isatty(s->fd) != 0;
    if (tty) status_clear();
    int number = write_all(s->fd, s->out, s->len);
    if (number != 0) {
      s->failed = true;
      s->error = number;
    }
    if (tty) at_start = s->out[s->len - 1] == '\n';
  }
  s->len = 0;
  if (s->failed) tell_failure(s);
}

static void flush_one(struct stream *s) {
  if (!s->open) return;
  mask_stream_flush(&s->mask);
  filter_flush(&s->filter, add_styled, s);
  send_out(s);
}

void term_flush(void) {
  flush_one(&streams[TERM_OUT]);
  flush_one(&streams[TERM_ERR]);
}

static void at_exit(void) {
  term_flush();
  status_clear();
}

static void open_stream(struct stream *s) {
  static bool registered;
  if (!registered) atexit(at_exit);
  registered = true;
  mask_stream_open(&s->mask, after_mask, s);
  s->open = true;
  s->ascii = isatty(s->fd) != 0 && !term_has_utf8();
}

void term_write(enum term_stream stream, const char *style, const char *text, size_t len) {
  struct stream *s = &streams[stream];
  if (len == 0) return;
  if (!s->open) open_stream(s);
  s->style[0] = '\0';
  if (style != NULL && term_has_colour(stream)) compose_style(style, s->style, sizeof s->style);
  if (mask_stream_feed(&s->mask, text, len) != 0) return; /* out of memory: better lost than bare */
  if (text[len - 1] == '\n') flush_one(s);
  else send_out(s);
}

void term_message(const char *kind, const char *text, size_t len, const char *hint,
                  size_t hint_len) {
  bool error = strcmp(kind, "error") == 0, warning = strcmp(kind, "warning") == 0;
  term_flush();
  if (!at_start && isatty(STDERR_FILENO)) term_write(TERM_ERR, NULL, "\n", 1);
  const char *style = error ? "bold red" : warning ? "bold yellow" : "bold";
  term_write(TERM_ERR, style, "opsrun: ", 8);
  if (warning) term_write(TERM_ERR, style, "warning: ", 9);
  if (!error && !warning) term_write(TERM_ERR, NULL, "note: ", 6);
  term_write(TERM_ERR, NULL, text, len);
  term_write(TERM_ERR, NULL, "\n", 1);
  if (hint == NULL || hint_len == 0) return;
  term_write(TERM_ERR, NULL, "  ", 2);
  term_write(TERM_ERR, NULL, hint, hint_len);
  term_write(TERM_ERR, NULL, "\n", 1);
}

void term_note_newline(bool start) { at_start = start; }

/* --- the status line's needs ---------------------------------------------------------------- */

bool status_may_draw(void) { return at_start && !streams[TERM_ERR].failed; }

void status_write(const char *bytes, size_t len) {
  struct stream *s = &streams[TERM_ERR];
  if (write_all(s->fd, bytes, len) != 0) s->failed = true;
}

/* --- widths --------------------------------------------------------------------------------- */

struct measure {
  int column, widest;
};

/* The columns the character at p takes when it stands in `column`; *n: its bytes. */
static int columns_of(const unsigned char *p, size_t left, int column, int *n) {
  uint32_t code;
  *n = utf8_next(p, left, &code);
  if (*n <= 0) *n = 1;
  if (code == '\t') return 8 - column % 8;
  int width = wcwidth((wchar_t)code);
  return width < 0 ? 1 : width;
}

static void measure_text(void *context, const char *text, size_t len) {
  struct measure *m = context;
  const unsigned char *p = (const unsigned char *)text, *end = p + len;
  while (p < end) {
    int n = 1;
    if (*p == '\n') m->column = 0;
    else m->column += columns_of(p, (size_t)(end - p), m->column, &n);
    if (m->column > m->widest) m->widest = m->column;
    p += n;
  }
}

int term_display_width(const char *text, size_t len) {
  struct measure m = {0, 0};
  struct filter f = {.held_len = 0};
  filter_feed(&f, text, len, measure_text, &m);
  filter_flush(&f, measure_text, &m);
  return m.widest;
}

size_t term_fit(const char *text, size_t len, int columns) {
  const unsigned char *start = (const unsigned char *)text, *p = start, *end = p + len;
  int column = 0, n = 1;
  while (p < end) {
    column += columns_of(p, (size_t)(end - p), column, &n);
    if (column > columns) break;
    p += n;
  }
  return (size_t)(p - start);
}
