/* requests.h - the requests that the load generator sends: one builder for each kind. */
#ifndef TIFFIN_TESTS_BENCH_LOAD_REQUESTS_H
#define TIFFIN_TESTS_BENCH_LOAD_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>

enum { REQUEST_MAX_BYTES = 2048, ID_SIZE = 37 };

/* What a request is about, as texts; "" where it is not known yet. */
typedef struct subject {
    char order_id[ID_SIZE], payment_id[ID_SIZE];
} subject_t;

typedef struct request_options {
    const char *path;           /* of kind get */
    const char *webhook_secret; /* NULL: the prototype's body signature; else Razorpay's header,
                                   HMAC-SHA256 of the body */
    unsigned users;             /* orders are of users u0 … */
} request_options_t;

/* Writes a request into `out`; its size. `serial` makes it unique. */
typedef size_t(request_builder_t)(const request_options_t *options, const subject_t *subject,
                                  unsigned long serial, char out[REQUEST_MAX_BYTES]);

request_builder_t build_order, build_initiate, build_webhook, build_read, build_get;

/* The value of a top-level text member of a JSON answer of ours, if it is an id. */
bool answer_id(const char *body, const char *member, char id[ID_SIZE]);

#endif
