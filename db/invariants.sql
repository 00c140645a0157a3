-- invariants.sql - what must always hold. Each statement is named by the line before it and must return no rows.

-- invariant: ledger transactions sum to zero per currency
SELECT txn_id, currency, sum(amount) FROM ledger_entries GROUP BY txn_id, currency HAVING sum(amount) <> 0;

-- invariant: the books balance
SELECT currency, sum(amount) FROM ledger_entries GROUP BY currency HAVING sum(amount) <> 0;

-- invariant: every ledger transaction has entries
SELECT t.txn_id FROM ledger_transactions t WHERE NOT EXISTS (SELECT FROM ledger_entries e WHERE e.txn_id = t.txn_id);

-- invariant: the ledger holds of every fact what it is worth, to the unit
SELECT coalesce(due.fact_id, booked.fact_id), coalesce(due.account, booked.account), due.amount, booked.amount
  FROM (SELECT d.fact_id, d.account, d.currency, sum(d.amount) AS amount
          FROM ledger_due(ARRAY(SELECT f.fact_id FROM facts f)) d GROUP BY d.fact_id, d.account, d.currency) due
  FULL JOIN (SELECT t.fact_id, e.account, e.currency, sum(e.amount) AS amount
               FROM ledger_transactions t JOIN ledger_entries e USING (txn_id) GROUP BY t.fact_id, e.account, e.currency
             HAVING sum(e.amount) <> 0) booked
    ON (booked.fact_id, booked.account, booked.currency) = (due.fact_id, due.account, due.currency)
 WHERE due.amount IS DISTINCT FROM booked.amount;

-- invariant: what is sealed in the ledger is what was booked
SELECT * FROM ledger_chain_faults(NULL) WHERE fault NOT LIKE '%is not sealed';

-- invariant: of every fact the greatest observation is in effect
SELECT f.fact_id FROM facts f
  LEFT JOIN LATERAL (SELECT o.* FROM fact_observations o JOIN payments p ON p.payment_id = f.payment_id
                      WHERE o.fact_id = f.fact_id
                      ORDER BY source_rank(o.source, o.currency = p.currency) DESC, (o.amount = p.amount AND o.currency = p.currency) DESC,
                               o.amount DESC, o.currency COLLATE "C" DESC, o.fee DESC, o.observation_id LIMIT 1) o ON true
 WHERE (f.amount, f.currency, f.fee) IS DISTINCT FROM (o.amount, o.currency, o.fee);

-- invariant: the sums of a payment are the sums over its facts
SELECT p.payment_id FROM payments p LEFT JOIN facts f ON f.payment_id = p.payment_id
 GROUP BY p.payment_id
HAVING p.capture_count <> count(f.fact_id) FILTER (WHERE f.kind = 'captured')
    OR p.captured_amount <> coalesce(sum(f.amount) FILTER (WHERE f.kind = 'captured' AND f.currency = p.currency), 0)
    OR p.mismatch_count <> count(f.fact_id) FILTER (WHERE f.kind = 'captured' AND (f.amount, f.currency) <> (p.amount, p.currency))
    OR p.authorization_count <> count(f.fact_id) FILTER (WHERE f.kind = 'authorized')
    OR p.failure_count <> count(f.fact_id) FILTER (WHERE f.kind = 'failed')
    OR p.void_count <> count(f.fact_id) FILTER (WHERE f.kind = 'voided')
    OR p.expiry_count <> count(f.fact_id) FILTER (WHERE f.kind = 'expired')
    OR p.refunded_amount <> coalesce(sum(f.amount) FILTER (WHERE f.kind = 'refund_succeeded' AND NOT f.undone AND f.currency = p.currency), 0)
    OR (p.disputes_opened, p.disputes_won, p.disputes_lost)
       <> (count(f.fact_id) FILTER (WHERE f.kind = 'dispute_opened'), count(f.fact_id) FILTER (WHERE f.kind = 'dispute_won'),
           count(f.fact_id) FILTER (WHERE f.kind = 'dispute_lost'));

-- invariant: the sums of a refund are the sums over its facts
SELECT r.refund_id FROM refunds r LEFT JOIN facts f ON f.refund_id = r.refund_id
 GROUP BY r.refund_id
HAVING r.success_count <> count(f.fact_id) FILTER (WHERE f.kind = 'refund_succeeded' AND NOT f.undone)
    OR r.failure_count <> count(f.fact_id) FILTER (WHERE f.kind = 'refund_failed')
    OR (r.next_call_at IS NULL) <> (r.success_count + r.failure_count > 0);

-- invariant: a refund is carried out once, unless a discrepancy says so
SELECT r.refund_id FROM refunds r
 WHERE r.success_count > 1
   AND NOT EXISTS (SELECT FROM discrepancies d WHERE d.refund_id = r.refund_id AND d.kind = 'reference_conflict');

-- invariant: a refund's facts are of its payment
SELECT f.fact_id, f.refund_id FROM facts f LEFT JOIN refunds r ON r.refund_id = f.refund_id AND r.payment_id = f.payment_id
 WHERE f.refund_id IS NOT NULL AND r.refund_id IS NULL;

-- invariant: what is told under one reference is of the refund that any report of it names
SELECT f.fact_id, f.refund_id FROM facts f
  LEFT JOIN LATERAL (SELECT o.refund_id FROM fact_observations o JOIN facts g ON g.fact_id = o.fact_id
                      WHERE (g.psp, g.psp_ref, g.payment_id) = (f.psp, f.psp_ref, f.payment_id) AND o.refund_id IS NOT NULL
                      ORDER BY o.refund_id LIMIT 1) named ON true
 WHERE f.kind IN ('refund_requested', 'refund_succeeded', 'refund_failed') AND f.refund_id IS DISTINCT FROM named.refund_id;

-- invariant: of a refund that succeeded, what failed under the same reference is known, and counts
SELECT f.fact_id, f.undone FROM facts f
 WHERE f.undone <> (f.kind = 'refund_succeeded' AND EXISTS (SELECT FROM facts g
                                                             WHERE g.kind = 'refund_failed'
                                                               AND (g.psp, g.psp_ref, g.payment_id) = (f.psp, f.psp_ref, f.payment_id)));

-- invariant: a refund that failed after it had succeeded waits for a person, one has decided, or it was made after all
SELECT f.fact_id FROM facts f JOIN facts g ON g.kind = 'refund_failed' AND (g.psp, g.psp_ref, g.payment_id) = (f.psp, f.psp_ref, f.payment_id)
  LEFT JOIN refunds r ON r.refund_id = f.refund_id
 WHERE f.undone AND NOT EXISTS (SELECT FROM discrepancies d
                                 WHERE d.fact_id = g.fact_id AND d.kind = 'refund_failed_after_success'
                                   AND (d.settled_at IS NULL OR d.settled_by IS NOT NULL OR coalesce(r.success_count, 0) > 0));

-- invariant: a refund is of a capture of its payment, and no capture has two automatic ones
SELECT r.capture_fact_id, count(*) FILTER (WHERE r.automatic) FROM refunds r
  LEFT JOIN facts f ON f.fact_id = r.capture_fact_id AND f.kind = 'captured'
       AND (f.payment_id, f.order_id, f.psp) = (r.payment_id, r.order_id, r.psp)
 GROUP BY r.capture_fact_id HAVING count(*) <> count(f.fact_id) OR count(*) FILTER (WHERE r.automatic) > 1;

-- invariant: no payment is refunded beyond what was captured, unless a discrepancy says so
SELECT p.payment_id, p.refunded_amount, p.captured_amount FROM payments p
 WHERE p.refunded_amount > p.captured_amount AND p.capture_count > 0
   AND NOT EXISTS (SELECT FROM discrepancies d WHERE d.payment_id = p.payment_id AND d.kind = 'refund_over_captured');

-- invariant: no more is reserved for refunds of a capture than it has brought
SELECT f.fact_id, f.amount, sum(r.amount) FROM facts f JOIN refunds r ON r.capture_fact_id = f.fact_id AND r.status <> 'FAILED'
 GROUP BY f.fact_id
HAVING sum(r.amount) > f.amount
   AND NOT EXISTS (SELECT FROM discrepancies d WHERE d.payment_id = f.payment_id
                                                 AND d.kind IN ('observation_conflict', 'refund_over_captured'));

-- invariant: an order is paid by its applied capture and by nothing else
SELECT o.order_id, o.status, o.paid_amount, a.amount
  FROM orders o LEFT JOIN applied_captures a ON a.order_id = o.order_id LEFT JOIN facts f ON f.fact_id = a.fact_id
 WHERE o.paid_amount <> coalesce(a.amount, 0) OR (a.fact_id IS NOT NULL AND (a.amount <> o.amount OR f.order_id <> o.order_id));

-- invariant: an order is refunded by refunds of its applied capture and by nothing else
SELECT o.order_id, o.status, o.refunded_amount
  FROM orders o LEFT JOIN applied_captures a ON a.order_id = o.order_id
  LEFT JOIN facts f ON f.payment_id = a.payment_id AND f.kind = 'refund_succeeded' AND NOT f.undone AND f.currency = o.currency
       AND coalesce((SELECT r.capture_fact_id FROM refunds r WHERE r.refund_id = f.refund_id), a.fact_id) = a.fact_id
 GROUP BY o.order_id HAVING o.refunded_amount <> coalesce(sum(f.amount), 0);

-- invariant: a payment says that it is applied exactly when its capture is
SELECT p.payment_id, p.applied FROM payments p LEFT JOIN (SELECT DISTINCT payment_id FROM applied_captures) a USING (payment_id)
 WHERE p.applied <> (a.payment_id IS NOT NULL);

-- invariant: every right capture pays its order or is given back, once
SELECT f.fact_id, f.payment_id FROM facts f
 WHERE f.kind = 'captured' AND f.matches
   AND (SELECT count(*) FROM applied_captures a WHERE a.fact_id = f.fact_id)
     + (SELECT count(*) FROM refunds r WHERE r.capture_fact_id = f.fact_id AND r.automatic) <> 1
   AND NOT EXISTS (SELECT FROM discrepancies d WHERE d.fact_id = f.fact_id AND d.kind = 'amount_mismatch');

-- invariant: a capture that is given back by itself is a discrepancy that says so
SELECT r.refund_id FROM refunds r
 WHERE r.automatic AND NOT EXISTS (SELECT FROM discrepancies d WHERE d.fact_id = r.capture_fact_id
                                                                 AND d.kind = 'unapplied_capture' AND d.refund_id = r.refund_id);

-- invariant: what hangs on a fact is of its payment and its order
SELECT f.fact_id FROM facts f JOIN payments p ON p.payment_id = f.payment_id WHERE f.order_id <> p.order_id
UNION ALL
SELECT f.fact_id FROM applied_captures a JOIN facts f ON f.fact_id = a.fact_id
 WHERE (a.order_id, a.payment_id) <> (f.order_id, f.payment_id)
UNION ALL
SELECT f.fact_id FROM ledger_transactions t JOIN facts f ON f.fact_id = t.fact_id JOIN ledger_entries e ON e.txn_id = t.txn_id
 WHERE e.payment_id <> f.payment_id;

-- invariant: an event is of an order, and of one of its payments
SELECT e.event_id FROM outbox e
  LEFT JOIN orders o ON o.order_id = e.order_id
  LEFT JOIN payments p ON p.payment_id = e.payment_id AND p.order_id = e.order_id
 WHERE o.order_id IS NULL OR (e.payment_id IS NOT NULL AND p.payment_id IS NULL);

-- invariant: a fact matches when it says what the payment is for
SELECT f.fact_id FROM facts f JOIN payments p ON p.payment_id = f.payment_id
 WHERE f.matches <> ((f.amount, f.currency) = (p.amount, p.currency)) OR f.order_id <> p.order_id;

-- invariant: every capture that does not match is a discrepancy
SELECT f.fact_id FROM facts f LEFT JOIN discrepancies d ON d.fact_id = f.fact_id AND d.kind = 'amount_mismatch'
 WHERE f.kind = 'captured' AND NOT f.matches AND d.fact_id IS NULL;

-- invariant: a capture that does not match waits for a person, or one has decided
SELECT d.discrepancy_id FROM discrepancies d JOIN facts f ON f.fact_id = d.fact_id
 WHERE d.kind = 'amount_mismatch' AND NOT f.matches AND d.settled_at IS NOT NULL AND d.settled_by IS NULL;

-- invariant: a refund that came to another amount than was asked for is a discrepancy
SELECT f.fact_id FROM facts f JOIN refunds r ON r.refund_id = f.refund_id
 WHERE f.kind = 'refund_succeeded' AND (f.amount, f.currency) <> (r.amount, r.currency)
   AND NOT EXISTS (SELECT FROM discrepancies d WHERE d.fact_id = f.fact_id AND d.kind = 'refund_mismatch');

-- invariant: observations that disagree are a discrepancy
SELECT o.fact_id FROM fact_observations o GROUP BY o.fact_id
HAVING count(DISTINCT (o.amount, o.currency)) > 1
   AND NOT EXISTS (SELECT FROM discrepancies d WHERE d.fact_id = o.fact_id AND d.kind = 'observation_conflict');

-- invariant: a refund that its PSP refused is a discrepancy
SELECT r.refund_id FROM refunds r
 WHERE r.status = 'FAILED' AND NOT EXISTS (SELECT FROM discrepancies d JOIN facts f ON f.fact_id = d.fact_id
                                            WHERE f.refund_id = r.refund_id
                                              AND d.kind IN ('refund_refused', 'refund_failed_after_success'));

-- invariant: a capture that its PSP undid later waits for a person, or one has decided
SELECT f.fact_id FROM facts f
  JOIN facts g ON g.kind = 'captured' AND (g.psp, g.psp_ref, g.payment_id) = (f.psp, f.psp_ref, f.payment_id) AND g.occurred_at < f.occurred_at
 WHERE f.kind IN ('failed', 'voided')
   AND NOT EXISTS (SELECT FROM discrepancies d WHERE d.fact_id = f.fact_id AND d.kind = 'capture_undone'
                                                 AND (d.settled_at IS NULL OR d.settled_by IS NOT NULL));

-- invariant: every inbox row is applied, duplicate, parked or dead
SELECT inbox_id, psp, event_id FROM inbox WHERE outcome IS NULL OR (outcome IN ('parked', 'dead') AND reason IS NULL);

-- invariant: an applied or duplicate webhook has its payment, unless it is about none (a report that is ready)
SELECT i.inbox_id, i.psp, i.event_id FROM inbox i
 WHERE i.outcome IN ('applied', 'duplicate') AND NOT (i.payment_id IS NULL AND i.payment_ref = '00000000-0000-0000-0000-000000000000')
   AND NOT EXISTS (SELECT FROM payments p WHERE p.payment_id = i.payment_id);

-- invariant: a duplicate of a fact has that fact
SELECT i.inbox_id, i.psp, i.event_id FROM inbox i
 WHERE i.outcome = 'duplicate' AND NOT EXISTS (SELECT FROM facts f WHERE f.psp = i.psp AND f.payment_id = i.payment_id);

-- invariant: a dead letter that names what we do not know is a discrepancy
SELECT i.inbox_id FROM inbox i
 WHERE i.outcome = 'dead' AND i.reason IN ('PAYMENT_NOT_FOUND', 'ORDER_MISMATCH', 'REFERENCE_OF_ANOTHER_PAYMENT')
   AND NOT EXISTS (SELECT FROM discrepancies d WHERE d.inbox_id = i.inbox_id);

-- invariant: events of an order are numbered without gaps, to the newest; the first ones may be forgotten
SELECT o.order_id, o.event_seq, count(e.event_id), min(e.seq), max(e.seq)
  FROM orders o CROSS JOIN retention r LEFT JOIN outbox e ON e.order_id = o.order_id
 GROUP BY o.order_id, r.event_id
HAVING max(e.seq) <> o.event_seq OR max(e.seq) - min(e.seq) + 1 <> count(e.event_id)
    OR (r.event_id = 0 AND count(e.event_id) <> o.event_seq);

-- invariant: orders have had as many events as the feed
SELECT f.last_event_id, sum(o.event_seq) FROM feed f CROSS JOIN orders o
 GROUP BY f.last_event_id HAVING sum(o.event_seq) <> f.last_event_id;

-- invariant: the feed has no gaps after what is forgotten
SELECT f.last_event_id, r.event_id, count(e.event_id), max(e.event_id) FROM feed f CROSS JOIN retention r LEFT JOIN outbox e ON true
 GROUP BY f.last_event_id, r.event_id
HAVING count(e.event_id) <> f.last_event_id - r.event_id OR coalesce(max(e.event_id), r.event_id) <> f.last_event_id;

-- invariant: every applied capture was confirmed exactly once, where no event of its order is forgotten
SELECT a.order_id, o.event_seq FROM applied_captures a
  JOIN orders o ON o.order_id = a.order_id LEFT JOIN outbox e ON e.order_id = a.order_id
 GROUP BY a.order_id, o.event_seq
HAVING count(e.event_id) = o.event_seq AND count(e.event_id) FILTER (WHERE e.type = 'payment.confirmed') <> 1;

-- invariant: every refund that succeeded was told once, and that it failed after all if it was told, where no event of its order is
-- forgotten
SELECT f.fact_id FROM facts f JOIN orders o ON o.order_id = f.order_id LEFT JOIN outbox e ON e.order_id = f.order_id
 WHERE f.kind = 'refund_succeeded' GROUP BY f.fact_id, f.payment_id, o.event_seq
HAVING count(e.event_id) = o.event_seq
   AND count(e.event_id) FILTER (WHERE e.payment_id = f.payment_id AND e.type = 'payment.refunded')
     - count(e.event_id) FILTER (WHERE e.payment_id = f.payment_id AND e.type = 'payment.refund_failed')
       <> (SELECT count(*) FROM facts g WHERE g.payment_id = f.payment_id AND g.kind = 'refund_succeeded' AND NOT g.undone);

-- invariant: an Idempotency-Key that was answered has its effect
SELECT k.idempotency_id, k.verdict FROM idempotency_keys k
 WHERE (k.verdict = 'ok' AND NOT EXISTS (SELECT FROM refunds r WHERE r.refund_id = k.resource_id))
    OR (k.verdict = 'capturing' AND NOT EXISTS (SELECT FROM payments p WHERE p.payment_id = k.resource_id AND p.capture_action IS NOT NULL))
    OR (k.verdict = 'cancelled' AND NOT EXISTS (SELECT FROM orders o WHERE o.order_id = (k.document::json ->> 'order_id')::uuid
                                                                         AND o.cancelled_at IS NOT NULL))
    OR (k.verdict IS NULL AND NOT EXISTS (SELECT FROM orders o WHERE o.order_id = k.resource_id)
                          AND NOT EXISTS (SELECT FROM payments p WHERE p.payment_id = k.resource_id));

-- invariant: a payment counts its attempts of which the outcome is not known
SELECT p.payment_id FROM payments p LEFT JOIN attempts a ON a.payment_id = p.payment_id AND a.outcome = 'UNKNOWN'
 GROUP BY p.payment_id HAVING p.unknown_attempts <> count(a.attempt_id);

-- invariant: attempts of a payment are numbered without gaps
SELECT payment_id, count(*), max(number) FROM attempts GROUP BY payment_id HAVING max(number) <> count(*);

-- invariant: every payment has an attempt that was written before its PSP was called
SELECT p.payment_id FROM payments p LEFT JOIN attempts a ON a.payment_id = p.payment_id WHERE a.attempt_id IS NULL;

-- invariant: an attempt went where its decision says
SELECT d.attempt_id FROM routing_decisions d LEFT JOIN attempts a ON a.attempt_id = d.attempt_id
 WHERE a.attempt_id IS NULL OR a.psp <> d.decision -> 'order' ->> 0;
