package database

import (
	"fmt"
	"slices"

	"github.com/tenantry/tenantry/internal/service"
)

// Engine has the words for PostgreSQL in errors.
var Engine = service.Engine{Noun: "database", ServerKind: "DatabaseServer", Field: "spec.database"}

// Offer is what a server offers to new tenants.
type Offer struct {
	// Isolations are the kinds of isolation that it offers.
	Isolations []Isolation
	// Extensions are the extensions of PostgreSQL that their databases may have.
	Extensions []string
}

// Lacks returns what a new tenant asks for and the server doesn't offer, as in "offers no isolation Row"; empty if
// it offers everything.
func (o Offer) Lacks(isolation Isolation, extensions []string) string {
	if !slices.Contains(o.Isolations, isolation) {
		return fmt.Sprintf("offers no isolation %s", isolation)
	}
	for _, extension := range extensions {
		if !slices.Contains(o.Extensions, extension) {
			return fmt.Sprintf("offers no extension %s", extension)
		}
	}
	return ""
}
