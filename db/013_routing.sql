-- 013_routing.sql - why payments went to which PSP, and what the router learns from how they ended.

-- One for each attempt, written with it (006_payments.sql): inputs, scores, chance and reason, as lib/payment/routing/routing_record.h
-- has them. It carries no truth: after KEEP_DECISIONS_DAYS it is forgotten (012_retention.sql). Ids of attempts grow with time, so
-- both ends of the index are where something happens, and no other index is needed.
CREATE TABLE routing_decisions (
    attempt_id uuid PRIMARY KEY, -- of attempts
    decided_at timestamptz NOT NULL DEFAULT now(),
    decision   json NOT NULL
) WITH (autovacuum_freeze_min_age = 0);

-- What the choice of a PSP asks about orders.
CREATE FUNCTION routing_orders(order_ids uuid[]) RETURNS TABLE (order_id uuid, amount bigint, currency text, user_id text,
                                                           manual_capture boolean)
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT o.order_id, o.amount, o.currency, o.user_id, o.manual_capture FROM orders o WHERE o.order_id = ANY (order_ids);
END
$$;

-- How payments ended that were told of after a fact: captured, or failed by nobody's fault whom a PSP names as the customer or the
-- merchant; by minute, the oldest first. The first row only says which fact was the newest: where to go on. At most the last
-- 10,000 facts, and of those not what is older than an hour: it counts for little (routing_health.h). Facts of transactions that
-- commit out of order may be passed over: these are statistics.
CREATE FUNCTION routing_outcomes(after_fact_id bigint)
RETURNS TABLE (last_fact_id bigint, psp text, method text, currency text, age_ms bigint, successes bigint, failures bigint)
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    newest bigint := coalesce((SELECT f.fact_id FROM facts f ORDER BY f.fact_id DESC LIMIT 1), 0);
    oldest bigint := greatest(after_fact_id, newest - 10000);
BEGIN
    RETURN QUERY SELECT newest, NULL::text, NULL::text, NULL::text, 0::bigint, 0::bigint, 0::bigint;
    IF oldest < newest THEN
        RETURN QUERY
            SELECT newest, f.psp, p.method, p.currency,
                   greatest(0, extract(epoch FROM clock_timestamp() - max(f.recorded_at)) * 1000)::bigint,
                   count(*) FILTER (WHERE f.kind = 'captured'), count(*) FILTER (WHERE f.kind = 'failed')
              FROM facts f JOIN payments p ON p.payment_id = f.payment_id
             WHERE f.fact_id > oldest AND f.fact_id <= newest AND f.recorded_at > now() - interval '1 hour'
               AND (f.kind = 'captured' OR (f.kind = 'failed' AND coalesce(f.fault, '') NOT IN ('customer', 'merchant')))
             GROUP BY f.psp, p.method, p.currency, date_trunc('minute', f.recorded_at)
             ORDER BY max(f.recorded_at);
    END IF;
END
$$;

-- The decisions of one payment, the first first.
CREATE FUNCTION routing_decisions_of(of_payment_id uuid) RETURNS TABLE (decided_at timestamptz, decision json)
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT d.decided_at, d.decision FROM attempts a JOIN routing_decisions d ON d.attempt_id = a.attempt_id
         WHERE a.payment_id = of_payment_id ORDER BY a.number;
END
$$;

REVOKE ALL ON FUNCTION routing_orders, routing_outcomes, routing_decisions_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION routing_orders, routing_outcomes, routing_decisions_of TO tiffin_router;
