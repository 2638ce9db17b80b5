/* The HTTP client against friendly and hostile plain peers: what is sent, what is refused, where a
 * body ends, and what is known of the effect when no answer came. */
#include "../http/fixture.h"
#include "check.h"

static void claim_answers(void) {
  struct http_header headers[] = {{bytes_of("X-One"), bytes_of("1")},
                                  {bytes_of("X-Empty"), bytes_of("")}};
  struct http_request request = request_of("POST", url_of("plain", "/echo?q=a%20b"));
  request.headers = headers;
  request.header_count = 2;
  request.body = bytes_of("some body");
  request.bearer = bytes_of("the-token");
  struct op *op = run(request);
  CHECK(!op->failed && answer(op)->status == 200, "a request gets its answer");
  CHECK(body_holds(op, "\"body\": \"some body\""), "the body arrives");
  CHECK(body_holds(op, "\"X-One\", \"1\"") && body_holds(op, "\"X-Empty\", \"\""),
        "headers arrive, empty ones too");
  CHECK(body_holds(op, "\"Authorization\", \"Bearer the-token\""), "the bearer token arrives");
  CHECK(body_holds(op, "\"target\": \"/echo?q=a%20b\""), "the query arrives as written");
  CHECK(!body_holds(op, "Content-Type") && !body_holds(op, "Expect"),
        "nothing is added that was not asked for");
  CHECK(answer(op)->header_count == 4, "every header of the answer is kept, repeated ones too");
  CHECK(answer(op)->time.total > 0 && answer(op)->tls == NULL, "times are known, no TLS here");
  op_destroy(op);

  request = request_of("GET", url_of("plain", "/echo"));
  request.user = bytes_of("user");
  request.password = bytes_of("pass word");
  op = run(request);
  CHECK(!op->failed && body_holds(op, "\"Basic dXNlcjpwYXNzIHdvcmQ=\""),
        "basic credentials arrive");
  op_destroy(op);
  op = run(request_of("HEAD", url_of("plain", "/ok")));
  CHECK(!op->failed && answer(op)->status == 200 && answer(op)->body.len == 0, "HEAD has no body");
  op_destroy(op);
  static const char *const methods[] = {"PUT", "PATCH", "DELETE", "OPTIONS", "POST"};
  for (size_t i = 0; i < 5; i++) {
    char said[40];
    snprintf(said, sizeof said, "\"method\": \"%s\"", methods[i]);
    op = run(request_of(methods[i], url_of("plain", "/echo")));
    CHECK(!op->failed && body_holds(op, said), methods[i]);
    op_destroy(op);
  }
}

static void claim_keep_alive(void) {
  for (int i = 0; i < 2; i++) {
    struct op *op = run(request_of("GET", url_of("other", "/echo")));
    CHECK(!op->failed && body_holds(op, "\"connection\": 1}"),
          "a second read uses the first one's connection");
    op_destroy(op);
  }
}

/* How many of a kind were tried, and how many did what they must not. */
static int tried, passed;

static void report_figure(const char *what) {
  printf("%d %s: %d passed\n", tried, what, passed);
  tried = passed = 0;
}

static bool refused(struct http_request request) {
  struct op *op = run(request);
  bool refuses = op->failed && op->outcome == OP_NOT_SENT && strcmp(op->code, "invalid") == 0;
  if (!refuses) printf("  got '%s' %s\n", op->code, op->failed ? op->message : "an answer");
  op_destroy(op);
  tried++;
  passed += !refuses;
  return refuses;
}

/* 20 ways to break out of a value, tried in each place: 60 payloads and more. */
static void claim_injections(void) {
  static const char *const tails[] = {
      "\r\nX-Evil: 1",   "\nX-Evil: 1",     "\rX-Evil: 1", "\r\n\r\nGET /evil HTTP/1.1",
      "\r\n X-Evil: 1",  "\n\tX-Evil: 1",   "\x01",        "\x0b",
      "\x0c",            "\x1b[2J",         "\x7f",        "\x08",
      "\r",              "\n",              "\r\n",        "\n\n",
      "\x1f",            "\x0e\x0f",        "\r\r\n",      " \r\nHost: evil"};
  char url[600], value[100];
  for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
    snprintf(value, sizeof value, "GET%s", tails[i]);
    CHECK(refused(request_of(value, url_of("plain", "/ok"))), "a method cannot carry more");
    snprintf(url, sizeof url, "%s%s", url_of("plain", "/ok"), tails[i]);
    CHECK(refused(request_of("GET", url)), "a URL cannot carry more");
    snprintf(value, sizeof value, "x%s", tails[i]);
    struct http_header header = {bytes_of("X-Good"), bytes_of(value)};
    struct http_request request = request_of("GET", url_of("plain", "/ok"));
    request.headers = &header;
    request.header_count = 1;
    CHECK(refused(request), "a header's value cannot carry more");
    struct http_header named = {bytes_of(value), bytes_of("x")};
    request.headers = &named;
    CHECK(refused(request), "a header's name cannot carry more");
    request = request_of("GET", url_of("plain", "/ok"));
    request.bearer = bytes_of(value);
    CHECK(refused(request), "a token cannot carry more");
  }
  struct http_header zero = {bytes_of("X-Zero"), {"a\0b", 3}};
  struct http_request request = request_of("GET", url_of("plain", "/ok"));
  request.headers = &zero;
  request.header_count = 1;
  CHECK(refused(request), "a zero byte is refused in a header");
  request = request_of("GET", NULL);
  request.url = (struct http_bytes){"http://127.0.0.1\0.evil.test/", 28};
  CHECK(refused(request), "a zero byte is refused in a URL");
  CHECK(!peer_saw("plain", "evil") && !peer_saw("plain", "Evil"), "nothing of it was sent");
  report_figure("injections into method, URL, header and token");
}

static void claim_refused_requests(void) {
  static const char *const schemes[] = {
      "file:///etc/passwd", "ftp://127.0.0.1/x",    "ftps://127.0.0.1/x",  "gopher://127.0.0.1/x",
      "dict://127.0.0.1/x", "ldap://127.0.0.1/x",   "ldaps://127.0.0.1/x", "smb://127.0.0.1/x",
      "smbs://127.0.0.1/x", "scp://127.0.0.1/x",    "sftp://127.0.0.1/x",  "telnet://127.0.0.1/",
      "tftp://127.0.0.1/x", "imap://127.0.0.1/x",   "pop3://127.0.0.1/x",  "smtp://127.0.0.1/x",
      "rtsp://127.0.0.1/x", "mqtt://127.0.0.1/x",   "ws://127.0.0.1/x",    "javascript:alert(1)",
      "127.0.0.1/x",        "//127.0.0.1/x",        "/etc/passwd",         "",
      "http://",            "http://127.0.0.1:x/",  "http:\\\\127.0.0.1/", "http://a b/"};
  for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
    CHECK(refused(request_of("GET", schemes[i])), schemes[i]);
  report_figure("URLs of other schemes, or of none");
  static const char *const framing[] = {"Content-Length", "transfer-encoding", "Connection",
                                        "Expect", "Upgrade", "Proxy-Authorization", "TE"};
  for (size_t i = 0; i < sizeof framing / sizeof framing[0]; i++) {
    struct http_header header = {bytes_of(framing[i]), bytes_of("5")};
    struct http_request request = request_of("POST", url_of("plain", "/ok"));
    request.headers = &header;
    request.header_count = 1;
    CHECK(refused(request), framing[i]);
  }
  CHECK(refused(request_of("CONNECT", url_of("plain", "/ok"))), "CONNECT is not sent");
  CHECK(refused(request_of("TRACE", url_of("plain", "/ok"))), "TRACE is not sent");
  CHECK(refused(request_of("get", url_of("plain", "/ok"))), "a method in small letters is refused");
  struct http_request request = request_of("GET", url_of("plain", "/ok"));
  request.body = bytes_of("x");
  CHECK(refused(request), "GET carries no body");
  request = request_of("GET", url_of("plain", "/ok"));
  request.origin = bytes_of("http://127.0.0.1:1");
  CHECK(refused(request), "a URL of another origin than promised is refused");
}

/* Fails as too large, and no more than 64 KiB beyond the cap is held. */
static void claim_capped(const char *path, bool decode) {
  struct http_request request = request_of("GET", url_of("plain", path));
  request.cap = (size_t)1024 * 1024;
  request.decode = decode;
  request.timeout_ms = 20000;
  uint64_t began = loop_now_ns();
  struct op *op = run(request);
  CHECK(op->failed && strcmp(op->code, "too large") == 0, path);
  CHECK(loop_now_ns() - began < 10000000000u, "it ends long before its time is over");
  tried++;
  passed += !op->failed;
  CHECK(message_holds(op, "is larger than 1 MiB"), "the message names the cap");
  CHECK(answer(op)->body.len == 0, "no part of it is handed out");
  op_destroy(op);
}

static void claim_failure(const char *path, const char *code, const char *words) {
  struct http_request request = request_of("GET", url_of("plain", path));
  request.timeout_ms = 500;
  uint64_t began = loop_now_ns();
  struct op *op = run(request);
  tried++;
  passed += !op->failed;
  double took = (double)(loop_now_ns() - began) / 1e9;
  bool right = op->failed && op->outcome == OP_FAILED && strcmp(op->code, code) == 0;
  if (!right) printf("  %s: '%s' %s\n", path, op->code, op->failed ? op->message : "an answer");
  CHECK(right, path);
  if (!message_holds(op, words)) printf("  got: %s\n", op->failed ? op->message : "an answer");
  CHECK(message_holds(op, words), words);
  CHECK(took < 1.5, "it ends by its time-out and a second");
  op_destroy(op);
}

static void claim_hostile_bodies(void) {
  tried = passed = 0;
  claim_capped("/endless", false);
  claim_capped("/endless-chunks", false);
  claim_capped("/bomb/gzip", true);
  claim_capped("/bomb/deflate", true);
  claim_capped("/bomb/twice", true);
  claim_capped("/huge/9223372036854775807", false);
  claim_failure("/huge/9223372036854775808", "too large", "is larger than 16 MiB");
  claim_failure("/huge/-1", "protocol", "");
  claim_failure("/huge/chunk", "reset", "ended early");
  claim_failure("/endless-headers", "too large", "has too many headers");
  claim_failure("/drip", "timeout", "did not end within 500ms");
  claim_failure("/short", "reset", "ended early");
  claim_failure("/lying", "timeout", "did not end within 500ms");
  claim_failure("/not-http", "protocol", "does not speak HTTP");
  claim_failure("/silent", "timeout", "no answer from");
  report_figure("hostile bodies, 1 MiB or half a second each");
  struct http_request request = request_of("GET", url_of("plain", "/sized/1000"));
  request.cap = 1000;
  struct op *op = run(request);
  CHECK(!op->failed && answer(op)->body.len == 1000, "a body of exactly the cap is taken");
  op_destroy(op);
  request.cap = 999;
  op = run(request);
  CHECK(op->failed && message_holds(op, "larger than 999 bytes"), "one byte more is not");
  op_destroy(op);
  request = request_of("GET", url_of("plain", "/bomb/gzip"));
  op = run(request);
  CHECK(!op->failed && answer(op)->body.len < 1024 * 1024, "nothing is unpacked unless asked for");
  op_destroy(op);
}

static void claim_redirect(const char *code, const char *kind, bool followed) {
  char path[60];
  snprintf(path, sizeof path, "/redirect/%s/%s", code, kind);
  struct http_header headers[] = {
      {bytes_of("X-Api-Key"), bytes_of("leak-1")}, {bytes_of("Private-Token"), bytes_of("leak-2")},
      {bytes_of("Cookie"), bytes_of("s=leak-3")},  {bytes_of("Authorization"), bytes_of("leak-4")},
      {bytes_of("X-Vault"), bytes_of("leak-5")},   {bytes_of("X-Custom"), bytes_of("leak-6")}};
  struct http_request request = request_of("GET", url_of("plain", path));
  request.headers = headers;
  request.header_count = 6;
  struct op *op = run(request);
  CHECK(!op->failed && answer(op)->status == atoi(code), "a redirect is not followed unasked");
  op_destroy(op);
  request.follow = 3;
  op = run(request);
  if (followed) {
    CHECK(!op->failed && answer(op)->status == 200 && answer(op)->redirects == 1, path);
    CHECK(!op->failed && body_holds(op, "leak-1"), "headers stay with their origin");
  } else {
    CHECK(op->failed && strcmp(op->code, "redirect") == 0, path);
  }
  op_destroy(op);
}

static void claim_redirects(void) {
  claim_redirect("302", "same", true);
  claim_redirect("301", "relative", true);
  claim_redirect("308", "same", true);
  static const char *const away[] = {"other", "name", "scheme", "user", "loop",   "bare",
                                     "file",  "ftp",  "at",     "slash", "gopher", "space"};
  for (size_t i = 0; i < sizeof away / sizeof away[0]; i++) claim_redirect("302", away[i], false);
  int leaks = peer_saw("other", "leak");
  CHECK(leaks == 0, "no header reached another origin");
  printf("12 redirects × 6 headers: %d leaks\n", leaks);
  struct http_request request = request_of("POST", url_of("plain", "/redirect/307/same"));
  request.follow = 3;
  request.change = true;
  struct op *op = run(request);
  CHECK(!op->failed && answer(op)->status == 307, "a change is never redirected");
  op_destroy(op);
}

static void claim_outcome(const char *peer, const char *path, bool change, enum op_outcome wanted) {
  struct http_request request = request_of(change ? "POST" : "GET", url_of(peer, path));
  request.change = change;
  request.timeout_ms = 400;
  request.connect_timeout_ms = 300;
  struct op *op = run(request);
  bool right = op->failed && op->outcome == wanted;
  if (!right)
    printf("  %s %s: %s %s\n", peer, path, op_outcome_name(op->outcome),
           op->failed ? op->message : "an answer");
  CHECK(right, change ? "what is known of a change without an answer"
                      : "what is known of a read without an answer");
  op_destroy(op);
}

static void claim_outcomes(void) {
  claim_outcome("closed", "/", true, OP_NOT_SENT);
  claim_outcome("closed", "/", false, OP_NOT_SENT);
  claim_outcome("blackhole", "/", true, OP_NOT_SENT);
  claim_outcome("plain", "/silent", true, OP_UNKNOWN);
  claim_outcome("plain", "/silent", false, OP_FAILED);
  claim_outcome("plain", "/hang-up", true, OP_UNKNOWN);
  claim_outcome("plain", "/hang-up", false, OP_FAILED);
  claim_outcome("plain", "/not-http", true, OP_UNKNOWN);
  claim_outcome("plain", "/half/200", true, OP_DONE);
  claim_outcome("plain", "/half/200", false, OP_FAILED);
  claim_outcome("plain", "/half/403", true, OP_FAILED);
  claim_outcome("plain", "/half/500", true, OP_FAILED);
  claim_outcome("plain", "/half/504", true, OP_UNKNOWN);
  struct op *op = run(request_of("GET", "http://nosuch.invalid/"));
  CHECK(op->failed && op->outcome == OP_NOT_SENT && strcmp(op->code, "resolve") == 0,
        "a name that does not resolve: nothing was sent");
  CHECK(message_holds(op, "cannot connect to 'http://nosuch.invalid': no such host name"),
        "the message says so");
  op_destroy(op);
  struct http_request request = request_of("GET", url_of("closed", "/secret-path?token=x"));
  request.label = bytes_of("api");
  op = run(request);
  char wanted[100];
  snprintf(wanted, sizeof wanted, "cannot connect to 'api' (127.0.0.1:%s): connection refused",
           fact("closed"));
  CHECK(strcmp(op->code, "refused") == 0 && strcmp(op->message, wanted) == 0,
        "a refused connection is told with name and address");
  op_destroy(op);
}

/* libcurl sends a request again when a kept connection proves dead. A change must not be. */
static void claim_no_second_attempt(void) {
  struct op *op = run(request_of("GET", url_of("other", "/hang-up-second")));
  CHECK(!op->failed, "a first request is answered");
  op_destroy(op);
  struct http_request request = request_of("POST", url_of("other", "/hang-up?the-change"));
  request.change = true;
  op = run(request);
  CHECK(op->failed && op->outcome == OP_UNKNOWN, "a change without an answer is unknown");
  op_destroy(op);
  CHECK(peer_saw("other", "\"target\": \"/hang-up?the-change\"") == 1, "the server saw it once");
}

static void claim_cancel(void) {
  struct http_request request = request_of("POST", url_of("plain", "/silent"));
  request.change = true;
  struct op *op = start(&request);
  op_stop(op, OP_STOP_CANCEL);
  CHECK(op->finished && op->outcome == OP_NOT_SENT && strcmp(op->code, "cancelled") == 0,
        "cancelled before it was sent: not sent");
  op_destroy(await(op));
  request.url = bytes_of(url_of("plain", "/silent?cancel-me"));
  op = start(&request);
  while (peer_saw("plain", "\"target\": \"/silent?cancel-me\"") == 0) continue;
  op_stop(op, OP_STOP_CANCEL);
  CHECK(op->finished && op->outcome == OP_UNKNOWN, "cancelled after it was sent: unknown");
  op_destroy(await(op));
}

static void claim_ambient_settings_change_nothing(void) {
  char dead[60];
  snprintf(dead, sizeof dead, "http://127.0.0.1:%s", fact("closed"));
  static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY",
                                      "all_proxy",  "HTTP_PROXY"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) setenv(names[i], dead, 1);
  struct op *op = run(request_of("GET", url_of("plain", "/ok")));
  CHECK(!op->failed, "a proxy of the environment is not used");
  op_destroy(op);
  char home[] = "/tmp/opsrun-netrc-XXXXXX", path[64];
  if (mkdtemp(home) == NULL) exit(2);
  snprintf(path, sizeof path, "%s/.netrc", home);
  FILE *netrc = fopen(path, "we");
  if (netrc == NULL) exit(2);
  fputs("default login netrc-user password netrc-leak\n", netrc);
  fclose(netrc);
  setenv("HOME", home, 1);
  op = run(request_of("GET", url_of("plain", "/echo")));
  CHECK(!op->failed && !body_holds(op, "Authorization"), "~/.netrc is not read");
  op_destroy(op);
  unlink(path);
  rmdir(home);
}

int main(void) {
  fixture_open();
  claim_answers();
  claim_keep_alive();
  claim_injections();
  claim_refused_requests();
  claim_hostile_bodies();
  claim_redirects();
  claim_outcomes();
  claim_no_second_attempt();
  claim_cancel();
  claim_ambient_settings_change_nothing();
  fixture_close();
  return CHECK_RESULT();
}
