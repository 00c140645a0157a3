/* test_psp_accounts.c - the registry, and what a process may start with. Refusals end a process, so
 * they run in a child. */
#include "tests/support/test_main.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/payment/psp_accounts.h"

typedef struct sample {
    int64_t before;
    psp_accounts_t psps;
} sample_t;

static const config_entry_t table[] = {PSP_ACCOUNT_SETTINGS(sample_t, psps), CONFIG_END};

static const char *find(const char *name, void *arg)
{
    for (const char *const *at = arg; *at; at += 2)
        if (strcmp(at[0], name) == 0)
            return at[1];
    return NULL;
}

static sample_t read_with(const char **environment)
{
    sample_t sample = {0};
    err_detail_t detail;
    assert_int_equal(config_read(table, &sample, find, environment, &detail), ERR_OK);
    return sample;
}

#define WHOLE                                                                    \
    "RAZORPAY_BASE_URL", "https://api.example", "RAZORPAY_KEY_ID", "rzp_live_1", \
        "RAZORPAY_KEY_SECRET", "k1", "RAZORPAY_WEBHOOK_SECRET", "w1, w2"

static void assert_refused(const char **environment, bool dev, const char *said)
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        sample_t sample = read_with(environment);
        psp_accounts_check(&sample.psps, dev);
        _exit(0);
    }
    close(out[1]);
    char text[512] = "";
    ssize_t got = read(out[0], text, sizeof text - 1);
    close(out[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_CONFIG || got <= 0 || !strstr(text, said))
        fail_msg("status %d, \"%s\" instead of \"%s\"", status, text, said);
}

static void psps_are_known_in_priority_order_by_any_case(void **state)
{
    (void)state;
    static const char *const names[] = {"Razorpay", "Cashfree", "Juspay", "Stripe",
                                        "PayU",     "PhonePe",  "Adyen"};
    assert_int_equal(psp_count(), sizeof names / sizeof names[0]);
    for (size_t i = 0; i < psp_count(); i++)
        assert_string_equal(psp_name(psp_at(i)), names[i]);
    assert_ptr_equal(psp_find(str_of("razorPAY")), psp_at(0));
    assert_ptr_equal(psp_find(str_of("CASHFREE")), psp_at(1));
    assert_null(psp_find(str_of("Razorpay ")));
    assert_null(psp_find(str_of("Razor")));
    assert_null(psp_find(str_of("")));
    assert_null(psp_find((str_t){NULL, 0}));
}

static void development_needs_no_settings(void **state)
{
    (void)state;
    const char *environment[] = {"CASHFREE_BASE_URL", "http://127.0.0.1:9/cashfree", NULL};
    sample_t sample = read_with(environment);
    psp_accounts_check(&sample.psps, true);
    const psp_account_t *razorpay = psp_account_of(&sample.psps, psp_find(str_of("Razorpay")));
    assert_string_equal(razorpay->base_url, "http://127.0.0.1:8081/razorpay");
    assert_string_equal(razorpay->key_id, "rzp_test_key");
    assert_string_equal(razorpay->key_secret, "dev-secret");
    assert_string_equal(razorpay->webhook_secrets, "dev-secret");
    const psp_account_t *cashfree = psp_account_of(&sample.psps, psp_find(str_of("Cashfree")));
    assert_string_equal(cashfree->base_url, "http://127.0.0.1:9/cashfree");
    assert_string_equal(cashfree->webhook_secrets, "dev-secret");
    assert_int_equal(sample.before, 0);
}

static void preauthorisation_is_said_of_an_account_by_yes_or_no(void **state)
{
    (void)state;
    const psp_t *psp = psp_find(str_of("Cashfree"));
#define CASHFREE(preauth)                                                                  \
    "CASHFREE_KEY_ID", "id", "CASHFREE_KEY_SECRET", "k1", "CASHFREE_WEBHOOK_SECRET", "k1", \
        "CASHFREE_PREAUTH", preauth
    static const struct {
        const char *environment[9];
        bool dev, taken;
    } rows[] = {{{NULL}, true, true}, /* the simulator's account */
                {{CASHFREE("no"), NULL}, true, false},
                {{CASHFREE("yes"), NULL}, false, true},
                {{CASHFREE("no"), NULL}, false, false},
                {{CASHFREE(NULL)}, false, false},
                {{CASHFREE(NULL)}, true, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *environment[9];
        memcpy(environment, rows[i].environment, sizeof environment);
        if (i >= 4)
            environment[6] = NULL; /* not set */
        sample_t sample = read_with(environment);
        psp_accounts_check(&sample.psps, rows[i].dev);
        assert_int_equal(psp_takes_manual_capture(psp, psp_account_of(&sample.psps, psp)),
                         rows[i].taken);
    }
    const char *environment[] = {CASHFREE("1"), NULL};
    assert_refused(environment, true, "CASHFREE_PREAUTH");
    assert_refused(environment, false, "must be yes or no");
}

static void production_takes_a_psp_in_whole_or_not_at_all(void **state)
{
    (void)state;
    const char *environment[] = {WHOLE, NULL};
    sample_t sample = read_with(environment);
    psp_accounts_check(&sample.psps, false);
    assert_string_equal(psp_account_of(&sample.psps, psp_at(0))->key_id, "rzp_live_1");
    assert_null(psp_account_of(&sample.psps, psp_at(1)));
    assert_refused((const char *[]){"JUSPAY_KEY_ID", "j", NULL}, false,
                   "config: JUSPAY_KEY_SECRET: is not set");
    assert_refused((const char *[]){"JUSPAY_BASE_URL", "https://j", "JUSPAY_KEY_ID", "j",
                                    "JUSPAY_KEY_SECRET", "s", NULL},
                   false, "config: JUSPAY_WEBHOOK_SECRET: is not set");
}

static void production_refuses_development_secrets(void **state)
{
    (void)state;
    assert_refused((const char *[]){"JUSPAY_WEBHOOK_SECRET", "dev-secret", NULL}, false,
                   "config: JUSPAY_WEBHOOK_SECRET: has its development value");
    assert_refused((const char *[]){"RAZORPAY_WEBHOOK_SECRET", "w1,dev-secret", WHOLE, NULL}, false,
                   "config: RAZORPAY_WEBHOOK_SECRET: has its development value");
    assert_refused((const char *[]){"RAZORPAY_KEY_SECRET", "dev-secret", WHOLE, NULL}, false,
                   "config: RAZORPAY_KEY_SECRET: has its development value");
    assert_refused((const char *[]){"RAZORPAY_KEY_ID", "rzp_test_key", WHOLE, NULL}, false,
                   "config: RAZORPAY_KEY_ID: has its development value");
}

static void forms_that_no_request_can_be_built_from_are_refused(void **state)
{
    (void)state;
    assert_refused((const char *[]){"RAZORPAY_BASE_URL", "ftp://x", NULL}, true, "must begin with");
    assert_refused((const char *[]){"RAZORPAY_BASE_URL", "http://x/", NULL}, true, "slash");
    assert_refused((const char *[]){"RAZORPAY_KEY_ID", "a:b", NULL}, true, "colon");
    assert_refused((const char *[]){"RAZORPAY_WEBHOOK_SECRET", " , ", NULL}, true, "no secret");
    char huge[200];
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_refused((const char *[]){"RAZORPAY_KEY_SECRET", huge, NULL}, true, "128 bytes");
}

static void list_of_secrets_is_taken_apart(void **state)
{
    (void)state;
    str_t rest = str_of(" a ,,b c,  ,d"), secret;
    assert_true(psp_secret_next(&rest, &secret) && str_is(secret, "a"));
    assert_true(psp_secret_next(&rest, &secret) && str_is(secret, "b c"));
    assert_true(psp_secret_next(&rest, &secret) && str_is(secret, "d"));
    assert_false(psp_secret_next(&rest, &secret));
    rest = str_of(NULL);
    assert_false(psp_secret_next(&rest, &secret));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(psps_are_known_in_priority_order_by_any_case),
    cmocka_unit_test(development_needs_no_settings),
    cmocka_unit_test(preauthorisation_is_said_of_an_account_by_yes_or_no),
    cmocka_unit_test(production_takes_a_psp_in_whole_or_not_at_all),
    cmocka_unit_test(production_refuses_development_secrets),
    cmocka_unit_test(forms_that_no_request_can_be_built_from_are_refused),
    cmocka_unit_test(list_of_secrets_is_taken_apart),
};
TEST_MAIN(tests)
