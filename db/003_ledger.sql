-- 003_ledger.sql - double entry, immutable, every transaction sums to zero per currency; a hash chain over it.
--
-- What a fact is worth in the books follows from what the fact comes to and from whether its capture was applied or accepted
-- (ledger_due). Booking posts the difference between that and what is booked: nothing when it is booked already, the whole when
-- the fact is new, a correction when its amount was. Repeating it does nothing.

CREATE TABLE ledger_transactions (
    txn_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL, -- capture, refund, settlement, dispute, correction
    fact_id    bigint NOT NULL REFERENCES facts,
    revision   int NOT NULL,  -- 1: the fact's first
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (fact_id, revision)
) WITH (autovacuum_freeze_min_age = 0);
CREATE TABLE ledger_entries (
    txn_id     bigint NOT NULL REFERENCES ledger_transactions,
    line       int NOT NULL,
    account    text NOT NULL CHECK (account IN ('merchant', 'unapplied', 'refunds', 'fees', 'settlement', 'disputes')
                                    OR account LIKE 'psp\_receivable:_%'),
    currency   text NOT NULL,
    amount     bigint NOT NULL CHECK (amount <> 0), -- debit positive, credit negative
    payment_id uuid NOT NULL, -- of the transaction's fact
    PRIMARY KEY (txn_id, line)
) WITH (autovacuum_freeze_min_age = 0);

-- All entries of a transaction are inserted by one statement, so the sum is checked once per statement.
CREATE FUNCTION ledger_check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM inserted GROUP BY txn_id, currency HAVING sum(amount) <> 0;
    IF FOUND THEN
        RAISE EXCEPTION 'a ledger transaction does not sum to zero';
    END IF;
    PERFORM 1 FROM (SELECT txn_id, count(*) AS lines FROM inserted GROUP BY txn_id) i
      WHERE i.lines <> (SELECT count(*) FROM ledger_entries e WHERE e.txn_id = i.txn_id);
    IF FOUND THEN
        RAISE EXCEPTION 'a ledger transaction is complete once it is written';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_balance AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_balance();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What each of these facts is worth in the books now. A capture is owed by its PSP; it is the merchant's when it was applied to its
-- order or accepted by the operator, else nobody's yet. A refund of ours takes back what its capture has brought, from whom the
-- capture is; one that the PSP made by itself is the merchant's when a capture of its payment is, else it takes back what is nobody's;
-- one that was not made after all is worth nothing.
CREATE FUNCTION ledger_due(fact_ids bigint[])
RETURNS TABLE (fact_id bigint, payment_id uuid, line int, account text, currency text, amount bigint) STABLE LANGUAGE sql AS $$
    SELECT f.fact_id, f.payment_id, l.line, l.account, f.currency, l.amount
      FROM facts f
      LEFT JOIN refunds r ON r.refund_id = f.refund_id
      LEFT JOIN applied_captures a ON a.fact_id = coalesce(r.capture_fact_id, f.fact_id)
      LEFT JOIN discrepancies d ON d.fact_id = coalesce(r.capture_fact_id, f.fact_id) AND d.kind = 'amount_mismatch'
           AND d.decision = 'accept'
     CROSS JOIN LATERAL (
           SELECT CASE WHEN f.kind = 'refund_succeeded' AND r.refund_id IS NULL
                       THEN EXISTS (SELECT FROM applied_captures x WHERE x.order_id = f.order_id AND x.payment_id = f.payment_id)
                            OR EXISTS (SELECT FROM discrepancies x WHERE x.payment_id = f.payment_id AND x.kind = 'amount_mismatch'
                                                                     AND x.decision = 'accept')
                       ELSE a.fact_id IS NOT NULL OR d.fact_id IS NOT NULL END AS merchants) AS c
     CROSS JOIN LATERAL (
           SELECT 1, 'psp_receivable:' || f.psp, f.amount WHERE f.kind = 'captured'
           UNION ALL
           SELECT 2, CASE WHEN c.merchants THEN 'merchant' ELSE 'unapplied' END, -f.amount WHERE f.kind = 'captured'
           UNION ALL
           SELECT 1, CASE WHEN c.merchants THEN 'refunds' ELSE 'unapplied' END, f.amount
            WHERE f.kind = 'refund_succeeded' AND NOT f.undone
           UNION ALL
           SELECT 2, 'psp_receivable:' || f.psp, -f.amount WHERE f.kind = 'refund_succeeded' AND NOT f.undone
           UNION ALL
           SELECT 1, 'settlement', f.amount - f.fee WHERE f.kind = 'settled'
           UNION ALL
           SELECT 2, 'fees', f.fee WHERE f.kind = 'settled'
           UNION ALL
           SELECT 3, 'psp_receivable:' || f.psp, -f.amount WHERE f.kind = 'settled'
           UNION ALL
           SELECT 1, 'disputes', f.amount WHERE f.kind = 'dispute_lost'
           UNION ALL
           SELECT 2, 'psp_receivable:' || f.psp, -f.amount WHERE f.kind = 'dispute_lost'
           ) AS l(line, account, amount)
     WHERE f.fact_id = ANY (fact_ids) AND l.amount <> 0
$$;
REVOKE ALL ON FUNCTION ledger_due FROM PUBLIC;

-- Books what is due and not yet booked. The caller holds the locks of the facts' payments.
CREATE FUNCTION ledger_book(fact_ids bigint[]) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    unbalanced bigint[]; -- facts that have something to be booked, ascending
    txns       bigint[]; -- the transaction of each
    -- the lines
    places     int[];    -- in `unbalanced`
    lines      int[];
    accounts   text[];
    currencies text[];
    amounts    bigint[];
    payments   uuid[];
BEGIN
    WITH booked AS (
        SELECT t.fact_id, e.payment_id, e.account, e.currency, e.amount
          FROM ledger_transactions t JOIN ledger_entries e USING (txn_id) WHERE t.fact_id = ANY (fact_ids)
    ), open AS (
        SELECT s.fact_id, s.payment_id, s.account, s.currency, sum(s.amount)::bigint AS amount, min(s.line) AS line
          FROM (SELECT d.fact_id, d.payment_id, d.line, d.account, d.currency, d.amount FROM ledger_due(fact_ids) d
                UNION ALL
                SELECT b.fact_id, b.payment_id, 9, b.account, b.currency, -b.amount FROM booked b) s
         GROUP BY s.fact_id, s.payment_id, s.account, s.currency
        HAVING sum(s.amount) <> 0
    ), placed AS (
        SELECT o.*, dense_rank() OVER (ORDER BY o.fact_id)::int AS place,
               row_number() OVER (PARTITION BY o.fact_id ORDER BY o.line, o.account, o.currency)::int AS number
          FROM open o
    )
    SELECT array_agg(p.fact_id ORDER BY p.place) FILTER (WHERE p.number = 1), array_agg(p.place), array_agg(p.number),
           array_agg(p.account), array_agg(p.currency), array_agg(p.amount), array_agg(p.payment_id)
      INTO unbalanced, places, lines, accounts, currencies, amounts, payments FROM placed p;
    IF unbalanced IS NULL THEN
        RETURN;
    END IF;
    WITH written AS (
        INSERT INTO ledger_transactions (kind, fact_id, revision)
        SELECT CASE WHEN n.revisions > 0 THEN 'correction'
                    ELSE CASE f.kind WHEN 'captured' THEN 'capture' WHEN 'refund_succeeded' THEN 'refund'
                                     WHEN 'settled' THEN 'settlement' ELSE 'dispute' END END,
               f.fact_id, n.revisions + 1
          FROM facts f
         CROSS JOIN LATERAL (SELECT count(*)::int AS revisions FROM ledger_transactions t WHERE t.fact_id = f.fact_id) n
         WHERE f.fact_id = ANY (unbalanced)
         ORDER BY f.fact_id
        RETURNING txn_id, fact_id
    )
    SELECT array_agg(w.txn_id ORDER BY w.fact_id) INTO txns FROM written w;
    INSERT INTO ledger_entries (txn_id, line, account, currency, amount, payment_id)
    SELECT txns[l.place], l.line, l.account, l.currency, l.amount, l.payment_id
      FROM unnest(places, lines, accounts, currencies, amounts, payments) AS l(place, line, account, currency, amount, payment_id);
END
$$;
REVOKE ALL ON FUNCTION ledger_book FROM PUBLIC;

-- ---- the chain: proof that what was booked has not been changed since ----

-- One seal per transaction; each hash covers the one before it and the whole transaction. Whoever keeps one hash elsewhere can tell
-- later whether anything before it was changed (verify --head).
CREATE TABLE ledger_seals (
    position  bigint PRIMARY KEY,
    txn_id    bigint NOT NULL UNIQUE REFERENCES ledger_transactions,
    hash      bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_freeze_min_age = 0);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Up to where every transaction is sealed or will never come. Numbers are drawn before the commit, so one may appear whose txn_id is
-- smaller than one that is sealed: what is sealed becomes the floor once every transaction has ended that was running then.
CREATE TABLE ledger_seal_state (
    only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    floor_txn_id      bigint NOT NULL DEFAULT 0,
    next_floor_txn_id bigint NOT NULL DEFAULT 0,
    next_floor_after  xid8 NOT NULL DEFAULT '0' -- when no older transaction runs
);
INSERT INTO ledger_seal_state DEFAULT VALUES;

-- Everything of a transaction, as text.
CREATE FUNCTION ledger_content(of_txn_id bigint) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT format('%s|%s|%s|%s|%s', t.txn_id, t.kind, t.fact_id, t.revision, extract(epoch FROM t.created_at))
           || coalesce((SELECT string_agg(format(E'\n%s|%s|%s|%s|%s', e.line, e.account, e.currency, e.amount, e.payment_id), ''
                                          ORDER BY e.line)
                          FROM ledger_entries e WHERE e.txn_id = t.txn_id), '')
      FROM ledger_transactions t WHERE t.txn_id = of_txn_id
$$;
CREATE FUNCTION ledger_hash(previous bytea, content text) RETURNS bytea IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT sha256(coalesce(previous, '') || convert_to(coalesce(content, ''), 'UTF8'))
$$;

-- Extends the chain by at most so many transactions; how many. One session at a time, another has nothing to do. (Whoever books has
-- locked its rows, and so has its transaction id, before it draws a number.)
CREATE FUNCTION ledger_seal(at_most int) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    state         ledger_seal_state;
    last_position bigint;
    last_hash     bytea;
    last_txn_id   bigint;
    next_txn      record;
    txn_ids       bigint[] := '{}';
    hashes        bytea[] := '{}';
    sealed        bigint;
    running       pg_snapshot;
BEGIN
    SELECT t.* INTO state FROM ledger_seal_state t WHERE t.only_row FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    running := pg_current_snapshot(); -- before the transactions are read: one that ends in between does not count as ended
    SELECT s.position, s.hash INTO last_position, last_hash FROM ledger_seals s ORDER BY s.position DESC LIMIT 1;
    FOR next_txn IN
        SELECT t.txn_id, ledger_content(t.txn_id) AS content FROM ledger_transactions t
         WHERE t.txn_id > state.floor_txn_id
           AND NOT EXISTS (SELECT FROM ledger_seals s WHERE s.txn_id = t.txn_id AND s.txn_id > state.floor_txn_id)
         ORDER BY t.txn_id LIMIT at_most
    LOOP
        last_hash := ledger_hash(last_hash, next_txn.content);
        txn_ids := txn_ids || next_txn.txn_id;
        hashes := hashes || last_hash;
        last_txn_id := next_txn.txn_id;
    END LOOP;
    INSERT INTO ledger_seals (position, txn_id, hash)
    SELECT coalesce(last_position, 0) + n.n, n.txn_id, n.hash FROM unnest(txn_ids, hashes) WITH ORDINALITY AS n(txn_id, hash, n);
    sealed := cardinality(txn_ids);
    -- Up to where all that is seen is sealed: when there was more than at_most, up to the last of it.
    IF sealed < at_most THEN
        last_txn_id := coalesce((SELECT max(s.txn_id) FROM ledger_seals s), 0);
    END IF;
    -- An id beyond all is of a cluster that this database was copied from: nothing of it runs here.
    IF state.next_floor_after <= pg_snapshot_xmin(running) OR state.next_floor_after > pg_snapshot_xmax(running) THEN
        UPDATE ledger_seal_state t
           SET floor_txn_id = least(state.next_floor_txn_id, last_txn_id),
               next_floor_txn_id = last_txn_id,
               next_floor_after = pg_snapshot_xmax(pg_current_snapshot())
         WHERE t.only_row;
    END IF;
    RETURN sealed;
END
$$;
REVOKE ALL ON FUNCTION ledger_seal FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_seal TO tiffin_reconciler;

-- The newest hash; NULL while nothing is sealed.
CREATE FUNCTION ledger_head() RETURNS text STABLE LANGUAGE sql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    SELECT encode(s.hash, 'hex') FROM ledger_seals s ORDER BY s.position DESC LIMIT 1
$$;

-- What is wrong with the chain, a line each; nothing when all is well. With `head`, a hash kept from earlier: also when it is not in
-- the chain any more, that is when something before it was changed and the chain made anew.
CREATE FUNCTION ledger_chain_faults(head text) RETURNS TABLE (fault text) STABLE LANGUAGE sql
SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    SELECT format('transaction %s (position %s) is not what was sealed', s.txn_id, s.position)
      FROM (SELECT s.*, lag(s.hash) OVER (ORDER BY s.position) AS previous FROM ledger_seals s) s
     WHERE s.hash <> ledger_hash(s.previous, ledger_content(s.txn_id))
    UNION ALL
    SELECT format('positions of the chain have a gap before %s', s.position)
      FROM (SELECT s.position, lag(s.position, 1, 0::bigint) OVER (ORDER BY s.position) AS previous FROM ledger_seals s) s
     WHERE s.position <> s.previous + 1
    UNION ALL
    SELECT format('transaction %s is not sealed', t.txn_id)
      FROM ledger_transactions t LEFT JOIN ledger_seals s USING (txn_id)
     WHERE s.txn_id IS NULL
    UNION ALL
    SELECT format('entries of transaction %s have no transaction', e.txn_id)
      FROM ledger_entries e LEFT JOIN ledger_transactions t USING (txn_id) WHERE t.txn_id IS NULL
    UNION ALL
    SELECT format('head %s is not in the chain', head)
     WHERE head IS NOT NULL
       AND NOT EXISTS (SELECT FROM ledger_seals s WHERE encode(s.hash, 'hex') = lower(head))
$$;
REVOKE ALL ON FUNCTION ledger_head, ledger_chain_faults, ledger_content, ledger_hash FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_head, ledger_chain_faults TO tiffin_audit;
