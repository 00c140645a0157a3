/* test_signature.c - the signature schemes, against requests that the PSPs' own libraries judged
 * (vectors/signatures.json names which), and tiffin-psp verify around them. */
#include "tests/support/test_main.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/payment/signature.h"
#include "services/psp/verify.h"

#define VECTORS TIFFIN_SOURCE_DIR "/tests/unit/vectors/signatures.json"
enum { NOW_S = 1760000000 };

static void every_verdict_is_that_of_the_psps_own_library(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0, lines = 0;
    FILE *out = open_memstream(&text, &size);
    const verify_options_t options = {VECTORS, true, NOW_S};
    const int status = verify_file(&options, out, stderr);
    fclose(out);
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    if (status != 0)
        fail_msg("%s", text);
    assert_true(lines > 90);
    assert_non_null(strstr(text, "stripe-09 false Stripe-Signature has no v1\n"));
    free(text);
}

/* Exit status for a file of this content. */
static int status_of(const char *content)
{
    char path[] = "/tmp/tiffin-signature-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w"), *nowhere = fopen("/dev/null", "w");
    fputs(content, file);
    fclose(file);
    const verify_options_t options = {path, true, NOW_S};
    const int status = verify_file(&options, nowhere, nowhere);
    fclose(nowhere);
    remove(path);
    return status;
}

#define GOCARDLESS(secret, more)                                                         \
    "{\"psp\":\"gocardless\",\"secrets\":[\"" secret "\"],\"body\":\"{}\",\"headers\":{" \
    "\"webhook-signature\":"                                                             \
    "\"47c4bb3a7dd1e17a1d50cb3cf5d3a1a2a1fd6eabda8a5cb8ed1c0b4e42f4b1f2\"}" more "}"

static void status_says_whether_all_is_as_the_file_says(void **state)
{
    (void)state;
    assert_int_equal(status_of("[" GOCARDLESS("s", ",\"signature_valid\":false") "]"), 0);
    assert_int_equal(status_of("[" GOCARDLESS("s", ",\"signature_valid\":true") "]"), 1);
    assert_int_equal(status_of(GOCARDLESS("s", "")), 1);
    assert_int_equal(status_of("{\"psp\":\"nobody\",\"body\":\"\",\"signature_valid\":true}"), 1);
    assert_int_equal(status_of("[]"), 2);
    assert_int_equal(status_of("no JSON"), 2);
    assert_int_equal(status_of("[1, null, {}]"), 1);
    const verify_options_t missing = {"/nonexistent/file", false, 0};
    FILE *nowhere = fopen("/dev/null", "w");
    assert_int_equal(verify_file(&missing, nowhere, nowhere), 2);
    fclose(nowhere);
}

/* ---- cases that no vector has ---- */

typedef struct header {
    const char *name, *value;
} header_t;

static const char *header_of(void *arg, const char *name)
{
    for (const header_t *header = arg; header->name; header++)
        if (strcasecmp(header->name, name) == 0)
            return header->value;
    return NULL;
}

static bool fits(signature_fn *scheme, header_t *headers, const char *secret, const char *body)
{
    char reason[SIGNATURE_REASON_SIZE];
    const str_t secrets[] = {str_of(secret)};
    const signature_input_t input = {.header = header_of,
                                     .header_arg = headers,
                                     .body = str_of(body),
                                     .secrets = secrets,
                                     .secret_count = 1,
                                     .now_s = NOW_S,
                                     .tolerance_s = -1};
    const bool verdict = scheme(&input, reason);
    assert_true(verdict == (reason[0] == '\0'));
    if (secret[0] && strlen(secret) > 6)
        assert_null(strstr(reason, secret));
    return verdict;
}

static void basic_is_read_as_browsers_and_servers_read_it(void **state)
{
    (void)state;
    /* printf 'user:pass:word' | base64 */
    static const struct {
        const char *value;
        bool fits;
    } rows[] = {
        {"Basic dXNlcjpwYXNzOndvcmQ=", true},
        {"basic dXNlcjpwYXNzOndvcmQ=", true},
        {"BASIC   dXNlcjpwYXNzOndvcmQ=", true},
        {"Basic dXNlcjpwYXNzOndvcmQ", true},
        {"Basic dXNlcjpwYXNzOndvcmQ= ", true},
        {"Bearer dXNlcjpwYXNzOndvcmQ=", false},
        {"Basic", false},
        {"Basic ", false},
        {"Basic !!!", false},
        {"Basic dXNlcg==", false},
        {"dXNlcjpwYXNzOndvcmQ=", false},
        {"Basic dXNlcjpwYXNzOndvcmQ= x", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        header_t headers[] = {{"Authorization", rows[i].value}, {NULL, NULL}};
        if (fits(signature_juspay, headers, "user:pass:word", "{}") != rows[i].fits)
            fail_msg("\"%s\"", rows[i].value);
    }
}

static void nothing_fits_without_a_secret_or_a_signature(void **state)
{
    (void)state;
    signature_fn *const all[] = {
        signature_razorpay,     signature_razorpay_callback,
        signature_stripe,       signature_cashfree,
        signature_payu,         signature_phonepe,
        signature_phonepe_v1,   signature_paytm,
        signature_paytm_header, signature_paytm_s2s,
        signature_adyen,        signature_adyen_platform,
        signature_juspay,       signature_standard_webhooks,
        signature_square,       signature_paddle,
        signature_gocardless,
    };
    static const char *const bodies[] = {
        "", "{}", "a=b", "hash=&status=success", "[", "{\"notificationItems\":[]}"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (size_t j = 0; j < sizeof bodies / sizeof bodies[0]; j++) {
            header_t none[] = {{NULL, NULL}};
            assert_false(fits(all[i], none, "a-secret-of-ours", bodies[j]));
            assert_false(fits(all[i], none, "", bodies[j]));
        }
}

static void a_field_that_comes_twice_is_not_believed(void **state)
{
    (void)state;
    header_t none[] = {{NULL, NULL}};
    assert_false(fits(signature_payu, none, "salt", "status=success&status=failure&hash=00"));
    assert_false(fits(signature_paytm, none, "MadeUpKey1234567", "A=1&A=2&CHECKSUMHASH=AAAA"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_verdict_is_that_of_the_psps_own_library),
    cmocka_unit_test(status_says_whether_all_is_as_the_file_says),
    cmocka_unit_test(basic_is_read_as_browsers_and_servers_read_it),
    cmocka_unit_test(nothing_fits_without_a_secret_or_a_signature),
    cmocka_unit_test(a_field_that_comes_twice_is_not_believed),
};
TEST_MAIN(tests)
