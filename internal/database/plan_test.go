package database_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

const (
	uid      = "8a2f2f0e-7a6b-4a5e-9d39-0c6a5a0e4a11"
	otherUID = "00000000-0000-0000-0000-000000000001"
	password = "Zk3vX9mQ2LrT8yB5nW7cH4jD6fG1sP0a"
)

var (
	name   = database.Name(uid)
	logins = database.Logins(name)
)

func desired(changes ...func(*database.Desired)) database.Desired {
	d := database.Desired{
		UID: uid, Tenant: "acme", Isolation: database.IsolationDatabase, ConnectionLimit: 20, Password: password,
	}
	for _, change := range changes {
		change(&d)
	}
	return d
}

// provisioned returns what the server has for a tenant with everything that desired() asks for.
func provisioned(changes ...func(*database.Observed)) database.Observed {
	o := database.Observed{
		Name: name,
		Registration: &service.Registration{
			UID: uid, Tenant: "acme", Name: name, Isolation: database.IsolationDatabase, State: service.RegistrationActive,
		},
		Owner: &database.Role{ConnectionLimit: -1},
		Logins: [2]*database.Role{
			{CanLogin: true, ConnectionLimit: 20, Verifier: service.Sensitive(database.Verifier(password)), MemberOfOwner: true, SetRole: name},
			{ConnectionLimit: -1, MemberOfOwner: true, SetRole: name},
		},
		Database: &database.Database{
			Owner: database.PlatformOwner, AllowConnections: true, ConnectionLimit: 20, OwnerAccess: true, Secured: true,
		},
	}
	for _, change := range changes {
		change(&o)
	}
	return o
}

// retainedByAnother returns a database that another UID left behind.
func retainedByAnother(changes ...func(*database.Observed)) database.Observed {
	o := provisioned(func(o *database.Observed) {
		o.Holder, o.Registration = o.Registration, nil
		o.Holder.UID, o.Holder.Tenant, o.Holder.State = otherUID, "former", service.RegistrationRetained
		o.Logins[0].CanLogin, o.Logins[0].Verifier = false, ""
	})
	for _, change := range changes {
		change(&o)
	}
	return o
}

// check is the first action of a plan for a tenant whose name is registered already.
var check = database.CheckRegistered{UID: uid, Name: name, State: service.RegistrationActive}

// checked is a plan that begins with it.
func checked(actions ...database.Action) []database.Action {
	return slices.Concat([]database.Action{check}, actions)
}

func adopting(d *database.Desired) { d.Adopt = name }

func restored(d *database.Desired) { d.Restored = true }

func TestALoginTellsItsDatabase(t *testing.T) {
	for _, login := range database.Logins(name) {
		if got, ok := database.NameOfLogin(login); !ok || got != name {
			t.Errorf("%s is for %q, %t", login, got, ok)
		}
	}
	for _, other := range []string{"", name, name + "_2", "x" + name + "_0", "postgres", "t__0", name + "_0_1"} {
		if got, ok := database.NameOfLogin(other); ok {
			t.Errorf("%q is no login, and said to be for %q", other, got)
		}
	}
}

func TestPlan(t *testing.T) {
	enable := database.EnableLogin{Login: logins[0], ConnectionLimit: 20, Password: password}
	fresh := []database.Action{
		database.Register{UID: uid, Tenant: "acme", Name: name, Isolation: database.IsolationDatabase},
		database.CreateOwner{Role: name},
		database.CreateLogin{Login: logins[0], Owner: name, ConnectionLimit: 20, Password: password},
		database.SetLoginRole{Login: logins[0], Role: name},
		database.CreateLogin{Login: logins[1], Owner: name, ConnectionLimit: -1},
		database.SetLoginRole{Login: logins[1], Role: name},
		database.CreateDatabase{Database: name},
		database.RevokePublic{Database: name},
		database.GrantDatabase{Database: name, Owner: name},
		database.OpenDatabase{Database: name, ConnectionLimit: 20},
		database.SecureSchema{Database: name, Owner: name},
		database.MarkSecured{Name: name, Database: name},
	}
	for _, test := range []struct {
		name     string
		desired  database.Desired
		observed database.Observed
		want     []database.Action
	}{
		{"nothing there: everything, in order", desired(), database.Observed{Name: name}, fresh},
		{"all there: nothing", desired(), provisioned(), nil},
		{
			"registered, database not created: from there on",
			desired(), provisioned(func(o *database.Observed) { o.Database = nil }), checked(fresh[6:]...),
		},
		{
			"database created, nothing granted", desired(),
			provisioned(func(o *database.Observed) {
				*o.Database = database.Database{Owner: database.PlatformOwner, ConnectionLimit: -1, PublicAccess: true}
			}),
			checked(fresh[7:]...),
		},
		{
			"schema not handed over", desired(),
			provisioned(func(o *database.Observed) { o.Database.Secured = false }), checked(fresh[10:]...),
		},
		{
			"drop interrupted: dropped and created anew", desired(),
			provisioned(func(o *database.Observed) { o.Database.ConnectionLimit = database.InterruptedDrop }),
			slices.Concat(checked(database.DropDatabase{Database: name}), fresh[6:]),
		},
		{
			"another password", desired(),
			provisioned(func(o *database.Observed) {
				o.Logins[0].Verifier = service.Sensitive(database.Verifier("another"))
			}),
			checked(enable),
		},
		{
			"a tenant that sleeps", desired(func(d *database.Desired) { d.Suspended = true }), provisioned(),
			checked(database.SuspendLogin{Login: logins[0]}, database.TerminateSessions{Logins: logins}),
		},
		{
			"a tenant that sleeps already", desired(func(d *database.Desired) { d.Suspended = true }),
			provisioned(func(o *database.Observed) { o.Logins[0].CanLogin = false }), nil,
		},
		{
			"a tenant that wakes", desired(),
			provisioned(func(o *database.Observed) { o.Logins[0].CanLogin = false }), checked(enable),
		},
		{
			"another connection limit",
			desired(func(d *database.Desired) { d.ConnectionLimit = 30 }), provisioned(),
			checked(
				database.EnableLogin{Login: logins[0], ConnectionLimit: 30, Password: password},
				database.OpenDatabase{Database: name, ConnectionLimit: 30},
			),
		},
		{
			"roles changed by hand", desired(),
			provisioned(func(o *database.Observed) {
				o.Owner.CanLogin, o.Owner.Privileged = true, true
				o.Logins[0].Privileged, o.Logins[0].CanLogin = true, false
				o.Logins[1].MemberOfOwner, o.Logins[1].SetRole, o.Logins[1].CanLogin = false, "", true
			}),
			checked(
				database.DisableLogin{Login: name},
				database.RestrictRole{Role: name},
				database.RestrictRole{Role: logins[0]},
				enable,
				database.GrantOwner{Login: logins[1], Owner: name},
				database.SetLoginRole{Login: logins[1], Role: name},
				database.DisableLogin{Login: logins[1]},
			),
		},
		{
			"roles dropped by hand: created", desired(),
			provisioned(func(o *database.Observed) { o.Logins = [2]*database.Role{} }), checked(fresh[2:6]...),
		},
		{
			"PUBLIC let in by hand", desired(),
			provisioned(func(o *database.Observed) { o.Database.PublicAccess = true }), checked(fresh[7:8]...),
		},
		{
			"a retained database is adopted under its own name", desired(adopting), retainedByAnother(),
			[]database.Action{
				database.TerminateSessions{Logins: logins},
				database.Adopt{UID: uid, Tenant: "acme", Name: name, From: otherUID},
				enable,
			},
		},
		{
			"the backup of a tenant's own server is adopted, which was in use when it was taken",
			desired(adopting, func(d *database.Desired) { d.Isolation, d.Capacity = database.IsolationDedicated, new(int32(1)) }),
			retainedByAnother(func(o *database.Observed) {
				o.Holder.Isolation, o.Holder.State = database.IsolationDedicated, service.RegistrationActive
				o.Logins[0] = provisioned().Logins[0]
			}),
			[]database.Action{
				database.TerminateSessions{Logins: logins},
				database.Adopt{UID: uid, Tenant: "acme", Name: name, From: otherUID},
				enable,
			},
		},
		{"adopted already: nothing", desired(adopting), provisioned(), nil},
		{
			"adopted, spec.database.adopt since left out: nothing", desired(),
			provisioned(func(o *database.Observed) { renameTo(o, database.Name(otherUID)) }), nil,
		},
		{
			"retained by this very UID: taken up again", desired(),
			provisioned(func(o *database.Observed) { o.Registration.State = service.RegistrationRetained }),
			[]database.Action{
				database.TerminateSessions{Logins: logins},
				database.Adopt{UID: uid, Tenant: "acme", Name: name, From: uid},
				enable,
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := database.Plan(test.desired, test.observed)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, test.want, func(a, b database.Action) bool { return reflect.DeepEqual(a, b) }) {
				t.Errorf("planned\n%s\nnot\n%s", phrases(got), phrases(test.want))
			}
		})
	}
}

// renameTo moves the whole of o to another name, as if it had been adopted.
func renameTo(o *database.Observed, newName string) {
	o.Name, o.Registration.Name = newName, newName
	for i := range o.Logins {
		o.Logins[i].SetRole = newName
	}
}

func TestPlanRefuses(t *testing.T) {
	conflict := func(part string) func(error) error {
		return func(err error) error {
			var target *service.ConflictError
			if !errors.As(err, &target) || !strings.Contains(err.Error(), part) {
				return fmt.Errorf("got %w, not a ConflictError that has %q", err, part)
			}
			return nil
		}
	}
	notFound := func(err error) error {
		var target *service.AdoptNotFoundError
		if !errors.As(err, &target) || target.Name != name {
			return fmt.Errorf("got %w, not an AdoptNotFoundError of %s", err, name)
		}
		return nil
	}
	for _, test := range []struct {
		name     string
		desired  database.Desired
		observed database.Observed
		check    func(error) error
	}{
		{
			"another isolation", desired(func(d *database.Desired) { d.Isolation = "Planet" }),
			database.Observed{Name: name}, conflict(`set spec.database.isolation to Database, Schema or Row`),
		},
		{
			"a server that is not prepared", desired(func(d *database.Desired) { d.Isolation = database.IsolationRow }),
			database.Observed{Name: name}, func(err error) error {
				var target *database.UnpreparedError
				if !errors.As(err, &target) || target.Isolation != database.IsolationRow {
					return fmt.Errorf("got %w, not an UnpreparedError of isolation Row", err)
				}
				return nil
			},
		},
		{
			"an unregistered database of that name", desired(),
			database.Observed{Name: name, Database: &database.Database{Owner: database.PlatformOwner}},
			conflict("already has database " + name + ", not made for this tenant; rename or drop it"),
		},
		{
			"unregistered roles of that name", desired(),
			database.Observed{Name: name, Owner: &database.Role{}, Logins: [2]*database.Role{nil, {}}},
			conflict("already has role " + name + " and role " + logins[1]),
		},
		{
			"the name registered for another UID", desired(), retainedByAnother(),
			conflict("registered on the server for tenant former with UID " + otherUID),
		},
		{
			"the database given to another owner", desired(),
			provisioned(func(o *database.Observed) { o.Database.Owner = "bob" }),
			conflict("belongs to role bob"),
		},
		{
			"made with another isolation", desired(),
			provisioned(func(o *database.Observed) { o.Registration.Isolation = "Schema" }),
			conflict("made with isolation Schema"),
		},
		{
			"adopt while having a database", desired(func(d *database.Desired) { d.Adopt = "t_other" }), provisioned(),
			conflict("already has database " + name + ", so it can't adopt t_other"),
		},
		{"adopt what is not there", desired(adopting), database.Observed{Name: name}, notFound},
		{
			"adopt what was never registered", desired(adopting),
			database.Observed{Name: name, Database: &database.Database{}}, notFound,
		},
		{
			"adopt what was dropped by hand", desired(adopting),
			retainedByAnother(func(o *database.Observed) { o.Database = nil }), notFound,
		},
		{
			"adopt what is half dropped", desired(adopting),
			retainedByAnother(func(o *database.Observed) { o.Database.ConnectionLimit = database.InterruptedDrop }), notFound,
		},
		{
			"adopt what another tenant uses", desired(adopting),
			retainedByAnother(func(o *database.Observed) { o.Holder.State = service.RegistrationActive }),
			func(err error) error {
				var target *service.AdoptInUseError
				if !errors.As(err, &target) || target.Tenant != "former" || !strings.Contains(err.Error(), "tenant former uses it") {
					return fmt.Errorf("got %w, not an AdoptInUseError that names the tenant", err)
				}
				return nil
			},
		},
		{
			"adopt what a living tenant of another name uses, after a restore", desired(adopting, restored),
			retainedByAnother(func(o *database.Observed) { o.Holder.State = service.RegistrationActive }),
			func(err error) error {
				if _, ok := errors.AsType[*service.AdoptInUseError](err); !ok {
					return fmt.Errorf("got %w, not an AdoptInUseError", err)
				}
				return nil
			},
		},
		{
			"adopt another isolation", desired(adopting),
			retainedByAnother(func(o *database.Observed) { o.Holder.Isolation = "Schema" }),
			conflict("was made with isolation Schema"),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			actions, err := database.Plan(test.desired, test.observed)
			if failure := test.check(err); failure != nil {
				t.Error(failure)
			}
			if actions != nil {
				t.Errorf("and planned\n%s", phrases(actions))
			}
		})
	}
}

func TestPlanRemoval(t *testing.T) {
	lockout := []database.Action{
		check,
		database.DisableLogin{Login: logins[0]},
		database.TerminateSessions{Logins: logins},
	}
	drop := []database.Action{
		database.DropDatabase{Database: name},
		database.DropOwned{Owner: name},
		database.DropRoles{Roles: []string{logins[0], logins[1], name}},
		database.Deregister{UID: uid, Name: name},
	}
	dropAll, dropRest := slices.Concat(lockout, drop), slices.Concat(lockout, drop[1:])
	retain := slices.Concat(lockout, []database.Action{database.MarkRetained{UID: uid, Name: name}})
	for _, test := range []struct {
		name     string
		observed database.Observed
		policy   database.ReclaimPolicy
		want     []database.Action
	}{
		{"retain", provisioned(), database.ReclaimRetain, retain},
		{"delete", provisioned(), database.ReclaimDelete, dropAll},
		{"retain, nothing registered", database.Observed{Name: name, Database: &database.Database{}}, database.ReclaimRetain, nil},
		{"delete, nothing registered", database.Observed{Name: name, Database: &database.Database{}}, database.ReclaimDelete, nil},
		{"delete, adopted by another tenant since", retainedByAnother(), database.ReclaimDelete, nil},
		{
			"retain, interrupted after disabling", provisioned(func(o *database.Observed) {
				o.Logins[0].CanLogin, o.Logins[0].Verifier = false, ""
			}), database.ReclaimRetain, slices.Concat(retain[:1], retain[2:]),
		},
		{
			"retain, done", provisioned(func(o *database.Observed) { o.Registration.State = service.RegistrationRetained }),
			database.ReclaimRetain, nil,
		},
		{
			"retain before there is a database: there is nothing to retain",
			provisioned(func(o *database.Observed) { o.Database = nil }), database.ReclaimRetain, dropRest,
		},
		{
			"retain a half dropped database: there is nothing to retain",
			provisioned(func(o *database.Observed) { o.Database.ConnectionLimit = database.InterruptedDrop }), database.ReclaimRetain, dropAll,
		},
		{
			"delete a database made a template",
			provisioned(func(o *database.Observed) { o.Database.IsTemplate = true }), database.ReclaimDelete,
			slices.Concat(lockout, []database.Action{database.UnsetTemplate{Database: name}}, drop),
		},
		{
			"delete a half dropped template: it takes no change",
			provisioned(func(o *database.Observed) {
				o.Database.IsTemplate, o.Database.ConnectionLimit = true, database.InterruptedDrop
			}), database.ReclaimDelete, dropAll,
		},
		{
			"delete, interrupted after the drop",
			provisioned(func(o *database.Observed) { o.Database = nil }), database.ReclaimDelete, dropRest,
		},
		{
			"delete what was retained for this UID",
			provisioned(func(o *database.Observed) { o.Registration.State = service.RegistrationRetained }), database.ReclaimDelete,
			slices.Concat([]database.Action{database.CheckRegistered{UID: uid, Name: name, State: service.RegistrationRetained}}, dropAll[1:]),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := database.PlanRemoval(test.observed, test.policy)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, test.want, func(a, b database.Action) bool { return reflect.DeepEqual(a, b) }) {
				t.Errorf("planned\n%s\nnot\n%s", phrases(got), phrases(test.want))
			}
		})
	}
	t.Run("a database of another owner is left alone", func(t *testing.T) {
		foreign := provisioned(func(o *database.Observed) { o.Database.Owner = "bob" })
		for _, policy := range []database.ReclaimPolicy{database.ReclaimDelete, database.ReclaimRetain} {
			var conflict *service.ConflictError
			if actions, err := database.PlanRemoval(foreign, policy); !errors.As(err, &conflict) || actions != nil {
				t.Errorf("%s: got %v and %v", policy, actions, err)
			}
		}
	})
}

func TestCapacityTravelsWithTheRegistration(t *testing.T) {
	limited := desired(func(d *database.Desired) { d.Capacity = new(int32(3)) })
	actions, err := database.Plan(limited, database.Observed{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	if register := actions[0].(database.Register); register.Capacity == nil || *register.Capacity != 3 {
		t.Errorf("Register has capacity %v", register.Capacity)
	}
	limited.Adopt = name
	actions, err = database.Plan(limited, retainedByAnother())
	if err != nil {
		t.Fatal(err)
	}
	if adopt := actions[1].(database.Adopt); adopt.Capacity == nil || *adopt.Capacity != 3 {
		t.Errorf("Adopt has capacity %v", adopt.Capacity)
	}
}

func phrases(actions []database.Action) string {
	var lines strings.Builder
	for _, action := range actions {
		fmt.Fprintf(&lines, "  %s (%T)\n", action, action)
	}
	return lines.String()
}
