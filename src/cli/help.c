/* Help pages at 80 columns, and the same as markdown for docs/reference. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "exitcode.h"

#define WIDTH 78
#define COLUMN 26

/* Prints text in lines of at most WIDTH, each after `indent` spaces; the cursor is at `at`. */
static void print_wrapped(const char *text, size_t indent, size_t at) {
  size_t column = at;
  while (*text != '\0') {
    size_t len = strcspn(text, " ");
    if (column > indent && column + 1 + len > WIDTH) {
      printf("\n");
      column = 0;
    }
    if (column < indent) {
      printf("%*s", (int)(indent - column), "");
      column = indent;
    } else if (column > indent) {
      printf(" ");
      column++;
    }
    printf("%.*s", (int)len, text);
    column += len;
    text += len + (text[len] == ' ');
  }
  printf("\n");
}

/* "-e, --environment ENV" into `shown`. */
static void option_head(const struct cli_option *option, char *shown, size_t size) {
  char letter[8] = "    ";
  if (option->letter != 0) snprintf(letter, sizeof letter, "-%c, ", option->letter);
  snprintf(shown, size, "%s--%s%s%s", letter, option->name, option->argument ? " " : "",
           option->argument ? option->argument : "");
}

static void print_option(const struct cli_option *option) {
  char head[96];
  option_head(option, head, sizeof head);
  int used = printf("  %s", head);
  if (used + 2 > COLUMN) {
    printf("\n");
    used = 0;
  }
  print_wrapped(option->help, COLUMN, (size_t)used);
}

void cli_help_overview(void) {
  printf("opsrun plays runbooks: step by step, with a dry run and a journal.\n\n"
         "usage: opsrun COMMAND [OPTIONS]\n\n");
  static const struct {
    const char *title;
    size_t first, last;
  } groups[] = {{"Play", CLI_PLAY, CLI_PLAY},
                {"Playbooks and environments", CLI_LIST_PLAYBOOKS, CLI_DOCTOR},
                {"Runs", CLI_RUNS, CLI_LOG},
                {"Runs that did not end well", CLI_RESUME, CLI_CLOSE},
                {"What a run was", CLI_REPLAY, CLI_VERIFY},
                {"About", CLI_HELP, CLI_VERSION}};
  for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
    printf("%s\n", groups[g].title);
    for (size_t i = groups[g].first; i <= groups[g].last; i++) {
      const struct cli_command *command = &cli_commands[i];
      char head[64];
      snprintf(head, sizeof head, "%s %s", command->name, command->words);
      int used = printf("  %s", head);
      if (used + 2 > COLUMN) {
        printf("\n");
        used = 0;
      }
      print_wrapped(command->help, COLUMN, (size_t)used);
    }
    printf("\n");
  }
  printf("A first look, which changes nothing:\n"
         "  opsrun play incident/db-exhaustion.lua -e lab -n\n\n"
         "'opsrun help COMMAND' shows a command's options, 'opsrun help exit-codes' what\n"
         "each exit code means.\n");
}

static unsigned bit_of(const struct cli_command *command) {
  return 1u << (command - cli_commands);
}

void cli_help_command(const struct cli_command *command) {
  printf("usage: opsrun %s%s%s [OPTIONS]\n\n", command->name, command->words[0] ? " " : "",
         command->words);
  print_wrapped(command->about, 0, 0);
  const char *group = NULL;
  for (size_t i = 0; i < cli_option_count; i++) {
    const struct cli_option *option = &cli_option_table[i];
    if ((option->commands & bit_of(command)) == 0) continue;
    if (group == NULL || strcmp(group, option->group) != 0) printf("\n%s\n", option->group);
    group = option->group;
    print_option(option);
  }
}

void cli_help_exit_codes(void) {
  printf("exit codes, the first that applies:\n\n");
#define X(name, number, meaning) printf("  %3d  %s\n", number, meaning);
  EXIT_CODES(X)
#undef X
  printf("\nIn a dry run checks do not set the code unless --fail-on is given. A journal\n"
         "that cannot be written is 4 before any change, else 7.\n");
}

void cli_exit_codes_markdown(void) {
  printf("# Exit codes\n\n<!-- made by `opsrun --docs=exit-codes`; do not edit -->\n\n"
         "The first row that applies decides.\n\n| code | meaning |\n|---|---|\n");
#define X(name, number, meaning) printf("| %d | %s |\n", number, meaning);
  EXIT_CODES(X)
#undef X
  printf("\nIn a dry run checks do not set the code unless `--fail-on` is given. A journal that "
         "cannot be\nwritten is 4 before any change, else 7.\n");
}

static void markdown_command(const struct cli_command *command) {
  printf("\n## opsrun %s\n\n    opsrun %s%s%s [OPTIONS]\n\n%s\n", command->name, command->name,
         command->words[0] ? " " : "", command->words, command->about);
  bool first = true;
  for (size_t i = 0; i < cli_option_count; i++) {
    const struct cli_option *option = &cli_option_table[i];
    if ((option->commands & bit_of(command)) == 0) continue;
    if (first) printf("\n| option | |\n|---|---|\n");
    first = false;
    char head[96];
    option_head(option, head, sizeof head);
    printf("| `%s` | %s |\n", head + strspn(head, " "), option->help);
  }
}

void cli_help_markdown(void) {
  printf("# Command line\n\n<!-- made by `opsrun --docs`; do not edit -->\n\n"
         "Options and words may stand in any order; `--` ends options. Playbooks are looked for "
         "as\n"
         "given, in `$OPSRUN_PATH` (directories with `:` between), in `./playbooks`, in the "
         "installed\n"
         "library. A usage error exits 2, names what is wrong and the nearest thing that is "
         "right.\n");
  for (size_t i = 0; i < CLI_COMMANDS; i++) markdown_command(&cli_commands[i]);
}
