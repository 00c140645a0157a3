-- 007_refunds.sql - what the router may do about refunds: reserve them, find those that are due, note that it called.
--
-- A refund is reserved before the PSP is asked and is asked for under its own id, at the PSP that captured, until it is known how it
-- ended; how it ended is a fact like any other (webhooks_apply).

-- What is left of each capture of this payment: its amount, less our refunds of it that have not failed (at what was asked for or at
-- what the PSP gave back for them, whichever is more), less what the PSP has refunded without us (that is taken off the captures in
-- turn, the applied one first).
CREATE FUNCTION captures_refundable(of_payment_id uuid)
RETURNS TABLE (fact_id bigint, psp text, currency text, applied boolean, left_amount bigint) STABLE LANGUAGE sql AS $$
    WITH captures AS (
        SELECT f.fact_id, f.psp, f.currency, a.fact_id IS NOT NULL AS applied,
               f.amount - coalesce((SELECT sum(greatest(r.amount, (SELECT sum(g.amount) FROM facts g
                                                                    WHERE g.refund_id = r.refund_id AND g.kind = 'refund_succeeded' AND NOT g.undone
                                                                      AND g.payment_id = f.payment_id AND g.currency = f.currency)))
                                      FROM refunds r
                                     WHERE r.capture_fact_id = f.fact_id AND r.status <> 'FAILED'), 0) AS left_amount
          FROM facts f LEFT JOIN applied_captures a ON a.fact_id = f.fact_id
         WHERE f.payment_id = of_payment_id AND f.kind = 'captured'
    ), foreign_refunds AS (
        SELECT f.currency, sum(f.amount) AS amount FROM facts f
         WHERE f.payment_id = of_payment_id AND f.kind = 'refund_succeeded' AND NOT f.undone AND f.refund_id IS NULL
         GROUP BY f.currency
    ), in_turn AS (
        SELECT c.*, coalesce(x.amount, 0) AS foreign_amount,
               coalesce(sum(greatest(c.left_amount, 0)) OVER (PARTITION BY c.currency ORDER BY c.applied DESC, c.fact_id
                                                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
          FROM captures c LEFT JOIN foreign_refunds x ON x.currency = c.currency
    )
    SELECT t.fact_id, t.psp, t.currency, t.applied,
           greatest(t.left_amount - greatest(t.foreign_amount - t.before, 0), 0)::bigint
      FROM in_turn t
$$;
REVOKE ALL ON FUNCTION captures_refundable FROM PUBLIC;

-- Reserves refunds, one after the other in the order of the input, so that together they never reserve more than was captured. An
-- amount of 0 is all that is left of one capture. `verdict` is ok (document: the public JSON), payment_not_found, exceeds_capture
-- (detail says by how much), key_reused, id_conflict. The first answer of a key is remembered, refusals too.
CREATE FUNCTION refunds_create(refund_ids uuid[], payment_ids uuid[], amounts bigint[], reasons text[],
                               idempotency_ids uuid[] DEFAULT NULL, fingerprints uuid[] DEFAULT NULL,
                               request_ids uuid[] DEFAULT NULL)
RETURNS TABLE ("position" bigint, refund_id uuid, payment_id uuid, verdict text, detail text, replayed boolean,
               first_request_id uuid, status text, document text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    keys     uuid[] := ARRAY(SELECT nullif(k.id, '00000000-0000-0000-0000-000000000000')
                               FROM unnest(idempotency_ids) WITH ORDINALITY AS k(id, n) ORDER BY k.n);
    request  record;
    capture  record;
    known    record;
    made     refunds;
    any_made boolean := false;
BEGIN
    PERFORM idempotency_take(keys, fingerprints, refund_ids);
    PERFORM 1 FROM payments p WHERE p.payment_id = ANY (payment_ids) ORDER BY p.payment_id FOR NO KEY UPDATE;
    FOR request IN
        SELECT u.*, p.payment_id IS NOT NULL AS exists
          FROM unnest(refund_ids, payment_ids, amounts, reasons, keys, fingerprints, request_ids) WITH ORDINALITY
               AS u(refund_id, payment_id, amount, reason, key_id, fingerprint, request_id, n)
          LEFT JOIN payments p ON p.payment_id = u.payment_id
         ORDER BY u.n
    LOOP
        position := request.n;
        refund_id := request.refund_id;
        payment_id := request.payment_id;
        replayed := false;
        first_request_id := NULL;
        detail := NULL;
        status := NULL;
        document := NULL;
        IF request.key_id IS NOT NULL THEN
            SELECT k.* INTO known FROM idempotency_keys k WHERE k.idempotency_id = request.key_id;
            IF known.fingerprint <> request.fingerprint THEN
                verdict := 'key_reused';
                RETURN NEXT;
                CONTINUE;
            ELSIF known.verdict IS NOT NULL THEN
                replayed := known.resource_id <> request.refund_id;
                first_request_id := known.holder;
                refund_id := known.resource_id;
                verdict := known.verdict;
                status := 'PENDING';
                IF verdict = 'ok' THEN
                    document := known.document;
                ELSE
                    detail := known.document;
                END IF;
                RETURN NEXT;
                CONTINUE;
            END IF;
        END IF;

        SELECT r.* INTO made FROM refunds r WHERE r.refund_id = request.refund_id;
        IF FOUND THEN -- the same message once more
            verdict := CASE WHEN made.payment_id = request.payment_id THEN 'ok' ELSE 'id_conflict' END;
        ELSIF NOT request.exists THEN
            verdict := 'payment_not_found';
        ELSE
            SELECT c.* INTO capture FROM captures_refundable(request.payment_id) c
             WHERE c.left_amount >= greatest(request.amount, 1)
             ORDER BY c.applied DESC, c.fact_id LIMIT 1;
            IF NOT FOUND THEN
                verdict := 'exceeds_capture';
                SELECT format('%s can be refunded', coalesce(max(c.left_amount), 0)) INTO detail
                  FROM captures_refundable(request.payment_id) c;
            ELSE
                INSERT INTO refunds (refund_id, payment_id, order_id, capture_fact_id, psp, amount, currency, reason)
                SELECT request.refund_id, p.payment_id, p.order_id, capture.fact_id, capture.psp,
                       CASE WHEN request.amount > 0 THEN request.amount ELSE capture.left_amount END, capture.currency,
                       request.reason
                  FROM payments p WHERE p.payment_id = request.payment_id
                RETURNING * INTO made;
                verdict := 'ok';
                any_made := true;
            END IF;
        END IF;
        IF verdict = 'ok' THEN
            status := made.status;
            document := refund_document(made);
        END IF;
        IF request.key_id IS NOT NULL AND verdict <> 'id_conflict' THEN
            UPDATE idempotency_keys k SET verdict = refunds_create.verdict, holder = request.request_id,
                                          document = coalesce(refunds_create.document, refunds_create.detail)
             WHERE k.idempotency_id = request.key_id;
        END IF;
        RETURN NEXT;
    END LOOP;
    IF any_made THEN
        PERFORM pg_notify('refunds_due', '');
    END IF;
END
$$;

CREATE FUNCTION refund_documents(refund_ids uuid[]) RETURNS TABLE (refund_id uuid, payment_id uuid, status text, document text)
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT r.refund_id, r.payment_id, r.status, refund_document(r) FROM refunds r WHERE r.refund_id = ANY (refund_ids);
END
$$;

-- Refunds whose PSP is to be asked now, each for one caller until the lease ends; none at these PSPs. key_age_s: for how long the PSP
-- may have known the refund's key, that is since it was reserved, or since the PSP said that it does not know of it.
CREATE FUNCTION refunds_claim(at_most int, lease_ms bigint, except_psps text[] DEFAULT '{}')
RETURNS TABLE (refund_id uuid, payment_id uuid, order_id uuid, psp text, capture_ref text, amount bigint, currency text,
               reason text, calls int, requested boolean, key_age_s bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH RECURSIVE names(psp) AS ( -- each PSP at which something is due, found by one look into the index
            (SELECT q.psp FROM refunds q WHERE q.next_call_at IS NOT NULL ORDER BY q.psp LIMIT 1)
            UNION ALL
            SELECT (SELECT q.psp FROM refunds q WHERE q.next_call_at IS NOT NULL AND q.psp > n.psp ORDER BY q.psp LIMIT 1)
              FROM names n WHERE n.psp IS NOT NULL
        ), due AS MATERIALIZED ( -- PSP by PSP: the backlog of one that is left out is not read
            SELECT d.refund_id
              FROM names n
             CROSS JOIN LATERAL (SELECT q.refund_id, q.next_call_at FROM refunds q
                                  WHERE q.psp = n.psp AND q.next_call_at <= now()
                                  ORDER BY q.next_call_at LIMIT at_most FOR NO KEY UPDATE SKIP LOCKED) d
             WHERE n.psp <> ALL (except_psps)
             ORDER BY d.next_call_at LIMIT at_most
        )
        UPDATE refunds r
           SET calls = r.calls + 1, next_call_at = clock_timestamp() + make_interval(secs => lease_ms / 1000.0)
          FROM due d, facts f
         WHERE r.refund_id = d.refund_id AND f.fact_id = r.capture_fact_id
        RETURNING r.refund_id, r.payment_id, r.order_id, r.psp, f.psp_ref, r.amount, r.currency, r.reason, r.calls,
                  EXISTS (SELECT FROM facts g WHERE g.refund_id = r.refund_id AND g.kind = 'refund_requested'),
                  extract(epoch FROM now() - greatest(r.created_at, r.absent_at))::bigint;
END
$$;

-- A call has ended. `unknown`: it was sent, and what came of it is not known; unless the PSP has told of the refund before, it stays
-- so until a fact tells. The next call comes after retry_after_ms, unless it is known by then how the refund ended. claimed_calls: the
-- `calls` that the caller was given; a refund that was claimed again since keeps the newer claim's lease.
CREATE FUNCTION refunds_called(refund_ids uuid[], unknowns boolean[], errors text[], retry_after_ms bigint[],
                               claimed_calls int[] DEFAULT NULL, absents boolean[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    PERFORM 1 FROM refunds r WHERE r.refund_id = ANY (refund_ids) ORDER BY r.refund_id FOR NO KEY UPDATE;
    UPDATE refunds r
       SET outcome_unknown = r.outcome_unknown
               OR u.unknown AND NOT EXISTS (SELECT FROM facts f WHERE f.refund_id = r.refund_id),
           last_error = u.error,
           absent_at = CASE WHEN u.absent THEN now() ELSE r.absent_at END,
           next_call_at = CASE WHEN u.calls IS NULL OR u.calls = r.calls
                               THEN clock_timestamp() + make_interval(secs => u.after_ms / 1000.0) ELSE r.next_call_at END
      FROM unnest(refund_ids, unknowns, errors, retry_after_ms, claimed_calls, absents)
           AS u(refund_id, unknown, error, after_ms, calls, absent)
     WHERE r.refund_id = u.refund_id AND r.next_call_at IS NOT NULL;
END
$$;

REVOKE ALL ON FUNCTION refunds_create, refund_documents, refunds_claim, refunds_called FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refunds_create, refund_documents, refunds_claim, refunds_called TO tiffin_router;
