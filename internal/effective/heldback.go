package effective

import (
	"fmt"
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// holdBack keeps what is fixed once the database is placed, and notes what the class would have changed. It returns
// an *InvalidError if nothing but the class says how to keep it.
func (t *Tenant) holdBack() error {
	placed := t.Status.Database
	if placed == nil || placed.Server == "" {
		return nil
	}
	database := t.Spec.Database
	dedicated := placed.Isolation == v1alpha1.DatabaseIsolationDedicated
	switch {
	case database == nil:
		return &InvalidError{Class: t.Class.Name, Message: fmt.Sprintf(
			"the tenant has a database on the server %s and the class has none any more; write spec.database into the Tenant or the class, or delete the Tenant", placed.Server)}
	case dedicated && database.Dedicated == nil:
		return &InvalidError{Class: t.Class.Name, Message: fmt.Sprintf(
			"the tenant has a database server of its own and the class says isolation %s; write isolation Dedicated and the server's storage in spec.database of the Tenant", database.Isolation)}
	}
	if placed.Isolation != "" && database.Isolation != placed.Isolation {
		t.hold("spec.database.isolation", string(database.Isolation), string(placed.Isolation))
		database.Isolation, database.Dedicated = placed.Isolation, nil
		database.ServerRef, database.ServerSelector = v1alpha1.DatabaseServerReference{Name: placed.Server}, nil
		if placed.Isolation != v1alpha1.DatabaseIsolationRow {
			database.SharedTables = defaultSharedTables
		}
	}
	if dedicated {
		t.holdDedicated(database.Dedicated, placed)
	} else if name := database.ServerRef.Name; name != "" && name != placed.Server {
		t.hold("spec.database.serverRef.name", name, placed.Server)
		database.ServerRef.Name = placed.Server
	}
	return nil
}

// holdDedicated keeps the size of the volume and the major version of the data on a tenant's own server.
func (t *Tenant) holdDedicated(server *v1alpha1.DedicatedServer, placed *v1alpha1.TenantDatabaseStatus) {
	if placed.Storage != nil && server.Storage != nil && server.Storage.Cmp(*placed.Storage) < 0 {
		t.hold("spec.database.dedicated.storage", server.Storage.String(), placed.Storage.String())
		server.Storage = new(placed.Storage.DeepCopy())
	}
	if has := major(placed.Version); has != "" && has != major(server.Version) {
		t.hold("spec.database.dedicated.version", server.Version, has)
		server.Version = has
	}
}

func major(version string) string {
	before, _, _ := strings.Cut(version, ".")
	return before
}

// hold notes that a field keeps its value.
func (t *Tenant) hold(field, wanted, kept string) {
	t.HeldBack = append(t.HeldBack, fmt.Sprintf("%s is %s, and can't become %s", field, kept, wanted))
}
