-- assign_status.sql - a mistake for the crash harness to find: statuses are assigned by whatever came last, not derived from all facts.
ALTER TABLE payments DROP COLUMN status;
ALTER TABLE payments ADD COLUMN status text NOT NULL DEFAULT 'PENDING';
CREATE FUNCTION assign_status() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE payments p
       SET status = CASE NEW.kind WHEN 'captured' THEN 'SUCCESS' WHEN 'failed' THEN 'FAILED' WHEN 'refund_succeeded' THEN 'REFUNDED'
                                  ELSE p.status END
     WHERE p.payment_id = NEW.payment_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER assign_status AFTER INSERT ON facts FOR EACH ROW EXECUTE FUNCTION assign_status();
