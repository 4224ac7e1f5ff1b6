package service_test

import (
	"errors"
	"testing"

	"github.com/tenantry/tenantry/internal/service"
)

func TestWhatErrorsSayOfAnEngine(t *testing.T) {
	err := errors.New("refused")
	for _, test := range []struct {
		err  error
		want string
	}{
		{
			&service.UnreachableError{Engine: engine, Server: "shared", Address: "pg:5432", Err: err},
			"database server shared does not answer at pg:5432: refused; check that it runs and that the operator may connect to it",
		},
		{
			&service.AuthenticationError{Engine: engine, Server: "shared", Username: "admin", Err: err},
			`database server shared refuses to log the administrator "admin" in: refused; correct username and password in the Secret that spec.adminSecretRef names`,
		},
		{
			&service.UnsuitableServerError{Engine: engine, Server: "shared", Problem: "it is too old; upgrade it"},
			"database server shared can't be used: it is too old; upgrade it",
		},
		{
			&service.FullError{Engine: engine, Tenants: 3, Capacity: 2},
			"the database server is full: it has 3 tenants and its spec.capacity.tenants is 2; raise that, or name another server in spec.database.serverRef",
		},
		{
			&service.AdoptNotFoundError{Engine: engine, Name: "t_x"},
			"there is no retained database t_x to adopt on the server; set spec.database.adopt to one that status.retained of the DatabaseServer lists, or leave it out to get a new database",
		},
		{
			&service.AdoptInUseError{Engine: engine, Name: "t_x", Tenant: "globex"},
			"database t_x can't be adopted while tenant globex uses it; delete that tenant with reclaimPolicy Retain first, or adopt another database",
		},
		{
			&service.ChangedError{Engine: engine, Err: err},
			"the database server changed meanwhile: refused; it is looked at again",
		},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%T: got %q, want %q", test.err, got, test.want)
		}
	}
}
