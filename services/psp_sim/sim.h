/* sim.h - the PSP simulator as a whole: its parts, its settings, what its routes share. */
#ifndef TIFFIN_SERVICES_SIM_H
#define TIFFIN_SERVICES_SIM_H

#include <pthread.h>
#include <stdbool.h>

#include "lib/actor.h"
#include "lib/config.h"
#include "lib/http_server.h"
#include "lib/payment/psp_accounts.h"
#include "services/psp_sim/sim_bank.h"
#include "services/psp_sim/sim_due.h"
#include "services/psp_sim/sim_event.h"
#include "services/psp_sim/sim_faults.h"
#include "services/psp_sim/sim_refunds.h"
#include "services/psp_sim/sim_webhook.h"

enum { SIM_BATCHES_MAX = 1024 };

typedef struct sim_config {
    const char *tiffin_env, *log_level;
    const char *addr, *public_url, *webhook_url, *data_file;
    int64_t settle_after_s;
    psp_accounts_t psps;
} sim_config_t;

extern const config_entry_t sim_settings[];

typedef struct sim {
    const sim_config_t *config;
    char public_url[512];
    actor_t *actor;
    sim_bank_t *bank;
    sim_faults_t faults;
    sim_webhook_t *webhook;
    sim_due_t *due;
    http_server_t *server;
    http_route_t *routes; /* its own and the wires' */
    pthread_mutex_t lock;
    pthread_cond_t stop;
    /* Under the lock: */
    bool stopping;                    /* answers no longer hang */
    uint64_t pauses_begun;            /* numbers them */
    int64_t batches[SIM_BATCHES_MAX]; /* sim_settlement.h: the millisecond when each was closed,
                                         which is its number */
    int batch_count;
} sim_t;

/* Checks the settings (a bad one ends the process, exit 78), reads the journal, listens. */
sim_t *sim_new(actor_t *actor, sim_config_t *config);
void sim_destroy(sim_t **self_p);

/* ---- for the routes ---- */

/* Returns after `ms`, or when the process ends, or when so many wait after this one that too few
 * threads were left for others. */
void sim_pause(sim_t *self, int64_t ms);
/* The {…} of a route as a UUID. */
bool sim_payment_of(const http_request_t *request, uuid_t *payment_id);
/* The {…} of a route as the PSP's own name of a checkout or a charge ("order_…", "pi_…"). */
bool sim_named_by(const http_request_t *request, const psp_t **psp, uint64_t *serial);
/* The customer pays or fails: the bank's book, then the webhook as the PSP's faults want it. */
err_t sim_pay(sim_t *self, const uuid_t *payment_id, sim_checkout_t *checkout) MUST_CHECK;
err_t sim_pay_at(sim_t *self, const psp_t *psp, uint64_t serial,
                 sim_checkout_t *checkout) MUST_CHECK;
/* As sim_bank_conclude. */
err_t sim_conclude(sim_t *self, const psp_t *psp, uint64_t serial, sim_state_t becomes,
                   int64_t amount, sim_checkout_t *checkout) MUST_CHECK;
err_t sim_fail(sim_t *self, const uuid_t *payment_id, sim_checkout_t *checkout) MUST_CHECK;
err_t sim_fail_at(sim_t *self, const psp_t *psp, uint64_t serial,
                  sim_checkout_t *checkout) MUST_CHECK;
/* The time in which it may be captured is over: what is authorised is released.
 * ERR_PAYMENT_NOT_FOUND; ERR_UNPROCESSABLE: it is not authorised. */
err_t sim_release(sim_t *self, const uuid_t *payment_id, sim_checkout_t *checkout) MUST_CHECK;
err_t sim_release_at(sim_t *self, const psp_t *psp, uint64_t serial,
                     sim_checkout_t *checkout) MUST_CHECK;
/* A refund is asked for: the bank's book, then the webhook of one that is done, or refused where
 * the PSP tells that by webhook. As sim_refund_request. */
err_t sim_refund(sim_t *self, sim_refund_t *refund, int64_t now_us, bool *fresh) MUST_CHECK;
/* The webhook of an event, as the PSP's faults want it. `on_loop`: called there, so it cannot wait.
 */
void sim_tell(sim_t *self, const sim_event_t *event, bool on_loop);

/* sim_api.c, sim_api_refund.c: the API of each PSP */
http_handler_fn sim_api_create, sim_api_status, sim_api_refund;
/* sim_page.c: the hosted page */
http_handler_fn sim_page_show, sim_page_pay, sim_page_fail;
/* sim_script.c: for scripts */
http_handler_fn sim_script_pay, sim_script_fail, sim_script_release, sim_script_faults,
    sim_script_book, sim_script_reset, sim_script_health;
/* sim_script_send.c: webhooks of things that no customer does */
http_handler_fn sim_script_dispute, sim_script_settle, sim_script_send;
/* wire_adyen_report.c: a batch is paid out */
http_handler_fn sim_script_report;
/* sim_help.c: what --help says beside the settings */
extern const char sim_purpose[];

#endif
