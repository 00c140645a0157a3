-- 008_webhooks.sql - what the webhook-processor may do: the whole effect of a batch of reports in one transaction.

-- Brings the sums of these payments, and of their orders and refunds, up to what their facts say. The caller holds their locks.
CREATE FUNCTION sums_refresh(payment_ids uuid[]) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    UPDATE payments p
       SET (authorization_count, capture_count, captured_amount, mismatch_count, failure_count, void_count, expiry_count,
            refunded_amount, disputes_opened, disputes_won, disputes_lost, applied) =
           (SELECT count(*) FILTER (WHERE f.kind = 'authorized'),
                   count(*) FILTER (WHERE f.kind = 'captured'),
                   coalesce(sum(f.amount) FILTER (WHERE f.kind = 'captured' AND f.currency = p.currency), 0),
                   count(*) FILTER (WHERE f.kind = 'captured' AND NOT f.matches),
                   count(*) FILTER (WHERE f.kind = 'failed'),
                   count(*) FILTER (WHERE f.kind = 'voided'),
                   count(*) FILTER (WHERE f.kind = 'expired'),
                   coalesce(sum(f.amount) FILTER (WHERE f.kind = 'refund_succeeded' AND NOT f.undone AND f.currency = p.currency), 0),
                   count(*) FILTER (WHERE f.kind = 'dispute_opened'),
                   count(*) FILTER (WHERE f.kind = 'dispute_won'),
                   count(*) FILTER (WHERE f.kind = 'dispute_lost'),
                   coalesce(bool_or(f.fact_id = (SELECT a.fact_id FROM applied_captures a WHERE a.order_id = p.order_id)), false)
              FROM facts f WHERE f.payment_id = p.payment_id)
     WHERE p.payment_id = ANY (payment_ids);
    UPDATE refunds r
       SET success_count = s.successes, failure_count = s.failures,
           outcome_unknown = r.outcome_unknown AND s.facts = 0,
           next_call_at = CASE WHEN s.successes + s.failures = 0 THEN coalesce(r.next_call_at, now()) END
      FROM (SELECT q.refund_id, count(f.fact_id) AS facts,
                   count(*) FILTER (WHERE f.kind = 'refund_succeeded' AND NOT f.undone) AS successes,
                   count(*) FILTER (WHERE f.kind = 'refund_failed') AS failures
              FROM refunds q LEFT JOIN facts f ON f.refund_id = q.refund_id -- none any more: the PSP says it was another refund
             WHERE q.payment_id = ANY (payment_ids)
             GROUP BY q.refund_id) s
     WHERE r.refund_id = s.refund_id
       AND ((r.success_count, r.failure_count) IS DISTINCT FROM (s.successes, s.failures) OR (r.outcome_unknown AND s.facts > 0));
    -- Of an order counts what belongs to its applied capture: our refunds of it, and those that the PSP made of its payment by
    -- itself.
    UPDATE orders o
       SET paid_amount = s.paid, refunded_amount = s.refunded
      FROM (SELECT a.order_id, a.amount AS paid,
                   CASE WHEN q.refunded_amount = 0 THEN 0
                        ELSE coalesce((SELECT sum(f.amount) FROM facts f LEFT JOIN refunds r ON r.refund_id = f.refund_id
                                        WHERE f.payment_id = a.payment_id AND f.kind = 'refund_succeeded' AND NOT f.undone
                                          AND f.currency = q.currency AND (f.refund_id IS NULL OR r.capture_fact_id = a.fact_id)), 0) END AS refunded
              FROM payments q JOIN applied_captures a ON a.order_id = q.order_id AND a.payment_id = q.payment_id
             WHERE q.payment_id = ANY (payment_ids)) s
     WHERE o.order_id = s.order_id AND (o.paid_amount, o.refunded_amount) IS DISTINCT FROM (s.paid, s.refunded);
END
$$;
REVOKE ALL ON FUNCTION sums_refresh FROM PUBLIC;

-- What a PSP tells under one reference is of one refund: of ours, when any report of it names one of the payment's (of two, the least).
-- One that failed was not made, whatever else is told of it. Brings the facts about refunds that share a reference with these up to
-- that; which it has changed, and whether they are undone since this call. The caller holds the locks of their payments.
CREATE FUNCTION refund_facts_relate(fact_ids bigint[]) RETURNS TABLE (fact_id bigint, undone_now boolean) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    kinds CONSTANT text[] := ARRAY['refund_requested', 'refund_succeeded', 'refund_failed'];
BEGIN
    RETURN QUERY
        UPDATE facts f SET refund_id = r.refund_id, undone = r.undone
          FROM (SELECT g.fact_id, g.undone AS was_undone, g.kind = 'refund_succeeded' AND told.failed AS undone, told.refund_id
                  FROM (SELECT DISTINCT t.psp, t.psp_ref, t.payment_id FROM facts t
                         WHERE t.fact_id = ANY (fact_ids) AND t.kind = ANY (kinds)) ref
                 CROSS JOIN LATERAL (SELECT bool_or(h.kind = 'refund_failed') AS failed,
                                            (array_agg(o.refund_id ORDER BY o.refund_id))[1] AS refund_id
                                       FROM facts h JOIN fact_observations o ON o.fact_id = h.fact_id
                                      WHERE h.psp = ref.psp AND h.kind = ANY (kinds) AND h.psp_ref = ref.psp_ref
                                        AND h.payment_id = ref.payment_id) told
                  JOIN facts g ON g.psp = ref.psp AND g.kind = ANY (kinds) AND g.psp_ref = ref.psp_ref
                       AND g.payment_id = ref.payment_id) r
         WHERE f.fact_id = r.fact_id AND (f.refund_id, f.undone) IS DISTINCT FROM (r.refund_id, r.undone)
        RETURNING f.fact_id, r.undone AND NOT r.was_undone;
END
$$;
REVOKE ALL ON FUNCTION refund_facts_relate FROM PUBLIC;

-- Says what does not fit about these facts, each once. The caller holds the locks of their payments.
CREATE FUNCTION discrepancies_note(fact_ids bigint[]) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO discrepancies (kind, psp, order_id, payment_id, fact_id, refund_id, detail, action, settled_at)
    SELECT d.kind, f.psp, f.order_id, f.payment_id, f.fact_id, d.refund_id, d.detail, d.action,
           CASE WHEN d.settled THEN now() END
      FROM facts f
      JOIN payments p ON p.payment_id = f.payment_id
      LEFT JOIN applied_captures a ON a.fact_id = f.fact_id
      LEFT JOIN refunds own ON own.refund_id = f.refund_id
      LEFT JOIN refunds automatic ON automatic.capture_fact_id = f.fact_id AND automatic.automatic
      LEFT JOIN LATERAL (SELECT g.* FROM facts g -- that a refund which failed had succeeded
                          WHERE f.kind = 'refund_failed' AND g.psp = f.psp AND g.kind = 'refund_succeeded' AND g.psp_ref = f.psp_ref
                            AND g.payment_id = f.payment_id LIMIT 1) told ON true
     CROSS JOIN LATERAL (
           SELECT 'amount_mismatch', NULL::uuid, false,
                  format('%s captured %s %s, the payment is for %s %s', f.psp, f.amount, f.currency, p.amount, p.currency),
                  CASE WHEN a.fact_id IS NULL THEN 'not applied; waits for a decision: refund or accept'
                       ELSE 'the order stays paid; waits for a decision' END
            WHERE f.kind = 'captured' AND NOT f.matches
           UNION ALL
           SELECT 'observation_conflict', NULL, true,
                  format('%s has told of %s %s as: %s', f.psp, f.kind, f.psp_ref,
                         string_agg(DISTINCT format('%s %s by %s', o.amount, o.currency, o.source), ', ')),
                  format('%s %s is in effect', f.amount, f.currency)
             FROM fact_observations o WHERE o.fact_id = f.fact_id
           HAVING count(DISTINCT (o.amount, o.currency)) > 1
           UNION ALL
           SELECT 'unapplied_capture', automatic.refund_id, true,
                  format('%s captured %s %s for an order that was paid, cancelled or expired', f.psp, f.amount, f.currency),
                  'refunded automatically'
            WHERE f.kind = 'captured' AND automatic.refund_id IS NOT NULL
           UNION ALL
           SELECT 'success_after_failure', NULL, true, format('%s said that the payment failed, and captured it', f.psp),
                  'the capture counts'
            WHERE f.kind = 'captured' AND p.failure_count > 0
              -- (A value, here and below: EXISTS would be made a join, and read for every fact.)
              AND (SELECT min(g.occurred_at) FROM facts g WHERE g.payment_id = f.payment_id AND g.kind = 'failed') <= f.occurred_at
           UNION ALL
           SELECT 'capture_undone', NULL, false,
                  format('%s captured %s, and said later that it is %s: %s', f.psp, f.psp_ref, f.kind,
                         coalesce(f.reason, 'no reason given')),
                  'the capture counts; waits for a person to ask the PSP'
            WHERE f.kind IN ('failed', 'voided') AND p.capture_count > 0
              AND (SELECT min(g.occurred_at) FROM facts g
                    WHERE g.psp = f.psp AND g.kind = 'captured' AND g.psp_ref = f.psp_ref AND g.payment_id = f.payment_id)
                  < f.occurred_at
           UNION ALL
           SELECT 'refund_refused', own.refund_id, false,
                  format('%s does not refund %s %s: %s', f.psp, f.amount, f.currency, coalesce(f.reason, 'no reason given')),
                  'not tried again; waits for a decision: refund or accept'
            WHERE f.kind = 'refund_failed' AND own.refund_id IS NOT NULL AND own.success_count = 0 AND told.fact_id IS NULL
           UNION ALL
           SELECT 'refund_failed_after_success', own.refund_id, false,
                  format('%s said of its refund %s of %s %s that it had succeeded, and that it failed: %s', f.psp, f.psp_ref,
                         told.amount, told.currency, coalesce(f.reason, 'no reason given')),
                  'booked as not made, not tried again; waits for a decision: refund or accept'
            WHERE f.kind = 'refund_failed' AND told.fact_id IS NOT NULL
           UNION ALL
           SELECT 'refund_unknown', NULL, true, format('%s refunded %s %s that we did not ask for', f.psp, f.amount, f.currency),
                  'booked as made by the PSP itself'
            WHERE f.kind = 'refund_succeeded' AND own.refund_id IS NULL
           UNION ALL
           SELECT 'refund_mismatch', own.refund_id, false,
                  format('%s refunded %s %s, asked for were %s %s', f.psp, f.amount, f.currency, own.amount, own.currency),
                  'booked as it is; waits for a decision'
            WHERE f.kind = 'refund_succeeded' AND (f.amount, f.currency) <> (own.amount, own.currency)
           UNION ALL
           SELECT 'refund_over_captured', own.refund_id, false,
                  format('%s %s of %s %s captured are refunded', p.refunded_amount, p.currency, p.captured_amount, p.currency)
                  || CASE WHEN p.refunded_amount > p.captured_amount THEN ''
                          ELSE ', and more is asked for: this refund succeeded after it had failed' END,
                  'waits for a decision'
            WHERE f.kind = 'refund_succeeded' AND NOT f.undone AND p.capture_count > 0
              AND (p.refunded_amount > p.captured_amount
                   OR (SELECT sum(r.amount) FROM refunds r
                        WHERE r.capture_fact_id = own.capture_fact_id AND r.status <> 'FAILED')
                      > (SELECT c.amount FROM facts c WHERE c.fact_id = own.capture_fact_id))
           UNION ALL
           SELECT 'reference_conflict', own.refund_id, false,
                  format('%s has told of the same refund as another one: %s', f.psp, f.psp_ref), 'booked; waits for a decision'
            WHERE f.kind = 'refund_succeeded' AND NOT f.undone AND own.success_count > 1
              AND EXISTS (SELECT FROM facts g WHERE g.refund_id = own.refund_id AND g.kind = f.kind AND NOT g.undone
                                                AND g.fact_id < f.fact_id)
           UNION ALL
           SELECT 'dispute_opened', NULL, false, format('%s holds back %s %s', f.psp, f.amount, f.currency),
                  'waits for the PSP''s decision'
            WHERE f.kind = 'dispute_opened' AND p.disputed
           UNION ALL
           SELECT 'dispute_lost', NULL, false, format('%s took %s %s back', f.psp, f.amount, f.currency),
                  'booked as lost; waits for a person to see it'
            WHERE f.kind = 'dispute_lost'
           UNION ALL
           SELECT 'dispute_after_refund', NULL, false,
                  format('%s %s are disputed, %s of %s are refunded', f.amount, f.currency, p.refunded_amount, p.captured_amount),
                  'waits for a decision: the money may be lost twice'
            WHERE f.kind IN ('dispute_opened', 'dispute_lost') AND p.disputed AND p.refunded_amount > 0
           ) AS d(kind, refund_id, settled, detail, action)
     WHERE f.fact_id = ANY (fact_ids)
     ORDER BY f.fact_id
    ON CONFLICT DO NOTHING;
END
$$;
REVOKE ALL ON FUNCTION discrepancies_note FROM PUBLIC;

-- Settles what does fit by now of what was noted about these payments, and opens again what does not any more. Most payments have
-- nothing noted: that is found out first. The caller holds their locks.
CREATE FUNCTION discrepancies_review(payment_ids uuid[], touched bigint[]) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    noted bigint[] := ARRAY(SELECT d.discrepancy_id FROM discrepancies d
                             WHERE d.payment_id = ANY (payment_ids)
                               AND d.kind IN ('amount_mismatch', 'dispute_opened', 'refund_refused', 'refund_unknown',
                                              'refund_failed_after_success'));
BEGIN
    IF cardinality(noted) = 0 THEN
        RETURN;
    END IF;
    -- A capture of which something was given back while it did not fit is neither applied nor refunded when it does: what is left
    -- of it waits for the decision all the same.
    UPDATE discrepancies d SET settled_at = now(), decision = 'corrected by the PSP'
      FROM facts f
     WHERE d.discrepancy_id = ANY (noted) AND d.kind = 'amount_mismatch' AND d.settled_at IS NULL
       AND f.fact_id = d.fact_id AND f.fact_id = ANY (touched) AND f.matches
       AND (EXISTS (SELECT FROM applied_captures a WHERE a.fact_id = f.fact_id)
            OR EXISTS (SELECT FROM refunds r WHERE r.capture_fact_id = f.fact_id AND r.automatic));
    -- What does not fit once more, about which no person has decided, or of which there is more now than the decision has given
    -- back.
    UPDATE discrepancies d
       SET settled_at = NULL, decision = NULL, settled_by = NULL,
           action = CASE WHEN d.settled_by IS NULL THEN 'the PSP took its correction back; waits for a decision'
                         ELSE 'given back as decided, but it was more; the rest waits for a decision' END,
           detail = format('%s captured %s %s, the payment is for %s %s', f.psp, f.amount, f.currency, p.amount, p.currency)
      FROM facts f JOIN payments p ON p.payment_id = f.payment_id
     WHERE d.discrepancy_id = ANY (noted) AND d.kind = 'amount_mismatch' AND f.fact_id = d.fact_id AND f.fact_id = ANY (touched)
       AND CASE WHEN d.settled_by IS NULL THEN d.decision = 'corrected by the PSP' AND NOT f.matches
                ELSE d.decision = 'refund'
                     AND NOT EXISTS (SELECT FROM refunds r WHERE r.capture_fact_id = f.fact_id AND r.status = 'FAILED')
                     AND EXISTS (SELECT FROM captures_refundable(f.payment_id) c
                                  WHERE c.fact_id = f.fact_id AND c.left_amount > 0) END;
    UPDATE discrepancies d SET settled_at = now(), decision = CASE WHEN p.disputed THEN 'lost' ELSE 'won' END
      FROM payments p
     WHERE d.discrepancy_id = ANY (noted) AND d.kind = 'dispute_opened' AND d.settled_at IS NULL
       AND p.payment_id = d.payment_id AND p.disputes_opened <= p.disputes_won + p.disputes_lost;
    -- Under another reference it may succeed, and fail in the end.
    UPDATE discrepancies d
       SET settled_at = CASE WHEN r.success_count > 0 THEN now() END,
           decision = CASE WHEN r.success_count > 0 THEN 'refunded after all' END
      FROM facts f JOIN refunds r ON r.refund_id = f.refund_id
     WHERE d.discrepancy_id = ANY (noted) AND d.kind IN ('refund_refused', 'refund_failed_after_success') AND f.fact_id = d.fact_id
       AND CASE WHEN r.success_count > 0 THEN d.settled_at IS NULL ELSE d.decision = 'refunded after all' END;
    -- One that was refused and, under the same reference, succeeded: that it was made and failed is the newer word.
    UPDATE discrepancies d SET settled_at = now(), decision = 'failed after it had succeeded'
     WHERE d.discrepancy_id = ANY (noted) AND d.kind = 'refund_refused' AND d.settled_at IS NULL
       AND EXISTS (SELECT FROM discrepancies e WHERE e.fact_id = d.fact_id AND e.kind = 'refund_failed_after_success');
    UPDATE discrepancies d
       SET refund_id = f.refund_id, decision = CASE d.kind WHEN 'refund_unknown' THEN 'it was asked for' ELSE d.decision END
      FROM facts f
     WHERE d.discrepancy_id = ANY (noted) AND d.kind IN ('refund_unknown', 'refund_failed_after_success') AND f.fact_id = d.fact_id
       AND d.refund_id IS NULL AND f.refund_id IS NOT NULL;
END
$$;
REVOKE ALL ON FUNCTION discrepancies_review FROM PUBLIC;

-- Applies reports (element i of each array belongs to report i). A report is what one webhook, one answer of a PSP or one settlement
-- line says; the inbox row keeps its bytes and how it ended:
--
--   applied    its payment exists: the fact is recorded (or was already: it changes nothing a second time)
--   duplicate  this event id was handled before for this payment, or its fact was known
--   parked     its payment is not there (yet): tried again later, until park_for_s after its receipt
--   dead       it can never apply; `reason` says why
--
-- Locks are taken first, in a fixed order (001_tables.sql), in statements of their own: every later statement reads a snapshot that
-- is newer than the lock. Which payments exist is decided once, before the locks: each statement has a snapshot of its own, and a
-- payment that is committed between two of them would be missing for its fact and there for its outcome. Such a one is not known
-- in this call; its report is parked and finds it next time.
--
-- inbox_ids: the row that a report was taken from (parked, or tried again by a person); NULL: it comes from the stream.
-- Returns one row per report (position 1 … n), then one row per new event (position 0, with type and payload).
CREATE FUNCTION webhooks_apply(inbox_ids bigint[], psps text[], event_ids text[], sources text[], payment_ids uuid[],
                               order_ids uuid[], refund_ids uuid[], kinds text[], psp_refs text[], refs_per_payment boolean[],
                               amounts bigint[], fees bigint[], currencies text[], occurred_at_us bigint[], reasons text[],
                               bodies bytea[], headers text[], http_statuses int[], received_at_us bigint[],
                               request_ids text[], park_for_s bigint, faults text[] DEFAULT NULL)
RETURNS TABLE ("position" bigint, outcome text, reason text, payment_id uuid, order_id uuid, type text, payload text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    nil        CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    known      uuid[];   -- payment_ids, NULL where there is no such payment
    rows       bigint[]; -- the inbox row of each report
    new_rows   bigint[]; -- inbox rows that this call has made
    able       bigint[]; -- inbox rows of reports that can be read, or were taken from them
    open_rows  bigint[]; -- inbox rows that this call decides
    were_dead  bigint[] := '{}'; -- those of them that were dead letters once
    dead_rows  bigint[]; -- those of them that are dead letters now
    counts     boolean[]; -- whether a report counts: it is the first of an open row
    scopes     uuid[];   -- within which the reference of each report is unique: its payment, or nil
    new_facts  bigint[]; -- facts that were not known
    touched    bigint[]; -- facts of which something new was observed
    observed   bigint;   -- how many observations those are
    refund_kinds CONSTANT text[] := ARRAY['refund_requested', 'refund_succeeded', 'refund_failed'];
    of_refunds boolean := kinds && refund_kinds;
    taken_back bigint[] := '{}'; -- refunds of which was told that they had succeeded, and is now that they failed
    is_first   boolean;  -- each touched fact is new and has one observation, which it was made from
    ordinary   boolean;  -- nothing but new captures that pay their orders, and authorisations
    paying     bigint[]; -- captures that pay their order from now on
    mismatches bigint[] := '{}'; -- captures that do not match since this call
    of_facts   bigint[]; -- the fact of each report
    parents    uuid[];   -- payments of the touched facts
    hinted     uuid[];   -- payments of which a PSP has hinted at news
BEGIN
    -- 1. Locks.
    known := ARRAY(SELECT p.payment_id FROM unnest(payment_ids) WITH ORDINALITY AS r(payment_id, n)
                     LEFT JOIN payments p ON p.payment_id = r.payment_id ORDER BY r.n);
    PERFORM 1 FROM orders o
      WHERE o.order_id IN (SELECT p.order_id FROM payments p WHERE p.payment_id = ANY (known))
      ORDER BY o.order_id FOR NO KEY UPDATE;
    PERFORM 1 FROM payments p WHERE p.payment_id = ANY (known) ORDER BY p.payment_id FOR NO KEY UPDATE;
    PERFORM 1 FROM refunds r WHERE r.payment_id = ANY (known) ORDER BY r.refund_id FOR NO KEY UPDATE;

    -- Some settlement lines name a refund by our id alone: as a reference it stands for the one that the PSP gave, whichever was told
    -- first. (The reference of a call that was refused is ours, and of no refund.)
    IF of_refunds THEN
        psp_refs := ARRAY(
            SELECT coalesce(g.psp_ref, r.psp_ref)
              FROM unnest(psps, known, kinds, psp_refs, refund_ids) WITH ORDINALITY AS r(psp, payment_id, kind, psp_ref, refund_id, n)
              LEFT JOIN LATERAL (
                    SELECT f.psp_ref FROM facts f
                     WHERE r.kind = ANY (refund_kinds) AND f.refund_id = r.refund_id AND f.payment_id = r.payment_id AND f.psp = r.psp
                       AND 'refused-' || r.refund_id NOT IN (f.psp_ref, r.psp_ref)
                       AND r.refund_id::text IN (f.psp_ref, r.psp_ref)
                     ORDER BY f.kind DESC, f.fact_id LIMIT 1) g ON true
             ORDER BY r.n);
    END IF;

    -- 2. The inbox: new rows, in key order so that two batches cannot wait for each other in a circle. They are written as what nearly
    -- all of them come to, so that only the others are written twice (7.).
    WITH made AS (
        INSERT INTO inbox (psp, event_id, payment_ref, source, body, headers, http_status, refund_id, request_id, received_at,
                           outcome, payment_id, tries)
        SELECT DISTINCT ON (r.psp, r.event_id, r.payment_id)
               r.psp, r.event_id, coalesce(r.payment_id, nil)::text, r.source, r.body, r.headers, r.http_status, r.refund_id,
               r.request_id, least(to_timestamp(r.received_at_us / 1000000.0), now()), -- nothing is parked for longer
               CASE WHEN r.known_id IS NOT NULL OR r.kind = 'announcement' THEN 'applied' END, r.known_id,
               (r.known_id IS NOT NULL OR r.kind = 'announcement')::int
          FROM unnest(inbox_ids, psps, event_ids, payment_ids, sources, bodies, headers, http_statuses, refund_ids, request_ids,
                      received_at_us, known, kinds)
               WITH ORDINALITY AS r(inbox_id, psp, event_id, payment_id, source, body, headers, http_status, refund_id, request_id,
                                    received_at_us, known_id, kind, n)
         WHERE r.inbox_id IS NULL
         ORDER BY r.psp, r.event_id, r.payment_id, r.n
        ON CONFLICT (psp, event_id, payment_ref) DO NOTHING -- named: else the primary key is searched too
        RETURNING inbox.inbox_id
    )
    SELECT coalesce(array_agg(m.inbox_id), '{}') INTO new_rows FROM made m;
    rows := ARRAY(
        SELECT coalesce(r.inbox_id, i.inbox_id)
          FROM unnest(inbox_ids, psps, event_ids, payment_ids) WITH ORDINALITY AS r(inbox_id, psp, event_id, payment_id, n)
          LEFT JOIN inbox i ON r.inbox_id IS NULL AND i.psp = r.psp AND i.event_id = r.event_id
                           AND i.payment_ref = coalesce(r.payment_id, nil)::text
         ORDER BY r.n);

    -- What is still open among them: new, parked, or dead for a reason that a further delivery may do away with. One that cannot
    -- be read opens nothing but a new row and its own, and a row that is told of several times is decided by one that can.
    open_rows := new_rows;
    IF cardinality(new_rows) < cardinality(rows) THEN
        able := ARRAY(SELECT r.inbox_id FROM unnest(rows, inbox_ids, kinds) AS r(inbox_id, own_id, kind)
                       WHERE r.own_id IS NOT NULL OR r.kind NOT IN ('malformed', 'poison'));
        open_rows := new_rows || ARRAY(
            SELECT i.inbox_id FROM inbox i
             WHERE i.inbox_id = ANY (able)
               AND (i.outcome = 'parked'
                    OR (i.outcome = 'dead' AND (i.reason IN ('PAYMENT_NOT_FOUND', 'DELIVERED_TOO_OFTEN')
                                                OR starts_with(i.reason, 'MALFORMED: '))))
             ORDER BY i.inbox_id FOR NO KEY UPDATE);
        were_dead := ARRAY(SELECT i.inbox_id FROM inbox i
                            WHERE i.inbox_id = ANY (open_rows) AND (i.outcome = 'dead' OR i.redrives > 0));
    END IF;
    -- (IN (SELECT unnest …) is looked up in a hash table, = ANY in a list.)
    counts := ARRAY(SELECT r.inbox_id IN (SELECT unnest(open_rows)) AND r.place = 1
                      FROM (SELECT u.inbox_id, u.n, row_number() OVER (PARTITION BY u.inbox_id
                                                                       ORDER BY u.kind IN ('malformed', 'poison'), u.n) AS place
                              FROM unnest(rows, kinds) WITH ORDINALITY AS u(inbox_id, kind, n)) r
                     ORDER BY r.n);

    -- 3. Facts, each once whoever brings it, numbered as they arrived. Of several reports with one key only the first counts, as
    -- if they had come one by one. (Two batches could wait for each other here in a circle only where PSPs give payments of both
    -- the same references, in opposite order: the server then ends one of them, and it is run again.)
    -- (The prototype's format has references that are unique within their payment, a PSP's own format has its own; where both tell of
    -- one payment, the same reference is the same fact.)
    scopes := ARRAY(
        SELECT coalesce(f.ref_scope,
                        CASE WHEN bool_and(r.ref_per_payment) OVER (PARTITION BY r.psp, r.kind, r.psp_ref, r.payment_id)
                             THEN r.payment_id END, nil)
          FROM unnest(psps, known, kinds, psp_refs, refs_per_payment) WITH ORDINALITY
               AS r(psp, payment_id, kind, psp_ref, ref_per_payment, n)
          LEFT JOIN facts f ON f.psp = r.psp AND f.kind = r.kind AND f.psp_ref = r.psp_ref AND f.ref_scope IN (nil, r.payment_id)
               AND f.payment_id = r.payment_id
         ORDER BY r.n);
    WITH recorded AS (
        INSERT INTO facts (psp, kind, psp_ref, ref_scope, payment_id, order_id, source, reason, fault, occurred_at, amount, fee,
                           currency, matches)
        SELECT e.psp, e.kind, e.psp_ref, e.ref_scope, e.payment_id, e.order_id, e.source, e.reason, e.fault, e.occurred_at, e.amount,
               e.fee, e.currency, e.matches
          FROM (SELECT DISTINCT ON (r.psp, r.kind, r.psp_ref, r.ref_scope)
                       r.n, r.psp, r.kind, r.psp_ref, r.ref_scope, p.payment_id, p.order_id, r.source, r.reason, r.fault, r.amount,
                       r.fee, coalesce(r.currency, p.currency) AS currency,
                       r.amount = p.amount AND coalesce(r.currency, p.currency) = p.currency AS matches,
                       to_timestamp(r.occurred_at_us / 1000000.0) AS occurred_at
                  FROM unnest(psps, sources, known, order_ids, kinds, psp_refs, scopes, amounts, fees, currencies,
                              occurred_at_us, reasons, faults, counts)
                       WITH ORDINALITY AS r(psp, source, payment_id, order_id, kind, psp_ref, ref_scope, amount, fee,
                                            currency, occurred_at_us, reason, fault, counts, n)
                  JOIN payments p ON p.payment_id = r.payment_id AND (r.order_id IS NULL OR r.order_id = p.order_id)
                 WHERE r.counts AND r.kind NOT IN ('none', 'hint', 'announcement', 'malformed', 'poison')
                 ORDER BY r.psp, r.kind, r.psp_ref, r.ref_scope, r.n) e
         ORDER BY e.n
        ON CONFLICT (psp, kind, psp_ref, ref_scope) DO NOTHING
        RETURNING facts.fact_id
    )
    SELECT coalesce(array_agg(f.fact_id ORDER BY f.fact_id), '{}') INTO new_facts FROM recorded f;

    of_facts := ARRAY(
        SELECT f.fact_id
          FROM unnest(psps, known, kinds, psp_refs, scopes, counts)
               WITH ORDINALITY AS r(psp, payment_id, kind, psp_ref, ref_scope, counts, n)
          LEFT JOIN facts f ON r.counts AND f.psp = r.psp AND f.kind = r.kind AND f.psp_ref = r.psp_ref
               AND f.ref_scope = r.ref_scope AND f.payment_id = r.payment_id
         ORDER BY r.n);

    -- 4. What was observed of them. A refund is ours when the PSP names one of this payment.
    WITH observed AS (
        INSERT INTO fact_observations (fact_id, source, amount, fee, currency, refund_id)
        SELECT f.fact_id, r.source, CASE WHEN r.amount = 0 THEN coalesce(d.amount, 0) ELSE r.amount END, r.fee,
               coalesce(r.currency, p.currency), d.refund_id
          FROM unnest(of_facts, sources, order_ids, amounts, fees, currencies, refund_ids)
               WITH ORDINALITY AS r(fact_id, source, order_id, amount, fee, currency, refund_id, n)
          JOIN facts f ON f.fact_id = r.fact_id AND (r.order_id IS NULL OR r.order_id = f.order_id)
          JOIN payments p ON p.payment_id = f.payment_id
          LEFT JOIN refunds d ON d.refund_id = r.refund_id AND d.payment_id = f.payment_id
               AND f.kind = ANY (refund_kinds)
         ORDER BY r.n
        ON CONFLICT DO NOTHING
        RETURNING fact_observations.fact_id
    )
    SELECT coalesce(array_agg(DISTINCT o.fact_id), '{}'), count(*) INTO touched, observed FROM observed o;

    IF cardinality(touched) > 0 THEN
        parents := ARRAY(SELECT DISTINCT f.payment_id FROM facts f WHERE f.fact_id = ANY (touched));
        is_first := observed = cardinality(touched) AND NOT of_refunds
                    AND NOT EXISTS (SELECT unnest(touched) EXCEPT SELECT unnest(new_facts));

        IF NOT is_first THEN -- the greatest observation is in effect
            WITH effective AS (
                SELECT DISTINCT ON (o.fact_id) o.*, o.amount = p.amount AND o.currency = p.currency AS matches
                  FROM fact_observations o
                  JOIN facts f ON f.fact_id = o.fact_id
                  JOIN payments p ON p.payment_id = f.payment_id
                 WHERE o.fact_id = ANY (touched)
                 ORDER BY o.fact_id, source_rank(o.source, o.currency = p.currency) DESC, (o.amount = p.amount AND o.currency = p.currency) DESC,
                          o.amount DESC, o.currency COLLATE "C" DESC, o.fee DESC, o.observation_id
            )
            UPDATE facts f
               SET amount = e.amount, fee = e.fee, currency = e.currency, matches = e.matches
              FROM effective e
             WHERE f.fact_id = e.fact_id
               AND (f.amount, f.fee, f.currency, f.matches) IS DISTINCT FROM (e.amount, e.fee, e.currency, e.matches);
        END IF;
        IF of_refunds THEN
            taken_back := ARRAY(SELECT r.fact_id FROM refund_facts_relate(touched) r
                                 WHERE r.undone_now AND r.fact_id <> ALL (new_facts));
        END IF;

        -- 5. The first right capture of an open order is the one that pays it; every other right one is refunded, once.
        -- (OFFSET 0: facts are found by their ids first. No index that knows their kind is better, whatever the statistics say.)
        WITH paid AS (
            INSERT INTO applied_captures (order_id, fact_id, payment_id, amount)
            SELECT DISTINCT ON (f.order_id) f.order_id, f.fact_id, f.payment_id, f.amount
              FROM (SELECT t.* FROM facts t WHERE t.fact_id = ANY (touched) OFFSET 0) f
             WHERE f.kind = 'captured' AND f.matches
               AND (SELECT o.expired_at IS NULL AND o.cancelled_at IS NULL AND o.expires_at > now()
                      FROM orders o WHERE o.order_id = f.order_id) -- not a join, which could begin at all open orders
               AND NOT EXISTS (SELECT FROM refunds r WHERE r.capture_fact_id = f.fact_id)
               AND NOT EXISTS (SELECT FROM discrepancies d WHERE d.fact_id = f.fact_id AND d.decision IS NOT NULL)
             ORDER BY f.order_id, f.fact_id
            ON CONFLICT DO NOTHING
            RETURNING applied_captures.fact_id
        )
        SELECT coalesce(array_agg(a.fact_id), '{}') INTO paying FROM paid a;
        -- As nearly always: then there is nothing to look for that does not fit.
        ordinary := is_first AND NOT EXISTS (SELECT FROM facts f
                                              WHERE f.payment_id = ANY (parents)
                                                AND NOT (f.kind = 'authorized' OR f.fact_id IN (SELECT unnest(paying))));
        IF NOT ordinary THEN
            INSERT INTO refunds (refund_id, payment_id, order_id, capture_fact_id, psp, amount, currency, reason, automatic)
            SELECT uuid7(), f.payment_id, f.order_id, f.fact_id, f.psp, f.amount, f.currency,
                   'the order was paid, cancelled or expired before', true
              FROM (SELECT t.* FROM facts t WHERE t.fact_id = ANY (touched) OFFSET 0) f
             WHERE f.kind = 'captured' AND f.matches
               AND NOT EXISTS (SELECT FROM applied_captures a WHERE a.fact_id = f.fact_id)
               AND NOT EXISTS (SELECT FROM refunds r WHERE r.capture_fact_id = f.fact_id)
               AND NOT EXISTS (SELECT FROM discrepancies d WHERE d.fact_id = f.fact_id AND d.decision IS NOT NULL)
             ORDER BY f.fact_id
            ON CONFLICT DO NOTHING;
            IF FOUND THEN
                PERFORM pg_notify('refunds_due', '');
            END IF;
        END IF;

        -- 6. Sums, books, what does not fit.
        PERFORM sums_refresh(parents);
        -- (Whose a refund is that the PSP made by itself may have changed with another fact of its payment.)
        PERFORM ledger_book(CASE WHEN ordinary THEN touched
                                 ELSE ARRAY(SELECT f.fact_id FROM facts f WHERE f.payment_id = ANY (parents)) END);
        IF NOT ordinary THEN
            mismatches := ARRAY(SELECT f.fact_id FROM (SELECT t.* FROM facts t WHERE t.fact_id = ANY (touched) OFFSET 0) f
                                 WHERE f.kind = 'captured' AND NOT f.matches
                                   AND NOT EXISTS (SELECT FROM discrepancies d
                                                    WHERE d.fact_id = f.fact_id AND d.kind = 'amount_mismatch'));
            PERFORM discrepancies_note(ARRAY(SELECT f.fact_id FROM facts f WHERE f.payment_id = ANY (parents)));
            PERFORM discrepancies_review(parents, touched);
        END IF;
    END IF;

    -- Hints are work for those who ask the PSP: the reconciler, and the router about refunds.
    IF 'hint' = ANY (kinds) THEN
        hinted := ARRAY(SELECT r.payment_id FROM unnest(known, kinds, counts) AS r(payment_id, kind, counts)
                         WHERE r.kind = 'hint' AND r.counts AND r.payment_id IS NOT NULL);
        -- Of a capture that is known, too: it may be another, or be undone.
        UPDATE payments p SET next_check_at = '-infinity' WHERE p.payment_id = ANY (hinted);
        IF FOUND THEN
            PERFORM pg_notify('checks_due', '');
        END IF;
        UPDATE refunds r SET next_call_at = now() WHERE r.payment_id = ANY (hinted) AND r.next_call_at > now();
        IF FOUND THEN
            PERFORM pg_notify('refunds_due', '');
        END IF;
    END IF;

    -- A settlement report is ready, where the reference says: the reconciler reads it.
    IF 'announcement' = ANY (kinds) THEN
        INSERT INTO settlement_reports (psp, day, url)
        SELECT r.psp, (now() AT TIME ZONE 'UTC')::date, r.psp_ref
          FROM unnest(psps, kinds, psp_refs, counts) WITH ORDINALITY AS r(psp, kind, psp_ref, counts, n)
         WHERE r.kind = 'announcement' AND r.counts ORDER BY r.n
        ON CONFLICT DO NOTHING;
    END IF;

    -- 7. How each open inbox row ends, where that is not what it was written as.
    WITH judged AS (
        SELECT r.inbox_id, p.payment_id, r.inbox_id IN (SELECT unnest(new_rows)) AS is_new,
               r.kind IN ('none', 'hint', 'announcement') OR r.fact_id IN (SELECT unnest(new_facts)) AS is_news,
               CASE WHEN r.kind = 'malformed' THEN 'MALFORMED: ' || coalesce(r.reason, '')
                    WHEN r.kind = 'poison' THEN 'DELIVERED_TOO_OFTEN'
                    WHEN r.kind = 'announcement' THEN NULL
                    WHEN p.payment_id IS NULL THEN 'PAYMENT_NOT_FOUND'
                    WHEN r.order_id <> p.order_id THEN 'ORDER_MISMATCH'
                    WHEN r.kind NOT IN ('none', 'hint') AND r.fact_id IS NULL THEN 'REFERENCE_OF_ANOTHER_PAYMENT' END AS trouble
          FROM unnest(rows, known, order_ids, kinds, reasons, of_facts, counts)
               AS r(inbox_id, known_id, order_id, kind, reason, fact_id, counts)
          LEFT JOIN payments p ON p.payment_id = r.known_id
         WHERE r.counts
    ), decided AS (
        UPDATE inbox i
           SET tries = CASE WHEN j.is_new THEN 1 ELSE i.tries + 1 END, deliveries = 0,
               outcome = CASE
                   WHEN j.trouble = 'PAYMENT_NOT_FOUND' AND now() < i.received_at + make_interval(secs => park_for_s) THEN 'parked'
                   WHEN j.trouble IS NOT NULL THEN 'dead'
                   WHEN j.is_news THEN 'applied'
                   ELSE 'duplicate' END,
               reason = j.trouble,
               payment_id = CASE WHEN j.trouble IS NULL THEN j.payment_id END,
               retry_at = CASE WHEN j.trouble = 'PAYMENT_NOT_FOUND' THEN
                   now() + make_interval(secs => least(power(2, least(i.tries, 10)), 30)) END
          FROM judged j
         WHERE i.inbox_id = j.inbox_id AND NOT (j.is_new AND j.is_news AND j.trouble IS NULL)
        RETURNING i.inbox_id, i.outcome
    )
    SELECT coalesce(array_agg(d.inbox_id) FILTER (WHERE d.outcome = 'dead'), '{}') INTO dead_rows FROM decided d;
    INSERT INTO discrepancies (kind, psp, payment_id, order_id, inbox_id, detail, action)
    SELECT CASE i.reason WHEN 'PAYMENT_NOT_FOUND' THEN 'unknown_reference' WHEN 'ORDER_MISMATCH' THEN 'order_mismatch'
                         ELSE 'reference_conflict' END,
           i.psp, p.payment_id, p.order_id, i.inbox_id,
           format('event %s of %s names payment %s: %s', i.event_id, i.psp, i.payment_ref, i.reason),
           'kept as a dead letter; it can be driven again'
      FROM inbox i LEFT JOIN payments p ON p.payment_id = i.payment_ref::uuid
     WHERE i.inbox_id = ANY (dead_rows)
       AND i.reason IN ('PAYMENT_NOT_FOUND', 'ORDER_MISMATCH', 'REFERENCE_OF_ANOTHER_PAYMENT')
     ORDER BY i.inbox_id
    ON CONFLICT DO NOTHING;
    IF cardinality(were_dead) > 0 THEN
        UPDATE discrepancies d SET settled_at = now(), decision = 'applied'
          FROM inbox i
         WHERE d.inbox_id = i.inbox_id AND i.inbox_id = ANY (were_dead) AND i.outcome IN ('applied', 'duplicate')
           AND d.settled_at IS NULL;
    END IF;

    -- The answer per report. Of several reports with one key only the first is it, the others are its duplicates; while it is
    -- parked they are too, since a duplicate is remembered as handled.
    RETURN QUERY
        SELECT r.n,
               CASE WHEN i.outcome = 'parked' OR r.counts THEN i.outcome ELSE 'duplicate' END,
               i.reason, r.payment_id, coalesce(p.order_id, r.order_id), NULL::text, NULL::text
          FROM unnest(rows, payment_ids, known, order_ids, counts)
               WITH ORDINALITY AS r(inbox_id, payment_id, known_id, order_id, counts, n)
          LEFT JOIN inbox i ON i.inbox_id = r.inbox_id -- none: it was handled so long ago that its row has just been forgotten
          LEFT JOIN payments p ON p.payment_id = r.known_id
         ORDER BY r.n;

    -- 8. Events, last. A failure after a success changes nothing that a customer should hear of.
    IF cardinality(touched) > 0 THEN
        RETURN QUERY
            SELECT 0::bigint, NULL::text, NULL::text, e.payment_id, e.order_id, e.type, e.payload
              FROM outbox_append(ARRAY(
                       SELECT ROW (f.order_id, f.payment_id, t.type, f.psp, f.amount, f.currency, t.occurred_at)::new_event
                         FROM facts f
                         JOIN payments p ON p.payment_id = f.payment_id
                        CROSS JOIN LATERAL (
                              SELECT CASE
                                  WHEN f.fact_id IN (SELECT unnest(paying)) THEN 'payment.confirmed'
                                  WHEN f.fact_id IN (SELECT unnest(mismatches)) THEN 'payment.mismatch'
                                  WHEN f.kind = 'refund_succeeded' AND NOT f.undone AND f.fact_id IN (SELECT unnest(new_facts))
                                       THEN 'payment.refunded'
                                  WHEN f.kind IN ('failed', 'voided') AND f.fact_id IN (SELECT unnest(new_facts))
                                       AND p.capture_count = 0 THEN 'payment.failed' END, f.occurred_at
                               WHERE f.fact_id <> ALL (taken_back)
                              UNION ALL
                              (SELECT 'payment.refund_failed', g.occurred_at FROM facts g
                                WHERE f.fact_id = ANY (taken_back) AND g.psp = f.psp AND g.kind = 'refund_failed'
                                  AND g.psp_ref = f.psp_ref AND g.payment_id = f.payment_id
                                ORDER BY g.fact_id LIMIT 1)) AS t(type, occurred_at)
                        WHERE f.fact_id = ANY (touched || taken_back) AND t.type IS NOT NULL
                        ORDER BY f.fact_id)) e;
    END IF;
END
$$;

-- Parked rows whose time has come, claimed for lease_s: a processor that dies before it decided them leaves them to the next. A row
-- that was claimed `together` times in vain may be what it died of: of such, one at a time is claimed, and comes last.
CREATE FUNCTION webhooks_claim_parked(at_most int, lease_s int, together int)
RETURNS TABLE (psp text, event_id text, source text, payment_ref text, body bytea, http_status int, received_at_us bigint,
               request_id text, inbox_id bigint, refund_id uuid, headers text, deliveries int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH due AS MATERIALIZED (
            SELECT j.inbox_id, j.deliveries FROM inbox j
             WHERE j.outcome = 'parked' AND j.retry_at <= now()
             ORDER BY j.retry_at LIMIT at_most FOR NO KEY UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE inbox i SET retry_at = now() + make_interval(secs => lease_s), deliveries = i.deliveries + 1
             WHERE i.inbox_id = ANY (ARRAY(SELECT d.inbox_id FROM due d WHERE d.deliveries < together
                                           UNION ALL
                                           (SELECT d.inbox_id FROM due d WHERE d.deliveries >= together LIMIT 1)))
            RETURNING i.*
        )
        SELECT c.psp, c.event_id, c.source, c.payment_ref, c.body, c.http_status,
               (extract(epoch FROM c.received_at) * 1000000)::bigint, c.request_id, c.inbox_id, c.refund_id, c.headers, c.deliveries
          FROM claimed c ORDER BY c.deliveries, c.inbox_id;
END
$$;

REVOKE ALL ON FUNCTION webhooks_apply, webhooks_claim_parked FROM PUBLIC;
GRANT EXECUTE ON FUNCTION webhooks_apply, webhooks_claim_parked TO tiffin_webhook_processor;
