/* The parser: words and options in any order, `--` ends options. Every usage error names what is
   wrong and the nearest thing that is right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "exitcode.h"
#include "msg.h"
#include "nearest.h"

#ifndef OPSRUN_VERSION
#define OPSRUN_VERSION "0.0.0"
#endif

#define HINT_CAP 256

struct parser {
  int argc;
  char **argv;
  int at;
  struct cli_options *out;
  bool help, version, docs, docs_codes;
};

const struct cli_command *cli_nearest_command(const char *word) {
  const struct cli_command *best = NULL;
  size_t best_distance = 0;
  for (size_t i = 0; i < CLI_COMMANDS; i++) {
    size_t distance = nearest_distance(word, cli_commands[i].name);
    if (nearest_is_close(distance, strlen(word)) && (best == NULL || distance < best_distance)) {
      best = &cli_commands[i];
      best_distance = distance;
    }
  }
  return best;
}

const struct cli_option *cli_nearest_option(const char *word, unsigned commands) {
  const struct cli_option *best = NULL;
  size_t best_distance = 0;
  for (size_t i = 0; i < cli_option_count; i++) {
    const struct cli_option *option = &cli_option_table[i];
    if ((option->commands & commands) == 0) continue;
    size_t length = strlen(word);
    bool begins = length >= 2 && strncmp(word, option->name, length) == 0;
    size_t distance = begins ? 1 : nearest_distance(word, option->name);
    if (nearest_is_close(distance, length) && (best == NULL || distance < best_distance)) {
      best = option;
      best_distance = distance;
    }
  }
  return best;
}

static const struct cli_command *find_command(const char *word) {
  for (size_t i = 0; i < CLI_COMMANDS; i++)
    if (strcmp(cli_commands[i].name, word) == 0) return &cli_commands[i];
  return NULL;
}

static const struct cli_option *find_option(const char *name, size_t len) {
  for (size_t i = 0; i < cli_option_count; i++)
    if (strlen(cli_option_table[i].name) == len && memcmp(cli_option_table[i].name, name, len) == 0)
      return &cli_option_table[i];
  return NULL;
}

static const struct cli_option *find_letter(char letter) {
  for (size_t i = 0; i < cli_option_count; i++)
    if (cli_option_table[i].letter == letter) return &cli_option_table[i];
  return NULL;
}

static bool takes_argument(const struct cli_option *option) {
  return option->kind == CLI_TEXT || option->kind == CLI_LIST || option->kind == CLI_PAIRS;
}

static unsigned bit_of(const struct cli_command *command) {
  return command == NULL ? ~0u : 1u << (command - cli_commands);
}

/* Is `text` one of "a|b|c"? */
static bool is_choice(const char *text, const char *choices) {
  size_t len = strlen(text);
  for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
    if (*at == '|') at++;
    size_t size = strcspn(at, "|");
    if (size == len && memcmp(at, text, len) == 0) return true;
  }
  return false;
}

static int bad_argument(const struct cli_option *option, const char *shown, const char *text) {
  char hint[HINT_CAP];
  if (option->kind == CLI_PAIRS) {
    snprintf(hint, sizeof hint, "for example: %s %s", shown,
             option->letter == 'p' ? "idle=10m" : "terminate-idle-sessions=yes");
    msg_errorf(hint, "%s '%s': expected %s", shown, text, option->argument);
  } else {
    size_t used = 0;
    for (const char *c = option->choices; *c != '\0' && used < sizeof hint - 3; c++) {
      if (*c == '|') {
        hint[used++] = ',';
        hint[used++] = ' ';
      } else {
        hint[used++] = *c;
      }
    }
    hint[used] = '\0';
    msg_errorf(NULL, "%s '%s': expected one of %s", shown, text, hint);
  }
  return EXIT_USAGE;
}

/* Remembers an option; `text` is its argument or NULL. */
static int take(struct parser *p, const struct cli_option *option, const char *shown,
                const char *text) {
  if (strcmp(option->name, "help") == 0) {
    p->help = true;
    return CLI_GO_ON;
  }
  const char *equals = text == NULL ? NULL : strchr(text, '=');
  if (option->kind == CLI_PAIRS && (equals == NULL || equals == text))
    return bad_argument(option, shown, text);
  if (text != NULL && option->choices != NULL && !is_choice(text, option->choices))
    return bad_argument(option, shown, text);
  p->out->values[p->out->value_count++] = (struct cli_value){.option = option, .text = text};
  return CLI_GO_ON;
}

/* The argument of an option: attached, or the next word. NULL after a usage error. */
static const char *argument_of(struct parser *p, const struct cli_option *option,
                               const char *shown, const char *attached) {
  if (attached != NULL) return attached;
  if (p->at < p->argc) return p->argv[p->at++];
  char hint[HINT_CAP];
  snprintf(hint, sizeof hint, "write it as: %s %s", shown, option->argument);
  msg_errorf(hint, "%s needs %s", shown, option->argument);
  return NULL;
}

static int unknown_option(const struct parser *p, const char *word, const char *name) {
  char hint[HINT_CAP];
  const struct cli_option *near =
      cli_nearest_option(name, bit_of(p->out->command));
  if (near == NULL) near = cli_nearest_option(name, ~0u);
  if (near != NULL) snprintf(hint, sizeof hint, "did you mean --%s?", near->name);
  else if (p->out->command != NULL)
    snprintf(hint, sizeof hint, "see 'opsrun help %s'", p->out->command->name);
  else snprintf(hint, sizeof hint, "see 'opsrun help'");
  msg_errorf(hint, "unknown option '%s'", word);
  return EXIT_USAGE;
}

static int parse_long(struct parser *p, const char *word) {
  const char *name = word + 2;
  size_t len = strcspn(name, "=");
  const char *attached = name[len] == '=' ? name + len + 1 : NULL;
  if (strcmp(name, "version") == 0) {
    p->version = true;
    return CLI_GO_ON;
  }
  if (strcmp(name, "docs") == 0 || strcmp(name, "docs=exit-codes") == 0) {
    p->docs = true; /* for docs/reference, not shown in help */
    p->docs_codes = attached != NULL;
    return CLI_GO_ON;
  }
  const struct cli_option *option = find_option(name, len);
  char shown[80];
  snprintf(shown, sizeof shown, "--%.*s", len > 64 ? 64 : (int)len, name);
  if (option == NULL) return unknown_option(p, shown, shown + 2);
  if (!takes_argument(option)) {
    if (attached == NULL) return take(p, option, shown, NULL);
    msg_errorf(NULL, "%s takes no value", shown);
    return EXIT_USAGE;
  }
  const char *text = argument_of(p, option, shown, attached);
  return text == NULL ? EXIT_USAGE : take(p, option, shown, text);
}

/* One dash: letters, the last of which may have an argument, attached or as the next word. */
static int parse_short(struct parser *p, const char *word) {
  for (const char *c = word + 1; *c != '\0'; c++) {
    char shown[3] = {'-', *c, '\0'};
    const struct cli_option *option = find_letter(*c);
    if (option == NULL) return unknown_option(p, c == word + 1 ? word : shown, word + 1);
    if (!takes_argument(option)) {
      int code = take(p, option, shown, NULL);
      if (code != CLI_GO_ON) return code;
      continue;
    }
    const char *text = argument_of(p, option, shown, c[1] != '\0' ? c + 1 : NULL);
    return text == NULL ? EXIT_USAGE : take(p, option, shown, text);
  }
  return CLI_GO_ON;
}

static int take_word(struct parser *p, const char *word) {
  struct cli_options *out = p->out;
  if (out->command != NULL) {
    out->words[out->word_count++] = word;
    return CLI_GO_ON;
  }
  out->command = find_command(word);
  if (out->command != NULL) return CLI_GO_ON;
  const struct cli_command *near = cli_nearest_command(word);
  char hint[HINT_CAP];
  size_t len = strlen(word);
  if (near != NULL) snprintf(hint, sizeof hint, "did you mean 'opsrun %s'?", near->name);
  else if (len > 4 && len < 128 && strcmp(word + len - 4, ".lua") == 0)
    snprintf(hint, sizeof hint, "to play it: opsrun play %s", word);
  else snprintf(hint, sizeof hint, "'opsrun help' lists the commands");
  msg_errorf(hint, "unknown command '%s'", word);
  return EXIT_USAGE;
}

static int parse_words(struct parser *p) {
  bool options = true;
  while (p->at < p->argc) {
    const char *word = p->argv[p->at++];
    int code;
    if (options && strcmp(word, "--") == 0) {
      options = false;
      continue;
    }
    if (options && strncmp(word, "--", 2) == 0) code = parse_long(p, word);
    else if (options && word[0] == '-' && word[1] != '\0') code = parse_short(p, word);
    else code = take_word(p, word);
    if (code != CLI_GO_ON) return code;
  }
  return CLI_GO_ON;
}

/* Options that belong to another command, too few or too many words. */
static int check_fit(const struct cli_options *out) {
  const struct cli_command *command = out->command;
  char hint[HINT_CAP];
  for (size_t i = 0; i < out->value_count; i++) {
    const struct cli_option *option = out->values[i].option;
    if ((option->commands & bit_of(command)) != 0) continue;
    snprintf(hint, sizeof hint, "see 'opsrun help %s'", command->name);
    msg_errorf(hint, "'%s' takes no option '--%s'", command->name, option->name);
    return EXIT_USAGE;
  }
  const char *gap = command->words[0] != '\0' ? " " : "";
  snprintf(hint, sizeof hint, "usage: opsrun %s%s%s", command->name, gap, command->words);
  if (out->word_count < (size_t)command->least) {
    msg_errorf(hint, "'%s' needs a %.*s", command->name, (int)strcspn(command->words, "."),
               command->words);
    return EXIT_USAGE;
  }
  if (command->most >= 0 && out->word_count > (size_t)command->most) {
    const char *extra = out->words[command->most];
    const struct cli_option *param = find_letter('p');
    if (strchr(extra, '=') != NULL && (bit_of(command) & param->commands) != 0)
      snprintf(hint, sizeof hint, "to set a parameter: -p %.100s", extra);
    msg_errorf(hint, "unexpected word '%s'", extra);
    return EXIT_USAGE;
  }
  return CLI_GO_ON;
}

static int print_help(const struct cli_options *out) {
  bool help_on = out->command == &cli_commands[CLI_HELP];
  if (out->command == NULL || (help_on && out->word_count == 0)) {
    cli_help_overview();
    return EXIT_DONE;
  }
  if (!help_on) {
    cli_help_command(out->command);
    return EXIT_DONE;
  }
  if (strcmp(out->words[0], "exit-codes") == 0) {
    cli_help_exit_codes();
    return EXIT_DONE;
  }
  const struct cli_command *command = find_command(out->words[0]);
  if (command == NULL) {
    const struct cli_command *near = cli_nearest_command(out->words[0]);
    char hint[HINT_CAP];
    if (near != NULL) snprintf(hint, sizeof hint, "did you mean 'opsrun help %s'?", near->name);
    msg_errorf(near != NULL ? hint : "'opsrun help' lists the commands", "no help on '%s'",
               out->words[0]);
    return EXIT_USAGE;
  }
  cli_help_command(command);
  return EXIT_DONE;
}

int cli_parse(int argc, char **argv, struct cli_options *out) {
  out->command = NULL;
  out->word_count = out->value_count = 0;
  /* A word gives at most one value, but for clusters of letters: their length bounds it. */
  size_t room = 1;
  for (int i = 1; i < argc; i++) room += argv[i][0] == '-' ? strlen(argv[i]) : 1;
  out->words = calloc(room, sizeof *out->words);
  out->values = calloc(room, sizeof *out->values);
  if (out->words == NULL || out->values == NULL) {
    msg_error("out of memory at start", NULL);
    return EXIT_BUG;
  }
  struct parser p = {.argc = argc, .argv = argv, .at = 1, .out = out};
  int code = parse_words(&p);
  if (code != CLI_GO_ON) return code;
  if (p.docs) {
    if (p.docs_codes) cli_exit_codes_markdown();
    else cli_help_markdown();
    return EXIT_DONE;
  }
  if (p.version || out->command == &cli_commands[CLI_VERSION]) {
    printf("opsrun %s\n", OPSRUN_VERSION);
    return EXIT_DONE;
  }
  if (p.help || out->command == &cli_commands[CLI_HELP]) return print_help(out);
  if (out->command == NULL) {
    cli_help_overview();
    return EXIT_USAGE;
  }
  return check_fit(out);
}
