/* redis_url.h - redis://[[user]:password@]host[:port][/db] taken apart. */
#ifndef TIFFIN_LIB_REDIS_URL_H
#define TIFFIN_LIB_REDIS_URL_H

#include "lib/err.h"

typedef struct redis_url {
    char user[64];      /* empty: none */
    char password[256]; /* empty: none */
    char host[256];
    int port;
    int db;
} redis_url_t;

/* ERR_BAD_CONFIG with `detail` (which never repeats the URL: it may hold a password). User and password are percent-decoded;
 * an IPv6 host stands in brackets. */
err_t redis_url_parse(const char *url, redis_url_t *out, err_detail_t *detail) MUST_CHECK;

#endif
