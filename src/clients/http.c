/* The life of a request: started, perhaps redirected within its origin, finished, failed or
 * stopped; and the answer's plain form. */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_check.h"
#include "http_file.h"
#include "http_multi.h"
#include "http_op.h"
#include "http_start.h"
#include "http_tls.h"

static void on_done(CURL *easy, CURLcode result);

/* -- the answer ------------------------------------------------------------------------------ */

/* How many headers there are and the bytes they take. */
static size_t measure_headers(CURL *easy, size_t *bytes) {
  size_t count = 0;
  struct curl_header *header = NULL;
  *bytes = 0;
  while ((header = curl_easy_nextheader(easy, CURLH_HEADER, -1, header)) != NULL) {
    *bytes += strlen(header->name) + strlen(header->value) + 2;
    count++;
  }
  return count;
}

static struct http_bytes put_text(char **at, const char *text) {
  struct http_bytes bytes = {*at, strlen(text)};
  *at = stpcpy(*at, text) + 1;
  return bytes;
}

static int copy_headers(struct http_op *http) {
  size_t bytes = 0;
  size_t count = measure_headers(http->easy, &bytes);
  http->headers = calloc(count + 1, sizeof *http->headers);
  http->header_block = malloc(bytes + 1);
  if (http->headers == NULL || http->header_block == NULL) return -1;
  char *at = http->header_block;
  struct curl_header *header = NULL;
  for (size_t i = 0; i < count; i++) {
    header = curl_easy_nextheader(http->easy, CURLH_HEADER, -1, header);
    if (header == NULL) break;
    http->headers[i].name = put_text(&at, header->name);
    http->headers[i].value = put_text(&at, header->value);
    http->response.header_count++;
  }
  http->response.headers = http->headers;
  return 0;
}

static double seconds_of(CURL *easy, CURLINFO info) {
  curl_off_t microseconds = 0;
  curl_easy_getinfo(easy, info, &microseconds);
  return (double)microseconds / 1e6;
}

static void finish(struct http_op *http) {
  struct http_response *response = &http->response;
  if (copy_headers(http) != 0) {
    op_fail(&http->op, http_outcome(http), "memory", "out of memory for the answer of %s",
            http_peer_name(http));
    return;
  }
  response->status = http->status;
  response->body = (struct http_bytes){http->data, http->len};
  response->redirects = http->redirects;
  response->time.resolve = seconds_of(http->easy, CURLINFO_NAMELOOKUP_TIME_T);
  response->time.connect = seconds_of(http->easy, CURLINFO_CONNECT_TIME_T);
  response->time.tls = seconds_of(http->easy, CURLINFO_APPCONNECT_TIME_T);
  response->time.first_byte = seconds_of(http->easy, CURLINFO_STARTTRANSFER_TIME_T);
  response->time.total = seconds_of(http->easy, CURLINFO_TOTAL_TIME_T);
  if (http->origin.tls) http->tls = http_tls_learn(http->easy, http->origin.text, http->ca);
  response->tls = http->tls;
  op_finish(&http->op);
}

/* -- redirects ------------------------------------------------------------------------------- */

static bool wants_redirect(const struct http_op *http) {
  return http->follow > 0 && http->safe && !http->change &&
         (http->status == 301 || http->status == 302 || http->status == 303 ||
          http->status == 307 || http->status == 308);
}

/* Why the redirect is not followed, or NULL: http->url is then where it leads. The new URL passes
   the same check as one that a caller gave. */
static const char *take_redirect(struct http_op *http, const char *target) {
  static char text[HTTP_ORIGIN_MAX + 80];
  struct http_request next = {.method = {http->method, strlen(http->method)},
                              .url = {target, strlen(target)}};
  struct http_origin origin;
  CURLU *url = NULL;
  const char *wrong = http_check_request(&next, &origin, &url, text, sizeof text);
  if (wrong != NULL) return wrong;
  char *user = NULL;
  if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK) {
    curl_free(user);
    curl_url_cleanup(url);
    return "its redirect carries a user's name";
  }
  if (strcmp(origin.text, http->origin.text) != 0) {
    curl_url_cleanup(url);
    snprintf(text, sizeof text, "it redirects to another origin, '%s'", origin.text);
    return text;
  }
  if (http->redirects >= http->follow) {
    curl_url_cleanup(url);
    return "it redirects too often";
  }
  curl_easy_setopt(http->easy, CURLOPT_CURLU, url);
  curl_url_cleanup(http->url);
  http->url = url;
  return NULL;
}

/* Starts the next request if there is a redirect to follow. False: the answer stands as it is. */
static bool follow_redirect(struct http_op *http) {
  char *target = NULL;
  if (!wants_redirect(http) ||
      curl_easy_getinfo(http->easy, CURLINFO_REDIRECT_URL, &target) != CURLE_OK || target == NULL)
    return false;
  const char *wrong = take_redirect(http, target);
  if (wrong != NULL) {
    op_fail(&http->op, OP_FAILED, "redirect", "the redirect of %s is not followed: %s",
            http_peer_name(http), wrong);
    return true;
  }
  http->redirects++;
  http_forget_answer(http);
  http->running = http_pool_add(http->pool, http->easy) == 0;
  if (!http->running)
    op_fail(&http->op, OP_FAILED, "memory", "out of memory for %s", http_peer_name(http));
  return true;
}

/* -- life ------------------------------------------------------------------------------------ */

static void on_done(CURL *easy, CURLcode result) {
  char *private = NULL;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
  struct http_op *http = (struct http_op *)(void *)private;
  http->running = false;
  if (result != CURLE_OK) http_fail_result(http, result);
  else if (!follow_redirect(http)) finish(http);
}

static void stop(struct op *op, enum op_stop why) {
  struct http_op *http = (struct http_op *)op;
  if (http->running) http_pool_remove(http->pool, http->easy);
  http->running = false;
  http_fail_stopped(http, why);
}

static void destroy(struct op *op) {
  struct http_op *http = (struct http_op *)op;
  if (http->running) http_pool_remove(http->pool, http->easy);
  http_release(http);
  free(http);
}

static const struct op_class http_class = {"http", stop, destroy};

static struct op *request_start(const struct http_request *request) {
  struct http_op *http = calloc(1, sizeof *http);
  if (http == NULL) return NULL;
  op_open(&http->op, &http_class);
  http->file = -1;
  char text[400];
  const char *wrong =
      http_check_request(request, &http->origin, &http->url, text, sizeof text);
  if (wrong != NULL) {
    op_fail(&http->op, OP_NOT_SENT, "invalid", "cannot send this request: %s", wrong);
    return &http->op;
  }
  if (request->file.data != NULL && !http_file_open(http, request->file)) return &http->op;
  /* The pool first: it starts libcurl. */
  http->pool = http_pool_get(NULL, on_done);
  if (http->pool != NULL && http_configure(http, request) == 0) {
    if (http->ca != NULL) http->pool = http_pool_get(http->ca, on_done);
    http->running = http->pool != NULL && http_pool_add(http->pool, http->easy) == 0;
  }
  if (!http->running) {
    op_fail(&http->op, OP_NOT_SENT, "memory", "out of memory for %s", http_peer_name(http));
    return &http->op;
  }
  op_set_timeout(&http->op,
                 request->timeout_ms != 0 ? request->timeout_ms : HTTP_DEFAULT_TIMEOUT_MS);
  return &http->op;
}

static const struct http_response *request_response(const struct op *op) {
  return &((const struct http_op *)op)->response;
}

static const char *request_check(const struct http_request *request, char *text, size_t size) {
  struct http_origin origin;
  return http_check_request(request, &origin, NULL, text, size);
}

/* The one symbol of the module. */
extern const struct http_api opsrun_http_api;
const struct http_api opsrun_http_api = {request_start, request_response, request_check};
