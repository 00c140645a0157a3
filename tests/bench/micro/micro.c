/* micro.c - bench-micro: what the code on the hot paths costs, piece by piece, on fixed input.
 *
 *   bench-micro                    nanoseconds of each, median of 7
 *   bench-micro --list             their names
 *   bench-micro NAME ITERATIONS    runs one so often and prints nothing: for counting the
 *                                  instructions of measured()
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "tests/bench/micro/micro.h"

enum { ROUNDS = 7, ROUND_US = 20000 };

const uuid_t micro_id = {{1, 0x8f, 0x3a, 0x5c, 0x21, 0x44, 0x7a, 0x10, 0x9b, 2, 3, 4, 5, 6, 7, 8}};

const char micro_order_body[] = "{\"user_id\":\"u1\",\"amount\":45000,\"currency\":\"INR\"}";

const char micro_prototype_body[] =
    "{\"event_id\":\"evt_1\",\"gateway\":\"Razorpay\","
    "\"order_id\":\"018f3a5c-2144-7a10-9b02-030405060708\","
    "\"payment_id\":\"018f3a5c-2144-7a10-9b02-030405060709\",\"gateway_txn_id\":\"txn_1\","
    "\"status\":\"SUCCESS\",\"amount\":45000,\"signature\":\"Razorpay:dev-secret\","
    "\"occurred_at\":\"2026-02-21T00:00:00Z\"}";

/* The JSON of a payment.confirmed event. */
const char micro_event[] =
    "{\"event_id\":1042,\"type\":\"payment.confirmed\","
    "\"order_id\":\"018f3a5c-2144-7a10-9b02-030405060708\","
    "\"payment_id\":\"018f3a5c-2144-7a10-9b02-030405060709\",\"user_id\":\"u1\","
    "\"gateway\":\"Razorpay\",\"amount\":45000,\"currency\":\"INR\",\"status\":\"SUCCESS\","
    "\"order_status\":\"PAID\",\"seq\":3,\"occurred_at\":\"2026-02-21T00:00:00Z\"}";

void measured(void (*run)(void), unsigned long iterations);

/* Its name is what an instruction counter is told to watch. */
__attribute__((noinline)) void measured(void (*run)(void), unsigned long iterations)
{
    for (unsigned long i = 0; i < iterations; i++)
        run();
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_ns(const micro_t *micro)
{
    double ns[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        unsigned long iterations = 0;
        const int64_t began_us = clock_mono_us();
        int64_t took_us;
        do {
            measured(micro->run, 100);
            iterations += 100;
            took_us = clock_mono_us() - began_us;
        } while (took_us < ROUND_US);
        ns[round] = (double)took_us * 1000 / (double)iterations;
    }
    qsort(ns, ROUNDS, sizeof *ns, by_value);
    return ns[ROUNDS / 2];
}

/* Runs it, or measures it when `iterations` is NULL. */
static void run(const micro_t *micro, const char *iterations)
{
    if (micro->prepare != NULL)
        micro->prepare();
    micro->run(); /* what is set up by the first call is not what is measured */
    if (iterations == NULL)
        printf("%8.0f ns  %s\n", median_ns(micro), micro->name);
    else
        measured(micro->run, strtoul(iterations, NULL, 10));
}

int main(int argc, char **argv)
{
    static const micro_t *const tables[] = {micro_messages, micro_edge, micro_services};
    const bool lists = argc == 2 && strcmp(argv[1], "--list") == 0;
    bool found = false;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const micro_t *micro = tables[i]; micro->name != NULL; micro++) {
            if (!lists && argc != 1 && (argc != 3 || strcmp(argv[1], micro->name) != 0))
                continue;
            found = true;
            if (lists)
                puts(micro->name);
            else
                run(micro, argc == 3 ? argv[2] : NULL);
        }
    if (!found)
        fprintf(stderr, "bench-micro [--list | NAME ITERATIONS]\n");
    return found ? EXIT_SUCCESS : EXIT_FAILURE;
}
