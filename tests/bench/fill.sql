-- fill.sql - fills a migrated, empty database with :orders orders of the last 100 days, each with the life that it would have had.
--
--   psql -v orders=1000000 -f tests/bench/fill.sql URL      as its owner, a superuser; 10 million take some minutes and 25 GB
--
-- Of 100 orders 87 are paid, 7 of them by a second payment after one that failed; 1 is paid and given back; 7 are tried and 4 are
-- not, and expire; 1 is cancelled. A user has 20 orders. Events and webhooks of the last 35 days are there, older ones were forgotten;
-- Idempotency-Keys are there for a day. References and event ids are random, as PSPs' are: the worst case for an index.
-- What has a number has it by its order: fact 3i + 1 is the capture of order i, and transaction and webhook 3i + 1 are that fact's.
\set ON_ERROR_STOP on
\set QUIET on
SET session_replication_role = replica; -- no triggers: what is filled in is as they would have it
SET synchronous_commit = off;
SET work_mem = '256MB';
SET maintenance_work_mem = '512MB';
SET client_min_messages = warning;

-- Indexes are built afterwards, and foreign keys hold from then on.
CREATE TEMP TABLE set_aside AS
    SELECT conrelid::regclass::text AS of_table, conname AS name, 'ALTER TABLE %s DROP CONSTRAINT %I' AS dropping,
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
           || CASE contype WHEN 'f' THEN ' NOT VALID' ELSE '' END AS making, CASE contype WHEN 'f' THEN 3 ELSE 1 END AS turn
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f')
    UNION ALL
    SELECT x.indrelid::regclass::text, c.relname, 'DROP INDEX %2$I', pg_get_indexdef(x.indexrelid), 2
      FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
     WHERE c.relnamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid);
SELECT format(dropping, of_table, name) FROM set_aside ORDER BY turn DESC, name \gexec

CREATE FUNCTION pg_temp.id_at(at timestamptz, salt text) RETURNS uuid LANGUAGE sql AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(salt), 1, 3) || '8'
            || substr(md5(salt), 5, 15))::uuid
$$;

-- One row per order: what its life was, and how many events it and all before it have had.
CREATE UNLOGGED TABLE lives AS
    SELECT i, at, kind, pg_temp.id_at(at, 'o' || i) AS order_id, pg_temp.id_at(at + interval '2 s', 'p' || i) AS payment_id,
           CASE kind WHEN 'second' THEN pg_temp.id_at(at + interval '90 s', 'q' || i) END AS second_id,
           'u' || hashint8(i)::bigint % (:orders / 20) AS user_id, 10000 + i % 90000 AS amount,
           CASE WHEN i % 10 < 7 THEN 'Razorpay' WHEN i % 10 < 9 THEN 'Cashfree' ELSE 'Juspay' END AS psp,
           kind IN ('paid', 'second', 'refunded') AS is_paid, sum(events) OVER (ORDER BY i)::bigint - events AS events_before,
           events
      FROM (SELECT i, now() - interval '1 hour' - (:orders - i) * (interval '100 days' / :orders) AS at,
                   CASE WHEN i % 100 < 80 THEN 'paid' WHEN i % 100 < 87 THEN 'second' WHEN i % 100 < 88 THEN 'refunded'
                        WHEN i % 100 < 95 THEN 'tried' WHEN i % 100 < 99 THEN 'left' ELSE 'cancelled' END AS kind,
                   CASE WHEN i % 100 BETWEEN 80 AND 87 THEN 2 ELSE 1 END AS events
              FROM generate_series(1, :orders::bigint) i) s;
SELECT coalesce(min(i), 1) AS kept_from FROM lives WHERE at > now() - interval '35 days' \gset

BEGIN;
ALTER TABLE payments SET (fillfactor = 95); -- they have grown since they were made: no room for another is left
TRUNCATE orders, payments, attempts, facts, fact_observations, applied_captures, refunds, ledger_transactions, ledger_entries, inbox,
    outbox, idempotency_keys; -- what a table is given in the transaction that empties it is not written twice

INSERT INTO orders (order_id, user_id, amount, currency, receipt, metadata, created_at, expires_at, expired_at, cancelled_at,
                    paid_amount, refunded_amount, event_seq)
SELECT order_id, user_id, amount, 'INR', CASE WHEN i % 2 = 0 THEN 'receipt-' || i END,
       CASE WHEN i % 3 = 0 THEN '{"cart": "a-typical-cart", "table": 12}'::jsonb END, at, at + interval '15 min',
       CASE WHEN kind IN ('tried', 'left') THEN at + interval '15 min' END,
       CASE kind WHEN 'cancelled' THEN at + interval '1 min' END, CASE WHEN is_paid THEN amount ELSE 0 END,
       CASE kind WHEN 'refunded' THEN amount ELSE 0 END, events
  FROM lives ORDER BY i;

CREATE TEMP VIEW tries AS -- payments, in the order of their orders
    SELECT i, at + interval '2 s' AS at, order_id, payment_id, psp, amount, kind <> 'second' AND is_paid AS captured, kind, is_paid,
           3 * i + CASE kind WHEN 'second' THEN 0 ELSE 1 END AS fact_id
      FROM lives WHERE kind <> 'left'
    UNION ALL
    SELECT i, at + interval '90 s', order_id, second_id, psp, amount, true, kind, is_paid, 3 * i + 1 FROM lives WHERE kind = 'second';

INSERT INTO payments (payment_id, order_id, method, amount, currency, psp, checkout_url, created_at, expires_at, expired_at,
                      capture_count, captured_amount, failure_count, refunded_amount, applied, next_check_at)
SELECT payment_id, order_id, 'UPI', amount, 'INR', psp, 'https://checkout.psp.example/v1/' || payment_id, at, at + interval '14 min',
       CASE WHEN NOT captured AND kind IN ('tried', 'cancelled') THEN at + interval '15 min' END, captured::int,
       CASE WHEN captured THEN amount ELSE 0 END, (kind = 'second' AND NOT captured)::int,
       CASE kind WHEN 'refunded' THEN amount ELSE 0 END, captured,
       CASE WHEN captured OR at > now() - interval '7 days' THEN now() + (i % 21600) * interval '1 s' END
  FROM tries;
INSERT INTO attempts (attempt_id, payment_id, number, psp, started_at, outcome, psp_ref, checkout_url, took_ms)
SELECT pg_temp.id_at(at, 'a' || payment_id), payment_id, 1, psp, at, 'OPEN', 'order_' || substr(md5(payment_id::text), 1, 14),
       'https://checkout.psp.example/v1/' || payment_id, 180
  FROM tries;

CREATE TEMP VIEW told AS -- facts
    SELECT fact_id, CASE WHEN captured THEN 'captured' ELSE 'failed' END AS kind, i, psp, payment_id, order_id, amount,
           at + interval '30 s' AS at, NULL::uuid AS refund_id
      FROM tries WHERE captured OR kind = 'second'
    UNION ALL
    SELECT 3 * i + 2, 'refund_succeeded', i, psp, payment_id, order_id, amount, at + interval '1 day',
           pg_temp.id_at(at + interval '1 day', 'r' || i)
      FROM lives WHERE kind = 'refunded';
INSERT INTO facts (fact_id, psp, kind, psp_ref, payment_id, order_id, source, occurred_at, recorded_at, amount, currency, refund_id,
                   matches)
OVERRIDING SYSTEM VALUE
SELECT fact_id, psp, kind, 'pay_' || substr(md5('f' || fact_id), 1, 14), payment_id, order_id, 'webhook', at, at, amount, 'INR',
       refund_id, true
  FROM told;
INSERT INTO fact_observations (observation_id, fact_id, source, amount, fee, currency, refund_id, recorded_at)
OVERRIDING SYSTEM VALUE
SELECT fact_id, fact_id, 'webhook', amount, 0, 'INR', refund_id, at FROM told;
INSERT INTO applied_captures (order_id, fact_id, payment_id, amount, applied_at)
SELECT order_id, fact_id, payment_id, amount, at FROM told WHERE kind = 'captured';
INSERT INTO refunds (refund_id, payment_id, order_id, capture_fact_id, psp, amount, currency, created_at, calls, next_call_at,
                     success_count)
SELECT refund_id, payment_id, order_id, 3 * i + 1, psp, amount, 'INR', at, 1, NULL, 1 FROM told WHERE refund_id IS NOT NULL;
INSERT INTO ledger_transactions (txn_id, kind, fact_id, revision, created_at)
OVERRIDING SYSTEM VALUE
SELECT fact_id, CASE kind WHEN 'captured' THEN 'capture' ELSE 'refund' END, fact_id, 1, at FROM told WHERE kind <> 'failed';
INSERT INTO ledger_entries (txn_id, line, account, currency, amount, payment_id)
SELECT t.fact_id, l.line,
       CASE WHEN l.line = 2 THEN CASE t.kind WHEN 'captured' THEN 'merchant' ELSE 'psp_receivable:' || t.psp END
            ELSE CASE t.kind WHEN 'captured' THEN 'psp_receivable:' || t.psp ELSE 'refunds' END END,
       'INR', CASE l.line WHEN 1 THEN t.amount ELSE -t.amount END, t.payment_id
  FROM told t CROSS JOIN (VALUES (1), (2)) AS l(line) WHERE t.kind <> 'failed';

-- Of one order in 200 there was a webhook, too, that named a payment that was never there.
INSERT INTO inbox (inbox_id, psp, event_id, payment_ref, source, body, headers, request_id, received_at, recorded_at, outcome, reason,
                   payment_id, tries)
OVERRIDING SYSTEM VALUE
SELECT fact_id, psp, 'evt_' || substr(md5('e' || fact_id), 1, 14), payment_id::text, 'webhook',
       convert_to(format('{"event": "payment.%s", "payload": %s}', kind, repeat(md5('b' || fact_id), 8)), 'UTF8'),
       '{"X-Razorpay-Signature": "' || md5(fact_id::text) || '"}', payment_id::text, at, at, 'applied', NULL, payment_id, 1
  FROM told WHERE i >= :kept_from
UNION ALL
SELECT 3 * i + 3, psp, 'evt_' || substr(md5('d' || i), 1, 14), pg_temp.id_at(at, 'n' || i)::text, 'webhook', 'x', '{}', NULL, at, at,
       'dead', 'PAYMENT_NOT_FOUND', NULL, 9
  FROM lives WHERE i % 200 = 0;
INSERT INTO discrepancies (kind, psp, inbox_id, detail, action, created_at)
SELECT 'unknown_reference', psp, inbox_id, 'names a payment that is not there', 'kept as a dead letter', recorded_at
  FROM inbox WHERE outcome = 'dead';

CREATE TEMP VIEW happened AS -- events: kind, and which of its order's it is
    SELECT i, 1 AS seq, CASE WHEN kind IN ('paid', 'refunded') THEN 'payment.confirmed' WHEN kind = 'second' THEN 'payment.failed'
                             WHEN kind = 'cancelled' THEN 'order.cancelled' ELSE 'order.expired' END AS type FROM lives
    UNION ALL
    SELECT i, 2, CASE kind WHEN 'second' THEN 'payment.confirmed' ELSE 'payment.refunded' END FROM lives WHERE events = 2;
INSERT INTO outbox (event_id, order_id, payment_id, user_id, seq, type, payload, created_at)
SELECT l.events_before + h.seq, l.order_id, p.payment_id, l.user_id, h.seq, h.type,
       format('{"event_id":%s,"type":"%s","order_id":"%s","payment_id":"%s","user_id":"%s","gateway":"%s","amount":%s,'
              || '"currency":"INR","status":"SUCCESS","order_status":"PAID","seq":%s,"occurred_at":"2026-01-01T00:00:00Z"}',
              l.events_before + h.seq, h.type, l.order_id, p.payment_id, l.user_id, l.psp, l.amount, h.seq), l.at
  FROM happened h JOIN lives l USING (i)
 CROSS JOIN LATERAL (SELECT CASE WHEN starts_with(h.type, 'order.') THEN NULL WHEN h.seq = 2 THEN coalesce(l.second_id, l.payment_id)
                                 ELSE l.payment_id END) AS p(payment_id)
 WHERE i >= :kept_from;

INSERT INTO idempotency_keys (idempotency_id, fingerprint, resource_id, created_at, holder)
SELECT gen_random_uuid(), gen_random_uuid(), order_id, at, NULL FROM lives WHERE at > now() - interval '25 hours'
UNION ALL
SELECT gen_random_uuid(), gen_random_uuid(), payment_id, at, gen_random_uuid() FROM tries WHERE at > now() - interval '25 hours';

UPDATE feed SET last_event_id = (SELECT max(events_before + events) FROM lives);
UPDATE retention SET inbox_id = 3 * :kept_from, event_id = (SELECT events_before FROM lives WHERE i = :kept_from);
UPDATE ledger_seal_state SET floor_txn_id = 3 * :orders + 2, next_floor_txn_id = 3 * :orders + 2; -- as if all were sealed
SELECT setval(pg_get_serial_sequence(t.of_table, t.in_column), 3 * :orders + 3)
  FROM (VALUES ('facts', 'fact_id'), ('fact_observations', 'observation_id'), ('ledger_transactions', 'txn_id'), ('inbox', 'inbox_id'))
       AS t(of_table, in_column) \g /dev/null
ALTER TABLE payments SET (fillfactor = 80);
COMMIT;

SELECT making FROM set_aside ORDER BY turn, name \gexec
DROP TABLE lives CASCADE;
SET session_replication_role = origin;
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
