/* limits.h - every bound that more than one module shares, in one place. */
#ifndef TIFFIN_LIB_LIMITS_H
#define TIFFIN_LIB_LIMITS_H

enum {
    BUS_MESSAGE_MAX_BYTES = 256 * 1024,  /* one body on the bus */
    BUS_HEADER_MAX_BYTES = 512,          /* one header on the bus */
    BUS_HEARTBEAT_MS = 1000,             /* both sides send at least this often */
    BUS_LIVENESS_MS = 6000,              /* a peer silent for so long is lost; longer than any database timeout */
    BUS_GATEWAYS_MAX = 32,               /* gateways one service connects to */
    HUB_WORKERS_MAX = 128,               /* service instances at one gateway */
    HUB_REQUESTS_MAX = 8192,             /* requests one hub holds, queued and in flight */
    HUB_QUEUE_PER_SERVICE_MAX = 2048,    /* requests waiting for credit, per service */
    SERVICE_CREDIT_DEFAULT = 512,        /* requests one instance holds at once */
    SERVICE_BATCH_MAX = 256,             /* rows of one statement */
    REQUEST_BUDGET_MS = 10000,           /* how long an HTTP request may take in all */
    HTTP_BODY_MAX_BYTES = 64 * 1024,
    WEBHOOK_BODY_MAX_BYTES = 1024 * 1024,
    PG_CONNECT_TIMEOUT_MS = 1500,
    PG_STATEMENT_TIMEOUT_MS = 3000,
    REDIS_CONNECT_TIMEOUT_MS = 1000,
    REDIS_COMMAND_TIMEOUT_MS = 2000,
};

#endif
