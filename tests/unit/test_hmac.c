/* test_hmac.c - HMAC-SHA256 under keys that stay prepared, against published and independent
 * digests. */
#include "lib/hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/test_main.h"

enum { THREADS = 4, ROUNDS = 200, KEYS = 20 /* more than a thread keeps */ };

static const char *hex_of(str_t key, str_t message)
{
    static char text[2 * HMAC_SHA256_SIZE + 1];
    uint8_t digest[HMAC_SHA256_SIZE];
    hmac_sha256(key, message, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

/* RFC 4231, test cases 1, 2 and 6. */
static void published_digests_come_out(void **state)
{
    (void)state;
    char long_key[131];
    memset(long_key, 0xaa, sizeof long_key);
    for (int round = 0; round < 2; round++) {
        assert_string_equal(hex_of(STR_LITERAL("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
                                               "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
                                   STR_LITERAL("Hi There")),
                            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        assert_string_equal(
            hex_of(STR_LITERAL("Jefe"), STR_LITERAL("what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_string_equal(
            hex_of((str_t){long_key, sizeof long_key},
                   STR_LITERAL("Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }
}

static void *check_many_keys(void *arg)
{
    bool *same = arg;
    *same = true;
    for (int round = 0; round < ROUNDS; round++) {
        char key[32], message[64];
        const int key_size = snprintf(key, sizeof key, "key %d", round % KEYS);
        const int size = snprintf(message, sizeof message, "message %d", round);
        uint8_t digest[HMAC_SHA256_SIZE], expected[EVP_MAX_MD_SIZE];
        unsigned expected_size;
        hmac_sha256((str_t){key, (uint32_t)key_size}, (str_t){message, (uint32_t)size}, digest);
        HMAC(EVP_sha256(), key, key_size, (const unsigned char *)message, (size_t)size, expected,
             &expected_size);
        *same = *same && memcmp(digest, expected, sizeof digest) == 0;
    }
    return NULL;
}

static void more_keys_than_are_kept_on_many_threads_are_right(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    bool same[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, check_many_keys, &same[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(same[i]);
    }
}

static void an_empty_message_has_a_digest(void **state)
{
    (void)state;
    assert_string_equal(hex_of(STR_LITERAL("key"), (str_t){NULL, 0}),
                        "5d5d139563c95b5967b9bd9a8c9b233a9dedb45072794cd232dc1b74832607d0");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(published_digests_come_out),
    cmocka_unit_test(more_keys_than_are_kept_on_many_threads_are_right),
    cmocka_unit_test(an_empty_message_has_a_digest),
};
TEST_MAIN(tests)
