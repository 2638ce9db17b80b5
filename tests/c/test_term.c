/* Claims about questions and output, each played on a pseudo-terminal of its own. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "check.h"
#include "loop/loop.h"
#include "loop/signals.h"
#include "term/keys.h"
#include "term/mask.h"
#include "term/prompt.h"
#include "term/term.h"

/* --- the child: one question, its outcome into a pipe --- */

struct question {
  enum prompt_kind kind;
  uint64_t timeout_ms;
  bool stop_on_signal;
  const char *words; /* that are no answer */
};

static int result_fd;
static bool done;

static void on_ready(struct op *op) {
  size_t len = 0;
  if (op->failed) dprintf(result_fd, "failed:%s", op->code);
  else if (prompt_kind_of(op) == PROMPT_LINE || prompt_kind_of(op) == PROMPT_HIDDEN)
    dprintf(result_fd, "text:%s", prompt_text(op, &len));
  else if (prompt_word(op) != NULL) dprintf(result_fd, "word:%s", prompt_word(op));
  else dprintf(result_fd, "number:%ld", prompt_number(op));
  op_destroy(op);
  done = true;
}

static void on_enter(struct op *op) {
  dprintf(result_fd, "%s", op->failed ? op->code : "entered");
  op_destroy(op);
  done = true;
}

static struct op *the_question;

static void on_signal_op(struct op *op) {
  op_destroy(op);
  op_stop(the_question, OP_STOP_CANCEL);
}

static void ask(const struct question *q) {
  the_question = prompt_start(q->kind, "answer: ", 8, 3, q->timeout_ms);
  if (the_question == NULL) _exit(9);
  if (q->words != NULL) prompt_allow(the_question, q->words);
  the_question->on_ready = on_ready;
  if (q->stop_on_signal) signals_wait()->on_ready = on_signal_op;
  while (!done && loop_turn()) continue;
}

/* --- the parent's side of the terminal --- */

struct play {
  int master, slave, result, gate;
  pid_t child;
  char screen[16384];
  size_t seen;
};

typedef void (*part)(const struct question *q);

static void start(struct play *p, part run, const struct question *q) {
  int out[2], gate[2];
  memset(p, 0, sizeof *p);
  p->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (p->master < 0 || grantpt(p->master) != 0 || unlockpt(p->master) != 0) abort();
  p->slave = open(ptsname(p->master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (p->slave < 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(gate, O_CLOEXEC) != 0) abort();
  p->child = fork();
  if (p->child == 0) {
    setsid();
    ioctl(p->slave, TIOCSCTTY, 0);
    for (int fd = 0; fd < 3; fd++) dup2(p->slave, fd);
    close(p->master);
    close(gate[1]);
    result_fd = out[1];
    char byte;
    while (read(gate[0], &byte, 1) > 0) continue;
    if (loop_open() != 0 || signals_open() != 0) _exit(9);
    run(q);
    exit(0);
  }
  close(out[1]);
  close(gate[0]);
  p->result = out[0];
  p->gate = gate[1];
}

static void let_go(struct play *p) {
  close(p->gate);
  p->gate = -1;
}

/* Reads the screen until the text is there, at most 10 seconds. */
static bool await(struct play *p, const char *text) {
  for (int tries = 0; tries < 1000; tries++) {
    p->screen[p->seen] = '\0';
    if (memmem(p->screen, p->seen, text, strlen(text)) != NULL) return true;
    struct pollfd wait = {.fd = p->master, .events = POLLIN};
    if (poll(&wait, 1, 10) <= 0) continue;
    ssize_t got = read(p->master, p->screen + p->seen, sizeof p->screen - 1 - p->seen);
    if (got <= 0) return false;
    p->seen += (size_t)got;
  }
  return false;
}

static void type(struct play *p, const char *text) {
  if (write(p->master, text, strlen(text)) < 0) abort();
}

/* The child's result; its end is awaited. */
static const char *finish(struct play *p, int *status) {
  static char result[256];
  size_t len = 0;
  ssize_t got;
  while (len < sizeof result - 1 &&
         (got = read(p->result, result + len, sizeof result - 1 - len)) > 0)
    len += (size_t)got;
  result[len] = '\0';
  int code = 0;
  waitpid(p->child, &code, 0);
  if (status != NULL) *status = code;
  struct pollfd rest = {.fd = p->master, .events = POLLIN};
  while (p->master >= 0 && poll(&rest, 1, 0) > 0 && (rest.revents & POLLIN) != 0) {
    got = read(p->master, p->screen + p->seen, sizeof p->screen - 1 - p->seen);
    if (got <= 0) break;
    p->seen += (size_t)got;
  }
  p->screen[p->seen] = '\0';
  return result;
}

static void end(struct play *p) {
  close(p->result);
  if (p->master >= 0) close(p->master);
  close(p->slave);
}

static bool echoes(const struct play *p) {
  struct termios modes;
  return tcgetattr(p->slave, &modes) == 0 && (modes.c_lflag & ECHO) != 0;
}

/* Asks, types when the question is there, and compares. */
static bool answers(enum prompt_kind kind, const char *typed, const char *want) {
  struct question q = {.kind = kind};
  struct play p;
  start(&p, ask, &q);
  let_go(&p);
  bool good = await(&p, "answer: ");
  type(&p, typed);
  const char *got = finish(&p, NULL);
  if (strcmp(got, want) != 0) printf("typed %s, got %s\n", typed, got);
  good = good && strcmp(got, want) == 0 && echoes(&p);
  end(&p);
  return good;
}

static void check_answers(void) {
  CHECK(answers(PROMPT_YES_NO, "yes\n", "number:1"), "yes is yes");
  CHECK(answers(PROMPT_YES_NO, "Y\n", "number:1"), "so is Y");
  CHECK(answers(PROMPT_YES_NO, "no\n", "number:0"), "no is no");
  CHECK(answers(PROMPT_YES_NO, "\n", "number:0"), "Enter alone is no");
  CHECK(answers(PROMPT_YES_NO, "\004", "failed:eof"), "the end of input is no answer");
  CHECK(answers(PROMPT_LINE, "staging\n", "text:staging"), "a line comes back as typed");
  CHECK(answers(PROMPT_LINE, "wrong\025right\n", "text:right"), "it can be mended while typing");
  CHECK(answers(PROMPT_HIDDEN, "pass word\n", "text:pass word"), "a hidden line too");
  CHECK(answers(PROMPT_CHOICE, "3\n", "number:3"), "a choice is a number");
}

static void check_words(void) {
  static const struct {
    const char *typed, *want;
  } cases[] = {{"?\n", "word:?"}, {"NOTE\n", "word:note"}, {"n\n", "number:0"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct question q = {.kind = PROMPT_YES_NO, .words = "? d note"};
    struct play p;
    start(&p, ask, &q);
    let_go(&p);
    bool good = await(&p, "answer: ");
    type(&p, cases[i].typed);
    CHECK(good && strcmp(finish(&p, NULL), cases[i].want) == 0,
          "a word that is no answer ends the question as that word");
    end(&p);
  }
}

/* --- Enter while no question is open --- */

static void await_enter(const struct question *q) {
  struct op *op = keys_wait(q->timeout_ms);
  the_question = op;
  op->on_ready = on_enter;
  term_write(TERM_ERR, NULL, "ready\n", 6);
  while (!done && loop_turn()) continue;
}

static void check_enter(void) {
  struct question q = {.timeout_ms = 5000};
  struct play p;
  start(&p, await_enter, &q);
  let_go(&p);
  bool good = await(&p, "ready");
  type(&p, "half a line");
  type(&p, "\n");
  CHECK(good && strcmp(finish(&p, NULL), "entered") == 0 && echoes(&p),
        "Enter is heard while no question is open, in the mode the terminal was found in");
  end(&p);
  q.timeout_ms = 50;
  start(&p, await_enter, &q);
  let_go(&p);
  good = await(&p, "ready");
  type(&p, "no line end");
  CHECK(good && strcmp(finish(&p, NULL), "timeout") == 0, "without it the wait runs out");
  end(&p);
}

static void check_asked_again(void) {
  static const char *const no_answer[] = {"yess\n", "y y\n", "1\n", "yes \n", "yes\nyes\n", "ye\n"};
  for (size_t i = 0; i < sizeof no_answer / sizeof *no_answer; i++) {
    struct question q = {.kind = PROMPT_YES_NO};
    struct play p;
    start(&p, ask, &q);
    let_go(&p);
    bool good = await(&p, "answer: ");
    type(&p, no_answer[i]);
    good = good && await(&p, "please type yes or no: ");
    type(&p, "no\n");
    CHECK(good && strcmp(finish(&p, NULL), "number:0") == 0,
          "anything but a whole word is asked again");
    end(&p);
  }
}

static void check_typed_ahead(void) {
  struct question q = {.kind = PROMPT_YES_NO};
  struct play p;
  start(&p, ask, &q);
  for (int i = 0; i < 50; i++) type(&p, "yes\n");
  type(&p, "yes");
  let_go(&p);
  bool good = await(&p, "answer: ");
  type(&p, "\n");
  CHECK(good && strcmp(finish(&p, NULL), "number:0") == 0, "203 keys typed ahead never answer");
  end(&p);
}

static void check_no_answer(void) {
  struct question q = {.kind = PROMPT_YES_NO, .timeout_ms = 50};
  struct play p;
  start(&p, ask, &q);
  let_go(&p);
  CHECK(strcmp(finish(&p, NULL), "failed:timeout") == 0 && echoes(&p),
        "nobody answers: a time-out");
  end(&p);
  q = (struct question){.kind = PROMPT_HIDDEN, .stop_on_signal = true};
  start(&p, ask, &q);
  let_go(&p);
  bool good = await(&p, "answer: ");
  bool hidden = !echoes(&p);
  type(&p, "\003");
  CHECK(good && hidden && strcmp(finish(&p, NULL), "failed:cancelled") == 0 && echoes(&p),
        "Ctrl-C withdraws a hidden question and the echo comes back");
  end(&p);
  start(&p, ask, &q);
  let_go(&p);
  good = await(&p, "answer: ");
  close(p.slave);
  close(p.master);
  p.master = -1;
  p.slave = open("/dev/null", O_RDONLY | O_CLOEXEC);
  char result[64];
  ssize_t len = read(p.result, result, sizeof result - 1);
  CHECK(good && len > 7 && strncmp(result, "failed:", 7) == 0, "a hang-up is no answer");
  waitpid(p.child, NULL, 0);
  end(&p);
}

static void check_hidden(void) {
  struct question q = {.kind = PROMPT_HIDDEN};
  struct play p;
  start(&p, ask, &q);
  let_go(&p);
  bool good = await(&p, "answer: ");
  type(&p, "tell-nobody\n");
  CHECK(good && strcmp(finish(&p, NULL), "text:tell-nobody") == 0 &&
            memmem(p.screen, p.seen, "nobody", 6) == NULL && echoes(&p),
        "what is typed hidden is not on the screen");
  end(&p);
  static const int deadly[] = {SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGABRT,
#ifndef __SANITIZE_ADDRESS__ /* it keeps this one for itself */
                               SIGSEGV
#endif
  };
  for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
    int status = 0;
    start(&p, ask, &q);
    let_go(&p);
    good = await(&p, "answer: ") && !echoes(&p);
    kill(p.child, deadly[i]);
    finish(&p, &status);
    CHECK(good && WIFSIGNALED(status) && WTERMSIG(status) == deadly[i] && echoes(&p),
          "a signal that ends us gives the echo back");
    end(&p);
  }
  static const int polite[] = {SIGINT, SIGTERM, SIGHUP};
  for (size_t i = 0; i < sizeof polite / sizeof *polite; i++) {
    int status = 0;
    start(&p, ask, &q);
    let_go(&p);
    good = await(&p, "answer: ") && !echoes(&p);
    struct pollfd gone = {.fd = p.result, .events = POLLIN};
    do kill(p.child, polite[i]); /* equal signals merge while they are pending */
    while (poll(&gone, 1, 5) == 0);
    finish(&p, &status);
    CHECK(good && WIFEXITED(status) && WEXITSTATUS(status) == 128 + polite[i] && echoes(&p),
          "so does the third of those that ask us to end");
    end(&p);
  }
}

/* Waits until the child is stopped or goes on. */
static bool is_now(pid_t child, int options) {
  int status = 0;
  return waitpid(child, &status, options) == child &&
         (options == WUNTRACED ? WIFSTOPPED(status) : WIFCONTINUED(status));
}

static void check_suspended(void) {
  struct question q = {.kind = PROMPT_HIDDEN};
  struct play p;
  start(&p, ask, &q);
  let_go(&p);
  bool good = await(&p, "answer: ") && !echoes(&p);
  kill(p.child, SIGTSTP);
  /* An orphaned process group is not stopped by SIGTSTP: then the modes came and went, no more. */
  bool stopped = false;
  for (int look = 0; look < 100 && !stopped; look++) {
    int status = 0;
    stopped = waitpid(p.child, &status, WUNTRACED | WNOHANG) == p.child && WIFSTOPPED(status);
    if (!stopped) nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  }
  if (stopped) {
    good = good && echoes(&p);
    kill(p.child, SIGCONT);
    good = good && is_now(p.child, WCONTINUED);
  }
  for (int look = 0; look < 1000 && echoes(&p); look++)
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  good = good && !echoes(&p);
  type(&p, "after the break\n");
  CHECK(good && strcmp(finish(&p, NULL), "text:after the break") == 0 && echoes(&p),
        "suspended the echo is back, continued it is hidden again");
  end(&p);
}

/* --- output --- */

static void write_text(enum term_stream stream, const char *text) {
  term_write(stream, NULL, text, strlen(text));
}

static void show_status(const struct question *q) {
  (void)q;
  setenv("TERM", "xterm", 1);
  unsetenv("NO_COLOR");
  term_status("working\n\033[2J hard", 18, "  7s");
  write_text(TERM_OUT, "a line\n");
  term_write(TERM_ERR, "bold red", "loud\nvery", 9);
  term_status("more work", 9, "");
  write_text(TERM_ERR, "\n");
  term_status(NULL, 0, "");
  char why[100];
  mask_add("S", "split-secret", 12, 0, why, sizeof why);
  write_text(TERM_OUT, "say split-");
  write_text(TERM_OUT, "secret now\n");
  write_text(TERM_OUT, "no split-");
}

static void check_fit(void) {
  CHECK(term_fit("abc", 3, 2) == 2 && term_fit("abc", 3, 9) == 3 && term_fit("a\u00e9b", 4, 2) == 3,
        "as many whole characters as there are columns");
  CHECK(term_fit("\u65e5\u672c", 6, 3) == 3, "a wide one needs two of them");
}

static void check_output(void) {
  struct play p;
  start(&p, show_status, NULL);
  let_go(&p);
  finish(&p, NULL);
  const char *screen = p.screen;
  CHECK(strstr(screen, "working \\x1b[2J hard") != NULL,
        "the status line passes the filter, as one line");
  CHECK(strstr(screen, "\r\033[Ka line\r\n") != NULL, "and goes before anything else is written");
  CHECK(strstr(screen, "\033[1;31mloud\033[0m\r\n\033[1;31mvery\033[0m\r\n") != NULL,
        "a style ends at a line's end, and no status line breaks into a line");
  CHECK(strstr(screen, "say ‹secret:S› now\r\n") != NULL,
        "a secret written in two parts is masked");
  CHECK(strstr(screen, "no split-") != NULL, "what masking held back is written at the end");
  end(&p);
}

/* Runs `run` with stdout at the path and stderr in a pipe; the text of stderr. */
static const char *errors_of(part run, const char *path, bool broken_pipe) {
  static char text[4096];
  int err[2], out[2];
  if (pipe2(err, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) abort();
  pid_t child = fork();
  if (child == 0) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), full = open(path, O_WRONLY | O_CLOEXEC);
    close(out[0]);
    dup2(null, 0);
    dup2(broken_pipe ? out[1] : full, 1);
    dup2(err[1], 2);
    signal(SIGPIPE, SIG_IGN);
    if (loop_open() != 0) _exit(9);
    run(NULL);
    exit(0);
  }
  close(err[1]);
  close(out[0]);
  close(out[1]);
  size_t len = 0;
  ssize_t got;
  while ((got = read(err[0], text + len, sizeof text - 1 - len)) > 0) len += (size_t)got;
  text[len] = '\0';
  int status = 0;
  waitpid(child, &status, 0);
  close(err[0]);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? text : "it died";
}

static void write_much(const struct question *q) {
  (void)q;
  for (int i = 0; i < 3; i++) write_text(TERM_OUT, "a line\n");
  term_message("error", "it's over", 9, "try again", 9);
}

static void ask_nobody(const struct question *q) {
  (void)q;
  struct question yes_no = {.kind = PROMPT_YES_NO};
  result_fd = 2;
  ask(&yes_no);
}

static void check_no_terminal(void) {
  CHECK(strcmp(errors_of(write_much, "/dev/full", false),
               "opsrun: cannot write to 'stdout': no space left on device\n"
               "opsrun: it's over\n  try again\n") == 0,
        "a stdout that cannot be written is told once, and the run goes on");
  CHECK(strcmp(errors_of(write_much, "/dev/full", true), "opsrun: it's over\n  try again\n") == 0,
        "a reader that went away is a wish, not a failure");
  CHECK(strcmp(errors_of(ask_nobody, "/dev/null", false), "failed:eof") == 0,
        "without a terminal nobody is asked");
}

int main(void) {
  signal(SIGINT, SIG_DFL); /* started behind a shell's &, or by nohup, we would ignore them */
  signal(SIGQUIT, SIG_DFL);
  signal(SIGHUP, SIG_DFL);
  setlocale(LC_CTYPE, "C.UTF-8");
  signal(SIGPIPE, SIG_IGN);
  check_answers();
  check_asked_again();
  check_words();
  check_enter();
  check_fit();
  check_typed_ahead();
  check_no_answer();
  check_hidden();
  check_suspended();
  check_output();
  check_no_terminal();
  return CHECK_RESULT();
}
