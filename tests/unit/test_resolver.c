/* test_resolver.c - HUB_ADDR in all its forms; names answer as the test says. */
#include "lib/resolver.h"
#include "tests/support/test_main.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DEADLINE_MS = 5000 };

/* A name server of one table row; counts how often it was asked. */
typedef struct names {
    const char *host;
    const char *addresses[4];
    int count;
    int asked;
} names_t;

static int lookup(const char *host, char addresses[][64], int capacity, void *arg)
{
    names_t *names = arg;
    names->asked++;
    if (strcmp(host, names->host) != 0)
        return -1;
    for (int i = 0; i < names->count && i < capacity; i++)
        snprintf(addresses[i], 64, "%s", names->addresses[i]);
    return names->count;
}

static err_t resolve(const char *spec, names_t *names, endpoint_set_t *set)
{
    err_detail_t detail = {""};
    err_t err = resolver_resolve(spec, lookup, names, set, &detail);
    assert_true((err == ERR_OK) == (detail.text[0] == '\0'));
    return err;
}

static void assert_set(const endpoint_set_t *set, size_t count, const char *const *expected)
{
    assert_int_equal(set->count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(set->endpoints[i], expected[i]);
}

static void numeric_addresses_are_not_looked_up(void **state)
{
    (void)state;
    names_t names = {.host = "gateway"};
    endpoint_set_t set;
    assert_int_equal(resolve("tcp://127.0.0.1:5550, tcp://[::1]:5551", &names, &set), ERR_OK);
    assert_set(&set, 2, (const char *const[]){"tcp://127.0.0.1:5550", "tcp://[::1]:5551"});
    assert_int_equal(names.asked, 0);
}

static void a_name_gives_all_its_addresses_sorted_and_once(void **state)
{
    (void)state;
    names_t names = {"gateway", {"10.0.0.9", "10.0.0.1", "fd00::1", "10.0.0.9"}, 4, 0};
    endpoint_set_t set;
    assert_int_equal(resolve("tcp://gateway:5550,tcp://10.0.0.1:5550", &names, &set), ERR_OK);
    assert_set(&set, 3,
               (const char *const[]){"tcp://10.0.0.1:5550", "tcp://10.0.0.9:5550",
                                     "tcp://[fd00::1]:5550"});
}

static void an_address_appears_disappears_and_flaps(void **state)
{
    (void)state;
    names_t names = {"gateway", {"10.0.0.1", "10.0.0.2"}, 1, 0};
    endpoint_set_t first, set;
    assert_int_equal(resolve("tcp://gateway:5550", &names, &first), ERR_OK);
    for (int flap = 0; flap < 3; flap++) {
        names.count = 2;
        assert_int_equal(resolve("tcp://gateway:5550", &names, &set), ERR_OK);
        assert_int_equal(set.count, 2);
        names.count = 1;
        assert_int_equal(resolve("tcp://gateway:5550", &names, &set), ERR_OK);
        assert_memory_equal(&set, &first, sizeof set);
    }
    names.count = 0;
    assert_int_equal(resolve("tcp://gateway:5550", &names, &set), ERR_OK);
    assert_int_equal(set.count, 0);
}

static void a_name_that_does_not_resolve_adds_nothing(void **state)
{
    (void)state;
    names_t names = {.host = "gateway"};
    endpoint_set_t set;
    assert_int_equal(resolve("tcp://nobody:5550,tcp://10.0.0.1:5550", &names, &set), ERR_OK);
    assert_set(&set, 1, (const char *const[]){"tcp://10.0.0.1:5550"});
}

static void the_order_of_answers_does_not_matter(void **state)
{
    (void)state;
    names_t names = {"gateway", {"10.0.0.100", "10.0.0.2", "10.0.0.30"}, 3, 0};
    names_t turned = {"gateway", {"10.0.0.30", "10.0.0.100", "10.0.0.2"}, 3, 0};
    endpoint_set_t a, b;
    assert_int_equal(resolve("tcp://gateway:1", &names, &a), ERR_OK);
    assert_int_equal(resolve("tcp://gateway:1", &turned, &b), ERR_OK);
    assert_memory_equal(&a, &b, sizeof a);
}

static void local_transports_pass_through(void **state)
{
    (void)state;
    names_t names = {.host = ""};
    endpoint_set_t set;
    assert_int_equal(resolve("ipc:///run/hub,inproc://hub", &names, &set), ERR_OK);
    assert_set(&set, 2, (const char *const[]){"inproc://hub", "ipc:///run/hub"});
}

static void more_endpoints_than_the_bound_keep_the_first_in_order(void **state)
{
    (void)state;
    char spec[4096] = "";
    for (int i = BUS_GATEWAYS_MAX + 9; i >= 0; i--)
        snprintf(spec + strlen(spec), sizeof spec - strlen(spec), "tcp://10.0.1.%d:5550,", 100 + i);
    names_t names = {.host = ""};
    endpoint_set_t set;
    assert_int_equal(resolve(spec, &names, &set), ERR_OK);
    assert_int_equal(set.count, BUS_GATEWAYS_MAX);
    assert_string_equal(set.endpoints[0], "tcp://10.0.1.100:5550");
    assert_string_equal(set.endpoints[BUS_GATEWAYS_MAX - 1], "tcp://10.0.1.131:5550");
}

static void bad_text_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " , ",
        "gateway:5550",
        "http://gateway:80",
        "tcp://",
        "tcp://gateway",
        "tcp://gateway:",
        "tcp://gateway:0",
        "tcp://gateway:65536",
        "tcp://gateway:+1",
        "tcp://gateway:55x",
        "tcp://:5550",
        "tcp://*:5550",
        "tcp://two words:5550",
        "tcp://[]:5550",
        "tcp://[gateway]:5550",
        "tcp://::1:5550",
        "tcp://10.0.0.1:5550,tcp://broken",
        "@/does/not/exist",
        "@/",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        names_t names = {.host = ""};
        endpoint_set_t set;
        if (resolve(bad[i], &names, &set) != ERR_BAD_CONFIG)
            fail_msg("accepted: %s", bad[i]);
    }
}

static void overlong_names_are_refused(void **state)
{
    (void)state;
    char spec[10000];
    names_t names = {.host = ""};
    endpoint_set_t set;
    snprintf(spec, sizeof spec, "ipc:///%0*d", ENDPOINT_SIZE, 0);
    assert_int_equal(resolve(spec, &names, &set), ERR_BAD_CONFIG);
    snprintf(spec, sizeof spec, "tcp://%0300d:5550", 0);
    assert_int_equal(resolve(spec, &names, &set), ERR_BAD_CONFIG);
    snprintf(spec, sizeof spec, "tcp://%09000d:5550", 0);
    assert_int_equal(resolve(spec, &names, &set), ERR_BAD_CONFIG);
}

/* A file of endpoints that the test rewrites. */
typedef struct list_file {
    char path[64];
    char spec[66];
} list_file_t;

static list_file_t list_file_new(void)
{
    list_file_t file = {"/tmp/test-resolver-XXXXXX", ""};
    int fd = mkstemp(file.path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(file.spec, sizeof file.spec, "@%s", file.path);
    return file;
}

/* As careful operators do it: whole or not at all. */
static void list_file_write(const list_file_t *file, const char *text, size_t size)
{
    char fresh[80];
    snprintf(fresh, sizeof fresh, "%s.new", file->path);
    FILE *out = fopen(fresh, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, size, out), size);
    fclose(out);
    assert_int_equal(rename(fresh, file->path), 0);
}

static void a_file_has_one_endpoint_a_line_and_comments(void **state)
{
    (void)state;
    static const char text[] = "# gateways\n\n  tcp://10.0.0.2:5550 # the second\r\n"
                               "tcp://10.0.0.1:5550";
    list_file_t file = list_file_new();
    list_file_write(&file, text, sizeof text - 1);
    names_t names = {.host = ""};
    endpoint_set_t set;
    assert_int_equal(resolve(file.spec, &names, &set), ERR_OK);
    assert_set(&set, 2, (const char *const[]){"tcp://10.0.0.1:5550", "tcp://10.0.0.2:5550"});
    list_file_write(&file, "", 0);
    assert_int_equal(resolve(file.spec, &names, &set), ERR_OK);
    assert_int_equal(set.count, 0);
    list_file_write(&file, "a\0b", 3);
    assert_int_equal(resolve(file.spec, &names, &set), ERR_BAD_CONFIG);
    unlink(file.path);
}

static void wait_for_set(resolver_t *resolver, endpoint_set_t *set)
{
    struct pollfd readable = {.fd = resolver_fd(resolver), .events = POLLIN};
    assert_int_equal(poll(&readable, 1, DEADLINE_MS), 1);
    assert_true(resolver_take(resolver, set));
    assert_false(resolver_take(resolver, set));
}

static void the_thread_tells_of_each_change_of_the_file(void **state)
{
    (void)state;
    static const char one[] = "tcp://10.0.0.1:1\n", two[] = "tcp://10.0.0.1:1\ntcp://10.0.0.2:1\n";
    list_file_t file = list_file_new();
    list_file_write(&file, one, sizeof one - 1);
    resolver_t *resolver = resolver_new(file.spec, 2);
    endpoint_set_t set;
    wait_for_set(resolver, &set);
    assert_int_equal(set.count, 1);
    list_file_write(&file, two, sizeof two - 1);
    wait_for_set(resolver, &set);
    assert_int_equal(set.count, 2);
    /* A broken file and a missing one change nothing; the next good one counts. */
    list_file_write(&file, "broken\n", 7);
    unlink(file.path);
    list_file_write(&file, one, sizeof one - 1);
    wait_for_set(resolver, &set);
    assert_int_equal(set.count, 1);
    resolver_destroy(&resolver);
    assert_null(resolver);
    resolver_destroy(&resolver);
    unlink(file.path);
}

static void the_thread_looks_names_up(void **state)
{
    (void)state;
    resolver_t *resolver = resolver_new("tcp://localhost:5550", 1500);
    endpoint_set_t set;
    wait_for_set(resolver, &set);
    assert_set(&set, 1, (const char *const[]){"tcp://127.0.0.1:5550"});
    resolver_destroy(&resolver);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(numeric_addresses_are_not_looked_up),
    cmocka_unit_test(a_name_gives_all_its_addresses_sorted_and_once),
    cmocka_unit_test(an_address_appears_disappears_and_flaps),
    cmocka_unit_test(a_name_that_does_not_resolve_adds_nothing),
    cmocka_unit_test(the_order_of_answers_does_not_matter),
    cmocka_unit_test(local_transports_pass_through),
    cmocka_unit_test(more_endpoints_than_the_bound_keep_the_first_in_order),
    cmocka_unit_test(bad_text_is_refused_with_the_reason),
    cmocka_unit_test(overlong_names_are_refused),
    cmocka_unit_test(a_file_has_one_endpoint_a_line_and_comments),
    cmocka_unit_test(the_thread_tells_of_each_change_of_the_file),
    cmocka_unit_test(the_thread_looks_names_up),
};

TEST_MAIN(tests)
