/* test_psp_echo.c - what answers repeat of our keys is not there any more, in whatever way they
 * write it; all else is. */
#include "tests/support/test_main.h"

#include <string.h>

#include "lib/payment/psp_echo.h"

static const psp_account_t account = {
    .key_id = "rzp_test_abc", .key_secret = "q7/Zx+\"9<w2", .webhook_secrets = "other"};

static void assert_becomes(str_t token, const char *answer, const char *hidden)
{
    buf_t body = {0};
    buf_add_text(&body, answer);
    psp_echo_hide(&account, token, &body);
    assert_int_equal(body.size, strlen(answer));
    assert_string_equal(body.data, hidden);
    buf_free(&body);
}

static const str_t no_token;

static void a_key_is_hidden_wherever_it_stands(void **state)
{
    (void)state;
    assert_becomes(no_token, "q7/Zx+\"9<w2", "***********");
    assert_becomes(no_token, "no: q7/Zx+\"9<w2q7/Zx+\"9<w2.", "no: **********************.");
}

static void a_key_is_hidden_as_json_and_forms_write_it(void **state)
{
    (void)state;
    assert_becomes(no_token, "{\"message\":\"bad key q7\\/Zx+\\\"9\\u003Cw2\"}",
                   "{\"message\":\"bad key ******************\"}");
    assert_becomes(no_token, "a=1&b=q7%2FZx%2b%229%3cw2&c=3", "a=1&b=*******************&c=3");
}

/* base64 of "rzp_test_abc:q7/Zx+"9<w2", of the secret alone, and of "<secret>:". */
static void a_key_is_hidden_in_basic(void **state)
{
    (void)state;
    assert_becomes(no_token, "{\"got\":\"Basic cnpwX3Rlc3RfYWJjOnE3L1p4KyI5PHcy\",\"n\":1}",
                   "{\"got\":\"Basic ********************************\",\"n\":1}");
    assert_becomes(no_token, "Basic cTcvWngrIjk8dzI= no", "Basic **************** no");
    assert_becomes(no_token, "Basic cTcvWngrIjk8dzI6 no", "Basic **************** no");
}

static void a_token_is_hidden(void **state)
{
    (void)state;
    assert_becomes(str_of("eyJhbGciOi.x"), "O-Bearer eyJhbGciOi.x", "O-Bearer ************");
}

static void all_else_stays(void **state)
{
    (void)state;
    const char *const answers[] = {"",
                                   "q7/Zx+\"9<w",
                                   "7/Zx+\"9<w2",
                                   "{\"id\":\"plink_1\",\"short_url\":\"https://rzp.io/q7\"}",
                                   "rzp_test_abc",
                                   "\\",
                                   "%",
                                   "\\u00"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        assert_becomes(no_token, answers[i], answers[i]);
    assert_becomes(str_of("t1"), "t1 is too short to be hidden", "t1 is too short to be hidden");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_key_is_hidden_wherever_it_stands),
    cmocka_unit_test(a_key_is_hidden_as_json_and_forms_write_it),
    cmocka_unit_test(a_key_is_hidden_in_basic),
    cmocka_unit_test(a_token_is_hidden),
    cmocka_unit_test(all_else_stays),
};

TEST_MAIN(tests)
