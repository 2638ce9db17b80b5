/* Sealing: what a run must be able to read again after kill -9, and nobody else from its folder.
 * The key is one file of the home, HOME/seal.key, outside every run's folder: a folder that is
 * copied, sent or backed up gives nothing away. Who can read the whole home can read the secret.
 *
 * A sealed text is "OPSEAL1\n", 12 bytes of nonce, the bytes under ChaCha20, 16 bytes of Poly1305
 * (RFC 8439). `context`, such as the run's id, is not in it but must be the same to open it. */
#ifndef OPSRUN_SEAL_H
#define OPSRUN_SEAL_H

#include "store.h"

/* Both return 0 with bytes that the caller frees, or -1 with the error filled in: what the key's
   file has (see store_error), "key" when it is not as we made it, "memory". */
int seal_close(const char *context, const char *bytes, size_t len, char **sealed,
               size_t *sealed_len, struct store_error *error);

/* Makes no key. "damaged": another key, another context, or changed since. The bytes are wiped by
   the caller before it frees them. */
int seal_open(const char *context, const char *sealed, size_t len, char **bytes, size_t *bytes_len,
              struct store_error *error);

#endif
