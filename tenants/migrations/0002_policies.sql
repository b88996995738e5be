-- What the general helper does not say: rules between tables, and grants by column.

-- A child of a merchant names that merchant's own reseller (foreign-key checks bypass policies, so
-- a plain key would let a foreign pair in). A reseller's row has no merchant and is not checked.
ALTER TABLE tenants_membership ADD CONSTRAINT tenants_membership_same_tree
    FOREIGN KEY (merchant_id, reseller_id) REFERENCES tenants_merchant (id, reseller_id);
ALTER TABLE tenants_invitation ADD CONSTRAINT tenants_invitation_same_tree
    FOREIGN KEY (merchant_id, reseller_id) REFERENCES tenants_merchant (id, reseller_id);
ALTER TABLE tenants_apikey ADD CONSTRAINT tenants_apikey_same_tree
    FOREIGN KEY (merchant_id, reseller_id) REFERENCES tenants_merchant (id, reseller_id);
ALTER TABLE tenants_machineclient ADD CONSTRAINT tenants_machineclient_same_tree
    FOREIGN KEY (merchant_id, reseller_id) REFERENCES tenants_merchant (id, reseller_id);
ALTER TABLE tenants_servicecaller ADD CONSTRAINT tenants_servicecaller_same_tree
    FOREIGN KEY (merchant_id, reseller_id) REFERENCES tenants_merchant (id, reseller_id);

-- Nobody below the platform changes a status or a price.
GRANT UPDATE (name, statement_descriptor, support_email, website)
    ON tenants_merchant TO app_merchant;
GRANT UPDATE (name, legal_name, statement_descriptor, support_email, website)
    ON tenants_merchant TO app_reseller;
GRANT UPDATE (name, legal_name, support_email) ON tenants_reseller TO app_reseller;

-- People. The login role reads them for the session, before a tenant is known; a tenant sees the
-- people of its own memberships, and never a password hash.
ALTER TABLE tenants_user ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants_user FORCE ROW LEVEL SECURITY;
CREATE POLICY merchantry_app ON tenants_user TO merchantry_app USING (true);
CREATE POLICY app_auth ON tenants_user TO app_auth USING (true);
CREATE POLICY app_staff ON tenants_user TO app_staff USING (true);
CREATE POLICY app_worker ON tenants_user TO app_worker USING (true);
CREATE POLICY app_definer ON tenants_user TO app_definer USING (true);
CREATE POLICY app_merchant ON tenants_user TO app_merchant
    USING (id IN (SELECT user_id FROM tenants_membership));
CREATE POLICY app_reseller ON tenants_user TO app_reseller
    USING (id IN (SELECT user_id FROM tenants_membership));
GRANT SELECT, UPDATE ON tenants_user TO merchantry_app;
GRANT SELECT, INSERT, UPDATE ON tenants_user TO app_auth, app_staff;
GRANT SELECT (id, email, name, is_active, is_staff, last_login, created_at)
    ON tenants_user TO app_merchant, app_reseller, app_worker;
GRANT SELECT ON tenants_user TO app_definer;
GRANT SELECT ON auth_permission TO app_definer;

-- Grants to a reseller's agent follow the merchants that the scope sees.
ALTER TABLE tenants_merchantgrant ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants_merchantgrant FORCE ROW LEVEL SECURITY;
CREATE POLICY app_reseller ON tenants_merchantgrant TO app_reseller
    USING (content_object_id IN (SELECT id FROM tenants_merchant))
    WITH CHECK (content_object_id IN (SELECT id FROM tenants_merchant));
CREATE POLICY app_auth ON tenants_merchantgrant TO app_auth USING (true);
CREATE POLICY app_staff ON tenants_merchantgrant TO app_staff USING (true);
CREATE POLICY app_definer ON tenants_merchantgrant TO app_definer USING (true);
GRANT SELECT, INSERT, DELETE ON tenants_merchantgrant TO app_reseller, app_staff;
GRANT SELECT ON tenants_merchantgrant TO app_auth, app_definer;
GRANT USAGE ON SEQUENCE tenants_merchantgrant_id_seq TO app_reseller, app_staff;

-- Authenticator devices: the session asks for them before a scope is open.
ALTER TABLE tenants_totpdevice ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants_totpdevice FORCE ROW LEVEL SECURITY;
CREATE POLICY merchantry_app ON tenants_totpdevice TO merchantry_app USING (true);
CREATE POLICY app_auth ON tenants_totpdevice TO app_auth USING (true);
CREATE POLICY app_staff ON tenants_totpdevice TO app_staff USING (true);
GRANT SELECT ON tenants_totpdevice TO merchantry_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenants_totpdevice TO app_auth;
GRANT SELECT (id, name, confirmed, user_id, created_at), DELETE ON tenants_totpdevice TO app_staff;
GRANT USAGE ON SEQUENCE tenants_totpdevice_id_seq TO app_auth;

-- Support takes a lost authenticator away, recovery codes included, and reads none of them.
GRANT SELECT (user_id) ON tenants_recoverycode TO app_staff;
