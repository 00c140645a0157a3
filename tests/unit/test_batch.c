/* test_batch.c - what batch_split promises. */
#include "lib/batch.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test_main.h"

enum { ROWS = 16 };

/* A statement that refuses any range with a bad row in it. */
typedef struct fake {
    bool bad[ROWS];
    err_t refusal;
    int runs;
    size_t next; /* ranges come in order */
    int stored[ROWS];
    err_t failed[ROWS];
    char reason[ROWS][32];
} fake_t;

static err_t fake_run(void *arg, size_t first, size_t count, err_detail_t *detail)
{
    fake_t *fake = arg;
    fake->runs++;
    assert_true(count > 0);
    assert_int_equal(first, fake->next);
    for (size_t i = first; i < first + count; i++)
        if (fake->bad[i])
            return err_set(detail, fake->refusal, "row %zu", i);
    for (size_t i = first; i < first + count; i++)
        fake->stored[i]++;
    fake->next += count;
    return ERR_OK;
}

static void fake_failed(void *arg, size_t index, err_t err, const err_detail_t *detail)
{
    fake_t *fake = arg;
    assert_int_equal(index, fake->next);
    assert_int_equal(fake->failed[index], ERR_OK);
    fake->failed[index] = err;
    strncpy(fake->reason[index], detail->text, sizeof fake->reason[index] - 1);
    fake->next++;
}

static void assert_each_row_ended_once(const fake_t *fake, size_t count)
{
    for (size_t i = 0; i < ROWS; i++) {
        const int ends = fake->stored[i] + (fake->failed[i] != ERR_OK ? 1 : 0);
        assert_int_equal(ends, i < count ? 1 : 0);
    }
}

static void a_good_batch_is_one_statement(void **state)
{
    (void)state;
    fake_t fake = {.refusal = ERR_UNPROCESSABLE};
    batch_split(ROWS, fake_run, fake_failed, &fake);
    assert_int_equal(fake.runs, 1);
    assert_each_row_ended_once(&fake, ROWS);
}

static void an_empty_batch_runs_nothing(void **state)
{
    (void)state;
    fake_t fake = {.refusal = ERR_UNPROCESSABLE};
    batch_split(0, fake_run, fake_failed, &fake);
    assert_int_equal(fake.runs, 0);
}

static void only_the_bad_row_fails_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t count = 1; count <= ROWS; count++) {
        for (size_t bad = 0; bad < count; bad++) {
            fake_t fake = {.refusal = ERR_UNPROCESSABLE};
            char reason[32];
            fake.bad[bad] = true;
            batch_split(count, fake_run, fake_failed, &fake);
            assert_each_row_ended_once(&fake, count);
            for (size_t i = 0; i < count; i++)
                assert_int_equal(fake.failed[i], i == bad ? ERR_UNPROCESSABLE : ERR_OK);
            snprintf(reason, sizeof reason, "row %zu", bad);
            assert_string_equal(fake.reason[bad], reason);
            assert_true(fake.runs <= 1 + 2 * 4); /* 1 + 2 log2(16) */
        }
    }
}

static void several_bad_rows_fail_each_with_its_own_reason(void **state)
{
    (void)state;
    fake_t fake = {.refusal = ERR_UNPROCESSABLE};
    fake.bad[0] = fake.bad[7] = fake.bad[15] = true;
    batch_split(ROWS, fake_run, fake_failed, &fake);
    assert_each_row_ended_once(&fake, ROWS);
    assert_string_equal(fake.reason[0], "row 0");
    assert_string_equal(fake.reason[7], "row 7");
    assert_string_equal(fake.reason[15], "row 15");
}

static void an_unreachable_database_fails_all_at_once_without_splitting(void **state)
{
    (void)state;
    fake_t fake = {.refusal = ERR_STORE_UNAVAILABLE};
    fake.bad[3] = true;
    batch_split(ROWS, fake_run, fake_failed, &fake);
    assert_int_equal(fake.runs, 1);
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(fake.failed[i], ERR_STORE_UNAVAILABLE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_good_batch_is_one_statement),
    cmocka_unit_test(an_empty_batch_runs_nothing),
    cmocka_unit_test(only_the_bad_row_fails_wherever_it_stands),
    cmocka_unit_test(several_bad_rows_fail_each_with_its_own_reason),
    cmocka_unit_test(an_unreachable_database_fails_all_at_once_without_splitting),
};

TEST_MAIN(tests)
