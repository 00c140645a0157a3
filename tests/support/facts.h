/* facts.h - what PSPs tell, put into a test's database as the webhook-processor puts it there.
 */
#ifndef TIFFIN_TESTS_FACTS_H
#define TIFFIN_TESTS_FACTS_H

#include <libpq-fe.h>
#include <stdio.h>

#include "lib/uuid.h"
#include "tests/support/test_main.h"

static inline void facts_execute(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", PQerrorMessage(connection), sql);
    PQclear(result);
}

/* One report by `psp` of a payment of INR, as `source` has it; refund_id may be NULL. Each call is
 * another event. */
static inline void tell_fact_by(PGconn *connection, const char *source, const char *psp,
                                const uuid_t *payment_id, const uuid_t *refund_id, const char *kind,
                                const char *ref, long amount)
{
    char sql[1024], payment[UUID_TEXT_SIZE], refund[UUID_TEXT_SIZE], event[UUID_TEXT_SIZE];
    const uuid_t event_id = uuid7_new();
    snprintf(sql, sizeof sql,
             "SELECT webhooks_apply(ARRAY[NULL]::bigint[], ARRAY['%s'], ARRAY['%s'], "
             "ARRAY['%s'], ARRAY['%s']::uuid[], ARRAY[NULL]::uuid[], "
             "ARRAY[nullif('%s', '')]::uuid[], ARRAY['%s'], ARRAY['%s'], ARRAY[false], "
             "ARRAY[%ld], ARRAY[0], ARRAY['INR'], ARRAY[1771632000000000], ARRAY[NULL]::text[], "
             "ARRAY['{}']::bytea[], ARRAY[NULL]::text[], ARRAY[0], "
             "ARRAY[(extract(epoch FROM now()) * 1000000)::bigint], ARRAY['a test'], 300)",
             psp, uuid_format(&event_id, event), source, uuid_format(payment_id, payment),
             refund_id != NULL ? uuid_format(refund_id, refund) : "", kind, ref, amount);
    facts_execute(connection, sql);
}

static inline void tell_fact(PGconn *connection, const char *psp, const uuid_t *payment_id,
                             const uuid_t *refund_id, const char *kind, const char *ref,
                             long amount)
{
    tell_fact_by(connection, "webhook", psp, payment_id, refund_id, kind, ref, amount);
}

/* A payment of INR 450.00 at `psp` for an order of its own, captured and applied. */
static inline uuid_t make_captured_payment(PGconn *connection, const char *psp)
{
    char sql[1024], text[UUID_TEXT_SIZE], ref[UUID_TEXT_SIZE + 8];
    const uuid_t payment_id = uuid7_new();
    uuid_format(&payment_id, text);
    snprintf(sql, sizeof sql,
             "WITH o AS (INSERT INTO orders (order_id, user_id, amount, currency, expires_at) "
             "VALUES ('%s', 'u1', 45000, 'INR', now() + interval '1 h') RETURNING order_id) "
             "INSERT INTO payments (payment_id, order_id, method, amount, currency, psp, "
             "checkout_url, expires_at) SELECT '%s', order_id, 'UPI', 45000, 'INR', '%s', "
             "'http://psp/pay', now() + interval '1 h' FROM o",
             text, text, psp);
    facts_execute(connection, sql);
    snprintf(ref, sizeof ref, "txn_%s", text);
    tell_fact(connection, psp, &payment_id, NULL, "captured", ref, 45000);
    return payment_id;
}

#endif
