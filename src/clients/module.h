/* Clients that live in shared modules beside the executable, loaded on first use and never closed:
   linked directly they would cost every start about 6 ms. */
#ifndef OPSRUN_CLIENT_MODULE_H
#define OPSRUN_CLIENT_MODULE_H

/* Loads `opsrun-<name>.so` from the executable's directory or ../lib/opsrun and returns the address
   of `symbol`. On failure NULL, and *error is a static text that stays valid until the next call. */
const void *module_load(const char *name, const char *symbol, const char **error);

#endif
