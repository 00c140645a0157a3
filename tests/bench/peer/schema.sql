-- schema.sql - the peer's tables: columns, keys and indexes as ours have them.
CREATE TABLE orders (
    order_id        uuid PRIMARY KEY,
    user_id         text NOT NULL,
    amount          bigint NOT NULL CHECK (amount > 0),
    currency        text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status          text NOT NULL DEFAULT 'PENDING',
    paid_amount     bigint NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX orders_by_user ON orders (user_id, order_id);
CREATE INDEX orders_open_by_expiry ON orders (expires_at) WHERE status = 'PENDING';

CREATE TABLE idempotency_keys (
    key         text PRIMARY KEY, -- method, path and key
    fingerprint bytea NOT NULL,
    order_id    uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- For webhook_statements.sql.
CREATE TABLE inbox (event_id text PRIMARY KEY, body text NOT NULL, received_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE payments (
    payment_id uuid PRIMARY KEY,
    order_id   uuid NOT NULL,
    status     text NOT NULL,
    captured   bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX payments_by_order ON payments (order_id);
CREATE TABLE ledger (
    entry_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id uuid NOT NULL,
    account    text NOT NULL,
    amount     bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ledger_by_payment ON ledger (payment_id);
CREATE TABLE outbox (
    event_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   uuid NOT NULL,
    type       text NOT NULL,
    payload    text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_by_order ON outbox (order_id);
