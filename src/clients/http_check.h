/* The one validator of what a request may consist of. Everything sent passes it: methods, URLs,
 * header names and values. libcurl sends CR and LF in most of them as they are. */
#ifndef OPSRUN_HTTP_CHECK_H
#define OPSRUN_HTTP_CHECK_H

#include <curl/curl.h>

#include "http.h"

#define HTTP_ORIGIN_MAX 300u

/* Where a URL leads. */
struct http_origin {
  char text[HTTP_ORIGIN_MAX + 16]; /* "https://host:8443", the scheme's own port left out */
  char address[HTTP_ORIGIN_MAX];   /* "host:8443", always with the port: for messages */
  bool tls;
};

/* Why the request must not be sent, in `text` or static, or NULL. On NULL `origin` is filled and
   *parsed (if not NULL) is a URL handle that the caller frees with curl_url_cleanup. Messages never
   hold the value of a header, nor path, query or password of the URL. */
const char *http_check_request(const struct http_request *request, struct http_origin *origin,
                               CURLU **parsed, char *text, size_t size);

/* Reads the origin of a parsed URL. Returns NULL, or what is wrong with it (static). */
const char *http_check_origin(CURLU *url, struct http_origin *origin);

bool http_method_is_safe(struct http_bytes method); /* GET, HEAD, OPTIONS */
bool http_bytes_equal(struct http_bytes bytes, const char *text);

#endif
