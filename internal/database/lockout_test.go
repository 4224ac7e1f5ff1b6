package database_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

func TestAccessEndsWhateverBecomesOfTheData(t *testing.T) {
	terminate := database.TerminateSessions{Logins: logins}
	lockout := []database.Action{terminate, check, database.DisableLogin{Login: logins[0]}, terminate}
	for _, test := range []struct {
		name     string
		observed database.Observed
		want     []database.Action
	}{
		{"a tenant that logs in: its sessions may hold locks on its logins", provisioned(), lockout},
		{"nothing registered", database.Observed{Name: name}, nil},
		{"retained before", provisioned(func(o *database.Observed) { o.Registration.State = service.RegistrationRetained }), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := database.PlanLockout(test.observed); !slices.Equal(got, test.want) {
				t.Errorf("it plans\n%s\nwant\n%s", phrases(got), phrases(test.want))
			}
		})
	}
}

func TestWhatATenantThatIsGoneHasLeftIsRetained(t *testing.T) {
	lockout := []database.Action{check, database.DisableLogin{Login: logins[0]}, database.TerminateSessions{Logins: logins}}
	for _, test := range []struct {
		name     string
		observed database.Observed
		want     []database.Action
	}{
		{"a database", provisioned(), append(slices.Clone(lockout), database.MarkRetained{UID: uid, Name: name, Abandoned: true})},
		{
			"roles and no database yet", provisioned(func(o *database.Observed) { o.Database = nil }), append(slices.Clone(lockout),
				database.DropOwned{Owner: name}, database.DropRoles{Roles: []string{logins[0], logins[1], name}}, database.Deregister{UID: uid, Name: name}),
		},
		{"nothing", database.Observed{Name: name}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := database.PlanAbandoned(test.observed)
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("it plans\n%s\nand fails with %v; want\n%s", phrases(got), err, phrases(test.want))
			}
		})
	}
}
