-- 011_audit.sql - read-only views for auditors: role tiffin_audit sees these and nothing else.

-- Each fact as it counts now; what is undone, a refund that failed after all, counts for nothing.
CREATE VIEW audit_facts AS
    SELECT f.order_id, f.payment_id, f.psp, f.kind, f.psp_ref, f.amount, f.currency, f.source,
           a.fact_id IS NOT NULL AS applied, f.recorded_at, f.fee, f.undone
      FROM facts f LEFT JOIN applied_captures a USING (fact_id);
CREATE VIEW audit_ledger AS
    SELECT e.txn_id, e.account, e.currency, e.amount, f.payment_id, t.created_at -- the fact's: by it, entries are found
      FROM ledger_entries e JOIN ledger_transactions t USING (txn_id) JOIN facts f USING (fact_id);
CREATE VIEW audit_outbox AS
    SELECT event_id, order_id, seq, type, payload, created_at FROM outbox;
-- Refunds and what was found not to fit: to compare with a bank's book.
CREATE VIEW audit_refunds AS
    SELECT r.refund_id, r.payment_id, r.order_id, r.psp, r.amount, r.currency, r.status, r.automatic, r.created_at FROM refunds r;
CREATE VIEW audit_discrepancies AS
    SELECT d.discrepancy_id, d.kind, d.psp, d.order_id, d.payment_id, d.refund_id, d.detail, d.action, d.decision, d.created_at,
           d.settled_at, d.settled_by FROM discrepancies d;
GRANT SELECT ON audit_facts, audit_ledger, audit_outbox, audit_refunds, audit_discrepancies TO tiffin_audit;
