-- 001_tables.sql - the truth: orders, payments, attempts; facts that PSPs told us; refunds; discrepancies; the inbox; the outbox.
--
-- Nothing assigns a status. A fact is inserted once; sums over facts are kept on the payment, the refund and the order in the same
-- transaction; statuses are generated columns over those sums and over the few things that we decide ourselves (expired_at,
-- cancelled_at: each set once, never cleared; given_up_at). Only the functions of the later files write these tables, and each
-- takes its locks in this order: idempotency keys, orders, payments, refunds, inbox, each by id; the feed's row last.
-- They run without sequential scans, hash joins and merge joins: a plan that was made while a table was empty, and is kept by a session
-- for days, would read the whole table for every row. They are plpgsql where they could be SQL: that keeps its plans, a function in SQL
-- is parsed and planned anew by each call. What hangs on a fact names its payment and its order once more, to be found by them; that
-- these are the fact's is not asked of every row (a foreign key costs as much as an index) but of all (invariants.sql).
-- Amounts are bigint minor units.
--
-- An index costs every row; each is here for a query, or is a key that makes something happen once:
--   orders_by_user, orders_by_receipt, orders_ended_by_status   GET /orders by these, newest first (orders_page)
--   orders_open_by_expiry    orders_expire; GET /orders?status=PENDING
--   payments_by_order        order_documents; the payments of orders that expire or are cancelled
--   payments_to_check        status_checks_claim
--   payments_to_capture      payments_capture_claim
--   attempts (payment_id, number)   one next attempt; payment_positions, payment_documents
--   facts (psp, kind, psp_ref, ref_scope), observations, applied_captures   each once
--   facts_by_payment         sums_refresh, captures_refundable, audit_ledger by payment;  facts_by_refund: sums of a refund
--   refunds_by_payment, refunds_by_capture, refunds_automatic_once, refunds_due   documents, what is left, once, refunds_claim
--   discrepancies_by_fact, _by_inbox   each once;  _by_payment, _by_kind, _open   discrepancies_page
--   inbox (psp, event_id, payment_ref)   each once;  inbox_parked, inbox_dead, inbox_dead_to_copy   claims and pages
--   outbox (order_id, seq)   each once;  outbox_by_user   GET /events, sockets that resume
--   idempotency_keys_by_age  idempotency_forget_old
-- Ids of ours grow with time, so their indexes are written at one end. PSPs' references, user ids and Idempotency-Keys are in no order:
-- each row of these touches a page anywhere, which is what ten million orders cost more than ten thousand.
-- fillfactor leaves room for the new versions of rows that are updated (HOT). What is only ever appended is frozen by the vacuum that
-- follows its inserts, not once more later.

-- ---- statuses: the one place where they are derived ----

CREATE FUNCTION order_status(paid_amount bigint, refunded_amount bigint, cancelled_at timestamptz, expired_at timestamptz)
RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT CASE
        WHEN paid_amount > 0 AND refunded_amount >= paid_amount THEN 'REFUNDED'
        WHEN paid_amount > 0 AND refunded_amount > 0 THEN 'PARTIALLY_REFUNDED'
        WHEN paid_amount > 0 THEN 'PAID'
        WHEN cancelled_at IS NOT NULL THEN 'CANCELLED'
        WHEN expired_at IS NOT NULL THEN 'EXPIRED'
        ELSE 'PENDING'
    END
$$;

-- The first line that holds.
CREATE FUNCTION payment_status(mismatch_count int, capture_count int, captured_amount bigint, refunded_amount bigint,
                               authorization_count int, failure_count int, void_count int, given_up_at timestamptz,
                               unknown_attempts int, checkout_url text, expired_at timestamptz, expiry_count int)
RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT CASE
        WHEN mismatch_count > 0 THEN 'MISMATCH'
        WHEN capture_count > 0 AND refunded_amount >= captured_amount THEN 'REFUNDED'
        WHEN capture_count > 0 AND refunded_amount > 0 THEN 'PARTIALLY_REFUNDED'
        WHEN capture_count > 0 THEN 'SUCCESS'
        WHEN authorization_count > 0 AND void_count = 0 THEN 'AUTHORIZED'
        WHEN failure_count > 0 OR void_count > 0 THEN 'FAILED'
        WHEN given_up_at IS NOT NULL AND unknown_attempts = 0 THEN 'FAILED'
        WHEN expired_at IS NOT NULL OR expiry_count > 0 THEN 'EXPIRED'
        WHEN unknown_attempts > 0 AND checkout_url IS NULL THEN 'UNKNOWN'
        ELSE 'PENDING'
    END
$$;

-- A refund that succeeded under one reference succeeded, whatever failed under others: the money has moved. What the PSP says has
-- failed under the same one does not count as a success (facts.undone), whichever it said first: many say of a refund that it has
-- succeeded when they have sent it, and a bank may send it back.
CREATE FUNCTION refund_status(success_count int, failure_count int, outcome_unknown boolean)
RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT CASE
        WHEN success_count > 0 THEN 'SUCCESS'
        WHEN failure_count > 0 THEN 'FAILED'
        WHEN outcome_unknown THEN 'UNKNOWN'
        ELSE 'PENDING'
    END
$$;

-- Whose word about an amount weighs most: money that has arrived, what a PSP answers when it is asked, what it sends unasked. Money
-- that has arrived in another currency than it was paid in says least: some PSPs pay out in their own, whatever they took.
CREATE FUNCTION source_rank(source text, in_own_currency boolean) RETURNS int IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT CASE source WHEN 'settlement' THEN CASE WHEN in_own_currency THEN 3 ELSE 0 END
                       WHEN 'status_poll' THEN 2 WHEN 'refund_call' THEN 2 ELSE 1 END
$$;

-- A UUID of version 7, as the gateway mints them: 48 bits of milliseconds, the rest random.
CREATE FUNCTION uuid7() RETURNS uuid VOLATILE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT encode(set_bit(set_bit(overlay(
               uuid_send(gen_random_uuid())
               PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
               52, 1), 53, 1), 'hex')::uuid
$$;

-- ---- orders, payments, attempts ----

CREATE TABLE orders (
    order_id        uuid PRIMARY KEY, -- version 7, minted by the gateway: sorts by time
    user_id         text NOT NULL,
    amount          bigint NOT NULL CHECK (amount > 0),
    currency        text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    receipt         text,
    metadata        jsonb,
    customer        jsonb,
    created_at      timestamptz NOT NULL DEFAULT now(),
    manual_capture  boolean NOT NULL DEFAULT false, -- who pays authorises, the merchant captures
    expires_at      timestamptz NOT NULL,
    expired_at      timestamptz,
    cancelled_at    timestamptz,
    paid_amount     bigint NOT NULL DEFAULT 0 CHECK (paid_amount >= 0),         -- of the applied capture
    refunded_amount bigint NOT NULL DEFAULT 0 CHECK (refunded_amount >= 0),
    event_seq       int NOT NULL DEFAULT 0,                                      -- seq of its newest event
    status          text NOT NULL GENERATED ALWAYS AS
                    (order_status(paid_amount, refunded_amount, cancelled_at, expired_at)) STORED
) WITH (fillfactor = 85);
CREATE INDEX orders_by_user ON orders (user_id, order_id);
CREATE INDEX orders_by_receipt ON orders (receipt, order_id) WHERE receipt IS NOT NULL;
CREATE INDEX orders_open_by_expiry ON orders (expires_at)
    WHERE expired_at IS NULL AND cancelled_at IS NULL AND paid_amount = 0;
CREATE INDEX orders_ended_by_status ON orders (status, order_id) -- not PENDING, which are in the one above, nor PAID, which most are
    WHERE status IN ('EXPIRED', 'CANCELLED', 'REFUNDED', 'PARTIALLY_REFUNDED');

CREATE TABLE payments (
    payment_id       uuid PRIMARY KEY, -- version 7, minted by the gateway
    order_id         uuid NOT NULL REFERENCES orders,
    method           text NOT NULL,
    amount           bigint NOT NULL CHECK (amount > 0), -- the order's
    currency         text NOT NULL,
    requested_psp    text,
    return_url       text,
    returned         text,          -- the query with which the PSP sent the customer back
    returned_at      timestamptz,   -- when the PSP was last to be asked at once for that
    psp              text NOT NULL, -- of the newest attempt
    checkout_url     text,          -- where the customer pays, once a PSP has opened it
    created_at       timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL,
    expired_at       timestamptz,
    given_up_at      timestamptz,   -- no PSP took it; cleared when the same request is made again
    round_from       int NOT NULL DEFAULT 1, -- the attempt with which the newest round over the PSPs began
    -- sums over attempts and facts; amounts in the payment's currency
    unknown_attempts int NOT NULL DEFAULT 0,
    authorization_count int NOT NULL DEFAULT 0,
    capture_count    int NOT NULL DEFAULT 0,
    captured_amount  bigint NOT NULL DEFAULT 0,
    mismatch_count   int NOT NULL DEFAULT 0, -- captures with another amount or currency
    failure_count    int NOT NULL DEFAULT 0,
    void_count       int NOT NULL DEFAULT 0,
    expiry_count     int NOT NULL DEFAULT 0,
    refunded_amount  bigint NOT NULL DEFAULT 0, -- may be ahead of its capture: facts come in any order
    disputes_opened  int NOT NULL DEFAULT 0,
    disputes_won     int NOT NULL DEFAULT 0,
    disputes_lost    int NOT NULL DEFAULT 0,
    applied          boolean NOT NULL DEFAULT false,
    -- Opened and not won, or lost.
    disputed         boolean NOT NULL GENERATED ALWAYS AS (disputes_lost > 0 OR disputes_opened > disputes_won) STORED,
    -- when the reconciler asks the PSP next; NULL: never again; -infinity: at once, a PSP has hinted at news
    next_check_at    timestamptz DEFAULT now(),
    -- what the PSP is to be told about the authorisation, and when next; manual_capture: of an order that is captured by hand
    manual_capture   boolean NOT NULL DEFAULT false,
    capture_action   text CHECK (capture_action IN ('capture', 'void')),
    capture_next_at  timestamptz,
    capture_calls    int NOT NULL DEFAULT 0,
    capture_error    text,
    status           text NOT NULL GENERATED ALWAYS AS
                     (payment_status(mismatch_count, capture_count, captured_amount, refunded_amount, authorization_count,
                                     failure_count, void_count, given_up_at, unknown_attempts, checkout_url, expired_at,
                                     expiry_count)) STORED
) WITH (fillfactor = 80);
CREATE INDEX payments_by_order ON payments (order_id, payment_id);
CREATE INDEX payments_to_capture ON payments (capture_next_at)
    WHERE authorization_count > 0 AND void_count = 0 AND capture_count = 0 AND capture_next_at IS NOT NULL;
CREATE INDEX payments_to_check ON payments (next_check_at)
    WHERE next_check_at IS NOT NULL AND (capture_count = 0 OR next_check_at = '-infinity');

-- One try at one PSP, written before the PSP is called; its id is the PSP's idempotency key.
CREATE TABLE attempts (
    attempt_id   uuid PRIMARY KEY,
    payment_id   uuid NOT NULL REFERENCES payments,
    number       int NOT NULL,
    psp          text NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    outcome      text CHECK (outcome IN ('OPEN', 'REFUSED', 'UNKNOWN')), -- NULL: not answered yet
    psp_ref      text,
    checkout_url text,
    page_data    text, -- what a page of ours is opened with
    error        text,
    took_ms      int,
    UNIQUE (payment_id, number)
);

-- ---- facts ----

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;

-- What a PSP told us, once, whoever brought it and however often. What it is and of whom never changes. What it comes to
-- (amount, fee, currency, matches) is what the greatest of its observations says; whose refund it is (refund_id), and whether it
-- was made (undone), what any observation under its reference says.
CREATE TABLE facts (
    fact_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    psp            text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('authorized', 'captured', 'failed', 'voided', 'expired', 'refund_requested',
                                                 'refund_succeeded', 'refund_failed', 'dispute_opened', 'dispute_won',
                                                 'dispute_lost', 'settled')),
    psp_ref        text NOT NULL, -- the PSP's canonical reference
    -- Formats whose references are unique within one payment only are scoped by it; elsewhere the nil UUID.
    ref_scope      uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    payment_id     uuid NOT NULL REFERENCES payments,
    order_id       uuid NOT NULL, -- the payment's
    source         text NOT NULL, -- who brought it first
    reason         text,
    fault          text,          -- failed: whose, where the PSP says it: customer, merchant, psp, network
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    amount         bigint NOT NULL,
    fee            bigint NOT NULL DEFAULT 0,
    currency       text NOT NULL,
    refund_id      uuid,          -- refund_*: ours, when the PSP says of its reference which
    matches        boolean NOT NULL, -- amount and currency are the payment's
    undone         boolean NOT NULL DEFAULT false, -- refund_succeeded: the PSP has said of its reference that it failed, too
    UNIQUE (psp, kind, psp_ref, ref_scope)
);
CREATE INDEX facts_by_payment ON facts (payment_id);
CREATE INDEX facts_by_refund ON facts (refund_id) WHERE refund_id IS NOT NULL;

CREATE FUNCTION facts_keep_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.fact_id, OLD.psp, OLD.kind, OLD.psp_ref, OLD.ref_scope, OLD.payment_id, OLD.order_id, OLD.source, OLD.reason,
        OLD.fault, OLD.occurred_at, OLD.recorded_at)
       IS DISTINCT FROM
       (NEW.fact_id, NEW.psp, NEW.kind, NEW.psp_ref, NEW.ref_scope, NEW.payment_id, NEW.order_id, NEW.source, NEW.reason,
        NEW.fault, NEW.occurred_at, NEW.recorded_at) THEN
        RAISE EXCEPTION 'what a fact is does not change';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER keep_identity BEFORE UPDATE ON facts FOR EACH ROW EXECUTE FUNCTION facts_keep_identity();
CREATE TRIGGER immutable BEFORE DELETE OR TRUNCATE ON facts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Who said what about a fact, each once. The greatest (source_rank, whether it matches the payment, amount, currency, fee) is in
-- effect: an order of contents, so that it does not matter what came first.
CREATE TABLE fact_observations (
    observation_id bigint GENERATED ALWAYS AS IDENTITY, -- the order in which they came
    fact_id        bigint NOT NULL REFERENCES facts,
    source         text NOT NULL,
    amount         bigint NOT NULL,
    fee            bigint NOT NULL,
    currency       text NOT NULL,
    refund_id      uuid,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (fact_id, source, amount, fee, currency, refund_id)
) WITH (autovacuum_freeze_min_age = 0);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON fact_observations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The one capture that pays an order: the primary key makes a second one impossible.
CREATE TABLE applied_captures (
    order_id   uuid PRIMARY KEY, -- the fact's, as is the payment
    fact_id    bigint NOT NULL UNIQUE REFERENCES facts,
    payment_id uuid NOT NULL,
    amount     bigint NOT NULL, -- when it was applied
    applied_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_freeze_min_age = 0);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON applied_captures
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---- refunds ----

-- What is to be given back of a capture, written before the PSP is asked; its id is the PSP's idempotency key.
CREATE TABLE refunds (
    refund_id       uuid PRIMARY KEY,
    payment_id      uuid NOT NULL REFERENCES payments,
    order_id        uuid NOT NULL REFERENCES orders,
    capture_fact_id bigint NOT NULL REFERENCES facts,
    psp             text NOT NULL,
    amount          bigint NOT NULL CHECK (amount > 0),
    currency        text NOT NULL,
    reason          text,
    automatic       boolean NOT NULL DEFAULT false, -- of a capture that could not be applied
    discrepancy_id  bigint,                         -- the operator's decision that asked for it
    created_at      timestamptz NOT NULL DEFAULT now(),
    calls           int NOT NULL DEFAULT 0,
    next_call_at    timestamptz DEFAULT now(),      -- NULL: how it ended is known
    outcome_unknown boolean NOT NULL DEFAULT false, -- the PSP was asked and may have done it
    last_error      text,
    absent_at       timestamptz,                    -- when the PSP said last that it does not know of it
    -- sums over facts
    success_count   int NOT NULL DEFAULT 0,
    failure_count   int NOT NULL DEFAULT 0,
    status          text NOT NULL GENERATED ALWAYS AS (refund_status(success_count, failure_count, outcome_unknown)) STORED
) WITH (fillfactor = 80);
CREATE INDEX refunds_by_payment ON refunds (payment_id, refund_id);
CREATE INDEX refunds_by_capture ON refunds (capture_fact_id);
CREATE UNIQUE INDEX refunds_automatic_once ON refunds (capture_fact_id) WHERE automatic;
CREATE INDEX refunds_due ON refunds (psp, next_call_at) WHERE next_call_at IS NOT NULL;

-- What a person should know of, with what was done about it. Open while settled_at is NULL: it waits for a decision.
CREATE TABLE discrepancies (
    discrepancy_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('amount_mismatch', 'observation_conflict', 'unapplied_capture',
                                                 'success_after_failure', 'capture_undone', 'unknown_reference',
                                                 'order_mismatch', 'reference_conflict', 'refund_refused', 'refund_unknown',
                                                 'refund_over_captured', 'refund_mismatch', 'refund_failed_after_success',
                                                 'dispute_opened', 'dispute_lost', 'dispute_after_refund')),
    psp            text,
    order_id       uuid REFERENCES orders,
    payment_id     uuid REFERENCES payments,
    fact_id        bigint REFERENCES facts,
    refund_id      uuid REFERENCES refunds,
    inbox_id       bigint,
    detail         text NOT NULL,
    action         text NOT NULL, -- what was done about it
    created_at     timestamptz NOT NULL DEFAULT now(),
    settled_at     timestamptz,
    settled_by     text,
    decision       text
);
CREATE UNIQUE INDEX discrepancies_by_fact ON discrepancies (fact_id, kind) WHERE fact_id IS NOT NULL;
CREATE UNIQUE INDEX discrepancies_by_inbox ON discrepancies (inbox_id, kind) WHERE inbox_id IS NOT NULL;
CREATE INDEX discrepancies_by_payment ON discrepancies (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX discrepancies_by_kind ON discrepancies (kind, discrepancy_id);
CREATE INDEX discrepancies_open ON discrepancies (discrepancy_id) WHERE settled_at IS NULL;

-- ---- inbox: everything that the stream brought, once per PSP, event id and payment ----

CREATE TABLE inbox (
    inbox_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    psp            text NOT NULL,
    event_id       text NOT NULL,
    payment_ref    text NOT NULL, -- the payment id that it names; an event id seen for another payment is another event
    source         text NOT NULL,
    body           bytea NOT NULL,
    headers        text,                   -- a JSON object: of a webhook
    http_status    int NOT NULL DEFAULT 0, -- of an answer to us
    refund_id      uuid,                   -- the refund that an answer to us is about
    request_id     text,
    received_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    outcome        text CHECK (outcome IN ('applied', 'duplicate', 'parked', 'dead')), -- NULL only inside its transaction
    reason         text,
    payment_id     uuid,                     -- applied, duplicate: whose
    tries          int NOT NULL DEFAULT 0,
    retry_at       timestamptz,              -- parked: not before
    deliveries     int NOT NULL DEFAULT 0,   -- parked: how often it was claimed since it was last decided
    redrives       int NOT NULL DEFAULT 0,   -- how often a person had it tried again
    dead_copied_at timestamptz,              -- dead: when its copy went to the dead letter stream
    UNIQUE (psp, event_id, payment_ref)
) WITH (autovacuum_freeze_min_age = 0);
CREATE INDEX inbox_parked ON inbox (retry_at) WHERE outcome = 'parked';
CREATE INDEX inbox_dead ON inbox (inbox_id) WHERE outcome = 'dead';
CREATE INDEX inbox_dead_to_copy ON inbox (inbox_id) WHERE outcome = 'dead' AND dead_copied_at IS NULL;

-- ---- outbox: one row per event, gap-free along the feed and per order ----

CREATE TABLE outbox (
    event_id   bigint PRIMARY KEY,
    order_id   uuid NOT NULL,
    payment_id uuid,           -- NULL for events of the order itself
    user_id    text NOT NULL,
    seq        int NOT NULL,
    type       text NOT NULL,
    payload    text NOT NULL, -- the JSON that sockets and subscribers get, rendered from the rows as committed
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(), -- under the lock of the feed: in the order of event_id
    UNIQUE (order_id, seq)
) WITH (autovacuum_freeze_min_age = 0);
CREATE INDEX outbox_by_user ON outbox (user_id, event_id);
CREATE TRIGGER immutable BEFORE UPDATE OR TRUNCATE ON outbox -- of DELETE, see 012_retention.sql
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The one row that numbers the feed. A transaction advances it as its last write and holds its lock until it has committed: so
-- numbers have no gaps and become visible in their order, and a reader that saw event n has seen every event before it.
CREATE TABLE feed (
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last_event_id bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO feed DEFAULT VALUES;

-- ---- retention: what is kept for a time only (012_retention.sql) ----

CREATE TABLE retention (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    inbox_id bigint NOT NULL DEFAULT 0, -- up to it, rows that were applied or were duplicates are gone
    event_id bigint NOT NULL DEFAULT 0  -- up to it, all events are gone
);
INSERT INTO retention DEFAULT VALUES;

-- ---- reconciliation ----

CREATE TABLE reconciliation_runs (
    run_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance    text NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    asked       int NOT NULL DEFAULT 0,
    news        int NOT NULL DEFAULT 0,
    errors      int NOT NULL DEFAULT 0
);

-- Of each PSP's settlement report of a day (UTC): how far it was read, and when it is read again. One that was announced does not
-- change: it is read once.
CREATE TABLE settlement_reports (
    psp          text NOT NULL,
    day          date NOT NULL,                      -- that it is of, or was announced on
    url          text NOT NULL DEFAULT '',           -- where it was announced; '': it is asked for by its day
    cursor       text NOT NULL DEFAULT '',           -- of the next page; '': the first
    lines        bigint NOT NULL DEFAULT 0,          -- that told something new
    next_read_at timestamptz DEFAULT now(),          -- NULL: never again
    leased_until timestamptz NOT NULL DEFAULT '-infinity', -- a reconciler reads it
    read_at      timestamptz,                        -- when it was last read to its end
    PRIMARY KEY (psp, day, url)
);

-- RFC 3339 as the services write it: fractions of a second only when there are some, in 3 or 6 digits.
CREATE FUNCTION rfc3339(at timestamptz) RETURNS text STABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', CASE
        WHEN extract(microseconds FROM at)::int % 1000000 = 0 THEN 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
        WHEN extract(microseconds FROM at)::int % 1000 = 0 THEN 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
        ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' END)
$$;
