-- 012_retention.sql - what is kept for a time only: webhooks that were handled, events that were told, and why payments went where.
--
-- Orders, payments, facts, refunds, the books and what a person has or had to decide about are kept for good. A webhook's row says
-- that its event id was handled, and what its bytes were: after the PSPs' last repeats nobody asks for either, and one that comes
-- all the same changes nothing, since its fact is known. An event is there for those who were away when it came. Both go in the
-- order of their numbers, of which one each says how far: so they go from whole pages, which are filled again.

-- The outbox is append-only but for that.
CREATE FUNCTION outbox_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gone g WHERE g.event_id > (SELECT r.event_id FROM retention r)) THEN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER keep AFTER DELETE ON outbox REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION outbox_keep();

-- Forgets what is older than so many days, oldest first, looking at no more than so many rows of each; how many it forgot of the one
-- of which it forgot more. One session at a time, another has nothing to do. (Of rows whose numbers and times are not in one order,
-- those with the higher number wait for the others.)
CREATE FUNCTION history_forget(webhooks_days int, events_days int, at_most int) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    done         retention;
    last_webhook bigint;
    last_event   bigint;
    webhooks     bigint := 0;
    events       bigint := 0;
BEGIN
    SELECT r.* INTO done FROM retention r WHERE r.only_row FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    SELECT coalesce(min(i.inbox_id) FILTER (WHERE i.recorded_at >= now() - make_interval(days => webhooks_days)) - 1,
                    max(i.inbox_id), done.inbox_id) INTO last_webhook
      FROM (SELECT x.inbox_id, x.recorded_at FROM inbox x
             WHERE x.inbox_id > done.inbox_id ORDER BY x.inbox_id LIMIT at_most) i;
    SELECT coalesce(min(e.event_id) FILTER (WHERE e.created_at >= now() - make_interval(days => events_days)) - 1,
                    max(e.event_id), done.event_id) INTO last_event
      FROM (SELECT x.event_id, x.created_at FROM outbox x
             WHERE x.event_id > done.event_id ORDER BY x.event_id LIMIT at_most) e;
    IF last_webhook > done.inbox_id OR last_event > done.event_id THEN
        UPDATE retention r SET inbox_id = last_webhook, event_id = last_event WHERE r.only_row;
        DELETE FROM inbox i
         WHERE i.inbox_id > done.inbox_id AND i.inbox_id <= last_webhook AND i.outcome IN ('applied', 'duplicate');
        GET DIAGNOSTICS webhooks = ROW_COUNT;
        DELETE FROM outbox e WHERE e.event_id > done.event_id AND e.event_id <= last_event;
        GET DIAGNOSTICS events = ROW_COUNT;
    END IF;
    RETURN greatest(webhooks, events);
END
$$;

-- The same of the decisions about where payments went, which nothing but curiosity asks for.
CREATE FUNCTION decisions_forget(decisions_days int, at_most int) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    before    CONSTANT timestamptz := now() - make_interval(days => decisions_days);
    forgotten bigint;
BEGIN
    IF (SELECT d.decided_at FROM routing_decisions d ORDER BY d.attempt_id LIMIT 1) < before THEN
        DELETE FROM routing_decisions d
         WHERE d.attempt_id IN (SELECT x.attempt_id FROM routing_decisions x ORDER BY x.attempt_id LIMIT at_most)
           AND d.decided_at < before;
        GET DIAGNOSTICS forgotten = ROW_COUNT;
    END IF;
    RETURN coalesce(forgotten, 0);
END
$$;

REVOKE ALL ON FUNCTION history_forget, decisions_forget FROM PUBLIC;
GRANT EXECUTE ON FUNCTION history_forget, decisions_forget TO tiffin_reconciler;
