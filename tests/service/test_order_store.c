/* test_order_store.c - what the order service reads, on real PostgreSQL. */
#include "services/order/order_store.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/facts.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

/* Whatever the caller's memory held before: an answer is encoded whole, so a boolean that nobody
 * has set is one that the gateway cannot read. */
static void a_read_order_leaves_nothing_of_the_memory_it_is_written_to(void **state)
{
    (void)state;
    char url[256];
    snprintf(url, sizeof url, "%s", test_database());
    PGconn *admin = PQconnectdb(url);
    assert_int_equal(PQstatus(admin), CONNECTION_OK);
    const uuid_t order_id = uuid7_new();
    char id[UUID_TEXT_SIZE];
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT INTO orders (order_id, user_id, amount, currency, expires_at) "
             "VALUES ('%s', 'u1', 45000, 'INR', now() + interval '1 h')",
             uuid_format(&order_id, id));
    facts_execute(admin, sql);

    order_store_t *store = order_store_new(url);
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    assert_int_equal(order_store_documents(store, &order_id, 1, &result, &detail), ERR_OK);
    order_document_t document;
    memset(&document, 0x5a, sizeof document);
    assert_true(order_store_document(result, &order_id, &document));
    unsigned char replayed;
    memcpy(&replayed, &document.replayed, sizeof replayed); /* to read no boolean that is none */
    assert_int_equal(replayed, 0);
    assert_true(uuid_equal(&document.order_id, &order_id));

    const uuid_t other = uuid7_new();
    assert_false(order_store_document(result, &other, &document));
    PQclear(result);
    order_store_destroy(&store);
    PQfinish(admin);
    servers_stop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_read_order_leaves_nothing_of_the_memory_it_is_written_to),
};

TEST_MAIN(tests)
