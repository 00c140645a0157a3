/* test_pg_values.c - lib/pg against a real server: every type there and back. */
#include <libpq-fe.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/pg.h"
#include "tests/support/servers.h"
#include "tests/support/test_main.h"

enum { TIMEOUT_MS = 3000 };

static PGresult *must_run(pg_t *pg, const char *name, const char *sql, const pg_params_t *params)
{
    PGresult *result = NULL;
    err_detail_t detail = {""};
    err_t err = pg_exec(pg, name, sql, params, &result, &detail);
    if (err != ERR_OK)
        fail_msg("%s: %s: %s", name, err_name(err), detail.text);
    return result;
}

static void assert_text(str_t have, const char *want)
{
    assert_int_equal(have.size, strlen(want));
    assert_memory_equal(have.data, want, have.size);
}

static void scalars_come_back_as_they_were(void **state)
{
    (void)state;
    pg_t *pg = pg_new(test_database(), "test", TIMEOUT_MS);
    uuid_t id = uuid7_new();
    pg_params_t params = {0};
    for (int round = 0; round < 2; round++) { /* the second uses the memory of the first again */
        pg_params_reset(&params);
        pg_param_int8(&params, INT64_MIN);
        pg_param_int4(&params, -7);
        pg_param_text(&params, str_of("₹ 450 – चाय ☕"));
        pg_param_text(&params, STR_LITERAL(""));
        pg_param_uuid(&params, &id);
        pg_param_bool(&params, true);
        pg_param_bytea(&params, (str_t){"\0\xff\1", 3});
        PGresult *result = must_run(pg, "scalars",
                                    "SELECT $1 + 1, $2, $3, $4, $5, $6, $7, ($2)::int2, NOT $6,"
                                    " json_build_object('a', $2), octet_length($7)",
                                    &params);
        assert_true(pg_get_int8(result, 0, 0) == INT64_MIN + 1);
        assert_int_equal(pg_get_int8(result, 0, 1), -7);
        assert_text(pg_get_text(result, 0, 2), "₹ 450 – चाय ☕");
        assert_false(pg_is_null(result, 0, 3));
        assert_text(pg_get_text(result, 0, 3), "");
        uuid_t back = pg_get_uuid(result, 0, 4);
        assert_true(uuid_equal(&back, &id));
        assert_true(pg_get_bool(result, 0, 5));
        assert_int_equal(pg_get_text(result, 0, 6).size, 3);
        assert_memory_equal(pg_get_text(result, 0, 6).data, "\0\xff\1", 3);
        assert_int_equal(pg_get_int8(result, 0, 7), -7);
        assert_false(pg_get_bool(result, 0, 8));
        assert_text(pg_get_text(result, 0, 9), "{\"a\" : -7}");
        assert_int_equal(pg_get_int8(result, 0, 10), 3);
        PQclear(result);
    }
    pg_params_free(&params);
    pg_destroy(&pg);
}

static void absent_values_are_null(void **state)
{
    (void)state;
    pg_t *pg = pg_new(test_database(), "test", TIMEOUT_MS);
    pg_params_t params = {0};
    pg_param_text(&params, (str_t){NULL, 0});
    pg_param_uuid(&params, NULL);
    pg_param_bytea(&params, (str_t){NULL, 0});
    PGresult *result = must_run(pg, "nulls", "SELECT $1, $2, $3", &params);
    for (int column = 0; column < 3; column++)
        assert_true(pg_is_null(result, 0, column));
    assert_null(pg_get_text(result, 0, 0).data);
    PQclear(result);
    pg_params_free(&params);
    pg_destroy(&pg);
}

static void times_are_microseconds_since_1970(void **state)
{
    (void)state;
    pg_t *pg = pg_new(test_database(), "test", TIMEOUT_MS);
    PGresult *result =
        must_run(pg, "times",
                 "SELECT to_timestamp(0), timestamptz '2026-02-21 05:30:00.123456+05:30',"
                 " timestamptz '1999-12-31 23:59:59.999999Z', timestamptz 'infinity'",
                 NULL);
    assert_true(pg_get_time_us(result, 0, 0) == 0);
    int64_t parsed_us = 0;
    assert_true(rfc3339_parse("2026-02-21T00:00:00.123456Z", &parsed_us));
    assert_true(pg_get_time_us(result, 0, 1) == parsed_us);
    assert_true(rfc3339_parse("1999-12-31T23:59:59.999999Z", &parsed_us));
    assert_true(pg_get_time_us(result, 0, 2) == parsed_us);
    assert_true(pg_get_time_us(result, 0, 3) == INT64_MAX);
    PQclear(result);
    pg_destroy(&pg);
}

static void arrays_carry_a_batch_with_its_nulls(void **state)
{
    (void)state;
    enum { ROWS = 300 };
    pg_t *pg = pg_new(test_database(), "test", TIMEOUT_MS);
    pg_params_t params = {0};
    int int8s = pg_array_begin(&params, PG_ARRAY_INT8);
    int int4s = pg_array_begin(&params, PG_ARRAY_INT4);
    int texts = pg_array_begin(&params, PG_ARRAY_TEXT);
    int uuids = pg_array_begin(&params, PG_ARRAY_UUID);
    int byteas = pg_array_begin(&params, PG_ARRAY_BYTEA);
    int bools = pg_array_begin(&params, PG_ARRAY_BOOL);
    uuid_t ids[ROWS];
    for (int i = 0; i < ROWS; i++) {
        ids[i] = uuid7_new();
        pg_array_add_int8(&params, int8s, -(INT64_C(1) << 40) * i);
        if (i % 3 == 0)
            pg_array_add_null(&params, int4s);
        else
            pg_array_add_int4(&params, int4s, i);
        pg_array_add_text(&params, texts, i % 2 ? STR_LITERAL("चाय {\"',\\}") : (str_t){NULL, 0});
        pg_array_add_uuid(&params, uuids, i % 5 ? &ids[i] : NULL);
        pg_array_add_text(&params, byteas, (str_t){"\0x", (uint32_t)(i % 3)});
        pg_array_add_bool(&params, bools, i % 7 == 0);
    }
    PGresult *result = must_run(pg, "arrays",
                                "SELECT * FROM unnest($1, $2, $3, $4, $5, $6)"
                                " WITH ORDINALITY AS t(a, b, c, d, e, f, n) ORDER BY n",
                                &params);
    assert_int_equal(PQntuples(result), ROWS);
    for (int i = 0; i < ROWS; i++) {
        assert_true(pg_get_int8(result, i, 0) == -(INT64_C(1) << 40) * i);
        assert_int_equal(pg_is_null(result, i, 1), i % 3 == 0);
        if (i % 3)
            assert_int_equal(pg_get_int8(result, i, 1), i);
        if (i % 2)
            assert_text(pg_get_text(result, i, 2), "चाय {\"',\\}");
        else
            assert_true(pg_is_null(result, i, 2));
        assert_int_equal(pg_is_null(result, i, 3), i % 5 == 0);
        if (i % 5) {
            uuid_t back = pg_get_uuid(result, i, 3);
            assert_true(uuid_equal(&back, &ids[i]));
        }
        assert_int_equal(pg_get_text(result, i, 4).size, i % 3);
        assert_int_equal(pg_get_bool(result, i, 5), i % 7 == 0);
    }
    PQclear(result);
    pg_params_free(&params);
    pg_destroy(&pg);
}

static void empty_array_is_no_null(void **state)
{
    (void)state;
    pg_t *pg = pg_new(test_database(), "test", TIMEOUT_MS);
    pg_params_t params = {0};
    pg_array_begin(&params, PG_ARRAY_UUID);
    PGresult *result = must_run(pg, "empty", "SELECT cardinality($1)", &params);
    assert_int_equal(pg_get_int8(result, 0, 0), 0);
    PQclear(result);
    pg_params_free(&params);
    pg_destroy(&pg);
}

/* Larger than the socket's buffers both ways: sending must go on while the server waits to be read.
 */
static void megabytes_go_both_ways(void **state)
{
    (void)state;
    enum { ELEMENTS = 20, ELEMENT_BYTES = 1 << 20 };
    pg_t *pg = pg_new(test_database(), "test", 20000);
    char *bytes = malloc(ELEMENT_BYTES);
    memset(bytes, 0xa5, ELEMENT_BYTES);
    pg_params_t params = {0};
    int array = pg_array_begin(&params, PG_ARRAY_BYTEA);
    for (int i = 0; i < ELEMENTS; i++)
        pg_array_add_text(&params, array, (str_t){bytes, ELEMENT_BYTES});
    PGresult *result = must_run(pg, "megabytes", "SELECT unnest($1)", &params);
    assert_int_equal(PQntuples(result), ELEMENTS);
    assert_int_equal(pg_get_text(result, ELEMENTS - 1, 0).size, ELEMENT_BYTES);
    assert_memory_equal(pg_get_text(result, ELEMENTS - 1, 0).data, bytes, ELEMENT_BYTES);
    PQclear(result);
    for (int i = 0; i < ELEMENTS; i++)
        pg_array_add_text(&params, array, (str_t){bytes, ELEMENT_BYTES});
    assert_int_equal(pg_exec(pg, "megabytes", "SELECT unnest($1)", &params, &result, NULL),
                     ERR_UNPROCESSABLE);
    pg_params_free(&params);
    free(bytes);
    pg_destroy(&pg);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(scalars_come_back_as_they_were),
    cmocka_unit_test(absent_values_are_null),
    cmocka_unit_test(times_are_microseconds_since_1970),
    cmocka_unit_test(arrays_carry_a_batch_with_its_nulls),
    cmocka_unit_test(empty_array_is_no_null),
    cmocka_unit_test(megabytes_go_both_ways),
};

TEST_MAIN(tests)
