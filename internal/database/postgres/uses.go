package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/database"
)

// uses selects how much the tenants of the operator's own cluster use. The size of a database is read from its folder,
// which takes no lock, so that no tenant can hold it up.
const uses = `SELECT coalesce(json_agg(json_build_object('Tenant', tenant, 'UID', uid, 'Name', name, 'Isolation', isolation,
	'Bytes', pg_database_size(pg_database.oid), 'Connections', coalesce(open, 0)) ORDER BY name), '[]')
FROM tenantry.tenants
LEFT JOIN pg_database ON datname = name::name
LEFT JOIN (SELECT left(usename, -2) AS name, count(*) AS open FROM pg_stat_activity WHERE ` + isTenant + ` GROUP BY 1) AS sessions USING (name)
WHERE state = 'Active' AND cluster = current_setting('` + clusterSetting + `', true)`

// schemaSizes selects the sizes of all schemas of tenants in the database that they share, as the server has last
// counted them. To ask for the size of each table now would wait for those that tenants have locked.
const schemaSizes = `SELECT coalesce(json_object_agg(nspname, pages * current_setting('block_size')::bigint), '{}') FROM (
	SELECT nspname, sum(own.relpages::bigint + coalesce(toast.relpages, 0)) AS pages
	FROM pg_class AS own JOIN pg_namespace ON pg_namespace.oid = own.relnamespace LEFT JOIN pg_class AS toast ON toast.oid = own.reltoastrelid
	WHERE nspname ~ '^t_[a-z2-7]{20}$' GROUP BY nspname
) AS schemas`

// Uses returns how much each tenant of the operator's own cluster uses of the server. It needs one round trip, and
// another one if the server has tenants of the isolation Schema.
func (s *Servers) Uses(ctx context.Context, address database.Server) ([]database.Use, error) {
	server, err := s.server(ctx, address)
	if err != nil {
		return nil, err
	}
	defer server.users.Done()
	found, err := server.uses(ctx)
	if hasCode(err, sqlstateUndefinedDatabase) {
		found, err = server.uses(ctx) // One was dropped meanwhile.
	}
	if err != nil {
		return nil, err
	}
	return found, server.addSchemaSizes(ctx, found)
}

func (s *server) uses(ctx context.Context) (found []database.Use, err error) {
	err = s.read(ctx, func(ctx context.Context, conn *conn) error {
		batch := &pgx.Batch{}
		batch.Queue(scanAll)
		batch.Queue(uses).QueryRow(func(row pgx.Row) error { return row.Scan(&found) })
		return conn.SendBatch(ctx, batch).Close()
	})
	return found, err
}

// addSchemaSizes completes the uses of tenants of the isolation Schema.
func (s *server) addSchemaSizes(ctx context.Context, found []database.Use) error {
	var sizes map[string]int64
	for i, use := range found {
		if use.Isolation != database.IsolationSchema {
			continue
		}
		if sizes == nil {
			err := s.readShared(ctx, database.SharedDatabase(database.IsolationSchema), func(ctx context.Context, conn *conn) error {
				batch := &pgx.Batch{}
				batch.Queue(scanAll)
				batch.Queue(schemaSizes).QueryRow(func(row pgx.Row) error { return row.Scan(&sizes) })
				return conn.SendBatch(ctx, batch).Close()
			})
			if err != nil {
				return err
			}
		}
		found[i].Bytes = new(sizes[use.Name])
	}
	return nil
}
