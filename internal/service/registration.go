package service

import (
	"fmt"
	"strings"
)

// Isolation is how tenants are isolated on a server. Each engine defines its own values.
type Isolation string

// RegistrationState says whether a registered name is in use.
type RegistrationState string

// The states of a registration.
const (
	// RegistrationActive means that the tenant uses it.
	RegistrationActive RegistrationState = "Active"
	// RegistrationRetained means that its tenant was deleted, and its data was kept.
	RegistrationRetained RegistrationState = "Retained"
)

// Registration is an entry of a server's registry. It says which tenant a name was created for.
type Registration struct {
	// UID is the UID of the Tenant.
	UID string
	// Tenant is the name of the Tenant.
	Tenant string
	// Name is the name of the tenant's objects on the server.
	Name string
	// Isolation is the isolation that was created.
	Isolation Isolation
	// State says whether it is in use.
	State RegistrationState
}

// Claim is a tenant's claim to a name in a server's registry.
type Claim struct {
	// Engine is what the server runs.
	Engine Engine
	// Isolation is the isolation that the tenant asks for.
	Isolation Isolation
	// Adopt is the retained name to take over from a former tenant; empty means a new one.
	Adopt string
	// Restored is the name of the tenant if it was restored from a backup: an active entry may then still be that of
	// a former Tenant with this name. Otherwise it is empty.
	Restored string
	// Alone says that the server is the tenant's own. An active entry of another tenant there comes from a backup
	// that was made while that tenant existed.
	Alone bool
}

// Entries is what a server has under the name that a tenant claims.
type Entries struct {
	// Name is the name.
	Name string
	// Own is the entry of the tenant; nil if there is none.
	Own *Registration
	// Holder is the entry of another tenant with the name; nil if there is none.
	Holder *Registration
	// Unregistered are the objects with that name on the server, as in "role t_x", whether or not the registry has an
	// entry for them.
	Unregistered []string
	// HasData reports whether there is an object with that name that may have data of a tenant.
	HasData bool
}

// Step is what a claim leads to.
type Step string

const (
	// StepNone means that the entry is the tenant's already.
	StepNone Step = ""
	// StepRegister means that the name must be registered for the tenant.
	StepRegister Step = "Register"
	// StepAdopt means that an entry must be moved to the tenant.
	StepAdopt Step = "Adopt"
)

// Settle returns the step that a claim leads to and, for [StepAdopt], the entry to move. It returns a
// [ConflictError], [AdoptNotFoundError] or [AdoptInUseError] if the claim can't be met.
func (c Claim) Settle(e Entries) (step Step, from *Registration, err error) {
	own, noun := e.Own, c.Engine.Noun
	switch {
	case own == nil && c.Adopt == "":
		return StepRegister, nil, c.checkConflict(e)
	case own == nil:
		return StepAdopt, e.Holder, c.adoptable(e)
	case c.Adopt != "" && own.Name != c.Adopt:
		return StepNone, nil, &ConflictError{fmt.Sprintf("the tenant already has %s %s, so it can't adopt %s; leave %s.adopt out, or delete the tenant and create it anew with it",
			noun, own.Name, c.Adopt, c.Engine.Field)}
	case own.Isolation != c.Isolation:
		return StepNone, nil, &ConflictError{fmt.Sprintf("%s %s was made with isolation %s, which can't be changed to %s; delete the tenant and create it anew",
			noun, own.Name, own.Isolation, c.Isolation)}
	case own.State == RegistrationActive:
		return StepNone, nil, nil
	}
	return StepAdopt, own, nil
}

// checkConflict returns a ConflictError if the server has objects with a name that isn't registered for the
// tenant.
func (c Claim) checkConflict(e Entries) error {
	if e.Holder != nil {
		return &ConflictError{fmt.Sprintf("the name %s is registered on the server for tenant %s with UID %s; to take over a retained %s, name it in %s.adopt",
			e.Name, e.Holder.Tenant, e.Holder.UID, c.Engine.Noun, c.Engine.Field)}
	}
	if len(e.Unregistered) == 0 {
		return nil
	}
	return &ConflictError{fmt.Sprintf("the server already has %s, not made for this tenant; rename or drop it", strings.Join(e.Unregistered, " and "))}
}

// adoptable returns why the tenant can't take over the holder's entry; nil if it can.
func (c Claim) adoptable(e Entries) error {
	switch {
	case e.Holder == nil:
		return &AdoptNotFoundError{Engine: c.Engine, Name: c.Adopt}
	case e.Holder.State != RegistrationRetained && !c.Alone && e.Holder.Tenant != c.Restored:
		return &AdoptInUseError{Engine: c.Engine, Name: c.Adopt, Tenant: e.Holder.Tenant}
	case e.Holder.Isolation != c.Isolation:
		return &ConflictError{fmt.Sprintf("%s %s was made with isolation %s; adopt it with that", c.Engine.Noun, c.Adopt, e.Holder.Isolation)}
	case !e.HasData:
		return &AdoptNotFoundError{Engine: c.Engine, Name: c.Adopt}
	}
	return nil
}
