/* One request in flight; shared by http.c (its life) and http_error.c (what a failure means). */
#ifndef OPSRUN_HTTP_OP_H
#define OPSRUN_HTTP_OP_H

#include <curl/curl.h>

#include "http.h"
#include "http_check.h"

struct http_pool;

struct http_op {
  struct op op; /* first: the loop sees only this */
  CURL *easy;
  CURLU *url;
  struct http_pool *pool;
  bool running; /* in the pool */
  struct curl_slist *lines; /* headers as sent, credentials among them */
  char *body;
  size_t body_len;
  int file;                 /* the file sent as the body, or -1 */
  curl_off_t file_left;     /* bytes of it still to send */
  bool file_short;          /* it ended before that */
  char *label, *ca;
  char method[32];
  struct http_origin origin;
  size_t cap;
  uint64_t connect_timeout_ms;
  unsigned follow, redirects;
  bool change, safe;
  char error[CURL_ERROR_SIZE]; /* libcurl's words about a failure */

  int status;           /* of the final answer; 0 before its first line */
  size_t header_bytes;  /* all that came, earlier answers included */
  bool too_large, too_many_headers, no_memory, no_names;
  char *data;           /* the body so far */
  size_t len, capacity;
  char *header_block;   /* the bytes response.headers point to */
  struct http_header *headers;
  struct http_tls *tls;
  struct http_response response;
};

/* Ends the operation as failed, from libcurl's result. */
void http_fail_result(struct http_op *http, CURLcode result);

/* Ends it as failed because it was told to stop. */
void http_fail_stopped(struct http_op *http, enum op_stop why);

/* What is known of the effect when no usable answer came. */
enum op_outcome http_outcome(const struct http_op *http);

/* "'api' (127.0.0.1:8080)" or "'http://127.0.0.1:8080'", in a static buffer. */
const char *http_peer_name(const struct http_op *http);

#endif
