package postgres

import (
	"fmt"

	"github.com/tenantry/tenantry/internal/database"
)

// createExtensions returns statements that create extensions in a database in which the user may create schemas,
// and that let the user use them.
func createExtensions(user string, names []string) []string {
	statements := []string{
		"DO " + literal(fmt.Sprintf(`
DECLARE
	owner name := (SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'extensions');
BEGIN
	IF owner IS NULL THEN
		CREATE SCHEMA extensions AUTHORIZATION %[1]s;
	ELSIF owner <> '%[1]s' THEN
		RAISE 'conflict' USING ERRCODE = '%[2]s',
			DETAIL = format('database %%s already has a schema extensions, of role %%s; rename it, since the extensions that the spec asks for are created in one of that name', current_database(), owner);
	END IF;
END`, database.PlatformOwner, sqlstateConflict)),
		"GRANT USAGE ON SCHEMA extensions TO " + identifier(user),
	}
	for _, name := range names {
		statements = append(statements, createExtension(name))
	}
	return statements
}

// createExtension returns a statement that creates an extension, with those that it requires, in the schema
// extensions. The script of an extension runs as superuser, with the schemas of the required extensions in its
// search_path. So none of these schemas may be one in which somebody else can create functions. The extension gets
// no comment, since only its owner could set it, and the tenant could not restore a dump of its database
// otherwise.
func createExtension(name string) string {
	return "DO " + literal(fmt.Sprintf(`
DECLARE
	needed record;
	created name;
BEGIN
	FOR needed IN
		WITH RECURSIVE needs(name) AS (
			SELECT unnest(requires) FROM pg_available_extension_versions WHERE name = %[1]s
			UNION
			SELECT unnest(v.requires) FROM pg_available_extension_versions AS v JOIN needs ON v.name = needs.name
		)
		SELECT extname, extnamespace::regnamespace AS schema FROM pg_extension JOIN needs ON needs.name = extname
		WHERE extnamespace::regnamespace::text NOT IN ('extensions', 'pg_catalog')
	LOOP
		RAISE 'conflict' USING ERRCODE = '%[2]s', DETAIL = format(
			'extension %%s of database %%s needs %%s, which is in schema %%s; move that to the schema extensions, or drop it', %[1]s, current_database(), needed.extname, needed.schema);
	END LOOP;
	CREATE EXTENSION IF NOT EXISTS %[3]s SCHEMA extensions CASCADE;
	FOR created IN SELECT extname FROM pg_extension WHERE extnamespace = 'extensions'::regnamespace LOOP
		EXECUTE format('COMMENT ON EXTENSION %%I IS NULL', created);
	END LOOP;
END`, literal(name), sqlstateConflict, identifier(name)))
}
