/* Connection strings: redis://, rediss:// and unix://. What is wrong is said without quoting the
 * string, which may hold a password. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "redis_internal.h"

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Copies `len` bytes with %xx decoded. False: too long, a bad escape, or a NUL. */
static bool decode(const char *text, size_t len, char *out, size_t size) {
  size_t used = 0;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (c == '%') {
      int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
      int low = i + 2 < len ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return false;
      c = (char)(high * 16 + low);
      i += 2;
    }
    if (c == '\0' || used + 1 >= size) return false;
    out[used++] = c;
  }
  out[used] = '\0';
  return true;
}

/* A whole decimal number of at most `max`, or -1. */
static long number(const char *text, size_t len, long max) {
  long value = 0;
  if (len == 0 || len > 6) return -1;
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value <= max ? value : -1;
}

static const char *parse_login(const char *text, size_t len, struct redis_url *out) {
  const char *colon = memchr(text, ':', len);
  size_t user = colon != NULL ? (size_t)(colon - text) : len;
  if (!decode(text, user, out->place.user, sizeof out->place.user)) return "the user is malformed";
  if (colon != NULL &&
      !decode(colon + 1, len - user - 1, out->password, sizeof out->password))
    return "the password is malformed (escape special characters as %XX)";
  return NULL;
}

static const char *parse_host(const char *text, size_t len, struct redis_place *place) {
  const char *end = text + len, *host = text, *port = NULL;
  size_t host_len = len;
  if (len > 0 && text[0] == '[') {
    const char *close = memchr(text, ']', len);
    if (close == NULL) return "the host is malformed";
    host = text + 1;
    host_len = (size_t)(close - host);
    if (close + 1 < end && close[1] != ':') return "the host is malformed";
    if (close + 1 < end) port = close + 2;
  } else {
    const char *colon = memchr(text, ':', len);
    if (colon != NULL) {
      host_len = (size_t)(colon - text);
      port = colon + 1;
    }
  }
  if (host_len == 0) return "no host is given";
  if (!decode(host, host_len, place->host, sizeof place->host)) return "the host is malformed";
  long value = port == NULL ? 6379 : number(port, (size_t)(end - port), 65535);
  if (value <= 0) return "the port is no number from 1 to 65535";
  snprintf(place->port, sizeof place->port, "%ld", value);
  return NULL;
}

static const char *parse_db(const char *text, size_t len, struct redis_place *place) {
  long db = len == 0 ? 0 : number(text, len, 65535);
  if (db < 0) return "the database is no number";
  place->db = (int)db;
  return NULL;
}

/* "unix:///path/to.sock?db=2" */
static const char *parse_unix(const char *text, struct redis_url *out) {
  const char *login = strchr(text, '@');
  const char *why = NULL;
  if (login != NULL && text[0] != '/') {
    why = parse_login(text, (size_t)(login - text), out);
    text = login + 1;
  }
  size_t len = strcspn(text, "?");
  if (why == NULL && (text[0] != '/' || len >= sizeof ((struct sockaddr_un *)0)->sun_path))
    why = "the path of the socket must begin with '/' and be short";
  if (why == NULL && !decode(text, len, out->place.host, sizeof out->place.host))
    why = "the path of the socket is malformed";
  if (why != NULL || text[len] == '\0') return why;
  if (strncmp(text + len, "?db=", 4) != 0) return "only '?db=' may stand behind the path";
  return parse_db(text + len + 4, strlen(text + len + 4), &out->place);
}

const char *url_parse(const char *url, struct redis_url *out) {
  memset(out, 0, sizeof *out);
  if (strncmp(url, "unix://", 7) == 0) return parse_unix(url + 7, out);
  if (strncmp(url, "rediss://", 9) == 0) out->place.tls = true;
  else if (strncmp(url, "redis://", 8) != 0)
    return "the connection string does not begin with redis://, rediss:// or unix://";
  const char *text = url + (out->place.tls ? 9 : 8);
  size_t authority = strcspn(text, "/?#");
  const char *at = memrchr(text, '@', authority);
  const char *why = NULL;
  const char *host = text;
  if (at != NULL) {
    why = parse_login(text, (size_t)(at - text), out);
    host = at + 1;
  }
  if (why == NULL) why = parse_host(host, authority - (size_t)(host - text), &out->place);
  const char *rest = text + authority;
  if (why != NULL || rest[0] == '\0') return why;
  if (rest[0] != '/' || strpbrk(rest, "?#") != NULL)
    return "only '/' and the number of the database may stand behind the host";
  return parse_db(rest + 1, strlen(rest + 1), &out->place);
}

const char *url_place(const char *url, struct redis_place *out) {
  struct redis_url parsed;
  const char *why = url_parse(url, &parsed);
  *out = parsed.place;
  explicit_bzero(&parsed, sizeof parsed);
  return why;
}
