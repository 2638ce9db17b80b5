/* One mail by SMTP as an operation. Lives in the module opsrun-smtp.so as `opsrun_smtp_api`.
 *
 * What it never does, whoever asks: send a password or a mail in clear text to another machine,
 * take an unverified peer, TLS below 1.2, a proxy, ~/.netrc, control bytes in an address, a second
 * attempt. The message is sent as it is given: built and encoded above. */
#ifndef OPSRUN_SMTP_H
#define OPSRUN_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../loop/op.h"

#define SMTP_DEFAULT_TIMEOUT_MS 30000u
#define SMTP_RECIPIENTS_MAX 100u
#define SMTP_MESSAGE_MAX ((size_t)32 * 1024 * 1024)

enum smtp_protection {
  SMTP_STARTTLS, /* TLS from the first moment the server can, and not at all without it */
  SMTP_TLS,      /* TLS from the first byte */
  SMTP_CLEAR     /* none: loopback addresses only */
};

/* Zero-terminated texts; everything is copied before the starter returns. */
struct smtp_mail {
  const char *host; /* a name or an address, without brackets */
  uint16_t port;
  enum smtp_protection protection;
  const char *user, *password; /* NULL: no login */
  const char *from;            /* "ops@example.com" */
  const char *const *to;
  size_t to_count;
  const char *message; /* header lines, an empty line, body; CR LF ends */
  size_t message_len;
  const char *ca;      /* a PEM file to trust instead of the system's bundle, or NULL */
  uint64_t timeout_ms; /* the whole of it; 0: default */
};

struct smtp_api {
  /* Starts sending. NULL: out of memory. Finishes when the server took the mail for every
     recipient.
     Fails with code invalid, resolve, refused, connect, tls, login, rejected (the server said no:
     its words are in the message), timeout, cancelled, reset, memory. Outcome: "not sent" before
     the mail's first byte, "failed" when the server refused it, "unknown" when it all left and no
     answer came. */
  struct op *(*send)(const struct smtp_mail *mail);
};

#endif
