/* sim.c - puts the simulator's parts together, and ends them.
 *
 * HTTP threads do everything but deliveries of webhooks and the end of refunds that take their
 * time, which run on the actor's loop. A fault that hangs holds its own HTTP thread and nobody
 * else; where very many hang, those that hang longest are let go, so that scripts are always heard.
 * On SIGTERM answers stop hanging, deliveries under way end, the rest is given up: the PSP's API
 * tells the same after the next start. Refunds under way are concluded by the next process.
 */
#include "services/psp_sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "services/psp_sim/sim_wire.h"

enum {
    THREADS = 256,
    PAUSES_MAX = 192, /* the rest of the threads is for those who do not hang */
    KEEP_ALIVE_MS = 10000,
    BODY_MAX_BYTES = 64 * 1024,
    DRAIN_TIMEOUT_MS = 7000,
    WEBHOOK_BEFORE_WAIT_MS = 5500, /* a little longer than one delivery may take */
};

const config_entry_t sim_settings[] = {
    CONFIG_TEXT("PSP_SIM_ADDR", sim_config_t, addr, "127.0.0.1:8081", 0, "where it serves HTTP"),
    CONFIG_TEXT("PSP_SIM_PUBLIC_URL", sim_config_t, public_url, NULL, 0,
                "where browsers find it, without a slash at the end; else http://<PSP_SIM_ADDR>"),
    CONFIG_TEXT("PSP_SIM_WEBHOOK_URL", sim_config_t, webhook_url, "http://127.0.0.1:8080/webhooks",
                0, "where webhooks go; the PSP's name is added"),
    CONFIG_TEXT("PSP_SIM_DATA_FILE", sim_config_t, data_file, NULL, 0,
                "journal of checkouts, payments and refunds, read at the start; else they are in "
                "memory only"),
    CONFIG_INT(
        "PSP_SIM_SETTLE_AFTER_S", sim_config_t, settle_after_s, 86400, 0, 2592000, 0,
        "how long after a charge it is paid out, and is in the settlement report of that day"),
    CONFIG_TEXT("TIFFIN_ENV", sim_config_t, tiffin_env, "dev", 0,
                "dev or prod; in dev the PSPs' accounts have development values"),
    CONFIG_TEXT("LOG_LEVEL", sim_config_t, log_level, "info", 0,
                "least level that is logged: debug, info, warn, error"),
    PSP_ACCOUNT_SETTINGS(sim_config_t, psps),
    CONFIG_END};

/* What there is, and who answers. */
static const http_route_t routes[] = {
    {"GET", "/healthz", sim_script_health, 0},
    {"POST", "/{psp}/v1/checkouts", sim_api_create, BODY_MAX_BYTES},
    {"POST", "/{psp}/v1/refunds", sim_api_refund, BODY_MAX_BYTES},
    {"GET", "/{psp}/v1/payments/{payment_id}", sim_api_status, 0},
    {"GET", "/checkout/{payment_id}", sim_page_show, 0},
    {"POST", "/checkout/{payment_id}/pay", sim_page_pay, BODY_MAX_BYTES},
    {"POST", "/checkout/{payment_id}/fail", sim_page_fail, BODY_MAX_BYTES},
    {"POST", "/_sim/payments/{payment_id}/pay", sim_script_pay, BODY_MAX_BYTES},
    {"POST", "/_sim/payments/{payment_id}/fail", sim_script_fail, BODY_MAX_BYTES},
    {"POST", "/_sim/payments/{payment_id}/release", sim_script_release, BODY_MAX_BYTES},
    {"POST", "/_sim/payments/{payment_id}/dispute", sim_script_dispute, BODY_MAX_BYTES},
    {"POST", "/_sim/payments/{payment_id}/settle", sim_script_settle, BODY_MAX_BYTES},
    {"POST", "/_sim/payments/{payment_id}/send", sim_script_send, BODY_MAX_BYTES},
    {"POST", "/_sim/{psp}/report", sim_script_report, BODY_MAX_BYTES},
    {"PUT", "/_sim/{psp}/faults", sim_script_faults, BODY_MAX_BYTES},
    {"GET", "/_sim/book", sim_script_book, 0},
    {"POST", "/_sim/reset", sim_script_reset, BODY_MAX_BYTES},
    {NULL, NULL, NULL, 0},
};

/* ---- for the routes ---- */

void sim_pause(sim_t *self, int64_t ms)
{
    if (ms <= 0)
        return;
    int64_t until_ms = clock_mono_ms() + ms;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_mutex_lock(&self->lock);
    const uint64_t number = self->pauses_begun++;
    if (number >= PAUSES_MAX)
        pthread_cond_broadcast(&self->stop); /* there may be one that is to give way */
    while (!self->stopping && self->pauses_begun - number <= PAUSES_MAX)
        if (pthread_cond_timedwait(&self->stop, &self->lock, &until) != 0)
            break;
    pthread_mutex_unlock(&self->lock);
}

bool sim_payment_of(const http_request_t *request, uuid_t *payment_id)
{
    /* The payment's id is the last parameter of every route that has one. */
    str_t text = request->params[request->params[1].data ? 1 : 0];
    return uuid_parse(text.data, text.size, payment_id);
}

bool sim_named_by(const http_request_t *request, const psp_t **psp, uint64_t *serial)
{
    const sim_t *self = request->self;
    const str_t text = request->params[0];
    sim_checkout_t checkout;
    for (size_t i = 0; i < PSP_COUNT; i++) {
        *psp = psp_at(i);
        if ((sim_ref_parse(text, "chk", *psp, serial) ||
             sim_ref_parse(text, "txn", *psp, serial)) &&
            sim_bank_find_serial(self->bank, *serial, *psp, &checkout) == ERR_OK)
            return true;
    }
    return false;
}

/* From 0 to most_ms. */
static int64_t random_ms(int64_t most_ms)
{
    uint64_t drawn;
    CHECK(getrandom(&drawn, sizeof drawn, 0) == (ssize_t)sizeof drawn);
    return (int64_t)(drawn % (uint64_t)(most_ms + 1));
}

static sim_sending_t sending_of(const sim_fault_t *fault, bool on_loop)
{
    int64_t delay_ms = sim_fault_webhook_delay_ms(fault);
    return (sim_sending_t){
        .copies = fault->webhook == SIM_WEBHOOK_NONE    ? 0
                  : fault->webhook == SIM_WEBHOOK_TWICE ? 2
                                                        : 1,
        .delay_ms = fault->webhook == SIM_WEBHOOK_REORDER ? random_ms(delay_ms) : delay_ms,
        .wait_ms = fault->webhook == SIM_WEBHOOK_BEFORE && !on_loop ? WEBHOOK_BEFORE_WAIT_MS : 0};
}

/* In the PSP's own format where the checkout was opened by its own API. */
static void write_message(sim_t *self, const psp_account_t *account, const sim_event_t *event,
                          bool bad_signature, sim_message_t *message)
{
    psp_account_t forger = *account;
    if (bad_signature) { /* of a form that every scheme takes */
        forger.webhook_secrets = "6e6f626f6479,nobody:nobody";
        account = &forger;
    }
    const sim_wire_t *wire = sim_wire_of(event->psp);
    sim_subject_t subject = {.checkout = {.psp = NULL}};
    if (wire &&
        sim_bank_find_serial(self->bank, event->checkout_serial, event->psp, &subject.checkout) ==
            ERR_OK &&
        subject.checkout.reference[0] != '\0') {
        const bool refund_known = !uuid_is_nil(&event->refund_id) &&
                                  sim_refund_find(self->bank, event->psp, &event->refund_id, 0,
                                                  &subject.refund) == ERR_OK;
        if ((uuid_is_nil(&event->refund_id) || refund_known) &&
            wire->write_webhook(account, event, &subject, message))
            return;
    }
    sim_event_write(event, account->webhook_secrets, &message->body);
}

static void tell(sim_t *self, const sim_event_t *event, const sim_fault_t *fault, bool on_loop)
{
    const psp_account_t *account = psp_account_of(&self->config->psps, event->psp);
    sim_sending_t sending = sending_of(fault, on_loop);
    if (!account || sending.copies == 0)
        return;
    sim_message_t message = {.content_type = NULL};
    write_message(self, account, event, fault->bad_signature, &message);
    if (message.body.size > 0)
        sim_webhook_send(self->webhook, event->psp, event->id, &message, &sending);
    buf_free(&message.body);
}

void sim_tell(sim_t *self, const sim_event_t *event, bool on_loop)
{
    sim_fault_t fault = sim_faults_get(&self->faults, event->psp);
    tell(self, event, &fault, on_loop);
}

static void tell_outcome(sim_t *self, const sim_checkout_t *outcome, const sim_fault_t *fault)
{
    char payment[UUID_TEXT_SIZE];
    sim_event_t first = sim_event_of_checkout(outcome, SIM_FIRST_CHARGE, 0);
    log_debug(NULL, "payment settled",
              "psp=%s payment_id=%s status=%s psp_ref=%s amount=%lld charges=%d",
              psp_name(outcome->psp), uuid_format(&outcome->payment_id, payment), first.status,
              first.ref, (long long)outcome->outcome_amount, outcome->second_serial ? 2 : 1);
    tell(self, &first, fault, false);
    if (outcome->second_serial) {
        sim_event_t second = sim_event_of_checkout(outcome, SIM_SECOND_CHARGE, 0);
        tell(self, &second, fault, false);
    }
}

/* Charges and tells by the faults of one moment: who is charged twice is told of both by the PSP
 * that did it, whatever it is told to be meanwhile. By the payment, or (NULL) by the serial. */
static err_t pay(sim_t *self, const uuid_t *payment_id, const psp_t *psp, uint64_t serial,
                 sim_checkout_t *checkout)
{
    sim_fault_t faults[PSP_COUNT];
    sim_terms_t terms[PSP_COUNT];
    const int64_t now_us = clock_wall_us();
    bool moved;
    sim_faults_copy(&self->faults, faults);
    for (size_t i = 0; i < PSP_COUNT; i++)
        terms[i] = sim_fault_terms(&faults[i]);
    TRY(payment_id ? sim_bank_pay(self->bank, payment_id, terms, now_us, checkout, &moved)
                   : sim_bank_pay_at(self->bank, psp, serial, terms, now_us, checkout, &moved));
    for (size_t i = 0; i < PSP_COUNT && moved; i++)
        if (psp_at(i) == checkout->psp)
            tell_outcome(self, checkout, &faults[i]);
    return ERR_OK;
}

err_t sim_pay(sim_t *self, const uuid_t *payment_id, sim_checkout_t *checkout)
{
    return pay(self, payment_id, NULL, 0, checkout);
}

err_t sim_pay_at(sim_t *self, const psp_t *psp, uint64_t serial, sim_checkout_t *checkout)
{
    return pay(self, NULL, psp, serial, checkout);
}

static void tell_failure(sim_t *self, const sim_checkout_t *failed)
{
    sim_fault_t fault = sim_faults_get(&self->faults, failed->psp);
    tell_outcome(self, failed, &fault);
}

err_t sim_fail(sim_t *self, const uuid_t *payment_id, sim_checkout_t *checkout)
{
    bool changed;
    TRY(sim_bank_fail(self->bank, payment_id, clock_wall_us(), checkout, &changed));
    if (changed)
        tell_failure(self, checkout);
    return ERR_OK;
}

err_t sim_fail_at(sim_t *self, const psp_t *psp, uint64_t serial, sim_checkout_t *checkout)
{
    bool changed;
    TRY(sim_bank_fail_at(self->bank, psp, serial, clock_wall_us(), checkout, &changed));
    if (changed)
        tell_failure(self, checkout);
    return ERR_OK;
}

err_t sim_conclude(sim_t *self, const psp_t *psp, uint64_t serial, sim_state_t becomes,
                   int64_t amount, sim_checkout_t *checkout)
{
    TRY(sim_bank_conclude(self->bank, psp, serial, becomes, amount, clock_wall_us(), checkout));
    sim_fault_t fault = sim_faults_get(&self->faults, psp);
    tell_outcome(self, checkout, &fault);
    return ERR_OK;
}

err_t sim_release(sim_t *self, const uuid_t *payment_id, sim_checkout_t *checkout)
{
    TRY(sim_bank_find(self->bank, payment_id, NULL, checkout, NULL));
    return sim_release_at(self, checkout->psp, checkout->serial, checkout);
}

err_t sim_release_at(sim_t *self, const psp_t *psp, uint64_t serial, sim_checkout_t *checkout)
{
    checkout->conclusion_serial = 0; /* nobody's call */
    return sim_conclude(self, psp, serial, SIM_VOIDED, 0, checkout);
}

static void tell_refund(sim_t *self, const sim_refund_t *refund, bool on_loop)
{
    char id[UUID_TEXT_SIZE];
    sim_event_t event = sim_event_of_refund(refund);
    log_debug(NULL, "refund concluded", "psp=%s refund_id=%s status=%s psp_ref=%s amount=%lld",
              psp_name(refund->psp), uuid_format(&refund->refund_id, id), event.status, event.ref,
              (long long)refund->amount);
    sim_tell(self, &event, on_loop);
}

err_t sim_refund(sim_t *self, sim_refund_t *refund, int64_t now_us, bool *fresh)
{
    TRY(sim_refund_request(self->bank, refund, now_us, fresh));
    const sim_wire_t *wire = sim_wire_of(refund->psp);
    if (*fresh && (refund->state == SIM_REFUND_DONE ||
                   (refund->state == SIM_REFUND_REFUSED && wire && wire->refuses_later)))
        tell_refund(self, refund, false);
    else if (*fresh && refund->state == SIM_REFUND_PENDING)
        sim_due_wake(self->due);
    return ERR_OK;
}

static void on_concluded(void *arg, const sim_refund_t *refund)
{
    tell_refund(arg, refund, true);
}

/* ---- life ---- */

static void on_drain(void *arg)
{
    sim_t *self = arg;
    http_server_drain(self->server);
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_broadcast(&self->stop);
    pthread_mutex_unlock(&self->lock);
    sim_due_stop(self->due);
    sim_webhook_stop(self->webhook);
}

static bool idle(void *arg)
{
    sim_t *self = arg;
    return http_server_in_flight(self->server) == 0 && sim_webhook_in_flight(self->webhook) == 0;
}

static void check_url(const char *setting, const char *url)
{
    size_t size = strlen(url);
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        config_refuse(setting, "must begin with http:// or https://");
    if (size >= sizeof((sim_t *)0)->public_url || url[size - 1] == '/')
        config_refuse(setting, "must not be over 511 bytes, nor end in a slash");
}

/* Nobody who has a live key means this process. */
static void refuse_live_keys(const psp_accounts_t *accounts)
{
    static const struct {
        size_t psp;
        const char *setting, *prefix;
    } live[] = {
        {PSP_INDEX_razorpay, "RAZORPAY_KEY_ID", "rzp_live_"},
        {PSP_INDEX_cashfree, "CASHFREE_KEY_SECRET", "cfsk_ma_prod_"},
        {PSP_INDEX_stripe, "STRIPE_KEY_SECRET", "sk_live_"},
        {PSP_INDEX_stripe, "STRIPE_KEY_SECRET", "rk_live_"},
        {PSP_INDEX_adyen, "ADYEN_KEY_ID", "live_"},
    };
    for (size_t i = 0; i < sizeof live / sizeof live[0]; i++) {
        const psp_account_t *account = &accounts->of[live[i].psp];
        const char *values[] = {account->key_id, account->key_secret};
        for (size_t j = 0; j < 2; j++)
            if (values[j] && strncmp(values[j], live[i].prefix, strlen(live[i].prefix)) == 0)
                config_refuse(live[i].setting,
                              "is a live key: the simulator does not run with real ones");
    }
}

static void check_settings(sim_t *self, sim_config_t *config)
{
    log_level_t level;
    if (!log_level_parse(config->log_level, &level))
        config_refuse("LOG_LEVEL", "must be debug, info, warn or error");
    log_init("psp-sim", config_instance("psp-sim"), level);
    refuse_live_keys(&config->psps);
    psp_accounts_check(&config->psps, config_is_dev(config->tiffin_env));
    if (config->public_url)
        snprintf(self->public_url, sizeof self->public_url, "%s", config->public_url);
    else
        snprintf(self->public_url, sizeof self->public_url, "http://%s", config->addr);
    check_url("PSP_SIM_PUBLIC_URL", config->public_url ? config->public_url : self->public_url);
    check_url("PSP_SIM_WEBHOOK_URL", config->webhook_url);
}

static void init_stop(sim_t *self)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->stop, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&self->lock, NULL);
}

sim_t *sim_new(actor_t *actor, sim_config_t *config)
{
    sim_t *self = calloc(1, sizeof *self);
    CHECK(self);
    self->config = config;
    self->actor = actor;
    check_settings(self, config);
    init_stop(self);
    sim_faults_init(&self->faults);
    err_detail_t detail;
    self->bank = sim_bank_new(config->data_file, &detail);
    if (!self->bank)
        config_refuse("PSP_SIM_DATA_FILE", detail.text);
    self->webhook = sim_webhook_new(actor, config->webhook_url);
    self->due = sim_due_new(actor, self->bank, on_concluded, self);
    http_server_config_t server = {
        .addr = config->addr,
        .threads = THREADS,
        .keep_alive_timeout_ms = KEEP_ALIVE_MS,
        .routes = self->routes = sim_wire_routes(routes),
        .rewrite = sim_wire_rewrite,
        .self = self,
    };
    self->server = http_server_new(&server, &detail);
    if (!self->server)
        config_refuse("PSP_SIM_ADDR", detail.text);
    actor_set_drain(actor, on_drain, idle, self, DRAIN_TIMEOUT_MS);
    log_info(NULL, "ready", "addr=%s port=%u", config->addr, http_server_port(self->server));
    return self;
}

void sim_destroy(sim_t **self_p)
{
    sim_t *self = *self_p;
    if (!self)
        return;
    http_server_destroy(&self->server);
    sim_wire_routes_free(self->routes, routes);
    sim_due_destroy(&self->due);
    sim_webhook_destroy(&self->webhook);
    sim_bank_destroy(&self->bank);
    sim_faults_destroy(&self->faults);
    pthread_cond_destroy(&self->stop);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
