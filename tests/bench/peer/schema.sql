-- schema.sql - the peer's tables: columns, keys and indexes of orders, payments and idempotency keys as db/001_tables.sql and
-- db/004_idempotency.sql have them, without what only refunds and disputes need; what a webhook brings, one plain row each.
CREATE TABLE orders (
    order_id        uuid PRIMARY KEY, -- version 7
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
    paid_amount     bigint NOT NULL DEFAULT 0 CHECK (paid_amount >= 0),
    refunded_amount bigint NOT NULL DEFAULT 0 CHECK (refunded_amount >= 0),
    event_seq       int NOT NULL DEFAULT 0,
    status          text NOT NULL GENERATED ALWAYS AS (
        CASE WHEN paid_amount > 0 AND refunded_amount >= paid_amount THEN 'REFUNDED'
             WHEN paid_amount > 0 AND refunded_amount > 0 THEN 'PARTIALLY_REFUNDED'
             WHEN paid_amount > 0 THEN 'PAID'
             WHEN cancelled_at IS NOT NULL THEN 'CANCELLED'
             WHEN expired_at IS NOT NULL THEN 'EXPIRED'
             ELSE 'PENDING' END) STORED
) WITH (fillfactor = 85);
CREATE INDEX orders_by_user ON orders (user_id, order_id);
CREATE INDEX orders_by_receipt ON orders (receipt, order_id) WHERE receipt IS NOT NULL;
CREATE INDEX orders_open_by_expiry ON orders (expires_at)
    WHERE expired_at IS NULL AND cancelled_at IS NULL AND paid_amount = 0;

CREATE TABLE idempotency_keys (
    idempotency_id uuid PRIMARY KEY, -- of method, path and key
    fingerprint    uuid NOT NULL,    -- of the body
    resource_id    uuid NOT NULL,    -- of the order or payment that the first request made
    created_at     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 85);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE TABLE payments (
    payment_id      uuid PRIMARY KEY, -- version 7
    order_id        uuid NOT NULL REFERENCES orders,
    method          text NOT NULL,
    amount          bigint NOT NULL CHECK (amount > 0),
    currency        text NOT NULL,
    psp             text NOT NULL,
    checkout_url    text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    captured_amount bigint NOT NULL DEFAULT 0,
    failure_count   int NOT NULL DEFAULT 0,
    status          text NOT NULL GENERATED ALWAYS AS (
        CASE WHEN captured_amount > 0 THEN 'SUCCESS' WHEN failure_count > 0 THEN 'FAILED' ELSE 'PENDING' END) STORED
) WITH (fillfactor = 80);
CREATE INDEX payments_by_order ON payments (order_id, payment_id);

CREATE TABLE events (
    psp         text NOT NULL,
    event_id    text NOT NULL,
    payment_id  uuid NOT NULL,
    body        bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (psp, event_id, payment_id)
);

CREATE TABLE ledger_entries (
    entry_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments,
    account    text NOT NULL,
    currency   text NOT NULL,
    amount     bigint NOT NULL CHECK (amount <> 0), -- debit positive, credit negative
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ledger_entries_by_payment ON ledger_entries (payment_id);

CREATE TABLE outbox (
    event_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   uuid NOT NULL REFERENCES orders,
    payment_id uuid NOT NULL REFERENCES payments,
    user_id    text NOT NULL,
    seq        int NOT NULL,
    type       text NOT NULL,
    payload    text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (order_id, seq)
);
CREATE INDEX outbox_by_user ON outbox (user_id, event_id);
