/* From a checked request to a libcurl handle that will send exactly that. */
#ifndef OPSRUN_HTTP_START_H
#define OPSRUN_HTTP_START_H

#include "http_op.h"

/* Fills http->easy and what it points to. The callbacks get `http`. Returns 0, or -1 when memory
   ran out: then http_release frees what there is. */
int http_configure(struct http_op *http, const struct http_request *request);

/* Frees all but the struct and the embedded operation; credentials are overwritten first. */
void http_release(struct http_op *http);

/* Forgets the answer so far, before a redirect is followed. */
void http_forget_answer(struct http_op *http);

#endif
