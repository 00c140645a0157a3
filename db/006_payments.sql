-- 006_payments.sql - what the router may do. Arrays are batches: element i of each belongs to row i.

-- Where a payment stands, for the router to go on from: the payment and its newest attempt.
CREATE TYPE payment_position AS (
    payment_id      uuid,
    verdict         text, -- ok, order_not_found, order_not_payable, id_conflict, key_reused, key_in_flight
    order_id        uuid,
    amount          bigint,
    currency        text,
    method          text,
    requested_psp   text,
    return_url      text,
    expires_at      timestamptz,
    status          text,
    given_up        boolean,
    attempt_id      uuid, -- the newest; its outcome is NULL while nobody has answered
    attempt_number  int,
    psp             text, -- whose checkout it is; while there is none, the newest attempt's
    attempt_outcome text,
    checkout_url    text,
    tried_psps      text, -- of the newest round's attempts, comma separated
    failures        text, -- of its attempts that ended without a checkout, for people
    page_data       text, -- of the open checkout
    returned        text,
    user_id         text, -- whose order it is
    customer        text, -- JSON: name, email, phone
    replayed        boolean, -- the first answer of an Idempotency-Key
    first_request_id uuid,   -- replayed: the id of the request that was answered so
    manual_capture   boolean -- the order's
);

-- A payment that still lacks a checkout is only worth another call, or another try of the customer's, while its order can be paid.
CREATE FUNCTION payment_positions(payment_ids uuid[], order_ids uuid[]) RETURNS SETOF payment_position
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT n.payment_id,
               CASE WHEN p.order_id <> n.order_id THEN 'id_conflict'
                    WHEN o.order_id IS NULL THEN 'order_not_found'
                    WHEN p.checkout_url IS NOT NULL THEN 'ok'
                    WHEN p.payment_id IS NULL OR o.status <> 'PENDING' OR o.expires_at <= now() THEN 'order_not_payable'
                    ELSE 'ok' END,
               n.order_id, p.amount, p.currency, p.method, p.requested_psp, p.return_url, p.expires_at, p.status,
               p.given_up_at IS NOT NULL, newest.attempt_id, newest.number,
               CASE WHEN p.checkout_url IS NULL THEN newest.psp ELSE p.psp END, newest.outcome, p.checkout_url,
               tried.psps, tried.failures, 
               CASE WHEN p.checkout_url IS NOT NULL
                    THEN (SELECT t.page_data FROM attempts t WHERE t.payment_id = p.payment_id AND t.outcome = 'OPEN'
                           ORDER BY t.number LIMIT 1) END, p.returned, o.user_id, o.customer::text, false, NULL::uuid,
               o.manual_capture
          FROM unnest(payment_ids, order_ids) WITH ORDINALITY AS n(payment_id, order_id, position)
          LEFT JOIN payments p ON p.payment_id = n.payment_id
          LEFT JOIN orders o ON o.order_id = n.order_id
          LEFT JOIN LATERAL (SELECT * FROM attempts t WHERE t.payment_id = p.payment_id ORDER BY t.number DESC LIMIT 1) newest ON true
          LEFT JOIN LATERAL (SELECT string_agg(t.psp, ',' ORDER BY t.number) AS psps,
                                    string_agg(t.psp || CASE t.outcome WHEN 'REFUSED' THEN ' refused' ELSE ', outcome unknown' END
                                               || coalesce(': ' || nullif(t.error, ''), ''), '; ' ORDER BY t.number)
                                        FILTER (WHERE t.outcome IN ('REFUSED', 'UNKNOWN')) AS failures
                               FROM attempts t
                              WHERE t.payment_id = p.payment_id AND t.number >= p.round_from AND p.checkout_url IS NULL) tried ON true
         ORDER BY n.position;
END
$$;
REVOKE ALL ON FUNCTION payment_positions FROM PUBLIC;

-- Writes each payment with its first attempt, before any PSP is called: only for orders that are open now. A payment id that
-- exists already is left as it is, so that a repeated request resumes it. Gives back where each stands, in the order of the input.
--
-- A request with an Idempotency-Key that came before stands for the payment that was begun then. When its checkout is open, that is
-- the answer. Until then whoever works on it holds the key: the same holder (the message sent once more) goes on, another is
-- told key_in_flight until the lease has ended; then it takes over, and a payment that was given up goes round the PSPs once more.
CREATE FUNCTION payments_begin(payment_ids uuid[], order_ids uuid[], methods text[], requested_psps text[],
                               return_urls text[], attempt_ids uuid[], psps text[],
                               idempotency_ids uuid[] DEFAULT NULL, fingerprints uuid[] DEFAULT NULL,
                               holders uuid[] DEFAULT NULL, lease_ms bigint DEFAULT 0, decisions text[] DEFAULT NULL)
RETURNS SETOF payment_position LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    lease    CONSTANT timestamptz := clock_timestamp() + make_interval(secs => lease_ms / 1000.0);
    keys     uuid[] := ARRAY(SELECT nullif(k.id, '00000000-0000-0000-0000-000000000000')
                               FROM unnest(idempotency_ids) WITH ORDINALITY AS k(id, n) ORDER BY k.n);
    ids      uuid[] := payment_ids; -- the payments that answer, request by request
    verdicts text[];                -- NULL: as the payment stands
    replays  boolean[];
    firsts   uuid[];
BEGIN
    IF EXISTS (SELECT FROM unnest(keys) AS k(id) WHERE k.id IS NOT NULL) THEN
        SELECT array_agg(t.resource_id ORDER BY t.n),
               array_agg(CASE WHEN t.state = 'reused' THEN 'key_reused' END ORDER BY t.n) INTO ids, verdicts
          FROM idempotency_take(keys, fingerprints, payment_ids) t;
        PERFORM 1 FROM idempotency_keys k WHERE k.idempotency_id = ANY (keys) ORDER BY k.idempotency_id FOR UPDATE;
        -- Who works on each from now on: whoever does so already, else the first of the batch when nobody does.
        UPDATE idempotency_keys k
           SET holder = u.holder, lease_until = lease
          FROM (SELECT DISTINCT ON (n.key_id) n.key_id, n.holder
                  FROM unnest(keys, holders, verdicts) WITH ORDINALITY AS n(key_id, holder, verdict, n)
                  JOIN idempotency_keys o ON o.idempotency_id = n.key_id
                 WHERE n.verdict IS NULL AND o.verdict IS NULL
                   AND (o.holder IS NULL OR o.holder = n.holder OR o.lease_until <= clock_timestamp())
                 ORDER BY n.key_id, o.holder IS DISTINCT FROM n.holder, n.n) u
         WHERE k.idempotency_id = u.key_id;
        SELECT array_agg(CASE WHEN n.verdict IS NOT NULL THEN n.verdict
                              WHEN k.verdict IS NOT NULL THEN k.verdict
                              WHEN k.holder <> n.holder AND p.checkout_url IS NULL THEN 'key_in_flight' END ORDER BY n.n),
               array_agg(n.verdict IS NULL AND k.resource_id IS NOT NULL AND k.resource_id <> n.payment_id
                         AND (k.verdict IS NOT NULL OR p.checkout_url IS NOT NULL) ORDER BY n.n),
               array_agg(k.holder ORDER BY n.n)
          INTO verdicts, replays, firsts
          FROM unnest(keys, holders, verdicts, payment_ids) WITH ORDINALITY AS n(key_id, holder, verdict, payment_id, n)
          LEFT JOIN idempotency_keys k ON k.idempotency_id = n.key_id
          LEFT JOIN payments p ON p.payment_id = k.resource_id;
    END IF;

    -- Against expiry and captures, in a statement of its own: whoever closes an order either is seen by the next statement, or
    -- waits for this transaction and then sees its payments.
    PERFORM 1 FROM orders o WHERE o.order_id = ANY (order_ids) ORDER BY o.order_id FOR SHARE;
    IF verdicts IS NOT NULL THEN -- against attempts that are being recorded
        PERFORM 1 FROM payments p WHERE p.payment_id = ANY (ids) ORDER BY p.payment_id FOR NO KEY UPDATE;
    END IF;
    WITH wanted AS (
        SELECT DISTINCT ON (n.payment_id) n.*
          FROM unnest(ids, order_ids, methods, requested_psps, return_urls, attempt_ids, psps, verdicts) WITH ORDINALITY
               AS n(payment_id, order_id, method, requested_psp, return_url, attempt_id, psp, verdict, position)
         WHERE n.verdict IS NULL
         ORDER BY n.payment_id, n.position
    ), begun AS (
        INSERT INTO payments (payment_id, order_id, method, amount, currency, requested_psp, return_url, psp, expires_at,
                              manual_capture, capture_next_at)
        SELECT w.payment_id, o.order_id, w.method, o.amount, o.currency, w.requested_psp, w.return_url, w.psp, o.expires_at,
               o.manual_capture, CASE WHEN o.manual_capture THEN o.expires_at END -- what is authorised by then is released
          FROM wanted w
          JOIN orders o ON o.order_id = w.order_id
         WHERE o.status = 'PENDING' AND o.expires_at > now()
         ORDER BY w.payment_id
        ON CONFLICT DO NOTHING
        RETURNING payments.payment_id
    ), again AS (
        UPDATE payments p
           SET given_up_at = NULL, psp = w.psp, next_check_at = now(), -- it may have been asked about for the last time
               round_from = (SELECT max(t.number) + 1 FROM attempts t WHERE t.payment_id = p.payment_id)
          FROM wanted w JOIN unnest(ids, keys) AS n(payment_id, key_id) ON n.payment_id = w.payment_id
          JOIN orders o ON o.order_id = w.order_id
         WHERE p.payment_id = w.payment_id AND p.order_id = w.order_id AND n.key_id IS NOT NULL AND p.given_up_at IS NOT NULL
           AND o.status = 'PENDING' AND o.expires_at > now()
        RETURNING p.payment_id, p.round_from
    ), tried AS (
        INSERT INTO attempts (attempt_id, payment_id, number, psp)
        SELECT w.attempt_id, w.payment_id, coalesce(a.round_from, 1), w.psp
          FROM wanted w
          LEFT JOIN again a ON a.payment_id = w.payment_id
          LEFT JOIN begun b ON b.payment_id = w.payment_id
         WHERE a.payment_id IS NOT NULL OR b.payment_id IS NOT NULL
         ORDER BY w.payment_id
        RETURNING attempts.attempt_id
    )
    INSERT INTO routing_decisions (attempt_id, decision)
    SELECT t.attempt_id, n.decision::json
      FROM tried t JOIN unnest(attempt_ids, decisions) AS n(attempt_id, decision) ON n.attempt_id = t.attempt_id
     WHERE n.decision IS NOT NULL
     ORDER BY t.attempt_id;

    -- A refusal is remembered: there will be no payment under this key.
    UPDATE idempotency_keys k SET verdict = s.verdict
      FROM (SELECT n.key_id, s.verdict
              FROM payment_positions(ids, order_ids) WITH ORDINALITY s
              JOIN unnest(keys, verdicts) WITH ORDINALITY AS n(key_id, verdict, n) ON n.n = s.ordinality
             WHERE n.key_id IS NOT NULL AND n.verdict IS NULL AND s.verdict IN ('order_not_found', 'order_not_payable')
               AND NOT EXISTS (SELECT FROM payments p WHERE p.payment_id = s.payment_id)) s
     WHERE k.idempotency_id = s.key_id;

    RETURN QUERY
        SELECT s.payment_id, coalesce(n.verdict, s.verdict), s.order_id, s.amount, s.currency, s.method, s.requested_psp,
               s.return_url, s.expires_at, s.status, s.given_up, s.attempt_id,
               s.attempt_number, s.psp, s.attempt_outcome, s.checkout_url, s.tried_psps, s.failures, s.page_data, s.returned, s.user_id, s.customer,
               coalesce(n.replayed, false), CASE WHEN n.replayed THEN n.first_request_id END,
               s.manual_capture
          FROM payment_positions(ids, order_ids) WITH ORDINALITY s
          LEFT JOIN unnest(verdicts, replays, firsts) WITH ORDINALITY AS n(verdict, replayed, first_request_id, n)
            ON n.n = s.ordinality
         ORDER BY s.ordinality;
END
$$;

-- Records how attempts ended and, in the same transaction, what comes next: another attempt (next_attempt_ids, next_psps), or
-- none after an OPEN one, or giving up. A NULL outcome says nothing about the attempt, only what comes next. An outcome is set
-- once; only UNKNOWN may still become another. Two routers may be at one payment, or one router twice: the first checkout that
-- was opened is the payment's, nothing is tried after it, and none is shown once the payment was given up; who is still at an
-- earlier round decides nothing about the newest. Gives back where each payment stands, in the order of the input.
CREATE FUNCTION attempts_record(attempt_ids uuid[], outcomes text[], errors text[], psp_refs text[], checkout_urls text[],
                                pages_data text[], took_ms int[], next_attempt_ids uuid[], next_psps text[], give_ups boolean[],
                                next_decisions text[] DEFAULT NULL)
RETURNS SETOF payment_position LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    ids        uuid[];
    parent_ids uuid[];
    given_up   uuid[];
BEGIN
    ids := ARRAY(SELECT a.payment_id FROM attempts a WHERE a.attempt_id = ANY (attempt_ids));
    PERFORM 1 FROM payments p WHERE p.payment_id = ANY (ids) ORDER BY p.payment_id FOR NO KEY UPDATE;

    UPDATE attempts a
       SET outcome = n.outcome, error = n.error, psp_ref = n.psp_ref, checkout_url = n.checkout_url,
           page_data = n.page_data, took_ms = n.took_ms
      FROM (SELECT DISTINCT ON (u.attempt_id) u.* -- of several answers to one call, the one that says most
              FROM unnest(attempt_ids, outcomes, errors, psp_refs, checkout_urls, pages_data, attempts_record.took_ms)
                   AS u(attempt_id, outcome, error, psp_ref, checkout_url, page_data, took_ms)
             WHERE u.outcome IS NOT NULL
             ORDER BY u.attempt_id, array_position(ARRAY['OPEN', 'REFUSED', 'UNKNOWN'], u.outcome)) n
     WHERE a.attempt_id = n.attempt_id AND (a.outcome IS NULL OR a.outcome = 'UNKNOWN');

    -- The next attempt, unless another router that resumed the same payment has written it already.
    WITH tried AS (
        INSERT INTO attempts (attempt_id, payment_id, number, psp)
        SELECT n.next_attempt_id, a.payment_id, a.number + 1, n.next_psp
          FROM unnest(attempt_ids, next_attempt_ids, next_psps) WITH ORDINALITY AS n(attempt_id, next_attempt_id, next_psp, position)
          JOIN attempts a ON a.attempt_id = n.attempt_id
          JOIN payments p ON p.payment_id = a.payment_id
          JOIN orders o ON o.order_id = p.order_id
         WHERE n.next_attempt_id IS NOT NULL AND p.given_up_at IS NULL AND a.number >= p.round_from
           AND o.status = 'PENDING' AND o.expires_at > now()
           AND NOT EXISTS (SELECT 1 FROM attempts t WHERE t.payment_id = a.payment_id AND t.outcome = 'OPEN')
         ORDER BY a.payment_id, n.position
        ON CONFLICT DO NOTHING
        RETURNING attempts.attempt_id
    )
    INSERT INTO routing_decisions (attempt_id, decision)
    SELECT t.attempt_id, n.decision::json
      FROM tried t JOIN unnest(next_attempt_ids, next_decisions) AS n(attempt_id, decision) ON n.attempt_id = t.attempt_id
     WHERE n.decision IS NOT NULL
     ORDER BY t.attempt_id;

    given_up := ARRAY(SELECT n.attempt_id FROM unnest(attempt_ids, give_ups) AS n(attempt_id, give_up)
                        JOIN attempts a ON a.attempt_id = n.attempt_id
                        JOIN payments p ON p.payment_id = a.payment_id AND a.number >= p.round_from
                       WHERE n.give_up);
    UPDATE payments p
       SET psp = CASE WHEN p.checkout_url IS NULL THEN coalesce(s.open_psp, s.newest_psp) ELSE p.psp END,
           checkout_url = CASE WHEN p.checkout_url IS NULL AND p.given_up_at IS NULL THEN s.open_url ELSE p.checkout_url END,
           unknown_attempts = s.unknown_attempts,
           given_up_at = CASE WHEN s.give_up AND s.open_url IS NULL THEN coalesce(p.given_up_at, now()) ELSE p.given_up_at END
      FROM (SELECT a.payment_id,
                   count(*) FILTER (WHERE a.outcome = 'UNKNOWN') AS unknown_attempts,
                   bool_or(a.attempt_id = ANY (given_up)) AS give_up,
                   (array_agg(a.psp ORDER BY a.number DESC))[1] AS newest_psp,
                   (array_agg(a.psp ORDER BY a.number) FILTER (WHERE a.outcome = 'OPEN'))[1] AS open_psp,
                   (array_agg(a.checkout_url ORDER BY a.number) FILTER (WHERE a.outcome = 'OPEN'))[1] AS open_url
              FROM attempts a WHERE a.payment_id = ANY (ids) GROUP BY a.payment_id) s
     WHERE p.payment_id = s.payment_id;

    SELECT array_agg(a.payment_id ORDER BY n.position), array_agg(p.order_id ORDER BY n.position) INTO ids, parent_ids
      FROM unnest(attempt_ids) WITH ORDINALITY AS n(attempt_id, position)
      JOIN attempts a ON a.attempt_id = n.attempt_id
      JOIN payments p ON p.payment_id = a.payment_id;
    RETURN QUERY SELECT * FROM payment_positions(ids, parent_ids);
END
$$;

-- The public JSON of a refund.
CREATE FUNCTION refund_document(r refunds) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT (SELECT row_to_json(document) FROM (
                SELECT r.refund_id, r.payment_id, r.order_id, r.amount, r.currency, r.status, r.reason, r.automatic,
                       rfc3339(r.created_at) AS created_at) document)::text
$$;
REVOKE ALL ON FUNCTION refund_document FROM PUBLIC;

-- The public JSON of payments. Of attempts, which every repeated request adds to while no PSP takes the payment, the newest 60, and
-- why they were made: all of them would be more than a message may hold.
CREATE FUNCTION payment_documents(payment_ids uuid[])
RETURNS TABLE (payment_id uuid, order_id uuid, status text, document text)
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT p.payment_id, p.order_id, p.status,
               (SELECT row_to_json(document) FROM (
                    SELECT p.payment_id, p.order_id, p.psp AS gateway, p.method, p.status, p.amount, p.currency, p.captured_amount,
                           p.refunded_amount, p.applied, p.disputed, p.checkout_url, rfc3339(p.created_at) AS created_at,
                           rfc3339(p.expires_at) AS expires_at,
                           (SELECT coalesce(json_agg(row_to_json(entry)), '[]'::json) FROM (
                                SELECT a.attempt_id, a.psp AS gateway, coalesce(a.outcome, 'PENDING') AS status, a.error, a.psp_ref,
                                       rfc3339(a.started_at) AS started_at, a.took_ms
                                  FROM attempts a WHERE a.attempt_id = ANY (newest.attempt_ids) ORDER BY a.number) entry) AS attempts,
                           (SELECT coalesce(json_agg(d.document::json ORDER BY r.refund_id), '[]'::json)
                              FROM refunds r CROSS JOIN LATERAL refund_document(r) AS d(document)
                             WHERE r.payment_id = p.payment_id) AS refunds,
                           (SELECT row_to_json(decision) FROM (
                                SELECT CASE WHEN p.requested_psp IS NOT NULL THEN 'requested'
                                            ELSE coalesce(made.first ->> 'policy', 'priority') END AS policy,
                                       ARRAY(SELECT a.psp FROM attempts a WHERE a.attempt_id = ANY (newest.attempt_ids)
                                              ORDER BY a.number) AS tried,
                                       made.decisions
                                  FROM (SELECT (array_agg(d.decision ORDER BY a.number))[1] AS first,
                                               coalesce(json_agg(json_build_object(
                                                   'attempt_id', a.attempt_id, 'decided_at', rfc3339(d.decided_at),
                                                   'decision', d.decision) ORDER BY a.number), '[]'::json) AS decisions
                                          FROM attempts a JOIN routing_decisions d ON d.attempt_id = a.attempt_id
                                         WHERE a.attempt_id = ANY (newest.attempt_ids)) made) decision) AS routing) document)::text
          FROM payments p
         CROSS JOIN LATERAL (SELECT ARRAY(SELECT t.attempt_id FROM attempts t WHERE t.payment_id = p.payment_id
                                           ORDER BY t.number DESC LIMIT 60)) AS newest(attempt_ids)
         WHERE p.payment_id = ANY (payment_ids);
END
$$;

-- Where one payment stands, for a page of ours. No row: there is none.
CREATE FUNCTION payment_page(of_payment_id uuid) RETURNS SETOF payment_position
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN QUERY SELECT s.* FROM payments p CROSS JOIN LATERAL payment_positions(ARRAY[p.payment_id], ARRAY[p.order_id]) s
                  WHERE p.payment_id = of_payment_id;
END
$$;

-- The customer has come back from the PSP, which is asked at once what became of it. With the first query that came. Whoever knows the
-- address can come back as often as they like: within 5 s after such a question the PSP is not asked at once again, but in the next
-- run.
CREATE FUNCTION payment_returned(of_payment_id uuid, query text) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    pause CONSTANT interval := '5 s';
    asks  boolean;
BEGIN
    PERFORM 1 FROM payments p WHERE p.payment_id = of_payment_id FOR NO KEY UPDATE;
    SELECT p.returned_at IS NULL OR p.returned_at <= now() - pause INTO asks
      FROM payments p WHERE p.payment_id = of_payment_id AND p.capture_count = 0 AND p.next_check_at IS NOT NULL;
    UPDATE payments p
       SET returned = coalesce(p.returned, nullif(query, '')),
           returned_at = CASE WHEN asks THEN now() ELSE p.returned_at END,
           next_check_at = CASE WHEN asks THEN '-infinity' ELSE least(p.next_check_at, p.returned_at + pause) END
     WHERE p.payment_id = of_payment_id AND asks IS NOT NULL
       AND (asks OR (p.returned IS NULL AND query <> '') OR p.next_check_at > p.returned_at + pause);
    IF asks THEN
        PERFORM pg_notify('checks_due', '');
    END IF;
END
$$;

REVOKE ALL ON FUNCTION payments_begin, attempts_record, payment_documents, payment_page, payment_returned FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payments_begin, attempts_record, payment_documents, payment_page, payment_returned TO tiffin_router;

-- ---- capture and void by hand ----
--
-- What a merchant asks for is written down first. A router then tells the PSP, again and again, until a fact says what became of the
-- authorisation; its answer is no fact: the PSP is asked at once how the payment stands. One that is still authorised when its order
-- ends (expired, cancelled, paid otherwise) is voided without being asked for; where the PSP has no void, that is noted once, and the
-- PSP is asked until it says that it has released it. What is authorised of another order, since the PSP's account is set so, is
-- captured or voided when somebody asks for it.

-- `verdict`: capturing (the PSP is told), payment_not_found, not_authorized (or the opposite was asked for before), order_not_payable,
-- void_unsupported (it is at one of psps_without_void), key_reused. The first answer of a key is remembered.
CREATE FUNCTION payment_capture(of_payment_id uuid, wanted text, key_id uuid, of_fingerprint uuid, request_id uuid,
                                psps_without_void text[] DEFAULT '{}')
RETURNS TABLE (verdict text, replayed boolean, first_request_id uuid, status text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    key     uuid := nullif(key_id, '00000000-0000-0000-0000-000000000000');
    known   idempotency_keys;
    parent  orders;
    payment payments;
BEGIN
    replayed := false;
    IF key IS NOT NULL THEN
        PERFORM idempotency_take(ARRAY[key], ARRAY[of_fingerprint], ARRAY[of_payment_id]);
        SELECT k.* INTO known FROM idempotency_keys k WHERE k.idempotency_id = key FOR UPDATE;
        IF known.fingerprint <> of_fingerprint THEN
            verdict := 'key_reused';
            RETURN NEXT;
            RETURN;
        ELSIF known.verdict IS NOT NULL THEN
            verdict := known.verdict;
            replayed := known.holder <> request_id;
            first_request_id := known.holder;
            status := known.document;
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;
    SELECT o.* INTO parent FROM orders o
     WHERE o.order_id = (SELECT p.order_id FROM payments p WHERE p.payment_id = of_payment_id) FOR SHARE;
    SELECT p.* INTO payment FROM payments p WHERE p.payment_id = of_payment_id FOR NO KEY UPDATE;
    status := payment.status;
    verdict := CASE WHEN payment.payment_id IS NULL THEN 'payment_not_found'
                    WHEN payment.status <> 'AUTHORIZED'
                         OR coalesce(payment.capture_action, wanted) <> wanted THEN 'not_authorized'
                    WHEN wanted = 'capture' AND (parent.status <> 'PENDING' OR parent.expires_at <= now()) THEN 'order_not_payable'
                    WHEN wanted = 'void' AND (SELECT f.psp FROM facts f WHERE f.payment_id = of_payment_id AND f.kind = 'authorized'
                                               ORDER BY f.fact_id DESC LIMIT 1) = ANY (psps_without_void) THEN 'void_unsupported'
                    ELSE 'capturing' END;
    IF verdict = 'capturing' AND payment.capture_action IS NULL THEN
        UPDATE payments p SET capture_action = wanted, capture_next_at = now() WHERE p.payment_id = of_payment_id;
        PERFORM pg_notify('captures_due', '');
    END IF;
    IF key IS NOT NULL THEN
        UPDATE idempotency_keys k SET verdict = payment_capture.verdict, holder = request_id, document = payment_capture.status
         WHERE k.idempotency_id = key;
    END IF;
    RETURN NEXT;
END
$$;

-- Authorisations whose PSP is to be told now, each for one caller until the lease ends; none of payments at these PSPs.
CREATE FUNCTION payments_capture_claim(at_most int, lease_ms bigint, except_psps text[] DEFAULT '{}')
RETURNS TABLE (payment_id uuid, order_id uuid, psp text, psp_ref text, amount bigint, currency text, capture_action text, calls int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH due AS MATERIALIZED (
            SELECT q.payment_id FROM payments q
             WHERE q.authorization_count > 0 AND q.void_count = 0 AND q.capture_count = 0 AND q.capture_next_at <= now()
               AND q.psp <> ALL (except_psps)
             ORDER BY q.capture_next_at LIMIT at_most FOR NO KEY UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE payments p
               SET capture_action = CASE WHEN o.status = 'PENDING' AND o.expires_at > now() THEN p.capture_action ELSE 'void' END,
                   capture_calls = p.capture_calls + 1,
                   capture_next_at = clock_timestamp() + make_interval(secs => lease_ms / 1000.0)
              FROM due d, orders o
             WHERE p.payment_id = d.payment_id AND o.order_id = p.order_id
            RETURNING p.payment_id, p.order_id, p.capture_action, p.capture_calls
        )
        SELECT c.payment_id, c.order_id, f.psp, f.psp_ref, f.amount, f.currency, c.capture_action, c.capture_calls
          FROM claimed c
         CROSS JOIN LATERAL (SELECT g.* FROM facts g WHERE g.payment_id = c.payment_id AND g.kind = 'authorized'
                              ORDER BY g.fact_id DESC LIMIT 1) f
         WHERE c.capture_action IS NOT NULL;
END
$$;

-- A call has ended; claimed_calls: the `calls` that the caller was given. The next comes after retry_after_ms (NULL: there is none, the
-- PSP has no void), unless it is known by then what became of the authorisation: the PSP is asked about that now.
CREATE FUNCTION payment_capture_called(of_payment_id uuid, claimed_calls int, error text, retry_after_ms bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    UPDATE payments p
       SET capture_error = error, next_check_at = '-infinity',
           capture_next_at = CASE WHEN p.capture_calls = claimed_calls
                                 THEN clock_timestamp() + make_interval(secs => retry_after_ms / 1000.0) ELSE p.capture_next_at END
     WHERE p.payment_id = of_payment_id AND p.capture_count = 0;
    PERFORM pg_notify('checks_due', '');
END
$$;

REVOKE ALL ON FUNCTION payment_capture, payments_capture_claim, payment_capture_called FROM PUBLIC;
GRANT EXECUTE ON FUNCTION payment_capture, payments_capture_claim, payment_capture_called TO tiffin_router;
