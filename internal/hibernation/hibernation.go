// Package hibernation decides from a tenant's spec and the time whether it sleeps, and when that changes. It is pure.
package hibernation

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // The operator's image has no time zones.

	"github.com/robfig/cron/v3"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// InvalidError means that a spec doesn't say when a tenant sleeps.
type InvalidError struct {
	// Message says what is wrong and what to write instead, without a period at its end.
	Message string
}

func (e *InvalidError) Error() string { return e.Message }

// State says whether a tenant is to sleep.
type State struct {
	// Asleep says that it is to sleep.
	Asleep bool
	// Changes is when that changes by itself; zero if never.
	Changes time.Time
}

// looks is how many times of schedules are looked at for one at which the state changes. Those of a schedule that
// makes sense alternate.
const looks = 100

// At returns the state of a tenant at a time. It returns an [*InvalidError] if the spec doesn't say. A spec of nil means
// that the tenant is always awake.
func At(spec *v1alpha1.TenantHibernation, now time.Time) (State, error) {
	if spec == nil {
		return State{}, nil
	}
	plan, err := parse(spec)
	if err != nil {
		return State{}, err
	}
	state := State{Asleep: plan.asleep(now)}
	if !plan.awakeUntil.After(now) && plan.suspended {
		return state, nil
	}
	at := now
	for range looks {
		if at = plan.next(at); at.IsZero() {
			return state, nil
		}
		if plan.asleep(at) != state.Asleep {
			break
		}
	}
	state.Changes = at
	return state, nil
}

// IsAwake reports whether a tenant is awake according to its status, and not only about to be. One without a status is.
func IsAwake(status *v1alpha1.TenantHibernationStatus) bool {
	return status == nil || status.State == v1alpha1.HibernationAwake
}

// plan is what a spec says.
type plan struct {
	suspended  bool
	awakeUntil time.Time
	windows    []window
}

// window is a schedule.
type window struct{ sleep, wake cron.Schedule }

func parse(spec *v1alpha1.TenantHibernation) (plan, error) {
	result := plan{suspended: ptr.Deref(spec.Suspended, false)}
	if spec.WakeUntil != nil {
		result.awakeUntil = spec.WakeUntil.Time
	}
	for i, schedule := range spec.Schedules {
		field := fmt.Sprintf("spec.hibernation.schedules[%d]", i)
		zone, err := location(field+".timeZone", schedule.TimeZone)
		if err != nil {
			return plan{}, err
		}
		sleep, err := times(field+".sleep", schedule.Sleep, zone)
		if err != nil {
			return plan{}, err
		}
		wake, err := times(field+".wake", schedule.Wake, zone)
		if err != nil {
			return plan{}, err
		}
		result.windows = append(result.windows, window{sleep, wake})
	}
	return result, nil
}

func location(field, name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || strings.EqualFold(name, "Local") {
		return nil, &InvalidError{fmt.Sprintf("%s is %q, which is no time zone; write one such as Europe/Berlin, or leave it out for UTC", field, name)}
	}
	return zone, nil
}

// times returns the times that a schedule of cron means in a time zone.
func times(field, text string, zone *time.Location) (cron.Schedule, error) {
	wrong := func(why string) error {
		return &InvalidError{fmt.Sprintf(`%s is %q, which is no schedule: %s; write minute, hour, day, month and weekday, for example "0 20 * * 1-5"`, field, text, why)}
	}
	if strings.Contains(text, "TZ") {
		return nil, wrong("the time zone has a field of its own, timeZone")
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return nil, wrong(err.Error())
	}
	schedule, hasTimes := parsed.(*cron.SpecSchedule)
	if !hasTimes {
		return nil, wrong("an interval says no time")
	}
	schedule.Location = zone
	if schedule.Next(time.Unix(0, 0)).IsZero() {
		return nil, wrong("that day never comes")
	}
	return schedule, nil
}

// asleep reports whether the tenant is to sleep at a time.
func (p plan) asleep(at time.Time) bool {
	if at.Before(p.awakeUntil) {
		return false
	}
	if p.suspended {
		return true
	}
	for _, window := range p.windows {
		if last(window.sleep, at).After(last(window.wake, at)) {
			return true
		}
	}
	return false
}

// next returns the next time at which the state may change; zero if there is none.
func (p plan) next(after time.Time) time.Time {
	earliest := time.Time{}
	consider := func(at time.Time) {
		if at.After(after) && (earliest.IsZero() || at.Before(earliest)) {
			earliest = at
		}
	}
	consider(p.awakeUntil)
	for _, window := range p.windows {
		consider(window.sleep.Next(after))
		consider(window.wake.Next(after))
	}
	return earliest
}

// longest is how far back last looks. A schedule for the 29th of February comes every eight years at the latest.
const longest = 9 * 366 * 24 * time.Hour

// last returns the last time of a schedule until a time; zero if there was none. It looks back further and further,
// since a schedule only knows what comes next.
func last(schedule cron.Schedule, until time.Time) time.Time {
	for span := time.Hour; ; span *= 2 {
		found := time.Time{}
		for at := schedule.Next(until.Add(-span)); !at.IsZero() && !at.After(until); at = schedule.Next(at) {
			found = at
		}
		if !found.IsZero() || span > longest {
			return found
		}
	}
}
