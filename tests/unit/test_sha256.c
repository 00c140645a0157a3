/* test_sha256.c - SHA-256 of texts in parts. */
#include "tests/support/test_main.h"

#include <string.h>

#include "lib/sha256.h"

/* FIPS 180-2, appendix B.1. */
static const uint8_t of_abc[SHA256_SIZE] = {
    0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};

static void the_standards_example_comes_out(void **state)
{
    (void)state;
    uint8_t digest[SHA256_SIZE];
    sha256(&STR_LITERAL("abc"), 1, digest);
    assert_memory_equal(digest, of_abc, sizeof digest);
}

static void parts_are_one_text(void **state)
{
    (void)state;
    uint8_t digest[SHA256_SIZE];
    const str_t parts[] = {STR_LITERAL("a"), {NULL, 0}, STR_LITERAL("bc")};
    sha256(parts, 3, digest);
    assert_memory_equal(digest, of_abc, sizeof digest);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_standards_example_comes_out),
    cmocka_unit_test(parts_are_one_text),
};
TEST_MAIN(tests)
