/* service.h - the skeleton of a service process, so that its main.c is only lifecycle.
 *
 *   typedef struct order_config { service_settings_t service; const char *database_url; … }
 * order_config_t; static order_config_t config; static const config_entry_t table[] =
 * {SERVICE_SETTINGS(order_config_t, service), …, CONFIG_END};
 *
 *   int main(int argc, char **argv)
 *   {
 *       service_process_init();
 *       config_load("tiffin-order", "accepts, shows and expires orders", table, &config, argc,
 * argv); service_t service; service_init(&service, "order", &config.service);      // logging,
 * instance name, actor order_t *order = order_new(&service, …);               // may add timers and
 * descriptors to service.actor service_start(&service, SERVICE_CREDIT_DEFAULT, &order_handlers,
 * order, NULL); // joins the bus int status = service_run(&service);                    // until
 * SIGTERM and drained service_stop(&service);                                // says BYE; no
 * handler is called any more order_destroy(&order); service_destroy(&service); return status;
 *   }
 *
 * SIGTERM: the gateways are told that nothing more is taken (DRAIN), what is held is answered, then
 * service_run returns. All of it happens on the thread that called service_run.
 */
#ifndef TIFFIN_LIB_SERVICE_H
#define TIFFIN_LIB_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/actor.h"
#include "lib/bus.h"
#include "lib/metrics_server.h"
#include "lib/process.h"

/* Longer than any request may live, so that what was taken is also answered. */
#define SERVICE_DRAIN_TIMEOUT_MS (REQUEST_BUDGET_MS + 2000)

/* The settings that every service has; embedded in its own configuration struct. */
typedef struct service_settings {
    process_settings_t process;
    const char *hub_addr;
    const char *metrics_addr;
} service_settings_t;

/* Entries for the service's config table; `member` is the service_settings_t inside `type`. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a member name takes no parentheses */
#define SERVICE_SETTINGS(type, member)                                                            \
    PROCESS_SETTINGS(type, member.process),                                                       \
        CONFIG_TEXT("HUB_ADDR", type, member.hub_addr, "tcp://127.0.0.1:5550", 0,                 \
                    "every gateway's hub: a name that may have many addresses, a comma list, or " \
                    "@file with one endpoint a line; looked up again every few seconds"),         \
        CONFIG_TEXT("METRICS_ADDR", type, member.metrics_addr, NULL, 0,                           \
                    "where GET /metrics (Prometheus) and /healthz are served, to whoever can "    \
                    "reach it: host:port, port 0 for a free one, which the log names; off when "  \
                    "it is not set")
/* NOLINTEND(bugprone-macro-parentheses) */

typedef struct service {
    actor_t *actor;       /* since service_init */
    bus_t *bus;           /* since service_start; NULL before and after service_stop */
    const char *name;     /* "order" */
    const char *instance; /* unique among all processes */
    bool dev;             /* TIFFIN_ENV=dev */
    const char *hub_addr;
    bool (*idle)(void *self);
    void *self;
    const char *metrics_addr; /* NULL: nothing is counted */
    bus_metrics_t *bus_metrics;
    metrics_server_t *metrics_server;
    const char *(*message_name)(uint32_t message);
    /* What else to show, set before service_start; on other threads, until service_run returns. */
    void (*print_metrics)(void *arg, buf_t *text);
    void *print_metrics_arg;
} service_t;

/* First thing in main, before any thread or socket. */
void service_process_init(void);
/* Checks the settings (a bad one is refused: exit 78), starts logging, makes the actor. */
void service_init(service_t *service, const char *name, const service_settings_t *settings);
/* Joins the bus and serves METRICS_ADDR (one that cannot be is refused: exit 78). `credit` requests
 * are held at once; 0 with handlers->on_batch NULL for a service that takes none. `idle` (may be
 * NULL) is asked only while draining and once nothing is unanswered: has the service finished its
 * other work too? Its first call is the moment to begin no more of it. `self` is handed to the
 * handlers and to `idle`. */
void service_start(service_t *service, uint32_t credit, const bus_handlers_t *handlers, void *self,
                   bool (*idle)(void *self));
/* Until drained. The exit status: 0, or 1 when draining took longer than SERVICE_DRAIN_TIMEOUT_MS.
 */
int service_run(service_t *service);
/* Leaves the bus. No handler is called after it. */
void service_stop(service_t *service);
/* Ends the actor, whatever was added to it must be gone. */
void service_destroy(service_t *service);

#endif
