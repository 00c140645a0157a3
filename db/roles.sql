-- roles.sql - one login role per service and one for auditors. Safe to run again at any time, before the migrations.
-- Passwords are not set here: a deployment that needs them sets them (see deploy/migrate.sh).
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['tiffin_order', 'tiffin_router', 'tiffin_webhook_processor', 'tiffin_reconciler',
                                     'tiffin_notifier', 'tiffin_audit']
    LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN', role_name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- another database of this cluster has made it already
        END;
    END LOOP;
END
$$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
