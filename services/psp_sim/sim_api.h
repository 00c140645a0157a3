/* sim_api.h - what the calls of a PSP's API have in common. */
#ifndef TIFFIN_SERVICES_SIM_API_H
#define TIFFIN_SERVICES_SIM_API_H

#include "lib/json_read.h"
#include "services/psp_sim/sim.h"

/* Made at once, sent after the PSP's fault model let it go. Zero-initialise. */
typedef struct sim_answer {
    int status;
    buf_t body;
} sim_answer_t;

/* {"error":…} instead of whatever was in the answer. */
void sim_refuse(sim_answer_t *answer, int status, const char *error);
/* After delay_ms, or when the process ends. Frees the answer. */
void sim_answer(http_request_t *request, sim_answer_t *answer, int64_t delay_ms);

/* The PSP of the path, with its faults, when it is one and the caller has its keys; else NULL, and
 * the answer is made. */
const psp_t *sim_api_begin(const http_request_t *request, sim_fault_t *fault, sim_answer_t *answer);
/* A PSP that is down, or has a bad day, does nothing: true, and the answer is made. */
bool sim_api_out_of_order(sim_t *self, const psp_t *psp, const sim_fault_t *fault,
                          sim_answer_t *answer);

/* What the fault model makes of a refund that is new: its state, and when it gets another. */
void sim_api_plan_refund(sim_refund_t *refund, const sim_fault_t *fault, int64_t now_us);

/* Is this the Idempotency-Key? */
bool sim_api_has_key(const http_request_t *request, const uuid_t *key);
bool sim_api_read_uuid(const json_t *root, const char *key, uuid_t *uuid);
/* "amount", in minor units, positive. */
bool sim_api_read_amount(const json_t *root, int64_t *amount);

#endif
