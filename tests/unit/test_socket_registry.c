/* test_socket_registry.c - who gets which frame, and what happens to one that does not read. */
#include <stdio.h>
#include <string.h>

#include "gateway/socket_registry.h"
#include "tests/support/test_main.h"

static void named(socket_t *socket, const char *user_id)
{
    memset(socket, 0, sizeof *socket);
    snprintf(socket->user_id, sizeof socket->user_id, "%s", user_id);
}

static void frames_are_written_as_rfc_6455_says(void **state)
{
    (void)state;
    static const struct {
        size_t payload, header;
        uint8_t second;
    } cases[] = {{0, 2, 0}, {125, 2, 125}, {126, 4, 126}, {65535, 4, 126}, {65536, 10, 127}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *payload = calloc(1, cases[i].payload + 1);
        frame_t *frame = frame_new(FRAME_TEXT, payload, cases[i].payload);
        assert_int_equal(frame->size, cases[i].header + cases[i].payload);
        assert_int_equal(frame->bytes[0], 0x81);
        assert_int_equal(frame->bytes[1], cases[i].second);
        frame_release(&frame);
        free(payload);
    }
    frame_t *close = frame_new_close(1013, "later");
    assert_memory_equal(close->bytes, "\x88\x07\x03\xf5later", 9);
    frame_release(&close);
    assert_null(close);
}

static void a_socket_gets_only_its_own_users_events(void **state)
{
    (void)state;
    static socket_t sockets[3];
    socket_registry_t *registry = socket_registry_new(4);
    const uuid_t order = uuid7_new(), other = uuid7_new();
    named(&sockets[0], "u1");
    named(&sockets[1], "u2");
    named(&sockets[2], "u1");
    sockets[2].order_id = order;
    for (int i = 0; i < 3; i++)
        socket_registry_add(registry, &sockets[i]);

    int found = 0;
    for (socket_t *s = NULL; (s = socket_registry_find(registry, str_of("u1"), &order, s)) != NULL;
         found++)
        assert_true(s == &sockets[0] || s == &sockets[2]);
    assert_int_equal(found, 2);
    assert_ptr_equal(socket_registry_find(registry, str_of("u1"), &other, NULL), &sockets[0]);
    assert_null(socket_registry_find(registry, str_of("u1"), &other, &sockets[0]));
    assert_null(socket_registry_find(registry, str_of("u"), &order, NULL));
    assert_null(socket_registry_find(registry, str_of("u11"), &order, NULL));

    socket_registry_remove(registry, &sockets[1]);
    assert_int_equal(socket_registry_count(registry), 2);
    int left = 0;
    for (socket_t *s = socket_registry_first(registry); s != NULL; s = s->next)
        left++;
    assert_int_equal(left, 2);
    socket_registry_remove(registry, &sockets[0]);
    socket_registry_remove(registry, &sockets[2]);
    socket_registry_destroy(&registry);
}

static void one_that_does_not_read_is_marked_and_gets_only_its_close_frame(void **state)
{
    (void)state;
    static socket_t socket;
    named(&socket, "u1");
    frame_t *frame = frame_new(FRAME_TEXT, "x", 1);
    for (int i = 0; i < SOCKET_OUTBOX_MAX; i++)
        assert_true(socket_push(&socket, frame));
    assert_false(socket_push(&socket, frame));
    assert_true(socket.overflowed);
    frame_t *close = frame_new_close(1013, "");
    socket_push_last(&socket, close);
    assert_int_equal(frame->references, 1);
    assert_false(socket_push(&socket, frame));
    frame_t *got = socket_pop(&socket);
    assert_ptr_equal(got, close);
    frame_release(&got);
    assert_null(socket_pop(&socket));
    frame_release(&close);
    frame_release(&frame);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(frames_are_written_as_rfc_6455_says),
    cmocka_unit_test(a_socket_gets_only_its_own_users_events),
    cmocka_unit_test(one_that_does_not_read_is_marked_and_gets_only_its_close_frame),
};
TEST_MAIN(tests)
