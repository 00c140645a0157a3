-- 004_idempotency.sql - the first answer of a request that carries an Idempotency-Key, for 24 hours.
--
-- A key is taken in the transaction of its effect, so that a key without its effect, or an effect without its key, cannot be. Two
-- requests with one key: the second's insert waits until the first has committed, and the statement after it sees the first's row.
-- Opening a checkout takes longer than a transaction: there the key holds the payment's id, who works on it (holder) and until when
-- nobody else may (lease_until).

CREATE TABLE idempotency_keys (
    idempotency_id uuid PRIMARY KEY, -- of API key, method, path and key
    fingerprint    uuid NOT NULL,    -- of the body
    resource_id    uuid NOT NULL,    -- of the order, payment or refund that the first request made
    created_at     timestamptz NOT NULL DEFAULT now(),
    holder         uuid,             -- the id of the request that works on it, or has been answered
    lease_until    timestamptz,
    verdict        text,             -- how it ended, where that is not to be read off the resource
    document       text              -- what was answered, where the resource may have changed since
) WITH (fillfactor = 85);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- Takes the keys of a batch (nil or NULL: a request without one). Row n tells of request n: `state` none (no key), new (this request
-- made the row, or the row is of this very resource: the same message once more), known, reused (the key came with another body);
-- and the resource that the key stands for.
CREATE FUNCTION idempotency_take(idempotency_ids uuid[], fingerprints uuid[], resource_ids uuid[])
RETURNS TABLE (n bigint, idempotency_id uuid, resource_id uuid, state text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    nil  CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    made bigint;
BEGIN
    INSERT INTO idempotency_keys AS k (idempotency_id, fingerprint, resource_id)
    SELECT DISTINCT ON (u.id) u.id, u.fingerprint, u.resource_id
      FROM unnest(idempotency_ids, fingerprints, resource_ids) WITH ORDINALITY AS u(id, fingerprint, resource_id, n)
     WHERE u.id <> nil
     ORDER BY u.id, u.n
    ON CONFLICT (idempotency_id) DO UPDATE
       SET fingerprint = excluded.fingerprint, resource_id = excluded.resource_id, created_at = now(), holder = NULL,
           lease_until = NULL, verdict = NULL, document = NULL
     WHERE k.created_at < now() - interval '24 hours';
    GET DIAGNOSTICS made = ROW_COUNT;
    IF made = cardinality(array_remove(idempotency_ids, nil)) THEN -- as nearly always: nothing came before, nothing is read back
        RETURN QUERY
            SELECT u.n, nullif(u.id, nil), u.resource_id, CASE u.id WHEN nil THEN 'none' ELSE 'new' END
              FROM unnest(idempotency_ids, resource_ids) WITH ORDINALITY AS u(id, resource_id, n);
        RETURN;
    END IF;
    RETURN QUERY
        SELECT u.n, k.idempotency_id, coalesce(k.resource_id, u.resource_id),
               CASE WHEN k.idempotency_id IS NULL THEN 'none' WHEN k.fingerprint <> u.fingerprint THEN 'reused'
                    WHEN k.resource_id = u.resource_id THEN 'new' ELSE 'known' END
          FROM unnest(idempotency_ids, fingerprints, resource_ids) WITH ORDINALITY AS u(id, fingerprint, resource_id, n)
          LEFT JOIN idempotency_keys k ON k.idempotency_id = u.id
         ORDER BY u.n;
END
$$;

-- Deletes keys that are no longer remembered.
CREATE FUNCTION idempotency_forget_old(at_most int) RETURNS bigint LANGUAGE sql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    WITH gone AS (
        DELETE FROM idempotency_keys k
         WHERE k.idempotency_id IN (SELECT o.idempotency_id FROM idempotency_keys o
                                     WHERE o.created_at < now() - interval '25 hours'
                                     ORDER BY o.created_at LIMIT at_most FOR UPDATE SKIP LOCKED)
        RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Lets others have the payments of these keys at once: their holders have stopped working on them. `finals`: because the order can
-- be paid no more; that answer is remembered.
CREATE FUNCTION idempotency_release(idempotency_ids uuid[], holders uuid[], finals boolean[]) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    PERFORM 1 FROM idempotency_keys k WHERE k.idempotency_id = ANY (idempotency_ids) ORDER BY k.idempotency_id FOR UPDATE;
    UPDATE idempotency_keys k
       SET lease_until = now(), verdict = CASE WHEN u.final THEN 'order_not_payable' ELSE k.verdict END
      FROM unnest(idempotency_ids, holders, finals) AS u(idempotency_id, holder, final)
     WHERE k.idempotency_id = u.idempotency_id AND k.holder = u.holder;
END
$$;

REVOKE ALL ON FUNCTION idempotency_take, idempotency_forget_old, idempotency_release FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idempotency_forget_old TO tiffin_order;
GRANT EXECUTE ON FUNCTION idempotency_release TO tiffin_router;
