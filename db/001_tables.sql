-- 001_tables.sql - the truth: orders, payments, attempts; facts that PSPs told us; the ledger; the inbox; the outbox.
--
-- Nothing assigns a status. A fact is inserted once; sums over facts are kept on the payment and the order in the same
-- transaction; statuses are generated columns over those sums and over the few things that we decide ourselves (expired_at,
-- cancelled_at, given_up_at: each set once, never cleared). Only the functions of the later files write these tables.
-- Amounts are bigint minor units.

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

CREATE FUNCTION payment_status(capture_count int, mismatch_count int, captured_amount bigint, refunded_amount bigint,
                               failure_count int, given_up_at timestamptz, unknown_attempts int, checkout_url text,
                               expired_at timestamptz)
RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT CASE
        WHEN mismatch_count > 0 THEN 'MISMATCH'
        WHEN capture_count > 0 AND refunded_amount >= captured_amount THEN 'REFUNDED'
        WHEN capture_count > 0 AND refunded_amount > 0 THEN 'PARTIALLY_REFUNDED'
        WHEN capture_count > 0 THEN 'SUCCESS'
        WHEN failure_count > 0 THEN 'FAILED'
        WHEN given_up_at IS NOT NULL AND unknown_attempts = 0 THEN 'FAILED'
        WHEN expired_at IS NOT NULL THEN 'EXPIRED'
        WHEN unknown_attempts > 0 AND checkout_url IS NULL THEN 'UNKNOWN'
        ELSE 'PENDING'
    END
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

CREATE TABLE payments (
    payment_id       uuid PRIMARY KEY, -- version 7, minted by the gateway
    order_id         uuid NOT NULL REFERENCES orders,
    method           text NOT NULL,
    amount           bigint NOT NULL CHECK (amount > 0), -- the order's
    currency         text NOT NULL,
    requested_psp    text,
    return_url       text,
    psp              text NOT NULL, -- of the newest attempt
    checkout_url     text,          -- where the customer pays, once a PSP has opened it
    created_at       timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL,
    expired_at       timestamptz,
    given_up_at      timestamptz,   -- no PSP took it
    -- sums over attempts and facts
    unknown_attempts int NOT NULL DEFAULT 0,
    capture_count    int NOT NULL DEFAULT 0,
    captured_amount  bigint NOT NULL DEFAULT 0,
    mismatch_count   int NOT NULL DEFAULT 0, -- captures with another amount or currency
    failure_count    int NOT NULL DEFAULT 0,
    refunded_amount  bigint NOT NULL DEFAULT 0 CHECK (refunded_amount <= captured_amount),
    applied          boolean NOT NULL DEFAULT false,
    disputed         boolean NOT NULL DEFAULT false,
    -- when the reconciler asks the PSP next; NULL: never again
    next_check_at    timestamptz DEFAULT now(),
    status           text NOT NULL GENERATED ALWAYS AS
                     (payment_status(capture_count, mismatch_count, captured_amount, refunded_amount, failure_count,
                                     given_up_at, unknown_attempts, checkout_url, expired_at)) STORED
) WITH (fillfactor = 80);
CREATE INDEX payments_by_order ON payments (order_id, payment_id);
CREATE INDEX payments_to_check ON payments (next_check_at) WHERE capture_count = 0 AND next_check_at IS NOT NULL;

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
    error        text,
    took_ms      int,
    UNIQUE (payment_id, number)
);

-- ---- facts ----

CREATE TABLE facts (
    fact_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    psp         text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('captured', 'failed')),
    psp_ref     text NOT NULL, -- the PSP's canonical reference
    -- Formats whose references are unique within one payment only are scoped by it; elsewhere the nil UUID.
    ref_scope   uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    payment_id  uuid NOT NULL REFERENCES payments,
    order_id    uuid NOT NULL REFERENCES orders,
    amount      bigint NOT NULL,
    currency    text NOT NULL,
    matches     boolean NOT NULL, -- amount and currency are the payment's
    source      text NOT NULL,    -- who brought it first: webhook, status_poll
    reason      text,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (psp, kind, psp_ref, ref_scope)
);
CREATE INDEX facts_by_payment ON facts (payment_id);

-- The one capture that pays an order: the primary key makes a second one impossible.
CREATE TABLE applied_captures (
    order_id   uuid PRIMARY KEY REFERENCES orders,
    fact_id    bigint NOT NULL UNIQUE REFERENCES facts,
    payment_id uuid NOT NULL REFERENCES payments,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- What does not fit and waits for a person.
CREATE TABLE discrepancies (
    discrepancy_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('amount_mismatch')),
    payment_id     uuid NOT NULL REFERENCES payments,
    fact_id        bigint UNIQUE REFERENCES facts,
    detail         text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now()
);

-- ---- ledger: double entry, immutable, every transaction sums to zero per currency ----

CREATE TABLE ledger_transactions (
    txn_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL,
    fact_id    bigint NOT NULL UNIQUE REFERENCES facts,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE ledger_entries (
    txn_id     bigint NOT NULL REFERENCES ledger_transactions,
    line       int NOT NULL,
    account    text NOT NULL, -- psp_receivable:<PSP>, merchant, unapplied
    currency   text NOT NULL,
    amount     bigint NOT NULL CHECK (amount <> 0), -- debit positive, credit negative
    payment_id uuid NOT NULL REFERENCES payments,
    PRIMARY KEY (txn_id, line)
);
CREATE INDEX ledger_entries_by_payment ON ledger_entries (payment_id);

-- All entries of a transaction are inserted by one statement, so the sum is checked once per statement.
CREATE FUNCTION ledger_check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM inserted GROUP BY txn_id, currency HAVING sum(amount) <> 0;
    IF FOUND THEN
        RAISE EXCEPTION 'a ledger transaction does not sum to zero';
    END IF;
    PERFORM 1 FROM ledger_entries e
      JOIN (SELECT txn_id, count(*) AS lines FROM inserted GROUP BY txn_id) i USING (txn_id)
     GROUP BY e.txn_id, i.lines HAVING count(*) <> i.lines;
    IF FOUND THEN
        RAISE EXCEPTION 'a ledger transaction is complete once it is written';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_balance AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_balance();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON facts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---- inbox: everything that the stream brought, once per PSP, event id and payment ----

CREATE TABLE inbox (
    inbox_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    psp            text NOT NULL,
    event_id       text NOT NULL,
    payment_ref    text NOT NULL, -- the payment id that it names; an event id seen for another payment is another event
    source         text NOT NULL,
    body           bytea NOT NULL,
    http_status    int NOT NULL DEFAULT 0, -- of a status answer
    request_id     text,
    received_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    outcome        text CHECK (outcome IN ('applied', 'duplicate', 'parked', 'dead')), -- NULL only inside its transaction
    reason         text,
    tries          int NOT NULL DEFAULT 0,
    retry_at       timestamptz,              -- parked: not before
    dead_copied_at timestamptz,              -- dead: when its copy went to the dead letter stream
    UNIQUE (psp, event_id, payment_ref)
);
CREATE INDEX inbox_parked ON inbox (retry_at) WHERE outcome = 'parked';
CREATE INDEX inbox_dead_to_copy ON inbox (inbox_id) WHERE outcome = 'dead' AND dead_copied_at IS NULL;

-- ---- outbox: one row per event, gap-free along the feed and per order ----

CREATE TABLE outbox (
    event_id   bigint PRIMARY KEY,
    order_id   uuid NOT NULL REFERENCES orders,
    payment_id uuid REFERENCES payments,
    user_id    text NOT NULL,
    seq        int NOT NULL,
    type       text NOT NULL,
    payload    text NOT NULL, -- the JSON that sockets and subscribers get, rendered from the rows as committed
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(), -- under the lock of the feed: in the order of event_id
    UNIQUE (order_id, seq)
);
CREATE INDEX outbox_by_user ON outbox (user_id, event_id);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The one row that numbers the feed. A transaction advances it as its last write and holds its lock until it has committed: so
-- numbers have no gaps and become visible in their order, and a reader that saw event n has seen every event before it.
CREATE TABLE feed (
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    last_event_id bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO feed DEFAULT VALUES;

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

-- ---- for auditors ----

CREATE VIEW audit_facts AS
    SELECT f.order_id, f.payment_id, f.psp, f.kind, f.psp_ref, f.amount, f.currency, f.source,
           a.fact_id IS NOT NULL AS applied, f.recorded_at
      FROM facts f LEFT JOIN applied_captures a USING (fact_id);
CREATE VIEW audit_ledger AS
    SELECT e.txn_id, e.account, e.currency, e.amount, e.payment_id, t.created_at
      FROM ledger_entries e JOIN ledger_transactions t USING (txn_id);
CREATE VIEW audit_outbox AS
    SELECT event_id, order_id, seq, type, payload, created_at FROM outbox;
GRANT SELECT ON audit_facts, audit_ledger, audit_outbox TO tiffin_audit;

-- RFC 3339 as the services write it: fractions of a second only when there are some, in 3 or 6 digits.
CREATE FUNCTION rfc3339(at timestamptz) RETURNS text STABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', CASE
        WHEN extract(microseconds FROM at)::int % 1000000 = 0 THEN 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
        WHEN extract(microseconds FROM at)::int % 1000 = 0 THEN 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
        ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' END)
$$;
