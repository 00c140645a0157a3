/* sim_process.h - tiffin-psp-sim as a child of the test, with a gateway that takes its webhooks: a
 * small language for tests of what it does to a payment at Razorpay. One per test program. */
#ifndef TIFFIN_TESTS_SIM_PROCESS_H
#define TIFFIN_TESTS_SIM_PROCESS_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/child.h"
#include "tests/support/servers.h"
#include "tests/support/sim_client.h"
#include "tests/support/test_main.h"
#include "tests/support/webhook_sink.h"

enum { SOON_MS = 20000, SETTINGS = 5, SETTING_SIZE = 160 };

typedef struct sim_process {
    webhook_sink_t gateway; /* of all tests: ends with the program, since civetweb takes seconds */
    char journal[64];
    int port;
    pid_t pid;
} sim_process_t;

static sim_process_t sim_process;

static inline bool sim_listens(void *arg)
{
    (void)arg;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)sim_process.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return connected;
}

/* Starts it, with the journal that there is. */
static inline void sim_process_again(void)
{
    static char settings[SETTINGS][SETTING_SIZE];
    char *environment[SETTINGS + 1] = {0};
    snprintf(settings[0], SETTING_SIZE, "TIFFIN_ENV=dev");
    snprintf(settings[1], SETTING_SIZE, "LOG_LEVEL=error");
    snprintf(settings[2], SETTING_SIZE, "PSP_SIM_ADDR=127.0.0.1:%d", sim_process.port);
    snprintf(settings[3], SETTING_SIZE, "PSP_SIM_WEBHOOK_URL=%s", sim_process.gateway.url);
    snprintf(settings[4], SETTING_SIZE, "PSP_SIM_DATA_FILE=%s", sim_process.journal);
    for (int i = 0; i < SETTINGS; i++)
        environment[i] = settings[i];
    sim_process.pid = child_start(TIFFIN_BIN_DIR "/tiffin-psp-sim", environment);
    wait_until(sim_listens, NULL, SOON_MS, "the simulator does not listen");
}

static inline int sim_process_start(void **state)
{
    (void)state;
    if (sim_process.gateway.server)
        webhook_sink_forget(&sim_process.gateway);
    else
        webhook_sink_open(&sim_process.gateway, 0);
    snprintf(sim_process.journal, sizeof sim_process.journal, "/tmp/test_psp_sim.XXXXXX");
    int fd = mkstemp(sim_process.journal);
    assert_true(fd >= 0);
    close(fd);
    sim_process.port = test_free_port();
    sim_process_again();
    sim_client_open((unsigned)sim_process.port);
    return 0;
}

/* Not by SIGTERM, which takes civetweb two seconds. */
static inline int sim_process_stop(void **state)
{
    (void)state;
    child_kill(sim_process.pid);
    sim_client_close();
    unlink(sim_process.journal);
    return 0;
}

/* A payment at Razorpay that is paid, whose webhooks have come (where there are any). */
static inline psp_checkout_t sim_paid(unsigned webhooks)
{
    unsigned before = webhook_sink_count(&sim_process.gateway);
    uuid_t payment = uuid7_new();
    psp_checkout_t checkout = sim_checkout_of(&payment);
    assert_int_equal(sim_create(0, &checkout).outcome, PSP_CHECKOUT_OPEN);
    assert_int_equal(sim_script("/_sim/payments/*/pay", &payment, NULL, NULL), 200);
    webhook_sink_await(&sim_process.gateway, before + webhooks);
    return checkout;
}

static inline psp_refund_t sim_refund_of(const psp_checkout_t *checkout, int64_t amount)
{
    psp_refund_t refund = {.refund_id = uuid7_new(),
                           .payment_id = checkout->payment_id,
                           .order_id = checkout->order_id,
                           .amount = amount,
                           .currency = "INR",
                           .reason = "too cold"};
    snprintf(refund.capture_ref, sizeof refund.capture_ref, "%s",
             sim_status(0, &checkout->payment_id).psp_ref);
    return refund;
}

/* The answer, which makes sense and has this HTTP status. */
static inline psp_report_t sim_answer_of(const psp_refund_t *refund, int status)
{
    psp_report_t report;
    err_t err;
    int got = sim_give_back(0, refund, 0, &report, &err);
    if (got != status || err != ERR_OK)
        fail_msg("HTTP %d instead of %d, %s", got, status, err_name(err));
    return report;
}

/* No answer that says anything: its HTTP status, 0 for none in time. */
static inline int sim_no_answer_of(const psp_refund_t *refund, unsigned timeout_ms)
{
    psp_report_t report;
    err_t err;
    int status = sim_give_back(0, refund, timeout_ms, &report, &err);
    assert_int_not_equal(err, ERR_OK);
    return status;
}

static inline psp_report_t sim_webhook_at(unsigned index)
{
    return webhook_sink_report(&sim_process.gateway, index, psp_at(0), "dev-secret");
}

static inline int64_t sim_refunded_of(const psp_checkout_t *checkout)
{
    int64_t sum;
    (void)sim_book(&checkout->payment_id, "refund", &sum);
    return sum;
}

#endif
