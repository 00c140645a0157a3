-- 003_orders.sql - what the order service may do. Arrays are batches: element i of each belongs to row i.

-- Creates orders under the given ids; an id that exists already is left as it is. Gives back every row as committed, in the order
-- of the input; `same` is false where the id belonged to an order with other content.
CREATE FUNCTION orders_create(order_ids uuid[], user_ids text[], amounts bigint[], currencies text[], receipts text[],
                              metadatas text[], customers text[], lifetimes_s bigint[])
RETURNS TABLE (order_id uuid, status text, user_id text, amount bigint, currency text, created_at timestamptz,
               expires_at timestamptz, same boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO orders (order_id, user_id, amount, currency, receipt, metadata, customer, expires_at)
    SELECT n.order_id, n.user_id, n.amount, n.currency, n.receipt, n.metadata::jsonb, n.customer::jsonb,
           now() + make_interval(secs => n.lifetime_s)
      FROM unnest(order_ids, user_ids, amounts, currencies, receipts, metadatas, customers, lifetimes_s)
           AS n(order_id, user_id, amount, currency, receipt, metadata, customer, lifetime_s)
     ORDER BY n.order_id
    ON CONFLICT DO NOTHING;
    RETURN QUERY
        SELECT o.order_id, o.status, o.user_id, o.amount, o.currency, o.created_at, o.expires_at,
               o.user_id = n.user_id AND o.amount = n.amount AND o.currency = n.currency
          FROM unnest(order_ids, user_ids, amounts, currencies)
               WITH ORDINALITY AS n(order_id, user_id, amount, currency, position)
          JOIN orders o ON o.order_id = n.order_id
         ORDER BY n.position;
END
$$;

-- The public JSON of orders; at most 50 of an order's payments, newest first.
CREATE FUNCTION order_documents(order_ids uuid[]) RETURNS TABLE (order_id uuid, status text, document text)
STABLE LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.order_id, o.status,
           (SELECT row_to_json(document) FROM (
                SELECT o.order_id, o.status, o.user_id, o.amount, o.currency, o.paid_amount, o.refunded_amount, o.receipt,
                       o.metadata, rfc3339(o.created_at) AS created_at, rfc3339(o.expires_at) AS expires_at,
                       (SELECT coalesce(json_agg(row_to_json(entry) ORDER BY entry.payment_id DESC), '[]'::json) FROM (
                            SELECT p.payment_id, p.psp AS gateway, p.method, p.status, p.amount, p.currency,
                                   p.captured_amount, p.refunded_amount, p.applied, rfc3339(p.created_at) AS created_at
                              FROM payments p WHERE p.order_id = o.order_id
                             ORDER BY p.payment_id DESC LIMIT 50) entry) AS payments) document)::text
      FROM orders o WHERE o.order_id = ANY (order_ids)
$$;

-- One page, newest first, of a user's orders, of a receipt's, or of all; a NULL filter does not filter.
CREATE FUNCTION orders_page(by_user_id text, by_status text, by_receipt text, before uuid, at_most int) RETURNS text
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    upper_bound uuid := coalesce(before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    ids         uuid[];
    more        boolean;
BEGIN
    -- One statement per index, so that each is planned for its own. One row more than asked for tells whether there are more.
    IF by_user_id IS NOT NULL THEN
        ids := ARRAY(SELECT o.order_id FROM orders o
                      WHERE o.user_id = by_user_id AND o.order_id < upper_bound
                        AND (by_status IS NULL OR o.status = by_status) AND (by_receipt IS NULL OR o.receipt = by_receipt)
                      ORDER BY o.order_id DESC LIMIT at_most + 1);
    ELSIF by_receipt IS NOT NULL THEN
        ids := ARRAY(SELECT o.order_id FROM orders o
                      WHERE o.receipt = by_receipt AND o.order_id < upper_bound
                        AND (by_status IS NULL OR o.status = by_status)
                      ORDER BY o.order_id DESC LIMIT at_most + 1);
    ELSE
        ids := ARRAY(SELECT o.order_id FROM orders o
                      WHERE o.order_id < upper_bound AND (by_status IS NULL OR o.status = by_status)
                      ORDER BY o.order_id DESC LIMIT at_most + 1);
    END IF;
    more := cardinality(ids) > at_most;
    ids := ids[1:at_most];
    RETURN (SELECT row_to_json(page) FROM (
                SELECT (SELECT coalesce(json_agg(row_to_json(entry) ORDER BY entry.order_id DESC), '[]'::json) FROM (
                            SELECT o.order_id, o.status, o.user_id, o.amount, o.currency, o.paid_amount, o.refunded_amount,
                                   o.receipt, rfc3339(o.created_at) AS created_at, rfc3339(o.expires_at) AS expires_at
                              FROM orders o WHERE o.order_id = ANY (ids)) entry) AS data,
                       CASE WHEN more THEN ids[at_most] END AS next_cursor) page)::text;
END
$$;

-- Expires what is due and unpaid, with the payments that are still open. Returns the events.
CREATE FUNCTION orders_expire(at_most int) RETURNS TABLE (event_id bigint, type text, payload text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    ids uuid[];
BEGIN
    -- Locks first, the effect in later statements, whose snapshots are then newer than the locks. A processor that applies a
    -- capture holds the order's lock: skipped here, and found paid next time.
    ids := ARRAY(SELECT o.order_id FROM orders o
                  WHERE o.expires_at <= now() AND o.expired_at IS NULL AND o.cancelled_at IS NULL AND o.paid_amount = 0
                  ORDER BY o.order_id LIMIT at_most FOR NO KEY UPDATE SKIP LOCKED);
    IF cardinality(ids) = 0 THEN
        RETURN;
    END IF;
    PERFORM 1 FROM payments p WHERE p.order_id = ANY (ids) ORDER BY p.payment_id FOR NO KEY UPDATE;
    UPDATE orders o SET expired_at = now() WHERE o.order_id = ANY (ids);
    UPDATE payments p SET expired_at = now() WHERE p.order_id = ANY (ids) AND p.capture_count = 0;
    RETURN QUERY
        SELECT e.event_id, e.type, e.payload
          FROM outbox_append(ARRAY(
                   SELECT ROW (o.order_id, NULL, 'order.expired', NULL, o.amount, o.currency, now())::new_event
                     FROM orders o WHERE o.order_id = ANY (ids) ORDER BY o.order_id)) e;
END
$$;

-- Cancels what is open, with its payments; what is cancelled already stays as it is. One row per order: `verdict` is cancelled,
-- not_found, or the status that forbids it; the event of those that were cancelled now.
CREATE FUNCTION orders_cancel(order_ids uuid[]) RETURNS TABLE (order_id uuid, verdict text, payload text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    ids uuid[];
BEGIN
    PERFORM 1 FROM orders o WHERE o.order_id = ANY (order_ids) ORDER BY o.order_id FOR NO KEY UPDATE;
    PERFORM 1 FROM payments p WHERE p.order_id = ANY (order_ids) ORDER BY p.payment_id FOR NO KEY UPDATE;
    ids := ARRAY(SELECT o.order_id FROM orders o
                  WHERE o.order_id = ANY (order_ids) AND o.status = 'PENDING' AND o.expires_at > now() ORDER BY o.order_id);
    UPDATE orders o SET cancelled_at = now() WHERE o.order_id = ANY (ids);
    UPDATE payments p SET expired_at = now() WHERE p.order_id = ANY (ids) AND p.capture_count = 0;
    RETURN QUERY
        WITH events AS MATERIALIZED (
            SELECT * FROM outbox_append(ARRAY(
                SELECT ROW (o.order_id, NULL, 'order.cancelled', NULL, o.amount, o.currency, now())::new_event
                  FROM orders o WHERE o.order_id = ANY (ids) ORDER BY o.order_id))
        )
        SELECT n.order_id,
               CASE WHEN o.order_id IS NULL THEN 'not_found' WHEN o.status = 'CANCELLED' THEN 'cancelled'
                    WHEN o.status = 'PENDING' THEN 'EXPIRED' ELSE o.status END,
               e.payload
          FROM unnest(order_ids) AS n(order_id)
          LEFT JOIN orders o ON o.order_id = n.order_id
          LEFT JOIN events e ON e.order_id = n.order_id;
END
$$;

REVOKE ALL ON FUNCTION orders_create, order_documents, orders_page, orders_expire, orders_cancel FROM PUBLIC;
GRANT EXECUTE ON FUNCTION orders_create, order_documents, orders_page, orders_expire, orders_cancel
    TO tiffin_order;
