package database

import (
	"fmt"
	"slices"

	"github.com/tenantry/tenantry/internal/service"
)

// Engine is PostgreSQL, as a Tenant asks for it.
var Engine = service.Engine{Noun: "database", ServerKind: "DatabaseServer", Field: "spec.database"}

// Offer is what a server offers to new tenants.
type Offer struct {
	// Isolations are the ways in which it keeps tenants apart.
	Isolations []Isolation
	// Extensions are the extensions of PostgreSQL that their databases may have.
	Extensions []string
}

// Lacks says what a new tenant asks for and the server doesn't offer, as in "offers no isolation Row";
// empty if it offers all of it.
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
