-- 005_orders.sql - what the order service may do. Arrays are batches: element i of each belongs to row i.

-- Creates orders under the given ids; an id that exists already is left as it is, and a key that came before stands for the order
-- it made then. Row i answers request i: `verdict` is created, replayed (the first answer of a key, as it was), key_reused (the key
-- came with another body) or id_conflict (the id belongs to an order with other content).
CREATE FUNCTION orders_create(order_ids uuid[], user_ids text[], amounts bigint[], currencies text[], receipts text[],
                              metadatas text[], customers text[], lifetimes_s bigint[],
                              idempotency_ids uuid[] DEFAULT NULL, fingerprints uuid[] DEFAULT NULL,
                              manual_captures boolean[] DEFAULT NULL)
RETURNS TABLE (order_id uuid, status text, user_id text, amount bigint, currency text, created_at timestamptz,
               expires_at timestamptz, verdict text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    ids    uuid[] := order_ids; -- of the orders that answer, request by request
    states text[];              -- NULL: no request has a key
    made   bigint;
BEGIN
    IF array_remove(idempotency_ids, '00000000-0000-0000-0000-000000000000') <> '{}' THEN
        SELECT array_agg(k.resource_id ORDER BY k.n), array_agg(k.state ORDER BY k.n) INTO ids, states
          FROM idempotency_take(idempotency_ids, fingerprints, order_ids) k;
    END IF;
    INSERT INTO orders (order_id, user_id, amount, currency, receipt, metadata, customer, expires_at, manual_capture)
    SELECT n.order_id, n.user_id, n.amount, n.currency, n.receipt, n.metadata::jsonb, n.customer::jsonb,
           now() + make_interval(secs => n.lifetime_s), coalesce(n.manual_capture, false)
      FROM unnest(order_ids, user_ids, amounts, currencies, receipts, metadatas, customers, lifetimes_s, states, manual_captures)
           AS n(order_id, user_id, amount, currency, receipt, metadata, customer, lifetime_s, state, manual_capture)
     WHERE n.state IS NULL OR n.state IN ('none', 'new')
     ORDER BY n.order_id
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    IF made = cardinality(order_ids) THEN -- as nearly always: all are new, nothing is read back
        RETURN QUERY
            SELECT n.order_id, 'PENDING', n.user_id, n.amount, n.currency, now(), now() + make_interval(secs => n.lifetime_s),
                   'created'
              FROM unnest(order_ids, user_ids, amounts, currencies, lifetimes_s)
                   WITH ORDINALITY AS n(order_id, user_id, amount, currency, lifetime_s, position)
             ORDER BY n.position;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT n.order_id, 'PENDING', o.user_id, o.amount, o.currency, o.created_at, o.expires_at,
               CASE WHEN n.state = 'reused' THEN 'key_reused'
                    WHEN n.state = 'known' THEN 'replayed'
                    WHEN o.user_id = n.user_id AND o.amount = n.amount AND o.currency = n.currency THEN 'created'
                    ELSE 'id_conflict' END
          FROM unnest(ids, user_ids, amounts, currencies, states)
               WITH ORDINALITY AS n(order_id, user_id, amount, currency, state, position)
          LEFT JOIN orders o ON o.order_id = n.order_id
         ORDER BY n.position;
END
$$;

-- The public JSON of orders; at most 50 of an order's payments, newest first.
CREATE FUNCTION order_documents(order_ids uuid[]) RETURNS TABLE (order_id uuid, status text, document text)
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT o.order_id, o.status,
               (SELECT row_to_json(document) FROM (
                    SELECT o.order_id, o.status, o.user_id, o.amount, o.currency, o.paid_amount, o.refunded_amount, o.receipt,
                           CASE WHEN o.manual_capture THEN 'manual' ELSE 'automatic' END AS capture, o.metadata, rfc3339(o.created_at) AS created_at, rfc3339(o.expires_at) AS expires_at,
                           (SELECT coalesce(json_agg(row_to_json(entry) ORDER BY entry.payment_id DESC), '[]'::json) FROM (
                                SELECT p.payment_id, p.psp AS gateway, p.method, p.status, p.amount, p.currency,
                                       p.captured_amount, p.refunded_amount, p.applied, rfc3339(p.created_at) AS created_at
                                  FROM payments p WHERE p.order_id = o.order_id
                                 ORDER BY p.payment_id DESC LIMIT 50) entry) AS payments) document)::text
          FROM orders o WHERE o.order_id = ANY (order_ids);
END
$$;

-- One page, newest first, of a user's orders, of a receipt's, or of all; a NULL filter does not filter.
CREATE FUNCTION orders_page(by_user_id text, by_status text, by_receipt text, before uuid, at_most int) RETURNS text
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
    ELSIF by_status = 'PENDING' THEN
        ids := ARRAY(SELECT o.order_id
                       FROM (SELECT x.order_id FROM orders x
                              WHERE x.expired_at IS NULL AND x.cancelled_at IS NULL AND x.paid_amount = 0
                              ORDER BY x.expires_at OFFSET 0) o -- all that are open, by the index that has them
                      WHERE o.order_id < upper_bound
                      ORDER BY o.order_id DESC LIMIT at_most + 1);
    ELSIF by_status <> 'PAID' THEN
        ids := ARRAY(SELECT o.order_id FROM orders o
                      WHERE o.status = by_status AND o.order_id < upper_bound
                        AND o.status IN ('EXPIRED', 'CANCELLED', 'REFUNDED', 'PARTIALLY_REFUNDED') -- as the index has it
                      ORDER BY o.order_id DESC LIMIT at_most + 1);
    ELSE
        ids := ARRAY(SELECT o.order_id FROM orders o
                      WHERE o.order_id < upper_bound AND (by_status IS NULL OR o.status = 'PAID')
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
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    ids uuid[];
BEGIN
    -- Locks first, the effect in later statements, whose snapshots are then newer than the locks. A processor that applies a
    -- capture holds the order's lock: skipped here, and found paid next time. (Skipping waits for nobody, so these locks may be
    -- taken in the order of the index.)
    ids := ARRAY(SELECT o.order_id FROM orders o
                  WHERE o.expires_at <= now() AND o.expired_at IS NULL AND o.cancelled_at IS NULL AND o.paid_amount = 0
                  ORDER BY o.expires_at LIMIT at_most FOR NO KEY UPDATE SKIP LOCKED);
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

-- What a request to cancel comes to, by the order's status after it: NULL when there is no such order.
CREATE FUNCTION order_cancel_verdict(status text) RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT CASE WHEN status IS NULL THEN 'not_found' WHEN status = 'CANCELLED' THEN 'cancelled'
                WHEN status = 'PENDING' THEN 'EXPIRED' ELSE status END
$$;

-- Cancels what is open, with its payments; what is cancelled already stays as it is. One row per request: `verdict` is cancelled
-- (with the order's public JSON), not_found, key_reused, or the status that forbids it; the event of those that were cancelled now.
-- A key that came before gets what was answered then.
CREATE FUNCTION orders_cancel(order_ids uuid[], idempotency_ids uuid[] DEFAULT NULL, fingerprints uuid[] DEFAULT NULL,
                              request_ids uuid[] DEFAULT NULL)
RETURNS TABLE ("position" bigint, order_id uuid, verdict text, replayed boolean, first_request_id uuid, status text, document text,
               payload text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    ids    uuid[];
    events outbox[];
    states text[]; -- as idempotency_take says
    keys   uuid[] := ARRAY(SELECT nullif(k.id, '00000000-0000-0000-0000-000000000000')
                             FROM unnest(idempotency_ids) WITH ORDINALITY AS k(id, n) ORDER BY k.n);
BEGIN
    -- Each request's own random resource id: a key's row is new exactly for the request that made it.
    SELECT array_agg(k.state ORDER BY k.n) INTO states
      FROM idempotency_take(keys, fingerprints, ARRAY(SELECT gen_random_uuid() FROM unnest(order_ids))) k;
    PERFORM 1 FROM orders o WHERE o.order_id = ANY (order_ids) ORDER BY o.order_id FOR NO KEY UPDATE;
    PERFORM 1 FROM payments p WHERE p.order_id = ANY (order_ids) ORDER BY p.payment_id FOR NO KEY UPDATE;
    ids := ARRAY(SELECT DISTINCT o.order_id
                   FROM unnest(order_ids, states) AS n(order_id, state) JOIN orders o ON o.order_id = n.order_id
                  WHERE n.state IN ('none', 'new') AND o.status = 'PENDING' AND o.expires_at > now() ORDER BY o.order_id);
    UPDATE orders o SET cancelled_at = now() WHERE o.order_id = ANY (ids);
    -- What is authorised is released, when no call about it is out: of a capture and a void at once the PSP would choose one.
    UPDATE payments p
       SET expired_at = now(),
           capture_next_at = CASE WHEN p.manual_capture
                                  THEN greatest(now(), CASE WHEN p.capture_calls > 0 THEN p.capture_next_at END) END
     WHERE p.order_id = ANY (ids) AND p.capture_count = 0;
    PERFORM pg_notify('captures_due', '');
    events := ARRAY(SELECT e FROM outbox_append(ARRAY(
                        SELECT ROW (o.order_id, NULL, 'order.cancelled', NULL, o.amount, o.currency, now())::new_event
                          FROM orders o WHERE o.order_id = ANY (ids) ORDER BY o.order_id)) e);
    UPDATE idempotency_keys k
       SET verdict = r.verdict, document = r.document, holder = r.request_id
      FROM (SELECT n.key_id, n.request_id, v.verdict, CASE WHEN v.verdict = 'cancelled' THEN d.document END AS document
              FROM unnest(keys, order_ids, states, request_ids) AS n(key_id, order_id, state, request_id)
              LEFT JOIN order_documents(order_ids) d ON d.order_id = n.order_id
             CROSS JOIN LATERAL (SELECT order_cancel_verdict(d.status)) AS v(verdict)
             WHERE n.state = 'new') r
     WHERE k.idempotency_id = r.key_id;
    RETURN QUERY
        SELECT n.position, n.order_id,
               CASE WHEN n.state = 'reused' THEN 'key_reused' WHEN n.state = 'known' THEN k.verdict
                    ELSE order_cancel_verdict(d.status) END,
               n.state = 'known', CASE WHEN n.state = 'known' THEN k.holder END,
               d.status,
               CASE WHEN n.state = 'reused' THEN NULL WHEN n.state = 'known' THEN k.document
                    WHEN d.status = 'CANCELLED' THEN d.document END,
               CASE WHEN row_number() OVER (PARTITION BY n.order_id ORDER BY n.position) = 1 THEN e.payload END
          FROM unnest(order_ids, states, keys) WITH ORDINALITY AS n(order_id, state, key_id, position)
          LEFT JOIN (SELECT DISTINCT ON (x.order_id) x.* FROM order_documents(order_ids) x) d ON d.order_id = n.order_id
          LEFT JOIN idempotency_keys k ON k.idempotency_id = n.key_id
          LEFT JOIN unnest(events) e ON e.order_id = n.order_id
         ORDER BY n.position;
END
$$;

REVOKE ALL ON FUNCTION orders_create, order_documents, orders_page, orders_expire, orders_cancel FROM PUBLIC;
GRANT EXECUTE ON FUNCTION orders_create, order_documents, orders_page, orders_expire, orders_cancel
    TO tiffin_order;
