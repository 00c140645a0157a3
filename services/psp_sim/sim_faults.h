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

typedef enum sim_webhook_mode {
    SIM_WEBHOOK_ONCE,
    SIM_WEBHOOK_NONE,   /* never sent: only the status API tells */
    SIM_WEBHOOK_TWICE,  /* the same event two times at once */
    SIM_WEBHOOK_LATE,   /* after webhook_delay_ms */
    SIM_WEBHOOK_BEFORE, /* the customer pays, and the webhook arrives, before the create call is
                           answered */
} sim_webhook_mode_t;

typedef struct sim_fault {
    bool refuse;        /* create answers 503 */
    int64_t hang_ms;    /* API calls are carried out at once and answered after this */
    int64_t latency_ms; /* the same, added to it */
    double error_rate;  /* of create calls that answer 500 and do nothing; 0 … 1 */
    sim_webhook_mode_t webhook;
    int64_t webhook_delay_ms; /* -1: 3000 when late, else 0 */
    int64_t amount_delta;     /* added to what is charged */
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
void sim_faults_deltas(sim_faults_t *self, int64_t deltas[PSP_COUNT]);

/* What goes before a webhook of this PSP. */
int64_t sim_fault_webhook_delay_ms(const sim_fault_t *fault);
/* A whole fault model; what is missing is well-behaved. ERR_MALFORMED_JSON, ERR_UNKNOWN_FIELD,
 * ERR_INVALID_FIELD. */
err_t sim_fault_read(str_t body, sim_fault_t *fault, err_detail_t *detail) MUST_CHECK;
void sim_fault_write(const sim_fault_t *fault, buf_t *body);

#endif
