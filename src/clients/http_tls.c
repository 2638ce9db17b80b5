/* Reading libcurl's certificate info (text made by OpenSSL, "Name:value" lines) and remembering it
 * by origin. */
#include "http_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMEMBERED 64u
#define NAMES_MAX 1000u

/* What is handed out starts with the public part. */
struct counted {
  struct http_tls tls;
  unsigned users;
};

struct entry {
  char *key;
  struct counted *facts;
};

static struct entry remembered[REMEMBERED];
static unsigned next_entry; /* the oldest is overwritten */

/* The peer's own certificate: the first of the chain. NULL if no handshake took place. */
static const struct curl_slist *leaf_lines(CURL *easy) {
  struct curl_certinfo *info = NULL;
  if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL ||
      info->num_of_certs < 1)
    return NULL;
  return info->certinfo[0];
}

static const char *find_line(const struct curl_slist *lines, const char *name) {
  size_t len = strlen(name);
  for (; lines != NULL; lines = lines->next)
    if (strncmp(lines->data, name, len) == 0 && lines->data[len] == ':')
      return lines->data + len + 1;
  return NULL;
}

/* The start of the next "DNS:" or "IP Address:" item, behind its prefix, or NULL. */
static const char *next_name(const char *text) {
  while (text != NULL && *text != '\0') {
    while (*text == ' ') text++;
    if (strncmp(text, "DNS:", 4) == 0) return text + 4;
    if (strncmp(text, "IP Address:", 11) == 0) return text + 11;
    text = strchr(text, ',');
    if (text != NULL) text++;
  }
  return NULL;
}

static const char *alternative_names(const struct curl_slist *lines) {
  return find_line(lines, "X509v3 Subject Alternative Name");
}

bool http_tls_has_names(CURL *easy) {
  const struct curl_slist *lines = leaf_lines(easy);
  return lines == NULL || next_name(alternative_names(lines)) != NULL;
}

static void free_facts(struct counted *facts) {
  for (size_t i = 0; i < facts->tls.name_count; i++) free(facts->tls.names[i]);
  free(facts->tls.names);
  free(facts->tls.subject);
  free(facts->tls.issuer);
  free(facts);
}

void http_tls_release(struct http_tls *tls) {
  struct counted *facts = (struct counted *)tls;
  if (facts != NULL && --facts->users == 0) free_facts(facts);
}

static int read_names(struct http_tls *tls, const char *text) {
  size_t count = 0;
  for (const char *at = next_name(text); at != NULL && count < NAMES_MAX; at = next_name(at)) {
    count++;
    at = strchr(at, ',');
    if (at == NULL) break;
  }
  if (count == 0) return 0;
  tls->names = calloc(count, sizeof *tls->names);
  if (tls->names == NULL) return -1;
  for (const char *at = next_name(text); at != NULL && tls->name_count < count;) {
    size_t len = strcspn(at, ",\n");
    char *name = strndup(at, len);
    if (name == NULL) return -1;
    tls->names[tls->name_count++] = name;
    at = at[len] == '\0' ? NULL : next_name(at + len + 1);
  }
  return 0;
}

static int64_t read_date(const struct curl_slist *lines, const char *name) {
  const char *text = find_line(lines, name);
  return text != NULL ? (int64_t)curl_getdate(text, NULL) : -1;
}

static struct counted *read_facts(const struct curl_slist *lines) {
  struct counted *facts = calloc(1, sizeof *facts);
  if (facts == NULL) return NULL;
  const char *subject = find_line(lines, "Subject");
  const char *issuer = find_line(lines, "Issuer");
  facts->users = 1;
  facts->tls.subject = strdup(subject != NULL ? subject : "");
  facts->tls.issuer = strdup(issuer != NULL ? issuer : "");
  facts->tls.starts = read_date(lines, "Start date");
  facts->tls.expires = read_date(lines, "Expire date");
  if (facts->tls.subject == NULL || facts->tls.issuer == NULL ||
      read_names(&facts->tls, alternative_names(lines)) != 0) {
    free_facts(facts);
    return NULL;
  }
  return facts;
}

static char *make_key(const char *origin, const char *ca) {
  size_t size = strlen(origin) + 1 + (ca != NULL ? strlen(ca) : 0) + 1;
  char *key = malloc(size);
  if (key == NULL) return NULL;
  snprintf(key, size, "%s\n%s", origin, ca != NULL ? ca : "");
  return key;
}

static struct entry *find_entry(const char *key) {
  for (unsigned i = 0; i < REMEMBERED; i++)
    if (remembered[i].key != NULL && strcmp(remembered[i].key, key) == 0) return &remembered[i];
  return NULL;
}

/* Takes the key over. */
static struct entry *take_entry(char *key) {
  struct entry *entry = find_entry(key);
  if (entry == NULL) {
    entry = &remembered[next_entry];
    next_entry = (next_entry + 1) % REMEMBERED;
  }
  free(entry->key);
  if (entry->facts != NULL) http_tls_release(&entry->facts->tls);
  entry->key = key;
  entry->facts = NULL;
  return entry;
}

struct http_tls *http_tls_learn(CURL *easy, const char *origin, const char *ca) {
  char *key = make_key(origin, ca);
  if (key == NULL) return NULL;
  const struct curl_slist *lines = leaf_lines(easy);
  struct entry *entry = NULL;
  if (lines != NULL) {
    entry = take_entry(key);
    entry->facts = read_facts(lines);
  } else {
    entry = find_entry(key);
    free(key);
  }
  if (entry == NULL || entry->facts == NULL) return NULL;
  entry->facts->users++;
  return &entry->facts->tls;
}
