package database

import (
	"fmt"
	"slices"

	"github.com/tenantry/tenantry/internal/service"
)

// databaseMode gives a tenant a database of its own.
var databaseMode = mode{
	usable:      foreignOwner,
	removable:   foreignOwner,
	hasData:     func(o Observed) bool { return o.Database != nil && o.Database.ConnectionLimit != InterruptedDrop },
	join:        func(Desired, Observed) []Action { return nil },
	sessionRole: ownerRole,
	place:       planDatabase,
	drop:        planDropDatabase,
}

// foreignOwner returns a ConflictError if somebody else has created the database with a registered name, or taken
// it over.
func foreignOwner(o Observed) error {
	if o.Database == nil || o.Database.Owner == PlatformOwner {
		return nil
	}
	return &service.ConflictError{Problem: fmt.Sprintf("database %s belongs to role %s and not to %s; rename or drop it, or, if it is the tenant's, run ALTER DATABASE %s OWNER TO %s",
		o.Name, o.Database.Owner, PlatformOwner, o.Name, PlatformOwner)}
}

func planDatabase(d Desired, o Observed) []Action {
	var actions []Action
	current := o.Database
	if current != nil && current.ConnectionLimit == InterruptedDrop {
		actions = append(actions, DropDatabase{Database: o.Name})
		current = nil
	}
	if current == nil {
		actions = append(actions, CreateDatabase{Database: o.Name})
		current = &Database{ConnectionLimit: -1, PublicAccess: true}
	}
	if current.PublicAccess {
		actions = append(actions, RevokePublic{Database: o.Name})
	}
	if !current.OwnerAccess {
		actions = append(actions, GrantDatabase{Database: o.Name, Owner: o.Name})
	}
	if !current.AllowConnections || current.ConnectionLimit != d.databaseConnectionLimit() {
		actions = append(actions, OpenDatabase{Database: o.Name, ConnectionLimit: d.databaseConnectionLimit()})
	}
	if !current.Secured {
		actions = append(actions, SecureSchema{Database: o.Name, Owner: o.Name}, MarkSecured{Name: o.Name, Database: o.Name})
		current = &Database{}
	}
	return append(actions, planExtensions(d, o.Name, current)...)
}

func planExtensions(d Desired, name string, current *Database) []Action {
	var missing []string
	for _, extension := range d.Extensions {
		if !slices.Contains(current.Extensions, extension) {
			missing = append(missing, extension)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return []Action{
		CreateExtensions{Database: name, Owner: name, Extensions: missing},
		MarkExtensions{Name: name, Extensions: missing},
	}
}

func planDropDatabase(o Observed) []Action {
	if o.Database == nil {
		return nil
	}
	var actions []Action
	if o.Database.IsTemplate && o.Database.ConnectionLimit != InterruptedDrop {
		actions = append(actions, UnsetTemplate{Database: o.Name})
	}
	return append(actions, DropDatabase{Database: o.Name})
}
