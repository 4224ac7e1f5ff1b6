package answer

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/hibernation"
)

// defaultAwake is how long a tenant stays awake that is woken while a schedule has it sleep.
const defaultAwake = 8 * time.Hour

// Sleeper is a tenant with all that decides whether it sleeps.
type Sleeper struct {
	// Tenant is the Tenant.
	Tenant *v1alpha1.Tenant
	// Class is what its class says; nil if it has none.
	Class *effective.Class
	// Now is when both were read.
	Now time.Time
}

// Hibernate returns what puts a tenant to sleep until it is woken. It returns an error for a tenant that can't be.
func Hibernate(s Sleeper) (Change, error) {
	is, err := s.at(s.Tenant.Spec.Hibernation)
	if err != nil {
		return Change{}, err
	}
	own := s.own()
	if ptr.Deref(own.Suspended, false) && is.Asleep {
		return s.asleepAlready(), nil
	}
	fields := map[string]any{"suspended": true}
	if own.WakeUntil != nil {
		fields["wakeUntil"] = nil
	}
	own.Suspended, own.WakeUntil = new(true), nil
	then, err := s.at(&own)
	if err != nil {
		return Change{}, s.refused(err)
	}
	change := hibernationChange(fields)
	switch {
	case !then.Asleep:
		change.Sentences = []string{fmt.Sprintf("The Tenant %s falls asleep at %s. Until then, its class %s keeps it awake.", s.Tenant.Name, utc(then.Changes), s.Class.Name)}
	case is.Asleep:
		change.Sentences = []string{fmt.Sprintf("The Tenant %s stays asleep. %s", s.Tenant.Name, s.sleepsOn())}
	default:
		change.Sentences = append([]string{fmt.Sprintf(
			"The Tenant %s falls asleep: its app and workers end, no scheduled runs begin, and its logins to the database are disabled. Its data stays. %s",
			s.Tenant.Name, s.sleepsOn())}, s.wait(v1alpha1.HibernationAsleep)...)
	}
	return change, nil
}

// Wake returns what wakes a tenant. It then stays awake for this long, and sleeps again if it otherwise would; with 0,
// it stays awake, for [defaultAwake] if a schedule would have it sleep now. It returns an error for a tenant that can't
// be woken.
func Wake(s Sleeper, lasting time.Duration) (Change, error) {
	is, err := s.at(s.Tenant.Spec.Hibernation)
	if err != nil {
		return Change{}, err
	}
	own := s.own()
	if lasting == 0 && !is.Asleep && !ptr.Deref(own.Suspended, false) {
		return s.awakeAlready(is, true), nil
	}
	fields := map[string]any{}
	if lasting == 0 {
		own.Suspended, fields["suspended"] = new(false), false
	}
	until, err := s.wakeUntil(own, lasting)
	if err != nil {
		return Change{}, s.refused(err)
	}
	if !until.IsZero() {
		own.WakeUntil, fields["wakeUntil"] = new(metav1.NewTime(until)), utc(until)
	}
	if len(fields) == 0 {
		return s.awakeAlready(is, false), nil
	}
	then, err := s.at(&own)
	if err != nil {
		return Change{}, s.refused(err)
	}
	change := hibernationChange(fields)
	change.Sentences = []string{fmt.Sprintf("The Tenant %s %s.", s.Tenant.Name, s.staysAwake(then, own))}
	if is.Asleep {
		change.Sentences = append([]string{fmt.Sprintf(
			"The Tenant %s wakes: first its database, then its app and workers with as many pods as before. It %s.",
			s.Tenant.Name, s.staysAwake(then, own))}, s.wait(v1alpha1.HibernationAwake)...)
	}
	return change, nil
}

// wakeUntil returns what spec.hibernation.wakeUntil of a tenant must be that is to be awake for this long, or for as
// long as it makes sense with 0; zero if it can stay what it is.
func (s Sleeper) wakeUntil(own v1alpha1.TenantHibernation, lasting time.Duration) (time.Time, error) {
	kept := own.WakeUntil
	own.WakeUntil = nil
	otherwise, err := s.at(&own)
	if err != nil {
		return time.Time{}, err
	}
	until := s.Now.Add(cmp.Or(lasting, defaultAwake)).UTC().Truncate(time.Second)
	switch {
	case lasting == 0 && kept != nil && kept.After(s.Now):
		return time.Time{}, nil
	case otherwise.Asleep, lasting != 0 && !otherwise.Changes.IsZero() && otherwise.Changes.Before(until):
		return until, nil
	default:
		return time.Time{}, nil
	}
}

// at returns whether the tenant is to sleep if its Tenant says this about it, and when that changes by itself.
func (s Sleeper) at(own *v1alpha1.TenantHibernation) (hibernation.State, error) {
	if !s.Tenant.DeletionTimestamp.IsZero() {
		return hibernation.State{}, fmt.Errorf("the Tenant %s is being deleted, and neither falls asleep nor wakes any more", s.Tenant.Name)
	}
	tenant := s.Tenant.DeepCopy()
	tenant.Spec.Hibernation = own
	made := effective.Of(tenant)
	if s.Class != nil {
		var err error
		if made, err = effective.OfClass(tenant, s.Class); err != nil {
			return hibernation.State{}, err
		}
	}
	state, err := hibernation.At(made.Spec.Hibernation, s.Now)
	if invalid, isInvalid := errors.AsType[*hibernation.InvalidError](err); isInvalid {
		return state, fmt.Errorf("the Tenant %s neither falls asleep nor wakes: %s", s.Tenant.Name, invalid.Message)
	}
	return state, err
}

// refused says what an error about the spec after a change means. The one before it was right.
func (s Sleeper) refused(err error) error {
	if invalid, isInvalid := errors.AsType[*effective.InvalidError](err); isInvalid {
		return fmt.Errorf("the Tenant %s may not say that itself: %s; see spec.bounds of its class %s", s.Tenant.Name, invalid.Message, invalid.Class)
	}
	return err
}

// own returns what the Tenant itself says about its sleep.
func (s Sleeper) own() v1alpha1.TenantHibernation {
	return ptr.Deref(s.Tenant.Spec.Hibernation, v1alpha1.TenantHibernation{})
}

func (s Sleeper) asleepAlready() Change {
	said := fmt.Sprintf("There is nothing to do: spec.hibernation.suspended of the Tenant %s is true already. %s", s.Tenant.Name, s.sleepsOn())
	change := Change{Sentences: []string{said}}
	if status := s.Tenant.Status.Hibernation; status == nil || status.State != v1alpha1.HibernationAsleep {
		change.Sentences = append(change.Sentences, s.wait(v1alpha1.HibernationAsleep)...)
	}
	return change
}

// awakeAlready says that a tenant is to be awake, until when and, if asked, how to change that.
func (s Sleeper) awakeAlready(is hibernation.State, more bool) Change {
	said := fmt.Sprintf("There is nothing to do: the Tenant %s %s.", s.Tenant.Name, s.staysAwake(is, s.own()))
	if more && !is.Changes.IsZero() {
		said += fmt.Sprintf(" For longer, say for how long from now: kubectl tenantry wake %s --for 12h", s.Tenant.Name)
	}
	change := Change{Sentences: []string{said}}
	if !hibernation.IsAwake(s.Tenant.Status.Hibernation) {
		change.Sentences = append(change.Sentences, s.wait(v1alpha1.HibernationAwake)...)
	}
	return change
}

// sleepsOn says until when a tenant sleeps that is suspended.
func (s Sleeper) sleepsOn() string {
	own := s.own()
	own.Suspended = new(false)
	said := "It sleeps until kubectl tenantry wake " + s.Tenant.Name
	if schedules := s.cause(own); schedules != "" {
		said += ", whatever " + schedules + " says"
	}
	return said + "."
}

// staysAwake says until when a tenant is awake whose Tenant says this about its sleep.
func (s Sleeper) staysAwake(is hibernation.State, own v1alpha1.TenantHibernation) string {
	if is.Changes.IsZero() {
		return "stays awake until kubectl tenantry hibernate " + s.Tenant.Name
	}
	return fmt.Sprintf("stays awake until %s, when %s puts it to sleep", utc(is.Changes), s.cause(own))
}

// cause returns the field that puts a tenant to sleep whose Tenant says this about it; empty if none does.
func (s Sleeper) cause(own v1alpha1.TenantHibernation) string {
	class, ofClass := v1alpha1.TenantHibernation{}, ""
	if s.Class != nil {
		class, ofClass = ptr.Deref(s.Class.Tenant.Hibernation, class), " of its class "+s.Class.Name
	}
	switch {
	case ptr.Deref(own.Suspended, false):
		return "spec.hibernation.suspended"
	case own.Suspended == nil && ptr.Deref(class.Suspended, false):
		return "spec.tenant.hibernation.suspended" + ofClass
	case len(own.Schedules) > 0:
		return "spec.hibernation.schedules"
	case len(class.Schedules) > 0:
		return "spec.tenant.hibernation.schedules" + ofClass
	default:
		return ""
	}
}

// wait says how to wait until the tenant is in a state. The command ends its line, so that it can be copied.
func (s Sleeper) wait(state v1alpha1.HibernationState) []string {
	return []string{
		fmt.Sprintf("If it takes long, kubectl tenantry why %s says what it waits for.", s.Tenant.Name),
		fmt.Sprintf("To wait for it: kubectl wait tenant/%s --for=jsonpath='{.status.hibernation.state}'=%s --timeout=10m", s.Tenant.Name, state),
	}
}

func hibernationChange(fields map[string]any) Change {
	return Change{Spec: map[string]any{"hibernation": fields}}
}

// utc returns a time as it is written in an object.
func utc(at time.Time) string { return at.UTC().Format(time.RFC3339) }
