"""A scope for what a request leaves or looks up before it belongs to one merchant."""

from __future__ import annotations

from django.db import migrations

_REQUIRE_ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_intake') THEN
        RAISE EXCEPTION 'the role app_intake is missing: run core.roles.ensure_roles with an'
            ' administrator''s address (README, "In production"), then migrate again';
    END IF;
END $$;
"""

_UP = """
-- Webhooks of providers: stored, and found again by the provider's id; no body is read.
CREATE POLICY app_intake ON core_inboxmessage TO app_intake USING (true) WITH CHECK (true);
GRANT INSERT, SELECT (id, provider, account_id, event_id, state) ON core_inboxmessage TO app_intake;
-- The log of requests.
CREATE POLICY app_intake ON core_requestlog FOR INSERT TO app_intake WITH CHECK (true);
GRANT INSERT ON core_requestlog TO app_intake;
-- The keys of trusted services, and no merchant's.
CREATE POLICY app_intake ON core_idempotencyrecord FOR SELECT TO app_intake
    USING (starts_with(owner, 'service:'));
GRANT SELECT ON core_idempotencyrecord TO app_intake;
-- What probes and metrics count, without what it is about.
CREATE POLICY app_intake ON core_outboxevent FOR SELECT TO app_intake USING (true);
GRANT SELECT (id, created_at, delivered_at, quarantined_at, leased_until)
    ON core_outboxevent TO app_intake;
CREATE POLICY app_intake ON core_auditrecord FOR SELECT TO app_intake USING (true);
GRANT SELECT (id, created_at, sealed_at) ON core_auditrecord TO app_intake;
GRANT EXECUTE ON FUNCTION core_datakey_newest(uuid, text),
    core_datakey_wrapped(uuid, text, integer) TO app_intake;
"""

_DOWN = """
REVOKE EXECUTE ON FUNCTION core_datakey_newest(uuid, text),
    core_datakey_wrapped(uuid, text, integer) FROM app_intake;
REVOKE ALL ON core_inboxmessage, core_requestlog, core_idempotencyrecord, core_outboxevent,
    core_auditrecord FROM app_intake;
REVOKE SELECT (id, provider, account_id, event_id, state) ON core_inboxmessage FROM app_intake;
REVOKE SELECT (id, created_at, delivered_at, quarantined_at, leased_until)
    ON core_outboxevent FROM app_intake;
REVOKE SELECT (id, created_at, sealed_at) ON core_auditrecord FROM app_intake;
DROP POLICY app_intake ON core_inboxmessage;
DROP POLICY app_intake ON core_requestlog;
DROP POLICY app_intake ON core_idempotencyrecord;
DROP POLICY app_intake ON core_outboxevent;
DROP POLICY app_intake ON core_auditrecord;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0023_datakey_scope")]

    operations = [
        migrations.RunSQL(_REQUIRE_ROLE, migrations.RunSQL.noop),
        migrations.RunSQL(_UP, _DOWN),
    ]
