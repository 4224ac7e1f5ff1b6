package fleet

import (
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

func TestWhereADatabaseIsKnownToBe(t *testing.T) {
	var known Placements
	if at := known.Of("acme", nil); at != nil {
		t.Errorf("a new tenant has its database at %v", at)
	}
	provisioned := &v1alpha1.TenantDatabaseStatus{Server: "shared", Name: "t_x"}
	known.Put("acme", provisioned)
	if at := known.Of("acme", nil); at != provisioned {
		t.Errorf("before the status says so, the database is at %v", at)
	}
	if at := known.Of("acme", &v1alpha1.TenantDatabaseStatus{Server: "former"}); at != provisioned {
		t.Errorf("while the status records a former one, the database is at %v", at)
	}
	if at := known.Of("another", nil); at != nil {
		t.Errorf("a new tenant of the same name has the old one's database at %v", at)
	}
	known.forgetTenant("acme")
	recorded := &v1alpha1.TenantDatabaseStatus{Server: "shared", Name: "t_y"}
	if at := known.Of("acme", recorded); at != recorded {
		t.Errorf("the status says t_y, and the database is at %v", at)
	}
}
