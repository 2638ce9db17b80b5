/* Which bytes may stand where in a request. Strict on purpose: what is refused here can be written
 * in another way; what slips through is a second request in somebody's name. */
#include "http_check.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define METHOD_MAX 24u
#define URL_MAX 16384u
#define HEADERS_MAX 100u
#define NAME_MAX_BYTES 128u
#define VALUE_MAX 32768u

bool http_bytes_equal(struct http_bytes bytes, const char *text) {
  if (bytes.data == NULL || bytes.len != strlen(text)) return false;
  return memcmp(bytes.data, text, bytes.len) == 0;
}

bool http_method_is_safe(struct http_bytes method) {
  return http_bytes_equal(method, "GET") || http_bytes_equal(method, "HEAD") ||
         http_bytes_equal(method, "OPTIONS");
}

/* RFC 9110's token characters. */
static bool is_token(struct http_bytes bytes) {
  static const char others[] = "!#$%&'*+-.^_`|~";
  if (bytes.data == NULL || bytes.len == 0) return false;
  for (size_t i = 0; i < bytes.len; i++) {
    char c = bytes.data[i];
    bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!alnum && (c == '\0' || strchr(others, c) == NULL)) return false;
  }
  return true;
}

/* A field value: visible bytes, space, tab and what is above ASCII. */
static bool is_field_value(struct http_bytes bytes) {
  for (size_t i = 0; i < bytes.len; i++) {
    unsigned char c = (unsigned char)bytes.data[i];
    if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
  }
  return true;
}

static const char *check_method(struct http_bytes method) {
  if (!is_token(method) || method.len > METHOD_MAX) return "the method is not an HTTP method";
  for (size_t i = 0; i < method.len; i++)
    if (method.data[i] >= 'a' && method.data[i] <= 'z')
      return "the method is not written in capitals";
  if (http_bytes_equal(method, "CONNECT") || http_bytes_equal(method, "TRACE"))
    return "the methods CONNECT and TRACE are not sent";
  return NULL;
}

/* These frame the message or manage the connection: a wrong one smuggles a second request. */
static bool is_framing_header(struct http_bytes name) {
  static const char *const framing[] = {"connection", "content-length",   "expect",
                                        "keep-alive", "proxy-connection", "te",
                                        "trailer",    "transfer-encoding", "upgrade",
                                        "proxy-authorization"};
  for (size_t i = 0; i < sizeof framing / sizeof framing[0]; i++)
    if (name.len == strlen(framing[i]) && strncasecmp(name.data, framing[i], name.len) == 0)
      return true;
  return false;
}

static const char *check_header(const struct http_header *header, char *text, size_t size) {
  if (!is_token(header->name) || header->name.len > NAME_MAX_BYTES)
    return "a header's name holds bytes that may not stand in one";
  int len = (int)header->name.len;
  if (!is_field_value(header->value)) {
    snprintf(text, size, "the value of header '%.*s' holds control bytes", len, header->name.data);
    return text;
  }
  if (header->value.len > VALUE_MAX) {
    snprintf(text, size, "the value of header '%.*s' is too long", len, header->name.data);
    return text;
  }
  if (is_framing_header(header->name)) {
    snprintf(text, size, "the header '%.*s' is set by opsrun itself", len, header->name.data);
    return text;
  }
  return NULL;
}

static const char *check_credentials(const struct http_request *request) {
  if (!is_field_value(request->bearer) || request->bearer.len > VALUE_MAX)
    return "the bearer token holds control bytes or is too long";
  if (!is_field_value(request->user) || !is_field_value(request->password) ||
      request->user.len + request->password.len > VALUE_MAX)
    return "user or password hold control bytes or are too long";
  if (request->user.data != NULL && memchr(request->user.data, ':', request->user.len) != NULL)
    return "a user's name may not hold a colon";
  return NULL;
}

const char *http_check_origin(CURLU *url, struct http_origin *origin) {
  char *scheme = NULL, *host = NULL, *port = NULL;
  const char *wrong = NULL;
  if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
      curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
      curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK) {
    wrong = "the URL names no host";
  } else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) {
    wrong = "only http:// and https:// are spoken";
  } else if (strlen(host) > 255) {
    wrong = "the URL's host is too long";
  } else {
    for (char *c = host; *c != '\0'; c++)
      if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    origin->tls = strcmp(scheme, "https") == 0;
    bool own_port = strcmp(port, origin->tls ? "443" : "80") == 0;
    snprintf(origin->address, sizeof origin->address, "%s:%s", host, port);
    snprintf(origin->text, sizeof origin->text, "http%s://%s", origin->tls ? "s" : "",
             own_port ? host : origin->address);
  }
  curl_free(scheme);
  curl_free(host);
  curl_free(port);
  return wrong;
}

static const char *parse_url(struct http_bytes bytes, CURLU *url) {
  static const char not_ascii[] = "the URL holds bytes that must be percent-encoded";
  if (bytes.data == NULL || bytes.len == 0) return "the URL is empty";
  if (bytes.len > URL_MAX) return "the URL is too long";
  char copy[URL_MAX + 1];
  for (size_t i = 0; i < bytes.len; i++) {
    unsigned char c = (unsigned char)bytes.data[i];
    if (c <= 0x20 || c >= 0x7f || c == '\\') return not_ascii;
    copy[i] = bytes.data[i];
  }
  copy[bytes.len] = '\0';
  CURLUcode rc = curl_url_set(url, CURLUPART_URL, copy, CURLU_NON_SUPPORT_SCHEME);
  explicit_bzero(copy, bytes.len);
  if (rc == CURLUE_OUT_OF_MEMORY) return "out of memory";
  return rc == CURLUE_OK ? NULL : "the URL is malformed";
}

static const char *check_url(const struct http_request *request, struct http_origin *origin,
                             CURLU *url, char *text, size_t size) {
  const char *wrong = parse_url(request->url, url);
  if (wrong == NULL) wrong = http_check_origin(url, origin);
  if (wrong == NULL && request->origin.data != NULL &&
      !http_bytes_equal(request->origin, origin->text)) {
    snprintf(text, size, "the URL leads to '%s', not to '%.*s'", origin->text,
             (int)(request->origin.len < 200 ? request->origin.len : 200), request->origin.data);
    wrong = text;
  }
  return wrong;
}

const char *http_check_request(const struct http_request *request, struct http_origin *origin,
                               CURLU **parsed, char *text, size_t size) {
  const char *wrong = check_method(request->method);
  if (wrong == NULL && request->header_count > HEADERS_MAX) wrong = "too many headers";
  for (size_t i = 0; wrong == NULL && i < request->header_count; i++)
    wrong = check_header(&request->headers[i], text, size);
  if (wrong == NULL) wrong = check_credentials(request);
  if (wrong == NULL && (request->body.data != NULL || request->file.data != NULL) &&
      http_method_is_safe(request->method))
    wrong = "GET, HEAD and OPTIONS carry no body";
  if (wrong == NULL && request->ca.data != NULL &&
      memchr(request->ca.data, '\0', request->ca.len) != NULL)
    wrong = "the path of the CA file holds a zero byte";
  if (wrong != NULL) return wrong;
  CURLU *url = curl_url();
  if (url == NULL) return "out of memory";
  wrong = check_url(request, origin, url, text, size);
  if (wrong == NULL && parsed != NULL) *parsed = url;
  else curl_url_cleanup(url);
  return wrong;
}
