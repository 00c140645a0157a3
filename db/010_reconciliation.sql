-- 010_reconciliation.sql - what the reconciler may do: claim whom to ask, keep a record of its runs. It writes no payment state.

-- Payments without a capture whose check is due, and any of which a PSP has hinted at news: one row per PSP that may know of them
-- (its checkout is open, or the outcome of the call is not known); psp is NULL for a payment of which no PSP can know, so that no row
-- means: nothing is due. Claiming moves the next check: every interval_s while a payment is young, then at a tenth of its age, at most
-- six hours apart, never again after seven days, nor once it is captured or every PSP has refused it for good. A tenth of the interval
-- is taken off, so that what was
-- claimed late in one run is due early in the next. A run claims what was due when it began: one that takes longer than the
-- interval would otherwise claim again what it has asked about, without end. Without a run (NULL) those are claimed of which a PSP
-- has hinted at news.
CREATE FUNCTION status_checks_claim(run bigint, at_most int, interval_s bigint)
RETURNS TABLE (payment_id uuid, order_id uuid, psp text, failure_known boolean, psp_ref text, amount bigint, currency text,
               returned text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH due AS MATERIALIZED (
            SELECT q.payment_id FROM payments q
             WHERE q.next_check_at <= CASE WHEN run IS NULL THEN '-infinity'::timestamptz
                       ELSE (SELECT r.started_at FROM reconciliation_runs r WHERE r.run_id = run) END
               AND (q.capture_count = 0 OR q.next_check_at = '-infinity')
             ORDER BY q.next_check_at LIMIT at_most FOR NO KEY UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE payments p
               SET next_check_at = CASE
                       WHEN p.capture_count > 0 THEN NULL
                       WHEN now() - p.created_at > interval '7 days' THEN NULL
                       WHEN p.given_up_at IS NOT NULL
                            AND NOT EXISTS (SELECT 1 FROM attempts a
                                             WHERE a.payment_id = p.payment_id AND a.outcome IS DISTINCT FROM 'REFUSED') THEN NULL
                       WHEN now() - p.created_at < greatest(make_interval(secs => 10 * interval_s), interval '10 minutes')
                           THEN now() + make_interval(secs => 0.9 * interval_s)
                       ELSE now() + least(greatest(make_interval(secs => 0.9 * interval_s), (now() - p.created_at) / 10),
                                          interval '6 hours') END
              FROM due d WHERE p.payment_id = d.payment_id
            RETURNING p.payment_id, p.order_id, p.failure_count > 0 AS failure_known, p.amount, p.currency, p.returned
        )
        SELECT DISTINCT ON (c.payment_id, a.psp, a.psp_ref)
               c.payment_id, c.order_id, a.psp, c.failure_known, a.psp_ref, c.amount, c.currency, c.returned
          FROM claimed c LEFT JOIN attempts a ON a.payment_id = c.payment_id AND a.outcome IS DISTINCT FROM 'REFUSED';
END
$$;

-- Begins a run. `everything`: what is not settled is due now, however lately its PSP was asked (somebody wants to know; at most
-- 50,000 payments at once, those that have waited longest).
CREATE FUNCTION reconciliation_begin(instance text, everything boolean) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    new_run_id bigint;
BEGIN
    IF everything THEN
        UPDATE payments p SET next_check_at = now()
         WHERE p.payment_id IN (SELECT q.payment_id FROM payments q
                                 WHERE q.capture_count = 0 AND q.next_check_at > now()
                                 ORDER BY q.next_check_at LIMIT 50000 FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    INSERT INTO reconciliation_runs (instance) VALUES (reconciliation_begin.instance) RETURNING run_id INTO new_run_id;
    RETURN new_run_id;
END
$$;
CREATE FUNCTION reconciliation_finish(run bigint, asked int, news int, errors int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    UPDATE reconciliation_runs r
       SET finished_at = now(), asked = $2, news = $3, errors = $4
     WHERE r.run_id = run;
END
$$;

CREATE FUNCTION reconciliations_page(before bigint, at_most int) RETURNS text
STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    ids  bigint[];
    more boolean;
BEGIN
    ids := ARRAY(SELECT r.run_id FROM reconciliation_runs r WHERE r.run_id < coalesce(before, 9223372036854775807)
                  ORDER BY r.run_id DESC LIMIT at_most + 1);
    more := cardinality(ids) > at_most;
    ids := ids[1:at_most];
    RETURN (SELECT row_to_json(page) FROM (
                SELECT (SELECT coalesce(json_agg(row_to_json(entry) ORDER BY entry.id DESC), '[]'::json) FROM (
                            SELECT r.run_id AS id, r.instance, rfc3339(r.started_at) AS started_at,
                                   rfc3339(r.finished_at) AS finished_at, r.asked, r.news, r.errors
                              FROM reconciliation_runs r WHERE r.run_id = ANY (ids)) entry) AS data,
                       CASE WHEN more THEN ids[at_most] END AS next_cursor) page)::text;
END
$$;

-- Claims settlement reports to read, for lease_s. Those of today and yesterday are read every interval_s, since lines are added to
-- them; one that is older, once more, when no more are; so is each day that nobody has read because no reconciler ran (of the last
-- 30). `everything`: what was read lately too (somebody wants to know). Those that were announced are of `announcing`, and are read
-- once.
CREATE FUNCTION settlement_reports_claim(psps text[], announcing text[], everything boolean, at_most int, lease_s int)
RETURNS TABLE (psp text, day_us bigint, url text, cursor text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
    INSERT INTO settlement_reports (psp, day)
    SELECT p.psp, d.day::date
      FROM unnest(psps) AS p(psp)
     CROSS JOIN LATERAL generate_series(
               greatest(coalesce((SELECT max(r.day) FROM settlement_reports r WHERE r.psp = p.psp), today - 1), today - 30)::timestamp,
               today::timestamp, interval '1 day') AS d(day)
     ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
    DELETE FROM settlement_reports r WHERE r.day < today - 60;
    IF everything THEN -- due, so that what this claim has no room for the next ones take
        UPDATE settlement_reports r SET next_read_at = now()
         WHERE r.psp = ANY (psps || announcing) AND r.next_read_at > now() AND r.leased_until <= now();
    END IF;
    RETURN QUERY
        WITH due AS MATERIALIZED (
            SELECT q.psp, q.day, q.url FROM settlement_reports q
             WHERE q.psp = ANY (CASE WHEN q.url = '' THEN psps ELSE announcing END) AND q.leased_until <= now()
               AND q.next_read_at <= now()
             ORDER BY q.day, q.psp, q.url LIMIT at_most FOR NO KEY UPDATE SKIP LOCKED
        )
        UPDATE settlement_reports r SET leased_until = now() + make_interval(secs => lease_s)
          FROM due d WHERE (r.psp, r.day, r.url) = (d.psp, d.day, d.url)
        RETURNING r.psp, (extract(epoch FROM r.day) * 1000000)::bigint, r.url, r.cursor;
END
$$;
-- What of a page is not in the inbox yet: the positions (from 1).
CREATE FUNCTION settlement_lines_news(psp text, event_ids text[], payment_ids uuid[]) RETURNS SETOF int
STABLE LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.n::int FROM unnest(event_ids, payment_ids) WITH ORDINALITY AS l(event_id, payment_id, n)
     WHERE NOT EXISTS (SELECT FROM inbox i WHERE i.psp = $1 AND i.event_id = l.event_id
                                             AND i.payment_ref = l.payment_id::text)
$$;
-- A page is read: the next begins at the cursor; '': that was the last. Its reader keeps it for lease_s more, if there is one.
CREATE FUNCTION settlement_reports_read(of_psp text, day_us bigint, of_url text, next_cursor text, new_lines int, interval_s bigint, lease_s int)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE settlement_reports r
       SET cursor = next_cursor, lines = r.lines + new_lines,
           leased_until = CASE WHEN next_cursor = '' THEN '-infinity' ELSE now() + make_interval(secs => lease_s) END,
           read_at = CASE WHEN next_cursor = '' THEN now() ELSE r.read_at END,
           next_read_at = CASE WHEN next_cursor <> '' THEN r.next_read_at
                               WHEN of_url <> '' OR r.day < (now() AT TIME ZONE 'UTC')::date - 1 THEN NULL
                               ELSE now() + make_interval(secs => interval_s) END
     WHERE r.psp = of_psp AND r.url = of_url AND r.day = date '1970-01-01' + (day_us / 86400000000)::int;
END
$$;
-- It cannot be read now: again in so many seconds, from where it was left; from its beginning where that may be what is wrong.
CREATE FUNCTION settlement_reports_failed(of_psp text, day_us bigint, of_url text, from_beginning boolean, again_s int)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE settlement_reports r
       SET cursor = CASE WHEN from_beginning THEN '' ELSE r.cursor END, leased_until = '-infinity',
           next_read_at = now() + make_interval(secs => again_s)
     WHERE r.psp = of_psp AND r.url = of_url AND r.day = date '1970-01-01' + (day_us / 86400000000)::int;
END
$$;
REVOKE ALL ON FUNCTION settlement_reports_claim, settlement_lines_news, settlement_reports_read, settlement_reports_failed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION settlement_reports_claim, settlement_lines_news, settlement_reports_read, settlement_reports_failed
    TO tiffin_reconciler;

-- Ends sessions of the services whose client has not read its result for so long: a process that was stopped in the middle of a
-- statement. An answer that does not fit the socket is sent before the commit, with every lock held, the feed's too, and none of
-- the server's own timeouts ends that. What such a session wanted is rolled back. How many. (Needs the owner to be a superuser or a
-- member of pg_signal_backend and pg_read_all_stats; otherwise it sees none.)
CREATE FUNCTION sessions_end_unread(after_s int) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT count(*) FILTER (WHERE pg_terminate_backend(a.pid)) FROM pg_stat_activity a
         WHERE a.datname = current_database() AND a.application_name LIKE 'tiffin-%' AND a.backend_xid IS NOT NULL
           AND a.wait_event = 'ClientWrite' AND a.query_start < clock_timestamp() - make_interval(secs => after_s));
END
$$;

REVOKE ALL ON FUNCTION sessions_end_unread FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sessions_end_unread TO tiffin_reconciler;

REVOKE ALL ON FUNCTION reconciliations_page, status_checks_claim, reconciliation_begin, reconciliation_finish FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reconciliations_page, status_checks_claim, reconciliation_begin, reconciliation_finish TO tiffin_reconciler;
