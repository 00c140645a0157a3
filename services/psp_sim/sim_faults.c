/* sim_faults.c - the fault model of each PSP and its JSON. Unknown fields are refused: a misspelt
 * fault would make a test pass that tested nothing. */
#include "services/psp_sim/sim_faults.h"

#include <string.h>
#include <sys/random.h>

#include "lib/clock.h"
#include "lib/json_read.h"
#include "lib/payment/money.h"

enum {
    DELAY_MAX_MS = 3600 * 1000,
    LATE_DEFAULT_MS = 3000,
    REFUND_DEFAULT_MS = 1000,
    REFUND_HANG_DEFAULT_MS = 10000, /* longer than anybody waits */
};

static const sim_fault_t well_behaved = {.webhook_delay_ms = -1,
                                         .refund_delay_ms = REFUND_DEFAULT_MS};

static const char *const webhook_names[] = {
    [SIM_WEBHOOK_ONCE] = "once",     [SIM_WEBHOOK_NONE] = "none",
    [SIM_WEBHOOK_TWICE] = "twice",   [SIM_WEBHOOK_LATE] = "late",
    [SIM_WEBHOOK_BEFORE] = "before", [SIM_WEBHOOK_REORDER] = "reorder"};

static const char *const refund_names[] = {
    [SIM_REFUNDS_OK] = "ok",           [SIM_REFUNDS_PENDING] = "pending",
    [SIM_REFUNDS_REFUSE] = "refuse",   [SIM_REFUNDS_FAIL_LATER] = "fail_later",
    [SIM_REFUNDS_UNKNOWN] = "unknown", [SIM_REFUNDS_HANG] = "hang"};

static const char *const answer_names[] = {[SIM_ANSWERS_OK] = "ok",
                                           [SIM_ANSWERS_GARBAGE] = "garbage",
                                           [SIM_ANSWERS_HALF] = "half",
                                           [SIM_ANSWERS_HUGE] = "huge",
                                           [SIM_ANSWERS_REDIRECT] = "redirect",
                                           [SIM_ANSWERS_LIMITED] = "limited"};

void sim_faults_init(sim_faults_t *self)
{
    pthread_mutex_init(&self->lock, NULL);
    sim_faults_clear(self);
}

void sim_faults_destroy(sim_faults_t *self)
{
    pthread_mutex_destroy(&self->lock);
}

static size_t index_of(const psp_t *psp)
{
    size_t index = 0;
    while (psp_at(index) != psp)
        index++;
    return index;
}

sim_fault_t sim_faults_get(sim_faults_t *self, const psp_t *psp)
{
    pthread_mutex_lock(&self->lock);
    sim_fault_t fault = self->of[index_of(psp)];
    pthread_mutex_unlock(&self->lock);
    return fault;
}

/* splitmix64 (Vigna, public domain): the n-th number of a seed without those before it. */
static double number_of(uint64_t seed, uint64_t n)
{
    uint64_t x = seed + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((x ^ x >> 31) >> 11) / 9007199254740992.0;
}

double sim_faults_draw(sim_faults_t *self, const psp_t *psp)
{
    pthread_mutex_lock(&self->lock);
    sim_fault_t *fault = &self->of[index_of(psp)];
    const double drawn = number_of(fault->seed, fault->drawn++);
    pthread_mutex_unlock(&self->lock);
    return drawn;
}

bool sim_fault_is_down(const sim_fault_t *fault, int64_t now_mono_ms)
{
    return fault->refuse ||
           (fault->outage_every_ms > 0 &&
            (now_mono_ms - fault->set_mono_ms) % fault->outage_every_ms < fault->outage_ms);
}

int64_t sim_fault_jittered_delay_ms(const sim_fault_t *fault, bool of_refund, double drawn)
{
    /* The cube: half of all get an eighth of the jitter or less, one in a hundred nearly all. */
    return sim_fault_answer_delay_ms(fault, of_refund) +
           (int64_t)((double)fault->latency_jitter_ms * drawn * drawn * drawn);
}

void sim_faults_set(sim_faults_t *self, const psp_t *psp, const sim_fault_t *fault)
{
    pthread_mutex_lock(&self->lock);
    self->of[index_of(psp)] = *fault;
    self->of[index_of(psp)].set_mono_ms = clock_mono_ms();
    if (fault->seed == 0)
        CHECK(getrandom(&self->of[index_of(psp)].seed, sizeof fault->seed, 0) ==
              (ssize_t)sizeof fault->seed);
    pthread_mutex_unlock(&self->lock);
}

void sim_faults_clear(sim_faults_t *self)
{
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < PSP_COUNT; i++)
        self->of[i] = well_behaved;
    pthread_mutex_unlock(&self->lock);
}

void sim_faults_copy(sim_faults_t *self, sim_fault_t faults[PSP_COUNT])
{
    pthread_mutex_lock(&self->lock);
    memcpy(faults, self->of, sizeof self->of);
    pthread_mutex_unlock(&self->lock);
}

sim_terms_t sim_fault_terms(const sim_fault_t *fault)
{
    return (sim_terms_t){fault->amount_delta, fault->duplicate_capture};
}

int64_t sim_fault_webhook_delay_ms(const sim_fault_t *fault)
{
    if (fault->webhook_delay_ms >= 0)
        return fault->webhook_delay_ms;
    return fault->webhook == SIM_WEBHOOK_LATE || fault->webhook == SIM_WEBHOOK_REORDER
               ? LATE_DEFAULT_MS
               : 0;
}

int64_t sim_fault_answer_delay_ms(const sim_fault_t *fault, bool of_refund)
{
    if (fault->refund != SIM_REFUNDS_HANG)
        return fault->latency_ms + fault->hang_ms;
    if (!of_refund)
        return fault->latency_ms;
    return fault->latency_ms + (fault->hang_ms ? fault->hang_ms : REFUND_HANG_DEFAULT_MS);
}

/* ---- JSON ---- */

static bool read_int(const json_t *value, int64_t least, int64_t most, int64_t *into)
{
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most)
        return false;
    *into = json_integer_value(value);
    return true;
}

/* One of `count` names; *index is which. */
static bool read_name(const json_t *value, const char *const *names, size_t count, size_t *index)
{
    for (*index = 0; *index < count; (*index)++)
        if (json_is_string(value) && strcmp(json_string_value(value), names[*index]) == 0)
            return true;
    return false;
}

static bool read_webhook(const json_t *value, sim_webhook_mode_t *mode)
{
    size_t index;
    bool fits =
        read_name(value, webhook_names, sizeof webhook_names / sizeof webhook_names[0], &index);
    *mode = fits ? (sim_webhook_mode_t)index : SIM_WEBHOOK_ONCE;
    return fits;
}

static bool read_refund(const json_t *value, sim_refund_mode_t *mode)
{
    size_t index;
    bool fits =
        read_name(value, refund_names, sizeof refund_names / sizeof refund_names[0], &index);
    *mode = fits ? (sim_refund_mode_t)index : SIM_REFUNDS_OK;
    return fits;
}

static bool read_answer(const json_t *value, sim_answer_mode_t *mode)
{
    size_t index;
    bool fits =
        read_name(value, answer_names, sizeof answer_names / sizeof answer_names[0], &index);
    *mode = fits ? (sim_answer_mode_t)index : SIM_ANSWERS_OK;
    return fits;
}

static bool read_bool(const json_t *value, bool *into)
{
    *into = json_is_true(value);
    return json_is_boolean(value);
}

static err_t read_member(const char *key, const json_t *value, sim_fault_t *fault,
                         err_detail_t *detail)
{
    bool fits;
    if (strcmp(key, "refuse") == 0) {
        fits = read_bool(value, &fault->refuse);
    } else if (strcmp(key, "hang_ms") == 0) {
        fits = read_int(value, 0, DELAY_MAX_MS, &fault->hang_ms);
    } else if (strcmp(key, "latency_ms") == 0) {
        fits = read_int(value, 0, DELAY_MAX_MS, &fault->latency_ms);
    } else if (strcmp(key, "error_rate") == 0) {
        fits =
            json_is_number(value) && json_number_value(value) >= 0 && json_number_value(value) <= 1;
        fault->error_rate = json_number_value(value);
    } else if (strcmp(key, "webhook") == 0) {
        fits = read_webhook(value, &fault->webhook);
    } else if (strcmp(key, "webhook_delay_ms") == 0) {
        fits = read_int(value, 0, DELAY_MAX_MS, &fault->webhook_delay_ms);
    } else if (strcmp(key, "amount_delta") == 0) {
        fits = read_int(value, -AMOUNT_MAX, AMOUNT_MAX, &fault->amount_delta);
    } else if (strcmp(key, "settlement_delta") == 0) {
        fits = read_int(value, -AMOUNT_MAX, AMOUNT_MAX, &fault->settlement_delta);
    } else if (strcmp(key, "duplicate_capture") == 0) {
        fits = read_bool(value, &fault->duplicate_capture);
    } else if (strcmp(key, "refund") == 0) {
        fits = read_refund(value, &fault->refund);
    } else if (strcmp(key, "bad_signature") == 0) {
        fits = read_bool(value, &fault->bad_signature);
    } else if (strcmp(key, "latency_jitter_ms") == 0) {
        fits = read_int(value, 0, DELAY_MAX_MS, &fault->latency_jitter_ms);
    } else if (strcmp(key, "outage_ms") == 0) {
        fits = read_int(value, 0, DELAY_MAX_MS, &fault->outage_ms);
    } else if (strcmp(key, "outage_every_ms") == 0) {
        fits = read_int(value, 0, DELAY_MAX_MS, &fault->outage_every_ms);
    } else if (strcmp(key, "seed") == 0) {
        int64_t seed = 0;
        fits = read_int(value, 0, AMOUNT_MAX, &seed);
        fault->seed = (uint64_t)seed;
    } else if (strcmp(key, "answer") == 0) {
        fits = read_answer(value, &fault->answer);
    } else if (strcmp(key, "refund_delay_ms") == 0) {
        fits = read_int(value, 0, DELAY_MAX_MS, &fault->refund_delay_ms);
    } else {
        return err_set(detail, ERR_UNKNOWN_FIELD, "%.40s is no field of the fault model", key);
    }
    return fits ? ERR_OK
                : err_set(detail, ERR_INVALID_FIELD, "%s has a wrong type or is out of range", key);
}

err_t sim_fault_read(str_t body, sim_fault_t *fault, err_detail_t *detail)
{
    *fault = well_behaved;
    json_t *root = json_read_object(body, detail);
    if (!root)
        return ERR_MALFORMED_JSON;
    err_t err = ERR_OK;
    for (void *at = json_object_iter(root); at && err == ERR_OK;
         at = json_object_iter_next(root, at))
        err = read_member(json_object_iter_key(at), json_object_iter_value(at), fault, detail);
    json_decref(root);
    return err;
}

void sim_fault_write(const sim_fault_t *fault, buf_t *body)
{
    json_open_object(body, NULL);
    json_bool(body, "refuse", fault->refuse);
    json_int(body, "hang_ms", fault->hang_ms);
    json_int(body, "latency_ms", fault->latency_ms);
    buf_printf(body, ",\"error_rate\":%.4g", fault->error_rate);
    json_text(body, "webhook", webhook_names[fault->webhook]);
    json_int(body, "webhook_delay_ms", sim_fault_webhook_delay_ms(fault));
    json_int(body, "amount_delta", fault->amount_delta);
    json_int(body, "settlement_delta", fault->settlement_delta);
    json_bool(body, "duplicate_capture", fault->duplicate_capture);
    json_text(body, "refund", refund_names[fault->refund]);
    json_int(body, "refund_delay_ms", fault->refund_delay_ms);
    json_text(body, "answer", answer_names[fault->answer]);
    json_bool(body, "bad_signature", fault->bad_signature);
    json_int(body, "latency_jitter_ms", fault->latency_jitter_ms);
    json_int(body, "outage_ms", fault->outage_ms);
    json_int(body, "outage_every_ms", fault->outage_every_ms);
    json_int(body, "seed", (int64_t)fault->seed);
    json_close_object(body);
}
