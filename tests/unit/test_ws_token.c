/* test_ws_token.c - tokens for WebSockets: whose they are, and that nobody else makes one. */
#include "gateway/ws_token.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "lib/hmac.h"
#include "tests/support/test_main.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define NEWER "fedcba9876543210fedcba9876543210"

enum { EXPIRES_AT_S = 1771632900 };

static err_t read_token(const char *secrets, const char *token, int64_t now_s,
                        char user_id[WS_TOKEN_USER_ID_SIZE])
{
    err_detail_t detail = {{0}};
    const err_t err = ws_token_read(secrets, str_of(token), now_s, user_id, &detail);
    assert_true(err == ERR_OK || (err == ERR_TOKEN_INVALID && detail.text[0] != '\0'));
    return err;
}

static void assert_round_trip(str_t user_id)
{
    char token[WS_TOKEN_SIZE], read[WS_TOKEN_USER_ID_SIZE];
    ws_token_make(SECRET, user_id, EXPIRES_AT_S, token);
    assert_int_equal(strspn(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-_."),
                     strlen(token)); /* goes into a URL as it is */
    assert_int_equal(read_token(SECRET, token, EXPIRES_AT_S - 1, read), ERR_OK);
    assert_int_equal(strlen(read), user_id.size);
    assert_memory_equal(read, user_id.data, user_id.size);
}

static void a_token_says_whose_it_is(void **state)
{
    (void)state;
    char longest[WS_TOKEN_USER_ID_SIZE];
    for (size_t i = 0; i < sizeof longest - 1; i += 4)
        memcpy(longest + i, "\xf0\x9f\x8d\xb1", 4);
    longest[sizeof longest - 1] = '\0';
    assert_round_trip(STR_LITERAL("u"));
    assert_round_trip(STR_LITERAL("u1"));
    assert_round_trip(STR_LITERAL("u.1"));
    assert_round_trip(STR_LITERAL("\xff\xfb\xfe?~"));
    assert_round_trip((str_t){longest, sizeof longest - 1});
}

/* What anybody can compute: printf 'ws1.1771632900.dTE' | openssl dgst -sha256 -hmac … -binary. */
static void the_digest_is_the_hmac_of_all_before_it(void **state)
{
    (void)state;
    char token[WS_TOKEN_SIZE];
    ws_token_make(SECRET, STR_LITERAL("u1"), EXPIRES_AT_S, token);
    assert_string_equal(token, "ws1.1771632900.dTE.FKqU-7QhNKOrnelAA6a--gGIHUH-FsW0Vh4mBEcZ5_8");
}

static void a_token_that_is_changed_anywhere_is_refused(void **state)
{
    (void)state;
    char token[WS_TOKEN_SIZE], changed[WS_TOKEN_SIZE + 1], user_id[WS_TOKEN_USER_ID_SIZE];
    ws_token_make(SECRET, STR_LITERAL("alice"), EXPIRES_AT_S, token);
    const size_t size = strlen(token);
    for (size_t i = 0; i < size; i++) {
        memcpy(changed, token, size + 1);
        for (int byte = 1; byte < 256; byte++) {
            changed[i] = (char)byte;
            const bool same = changed[i] == token[i];
            assert_int_equal(read_token(SECRET, changed, 0, user_id),
                             same ? ERR_OK : ERR_TOKEN_INVALID);
        }
        memcpy(changed, token, i); /* without this byte */
        memcpy(changed + i, token + i + 1, size - i);
        assert_int_equal(read_token(SECRET, changed, 0, user_id), ERR_TOKEN_INVALID);
        memcpy(changed, token, i); /* with one more */
        changed[i] = 'A';
        memcpy(changed + i + 1, token + i, size - i + 1);
        assert_int_equal(read_token(SECRET, changed, 0, user_id), ERR_TOKEN_INVALID);
        memcpy(changed, token, size + 1); /* cut here */
        changed[i] = '\0';
        assert_int_equal(read_token(SECRET, changed, 0, user_id), ERR_TOKEN_INVALID);
    }
}

static void a_token_expires_in_the_second_that_it_names(void **state)
{
    (void)state;
    char token[WS_TOKEN_SIZE], user_id[WS_TOKEN_USER_ID_SIZE];
    ws_token_make(SECRET, STR_LITERAL("alice"), EXPIRES_AT_S, token);
    assert_int_equal(read_token(SECRET, token, EXPIRES_AT_S - 1, user_id), ERR_OK);
    assert_int_equal(read_token(SECRET, token, EXPIRES_AT_S, user_id), ERR_TOKEN_INVALID);
    assert_int_equal(read_token(SECRET, token, INT64_MAX, user_id), ERR_TOKEN_INVALID);
}

static void while_a_secret_is_replaced_both_are_taken_and_the_first_signs(void **state)
{
    (void)state;
    char old[WS_TOKEN_SIZE], rotated[WS_TOKEN_SIZE], user_id[WS_TOKEN_USER_ID_SIZE];
    ws_token_make(SECRET, STR_LITERAL("alice"), EXPIRES_AT_S, old);
    ws_token_make(NEWER " , " SECRET, STR_LITERAL("alice"), EXPIRES_AT_S, rotated);
    assert_int_equal(read_token(NEWER "," SECRET, old, 0, user_id), ERR_OK);
    assert_int_equal(read_token(NEWER "," SECRET, rotated, 0, user_id), ERR_OK);
    assert_int_equal(read_token(NEWER, rotated, 0, user_id), ERR_OK);
    assert_int_equal(read_token(NEWER, old, 0, user_id), ERR_TOKEN_INVALID);
    assert_int_equal(read_token(SECRET, rotated, 0, user_id), ERR_TOKEN_INVALID);
}

/* A stranger cannot make these; a gateway of another version might. Signed by `SECRET` all the
 * same, they are refused. */
static void a_token_of_another_form_is_refused_though_it_is_signed(void **state)
{
    (void)state;
    static const char *const forms[] = {"ws2.1771632900.dTE",  "ws1..dTE",
                                        "ws1.-1.dTE",          "ws1.1771632900",
                                        "ws1.1771632900.",     "ws1.1771632900.dTE=",
                                        "ws1.1771632900.d",    "ws1.1771632900.dT*",
                                        "ws1.1771632900.AAA",  "ws1.9999999999999999999.dTE",
                                        "ws1.1771632900x.dTE", ""};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char token[WS_TOKEN_SIZE], user_id[WS_TOKEN_USER_ID_SIZE];
        uint8_t digest[HMAC_SHA256_SIZE];
        char encoded[2 * HMAC_SHA256_SIZE];
        hmac_sha256(STR_LITERAL(SECRET), str_of(forms[i]), digest);
        EVP_EncodeBlock((unsigned char *)encoded, digest, sizeof digest);
        for (char *c = encoded; *c != '\0'; c++)
            *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
        encoded[43] = '\0';
        snprintf(token, sizeof token, "%s.%s", forms[i], encoded);
        if (read_token(SECRET, token, 0, user_id) != ERR_TOKEN_INVALID)
            fail_msg("\"%s\" was taken", forms[i]);
    }
}

static void secrets_that_are_short_or_known_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *setting;
        bool dev, taken;
        const char *reason;
    } rows[] = {
        {NULL, true, true, NULL},
        {NULL, false, false, "needed in prod"},
        {SECRET, false, true, NULL},
        {SECRET "," NEWER, false, true, NULL},
        {"0123456789abcdef0123456789abcde", false, false, "32 bytes"},
        {"0123456789abcdef0123456789abcde", true, false, "32 bytes"},
        {SECRET ",short", false, false, "32 bytes"},
        {" , ", false, false, "one to four"},
        {SECRET "," SECRET "," SECRET "," SECRET "," SECRET, false, false, "one to four"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *reason = NULL;
        const char *secrets = ws_token_secrets(rows[i].setting, rows[i].dev, &reason);
        assert_int_equal(secrets != NULL, rows[i].taken);
        if (secrets == NULL)
            assert_non_null(strstr(reason, rows[i].reason));
    }
    const char *reason = NULL;
    const char *dev_value = ws_token_secrets(NULL, true, &reason);
    assert_null(ws_token_secrets(dev_value, false, &reason));
    assert_non_null(strstr(reason, "development value"));
    assert_ptr_equal(ws_token_secrets(dev_value, true, &reason), dev_value);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_token_says_whose_it_is),
    cmocka_unit_test(the_digest_is_the_hmac_of_all_before_it),
    cmocka_unit_test(a_token_that_is_changed_anywhere_is_refused),
    cmocka_unit_test(a_token_expires_in_the_second_that_it_names),
    cmocka_unit_test(while_a_secret_is_replaced_both_are_taken_and_the_first_signs),
    cmocka_unit_test(a_token_of_another_form_is_refused_though_it_is_signed),
    cmocka_unit_test(secrets_that_are_short_or_known_are_refused),
};
TEST_MAIN(tests)
