-- invariants.sql - what must always hold. Each statement is named by the line before it and must return no rows.

-- invariant: ledger transactions sum to zero per currency
SELECT txn_id, currency, sum(amount) FROM ledger_entries GROUP BY txn_id, currency HAVING sum(amount) <> 0;

-- invariant: every capture is in the ledger exactly once, to the unit
SELECT f.fact_id, f.amount, sum(e.amount)
  FROM facts f LEFT JOIN ledger_transactions t ON t.fact_id = f.fact_id
  LEFT JOIN ledger_entries e ON e.txn_id = t.txn_id AND e.account LIKE 'psp_receivable:%'
 WHERE f.kind = 'captured' GROUP BY f.fact_id, f.amount HAVING coalesce(sum(e.amount), 0) <> f.amount;

-- invariant: the sums of a payment are the sums over its facts
SELECT p.payment_id, p.captured_amount, p.capture_count, p.mismatch_count, p.failure_count
  FROM payments p LEFT JOIN facts f ON f.payment_id = p.payment_id
 GROUP BY p.payment_id
HAVING p.capture_count <> count(f.fact_id) FILTER (WHERE f.kind = 'captured')
    OR p.captured_amount <> coalesce(sum(f.amount) FILTER (WHERE f.kind = 'captured' AND f.currency = p.currency), 0)
    OR p.mismatch_count <> count(f.fact_id) FILTER (WHERE f.kind = 'captured' AND NOT f.matches)
    OR p.failure_count <> count(f.fact_id) FILTER (WHERE f.kind = 'failed');

-- invariant: no payment is refunded beyond what was captured
SELECT payment_id, refunded_amount, captured_amount FROM payments WHERE refunded_amount > captured_amount;

-- invariant: an order is paid by its applied capture and by nothing else
SELECT o.order_id, o.status, o.paid_amount, f.amount
  FROM orders o LEFT JOIN applied_captures a ON a.order_id = o.order_id LEFT JOIN facts f ON f.fact_id = a.fact_id
 WHERE o.paid_amount <> coalesce(f.amount, 0) OR (f.fact_id IS NOT NULL AND (NOT f.matches OR f.order_id <> o.order_id));

-- invariant: a payment says that it is applied exactly when its capture is
SELECT p.payment_id, p.applied FROM payments p
 WHERE p.applied <> EXISTS (SELECT FROM applied_captures a WHERE a.payment_id = p.payment_id);

-- invariant: every capture that does not match is a discrepancy
SELECT f.fact_id FROM facts f LEFT JOIN discrepancies d ON d.fact_id = f.fact_id
 WHERE f.kind = 'captured' AND NOT f.matches AND d.fact_id IS NULL;

-- invariant: every inbox row is applied, duplicate, parked or dead
SELECT inbox_id, psp, event_id FROM inbox WHERE outcome IS NULL OR (outcome IN ('parked', 'dead') AND reason IS NULL);

-- invariant: an applied or duplicate webhook has its payment
SELECT i.inbox_id, i.psp, i.event_id FROM inbox i
 WHERE i.outcome IN ('applied', 'duplicate')
   AND NOT EXISTS (SELECT FROM payments p WHERE p.payment_id::text = i.payment_ref);

-- invariant: a duplicate of a fact has that fact
SELECT i.inbox_id, i.psp, i.event_id FROM inbox i
 WHERE i.outcome = 'duplicate' AND NOT EXISTS (SELECT FROM facts f WHERE f.psp = i.psp AND f.payment_id::text = i.payment_ref);

-- invariant: events of an order are numbered without gaps
SELECT order_id, count(*), min(seq), max(seq) FROM outbox GROUP BY order_id HAVING min(seq) <> 1 OR max(seq) <> count(*);

-- invariant: an order knows its newest event
SELECT o.order_id, o.event_seq, max(e.seq) FROM orders o LEFT JOIN outbox e ON e.order_id = o.order_id
 GROUP BY o.order_id HAVING o.event_seq <> coalesce(max(e.seq), 0);

-- invariant: the feed has no gaps
SELECT f.last_event_id, count(e.event_id), max(e.event_id) FROM feed f LEFT JOIN outbox e ON true
 GROUP BY f.last_event_id HAVING count(e.event_id) <> f.last_event_id OR coalesce(max(e.event_id), 0) <> f.last_event_id;

-- invariant: every applied capture was confirmed exactly once
SELECT a.order_id, count(e.event_id) FROM applied_captures a
  LEFT JOIN outbox e ON e.order_id = a.order_id AND e.type = 'payment.confirmed'
 GROUP BY a.order_id HAVING count(e.event_id) <> 1;

-- invariant: attempts of a payment are numbered without gaps
SELECT payment_id, count(*), max(number) FROM attempts GROUP BY payment_id HAVING max(number) <> count(*);

-- invariant: every payment has an attempt that was written before its PSP was called
SELECT p.payment_id FROM payments p LEFT JOIN attempts a ON a.payment_id = p.payment_id WHERE a.attempt_id IS NULL;
