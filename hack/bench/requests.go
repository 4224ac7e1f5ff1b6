package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/api/resource"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/hack/operator"
)

// requestLog is the audit log of the API server.
type requestLog struct {
	path string
}

var writeVerbs = []string{"create", "update", "patch", "delete", "deletecollection"}

// requests returns the requests that a user has sent so far. Watches, the leader's Lease and its Events, and
// reviews of who asks for metrics are left out.
func (l *requestLog) requests(user string) ([]auditv1.Event, error) {
	file, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var events []auditv1.Event
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, err
		}
		if event.User.Username == user && counts(event) {
			events = append(events, event)
		}
	}
	return events, lines.Err()
}

func counts(event auditv1.Event) bool {
	if event.Stage != auditv1.StageResponseComplete || event.Verb == "watch" || event.ObjectRef == nil {
		return false
	}
	if event.ObjectRef.Resource == "events" && event.ObjectRef.Namespace == operator.Namespace {
		return false
	}
	return !slices.Contains([]string{"leases", "tokenreviews", "subjectaccessreviews"}, event.ObjectRef.Resource)
}

func writes(events []auditv1.Event) int {
	count := 0
	for _, event := range events {
		if slices.Contains(writeVerbs, event.Verb) {
			count++
		}
	}
	return count
}

// probeQueries are patterns that match the statements of the health probe.
var probeQueries = []string{"SELECT count(*) FILTER (WHERE state%FROM tenantry.tenants", "SELECT set_config(%", "WITH written AS MATERIALIZED%"}

// statements counts the SQL statements that the server has run so far, by text, without health probes and these
// counts themselves.
func (s *site) statements(ctx context.Context) (map[string]int, error) {
	connection, err := pgx.Connect(ctx, s.postgres.URL("postgres"))
	if err != nil {
		return nil, err
	}
	defer connection.Close(ctx)
	if _, err := connection.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements"); err != nil {
		return nil, err
	}
	rows, err := connection.Query(ctx, "SELECT query, sum(calls)::int FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%' AND query NOT ILIKE ALL ($1) GROUP BY query", probeQueries)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	var query string
	var calls int
	_, err = pgx.ForEachRow(rows, []any{&query, &calls}, func() error {
		counts[query] = calls
		return nil
	})
	return counts, err
}

func quantities(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}
