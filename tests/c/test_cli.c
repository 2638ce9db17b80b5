/* The command line: what is taken, what each mistake says, and that the reference pages are those
   the table makes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "cli/cli.h"
#include "cli/exitcode.h"
#include "cli/nearest.h"

#define TEXT_CAP 65536

static char out_text[TEXT_CAP], err_text[TEXT_CAP];
static struct cli_options parsed;

static void read_back(FILE *file, char *text) {
  rewind(file);
  size_t got = fread(text, 1, TEXT_CAP - 1, file);
  text[got] = '\0';
  fclose(file);
}

/* Calls what prints with stdout and stderr in files. */
static int captured(int (*what)(int, char **), int argc, char **argv) {
  FILE *out = tmpfile(), *err = tmpfile();
  if (out == NULL || err == NULL) abort();
  fflush(stdout);
  int saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO);
  dup2(fileno(out), STDOUT_FILENO);
  dup2(fileno(err), STDERR_FILENO);
  int code = what(argc, argv);
  fflush(stdout);
  dup2(saved_out, STDOUT_FILENO);
  dup2(saved_err, STDERR_FILENO);
  close(saved_out);
  close(saved_err);
  read_back(out, out_text);
  read_back(err, err_text);
  return code;
}

static int do_parse(int argc, char **argv) {
  free(parsed.words);
  free(parsed.values);
  return cli_parse(argc, argv, &parsed);
}

/* parse("play", "x.lua", "-n", NULL): the code. */
#define PARSE(...)                                                          \
  captured(do_parse,                                                        \
           (int)(sizeof((char *[]){(char *)"opsrun", __VA_ARGS__}) / sizeof(char *)), \
           (char *[]){(char *)"opsrun", __VA_ARGS__, NULL})

static const char *value_of(const char *name) {
  for (size_t i = parsed.value_count; i-- > 0;)
    if (strcmp(parsed.values[i].option->name, name) == 0)
      return parsed.values[i].text == NULL ? "" : parsed.values[i].text;
  return NULL;
}

static size_t count_of(const char *name) {
  size_t count = 0;
  for (size_t i = 0; i < parsed.value_count; i++)
    count += strcmp(parsed.values[i].option->name, name) == 0;
  return count;
}

static int says(const char *message) { return strstr(err_text, message) != NULL; }

static void test_what_is_taken(void) {
  CHECK(PARSE("play", "x.lua", "-e", "lab", "-n", "-p", "idle=2s", "-pa=b=c", "-vv") == CLI_GO_ON,
        "a usual line is taken");
  CHECK(parsed.command == &cli_commands[CLI_PLAY] && parsed.word_count == 1, "command and word");
  CHECK(strcmp(value_of("environment"), "lab") == 0, "-e takes the next word");
  CHECK(count_of("param") == 2 && strcmp(value_of("param"), "a=b=c") == 0, "-p repeats, whole");
  CHECK(count_of("verbose") == 2, "-vv counts twice");
  CHECK(value_of("dry-run") != NULL, "-n is --dry-run");
  CHECK(PARSE("-n", "play", "--environment=lab", "x.lua") == CLI_GO_ON, "options may come first");
  CHECK(strcmp(value_of("environment"), "lab") == 0, "--name=value");
  CHECK(PARSE("play", "-nvp", "a=b", "x") == CLI_GO_ON && count_of("param") == 1,
        "letters cluster, the last with its argument");
  CHECK(PARSE("list", "--", "-n") == CLI_GO_ON && strcmp(parsed.words[0], "-n") == 0,
        "after -- everything is a word");
  CHECK(PARSE("list") == CLI_GO_ON && parsed.word_count == 0, "list needs no words");
  CHECK(PARSE("play", "x", "--answer", "restart=yes", "--answer", "b=") == CLI_GO_ON, "--answer");
  CHECK(PARSE("play", "x", "--environment", "-n") == CLI_GO_ON &&
            strcmp(value_of("environment"), "-n") == 0,
        "the argument of an option may begin with a dash");
}

static void test_mistakes(void) {
  CHECK(PARSE("pley", "x") == EXIT_USAGE && says("opsrun: unknown command 'pley'\n") &&
            says("  did you mean 'opsrun play'?\n"),
        "an unknown command names the nearest");
  CHECK(PARSE("serve", "x") == EXIT_USAGE && says("unknown command 'serve'"),
        "a word that is no command and near none is unknown");
  CHECK(PARSE("db.lua") == EXIT_USAGE && says("to play it: opsrun play db.lua"),
        "a playbook alone says how to play it");
  CHECK(PARSE("play", "x", "--dry") == EXIT_USAGE && says("did you mean --dry-run?"),
        "a cut option names the whole one");
  CHECK(PARSE("play", "x", "--anwser", "a=b") == EXIT_USAGE && says("unknown option '--anwser'") &&
            says("did you mean --answer?"),
        "a mistyped option names the nearest");
  CHECK(PARSE("play", "x", "--resume") == EXIT_USAGE && says("see 'opsrun help play'"),
        "with none near, the page is named");
  CHECK(PARSE("play", "x", "-z") == EXIT_USAGE && says("unknown option '-z'"), "unknown letter");
  CHECK(PARSE("play") == EXIT_USAGE && says("'play' needs a PLAYBOOK\n") &&
            says("usage: opsrun play PLAYBOOK"),
        "a missing word is named");
  CHECK(PARSE("play", "x", "y") == EXIT_USAGE && says("unexpected word 'y'"), "a word too many");
  CHECK(PARSE("play", "x", "idle=5m") == EXIT_USAGE && says("to set a parameter: -p idle=5m"),
        "a parameter without -p says so");
  CHECK(PARSE("play", "x", "-p", "idle") == EXIT_USAGE && says("-p 'idle': expected NAME=VALUE"),
        "-p without =");
  CHECK(PARSE("play", "x", "-p", "=5") == EXIT_USAGE, "-p without a name");
  CHECK(PARSE("play", "x", "-e") == EXIT_USAGE && says("-e needs ENV"), "a missing argument");
  CHECK(PARSE("play", "x", "--color=red") == EXIT_USAGE &&
            says("--color 'red': expected one of auto, always, never"),
        "a choice is checked");
  CHECK(PARSE("play", "x", "--yes=no") == EXIT_USAGE && says("--yes takes no value"), "flag=value");
  CHECK(PARSE("log", "x", "--yes") == EXIT_USAGE && says("'log' takes no option '--yes'"),
        "an option of another command");
  CHECK(PARSE("\033[31m\xe2\x80\xae") == EXIT_USAGE && strchr(err_text, '\033') == NULL &&
            strstr(err_text, "\xe2\x80\xae") == NULL && says("'\\x1b[31m\\u{202e}'"),
        "what is quoted cannot steer the terminal");
}

/* Every line of the text is at most 80 columns. */
static int is_narrow(const char *text) {
  while (*text != '\0') {
    size_t len = strcspn(text, "\n");
    if (len > 80) return 0;
    text += len + (text[len] == '\n');
  }
  return 1;
}

static void test_help(void) {
  CHECK(PARSE("--help") == EXIT_DONE && strstr(out_text, "usage: opsrun") && err_text[0] == '\0',
        "--help goes to stdout with 0");
  CHECK(is_narrow(out_text), "the overview fits 80 columns");
  for (size_t i = 0; i < CLI_COMMANDS; i++) {
    char row[64];
    snprintf(row, sizeof row, "\n  %s ", cli_commands[i].name);
    CHECK(strstr(out_text, row) != NULL, "the overview lists every command");
  }
  for (size_t i = 0; i < CLI_COMMANDS; i++) {
    char *name = (char *)cli_commands[i].name;
    CHECK(PARSE("help", name) == EXIT_DONE && is_narrow(out_text), "help of a command fits");
    const char *first = strstr(out_text, "\nBefore it starts\n");
    CHECK(first == NULL || strstr(first + 1, "\nBefore it starts\n") == NULL,
          "options of one kind stand together");
    char page[TEXT_CAP];
    memcpy(page, out_text, sizeof page);
    if (i == CLI_HELP || i == CLI_VERSION) continue;
    CHECK(PARSE(name, "--help") == EXIT_DONE && strcmp(page, out_text) == 0,
          "help COMMAND and COMMAND --help are the same");
  }
  CHECK(PARSE("help", "exit-codes") == EXIT_DONE && strstr(out_text, "the outcome of a change"),
        "exit codes are a topic");
  CHECK(PARSE("help", "pley") == EXIT_USAGE && says("did you mean 'opsrun help play'?"),
        "help on nothing names the nearest");
  CHECK(PARSE("--version") == EXIT_DONE && strncmp(out_text, "opsrun ", 7) == 0, "--version");
  CHECK(captured(do_parse, 1, (char *[]){(char *)"opsrun", NULL}) == EXIT_USAGE &&
            strstr(out_text, "usage: opsrun") != NULL,
        "nothing at all shows the overview, with 2");
}

static void check_page(const char *path, const char *claim) {
  static char page[TEXT_CAP];
  FILE *file = fopen(path, "rbe");
  page[0] = '\0';
  if (file != NULL) read_back(file, page);
  CHECK(strcmp(page, out_text) == 0, claim);
}

static void test_reference(void) {
  PARSE("--docs");
  check_page("docs/reference/cli.md", "docs/reference/cli.md is what 'opsrun --docs' prints");
  PARSE("--docs=exit-codes");
  check_page("docs/reference/exit-codes.md",
             "docs/reference/exit-codes.md is what 'opsrun --docs=exit-codes' prints");
  char text[TEXT_CAP] = "";
  FILE *file = fopen("runtime/codes.lua", "rbe");
  CHECK(file != NULL, "runtime/codes.lua is there");
  if (file == NULL) return;
  read_back(file, text);
  char name[64];
#define X(NAME, number, meaning)                                                         \
  snprintf(name, sizeof name, "%s = %d,", #NAME, number);                                \
  for (char *c = name; *c != '\0'; c++) *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c); \
  CHECK(strstr(text, name) != NULL, "runtime/codes.lua has every exit code");
  EXIT_CODES(X)
#undef X
}

static void test_table(void) {
  for (size_t i = 0; i < cli_option_count; i++) {
    const struct cli_option *a = &cli_option_table[i];
    CHECK(a->commands != 0 && a->group != NULL && a->help != NULL, "an option is complete");
    CHECK((a->kind == CLI_FLAG || a->kind == CLI_COUNT) == (a->argument == NULL),
          "an argument has a name");
    for (size_t j = 0; j < i; j++) {
      const struct cli_option *b = &cli_option_table[j];
      CHECK(strcmp(a->name, b->name) != 0 && (a->letter == 0 || a->letter != b->letter),
            "names and letters are given once");
    }
  }
  CHECK(nearest_distance("abcd", "abdc") == 1, "a swap is one edit");
  CHECK(nearest_distance("", "abc") == 3, "empty words have a distance");
}

int main(void) {
  test_what_is_taken();
  test_mistakes();
  test_help();
  test_reference();
  test_table();
  free(parsed.words);
  free(parsed.values);
  return CHECK_RESULT();
}
