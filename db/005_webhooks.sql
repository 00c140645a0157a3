-- 005_webhooks.sql - what the webhook-processor may do: the whole effect of a batch of reports in one transaction.

-- Applies reports (element i of each array belongs to report i). A report is what one webhook or one status answer says; the inbox
-- row keeps its bytes and how it ended:
--
--   applied    its payment exists: the fact is recorded (or was already: it changes nothing a second time)
--   duplicate  this event id was handled before for this payment, or its fact was known
--   parked     its payment is not there (yet): tried again later, until park_for_s after its receipt
--   dead       it can never apply; `reason` says why
--
-- Locks are taken first, in a fixed order (orders, then payments, each by id), in statements of their own: every later statement
-- reads a snapshot that is newer than the lock. The feed's row comes last. Which payments exist is decided once, before the locks:
-- each statement has a snapshot of its own, and a payment that is committed between two of them would be missing for its fact and
-- there for its outcome. Such a one is not known in this call; its report is parked and finds it next time.
--
-- Returns one row per report (position 1 … n), then one row per new event (position 0, with type and payload).
CREATE FUNCTION webhooks_apply(psps text[], event_ids text[], sources text[], payment_ids uuid[], order_ids uuid[], kinds text[],
                               psp_refs text[], refs_per_payment boolean[], amounts bigint[], currencies text[],
                               occurred_at_us bigint[], reasons text[], bodies bytea[], http_statuses int[],
                               received_at_us bigint[], request_ids text[], park_for_s bigint)
RETURNS TABLE ("position" bigint, outcome text, reason text, payment_id uuid, order_id uuid, type text, payload text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    nil        CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    known      uuid[];   -- payment_ids, NULL where there is no such payment
    open_rows  bigint[]; -- inbox rows that this call decides
    fact_ids   bigint[]; -- facts that are new
BEGIN
    -- 1. Locks.
    known := ARRAY(SELECT p.payment_id FROM unnest(payment_ids) WITH ORDINALITY AS r(payment_id, n)
                     LEFT JOIN payments p ON p.payment_id = r.payment_id ORDER BY r.n);
    PERFORM 1 FROM orders o
      WHERE o.order_id IN (SELECT p.order_id FROM payments p WHERE p.payment_id = ANY (known))
      ORDER BY o.order_id FOR NO KEY UPDATE;
    PERFORM 1 FROM payments p WHERE p.payment_id = ANY (known) ORDER BY p.payment_id FOR NO KEY UPDATE;

    -- 2. The inbox: new rows, in key order so that two batches cannot wait for each other in a circle.
    INSERT INTO inbox (psp, event_id, payment_ref, source, body, http_status, request_id, received_at)
    SELECT DISTINCT ON (r.psp, r.event_id, r.payment_id)
           r.psp, r.event_id, coalesce(r.payment_id, nil)::text, r.source, r.body, r.http_status, r.request_id,
           to_timestamp(r.received_at_us / 1000000.0)
      FROM unnest(psps, event_ids, payment_ids, sources, bodies, http_statuses, request_ids, received_at_us)
           WITH ORDINALITY AS r(psp, event_id, payment_id, source, body, http_status, request_id, received_at_us, n)
     ORDER BY r.psp, r.event_id, r.payment_id, r.n
    ON CONFLICT DO NOTHING;

    -- What is still open among them: new, or parked and due to be tried again.
    open_rows := ARRAY(
        SELECT i.inbox_id FROM inbox i
         WHERE (i.psp, i.event_id, i.payment_ref) IN (
                   SELECT r.psp, r.event_id, coalesce(r.payment_id, nil)::text
                     FROM unnest(psps, event_ids, payment_ids) AS r(psp, event_id, payment_id))
           AND (i.outcome IS NULL OR i.outcome = 'parked')
         ORDER BY i.inbox_id FOR NO KEY UPDATE);

    -- 3. Facts, each once whoever brings it, numbered as they arrived. Of several reports with one key only the first counts, as
    -- if they had come one by one.
    WITH recorded AS (
        INSERT INTO facts (psp, kind, psp_ref, ref_scope, payment_id, order_id, amount, currency, matches, source, reason,
                           occurred_at)
        SELECT e.psp, e.kind, e.psp_ref, e.ref_scope, e.payment_id, e.order_id, e.amount, e.currency, e.matches, e.source,
               e.reason, e.occurred_at
          FROM (SELECT DISTINCT ON (r.psp, r.kind, r.psp_ref, r.ref_scope)
                       r.n, r.psp, r.kind, r.psp_ref, r.ref_scope, p.payment_id, p.order_id, r.amount,
                       coalesce(r.currency, p.currency) AS currency,
                       r.amount = p.amount AND coalesce(r.currency, p.currency) = p.currency AS matches, r.source, r.reason,
                       to_timestamp(r.occurred_at_us / 1000000.0) AS occurred_at
                  FROM (SELECT u.*, CASE WHEN u.ref_per_payment THEN u.payment_id ELSE nil END AS ref_scope,
                               row_number() OVER (PARTITION BY u.psp, u.event_id, u.payment_id ORDER BY u.n) AS repetition
                          FROM unnest(psps, event_ids, sources, known, order_ids, kinds, psp_refs, refs_per_payment, amounts,
                                      currencies, occurred_at_us, reasons)
                               WITH ORDINALITY AS u(psp, event_id, source, payment_id, order_id, kind, psp_ref, ref_per_payment,
                                                    amount, currency, occurred_at_us, reason, n)) r
                  JOIN payments p ON p.payment_id = r.payment_id AND (r.order_id IS NULL OR r.order_id = p.order_id)
                  JOIN inbox i ON i.psp = r.psp AND i.event_id = r.event_id AND i.payment_ref = r.payment_id::text
                 WHERE r.repetition = 1 AND i.inbox_id = ANY (open_rows) AND r.kind IN ('captured', 'failed')
                 ORDER BY r.psp, r.kind, r.psp_ref, r.ref_scope, r.n) e
         ORDER BY e.n
        ON CONFLICT DO NOTHING
        RETURNING facts.fact_id
    )
    SELECT array_agg(f.fact_id) INTO fact_ids FROM recorded f;

    IF fact_ids IS NOT NULL THEN
        -- 4. The first right capture of an open order is the one that pays it.
        INSERT INTO applied_captures (order_id, fact_id, payment_id)
        SELECT DISTINCT ON (f.order_id) f.order_id, f.fact_id, f.payment_id
          FROM facts f JOIN orders o ON o.order_id = f.order_id
         WHERE f.fact_id = ANY (fact_ids) AND f.kind = 'captured' AND f.matches
           AND o.expired_at IS NULL AND o.cancelled_at IS NULL AND o.expires_at > now()
         ORDER BY f.order_id, f.fact_id
        ON CONFLICT DO NOTHING;

        -- 5. Sums.
        UPDATE payments p
           SET capture_count = p.capture_count + s.captures,
               captured_amount = p.captured_amount + s.captured,
               mismatch_count = p.mismatch_count + s.mismatches,
               failure_count = p.failure_count + s.failures,
               applied = p.applied OR s.applied
          FROM (SELECT f.payment_id,
                       count(*) FILTER (WHERE f.kind = 'captured') AS captures,
                       coalesce(sum(f.amount) FILTER (WHERE f.kind = 'captured' AND f.currency = q.currency), 0) AS captured,
                       count(*) FILTER (WHERE f.kind = 'captured' AND NOT f.matches) AS mismatches,
                       count(*) FILTER (WHERE f.kind = 'failed') AS failures,
                       bool_or(a.fact_id IS NOT NULL) AS applied
                  FROM facts f
                  JOIN payments q ON q.payment_id = f.payment_id
                  LEFT JOIN applied_captures a ON a.fact_id = f.fact_id
                 WHERE f.fact_id = ANY (fact_ids)
                 GROUP BY f.payment_id) s
         WHERE p.payment_id = s.payment_id;
        UPDATE orders o SET paid_amount = f.amount
          FROM applied_captures a JOIN facts f ON f.fact_id = a.fact_id
         WHERE a.fact_id = ANY (fact_ids) AND o.order_id = a.order_id;

        -- 6. Ledger: the PSP owes us what it captured; it is the merchant's when applied, else nobody's yet.
        WITH booked AS (
            INSERT INTO ledger_transactions (kind, fact_id)
            SELECT 'capture', f.fact_id FROM facts f
             WHERE f.fact_id = ANY (fact_ids) AND f.kind = 'captured' ORDER BY f.fact_id
            RETURNING txn_id, fact_id
        )
        INSERT INTO ledger_entries (txn_id, line, account, currency, amount, payment_id)
        SELECT b.txn_id, l.line, l.account, f.currency, l.amount, f.payment_id
          FROM booked b
          JOIN facts f ON f.fact_id = b.fact_id
          LEFT JOIN applied_captures a ON a.fact_id = f.fact_id
          CROSS JOIN LATERAL (VALUES
              (1, 'psp_receivable:' || f.psp, f.amount),
              (2, CASE WHEN a.fact_id IS NOT NULL THEN 'merchant' ELSE 'unapplied' END, -f.amount)
          ) AS l(line, account, amount);

        INSERT INTO discrepancies (kind, payment_id, fact_id, detail)
        SELECT 'amount_mismatch', f.payment_id, f.fact_id,
               format('%s captured %s %s, the payment is for %s %s', f.psp, f.amount, f.currency, p.amount, p.currency)
          FROM facts f JOIN payments p ON p.payment_id = f.payment_id
         WHERE f.fact_id = ANY (fact_ids) AND f.kind = 'captured' AND NOT f.matches;
    END IF;

    -- 7. How each open inbox row ends.
    UPDATE inbox i
       SET tries = i.tries + 1,
           outcome = CASE
               WHEN d.kind = 'malformed' THEN 'dead'
               WHEN d.known_order IS NOT NULL AND d.order_id IS DISTINCT FROM d.known_order AND d.order_id IS NOT NULL THEN 'dead'
               WHEN d.known_order IS NOT NULL AND d.kind = 'none' THEN 'applied'
               WHEN d.known_order IS NOT NULL AND d.fact_id = ANY (coalesce(fact_ids, '{}')) THEN 'applied'
               WHEN d.known_order IS NOT NULL THEN 'duplicate'
               WHEN now() >= i.received_at + make_interval(secs => park_for_s) THEN 'dead'
               ELSE 'parked' END,
           reason = CASE
               WHEN d.kind = 'malformed' THEN 'MALFORMED: ' || coalesce(d.reason, '')
               WHEN d.known_order IS NULL THEN 'PAYMENT_NOT_FOUND'
               WHEN d.order_id IS DISTINCT FROM d.known_order AND d.order_id IS NOT NULL THEN 'ORDER_MISMATCH' END,
           retry_at = CASE WHEN d.known_order IS NULL AND d.kind <> 'malformed' THEN
               now() + make_interval(secs => least(power(2, least(i.tries, 10)), 30)) END
      FROM (SELECT DISTINCT ON (j.inbox_id) j.inbox_id, r.kind, r.order_id, r.reason, p.order_id AS known_order, f.fact_id
              FROM unnest(psps, event_ids, payment_ids, known, order_ids, kinds, psp_refs, refs_per_payment, reasons)
                   WITH ORDINALITY AS r(psp, event_id, payment_id, known_id, order_id, kind, psp_ref, ref_per_payment, reason, n)
              JOIN inbox j ON j.psp = r.psp AND j.event_id = r.event_id AND j.payment_ref = coalesce(r.payment_id, nil)::text
              LEFT JOIN payments p ON p.payment_id = r.known_id
              LEFT JOIN facts f ON f.psp = r.psp AND f.kind = r.kind AND f.psp_ref = r.psp_ref
                   AND f.ref_scope = CASE WHEN r.ref_per_payment THEN r.payment_id ELSE nil END
             WHERE j.inbox_id = ANY (open_rows)
             ORDER BY j.inbox_id, r.n) d
     WHERE i.inbox_id = d.inbox_id;

    -- The answer per report. Of several reports with one key only the first is it, the others are its duplicates; while it is
    -- parked they are too, since a duplicate is remembered as handled.
    RETURN QUERY
        SELECT r.n,
               CASE WHEN i.outcome = 'parked' THEN i.outcome
                    WHEN i.inbox_id = ANY (open_rows)
                         AND row_number() OVER (PARTITION BY i.inbox_id ORDER BY r.n) = 1 THEN i.outcome
                    ELSE 'duplicate' END,
               i.reason, r.payment_id, coalesce(p.order_id, r.order_id), NULL::text, NULL::text
          FROM unnest(psps, event_ids, payment_ids, known, order_ids)
               WITH ORDINALITY AS r(psp, event_id, payment_id, known_id, order_id, n)
          JOIN inbox i ON i.psp = r.psp AND i.event_id = r.event_id AND i.payment_ref = coalesce(r.payment_id, nil)::text
          LEFT JOIN payments p ON p.payment_id = r.known_id
         ORDER BY r.n;

    -- 8. Events, last. A failure after a success changes nothing that a customer should hear of.
    IF fact_ids IS NOT NULL THEN
        RETURN QUERY
            SELECT 0::bigint, NULL::text, NULL::text, e.payment_id, e.order_id, e.type, e.payload
              FROM outbox_append(ARRAY(
                       SELECT ROW (f.order_id, f.payment_id,
                                   CASE WHEN a.fact_id IS NOT NULL THEN 'payment.confirmed'
                                        WHEN f.kind = 'captured' THEN 'payment.mismatch'
                                        ELSE 'payment.failed' END,
                                   f.psp, f.amount, f.currency, f.occurred_at)::new_event
                         FROM facts f
                         JOIN payments p ON p.payment_id = f.payment_id
                         LEFT JOIN applied_captures a ON a.fact_id = f.fact_id
                        WHERE f.fact_id = ANY (fact_ids)
                          AND (a.fact_id IS NOT NULL OR (f.kind = 'captured' AND NOT f.matches)
                               OR (f.kind = 'failed' AND p.capture_count = 0))
                        ORDER BY f.fact_id)) e;
    END IF;
END
$$;

-- Parked rows whose time has come, claimed for lease_s: a processor that dies before it tried them leaves them to the next.
CREATE FUNCTION webhooks_claim_parked(at_most int, lease_s int)
RETURNS TABLE (psp text, event_id text, source text, payment_ref text, body bytea, http_status int, received_at_us bigint,
               request_id text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE inbox i SET retry_at = now() + make_interval(secs => lease_s)
     WHERE i.inbox_id IN (SELECT j.inbox_id FROM inbox j
                           WHERE j.outcome = 'parked' AND j.retry_at <= now()
                           ORDER BY j.retry_at LIMIT at_most FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING i.psp, i.event_id, i.source, i.payment_ref, i.body, i.http_status,
              (extract(epoch FROM i.received_at) * 1000000)::bigint, i.request_id
$$;

-- Dead rows without a copy in the dead letter stream, and the mark that they have one (the copy may be made twice, never none).
CREATE FUNCTION webhooks_dead_to_copy(at_most int)
RETURNS TABLE (inbox_id bigint, psp text, event_id text, source text, payment_ref text, reason text, tries int, body bytea,
               received_at_us bigint)
STABLE LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.inbox_id, i.psp, i.event_id, i.source, i.payment_ref, i.reason, i.tries, i.body,
           (extract(epoch FROM i.received_at) * 1000000)::bigint
      FROM inbox i WHERE i.outcome = 'dead' AND i.dead_copied_at IS NULL ORDER BY i.inbox_id LIMIT at_most
$$;
CREATE FUNCTION webhooks_dead_copied(inbox_ids bigint[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE inbox SET dead_copied_at = now() WHERE inbox_id = ANY (inbox_ids) AND dead_copied_at IS NULL
$$;

REVOKE ALL ON FUNCTION webhooks_apply, webhooks_claim_parked, webhooks_dead_to_copy, webhooks_dead_copied FROM PUBLIC;
GRANT EXECUTE ON FUNCTION webhooks_apply, webhooks_claim_parked, webhooks_dead_to_copy, webhooks_dead_copied
    TO tiffin_webhook_processor;
