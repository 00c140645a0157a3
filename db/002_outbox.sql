-- 002_outbox.sql - writing and reading the feed.

-- What becomes an event. Ordered as given (position), one call per transaction, as its last write.
CREATE TYPE new_event AS (
    order_id    uuid,
    payment_id  uuid, -- NULL for events of the order itself
    type        text,
    psp         text,
    amount      bigint,
    currency    text,
    occurred_at timestamptz
);

-- Numbers and stores the events; the caller holds the locks of their orders. Payloads are rendered from the rows as they stand
-- now, that is as they will be committed.
CREATE FUNCTION outbox_append(events new_event[]) RETURNS SETOF outbox LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    count_new int := coalesce(array_length(events, 1), 0);
    base      bigint;
BEGIN
    IF count_new = 0 THEN
        RETURN;
    END IF;
    PERFORM pg_notify('events', ''); -- notifiers look at once, whenever Redis comes round to telling them
    UPDATE feed SET last_event_id = last_event_id + count_new WHERE only_row RETURNING last_event_id - count_new INTO base;
    RETURN QUERY
        WITH numbered AS (
            SELECT e.*, base + e.position AS event_id, o.user_id, o.status AS order_status, p.status AS payment_status,
                   (o.event_seq + row_number() OVER (PARTITION BY e.order_id ORDER BY e.position))::int AS seq
              FROM unnest(events) WITH ORDINALITY AS e(order_id, payment_id, type, psp, amount, currency, occurred_at, position)
              JOIN orders o USING (order_id)
              LEFT JOIN payments p USING (payment_id)
        ), counted AS (
            UPDATE orders o SET event_seq = n.seq
              FROM (SELECT order_id, max(seq) AS seq FROM numbered GROUP BY order_id) n
             WHERE o.order_id = n.order_id
        )
        INSERT INTO outbox (event_id, order_id, payment_id, user_id, seq, type, payload)
        SELECT n.event_id, n.order_id, n.payment_id, n.user_id, n.seq, n.type,
               (SELECT row_to_json(frame) FROM (
                    SELECT n.event_id, n.type, n.order_id, n.payment_id, n.user_id, n.psp AS gateway, n.amount, n.currency,
                           coalesce(n.payment_status, n.order_status) AS status, n.order_status, n.seq,
                           rfc3339(n.occurred_at) AS occurred_at) frame)::text
          FROM numbered n ORDER BY n.event_id
        RETURNING outbox.*;
END
$$;
REVOKE ALL ON FUNCTION outbox_append FROM PUBLIC;

-- What a reader is told first that wants what came after an event which is forgotten, as is what came next: that there is a gap, and
-- from where on there is everything. It counts as the last event that is forgotten.
CREATE FUNCTION events_gap(after bigint)
RETURNS TABLE (event_id bigint, order_id uuid, payment_id uuid, user_id text, type text, payload text)
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT r.event_id, '00000000-0000-0000-0000-000000000000'::uuid, NULL::uuid, '', 'gap',
               format('{"type":"gap","from":%s}', r.event_id + 1)
          FROM retention r WHERE r.event_id > after;
END
$$;
REVOKE ALL ON FUNCTION events_gap FROM PUBLIC;

-- The feed after an event, in order. Reading one snapshot can never skip an event: see table feed.
CREATE FUNCTION events_after(after bigint, at_most int)
RETURNS TABLE (event_id bigint, order_id uuid, payment_id uuid, user_id text, type text, payload text)
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT g.* FROM events_gap(after) g;
    RETURN QUERY
        SELECT o.event_id, o.order_id, o.payment_id, o.user_id, o.type, o.payload
          FROM outbox o WHERE o.event_id > after ORDER BY o.event_id LIMIT at_most - FOUND::int;
END
$$;

-- The newest event that was stored before a time: where a reader starts that wants what came since. Where there is none, the last
-- that is forgotten, or 0.
CREATE FUNCTION last_event_before(at_us bigint) RETURNS bigint
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT coalesce((SELECT o.event_id FROM outbox o
                          WHERE o.created_at < to_timestamp(at_us / 1000000.0)
                          ORDER BY o.event_id DESC LIMIT 1),
                        (SELECT r.event_id FROM retention r)));
END
$$;
-- The same for one user, or for one order of the user.
CREATE FUNCTION events_of_user(of_user_id text, of_order_id uuid, after bigint, at_most int)
RETURNS TABLE (event_id bigint, order_id uuid, payment_id uuid, user_id text, type text, payload text)
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT g.* FROM events_gap(after) g;
    RETURN QUERY
        SELECT o.event_id, o.order_id, o.payment_id, o.user_id, o.type, o.payload
          FROM outbox o
         WHERE o.user_id = of_user_id AND o.event_id > after AND (of_order_id IS NULL OR o.order_id = of_order_id)
         ORDER BY o.event_id LIMIT at_most - FOUND::int;
END
$$;

REVOKE ALL ON FUNCTION events_after, events_of_user, last_event_before FROM PUBLIC;
GRANT EXECUTE ON FUNCTION events_after, events_of_user, last_event_before TO tiffin_notifier;
