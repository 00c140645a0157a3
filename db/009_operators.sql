-- 009_operators.sql - what a person looks at and decides: dead letters and discrepancies.

-- Text as it is; what is not UTF-8, or would be too much in JSON, in base64. At most 128 KiB of it.
CREATE FUNCTION body_shown(body bytea, OUT shown text, OUT encoding text) IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE
    part CONSTANT bytea := substring(body FROM 1 FOR 131072);
BEGIN
    BEGIN
        shown := convert_from(part, 'UTF8');
        encoding := 'text';
    EXCEPTION WHEN OTHERS THEN
        encoding := 'base64';
    END;
    IF encoding = 'base64' OR octet_length(to_json(shown)::text) > 200000 THEN
        shown := translate(encode(part, 'base64'), E'\n', '');
        encoding := 'base64';
    END IF;
END
$$;

CREATE FUNCTION dead_letters_page(by_psp text, by_reason text, before bigint, at_most int) RETURNS text
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    ids  bigint[];
    more boolean;
BEGIN
    ids := ARRAY(SELECT i.inbox_id FROM inbox i
                  WHERE i.outcome = 'dead' AND i.inbox_id < coalesce(before, 9223372036854775807)
                    AND (by_psp IS NULL OR i.psp = by_psp) AND (by_reason IS NULL OR starts_with(i.reason, by_reason))
                  ORDER BY i.inbox_id DESC LIMIT at_most + 1);
    more := cardinality(ids) > at_most;
    ids := ids[1:at_most];
    RETURN (SELECT row_to_json(page) FROM (
                SELECT (SELECT coalesce(json_agg(row_to_json(entry) ORDER BY entry.id DESC), '[]'::json) FROM (
                            SELECT i.inbox_id AS id, i.psp AS gateway, i.event_id, i.payment_ref AS payment_id, i.source, i.reason,
                                   i.tries, i.redrives, rfc3339(i.received_at) AS received_at
                              FROM inbox i WHERE i.inbox_id = ANY (ids)) entry) AS data,
                       CASE WHEN more THEN ids[at_most] END AS next_cursor) page)::text;
END
$$;

-- One dead letter whole; NULL when there is none.
CREATE FUNCTION dead_letter_document(of_id bigint) RETURNS text
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT (SELECT row_to_json(document) FROM (
                    SELECT i.inbox_id AS id, i.psp AS gateway, i.event_id, i.payment_ref AS payment_id, i.source, i.reason, i.tries,
                           i.redrives, rfc3339(i.received_at) AS received_at, i.http_status, i.request_id,
                           coalesce(i.headers::json, '{}'::json) AS headers, b.shown AS body, b.encoding AS body_encoding,
                           octet_length(i.body) AS body_size) document)::text
          FROM inbox i CROSS JOIN LATERAL body_shown(i.body) b WHERE i.inbox_id = of_id AND i.outcome = 'dead');
END
$$;

-- Has dead letters tried again, now and once: one, or (NULL) those that fit the filter, oldest first. How many.
CREATE FUNCTION dead_letters_redrive(of_id bigint, by_psp text, by_reason text, at_most int, by_whom text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    WITH chosen AS MATERIALIZED (
        SELECT i.inbox_id FROM inbox i
         WHERE i.outcome = 'dead' AND i.inbox_id BETWEEN coalesce(of_id, 0) AND coalesce(of_id, 9223372036854775807)
           AND (by_psp IS NULL OR i.psp = by_psp) AND (by_reason IS NULL OR starts_with(i.reason, by_reason))
         ORDER BY i.inbox_id LIMIT at_most FOR NO KEY UPDATE
    ), noted AS (
        UPDATE discrepancies d SET action = format('driven again by %s', coalesce(nullif(by_whom, ''), 'an operator'))
          FROM chosen c WHERE d.inbox_id = c.inbox_id AND d.settled_at IS NULL
    ), driven AS (
        UPDATE inbox i SET outcome = 'parked', retry_at = now(), redrives = i.redrives + 1, deliveries = 0,
               dead_copied_at = NULL
          FROM chosen c WHERE i.inbox_id = c.inbox_id
        RETURNING 1
    )
    SELECT count(*) FROM driven
$$;

-- Dead rows without a copy in the dead letter stream, and the mark that they have one (the copy may be made twice, never none).
CREATE FUNCTION webhooks_dead_to_copy(at_most int)
RETURNS TABLE (inbox_id bigint, psp text, event_id text, source text, payment_ref text, reason text, tries int, body bytea,
               received_at_us bigint)
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT i.inbox_id, i.psp, i.event_id, i.source, i.payment_ref, i.reason, i.tries, i.body,
               (extract(epoch FROM i.received_at) * 1000000)::bigint
          FROM inbox i WHERE i.outcome = 'dead' AND i.dead_copied_at IS NULL ORDER BY i.inbox_id LIMIT at_most;
END
$$;
CREATE FUNCTION webhooks_dead_copied(inbox_ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    UPDATE inbox SET dead_copied_at = now() WHERE inbox_id = ANY (inbox_ids) AND outcome = 'dead' AND dead_copied_at IS NULL;
END
$$;

-- ---- discrepancies ----

CREATE FUNCTION discrepancy_json(d discrepancies) RETURNS json STABLE LANGUAGE sql AS $$
    SELECT row_to_json(document) FROM (
        SELECT d.discrepancy_id AS id, d.kind, CASE WHEN d.settled_at IS NULL THEN 'open' ELSE 'settled' END AS state,
               d.psp AS gateway, d.order_id, d.payment_id, d.refund_id, d.inbox_id AS dead_letter_id, d.detail, d.action,
               d.decision, d.settled_by, rfc3339(d.settled_at) AS settled_at, rfc3339(d.created_at) AS created_at) document
$$;

CREATE FUNCTION discrepancies_page(by_state text, by_kind text, by_payment uuid, before bigint, at_most int) RETURNS text
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    upper_bound bigint := coalesce(before, 9223372036854775807);
    ids         bigint[];
    more        boolean;
BEGIN
    -- One statement per index, so that each is planned for its own.
    IF by_payment IS NOT NULL THEN
        ids := ARRAY(SELECT d.discrepancy_id FROM discrepancies d
                      WHERE d.payment_id = by_payment AND d.discrepancy_id < upper_bound
                        AND (by_state IS NULL OR (d.settled_at IS NULL) = (by_state = 'open'))
                        AND (by_kind IS NULL OR d.kind = by_kind)
                      ORDER BY d.discrepancy_id DESC LIMIT at_most + 1);
    ELSIF by_state = 'open' THEN
        ids := ARRAY(SELECT d.discrepancy_id FROM discrepancies d
                      WHERE d.settled_at IS NULL AND d.discrepancy_id < upper_bound AND (by_kind IS NULL OR d.kind = by_kind)
                      ORDER BY d.discrepancy_id DESC LIMIT at_most + 1);
    ELSIF by_kind IS NOT NULL THEN -- in this order, which the index by kind has and no other
        ids := ARRAY(SELECT d.discrepancy_id FROM discrepancies d
                      WHERE (d.kind, d.discrepancy_id) < (by_kind, upper_bound) AND d.kind >= by_kind
                        AND (by_state IS NULL OR d.settled_at IS NOT NULL)
                      ORDER BY d.kind DESC, d.discrepancy_id DESC LIMIT at_most + 1);
    ELSE
        ids := ARRAY(SELECT d.discrepancy_id FROM discrepancies d
                      WHERE d.discrepancy_id < upper_bound AND (by_state IS NULL OR d.settled_at IS NOT NULL)
                      ORDER BY d.discrepancy_id DESC LIMIT at_most + 1);
    END IF;
    more := cardinality(ids) > at_most;
    ids := ids[1:at_most];
    RETURN (SELECT row_to_json(page) FROM (
                SELECT (SELECT coalesce(json_agg(discrepancy_json(d) ORDER BY d.discrepancy_id DESC), '[]'::json)
                          FROM discrepancies d WHERE d.discrepancy_id = ANY (ids)) AS data,
                       CASE WHEN more THEN ids[at_most] END AS next_cursor) page)::text;
END
$$;

-- The operator's decision about an open one. `refund` gives back what is left of the capture (of a mismatch), or makes a refund that
-- was refused, or failed after all, again, once; `accept` leaves the money where it is: a mismatching capture becomes the merchant's.
-- `verdict`: ok, not_found, settled (before), not_possible (that decision does not fit this kind, or nothing is left to refund).
CREATE FUNCTION discrepancy_settle(of_id bigint, decision text, refund_id uuid, by_whom text)
RETURNS TABLE (verdict text, document text) LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    d       discrepancies;
    failed  refunds; -- what is made again
    capture record;
BEGIN
    SELECT x.* INTO d FROM discrepancies x WHERE x.discrepancy_id = of_id;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'not_found', NULL::text;
        RETURN;
    END IF;
    PERFORM 1 FROM orders o WHERE o.order_id = d.order_id FOR NO KEY UPDATE;
    PERFORM 1 FROM payments p WHERE p.payment_id = d.payment_id FOR NO KEY UPDATE;
    SELECT x.* INTO d FROM discrepancies x WHERE x.discrepancy_id = of_id FOR NO KEY UPDATE;
    IF d.settled_at IS NOT NULL THEN
        RETURN QUERY SELECT CASE WHEN d.decision = discrepancy_settle.decision THEN 'ok' ELSE 'settled' END,
                            discrepancy_json(d)::text;
        RETURN;
    END IF;
    IF discrepancy_settle.decision = 'refund' THEN
        SELECT r.* INTO failed FROM facts f JOIN refunds r ON r.refund_id = f.refund_id
         WHERE f.fact_id = d.fact_id AND d.kind IN ('refund_refused', 'refund_failed_after_success');
        SELECT c.* INTO capture
          FROM captures_refundable(d.payment_id) c
         WHERE c.left_amount > 0
           AND c.fact_id = CASE WHEN d.kind = 'amount_mismatch' THEN d.fact_id ELSE failed.capture_fact_id END
           AND NOT EXISTS (SELECT FROM refunds again
                             JOIN discrepancies e ON e.discrepancy_id = again.discrepancy_id
                             JOIN facts f ON f.fact_id = e.fact_id AND f.refund_id = failed.refund_id
                            WHERE again.capture_fact_id = failed.capture_fact_id AND again.status <> 'FAILED');
        IF NOT FOUND THEN
            RETURN QUERY SELECT 'not_possible', discrepancy_json(d)::text;
            RETURN;
        END IF;
        INSERT INTO refunds (refund_id, payment_id, order_id, capture_fact_id, psp, amount, currency, reason, discrepancy_id)
        SELECT discrepancy_settle.refund_id, d.payment_id, d.order_id, capture.fact_id, capture.psp,
               least(capture.left_amount, failed.amount), -- of a mismatch, all that is left
               capture.currency, format('discrepancy %s, decided by %s', d.discrepancy_id,
                                        coalesce(nullif(by_whom, ''), 'an operator')), d.discrepancy_id;
        PERFORM pg_notify('refunds_due', '');
    END IF;
    UPDATE discrepancies x
       SET settled_at = now(), settled_by = coalesce(nullif(by_whom, ''), 'an operator'), decision = discrepancy_settle.decision,
           refund_id = CASE WHEN discrepancy_settle.decision = 'refund' THEN discrepancy_settle.refund_id ELSE x.refund_id END,
           action = CASE WHEN discrepancy_settle.decision = 'refund' THEN 'refund requested' ELSE 'accepted as it is' END
     WHERE x.discrepancy_id = of_id
    RETURNING * INTO d;
    IF d.kind = 'amount_mismatch' THEN -- whose the capture is, and so whose the payment's refunds are, may have changed
        PERFORM ledger_book(ARRAY(SELECT f.fact_id FROM facts f WHERE f.payment_id = d.payment_id));
    END IF;
    RETURN QUERY SELECT 'ok', discrepancy_json(d)::text;
END
$$;

REVOKE ALL ON FUNCTION body_shown, dead_letters_page, dead_letter_document, dead_letters_redrive, webhooks_dead_to_copy,
    webhooks_dead_copied, discrepancy_json, discrepancies_page, discrepancy_settle FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dead_letters_page, dead_letter_document, dead_letters_redrive, webhooks_dead_to_copy,
    webhooks_dead_copied, discrepancies_page, discrepancy_settle TO tiffin_webhook_processor;
