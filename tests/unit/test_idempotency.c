/* test_idempotency.c - what an Idempotency-Key is known by: the same for the same request only. */
#include "gateway/idempotency.h"

#include <string.h>

#include "tests/support/test_main.h"

typedef struct identity {
    uuid_t id, fingerprint;
} identity_t;

static err_t identify(const char *caller, const char *method, const char *path, const char *value,
                      str_t body, identity_t *identity, err_detail_t *detail)
{
    return idempotency_identify(caller, method, path, value, body, &identity->id,
                                &identity->fingerprint, detail);
}

/* Of a key that must be taken. */
static identity_t identity_of(const char *caller, const char *method, const char *path,
                              const char *value, str_t body)
{
    identity_t identity = {0};
    err_detail_t detail = {{0}};
    const err_t err = identify(caller, method, path, value, body, &identity, &detail);
    if (err != ERR_OK)
        fail_msg("\"%s\": %s, %s", value, err_name(err), detail.text);
    return identity;
}

static void the_same_request_is_known_by_the_same_ids(void **state)
{
    (void)state;
    const identity_t first = identity_of("shop", "POST", "/orders", "k-1", STR_LITERAL("{}"));
    const identity_t again = identity_of("shop", "POST", "/orders", "k-1", STR_LITERAL("{}"));
    assert_true(uuid_equal(&first.id, &again.id));
    assert_true(uuid_equal(&first.fingerprint, &again.fingerprint));
    assert_false(uuid_is_nil(&first.id));
    assert_false(uuid_is_nil(&first.fingerprint));
}

/* A release that hashed otherwise would carry out once more whatever is retried across it. */
static void the_ids_are_the_first_half_of_a_sha_256(void **state)
{
    (void)state;
    char text[UUID_TEXT_SIZE];
    /* printf 'shop\0POST\0/orders\0k-1\0' | sha256sum; printf '{}' | sha256sum */
    const identity_t identity = identity_of("shop", "POST", "/orders", "k-1", STR_LITERAL("{}"));
    assert_string_equal(uuid_format(&identity.id, text), "6a402cc5-3582-67b5-8957-eada5fe73cf8");
    assert_string_equal(uuid_format(&identity.fingerprint, text),
                        "44136fa3-55b3-678a-1146-ad16f7e8649e");
}

static void another_caller_method_path_or_key_is_another_id(void **state)
{
    (void)state;
    /* The last rows hold the same bytes as others, cut in other places. */
    static const char *const rows[][4] = {
        {"shop", "POST", "/orders", "k-1"},  {"till", "POST", "/orders", "k-1"},
        {"", "POST", "/orders", "k-1"},      {"shop", "PUT", "/orders", "k-1"},
        {"shop", "POST", "/orders/", "k-1"}, {"shop", "POST", "/orders", "k-2"},
        {"shop", "POST", "/orders", "K-1"},  {"shopP", "OST", "/orders", "k-1"},
        {"shop", "POST", "/order", "sk-1"},  {"shop", "POST", "/ordersk-1", "k"},
    };
    const str_t body = STR_LITERAL("{}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t j = 0; j < i; j++) {
            const identity_t a = identity_of(rows[i][0], rows[i][1], rows[i][2], rows[i][3], body);
            const identity_t b = identity_of(rows[j][0], rows[j][1], rows[j][2], rows[j][3], body);
            if (uuid_equal(&a.id, &b.id))
                fail_msg("rows %zu and %zu", i, j);
            assert_true(uuid_equal(&a.fingerprint, &b.fingerprint));
        }
}

static void another_body_is_another_fingerprint_of_the_same_key(void **state)
{
    (void)state;
    const str_t bodies[] = {
        {NULL, 0}, STR_LITERAL(" "), STR_LITERAL("{}"), STR_LITERAL("{ }"), {"{}\0", 3}};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        for (size_t j = 0; j < i; j++) {
            const identity_t a = identity_of("", "POST", "/orders", "k", bodies[i]);
            const identity_t b = identity_of("", "POST", "/orders", "k", bodies[j]);
            assert_true(uuid_equal(&a.id, &b.id));
            assert_false(uuid_equal(&a.fingerprint, &b.fingerprint));
        }
}

static void any_printable_ascii_is_a_key_and_blanks_around_it_are_not_part_of_it(void **state)
{
    (void)state;
    char all[96] = "";
    for (int c = '!'; c <= '~'; c++)
        all[c - '!'] = (char)c;
    (void)identity_of("", "POST", "/orders", all, STR_LITERAL("{}"));
    const identity_t bare = identity_of("", "POST", "/orders", "order 42", STR_LITERAL("{}"));
    const identity_t wide = identity_of("", "POST", "/orders", " \torder 42\t ", STR_LITERAL("{}"));
    assert_true(uuid_equal(&bare.id, &wide.id));
}

static void a_key_has_1_to_255_characters(void **state)
{
    (void)state;
    char key[IDEMPOTENCY_KEY_MAX_BYTES + 2];
    for (size_t size = 1; size <= IDEMPOTENCY_KEY_MAX_BYTES + 1; size++) {
        identity_t identity;
        err_detail_t detail = {{0}};
        memset(key, 'k', size);
        key[size] = '\0';
        assert_int_equal(
            identify("", "POST", "/orders", key, STR_LITERAL("{}"), &identity, &detail),
            size <= 255 ? ERR_OK : ERR_INVALID_IDEMPOTENCY_KEY);
    }
}

static void what_is_no_key_is_refused_and_leaves_no_id(void **state)
{
    (void)state;
    static const char *const values[] = {"",
                                         " ",
                                         "\t \t",
                                         "a\tb",
                                         "a\x01",
                                         "a\x1f"
                                         "b",
                                         "a\x7f"
                                         "b",
                                         "caf\xc3\xa9",
                                         "\xff"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        identity_t identity = {0};
        err_detail_t detail = {{0}};
        assert_int_equal(
            identify("", "POST", "/orders", values[i], STR_LITERAL("{}"), &identity, &detail),
            ERR_INVALID_IDEMPOTENCY_KEY);
        assert_non_null(strstr(detail.text, "Idempotency-Key"));
        assert_true(uuid_is_nil(&identity.id) && uuid_is_nil(&identity.fingerprint));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_same_request_is_known_by_the_same_ids),
    cmocka_unit_test(the_ids_are_the_first_half_of_a_sha_256),
    cmocka_unit_test(another_caller_method_path_or_key_is_another_id),
    cmocka_unit_test(another_body_is_another_fingerprint_of_the_same_key),
    cmocka_unit_test(any_printable_ascii_is_a_key_and_blanks_around_it_are_not_part_of_it),
    cmocka_unit_test(a_key_has_1_to_255_characters),
    cmocka_unit_test(what_is_no_key_is_refused_and_leaves_no_id),
};

TEST_MAIN(tests)
