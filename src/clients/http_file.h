/* A file as the body of a request: read as it is sent, never held whole. */
#ifndef OPSRUN_HTTP_FILE_H
#define OPSRUN_HTTP_FILE_H

#include "http_op.h"

/* Opens the regular file at `path` for the request. False: the operation has failed as "not sent",
   code "file". */
bool http_file_open(struct http_op *http, struct http_bytes path);

/* Sets the handle up to send it, with the length it had when it was opened. */
bool http_file_send(struct http_op *http);

void http_file_close(struct http_op *http);

#endif
