/* Claims about the terminal filter: 250 hostile sequences, split everywhere, and not one byte that
 * steers a terminal comes out. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "term/filter.h"
#include "term/term.h"

static char out[65536];
static size_t out_len;

static void take(void *context, const char *text, size_t len) {
  (void)context;
  if (out_len + len >= sizeof out) abort();
  memcpy(out + out_len, text, len);
  out_len += len;
  out[out_len] = '\0';
}

static void run(const char *text, size_t len, size_t split) {
  struct filter f = {.held_len = 0};
  out_len = 0;
  out[0] = '\0';
  filter_feed(&f, text, split, take, NULL);
  filter_feed(&f, text + split, len - split, take, NULL);
  filter_flush(&f, take, NULL);
}

/* Printable ASCII, line feed, tab, and well-formed characters that the filter lets pass. */
static bool is_harmless(const char *text, size_t len) {
  const unsigned char *p = (const unsigned char *)text, *end = p + len;
  while (p < end) {
    uint32_t code;
    int n = utf8_next(p, (size_t)(end - p), &code);
    if (n <= 0 || code == 0x7F || (code < 0x20 && code != '\n' && code != '\t')) return false;
    if (code >= 0x80 && (code < 0xA0 || filter_hides(code))) return false;
    p += n;
  }
  return true;
}

static int tried;

static void attack(const char *text, size_t len) {
  char whole[65536];
  tried++;
  run(text, len, len);
  CHECK(is_harmless(out, out_len), "nothing that steers a terminal comes out");
  size_t whole_len = out_len;
  memcpy(whole, out, out_len);
  bool same = true;
  for (size_t split = 0; split < len; split++) {
    run(text, len, split);
    same = same && out_len == whole_len && memcmp(out, whole, whole_len) == 0;
  }
  CHECK(same, "wherever the text is split, the same comes out");
}

static void attack_text(const char *text) { attack(text, strlen(text)); }

static const char *const known[] = {"\033[2J",
                                    "\033[H\033[J",
                                    "\033[1;31mred",
                                    "\033[6n",
                                    "\033[c",
                                    "\033[>c",
                                    "\033[0c",
                                    "\033[5i",
                                    "\033[4i",
                                    "\033[?1049h",
                                    "\033[?25l",
                                    "\033[?1000h",
                                    "\033[?2004h",
                                    "\033[20t",
                                    "\033[21t",
                                    "\033[8;1;1t",
                                    "\033[3;0;0t",
                                    "\033]0;title\007",
                                    "\033]2;title\033\\",
                                    "\033]1;icon\007",
                                    "\033]8;;http://evil/\033\\x\033]8;;\033\\",
                                    "\033]52;c;ZXZpbA==\007",
                                    "\033]4;1;?\007",
                                    "\033]10;?\007",
                                    "\033]11;rgb:0/0/0\007",
                                    "\033]50;x\007",
                                    "\033]1337;File=inline=1:AAAA\007",
                                    "\033]777;notify;a;b\007",
                                    "\033]9;x\007",
                                    "\033]133;A\007",
                                    "\033P$q\"p\033\\",
                                    "\033P+q544e\033\\",
                                    "\033P1$r\033\\",
                                    "\033P0;1|17/ab\033\\",
                                    "\033Pq#0;2;0;0;0\033\\",
                                    "\033_Gf=100;AAAA\033\\",
                                    "\033^pm\033\\",
                                    "\033Xsos\033\\",
                                    "\033c",
                                    "\0337",
                                    "\0338",
                                    "\033D",
                                    "\033M",
                                    "\033E",
                                    "\033H",
                                    "\033#8",
                                    "\033%G",
                                    "\033%@",
                                    "\033(0lqqk",
                                    "\033)0",
                                    "\033n",
                                    "\033o",
                                    "\033|",
                                    "\033~",
                                    "\033=",
                                    "\033>",
                                    "\033[?5W",
                                    "\033[!p",
                                    "\033[61\"p",
                                    "\033[r",
                                    "\033[10;20r",
                                    "\033[12l",
                                    "\033[20h",
                                    "\033[4h",
                                    "\033[s",
                                    "\033[u",
                                    "\033[99999999999A",
                                    "\033[\033[2J",
                                    "\033",
                                    "\033[",
                                    "\033]",
                                    "\033P",
                                    "x\rrm -rf /",
                                    "ok\b\b\bno",
                                    "a\vb",
                                    "a\fb",
                                    "bell\007",
                                    "\016so",
                                    "\017si",
                                    "\005enq",
                                    "\021\023",
                                    "\030\032",
                                    "\177\177\177",
                                    "\x9b"
                                    "2J",
                                    "\x9d"
                                    "0;t\x9c",
                                    "\x90$q\x9c",
                                    "\xc2\x9b"
                                    "2J",
                                    "\xc2\x9d"
                                    "0;t\xc2\x9c",
                                    "\xc2\x90q\xc2\x9c",
                                    "\xc2\x85next",
                                    "\xc2\x8d",
                                    "\xc2\x84",
                                    "\xe2\x80\xae"
                                    "txt.exe",
                                    "\xe2\x80\xaa",
                                    "\xe2\x80\xab",
                                    "\xe2\x80\xac",
                                    "\xe2\x80\xad",
                                    "\xe2\x81\xa6",
                                    "\xe2\x81\xa7",
                                    "\xe2\x81\xa8",
                                    "\xe2\x81\xa9",
                                    "\xe2\x80\x8e",
                                    "\xe2\x80\x8f",
                                    "\xd8\x9c",
                                    "\xe2\x80\x8b",
                                    "\xe2\x80\x8c",
                                    "\xe2\x80\x8d",
                                    "\xe2\x81\xa0",
                                    "\xef\xbb\xbf",
                                    "\xc2\xad",
                                    "\xe2\x80\xa8",
                                    "\xe2\x80\xa9",
                                    "\xf3\xa0\x81\x81\xf3\xa0\x81\xbf",
                                    "\xf3\xa0\x84\x80",
                                    "\xe3\x85\xa4",
                                    "\xe1\x85\x9f",
                                    "\xef\xbe\xa0",
                                    "\xcd\x8f",
                                    "\xef\xbf\xb9\xef\xbf\xba\xef\xbf\xbb",
                                    "\xef\xbf\xbe",
                                    "\xef\xbf\xbf",
                                    "\xef\xb7\x90",
                                    "\xc0\x9b[2J",
                                    "\xe0\x80\x9b[2J",
                                    "\xf0\x80\x80\x9b[2J",
                                    "\xc1\x9b",
                                    "\xed\xa0\x80\xed\xb0\x80",
                                    "\xf4\x90\x80\x80",
                                    "\xf8\x88\x80\x80\x80",
                                    "\xff\xfe\033[A",
                                    "\xc2",
                                    "\xe2\x80",
                                    "\xf0\x9f\x98",
                                    "\x80\x80\x80",
                                    "\xe2\x80\x1b[2J",
                                    "\xc2\x1b]0;x\007",
                                    "\xf0\x9f\033c",
                                    "\xe2\xe2\x80\xae",
                                    "q\xc2\n\x9b",
                                    "Proceed? yes\r          \rProceed? no",
                                    "line\r\nline\r\n",
                                    "\033[8mhidden\033[0m",
                                    "\033[30;40mblack",
                                    "\033[3J",
                                    "\033[1A\033[2K",
                                    "tab\tand\nfeed"};

static void check_attacks(void) {
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) attack_text(known[i]);
  for (int c = 0; c < 256; c++) { /* every byte alone, and behind the opening of a character */
    char text[3] = {'a', (char)c, 'b'};
    attack(text, 3);
    char broken[4] = {'\xe2', '\x80', (char)c, '\x9b'};
    attack(broken, 4);
  }
  attack("nul\0[2J", 7);
  printf("%d sequences, each split at every offset\n", tried);
  CHECK(tried >= 250, "at least 250 sequences were tried");
}

static bool shows(const char *text, const char *want) {
  run(text, strlen(text), strlen(text));
  if (strcmp(out, want) != 0) printf("'%s', not '%s'\n", out, want);
  return strcmp(out, want) == 0;
}

static void check_shown(void) {
  CHECK(shows("grüße 日本 😀 e\u0301\n\t|", "grüße 日本 😀 e\u0301\n\t|"),
        "words of all languages pass");
  CHECK(shows("a\rb", "a\\rb"), "a carriage return is shown");
  CHECK(shows("\033[2J", "\\x1b[2J"), "an escape is shown as its byte");
  CHECK(shows("\xc2\x9b", "\\u{9b}"), "a C1 control is shown as its number");
  CHECK(shows("\xe2\x80\xae", "\\u{202e}"), "so are bidirectional controls");
  CHECK(shows("\xff\xc3", "\\xff\\xc3"), "bytes that are no UTF-8 are shown");
  CHECK(shows("\xe2\x80"
              "A",
              "\\xe2\\x80A"),
        "a broken character does not swallow what follows");
}

static int width(const char *text) { return term_display_width(text, strlen(text)); }

static void check_widths(void) {
  CHECK(setlocale(LC_CTYPE, "C.UTF-8") != NULL, "the locale is there");
  CHECK(width("abc") == 3 && width("") == 0, "ASCII takes one column");
  CHECK(width("日本") == 4 && width("😀") == 2, "wide characters take two");
  CHECK(width("e\u0301") == 1, "combining marks take none");
  CHECK(width("\033[1m") == 7, "hidden ones take what they are shown as");
  CHECK(width("a\tb") == 9 && width("ab\nabcd\nx") == 4, "tabs to the next 8, lines by the widest");
}

int main(void) {
  check_attacks();
  check_shown();
  check_widths();
  return CHECK_RESULT();
}
