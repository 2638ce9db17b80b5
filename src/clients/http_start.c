/* Options of a request. libcurl's own defaults are for a browser's cousin (file://, proxies from
 * the environment, custom headers to whoever a redirect names); each line here takes one away. */
#include "http_start.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "http_file.h"
#include "http_tls.h"

#define HEADER_BYTES_MAX ((size_t)256 * 1024)
#define FIRST_CAPACITY ((size_t)16 * 1024)
#define STALL_BYTES_PER_SECOND 16L
#define STALL_SECONDS 30L

/* -- what comes back ------------------------------------------------------------------------- */

static size_t on_header(char *line, size_t unit, size_t count, void *data) {
  struct http_op *http = data;
  size_t len = unit * count;
  http->header_bytes += len;
  if (http->header_bytes > HEADER_BYTES_MAX) {
    http->too_many_headers = true;
    return 0;
  }
  if (len < 12 || strncmp(line, "HTTP/", 5) != 0) return len;
  const char *space = memchr(line, ' ', len - 3);
  int status = space != NULL ? (space[1] - '0') * 100 + (space[2] - '0') * 10 + space[3] - '0' : 0;
  if (status >= 200 && status <= 999) {
    http->status = status;
    /* Only an answer that began may stall; waiting for one is bounded by the timeout alone. */
    curl_easy_setopt(http->easy, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_PER_SECOND);
    curl_easy_setopt(http->easy, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
  }
  return len;
}

/* Room for `need` bytes: the announced length at first, then twice as much each time. */
static bool grow(struct http_op *http, size_t need) {
  if (need <= http->capacity) return true;
  size_t capacity = http->capacity * 2;
  if (http->capacity == 0) {
    curl_off_t announced = 0;
    curl_easy_getinfo(http->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    capacity = announced > 0 && (uint64_t)announced <= http->cap ? (size_t)announced
                                                                  : FIRST_CAPACITY;
  }
  if (capacity < need) capacity = need;
  if (capacity > http->cap) capacity = http->cap;
  char *grown = realloc(http->data, capacity);
  if (grown == NULL) return false;
  http->data = grown;
  http->capacity = capacity;
  return true;
}

/* Counts what libcurl hands out, decoded: its own limits do not. */
static size_t on_body(char *bytes, size_t unit, size_t count, void *data) {
  struct http_op *http = data;
  size_t len = unit * count;
  if (len > http->cap - http->len) {
    http->too_large = true;
    return len == 0 ? 0 : len - 1;
  }
  if (!grow(http, http->len + len)) {
    http->no_memory = true;
    return len == 0 ? 0 : len - 1;
  }
  memcpy(http->data + http->len, bytes, len);
  http->len += len;
  return len;
}

/* libcurl's own call leaves the descriptor to our children. */
static curl_socket_t on_open_socket(void *data, curlsocktype purpose,
                                    struct curl_sockaddr *address) {
  (void)data;
  (void)purpose;
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Connected and trusted, nothing sent yet. */
static int on_ready_to_send(void *data, char *peer_ip, char *local_ip, int peer_port,
                            int local_port) {
  (void)peer_ip;
  (void)local_ip;
  (void)peer_port;
  (void)local_port;
  struct http_op *http = data;
  if (!http->origin.tls || http_tls_has_names(http->easy)) return CURL_PREREQFUNC_OK;
  http->no_names = true;
  return CURL_PREREQFUNC_ABORT;
}

/* -- what is sent ---------------------------------------------------------------------------- */

static char *copy_bytes(struct http_bytes bytes) {
  char *copy = malloc(bytes.len + 1);
  if (copy == NULL) return NULL;
  if (bytes.len > 0) memcpy(copy, bytes.data, bytes.len);
  copy[bytes.len] = '\0';
  return copy;
}

static void free_secret(char *text, size_t len) {
  if (text != NULL) explicit_bzero(text, len);
  free(text);
}

static bool append_line(struct http_op *http, const char *line) {
  struct curl_slist *lines = curl_slist_append(http->lines, line);
  if (lines == NULL) return false;
  http->lines = lines;
  return true;
}

/* Appends "Name: value". libcurl takes "Name:" as "do not send" and "Name;" as "send it empty". */
static bool append_header(struct http_op *http, struct http_bytes name, const char *before,
                          struct http_bytes value) {
  size_t size = name.len + 2 + strlen(before) + value.len + 1;
  char *line = malloc(size);
  if (line == NULL) return false;
  memcpy(line, name.data, name.len);
  char *at = line + name.len;
  if (value.len == 0 && *before == '\0') {
    memcpy(at, ";", 2);
  } else {
    at = stpcpy(at, ": ");
    at = stpcpy(at, before);
    if (value.len > 0) memcpy(at, value.data, value.len);
    at[value.len] = '\0';
  }
  bool ok = append_line(http, line);
  free_secret(line, size);
  return ok;
}

static bool has_header(const struct http_request *request, const char *name) {
  for (size_t i = 0; i < request->header_count; i++) {
    struct http_bytes given = request->headers[i].name;
    if (given.len == strlen(name) && strncasecmp(given.data, name, given.len) == 0) return true;
  }
  return false;
}

static bool set_headers(struct http_op *http, const struct http_request *request) {
  bool ok = append_line(http, "Expect:"); /* else a body over 1 MiB waits a second for a "100" */
  for (size_t i = 0; ok && i < request->header_count; i++)
    ok = append_header(http, request->headers[i].name, "", request->headers[i].value);
  if (ok && !has_header(request, "user-agent"))
    ok = append_line(http, "User-Agent: opsrun/" OPSRUN_VERSION);
  if (ok && !has_header(request, "content-type"))
    ok = append_line(http, "Content-Type:"); /* libcurl would call every body a form */
  if (ok && request->bearer.data != NULL)
    ok = append_header(http, (struct http_bytes){"Authorization", 13}, "Bearer ", request->bearer);
  return ok &&
         curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, http->lines) == CURLE_OK;
}

static bool set_basic(CURL *easy, const struct http_request *request) {
  if (request->user.data == NULL) return true;
  char *user = copy_bytes(request->user), *password = copy_bytes(request->password);
  bool ok = user != NULL && password != NULL &&
            curl_easy_setopt(easy, CURLOPT_USERNAME, user) == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_PASSWORD, password) == CURLE_OK;
  free_secret(user, request->user.len);
  free_secret(password, request->password.len);
  return ok;
}

/* libcurl wants to know what a method means (HEAD has no body to wait for) beside its name. */
static bool set_method(struct http_op *http, const struct http_request *request) {
  CURL *easy = http->easy;
  bool wants_length = strcmp(http->method, "POST") == 0 || strcmp(http->method, "PUT") == 0 ||
                      strcmp(http->method, "PATCH") == 0;
  if (strcmp(http->method, "HEAD") == 0) return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == 0;
  if (request->file.data != NULL) {
    if (!http_file_send(http)) return false;
  } else if (request->body.data != NULL || wants_length) {
    struct http_bytes none = {"", 0};
    struct http_bytes body = request->body.data != NULL ? request->body : none;
    http->body = copy_bytes(body);
    if (http->body == NULL) return false;
    http->body_len = body.len;
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, http->body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)http->body_len);
  }
  return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, http->method) == CURLE_OK;
}

static bool set_guards(struct http_op *http, const struct http_request *request) {
  CURL *easy = http->easy;
  bool ok = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
            /* With a CA directory libcurl does not cache the parsed bundle. */
            curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L) == CURLE_OK;
  if (ok && http->ca != NULL) ok = curl_easy_setopt(easy, CURLOPT_CAINFO, http->ca) == CURLE_OK;
  if (ok && request->decode) ok = curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip") == 0;
  /* HTTP/1.1: one request a connection at a time, so "was it sent?" has an answer. On a reused
     connection that proves dead libcurl sends again, which a change must never do. */
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->change || request->fresh ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* do not join a resolver thread that hangs */
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  return ok;
}

static void set_callbacks(struct http_op *http) {
  CURL *easy = http->easy;
  curl_easy_setopt(easy, CURLOPT_PRIVATE, http);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready_to_send);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, http);
}

int http_configure(struct http_op *http, const struct http_request *request) {
  http->cap = request->cap != 0 ? request->cap : HTTP_DEFAULT_CAP;
  http->follow = request->follow < HTTP_MAX_REDIRECTS ? request->follow : HTTP_MAX_REDIRECTS;
  http->change = request->change;
  http->safe = http_method_is_safe(request->method);
  http->connect_timeout_ms = request->connect_timeout_ms != 0 ? request->connect_timeout_ms
                                                              : HTTP_DEFAULT_CONNECT_TIMEOUT_MS;
  memcpy(http->method, request->method.data, request->method.len); /* checked: at most 24 */
  if (request->label.data != NULL && (http->label = copy_bytes(request->label)) == NULL) return -1;
  if (request->ca.data != NULL && (http->ca = copy_bytes(request->ca)) == NULL) return -1;
  http->easy = curl_easy_init();
  if (http->easy == NULL) return -1;
  set_callbacks(http);
  bool ok = set_guards(http, request) &&
            curl_easy_setopt(http->easy, CURLOPT_CURLU, http->url) == CURLE_OK &&
            set_method(http, request) && set_headers(http, request) &&
            set_basic(http->easy, request) &&
            curl_easy_setopt(http->easy, CURLOPT_CONNECTTIMEOUT_MS,
                             (long)http->connect_timeout_ms) == CURLE_OK;
  return ok ? 0 : -1;
}

void http_forget_answer(struct http_op *http) {
  http->status = 0;
  http->len = 0;
  http->error[0] = '\0';
  curl_easy_setopt(http->easy, CURLOPT_LOW_SPEED_LIMIT, 0L);
  curl_easy_setopt(http->easy, CURLOPT_LOW_SPEED_TIME, 0L);
}

void http_release(struct http_op *http) {
  if (http->easy != NULL) curl_easy_cleanup(http->easy);
  for (struct curl_slist *line = http->lines; line != NULL; line = line->next)
    explicit_bzero(line->data, strlen(line->data));
  curl_slist_free_all(http->lines);
  if (http->url != NULL) curl_url_cleanup(http->url);
  http_file_close(http);
  free_secret(http->body, http->body_len);
  http_tls_release(http->tls);
  free(http->label);
  free(http->ca);
  free(http->data);
  free(http->header_block);
  free(http->headers);
}
