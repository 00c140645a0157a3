/* sim_faults.h - how each simulated PSP misbehaves. Thread-safe. */
#ifndef TIFFIN_SERVICES_SIM_FAULTS_H
#define TIFFIN_SERVICES_SIM_FAULTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/payment/psp_accounts.h"
#include "lib/text.h"
#include "services/psp_sim/sim_bank.h"

typedef enum sim_webhook_mode {
    SIM_WEBHOOK_ONCE,
    SIM_WEBHOOK_NONE,    /* never sent: only the status API tells */
    SIM_WEBHOOK_TWICE,   /* the same event two times at once */
    SIM_WEBHOOK_LATE,    /* after webhook_delay_ms */
    SIM_WEBHOOK_BEFORE,  /* the customer pays, and the webhook arrives, before the create call is
                            answered; of a refund: before its  call is answered */
    SIM_WEBHOOK_REORDER, /* each after a random time up to webhook_delay_ms, so that later ones
                            overtake earlier ones */
} sim_webhook_mode_t;

/* What becomes of a refund that is asked for while the mode is set; UNKNOWN and HANG are about
 * every answer to a refund call. */
typedef enum sim_refund_mode {
    SIM_REFUNDS_OK,         /* done at once */
    SIM_REFUNDS_PENDING,    /* taken; done after refund_delay_ms */
    SIM_REFUNDS_REFUSE,     /* 422, for good */
    SIM_REFUNDS_FAIL_LATER, /* taken; failed after refund_delay_ms */
    SIM_REFUNDS_UNKNOWN,    /* done, answered 500 */
    SIM_REFUNDS_HANG,       /* done, answered after hang_ms, which then is of refund calls alone */
} sim_refund_mode_t;

/* What the PSP's own API answers instead of what it did. */
typedef enum sim_answer_mode {
    SIM_ANSWERS_OK,
    SIM_ANSWERS_GARBAGE,  /* 200 and a page of HTML */
    SIM_ANSWERS_HALF,     /* the first half, then the connection ends */
    SIM_ANSWERS_HUGE,     /* 10 MB */
    SIM_ANSWERS_REDIRECT, /* 302 to another host */
    SIM_ANSWERS_LIMITED,  /* 429, and nothing is done */
} sim_answer_mode_t;

typedef struct sim_fault {
    bool refuse; /* calls that open a checkout, capture, void or ask for a refund answer 503 and do
                    nothing */
    int64_t hang_ms;    /* API calls are carried out at once and answered after this */
    int64_t latency_ms; /* the same, added to it */
    double error_rate; /* of those that `refuse` is about, which answer 500 and do nothing; 0 … 1 */
    sim_webhook_mode_t webhook;
    int64_t webhook_delay_ms; /* -1: 3000 when late or reordered, else 0 */
    int64_t amount_delta;     /* added to what is charged */
    int64_t settlement_delta; /* added to what a settlement report says of each charge */
    bool duplicate_capture;   /* the customer is charged twice: two transactions, each with its
                                 webhook. The status API tells of the first alone: nobody but its
                                 webhook and the settlement report tells of the second */
    sim_refund_mode_t refund;
    int64_t refund_delay_ms;
    sim_answer_mode_t answer;
    bool bad_signature;        /* webhooks of the PSP's own format are signed with another secret */
    int64_t latency_jitter_ms; /* latency_ms grows by a random part of it, mostly a small one */
    /* Every outage_every_ms, for outage_ms, `refuse`; counted from when the fault was set. */
    int64_t outage_ms, outage_every_ms, set_mono_ms;
    uint64_t seed;  /* what random faults are drawn from; 0: anew each time the process starts */
    uint64_t drawn; /* how many were */
} sim_fault_t;

typedef struct sim_faults {
    pthread_mutex_t lock;
    sim_fault_t of[PSP_COUNT]; /* as the registry is ordered */
} sim_faults_t;

void sim_faults_init(sim_faults_t *self);
void sim_faults_destroy(sim_faults_t *self);
sim_fault_t sim_faults_get(sim_faults_t *self, const psp_t *psp);
void sim_faults_set(sim_faults_t *self, const psp_t *psp, const sim_fault_t *fault);
/* No PSP misbehaves any more. */
void sim_faults_clear(sim_faults_t *self);
/* Of all PSPs at one moment, as the registry is ordered. */
void sim_faults_copy(sim_faults_t *self, sim_fault_t faults[PSP_COUNT]);

/* A number from 0 to 1, the next in the row of this PSP's seed. */
double sim_faults_draw(sim_faults_t *self, const psp_t *psp);
/* Is the PSP down at this moment? */
bool sim_fault_is_down(const sim_fault_t *fault, int64_t now_mono_ms);

/* How the PSP charges. */
sim_terms_t sim_fault_terms(const sim_fault_t *fault);
/* What goes before a webhook of this PSP; of reordered ones the most. */
int64_t sim_fault_webhook_delay_ms(const sim_fault_t *fault);
/* How long the answer to a call is held back, to a refund call or any other. */
int64_t sim_fault_answer_delay_ms(const sim_fault_t *fault, bool of_refund);
/* The same with the jitter that was drawn (0 to 1). */
int64_t sim_fault_jittered_delay_ms(const sim_fault_t *fault, bool of_refund, double drawn);
/* A whole fault model; what is missing is well-behaved. ERR_MALFORMED_JSON, ERR_UNKNOWN_FIELD,
 * ERR_INVALID_FIELD. */
err_t sim_fault_read(str_t body, sim_fault_t *fault, err_detail_t *detail) MUST_CHECK;
void sim_fault_write(const sim_fault_t *fault, buf_t *body);

#endif
