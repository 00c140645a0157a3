/* admin_store.h - every SQL statement of the operators' calls; see db/009_operators.sql. Each fills
 * *result, which is the caller's (PQclear), with one row whose column 0 is named below. */
#ifndef TIFFIN_SERVICES_ADMIN_STORE_H
#define TIFFIN_SERVICES_ADMIN_STORE_H

#include "lib/err.h"
#include "lib/pg.h"
#include "proto/messages.h"

typedef struct admin_store admin_store_t;

admin_store_t *admin_store_new(const char *database_url);
void admin_store_destroy(admin_store_t **self_p);

/* The page's JSON. */
err_t admin_store_dead_letters(admin_store_t *self, const dead_letter_list_t *query,
                               PGresult **result, err_detail_t *detail) MUST_CHECK;
/* The dead letter's JSON; NULL when there is none. */
err_t admin_store_dead_letter(admin_store_t *self, int64_t id, PGresult **result,
                              err_detail_t *detail) MUST_CHECK;
/* How many are tried again. */
err_t admin_store_redrive(admin_store_t *self, const dead_letter_redrive_t *redrive, int at_most,
                          PGresult **result, err_detail_t *detail) MUST_CHECK;
/* The page's JSON. */
err_t admin_store_discrepancies(admin_store_t *self, const discrepancy_list_t *query,
                                PGresult **result, err_detail_t *detail) MUST_CHECK;
/* The verdict (ok, not_found, settled, not_possible); column 1 the discrepancy's JSON. */
err_t admin_store_settle(admin_store_t *self, const discrepancy_settle_t *settle, PGresult **result,
                         err_detail_t *detail) MUST_CHECK;

#endif
