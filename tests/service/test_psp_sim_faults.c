/* test_psp_sim_faults.c - the simulator's fault model: how it is read, and what each fault means.
 *
 * With registry_prototype.c: every PSP speaks the prototype's format.
 */
#include "tests/support/test_main.h"

#include <string.h>

#include "services/psp_sim/sim_faults.h"

static void fault_model_is_read_strictly(void **state)
{
    (void)state;
    sim_fault_t fault;
    err_detail_t detail;
    assert_int_equal(
        sim_fault_read(
            STR_LITERAL("{\"refuse\":true,\"hang_ms\":5,\"latency_ms\":6,"
                        "\"error_rate\":0.5,\"webhook\":\"twice\","
                        "\"webhook_delay_ms\":7,\"amount_delta\":-8,\"settlement_delta\":-9,"
                        "\"duplicate_capture\":true,\"refund\":\"hang\","
                        "\"refund_delay_ms\":9}"),
            &fault, &detail),
        ERR_OK);
    assert_true(fault.refuse && fault.hang_ms == 5 && fault.latency_ms == 6);
    assert_true(fault.error_rate > 0.49 && fault.error_rate < 0.51);
    assert_int_equal(fault.webhook, SIM_WEBHOOK_TWICE);
    assert_int_equal(sim_fault_webhook_delay_ms(&fault), 7);
    assert_int_equal(fault.amount_delta, -8);
    assert_int_equal(fault.settlement_delta, -9);
    assert_true(fault.duplicate_capture);
    assert_int_equal(fault.refund, SIM_REFUNDS_HANG);
    assert_int_equal(fault.refund_delay_ms, 9);

    static const struct {
        const char *body;
        err_t err;
    } wrong[] = {
        {"", ERR_MALFORMED_JSON},
        {"[]", ERR_MALFORMED_JSON},
        {"{\"hang\":1}", ERR_UNKNOWN_FIELD},
        {"{\"refuse\":1}", ERR_INVALID_FIELD},
        {"{\"hang_ms\":-1}", ERR_INVALID_FIELD},
        {"{\"hang_ms\":1.5}", ERR_INVALID_FIELD},
        {"{\"error_rate\":1.1}", ERR_INVALID_FIELD},
        {"{\"error_rate\":\"1\"}", ERR_INVALID_FIELD},
        {"{\"webhook\":\"sometimes\"}", ERR_INVALID_FIELD},
        {"{\"webhook\":null}", ERR_INVALID_FIELD},
        {"{\"webhook_delay_ms\":-1}", ERR_INVALID_FIELD},
        {"{\"amount_delta\":9007199254740992}", ERR_INVALID_FIELD},
        {"{\"duplicate_capture\":1}", ERR_INVALID_FIELD},
        {"{\"refund\":\"sometimes\"}", ERR_INVALID_FIELD},
        {"{\"refund\":true}", ERR_INVALID_FIELD},
        {"{\"refund_delay_ms\":-1}", ERR_INVALID_FIELD},
        {"{\"refund_delay_ms\":3600001}", ERR_INVALID_FIELD},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (sim_fault_read(str_of(wrong[i].body), &fault, &detail) != wrong[i].err)
            fail_msg("%s", wrong[i].body);
}

static void empty_fault_model_is_good_behaviour(void **state)
{
    (void)state;
    sim_fault_t fault;
    err_detail_t detail;
    assert_int_equal(sim_fault_read(STR_LITERAL("{}"), &fault, &detail), ERR_OK);
    assert_true(!fault.refuse && fault.hang_ms == 0 && fault.webhook == SIM_WEBHOOK_ONCE);
    assert_int_equal(sim_fault_webhook_delay_ms(&fault), 0);
    assert_true(!fault.duplicate_capture && fault.refund == SIM_REFUNDS_OK);
    fault.webhook = SIM_WEBHOOK_LATE;
    assert_int_equal(sim_fault_webhook_delay_ms(&fault), 3000);
    fault.webhook = SIM_WEBHOOK_REORDER;
    assert_int_equal(sim_fault_webhook_delay_ms(&fault), 3000);
}

static void every_mode_has_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *body, *part;
    } cases[] = {
        {"{\"webhook\":\"once\"}", "\"webhook\":\"once\""},
        {"{\"webhook\":\"none\"}", "\"webhook\":\"none\""},
        {"{\"webhook\":\"twice\"}", "\"webhook\":\"twice\""},
        {"{\"webhook\":\"late\"}", "\"webhook\":\"late\""},
        {"{\"webhook\":\"before\"}", "\"webhook\":\"before\""},
        {"{\"webhook\":\"reorder\"}", "\"webhook\":\"reorder\""},
        {"{\"refund\":\"ok\"}", "\"refund\":\"ok\""},
        {"{\"refund\":\"pending\"}", "\"refund\":\"pending\""},
        {"{\"refund\":\"refuse\"}", "\"refund\":\"refuse\""},
        {"{\"refund\":\"fail_later\"}", "\"refund\":\"fail_later\""},
        {"{\"refund\":\"unknown\"}", "\"refund\":\"unknown\""},
        {"{\"refund\":\"hang\"}", "\"refund\":\"hang\""},
        {"{\"duplicate_capture\":true}", "\"duplicate_capture\":true"},
        {"{\"refund_delay_ms\":70}", "\"refund_delay_ms\":70"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sim_fault_t fault;
        err_detail_t detail;
        buf_t body = {0};
        assert_int_equal(sim_fault_read(str_of(cases[i].body), &fault, &detail), ERR_OK);
        sim_fault_write(&fault, &body);
        if (!strstr(body.data, cases[i].part))
            fail_msg("%s: %s", cases[i].body, body.data);
        buf_free(&body);
    }
}

static void hang_of_refunds_holds_no_other_call(void **state)
{
    (void)state;
    sim_fault_t fault = {.hang_ms = 500, .latency_ms = 30};
    assert_int_equal(sim_fault_answer_delay_ms(&fault, false), 530);
    assert_int_equal(sim_fault_answer_delay_ms(&fault, true), 530);
    fault.refund = SIM_REFUNDS_HANG;
    assert_int_equal(sim_fault_answer_delay_ms(&fault, false), 30);
    assert_int_equal(sim_fault_answer_delay_ms(&fault, true), 530);
    fault.hang_ms = 0;
    assert_int_equal(sim_fault_answer_delay_ms(&fault, true), 10030);
}

static void fault_of_one_psp_is_not_that_of_another(void **state)
{
    (void)state;
    sim_faults_t faults;
    sim_fault_t fault = {.refuse = true, .amount_delta = 9, .duplicate_capture = true};
    sim_fault_t all[PSP_COUNT];
    sim_faults_init(&faults);
    sim_faults_set(&faults, psp_at(1), &fault);
    assert_false(sim_faults_get(&faults, psp_at(0)).refuse);
    assert_true(sim_faults_get(&faults, psp_at(1)).refuse);
    sim_faults_copy(&faults, all);
    for (unsigned i = 0; i < PSP_COUNT; i++) {
        assert_int_equal(sim_fault_terms(&all[i]).amount_delta, i == 1 ? 9 : 0);
        assert_int_equal(sim_fault_terms(&all[i]).twice, i == 1);
    }
    sim_faults_clear(&faults);
    assert_false(sim_faults_get(&faults, psp_at(1)).refuse);
    sim_faults_destroy(&faults);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(fault_model_is_read_strictly),
    cmocka_unit_test(empty_fault_model_is_good_behaviour),
    cmocka_unit_test(every_mode_has_its_name),
    cmocka_unit_test(hang_of_refunds_holds_no_other_call),
    cmocka_unit_test(fault_of_one_psp_is_not_that_of_another),
};
TEST_MAIN(tests)
