-- The interface by which an app's migrations hand its tables to the tenants; see docs/databases.md.
-- It can be run any number of times. The functions that take a table run with the rights of whoever
-- calls them, who must own the table.

CREATE SCHEMA IF NOT EXISTS tenantry;
REVOKE ALL ON SCHEMA tenantry FROM PUBLIC;
GRANT USAGE ON SCHEMA tenantry TO tenantry_row, tenantry_row_owner;

-- The tenant whose login the session was opened with; NULL for anybody else. Neither SET nor SET ROLE
-- changes session_user, and roles of this form are made by the operator only.
CREATE OR REPLACE FUNCTION tenantry.tenant_id() RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN session_user ~ '^t_[a-z2-7]{20}_[01]$' THEN left(session_user, -2) END;

-- Whether rows of the table are kept apart by tenant.
CREATE OR REPLACE FUNCTION tenantry.is_isolated(target regclass) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	RETURN EXISTS (
		SELECT FROM pg_class AS c
			JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull AND NOT a.attisdropped
			JOIN pg_policy AS p ON p.polrelid = c.oid AND p.polname = 'tenantry' AND p.polpermissive AND p.polcmd = '*' AND p.polroles = '{0}'
				AND pg_get_expr(p.polqual, c.oid) = '(tenant_id = ( SELECT tenantry.tenant_id() AS tenant_id))'
				AND pg_get_expr(p.polwithcheck, c.oid) = pg_get_expr(p.polqual, c.oid)
		WHERE c.oid = target AND c.relrowsecurity AND c.relforcerowsecurity
			AND NOT EXISTS (SELECT FROM pg_policy AS other WHERE other.polrelid = c.oid AND other.polname <> 'tenantry' AND other.polpermissive));

-- Keys that tell a tenant which values other tenants have: those without tenant_id.
CREATE OR REPLACE FUNCTION tenantry.open_keys(target regclass) RETURNS SETOF name
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		SELECT i.relname FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
		WHERE x.indrelid = target AND (x.indisunique OR x.indisexclusion)
			AND NOT (SELECT attnum FROM pg_attribute WHERE attrelid = target AND attname = 'tenant_id') = ANY (x.indkey::int2[])
		UNION ALL
		SELECT c.conname FROM pg_constraint AS c
		WHERE c.conrelid = target AND c.contype = 'f' AND tenantry.is_isolated(c.confrelid) AND NOT EXISTS (
			SELECT FROM unnest(c.conkey, c.confkey) AS pair(own, other)
				JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = own AND a.attname = 'tenant_id'
				JOIN pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = other AND b.attname = 'tenant_id')
		ORDER BY 1;
	END;

-- Makes what is unique in the table unique for each tenant, but for the primary key and what foreign
-- keys refer to. Names stay, so that later migrations find what they change.
CREATE OR REPLACE FUNCTION tenantry.widen_keys(target regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	key record;
BEGIN
	FOR key IN
		SELECT i.oid AS index, i.relname AS name, c.oid AS of_constraint
		FROM pg_index AS x
			JOIN pg_class AS i ON i.oid = x.indexrelid
			LEFT JOIN pg_constraint AS c ON c.conindid = i.oid AND c.contype = 'u'
		WHERE x.indrelid = target AND x.indisunique AND NOT x.indisprimary
			AND NOT (SELECT attnum FROM pg_attribute WHERE attrelid = target AND attname = 'tenant_id') = ANY (x.indkey::int2[])
			AND NOT EXISTS (SELECT FROM pg_constraint AS f WHERE f.conindid = i.oid AND f.contype = 'f')
	LOOP
		IF key.of_constraint IS NOT NULL THEN
			EXECUTE format('ALTER TABLE %1$s DROP CONSTRAINT %2$I, ADD CONSTRAINT %2$I %3$s', target, key.name,
				regexp_replace(pg_get_constraintdef(key.of_constraint), '^(UNIQUE[^(]*\()', '\1tenant_id, '));
		ELSE
			DECLARE
				definition text := regexp_replace(pg_get_indexdef(key.index), '( USING btree \()', '\1tenant_id, ');
			BEGIN
				EXECUTE format('DROP INDEX %s', key.index::regclass);
				EXECUTE definition;
			END;
		END IF;
	END LOOP;
END $$;

-- Lets the tenants use their rows. By a right on all of a table one could lock it for all others, so
-- they are given by column, but for DELETE, which PostgreSQL has for tables only.
CREATE OR REPLACE FUNCTION tenantry.grant_rows(target regclass, strict boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	changeable text := (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
		WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname <> 'tenant_id');
	sequence record;
BEGIN
	EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC, tenantry_row', target);
	EXECUTE format('GRANT SELECT, INSERT ON TABLE %s TO tenantry_row', target);
	IF changeable IS NOT NULL THEN
		EXECUTE format('GRANT UPDATE (%s) ON TABLE %s TO tenantry_row', changeable, target);
	END IF;
	IF NOT strict THEN
		EXECUTE format('GRANT DELETE ON TABLE %s TO tenantry_row', target);
	END IF;
	-- The sequence of an identity column needs no USAGE to insert, but pg_dump reads each of them.
	FOR sequence IN
		SELECT s.oid::regclass AS name, CASE d.deptype WHEN 'a' THEN 'USAGE, SELECT' ELSE 'SELECT' END AS rights
		FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
		WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = target AND d.deptype IN ('a', 'i')
	LOOP
		EXECUTE format('GRANT %s ON SEQUENCE %s TO tenantry_row', sequence.rights, sequence.name);
	END LOOP;
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO tenantry_row', (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = target));
END $$;

-- Keeps the rows of a table apart by tenant, and lets each tenant use its own. To be called again
-- after the table's columns or keys have changed.
--
-- strict refuses keys by which a tenant finds out which values others have, and leaves out DELETE,
-- by which it could lock the table for all; tenantry.delete takes its place.
CREATE OR REPLACE FUNCTION tenantry.isolate(target regclass, strict boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	relation pg_class := (SELECT c FROM pg_class AS c WHERE oid = target);
	existing regtype := (SELECT atttypid FROM pg_attribute WHERE attrelid = target AND attname = 'tenant_id' AND NOT attisdropped);
	keys text;
BEGIN
	IF relation.relkind NOT IN ('r', 'p') OR relation.relispartition THEN
		RAISE EXCEPTION '% is not a table of its own', target USING ERRCODE = 'wrong_object_type',
			HINT = 'Call tenantry.isolate for tables, and for the table that others are partitions of.';
	ELSIF existing <> 'text'::regtype THEN
		RAISE EXCEPTION '% already has a column tenant_id of type %', target, existing USING ERRCODE = 'datatype_mismatch',
			HINT = 'Rename that column, or make it text NOT NULL DEFAULT tenantry.tenant_id().';
	END IF;
	IF relation.relowner <> 'tenantry_row_owner'::regrole THEN
		EXECUTE format('ALTER TABLE %s OWNER TO tenantry_row_owner', target);
	END IF;
	IF existing IS NULL THEN
		EXECUTE format('ALTER TABLE %s ADD COLUMN tenant_id text NOT NULL DEFAULT tenantry.tenant_id()', target);
	ELSIF NOT EXISTS ( -- A table that is as it should be may be in use, and isn't locked.
		SELECT FROM pg_attribute AS a JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = target AND a.attname = 'tenant_id' AND a.attnotnull AND pg_get_expr(d.adbin, d.adrelid) = 'tenantry.tenant_id()'
	) THEN
		EXECUTE format('ALTER TABLE %s ALTER tenant_id SET DEFAULT tenantry.tenant_id(), ALTER tenant_id SET NOT NULL', target);
	END IF;
	IF strict THEN
		keys := (SELECT string_agg(key, ', ') FROM tenantry.open_keys(target) AS key);
		IF keys IS NOT NULL THEN
			RAISE EXCEPTION '% has keys without tenant_id: %', target, keys USING ERRCODE = 'invalid_table_definition',
				HINT = 'Add tenant_id to these keys, or leave strict out.';
		END IF;
	ELSE
		PERFORM tenantry.widen_keys(target);
	END IF;
	IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = target AND indisvalid AND indpred IS NULL
			AND indkey[0] = (SELECT attnum FROM pg_attribute WHERE attrelid = target AND attname = 'tenant_id')) THEN
		EXECUTE format('CREATE INDEX ON %s (tenant_id)', target);
	END IF;
	IF NOT tenantry.is_isolated(target) THEN
		EXECUTE format('DROP POLICY IF EXISTS tenantry ON %s', target);
		EXECUTE format('CREATE POLICY tenantry ON %s USING (tenant_id = (SELECT tenantry.tenant_id())) WITH CHECK (tenant_id = (SELECT tenantry.tenant_id()))', target);
		EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', target);
	END IF;
	PERFORM tenantry.grant_rows(target, strict);
END $$;

-- Lets the tenants read a table that is the same for all of them, and change nothing in it.
CREATE OR REPLACE FUNCTION tenantry.share(target regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	relation pg_class := (SELECT c FROM pg_class AS c WHERE oid = target);
BEGIN
	IF relation.relkind NOT IN ('r', 'p') OR relation.relispartition THEN
		RAISE EXCEPTION '% is not a table of its own', target USING ERRCODE = 'wrong_object_type',
			HINT = 'Call tenantry.share for tables, and for the table that others are partitions of.';
	ELSIF relation.relrowsecurity THEN
		RAISE EXCEPTION 'the rows of % are kept apart by tenant', target USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'Create another table for what all tenants may read.';
	END IF;
	IF relation.relowner <> 'tenantry_row_owner'::regrole THEN
		EXECUTE format('ALTER TABLE %s OWNER TO tenantry_row_owner', target);
	END IF;
	EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC, tenantry_row', target);
	EXECUTE format('GRANT SELECT ON TABLE %s TO tenantry_row', target);
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO tenantry_row', relation.relnamespace::regnamespace::text);
END $$;

-- The tables of the app, and of the tools that migrate it, the oldest first.
CREATE OR REPLACE FUNCTION tenantry.app_tables() RETURNS SETOF regclass
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		SELECT c.oid::regclass FROM pg_class AS c
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
			AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema$|tenantry$)'
			AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
		ORDER BY c.oid;
	END;

-- Calls tenantry.share for a table in which a tool keeps which migrations have been run, and
-- tenantry.isolate for another, unless it is shared. One that is strict stays so.
CREATE OR REPLACE FUNCTION tenantry.isolate_or_share(target regclass, strict boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF (SELECT relname FROM pg_class WHERE oid = target) IN (
			'django_migrations', 'alembic_version', 'flyway_schema_history', 'databasechangelog', 'databasechangeloglock',
			'schema_migrations', 'ar_internal_metadata', 'goose_db_version', 'knex_migrations', 'knex_migrations_lock',
			'_prisma_migrations', '_sqlx_migrations', 'SequelizeMeta', '__EFMigrationsHistory') THEN
		PERFORM tenantry.share(target);
	ELSIF tenantry.is_isolated(target) THEN
		PERFORM tenantry.isolate(target, strict OR NOT has_table_privilege('tenantry_row', target, 'DELETE'));
	ELSIF NOT has_table_privilege('tenantry_row', target, 'SELECT') THEN
		PERFORM tenantry.isolate(target, strict);
	END IF;
END $$;

-- Calls tenantry.isolate_or_share for all tables, in the transaction of the caller: a migration.
CREATE OR REPLACE FUNCTION tenantry.isolate_all(strict boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	target regclass;
BEGIN
	FOR target IN SELECT tenantry.app_tables() LOOP
		PERFORM tenantry.isolate_or_share(target, strict);
	END LOOP;
EXCEPTION WHEN out_of_memory THEN
	RAISE EXCEPTION '%', SQLERRM USING ERRCODE = 'out_of_memory',
		HINT = 'There are too many tables to lock all of them at a time. Run CALL tenantry.isolate_each() outside of a transaction.';
END $$;

-- Does what tenantry.isolate_all does, with a transaction for each table, for those that are too many to be
-- locked at a time. It can't pin its search_path, or it could not commit.
CREATE OR REPLACE PROCEDURE tenantry.isolate_each(strict boolean DEFAULT false)
	LANGUAGE plpgsql AS $$
DECLARE
	target regclass;
BEGIN
	FOR target IN SELECT tenantry.app_tables() LOOP
		PERFORM tenantry.isolate_or_share(target, strict);
		COMMIT;
	END LOOP;
END $$;

-- Deletes those rows of the calling tenant whose columns have the values of the object, and returns
-- their number: SELECT tenantry.delete('orders', '{"id": 7}'). Triggers find what is in public, as in the app's
-- own sessions.
CREATE OR REPLACE FUNCTION tenantry.delete(target regclass, match jsonb) RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, extensions, pg_temp AS $$
DECLARE
	condition text := (SELECT string_agg(format('d.%1$I = m.%1$I', key), ' AND ') FROM jsonb_object_keys(match) AS key);
	unknown text := (SELECT min(key) FROM jsonb_object_keys(match) AS key
		WHERE key NOT IN (SELECT attname FROM pg_attribute WHERE attrelid = target AND attnum > 0 AND NOT attisdropped));
	deleted bigint;
BEGIN
	IF NOT tenantry.is_isolated(target) THEN
		RAISE EXCEPTION 'the rows of % are not kept apart by tenant', target USING ERRCODE = 'insufficient_privilege',
			HINT = 'Only rows of tables that tenantry.isolate was called for can be deleted.';
	ELSIF condition IS NULL THEN
		RAISE EXCEPTION 'nothing says which rows of % to delete', target USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Name at least one column and its value, as in {"id": 7}.';
	ELSIF unknown IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of % does not exist', unknown, target USING ERRCODE = 'undefined_column';
	END IF;
	EXECUTE format('DELETE FROM %1$s AS d USING jsonb_populate_record(NULL::%1$s, $1) AS m WHERE d.tenant_id = $2 AND %2$s', target, condition)
		USING match, tenantry.tenant_id();
	GET DIAGNOSTICS deleted = ROW_COUNT;
	RETURN deleted;
END $$;
ALTER FUNCTION tenantry.delete(regclass, jsonb) OWNER TO tenantry_row_owner;

-- A condition on the row t of a table: that no other row of the same table refers to it.
CREATE OR REPLACE FUNCTION tenantry.is_leaf(target regclass) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		SELECT coalesce(string_agg(format('NOT EXISTS (SELECT FROM %s AS o WHERE %s AND (o.tableoid, o.ctid) <> (t.tableoid, t.ctid))', target, (
			SELECT string_agg(format('o.%I = t.%I', a.attname, b.attname), ' AND ')
			FROM unnest(c.conkey, c.confkey) AS pair(own, other)
				JOIN pg_attribute AS a ON a.attrelid = target AND a.attnum = own
				JOIN pg_attribute AS b ON b.attrelid = target AND b.attnum = other)), ' AND '), 'true')
		FROM pg_constraint AS c WHERE c.contype = 'f' AND c.conrelid = target AND c.confrelid = target;
	END;

-- Deletes rows of the calling tenant for some seconds, those first that others refer to by no foreign key,
-- and returns how many are left. The operator calls it, in a session of the tenant that is to go, until
-- none are: triggers may make new ones. Where no row can go by itself, as in a circle of foreign keys, all
-- go at once.
DROP FUNCTION IF EXISTS tenantry.delete_all();
CREATE OR REPLACE FUNCTION tenantry.delete_some() RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, extensions, pg_temp AS $$
DECLARE
	began CONSTANT timestamptz := clock_timestamp();
	targets CONSTANT regclass[] := ARRAY(SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition AND tenantry.is_isolated(oid) ORDER BY oid DESC);
	portion bigint := 100;
	since timestamptz;
	target regclass;
	deleted bigint;
	remaining bigint;
	total bigint := 0;
	progress boolean := false;
	obstacle text;
BEGIN
	SET CONSTRAINTS ALL IMMEDIATE; -- So that a key that would fail at the end only is noticed at once.
	FOREACH target IN ARRAY targets LOOP
		LOOP
			EXIT WHEN clock_timestamp() > began + interval '5 seconds';
			since := clock_timestamp();
			BEGIN
				EXECUTE format('DELETE FROM %1$s WHERE tenant_id = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM %1$s AS t WHERE tenant_id = $1 AND %2$s LIMIT $2))', target, tenantry.is_leaf(target))
					USING tenantry.tenant_id(), portion;
				GET DIAGNOSTICS deleted = ROW_COUNT;
			EXCEPTION WHEN foreign_key_violation THEN
				deleted := 0;
			END;
			EXIT WHEN deleted = 0;
			progress := true;
			portion := CASE WHEN clock_timestamp() < since + interval '1 second' THEN portion * 2 ELSE greatest(portion / 2, 1) END;
		END LOOP;
	END LOOP;
	IF NOT progress THEN
		SET CONSTRAINTS ALL DEFERRED;
		FOREACH target IN ARRAY targets LOOP
			BEGIN
				EXECUTE format('DELETE FROM %s WHERE tenant_id = $1', target) USING tenantry.tenant_id();
				GET DIAGNOSTICS deleted = ROW_COUNT;
				progress := progress OR deleted > 0;
			EXCEPTION WHEN foreign_key_violation THEN
				obstacle := SQLERRM;
			END;
		END LOOP;
	END IF;
	FOREACH target IN ARRAY targets LOOP
		EXECUTE format('SELECT count(*) FROM %s WHERE tenant_id = $1', target) INTO remaining USING tenantry.tenant_id();
		IF remaining > 0 AND NOT progress THEN
			RAISE EXCEPTION 'table % keeps % rows of tenant %: %', target, remaining, tenantry.tenant_id(),
				coalesce(obstacle, 'one of its triggers or rules turns the deletion into something else') USING ERRCODE = 'foreign_key_violation';
		END IF;
		total := total + remaining;
	END LOOP;
	RETURN total;
END $$;
ALTER FUNCTION tenantry.delete_some() OWNER TO tenantry_row_owner;

-- What tenants can use, or were meant to use, without its rows being kept apart by tenant. Tables
-- that nobody was let into are listed as well: somebody forgot them.
CREATE OR REPLACE VIEW tenantry.unprotected AS
	SELECT relation, problem
	FROM (
		SELECT c.oid::regclass AS relation, CASE
			WHEN c.relispartition THEN
				'tenants can get around the rules of the table that it is a partition of; revoke it from tenantry_row and PUBLIC'
			WHEN c.relkind IN ('r', 'p') AND c.relrowsecurity THEN
				'its row-level security is not as tenantry.isolate makes it; call that again, and drop other permissive policies'
			WHEN c.relkind IN ('r', 'p') AND NOT reach.readable THEN
				'no tenant can use it; call tenantry.isolate, or tenantry.share if all tenants may read all of it'
			WHEN c.relkind IN ('r', 'p') AND reach.writable THEN
				'all tenants can change all of it; call tenantry.isolate, or tenantry.share if they may read it'
			WHEN c.relkind = 'm' AND reach.readable THEN
				'a materialized view has no row-level security; revoke it from tenantry_row and PUBLIC, or make it a view'
			WHEN c.relkind = 'f' AND reach.readable THEN
				'a foreign table has no row-level security; revoke it from tenantry_row and PUBLIC'
			WHEN c.relkind = 'v' AND reach.readable AND (owner.rolsuper OR owner.rolbypassrls)
				AND NOT coalesce(c.reloptions && '{security_invoker=true,security_invoker=on,security_invoker=1}', false) THEN
				'row-level security does not hold for the owner of the view; give it to tenantry_row_owner'
			END AS problem
		FROM pg_class AS c
			JOIN pg_roles AS owner ON owner.oid = c.relowner
			JOIN pg_roles AS guests ON guests.rolname = 'tenantry_row',
			LATERAL (SELECT
				coalesce(bool_or(privilege_type = 'SELECT'), false) AS readable,
				coalesce(bool_or(privilege_type <> 'SELECT'), false) AS writable
				FROM (
					SELECT grantee, privilege_type FROM aclexplode(c.relacl)
					UNION ALL
					SELECT x.grantee, x.privilege_type FROM pg_attribute AS a, aclexplode(a.attacl) AS x WHERE a.attrelid = c.oid AND NOT a.attisdropped
				) AS acl
				WHERE grantee = 0 OR grantee = guests.oid OR grantee IN (SELECT member FROM pg_auth_members WHERE roleid = guests.oid)
			) AS reach
		WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v') AND c.relpersistence <> 't'
			AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema$|tenantry$)'
			AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
			AND NOT tenantry.is_isolated(c.oid)
			AND (NOT c.relispartition OR reach.readable OR reach.writable)
	) AS found
	WHERE problem IS NOT NULL;
GRANT SELECT ON tenantry.unprotected TO tenantry_row_owner;

REVOKE ALL ON ALL ROUTINES IN SCHEMA tenantry FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenantry.tenant_id(), tenantry.is_isolated(regclass), tenantry.delete(regclass, jsonb), tenantry.delete_some()
	TO tenantry_row, tenantry_row_owner;
GRANT EXECUTE ON FUNCTION tenantry.open_keys(regclass), tenantry.widen_keys(regclass), tenantry.grant_rows(regclass, boolean),
	tenantry.isolate(regclass, boolean), tenantry.share(regclass), tenantry.isolate_all(boolean), tenantry.is_leaf(regclass),
	tenantry.app_tables(), tenantry.isolate_or_share(regclass, boolean)
	TO tenantry_row_owner;
GRANT EXECUTE ON PROCEDURE tenantry.isolate_each(boolean) TO tenantry_row_owner;
