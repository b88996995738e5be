-- The way back: the function as it was before this migration.
create or replace function sandbox_attach(p_id uuid, p_token uuid, p_merchant text, p_key text)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare s providers_sandboxsource; v_error jsonb;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_key, 0));
  select * into s from providers_sandboxsource where attach_key = p_key;
  if not found then
    select * into s from providers_sandboxsource
      where id = p_token and merchant_key = p_merchant and not reusable;
    if not found then
      return sandbox_error('resource_missing', 'No such token. Make one with POST /v1/tokens.');
    end if;
    v_error := sandbox_take_token(s);
    if v_error is not null then return v_error; end if;
    s.id := p_id; s.created_at := now(); s.reusable := true; s.attach_key := p_key;
    s.expires_at := null; s.used_at := null;
    insert into providers_sandboxsource select s.*;
  end if;
  return jsonb_build_object('id', 'sbpm_' || replace(s.id::text, '-', ''),
    'card', sandbox_card_json(s));
end $$;
