/* test_psp_settlement.c - settlement reports: how each PSP is asked, what its lines say, and that
 * whatever else is in them moves nothing. */
#include "lib/payment/money.h"
#include "lib/payment/psp/short_id.h"
#include "tests/support/psp_wire.h"

#define DAY_US INT64_C(1759968000000000) /* 2025-10-09T00:00:00Z */

static const psp_account_t accounts[] = {
    {.base_url = "https://api.razorpay.com", .key_id = "rzp_test_made_up", .key_secret = "made_up"},
    {.base_url = "https://api.stripe.com", .key_id = "", .key_secret = "sk_test_made_up"},
    {.base_url = "https://sandbox.cashfree.com",
     .key_id = "app_made_up",
     .key_secret = "secret_made_up"},
    {.base_url = "https://test.payu.in", .key_id = "MadeUpKy", .key_secret = "MadeUpSalt"},
};
enum { RAZORPAY, STRIPE, CASHFREE, PAYU, PSPS };
static const char *const names[PSPS] = {"Razorpay", "Stripe", "Cashfree", "PayU"};

/* ---- lines ---- */

/* What a line says, where it is otherwise than usual; NULL: the usual. */
typedef struct said {
    const char *currency, *amount, *net, *fee, *type, *more;
} said_t;

#define OR(member, usual) (said.member ? said.member : (usual))

static const char *razorpay_line(said_t said, char *line, size_t size)
{
    snprintf(line, size,
             "{\"entity_id\":\"pay_1\",\"type\":\"%s\",\"debit\":0,\"credit\":%s,\"amount\":%s,"
             "\"currency\":\"%s\",\"fee\":%s,\"tax\":152,\"created_at\":1759999955,"
             "\"settled_at\":1760100000,\"settlement_utr\":\"UTR1\",%s}",
             OR(type, "payment"), OR(net, "48902"), OR(amount, "49900"), OR(currency, "INR"),
             OR(fee, "998"),
             OR(more, "\"settled\":true,\"notes\":\"{\\\"payment_id\\\":\\\"" PAYMENT
                      "\\\",\\\"order_id\\\":\\\"" ORDER "\\\"}\""));
    return line;
}

static const char *stripe_line(said_t said, char *line, size_t size)
{
    snprintf(line, size,
             "{\"id\":\"txn_1\",\"object\":\"balance_transaction\",\"amount\":%s,"
             "\"available_on\":1760100000,\"created\":1759999955,\"currency\":\"%s\",\"fee\":%s,"
             "\"net\":%s,\"status\":\"pending\",\"type\":\"%s\",\"source\":%s}",
             OR(amount, "49900"), OR(currency, "inr"), OR(fee, "998"), OR(net, "48902"),
             OR(type, "charge"),
             OR(more, "{\"id\":\"ch_1\",\"amount\":50000,\"amount_captured\":49900,"
                      "\"currency\":\"inr\",\"payment_intent\":\"pi_1\",\"metadata\":{"
                      "\"payment_id\":\"" PAYMENT "\",\"order_id\":\"" ORDER "\"}}"));
    return line;
}

static const char *cashfree_line(said_t said, char *line, size_t size)
{
    snprintf(line, size,
             "{\"event_id\":\"1\",\"event_type\":\"%s\",\"sale_type\":\"CREDIT\","
             "\"event_time\":\"2025-10-09T14:22:35+05:30\",\"event_settlement_amount\":%s,"
             "\"event_amount\":%s,\"event_currency\":\"%s\",\"cf_payment_id\":\"1453002795\","
             "\"settlement_date\":\"2025-10-10T18:10:00+05:30\",%s}",
             OR(type, "PAYMENT"), OR(net, "489.02"), OR(amount, "499.00"), OR(currency, "INR"),
             OR(more, "\"event_status\":\"SUCCESS\",\"order_id\":\"" PAYMENT "\""));
    return line;
}

static const char *payu_line(said_t said, char *line, size_t size)
{
    uuid_t payment_id = uuid_of(PAYMENT);
    char txnid[SHORT_ID_SIZE];
    snprintf(
        line, size,
        "{\"payuid\":\"403993715531077182\",\"txnid\":\"%s\",\"txndate\":\"2025-10-09 14:22:35\","
        "\"mode\":\"UPI\",\"amount\":\"499.00\",\"requestid\":\"131278418\",%s,"
        "\"requestaction\":\"%s\",\"requestamount\":\"%s\",\"mer_utr\":\"UTR1\","
        "\"mer_service_fee\":\"8.46000\",\"mer_service_tax\":\"1.52000\","
        "\"mer_net_amount\":\"%s\",\"token\":null}",
        short_id_format(&payment_id, txnid), OR(more, "\"requestdate\":\"2025-10-09 14:30:00\""),
        OR(type, "capture"), OR(amount, "499.00"), OR(net, "489.02000"));
    return line;
}

static const char *(*const line_of[PSPS])(said_t, char *, size_t) = {razorpay_line, stripe_line,
                                                                     cashfree_line, payu_line};
static const char *const refs[PSPS] = {"pay_1", "pi_1", "1453002795", "403993715531077182"};

static err_t read_as(int psp, psp_fact_kind_t kind, const char *line, psp_report_t *report,
                     err_detail_t *detail)
{
    return psp_settlement_line_read(psp_named(names[psp]), kind, str_of(line), report, detail);
}

static psp_report_t report_of(int psp, psp_fact_kind_t kind, const char *line)
{
    psp_report_t report;
    err_detail_t detail = {{0}};
    if (read_as(psp, kind, line, &report, &detail) != ERR_OK)
        fail_msg("%s: %s: %s", names[psp], line, detail.text);
    return report;
}

static void a_charge_that_is_paid_out_tells_of_itself_and_of_its_capture(void **state)
{
    (void)state;
    for (int psp = 0; psp < PSPS; psp++) {
        char line[1024];
        line_of[psp]((said_t){0}, line, sizeof line);
        const psp_report_t settled = report_of(psp, PSP_FACT_SETTLED, line),
                           captured = report_of(psp, PSP_FACT_CAPTURED, line);
        assert_int_equal(settled.kind, PSP_FACT_SETTLED);
        assert_int_equal(captured.kind, PSP_FACT_CAPTURED);
        assert_int_equal(settled.fee, 998);
        assert_int_equal(captured.fee, 0);
        assert_int_equal(settled.occurred_at_us, /* PayU says only the day, to who asks */
                         psp == PAYU ? 0 : INT64_C(1760100000) * SECOND_US);
        assert_int_equal(captured.occurred_at_us, INT64_C(1759999955) * SECOND_US);
        assert_string_not_equal(settled.event_id, captured.event_id);
        for (int i = 0; i < 2; i++) {
            const psp_report_t *report = i ? &settled : &captured;
            assert_is(&report->payment_id, PAYMENT);
            assert_string_equal(report->psp_ref, refs[psp]);
            assert_int_equal(report->amount, 49900);
            assert_string_equal(report->currency, "INR");
            assert_false(report->ref_is_per_payment);
            if (psp != CASHFREE && psp != PAYU) /* which do not repeat it */
                assert_is(&report->order_id, ORDER);
        }
    }
}

static void amounts_are_read_to_the_last_minor_unit(void **state)
{
    (void)state;
    static const struct {
        int psp;
        said_t said;
        int64_t amount, fee;
        const char *currency;
    } lines[] = {
        {RAZORPAY, {"JPY", "1234", "1210", "24", NULL, NULL}, 1234, 24, "JPY"},
        {RAZORPAY, {"KWD", "12340", "12094", "246", NULL, NULL}, 12340, 246, "KWD"},
        {RAZORPAY, {"INR", "1", "1", "0", NULL, NULL}, 1, 0, "INR"},
        {STRIPE, {"jpy", "1234", "1210", "24", NULL, NULL}, 1234, 24, "JPY"},
        {STRIPE, {"kwd", "12340", "12094", "246", NULL, NULL}, 12340, 246, "KWD"},
        {STRIPE, {"isk", "123400", "120900", "2500", NULL, NULL}, 1234, 25, "ISK"},
        {CASHFREE, {"JPY", "1234", "1210", NULL, NULL, NULL}, 1234, 24, "JPY"},
        {CASHFREE, {"KWD", "12.340", "12.094", NULL, NULL, NULL}, 12340, 246, "KWD"},
        {CASHFREE, {"INR", "170.00", "170", NULL, NULL, NULL}, 17000, 0, "INR"},
        {PAYU, {NULL, "218.00", "214.27", NULL, NULL, NULL}, 21800, 373, "INR"},
        {PAYU, {NULL, "188", "188.0", NULL, NULL, NULL}, 18800, 0, "INR"},
        {PAYU, {NULL, "0.01", "0.01000", NULL, NULL, NULL}, 1, 0, "INR"},
        {CASHFREE,
         {"INR", "90071992547409.91", "0.01", NULL, NULL, NULL},
         AMOUNT_MAX,
         AMOUNT_MAX - 1,
         "INR"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char line[1024];
        const psp_report_t report =
            report_of(lines[i].psp, PSP_FACT_SETTLED,
                      line_of[lines[i].psp](lines[i].said, line, sizeof line));
        assert_int_equal(report.amount, lines[i].amount);
        assert_int_equal(report.fee, lines[i].fee);
        assert_string_equal(report.currency, lines[i].currency);
    }
}

/* Paid in euros, booked to a balance in dollars: each is told in its own. */
static void what_stripe_converts_is_captured_in_the_charges_currency(void **state)
{
    (void)state;
    char line[1024];
    stripe_line((said_t){.currency = "usd",
                         .amount = "1234",
                         .fee = "66",
                         .more = "{\"payment_intent\":\"pi_1\",\"amount_captured\":1000,"
                                 "\"currency\":\"eur\",\"metadata\":{}}"},
                line, sizeof line);
    const psp_report_t settled = report_of(STRIPE, PSP_FACT_SETTLED, line),
                       captured = report_of(STRIPE, PSP_FACT_CAPTURED, line);
    assert_int_equal(settled.amount, 1234);
    assert_string_equal(settled.currency, "USD");
    assert_int_equal(captured.amount, 1000);
    assert_string_equal(captured.currency, "EUR");
    assert_true(uuid_is_nil(&captured.payment_id)); /* nobody's that we know: a dead letter */
}

static void what_is_no_charge_that_is_paid_out_tells_nothing(void **state)
{
    (void)state;
    static const struct {
        int psp;
        said_t said;
    } lines[] = {
        {RAZORPAY, {.type = "refund"}},
        {RAZORPAY, {.type = "adjustment"}},
        {RAZORPAY, {.more = "\"settled\":false,\"on_hold\":true"}},
        {RAZORPAY, {.more = "\"notes\":[]"}},
        {PAYU, {.type = "debit", .amount = "-23868.77", .net = "-23868.77"}},
        {PAYU, {.type = "refund"}},
        {PAYU, {.type = "chargeback"}},
        {STRIPE, {.type = "payout"}},
        {STRIPE, {.type = "refund", .amount = "-49900", .more = "\"re_1\""}},
        {CASHFREE, {.type = "REFUND"}},
        {CASHFREE, {.more = "\"event_status\":\"PENDING\""}},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char line[1024];
        static const psp_report_t nothing;
        const psp_report_t report =
            report_of(lines[i].psp, PSP_FACT_SETTLED,
                      line_of[lines[i].psp](lines[i].said, line, sizeof line));
        assert_memory_equal(&report, &nothing, sizeof report);
    }
}

static void what_is_wrong_in_a_line_is_named(void **state)
{
    (void)state;
    static const struct {
        int psp;
        said_t said;
        const char *named;
    } lines[] = {
        {RAZORPAY, {.amount = "0"}, "amount"},
        {RAZORPAY, {.amount = "499.00"}, "amount"},
        {RAZORPAY, {.currency = "XXQ"}, "currency"},
        {RAZORPAY, {.fee = "-1"}, "fee"},
        {RAZORPAY, {.fee = "997"}, "credit"},
        {RAZORPAY, {.net = "\"48902\""}, "credit"},
        {STRIPE, {.amount = "-49900"}, "amount"},
        {STRIPE, {.fee = "1.5"}, "fee"},
        {STRIPE, {.fee = "49901"}, "fee"},
        {STRIPE, {.more = "\"ch_1\""}, "source"},
        {STRIPE, {.more = "{}"}, "payment_intent"},
        {STRIPE, {.currency = "rupees"}, "currency"},
        {CASHFREE, {.amount = "499.001"}, "event_amount"},
        {CASHFREE, {.net = "499.01"}, "fee"},
        {CASHFREE, {.net = "-1"}, "event_settlement_amount"},
        {CASHFREE, {.currency = "inr"}, "event_currency"},
        {PAYU, {.amount = "-499.00"}, "requestamount"},
        {PAYU, {.amount = "499.001"}, "requestamount"},
        {PAYU, {.net = "499.01"}, "fee"},
        {PAYU, {.net = "-1.00"}, "mer_net_amount"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char line[1024];
        psp_report_t report;
        err_detail_t detail = {{0}};
        line_of[lines[i].psp](lines[i].said, line, sizeof line);
        assert_int_equal(read_as(lines[i].psp, PSP_FACT_SETTLED, line, &report, &detail),
                         ERR_MALFORMED_WEBHOOK);
        if (!strstr(detail.text, lines[i].named))
            fail_msg("%s: \"%s\" does not name %s", line, detail.text, lines[i].named);
    }
}

/* ---- lines of refunds ---- */

#define REFUND_NOTES                                                \
    "\"settled\":true,\"notes\":\"{\\\"payment_id\\\":\\\"" PAYMENT \
    "\\\",\\\"order_id\\\":\\\"" ORDER "\\\",\\\"refund_id\\\":\\\"" REFUND "\\\"}\""
#define REFUND_SOURCE(amount, currency, status)                                          \
    "{\"id\":\"re_1\",\"object\":\"refund\",\"amount\":" amount                          \
    ",\"created\":1759999955,\"currency\":\"" currency "\",\"payment_intent\":\"pi_1\"," \
    "\"status\":\"" status "\",\"metadata\":{\"refund_id\":\"" REFUND                    \
    "\",\"payment_id\":\"" PAYMENT "\",\"order_id\":\"" ORDER "\"}}"

/* Razorpay's has no member for it. */
static const char *razorpay_refund(said_t said, char *line, size_t size)
{
    snprintf(line, size,
             "{\"entity_id\":\"rfnd_1\",\"type\":\"refund\",\"debit\":%s,\"credit\":0,"
             "\"amount\":%s,\"currency\":\"%s\",\"fee\":0,\"tax\":0,"
             "\"created_at\":1759999955,\"settled_at\":1760100000,\"payment_id\":\"pay_1\",%s}",
             OR(net, OR(amount, "10000")), OR(amount, "10000"), OR(currency, "INR"),
             OR(more, REFUND_NOTES));
    return line;
}

static const char *cashfree_refund(said_t said, char *line, size_t size)
{
    snprintf(line, size,
             "{\"event_id\":\"77\",\"event_type\":\"REFUND\",\"sale_type\":\"DEBIT\",%s,"
             "\"event_time\":\"2025-10-09T14:22:35+05:30\",\"event_amount\":%s,"
             "\"event_settlement_amount\":%s,\"event_currency\":\"%s\",\"order_id\":\"" PAYMENT
             "\",\"cf_payment_id\":\"1453002795\"}",
             OR(more, "\"event_status\":\"SUCCESS\",\"refund_id\":\"" REFUND "\""),
             OR(amount, "100.00"), OR(amount, "100.00"), OR(currency, "INR"));
    return line;
}

static void refund_line(int psp, said_t said, char *line, size_t size)
{
    if (psp == RAZORPAY)
        razorpay_refund(said, line, size);
    else if (psp == CASHFREE)
        cashfree_refund(said, line, size);
    else
        line_of[psp](said, line, size);
}

static void a_refund_that_was_carried_out_tells_of_its_end(void **state)
{
    (void)state;
    static const struct {
        int psp;
        said_t said;
        const char *ref, *currency;
        int64_t amount, at_s;
        bool named;
    } lines[] = {
        {RAZORPAY, {0}, "rfnd_1", "INR", 10000, 1759999955, true},
        {RAZORPAY, {.currency = "JPY", .amount = "1234"}, "rfnd_1", "JPY", 1234, 1759999955, true},
        {RAZORPAY,
         {.currency = "KWD", .amount = "12345"},
         "rfnd_1",
         "KWD",
         12345,
         1759999955,
         true},
        {RAZORPAY, {.amount = "100", .net = "106"}, "rfnd_1", "INR", 100, 1759999955, true},
        {RAZORPAY,
         {.more = "\"settled\":true,\"notes\":[],\"order_receipt\":\"" PAYMENT "\""},
         "rfnd_1",
         "INR",
         10000,
         1759999955,
         false}, /* made at the dashboard */
        {STRIPE,
         {.type = "refund", .amount = "-10000", .more = REFUND_SOURCE("10000", "inr", "succeeded")},
         "re_1",
         "INR",
         10000,
         1759999955,
         true},
        {STRIPE,
         {.type = "payment_refund", .more = REFUND_SOURCE("1234", "jpy", "succeeded")},
         "re_1",
         "JPY",
         1234,
         1759999955,
         true},
        {STRIPE,
         {.type = "refund", .more = REFUND_SOURCE("12340", "kwd", "succeeded")},
         "re_1",
         "KWD",
         12340,
         1759999955,
         true},
        {CASHFREE, {0}, REFUND, "INR", 10000, 1759999955, true},
        {CASHFREE, {.amount = "1234", .currency = "JPY"}, REFUND, "JPY", 1234, 1759999955, true},
        {CASHFREE, {.amount = "12.345", .currency = "KWD"}, REFUND, "KWD", 12345, 1759999955, true},
        {CASHFREE,
         {.more = "\"event_status\":\"SUCCESS\",\"refund_id\":\"auto_1\""},
         "77",
         "INR",
         10000,
         1759999955,
         false},
        {PAYU,
         {.type = "refund", .amount = "100.01"},
         "131278418",
         "INR",
         10001,
         1760000400,
         false},
        {PAYU,
         {.type = "refund", .amount = "-100.01"},
         "131278418",
         "INR",
         10001,
         1760000400,
         false},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const int psp = lines[i].psp;
        char line[1024];
        refund_line(psp, lines[i].said, line, sizeof line);
        const psp_report_t report = report_of(psp, PSP_FACT_REFUND_SUCCEEDED, line);
        if (report.kind != PSP_FACT_REFUND_SUCCEEDED)
            fail_msg("%s tells nothing", line);
        assert_string_equal(report.psp_ref, lines[i].ref);
        assert_int_equal(report.amount, lines[i].amount);
        assert_string_equal(report.currency, lines[i].currency);
        assert_int_equal(report.occurred_at_us, lines[i].at_s * SECOND_US);
        assert_int_equal(report.fee, 0);
        assert_is(&report.payment_id, PAYMENT);
        assert_int_equal(uuid_is_nil(&report.refund_id), !lines[i].named);
        if (lines[i].named)
            assert_is(&report.refund_id, REFUND);
        assert_int_equal(report_of(psp, PSP_FACT_SETTLED, line).kind, PSP_FACT_NONE);
        assert_int_equal(report_of(psp, PSP_FACT_CAPTURED, line).kind, PSP_FACT_NONE);
    }
}

static void a_refund_that_was_not_carried_out_tells_nothing(void **state)
{
    (void)state;
    static const struct {
        int psp;
        said_t said;
    } lines[] = {
        {RAZORPAY, {0}},
        {STRIPE, {0}},
        {STRIPE, {.type = "refund", .more = REFUND_SOURCE("10000", "inr", "pending")}},
        {STRIPE, {.type = "refund_failure", .more = REFUND_SOURCE("10000", "inr", "failed")}},
        {CASHFREE, {0}},
        {CASHFREE, {.type = "REFUND"}}, /* credited: one that came back */
        {PAYU, {0}},
        {PAYU, {.type = "refundreversal"}},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char line[1024];
        line_of[lines[i].psp](lines[i].said, line, sizeof line);
        const psp_report_t report = report_of(lines[i].psp, PSP_FACT_REFUND_SUCCEEDED, line);
        if (report.kind != PSP_FACT_NONE)
            fail_msg("%s tells of a refund", line);
    }
}

static void what_is_wrong_in_a_refunds_line_is_named(void **state)
{
    (void)state;
    static const struct {
        int psp;
        said_t said;
        const char *named;
    } lines[] = {
        {RAZORPAY, {.amount = "0"}, "amount"},
        {RAZORPAY, {.net = "9999"}, "debit"},
        {RAZORPAY, {.currency = "XXQ"}, "currency"},
        {STRIPE, {.type = "refund", .more = "\"re_1\""}, "source"},
        {STRIPE, {.type = "refund", .more = REFUND_SOURCE("0", "inr", "succeeded")}, "amount"},
        {CASHFREE, {.amount = "0.001"}, "event_amount"},
        {CASHFREE, {.currency = "inr"}, "event_currency"},
        {PAYU, {.type = "refund", .amount = "--1.00"}, "requestamount"},
        {PAYU, {.type = "refund", .amount = "-"}, "requestamount"},
        {PAYU, {.type = "refund", .more = "\"requestdate\":\"today\""}, "requestdate"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char line[1024];
        psp_report_t report;
        err_detail_t detail = {{0}};
        refund_line(lines[i].psp, lines[i].said, line, sizeof line);
        assert_int_equal(read_as(lines[i].psp, PSP_FACT_REFUND_SUCCEEDED, line, &report, &detail),
                         ERR_MALFORMED_WEBHOOK);
        if (!strstr(detail.text, lines[i].named))
            fail_msg("%s: \"%s\" does not name %s", line, detail.text, lines[i].named);
    }
}

static void a_line_is_named_by_its_type(void **state)
{
    (void)state;
    static const struct {
        int psp;
        const char *line, *type;
    } lines[] = {
        {RAZORPAY, "{\"type\":\"adjustment\"}", "adjustment"},
        {STRIPE, "{\"type\":\"payout\"}", "payout"},
        {CASHFREE, "{\"event_type\":\"DISPUTE\"}", "DISPUTE"},
        {PAYU, "{\"requestaction\":\"debit\"}", "debit"},
        {PAYU, "{\"requestaction\":null}", "?"},
        {PAYU, "{", "?"},
        {STRIPE, "{\"type\":\"a b\\nc\"}", "a?b?c"},
        {STRIPE, "{\"type\":\"123456789012345678901234567890\"}", "123456789012345678901234"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char type[PSP_SETTLEMENT_TYPE_SIZE];
        psp_settlement_line_type(psp_named(names[lines[i].psp]), str_of(lines[i].line), type);
        assert_string_equal(type, lines[i].type);
    }
}

static void notes_are_a_text_or_an_object(void **state)
{
    (void)state;
    char line[1024];
    razorpay_line((said_t){.more = "\"settled\":true,\"notes\":{\"payment_id\":\"" PAYMENT "\"}"},
                  line, sizeof line);
    const psp_report_t report = report_of(RAZORPAY, PSP_FACT_CAPTURED, line);
    assert_is(&report.payment_id, PAYMENT);
}

/* ---- the stream ---- */

static void a_line_goes_through_the_stream_as_it_came(void **state)
{
    (void)state;
    for (int psp = 0; psp < PSPS; psp++) {
        char line[1024];
        buf_t entry = {0};
        psp_report_t told;
        err_detail_t detail;
        line_of[psp]((said_t){0}, line, sizeof line);
        const psp_report_t report = report_of(psp, PSP_FACT_CAPTURED, line);
        psp_settlement_entry_write(PSP_FACT_CAPTURED, str_of(line), &entry);
        assert_non_null(strstr(entry.data, line));
        assert_int_equal(psp_settlement_entry_read(psp_named(names[psp]),
                                                   (str_t){entry.data, (uint32_t)entry.size}, &told,
                                                   &detail),
                         ERR_OK);
        assert_memory_equal(&told, &report, sizeof told);
        buf_free(&entry);
    }
}

static void an_entry_that_is_none_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *psp, *entry, *named;
    } entries[] = {
        {"Razorpay", "{\"tells\":\"failed\",\"line\":{}}", "tells"},
        {"Razorpay", "{\"line\":{}}", "tells"},
        {"Razorpay", "{\"tells\":\"refund_failed\",\"line\":{}}", "tells"},
        {"Stripe", "{\"tells\":\"settled\",\"line\":{\"type\":\"charge\"}}", "source"},
        {"Juspay", "{\"tells\":\"settled\",\"line\":{}}", "without settlement reports"},
        {"Razorpay", "{\"tells\":\"settled\",\"line\":[]}", "event_id"}, /* the prototype's */
        {"Razorpay", "{", "the body"},
    };
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        psp_report_t report;
        err_detail_t detail = {{0}};
        assert_int_equal(psp_settlement_entry_read(psp_named(entries[i].psp),
                                                   str_of(entries[i].entry), &report, &detail),
                         ERR_MALFORMED_WEBHOOK);
        if (!strstr(detail.text, entries[i].named))
            fail_msg("%s: \"%s\"", entries[i].entry, detail.text);
    }
}

/* ---- pages ---- */

static err_t read_page(int psp, const char *cursor, int status, const char *body,
                       psp_settlement_page_t *page)
{
    psp_settlement_query_t query = {.day_us = DAY_US};
    err_detail_t detail;
    snprintf(query.cursor, sizeof query.cursor, "%s", cursor);
    return psp_settlement_read(psp_named(names[psp]), &query, status, str_of(body), page, &detail);
}

/* A list, or what PHP makes of one that begins at 1. */
static void a_page_of_payu(void)
{
    static psp_settlement_page_t page;
    buf_t full = {0};
    buf_add_text(&full, "{\"status\":1,\"Txn_details\":{");
    for (int i = 1; i <= 100; i++)
        buf_printf(&full, "%s\"%d\":{\"n\":%d}", i > 1 ? "," : "", i, i);
    buf_add_text(&full, "}}");
    assert_int_equal(read_page(PAYU, "", 200, full.data, &page), ERR_OK);
    assert_int_equal(page.count, 100);
    assert_true(str_is(page.lines[0], "{\"n\":1}"));
    assert_true(str_is(page.lines[99], "{\"n\":100}"));
    assert_string_equal(page.next, "2");
    assert_int_equal(read_page(PAYU, "2", 200, full.data, &page), ERR_OK);
    assert_string_equal(page.next, "3");
    buf_free(&full);
    assert_int_equal(read_page(PAYU, "3", 200, "{\"status\":1,\"Txn_details\":[]}", &page), ERR_OK);
    assert_int_equal(page.count, 0);
    assert_string_equal(page.next, "");
}

static void a_page_says_whether_there_is_another(void **state)
{
    (void)state;
    static psp_settlement_page_t page;
    buf_t full = {0};
    for (int i = 0; i < 100; i++)
        buf_printf(&full, "%s{\"n\":%d}", i ? "," : "", i);
    buf_t body = {0};
    buf_printf(&body, "{\"items\":[%s]}", full.data);
    assert_int_equal(read_page(RAZORPAY, "", 200, body.data, &page), ERR_OK);
    assert_int_equal(page.count, 100);
    assert_true(str_is(page.lines[99], "{\"n\":99}"));
    assert_string_equal(page.next, "100");
    assert_int_equal(read_page(RAZORPAY, "100", 200, body.data, &page), ERR_OK);
    assert_string_equal(page.next, "200");
    buf_clear(&body);
    buf_printf(&body, "{\"items\":[%s,{}]}", full.data);
    assert_int_equal(read_page(RAZORPAY, "", 200, body.data, &page), ERR_MALFORMED_WEBHOOK);
    buf_free(&body);
    buf_free(&full);
    assert_int_equal(read_page(RAZORPAY, "200", 200, "{\"items\":[]}", &page), ERR_OK);
    assert_int_equal(page.count, 0);
    assert_string_equal(page.next, "");

    assert_int_equal(
        read_page(STRIPE, "", 200, "{\"data\":[{\"id\":\"txn_1\"}],\"has_more\":true}", &page),
        ERR_OK);
    assert_string_equal(page.next, "txn_1");
    assert_int_equal(
        read_page(STRIPE, "", 200, "{\"data\":[{\"id\":\"txn_1\"}],\"has_more\":false}", &page),
        ERR_OK);
    assert_string_equal(page.next, "");

    assert_int_equal(read_page(CASHFREE, "", 200, "{\"cursor\":\"abc\",\"data\":[{}]}", &page),
                     ERR_OK);
    assert_string_equal(page.next, "abc");
    assert_int_equal(read_page(CASHFREE, "", 200, "{\"cursor\":\"abc\",\"data\":[]}", &page),
                     ERR_OK);
    assert_string_equal(page.next, "");
    assert_int_equal(read_page(CASHFREE, "", 200, "{\"cursor\":null,\"data\":[{}]}", &page),
                     ERR_OK);
    assert_string_equal(page.next, "");
    a_page_of_payu();
}

static void what_is_no_page_is_refused(void **state)
{
    (void)state;
    static const struct {
        int psp;
        const char *cursor;
        int status;
        const char *body;
    } answers[] = {
        {RAZORPAY, "", 500, "{\"items\":[]}"},
        {RAZORPAY, "", 429, "{\"items\":[]}"},
        {RAZORPAY, "", 200, "<html>"},
        {RAZORPAY, "", 200, "{}"},
        {RAZORPAY, "", 200, "{\"items\":{}}"},
        {RAZORPAY, "", 200, "{\"items\":[1]}"},
        {STRIPE, "", 200, "{\"data\":[]}"},
        {STRIPE, "", 200, "{\"data\":[{\"id\":\"a b\"}],\"has_more\":true}"},
        {STRIPE, "txn_1", 200,
         "{\"data\":[{\"id\":\"txn_1\"}],\"has_more\":true}"}, /* in a circle */
        {CASHFREE, "", 200, "{\"cursor\":1,\"data\":[{}]}"},
        {PAYU, "", 200, "{\"status\":0,\"msg\":\"Invalid Hash.\"}"},
        {PAYU, "", 200, "{\"status\":0,\"msg\":\"Invalid Hash.\",\"Txn_details\":[]}"},
        {PAYU, "", 200, "{\"status\":1,\"Txn_details\":{\"a\":{}}}"},
        {PAYU, "", 200, "{\"status\":1,\"Txn_details\":{\"123456789\":{}}}"},
        {PAYU, "", 200, "{\"status\":1,\"Txn_details\":{\"1\":1}}"},
        {CASHFREE, "abc", 200, "{\"cursor\":\"abc\",\"data\":[{}]}"},
    };
    static psp_settlement_page_t page;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (read_page(answers[i].psp, answers[i].cursor, answers[i].status, answers[i].body,
                      &page) != ERR_MALFORMED_WEBHOOK)
            fail_msg("%s %d %s", names[answers[i].psp], answers[i].status, answers[i].body);
}

/* ---- requests ---- */

/* What ours has beside the library's: the page, and where it begins. */
static void reports_are_asked_for_as_the_official_libraries_do(void **state)
{
    (void)state;
    static const char *const changed[] = {"/pg/settlements", "/pg/settlement/recon", NULL};
    static const char *const otherwise[] = {"x-api-version", "limit", "start_date", "end_date",
                                            NULL};
    const wire_official_t officials[] = {
        {"razorpay", "GET", "/v1/settlements/recon/combined?year=2025&month=10&day=9", changed,
         otherwise, NULL},
        {"stripe", "GET", "/v1/balance_transactions?payout=po_1&limit=100", changed, otherwise,
         NULL},
        {"cashfree", "POST", "/pg/settlements", changed, otherwise, NULL},
    };
    for (size_t psp = 0; psp < sizeof officials / sizeof officials[0]; psp++) {
        const psp_settlement_query_t query = {.day_us = DAY_US};
        http_client_request_t request;
        assert_true(
            psp_settlement_request(psp_named(names[psp]), &accounts[psp], &query, &request));
        assert_as_official(&officials[psp], &request);
        http_client_request_free(&request);
    }
}

/* As PayU's own library sends it. */
#define PAYU_COMMAND                                                    \
    "key=MadeUpKy&command=get_settlement_details&var1=2025-10-09&hash=" \
    "66233ca9b719e29c773c5b7faf3545ebb42690d0ff80c2b13a446a9a5d063eaf"  \
    "2c6e21bb7c9351f439cb0733afbb07f34b6059ea022cf4243cffabdaa8e98f36"

static void the_next_page_is_asked_for_by_its_cursor(void **state)
{
    (void)state;
    static const struct {
        int psp;
        const char *cursor, *url, *body;
    } pages[] = {
        {RAZORPAY, "100",
         "https://api.razorpay.com/v1/settlements/recon/combined"
         "?year=2025&month=10&day=9&count=100&skip=100",
         NULL},
        {STRIPE, "txn_9",
         "https://api.stripe.com/v1/balance_transactions?limit=100&created%5Bgte%5D=1759968000"
         "&created%5Blt%5D=1760054400&expand%5B0%5D=data.source&starting_after=txn_9",
         NULL},
        {CASHFREE, "a\"b==", "https://sandbox.cashfree.com/pg/settlement/recon",
         "{\"pagination\":{\"limit\":100,\"cursor\":\"a\\\"b==\"},\"filters\":{"
         "\"start_date\":\"2025-10-09T00:00:00Z\",\"end_date\":\"2025-10-09T23:59:59Z\"}}"},
        {PAYU, "", "https://test.payu.in/merchant/postservice.php?form=2",
         PAYU_COMMAND "&var2=1&var3=100"},
        {PAYU, "7", "https://test.payu.in/merchant/postservice.php?form=2",
         PAYU_COMMAND "&var2=7&var3=100"},
    };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        psp_settlement_query_t query = {.day_us = DAY_US};
        http_client_request_t request;
        snprintf(query.cursor, sizeof query.cursor, "%s", pages[i].cursor);
        assert_true(psp_settlement_request(psp_named(names[pages[i].psp]), &accounts[pages[i].psp],
                                           &query, &request));
        assert_string_equal(request.url, pages[i].url);
        if (pages[i].body)
            assert_string_equal(request.body.data, pages[i].body);
        http_client_request_free(&request);
    }
}

static void psps_without_reports_are_not_asked(void **state)
{
    (void)state;
    static const char *const others[] = {"Juspay", "PhonePe"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const psp_settlement_query_t query = {.day_us = DAY_US};
        http_client_request_t request;
        assert_false(psp_settlement_request(psp_named(others[i]), &accounts[0], &query, &request));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_charge_that_is_paid_out_tells_of_itself_and_of_its_capture),
    cmocka_unit_test(amounts_are_read_to_the_last_minor_unit),
    cmocka_unit_test(what_stripe_converts_is_captured_in_the_charges_currency),
    cmocka_unit_test(what_is_no_charge_that_is_paid_out_tells_nothing),
    cmocka_unit_test(what_is_wrong_in_a_line_is_named),
    cmocka_unit_test(a_refund_that_was_carried_out_tells_of_its_end),
    cmocka_unit_test(a_refund_that_was_not_carried_out_tells_nothing),
    cmocka_unit_test(what_is_wrong_in_a_refunds_line_is_named),
    cmocka_unit_test(a_line_is_named_by_its_type),
    cmocka_unit_test(notes_are_a_text_or_an_object),
    cmocka_unit_test(a_line_goes_through_the_stream_as_it_came),
    cmocka_unit_test(an_entry_that_is_none_is_refused),
    cmocka_unit_test(a_page_says_whether_there_is_another),
    cmocka_unit_test(what_is_no_page_is_refused),
    cmocka_unit_test(reports_are_asked_for_as_the_official_libraries_do),
    cmocka_unit_test(the_next_page_is_asked_for_by_its_cursor),
    cmocka_unit_test(psps_without_reports_are_not_asked),
};
TEST_MAIN(tests)
