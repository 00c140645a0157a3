/* events.c - the feed of events: over REST, what a socket missed, and the tokens that open one. */
#include "gateway/events.h"

#include <string.h>

#include "gateway/handlers.h"
#include "gateway/requests.h"
#include "gateway/ws_token.h"
#include "lib/clock.h"

enum { SOCKET_PAGE_EVENTS = 100, SOCKET_PAGE_BUDGET_MS = 5000 };

/* Payloads are one a line; the last line is ended too. */
static void add_payloads(buf_t *body, str_t payloads)
{
    for (const char *at = payloads.data, *end = at + payloads.size; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const size_t size = newline != NULL ? (size_t)(newline - at) : (size_t)(end - at);
        json_raw(body, NULL, at, size);
        at += size + 1;
    }
}

void events_list(http_request_t *request)
{
    char user_id[513];
    notifier_list_t list;
    err_detail_t detail = {{0}};
    err_t err = request_event_list(request, user_id, &list, &detail);
    if (err != ERR_OK) {
        http_respond_problem(request, err, detail.text);
        return;
    }
    hub_reply_t reply;
    if (!gateway_call(request, MSG_notifier_list, &list, &reply))
        return;
    notifier_page_t page;
    if (gateway_decode(request, &reply, MSG_notifier_page, &page)) {
        buf_t body = {0};
        json_open_object(&body, NULL);
        json_open_array(&body, "data");
        add_payloads(&body, page.payloads);
        json_close_array(&body);
        json_int(&body, "next_since", page.last_event_id);
        json_bool(&body, "more", page.more);
        json_close_object(&body);
        http_respond_json(request, 200, &body);
        buf_free(&body);
    }
    hub_reply_free(&reply);
}

err_t events_read_for_socket(void *arg, const char *user_id, const uuid_t *order_id, int64_t since,
                             websocket_events_t *events)
{
    gateway_t *gateway = arg;
    const notifier_list_t list = {.since = since,
                                  .limit = SOCKET_PAGE_EVENTS,
                                  .user_id = str_of(user_id),
                                  .order_id = *order_id};
    const uuid_t request_id = uuid7_new();
    hub_reply_t reply;
    notifier_page_t page;
    err_detail_t detail = {{0}};
    hub_thread_call(gateway->hub, MSG_notifier_list, &list, SOCKET_PAGE_BUDGET_MS, &request_id, "",
                    &reply);
    err_t err = reply.status;
    if (err == ERR_OK)
        err = message_decode(MSG_notifier_page, reply.body, reply.body_size, &page, &detail);
    if (err == ERR_OK) {
        buf_clear(&events->lines);
        buf_add(&events->lines, page.payloads.data, page.payloads.size);
        events->last_event_id = page.last_event_id;
        events->more = page.more;
    }
    hub_reply_free(&reply);
    return err;
}

/* Scope read is enough: with it one may read every user's events, a token opens one user's. */
void ws_tokens_post(http_request_t *request)
{
    const gateway_t *gateway = gateway_of(request);
    str_t user_id;
    request_parsed_t *parsed = NULL;
    err_detail_t detail = {{0}};
    err_t err = request_ws_token(request->body, &user_id, &parsed, &detail);
    if (err != ERR_OK) {
        http_respond_problem(request, err, detail.text);
        return;
    }
    char token[WS_TOKEN_SIZE];
    const int64_t expires_at_s = clock_wall_us() / 1000000 + gateway->config->ws_token_ttl_s;
    ws_token_make(gateway->token_secrets, user_id, expires_at_s, token);
    request_parsed_free(&parsed);
    buf_t body = {0};
    json_open_object(&body, NULL);
    json_text(&body, "token", token);
    json_time(&body, "expires_at", expires_at_s * 1000000);
    json_close_object(&body);
    http_respond_json(request, 200, &body);
    buf_free(&body);
}
