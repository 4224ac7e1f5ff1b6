// Package matrix says who can reach whom in a cluster with three tenants, and what is in that cluster. test/network has
// a policy engine judge it, and test/nodes connects real pods. So both must agree.
package matrix

import (
	_ "embed"
	"strings"
)

// Verdict says whether a connection is possible.
type Verdict string

// The verdicts.
const (
	Allowed Verdict = "allowed"
	Refused Verdict = "refused"
)

// table has a column for each source, and a row for each destination with its port. duff has spec.network and its
// database in the cluster, tyrell has neither, and soylent has the dedicated server own-server. The cluster's DNS is in
// kube-system and in openshift-dns, and on each node. The pods named posing have every label that others are allowed
// by. PGPORT is the port of both DatabaseServers, and APIPORT that of the API server.
//
//go:embed matrix.txt
var table string

// Cell is a connection, and whether it should be possible.
type Cell struct {
	// From is the place where it starts, and To where it ends, as place:port/protocol. A place is a pod of Shorthand,
	// a tenant's pod as namespace/container, or an address.
	From, To string
	Want     Verdict
}

func (c Cell) String() string { return c.From + " to " + c.To }

// Rows returns the cells, a row for each destination.
func Rows() [][]Cell {
	lines := strings.FieldsFunc(table, func(r rune) bool { return r == '\n' })
	sources := strings.Fields(strings.TrimPrefix(lines[0], `to \ from`))
	var rows [][]Cell
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		row := make([]Cell, 0, len(sources))
		for n, source := range sources {
			row = append(row, Cell{From: source, To: fields[0], Want: Verdict(fields[n+1])})
		}
		rows = append(rows, row)
	}
	return rows
}
