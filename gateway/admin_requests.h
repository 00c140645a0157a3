/* admin_requests.h - queries and paths of the calls under /admin into messages of the schema. Pure,
 * and as strict as requests.h: an operator who mistypes a filter must not be shown an empty list,
 * or everything. Texts of a message borrow from the caller's buffers. */
#ifndef TIFFIN_GATEWAY_ADMIN_REQUESTS_H
#define TIFFIN_GATEWAY_ADMIN_REQUESTS_H

#include "lib/err.h"
#include "lib/http_server.h"
#include "proto/messages.h"

/* A path's {id} of a row: a whole number from 1 on. ERR_NOT_FOUND: nothing can have that id. */
err_t admin_row_id(str_t text, int64_t *id, err_detail_t *detail) MUST_CHECK;

/* GET /admin/webhooks/dead. ERR_INVALID_QUERY names the parameter, as in all of these. */
typedef struct dead_letter_query {
    char reason[129];
} dead_letter_query_t;
err_t admin_dead_letter_list(const http_request_t *request, dead_letter_query_t *texts,
                             dead_letter_list_t *list, err_detail_t *detail) MUST_CHECK;

/* GET /admin/discrepancies */
typedef struct discrepancy_query {
    char state[17], kind[33];
} discrepancy_query_t;
err_t admin_discrepancy_list(const http_request_t *request, discrepancy_query_t *texts,
                             discrepancy_list_t *list, err_detail_t *detail) MUST_CHECK;

/* GET /admin/reconciliations */
err_t admin_reconciliation_list(const http_request_t *request, reconciliation_list_t *list,
                                err_detail_t *detail) MUST_CHECK;

#endif
