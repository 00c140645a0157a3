/* test_openapi.c - the description of the API tells of this build: every route, every code, and
 * nothing that it refers to is missing. */
#include "gateway/openapi.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "tests/support/test_main.h"

enum { NEVER_PUBLIC_FROM = 100 };

typedef struct route {
    const char *method, *path;
} route_t;

static const route_t routes[] = {
#define ROUTE(method, path, handler, scope, body_max_bytes) {method, path},
#include "gateway/routes.def"
#undef ROUTE
};

static int load(void **state)
{
    json_error_t error;
    *state = json_loadb(openapi_json, openapi_json_size, JSON_REJECT_DUPLICATES, &error);
    if (!*state)
        fail_msg("line %d: %s", error.line, error.text);
    return 0;
}

static int unload(void **state)
{
    json_decref(*state);
    return 0;
}

static json_t *walk(json_t *from, const char *const *keys)
{
    for (; *keys; keys++)
        from = json_object_get(from, *keys);
    return from;
}
#define WALK(from, ...) walk(from, (const char *const[]){__VA_ARGS__, NULL})

static void the_bytes_are_the_whole_file_and_terminated(void **state)
{
    (void)state;
    FILE *file = fopen(TIFFIN_SOURCE_DIR "/gateway/openapi.json", "re");
    assert_non_null(file);
    char *content = malloc(openapi_json_size + 2);
    assert_non_null(content);
    assert_int_equal(fread(content, 1, openapi_json_size + 2, file), openapi_json_size);
    (void)fclose(file);
    assert_memory_equal(content, openapi_json, openapi_json_size);
    assert_int_equal(strlen(openapi_json), openapi_json_size);
    free(content);
}

static void it_is_openapi_3_1_of_this_version(void **state)
{
    assert_string_equal(json_string_value(WALK(*state, "openapi")), "3.1.0");
    assert_string_equal(json_string_value(WALK(*state, "info", "version")), TIFFIN_VERSION);
}

/* "GET" and "get" are the same. */
static json_t *operation(json_t *root, const route_t *route)
{
    char method[16];
    (void)snprintf(method, sizeof method, "%s", route->method);
    for (char *c = method; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return WALK(root, "paths", route->path, method);
}

static void every_route_is_described_with_its_answers(void **state)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        json_t *found = operation(*state, &routes[i]);
        if (!json_is_string(WALK(found, "summary")) ||
            json_object_size(WALK(found, "responses")) == 0)
            fail_msg("%s %s is not described", routes[i].method, routes[i].path);
    }
}

static void nothing_is_described_that_has_no_route(void **state)
{
    const char *path;
    json_t *item;
    size_t described = 0;
    json_object_foreach(WALK(*state, "paths"), path, item)
    {
        described += json_object_size(item);
    }
    assert_int_equal(described, sizeof routes / sizeof routes[0]);
}

static bool code_described(json_t *root, const char *code, int http_status, const char *title)
{
    json_t *entry;
    size_t index;
    char status[8];
    (void)snprintf(status, sizeof status, "%d", http_status);
    json_array_foreach(WALK(root, "components", "schemas", "ProblemCode", "oneOf"), index, entry)
    {
        if (strcmp(json_string_value(WALK(entry, "const")), code) == 0)
            return strcmp(json_string_value(WALK(entry, "title")), status) == 0 &&
                   strcmp(json_string_value(WALK(entry, "description")), title) == 0;
    }
    return false;
}

static void every_public_code_is_described_with_its_status_and_title(void **state)
{
    size_t count = 0;
#define ERROR(name, number, http_status, retryable, title)      \
    if ((number) != ERR_OK && (number) < NEVER_PUBLIC_FROM) {   \
        count++;                                                \
        if (!code_described(*state, #name, http_status, title)) \
            fail_msg(#name " is not described");                \
    }
#include "lib/errors.def"
#undef ERROR
    json_t *described = WALK(*state, "components", "schemas", "ProblemCode", "oneOf");
    assert_int_equal(json_array_size(described), count);
}

/* "#/components/schemas/Order" */
static void assert_resolves(json_t *root, const char *reference)
{
    char path[128];
    assert_memory_equal(reference, "#/", 2);
    (void)snprintf(path, sizeof path, "%s", reference + 2);
    json_t *at = root;
    for (char *rest = path, *key; (key = strsep(&rest, "/")) != NULL;)
        at = json_object_get(at, key);
    if (!at)
        fail_msg("%s refers to nothing", reference);
}

static void check_references(json_t *root, json_t *value) // NOLINT(misc-no-recursion)
{
    const char *key;
    json_t *member;
    size_t index;
    json_object_foreach(value, key, member)
    {
        if (strcmp(key, "$ref") == 0)
            assert_resolves(root, json_string_value(member));
        check_references(root, member);
    }
    if (json_is_array(value))
        json_array_foreach(value, index, member) check_references(root, member);
}

static void every_reference_resolves(void **state)
{
    check_references(*state, *state);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_bytes_are_the_whole_file_and_terminated),
    cmocka_unit_test_setup_teardown(it_is_openapi_3_1_of_this_version, load, unload),
    cmocka_unit_test_setup_teardown(every_route_is_described_with_its_answers, load, unload),
    cmocka_unit_test_setup_teardown(nothing_is_described_that_has_no_route, load, unload),
    cmocka_unit_test_setup_teardown(every_public_code_is_described_with_its_status_and_title, load,
                                    unload),
    cmocka_unit_test_setup_teardown(every_reference_resolves, load, unload),
};
TEST_MAIN(tests)
