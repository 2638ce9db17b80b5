/* Reading an answer from the terminal without blocking the loop. */
#include "prompt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../loop/loop.h"
#include "keys.h"
#include "term.h"
#include "tty.h"

enum { LINE_CAP = 4096, TRIES = 20 };

struct prompt {
  struct op op;
  enum prompt_kind kind;
  unsigned count;
  unsigned tries;
  long number;
  char words[64];   /* that are no answer, apart by spaces */
  const char *word; /* the one of them that was typed: in `text` */
  int watch; /* an epoll descriptor that holds standard input */
  uv_poll_t *poll;
  size_t len;
  char text[LINE_CAP + 1];
};

static struct prompt *asking;

static void free_handle(uv_handle_t *handle) { free(handle); }

/* Gives everything back; the operation may then be finished. */
static void leave(struct prompt *p) {
  if (p->poll != NULL) {
    uv_poll_stop(p->poll);
    p->poll->data = NULL;
    uv_close((uv_handle_t *)p->poll, free_handle);
    p->poll = NULL;
  }
  if (p->watch >= 0) close(p->watch);
  p->watch = -1;
  if (asking == p) {
    tty_drain(); /* a pasted second line is no answer to the next question */
    tty_leave();
    asking = NULL;
    keys_pause(false);
  }
}

static void give_up(struct prompt *p, const char *code, const char *why) {
  bool was_asking = asking == p;
  leave(p);
  if (was_asking) {
    term_note_newline(true); /* the write below begins where the question ended */
    term_write(TERM_ERR, NULL, "\n", 1);
  }
  op_fail(&p->op, OP_NOT_SENT, code, "%s", why);
}

static void again(struct prompt *p) {
  if (++p->tries >= TRIES) {
    give_up(p, "cancelled", "no usable answer");
    return;
  }
  char text[96];
  int len = p->kind == PROMPT_YES_NO
                ? snprintf(text, sizeof text, "   please type yes or no: ")
                : snprintf(text, sizeof text, "   please type a number from 1 to %u: ", p->count);
  tty_drain();
  term_write(TERM_ERR, NULL, text, (size_t)len);
  term_flush();
}

static bool parse_yes_no(struct prompt *p, const char *word) {
  static const struct {
    const char *word;
    long number;
  } words[] = {{"", 0}, {"n", 0}, {"no", 0}, {"y", 1}, {"yes", 1}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcasecmp(word, words[i].word) != 0) continue;
    p->number = words[i].number;
    return true;
  }
  return false;
}

/* Is it one of the words that are no answer? */
static bool is_word(struct prompt *p, const char *typed) {
  char words[sizeof p->words], *rest = NULL;
  memcpy(words, p->words, sizeof words);
  for (char *word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
    if (strcasecmp(word, typed) != 0) continue;
    snprintf(p->text, sizeof p->text, "%s", word); /* as it was allowed, in its case */
    p->word = p->text;
    return true;
  }
  return false;
}

static bool parse_choice(struct prompt *p, const char *word) {
  char *end;
  errno = 0;
  long number = strtol(word, &end, 10);
  if (end == word || *end != '\0' || errno != 0 || number < 1 || number > (long)p->count)
    return false;
  p->number = number;
  return true;
}

/* More input right behind the line was pasted, or came from a program that plays a person: no
   answer to a question that lets something happen. */
static bool is_pasted(void) {
  int waiting = 0;
  return ioctl(STDIN_FILENO, FIONREAD, &waiting) == 0 && waiting > 0;
}

static void take_line(struct prompt *p) {
  while (p->len > 0 && (p->text[p->len - 1] == '\n' || p->text[p->len - 1] == '\r')) p->len--;
  p->text[p->len] = '\0';
  bool plain = strlen(p->text) == p->len, good = true;
  if (p->kind == PROMPT_YES_NO)
    good = plain && !is_pasted() && (parse_yes_no(p, p->text) || is_word(p, p->text));
  if (p->kind == PROMPT_CHOICE) good = plain && !is_pasted() && parse_choice(p, p->text);
  if (!good) {
    p->len = 0;
    again(p);
    return;
  }
  leave(p);
  op_finish(&p->op);
}

static void on_input(uv_poll_t *poll, int status, int events) {
  struct prompt *p = poll->data;
  (void)status;
  (void)events;
  if (p == NULL) return;
  ssize_t got = read(STDIN_FILENO, p->text + p->len, LINE_CAP - p->len);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  term_note_newline(true); /* the Enter was echoed */
  if (got <= 0) {
    term_note_newline(false);
    give_up(p, "eof", got == 0 ? "end of input" : "the terminal went away");
    return;
  }
  p->len += (size_t)got;
  bool whole = p->text[p->len - 1] == '\n';
  /* In line mode a read ends without a line end after Ctrl-D behind some text, or when it is too
     long: wait for the rest of the first, give up on the second. */
  if (whole) take_line(p);
  else if (p->len >= LINE_CAP) give_up(p, "cancelled", "the answer is longer than 4096 bytes");
}

static void stop(struct op *op, enum op_stop why) {
  struct prompt *p = (struct prompt *)op;
  if (why == OP_STOP_TIMEOUT) give_up(p, "timeout", "nobody answered in time");
  else give_up(p, "cancelled", "the question was withdrawn");
}

static void destroy(struct op *op) {
  struct prompt *p = (struct prompt *)op;
  leave(p);
  explicit_bzero(p->text, sizeof p->text);
  free(p);
}

static const struct op_class prompt_class = {"prompt", stop, destroy};

/* Watches through an epoll descriptor of our own: uv_poll makes what it watches non-blocking, and
   standard input shares that with the shell that started us. */
static int watch(struct prompt *p) {
  struct epoll_event event = {.events = EPOLLIN};
  p->watch = epoll_create1(EPOLL_CLOEXEC);
  if (p->watch < 0 || epoll_ctl(p->watch, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0) return errno;
  p->poll = malloc(sizeof *p->poll);
  if (p->poll == NULL) return ENOMEM;
  if (uv_poll_init(loop_uv(), p->poll, p->watch) != 0) {
    free(p->poll);
    p->poll = NULL;
    return EIO;
  }
  p->poll->data = p;
  return uv_poll_start(p->poll, UV_READABLE, on_input) == 0 ? 0 : EIO;
}

struct op *prompt_start(enum prompt_kind kind, const char *question, size_t question_len,
                        unsigned count, uint64_t timeout_ms) {
  struct prompt *p = calloc(1, sizeof *p);
  if (p == NULL) return NULL;
  op_open(&p->op, &prompt_class);
  p->kind = kind;
  p->count = count;
  p->watch = -1;
  if (!term_is_terminal()) {
    op_fail(&p->op, OP_NOT_SENT, "eof", "there is no terminal to ask on");
    return &p->op;
  }
  if (asking != NULL) {
    op_fail(&p->op, OP_NOT_SENT, "busy", "another question is open");
    return &p->op;
  }
  term_flush();
  keys_pause(true);
  if (tty_enter(kind != PROMPT_HIDDEN) != 0) {
    keys_pause(false);
    op_fail(&p->op, OP_NOT_SENT, "eof", "the terminal went away");
    return &p->op;
  }
  asking = p;
  if (question != NULL) term_write(TERM_ERR, "bold", question, question_len);
  term_flush();
  term_note_newline(false); /* the cursor stands behind the question: no status line there */
  int number = watch(p);
  if (number != 0) give_up(p, "cancelled", strerror(number));
  else if (timeout_ms > 0) op_set_timeout(&p->op, timeout_ms);
  return &p->op;
}

void prompt_allow(struct op *op, const char *words) {
  struct prompt *p = (struct prompt *)op;
  snprintf(p->words, sizeof p->words, "%s", words);
}

const char *prompt_word(const struct op *op) { return ((const struct prompt *)op)->word; }

enum prompt_kind prompt_kind_of(const struct op *op) { return ((const struct prompt *)op)->kind; }

long prompt_number(const struct op *op) { return ((const struct prompt *)op)->number; }

const char *prompt_text(const struct op *op, size_t *len) {
  const struct prompt *p = (const struct prompt *)op;
  *len = p->len;
  return p->text;
}
