/* router_replay.c - see router_replay.h. */
#include "services/router/router_replay.h"

#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/payment/routing/routing_record.h"
#include "services/router/router_store.h"

enum { EXIT_DIFFERS = 1, EXIT_NOTHING = 2 };

static void print_order(const char *what, const routing_record_t *record,
                        const routing_decision_t *decision)
{
    printf("  %-8s", what);
    for (size_t place = 0; place < record->input.count; place++) {
        const size_t i = decision->order[place];
        printf(" %s (%.6f)", psp_name(record->psps[i]), decision->scores[i]);
    }
    printf(": %s\n", routing_reason_name(decision->reason));
}

/* How it was decided, in a line of its inputs. */
static void print_inputs(int number, int64_t decided_at_us, const routing_record_t *record)
{
    char at[RFC3339_SIZE];
    printf("decision %d at %s: policy %s%s%.*s, %.*s %lld %.*s, user bucket %u, seed %llu\n",
           number, rfc3339_format(decided_at_us, at), routing_policy_name(record->input.policy),
           record->rule.size > 0 ? ", rule " : "", STR_ARG(record->rule),
           STR_ARG(record->payment.method), (long long)record->payment.amount,
           STR_ARG(record->payment.currency), record->payment.user_bucket,
           (unsigned long long)record->input.seed);
    for (size_t i = 0; i < record->input.count; i++) {
        const routing_candidate_t *candidate = &record->input.candidates[i];
        printf("  %-8s successes %.2f, failures %.2f, fee %.4f%s%s\n", psp_name(record->psps[i]),
               candidate->successes, candidate->failures, candidate->fee,
               candidate->admitted ? "" : ", broken", candidate->probe ? ", probe" : "");
    }
}

static bool replay_one(int number, int64_t decided_at_us, str_t json)
{
    routing_record_t record;
    routing_decision_t again;
    json_t *root = NULL;
    err_detail_t detail = {{0}};
    if (routing_record_read(json, &record, &root, &detail) != ERR_OK) {
        printf("decision %d: %s\n", number, detail.text);
        return false;
    }
    const bool same = routing_record_repeats(&record, &again);
    print_inputs(number, decided_at_us, &record);
    print_order("then", &record, &record.decision);
    print_order("again", &record, &again);
    printf("  %s\n", same ? "the same" : "DIFFERENT");
    json_decref(root);
    return same;
}

int router_replay(const char *database_url, const char *payment_id)
{
    uuid_t id;
    PGresult *result = NULL;
    err_detail_t detail = {{0}};
    if (!uuid_parse(payment_id, strlen(payment_id), &id)) {
        fprintf(stderr, "tiffin-router: --replay: \"%.40s\" is not the id of a payment\n",
                payment_id);
        return EXIT_CONFIG;
    }
    router_store_t *store = router_store_new(database_url);
    int status = 0;
    if (router_store_decisions(store, &id, &result, &detail) != ERR_OK) {
        fprintf(stderr, "tiffin-router: %s\n", detail.text);
        status = EXIT_NOTHING;
    } else if (PQntuples(result) == 0) {
        fprintf(stderr,
                "tiffin-router: there is no such payment, or its decisions are forgotten\n");
        status = EXIT_NOTHING;
    }
    for (int row = 0; row < PQntuples(result); row++)
        if (!replay_one(row + 1, pg_get_time_us(result, row, 0), pg_get_text(result, row, 1)))
            status = EXIT_DIFFERS;
    PQclear(result);
    router_store_destroy(&store);
    return status;
}
